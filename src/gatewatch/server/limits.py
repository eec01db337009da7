"""How much one client, and all together, may ask for; and no client's address is kept.

A client is known by a keyed hash of its address. The key is random, in memory only, and replaced
every hour together with all that was counted, so that no count leads back to an address and none
can be told from a dump of yesterday.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from ipaddress import IPv4Address, ip_address
from time import monotonic

from gatewatch.server.bodies import Refused

KEY_S = 3600.0
"How long a key, and with it a count, lives. Our choice."
CLIENTS_MAX = 1 << 16
"Counts kept at once, some 10 MB; the least recently seen is forgotten. Our choice."
HOME_V6 = 64
"Bits of an IPv6 address that are one client: what a home is given (RFC 6177)."


class Rates:
    """A token bucket per client.

    Args:
        per_s: tokens that come back each second.
        burst: tokens of a client that has been away.
        now: seconds, monotonic.
    """

    def __init__(self, per_s: float, burst: float, *, now: Callable[[], float] = monotonic) -> None:
        self._per_s, self._burst, self._now = per_s, burst, now
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._key, self._born = secrets.token_bytes(32), now()

    def take(self, client: str, cost: float = 1.0) -> None:
        """Counts something that a client asks for.

        Args:
            client: its address.

        Raises:
            Refused: 429, it has asked for too much; with the time after which to come again.
        """
        now = self._now()
        if now - self._born > KEY_S:
            self._key, self._born = secrets.token_bytes(32), now
            self._left.clear()
        who = blake2b(_home(client), key=self._key, digest_size=16).digest()
        left, seen = self._left.pop(who, (self._burst, now))
        left = min(self._burst, left + (now - seen) * self._per_s)
        cost = min(cost, self._burst)
        enough = left >= cost
        self._left[who] = (left - cost if enough else left, now)
        if len(self._left) > CLIENTS_MAX:
            self._left.popitem(last=False)
        if not enough:
            wait_s = int((cost - left) / self._per_s) + 1
            raise Refused(429, f"too many requests; come again in {wait_s} s", wait_s=wait_s)


def _home(client: str) -> bytes:
    """What counts as one client: an IPv4 address, or a home's IPv6 network."""
    try:
        parsed = ip_address(client.partition("%")[0])
    except ValueError:
        return client.encode("utf-8", "replace")[:64]  # a local socket, or a test
    if not isinstance(parsed, IPv4Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    packed = parsed.packed
    return packed if len(packed) == 4 else packed[: HOME_V6 // 8]


class InFlight:
    """How many are being served at this moment."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def one(self, most: int) -> Iterator[None]:
        """Counts one more for as long as it lasts.

        Raises:
            Refused: 503, there are `most` already.
        """
        if self.count >= most:
            raise Refused(503, f"{self.count} requests are being served; come again", wait_s=1)
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
