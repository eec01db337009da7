"""The user's own addresses, taken out of everything before it is written anywhere.

An address comes back in many places: what a site or a censor writes into a page or a header, the
answer of a resolver that says who asked, a certificate made for it, a redirect, a quoted packet.
So it is looked for in every string and every run of bytes of a measurement, in all the spellings
that we know of. An IPv6 address stands for its whole /64, which is one household's.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

SCRUBBED = "[scrubbed]"
MOST_INFLATED = 1 << 23
"Bytes that a compressed body may become while we look into it."

_V6 = re.compile(
    r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{0,4}|\d+(?:\.\d+){3})(?![\w:])", re.I
)
"May be an IPv6 address in text."
_V6_DASHED = re.compile(r"(?<![\w-])(?:[0-9a-f]{0,4}-){2,7}[0-9a-f]{0,4}(?![\w])", re.I)
"The same as names of hosts write it."
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_HOUSEHOLD = 64
"Prefix length that providers give to one customer at the least (RIPE-690, section 4.2)."


class Scrubber:
    """Takes addresses out of JSON values and bytes.

    Args:
        secrets: addresses; what is none is ignored.

    >>> Scrubber(["192.0.2.7"]).clean({"body": "you are 192.0.2.7, or 7.2.0.192.in-addr.arpa"})
    {'body': 'you are [scrubbed], or [scrubbed].in-addr.arpa'}
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._v4: set[IPv4Address] = set()
        self._v6: set[int] = set()
        for text in secrets:
            try:
                address = ip_address(text)
            except ValueError:
                continue
            if address.is_loopback or address.is_unspecified:
                continue
            if isinstance(address, IPv4Address):
                self._v4.add(address)
            elif address.ipv4_mapped is not None:
                self._v4.add(address.ipv4_mapped)
            else:
                self._v6.add(int(address) >> _HOUSEHOLD)
        octets = _either(s for a in self._v4 for s in _spellings_v4(a))
        digits = _either(s for a in self._v4 for s in _compact_v4(a))
        halves = _either(s for half in self._v6 for s in _spellings_v6(half))
        patterns = [rf"(?<![0-9])(?:{octets})(?![0-9])"] if octets else []
        patterns += [rf"(?<![0-9a-f])(?:{digits})(?![0-9a-f])"] if digits else []
        patterns += [rf"(?<![0-9a-f])(?:{halves})(?:[0-9a-f]{{16}})?(?![0-9a-f])"] if halves else []
        self._text = re.compile("|".join(patterns), re.I) if patterns else None
        inner = [s for a in self._v4 for s in _in_base64(str(a).encode())]
        self._coded = re.compile("|".join(map(re.escape, inner))) if inner else None
        self._raw = [a.packed for a in self._v4] + [h.to_bytes(8, "big") for h in self._v6]

    def clean(self, value: Any) -> Any:
        """A JSON value without any of the addresses; numbers are left as they are."""
        if self._text is None:
            return value
        match value:
            case str():
                return self._string(value)
            case bytes():
                return self.bytes(value)
            case dict():
                return {self.clean(key): self.clean(entry) for key, entry in value.items()}
            case list() | tuple():
                return [self.clean(entry) for entry in value]
            case _:
                return value

    def bytes(self, data: bytes) -> bytes:
        """The same bytes, as many, with the addresses overwritten: text by `x`, raw by zeros."""
        if self._text is None:
            return data
        for raw in self._raw:
            data = data.replace(raw, bytes(len(raw)))
        text = data.decode("latin-1")
        found = self._text.sub(_crossed, self._v6_text(text, crossed=True))
        data = found.encode("latin-1")
        wide = data.replace(b"\0", b"")
        if len(wide) < len(data) and self._text.search(wide.decode("latin-1")):
            return b"x" * len(data)  # UTF-16: no place in it is worth keeping
        return self._inflated(data)

    def _string(self, text: str) -> str:
        found = self._text.sub(SCRUBBED, text) if self._text else text
        found = self._v6_text(found, crossed=False)
        if self._coded is not None:
            found = self._coded.sub(SCRUBBED, found)
        whole = _BASE64.fullmatch(found)
        return self._decoded(found) if whole and len(found) % 4 == 0 else found

    def _decoded(self, text: str) -> str:
        """Text that may be base64: what is in it, cleaned."""
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return text
        clean = self.bytes(data)
        return text if clean == data else base64.b64encode(clean).decode("ascii")

    def _v6_text(self, text: str, *, crossed: bool) -> str:
        if not self._v6 and not self._v4:
            return text

        def replace(match: re.Match[str]) -> str:
            spelt = match.group()
            written = spelt if ":" in spelt else spelt.replace("-", ":")
            if not self._is_secret(written):
                return spelt
            return _crossed(match) if crossed else SCRUBBED

        return _V6_DASHED.sub(replace, _V6.sub(replace, text))

    def _is_secret(self, text: str) -> bool:
        try:
            address = IPv6Address(text)
        except ValueError:
            return False
        inside = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
        return int(address) >> _HOUSEHOLD in self._v6 or any(a in self._v4 for a in inside if a)

    def _inflated(self, data: bytes) -> bytes:
        """A compressed body that holds an address is not kept."""
        if data[:2] != b"\x1f\x8b" and data[:1] != b"\x78":
            return data
        try:
            inner = zlib.decompressobj(47).decompress(data, MOST_INFLATED)
        except zlib.error:
            return data
        return data if self.bytes(inner) == inner else b""


def _crossed(match: re.Match[str]) -> str:
    return "x" * len(match.group())


def _either(spellings: Iterable[str]) -> str:
    """A pattern for any of them, the longest first."""
    return "|".join(map(re.escape, sorted(set(spellings), key=lambda s: (-len(s), s))))


def _spellings_v4(address: IPv4Address) -> Iterator[str]:
    """The ways in which software writes an IPv4 address, octet by octet."""
    parts = [str(part) for part in address.packed]
    padded = [part.zfill(3) for part in parts]
    for octets in (parts, parts[::-1], padded, padded[::-1]):
        for between in (".", "-", "_", "%2E", "%2D", "&#46;", "[.]", " "):
            yield between.join(octets)


def _compact_v4(address: IPv4Address) -> Iterator[str]:
    """The ways to write it as a number, or in hexadecimal."""
    number = int(address)
    yield from (str(number), f"{number:08x}", f"0x{number:x}", f"0{number:o}")
    yield ".".join(f"0x{part:x}" for part in address.packed)
    for between in (".", ":", " ", "-", "\\x"):
        yield between.join(f"{part:02x}" for part in address.packed)


def _spellings_v6(half: int) -> Iterator[str]:
    """The forms without colons of all addresses of a /64: its own sixteen digits, either way."""
    digits = f"{half:016x}"
    yield from (digits, ".".join(digits[::-1]), ".".join(digits))
    groups = [digits[at : at + 4] for at in range(0, 16, 4)]
    for between in ("%3A", "_"):
        yield between.join(groups)
        yield between.join(group.lstrip("0") or "0" for group in groups)


def _in_base64(data: bytes) -> Iterator[str]:
    """How bytes look inside base64, at each of the three places where they may begin."""
    for before in range(3):
        coded = base64.b64encode(bytes(before) + data)
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        yield coded[first:last].decode("ascii")
