"""Where this server may be sent by a stranger: public addresses, and ports that pages are on.

Every socket of a measurement is opened through `Guarded`, whatever the step (an endpoint in the
question, a resolved name, a redirect, an alternative service), so nothing can pass by it. It is
asked about the address that is connected to, never about a name: names are resolved once, before,
and a second answer of the same name changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from gatewatch.model.target import canonical_host, is_address
from gatewatch.probe.net import Failed, Local, Reach, Transport
from gatewatch.server.bodies import Refused
from gatewatch.wire.address import in_url

URL_MAX = 4096
"Characters. Our choice: the longest URL of the public test lists has some 400."
HEADER_MAX = 1024
"Characters of a header's value; our choice, several times what browsers send."
REFUSED = "permission_denied"
"How a socket fails that the guard does not open: as one does that a firewall forbids."

NOT_PUBLIC = {
    "this network": "0.0.0.0/8",
    "private": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16",
    "shared by carriers": "100.64.0.0/10",
    "loopback": "127.0.0.0/8",
    "link-local": "169.254.0.0/16",
    "for protocols": "192.0.0.0/24",
    "for documentation": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
    "relays of 6to4": "192.88.99.0/24",
    "for benchmarks": "198.18.0.0/15",
    "multicast": "224.0.0.0/4",
    "reserved": "240.0.0.0/4",
    "metadata of a cloud": "168.63.129.16/32",
    "for protocols, Teredo and ORCHID among them": "2001::/23",
    "6to4": "2002::/16",
}
"""Why an address is none that a public server has → its networks.

Sources: IANA's special-purpose address registries (RFC 6890) of October 2025. Two are our choice:
6to4 and Teredo lead to an IPv4 address of the sender's choosing, and no site of today depends on
them (RFC 7526); and the address at which Azure serves secrets to its machines, which looks public.
Other clouds use link-local or private ones."""
UNICAST = ip_network("2000::/3")
"""All of IPv6 that is handed out (RFC 4291, section 2.4). Outside of it are loopback, link-local,
private and multicast addresses, IPv4 in IPv6 however it is written, and NAT64's own prefixes."""

BAD_PORTS = frozenset(
    int(port)
    for port in (
        "0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 "
        "111 113 115 117 119 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 "
        "532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190 "
        "5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080"
    ).split()
)
"""Ports to which no browser sends a page's request, because of who may listen there: mail, shells,
files, chat. Source: the Fetch standard, section "Port blocking". A URL that a browser cannot open
is on no test list, so refusing these costs no measurement."""
INNER_PORTS = frozenset(
    int(port)
    for port in (
        "445 873 1433 1521 1900 2375 2376 2379 3306 3389 3702 5353 5432 5900 5985 5986 6379 6443 "
        "9200 10250 11211 27017"
    ).split()
)
"""Ports of services that nobody offers to strangers: shared files, databases, desktops, control
planes. A connect is all that a scanner wants to know of them, and complaints about scanners close
servers. Our choice; everything else stays open, for relays of Tor and messengers have ports of
every kind."""

INNER_NAMES = ("localhost", "local", "internal", "home.arpa", "onion", "alt")
"""Names that are in no public DNS: RFC 6761, 6762, 8375, 7686 and 9476; `internal` is ICANN's of
2024. To answer for them would be to tell about our own network."""


class _Row(NamedTuple):
    first: int
    last: int
    why: str


class Guard:
    """Says of addresses and ports whether a stranger may send us there.

    Args:
        own: addresses and networks of this server and its neighbours, refused as private ones are.
    """

    def __init__(self, own: Iterable[str] = ()) -> None:
        table = [
            (ip_network(network), why)
            for why, networks in NOT_PUBLIC.items()
            for network in networks.split()
        ]
        table += [(ip_network(network), "our own") for network in own]
        self._rows: dict[int, list[_Row]] = {4: [], 6: []}
        for network, why in table:
            self._rows[network.version].append(_row(network, why))

    def address(self, address: str) -> str | None:
        """Why we do not connect to an address; None if nothing speaks against it.

        >>> Guard().address("169.254.169.254"), Guard().address("::ffff:10.0.0.1")
        ('link-local', 'no public IPv6 address')
        >>> Guard(["9.9.9.9"]).address("9.9.9.9"), Guard().address("9.9.9.9")
        ('our own', None)
        """
        try:
            parsed = ip_address(address)
        except ValueError:
            return "no address"
        if "%" in address:
            return "link-local"  # an interface is named only where an address alone is not enough
        if parsed.version == 6 and parsed not in UNICAST:
            return "no public IPv6 address"
        number = int(parsed)
        rows = self._rows[parsed.version]
        return next((row.why for row in rows if row.first <= number <= row.last), None)

    def endpoint(self, address: str, port: int) -> str | None:
        """Why we do not connect to an endpoint; None if nothing speaks against it."""
        return self.address(address) or bad_port(port)


def bad_port(port: int) -> str | None:
    """Why we do not connect to a port; None if nothing speaks against it.

    >>> bad_port(25), bad_port(5222)
    ('port 25 is not measured', None)
    """
    allowed = 0 < port < 1 << 16 and port not in BAD_PORTS and port not in INNER_PORTS
    return None if allowed else f"port {port} is not measured"


def _row(network: IPv4Network | IPv6Network, why: str) -> _Row:
    return _Row(int(network.network_address), int(network.broadcast_address), why)


class Guarded:
    """A `Reach` to what the guard allows, and to nothing else."""

    def __init__(self, reach: Reach, guard: Guard) -> None:
        self._reach, self._guard = reach, guard

    def reach(
        self, source: str | None, address: str, port: int, transport: Transport
    ) -> tuple[str, int, Local | None]:
        """
        Raises:
            Failed: the guard has something against it.
        """
        if self._guard.endpoint(address, port) is not None:
            raise Failed(REFUSED)
        return self._reach.reach(source, address, port, transport)


def own_addresses(proc: Path = Path("/proc/net")) -> list[str]:
    """The addresses of this machine's interfaces, as Linux lists them; elsewhere, none.

    An address before a NAT is not among them; who runs a server behind one has to name it.
    """
    found: list[str] = []
    try:
        lines = (proc / "fib_trie").read_text(encoding="ascii").splitlines()
        found += [one.split()[-1] for one, next_ in pairwise(lines) if "host LOCAL" in next_]
    except OSError:
        pass  # not Linux
    try:
        lines = (proc / "if_inet6").read_text(encoding="ascii").splitlines()
        found += [str(ip_address(bytes.fromhex(line.split()[0]))) for line in lines]
    except OSError:
        pass  # without IPv6
    return list(dict.fromkeys(found))


# -- what a question may hold ------------------------------------------------------------------


def checked_url(text: str, where: str = "http_request") -> str:
    """A web URL as it goes on the wire: its host in A-labels, without user, password or fragment.

    >>> checked_url("http://Яндекс.рф/ж?q=a b#c")
    'http://xn--d1acpjx3f.xn--p1ai/%D0%B6?q=a%20b'

    Raises:
        Refused: 400, it is none that we would fetch.
    """
    if len(text) > URL_MAX:
        raise Refused(400, f"{where}: longer than {URL_MAX} characters")
    if any(ord(c) < 0x20 or ord(c) == 0x7F or 0xD800 <= ord(c) < 0xE000 for c in text):
        raise Refused(400, f"{where}: has a control character")
    try:
        parts = urlsplit(text)
        port, name = parts.port, parts.hostname or ""
    except ValueError as error:
        raise Refused(400, f"{where}: no URL ({error})") from None
    if parts.scheme not in ("http", "https"):
        raise Refused(400, f"{where}: scheme is {parts.scheme!r}; wanted is http or https")
    host = checked_host(name, where)
    shown = in_url(host)
    if port is not None and (why := bad_port(port)):
        raise Refused(400, f"{where}: {why}")
    path = quote(parts.path, safe=_PATH)
    query = quote(parts.query, safe=_PATH + "?")
    netloc = shown if port is None else f"{shown}:{port}"
    return parts._replace(netloc=netloc, path=path, query=query, fragment="").geturl()


_PATH = "%/:@!$&'()*+,;=-._~[]|\\^`{}\""
"What is left as it is written; white space and what is not ASCII is quoted."


def checked_host(name: str, where: str) -> str:
    """A public name or an address, in the spelling of all rooms.

    Numbers that some systems take for addresses (`2130706433`, `0x7f.1`, `127.1`) are neither.

    Raises:
        Refused: 400.
    """
    host = canonical_host(name)
    host = host and canonical_host(host)  # full-width digits are an address only after the first
    if not host or "%" in host:
        raise Refused(400, f"{where}: {name!r} is no host")
    if is_address(host):
        return host
    last = host.rpartition(".")[2]
    if last.isdigit() or last.startswith("0x"):
        raise Refused(400, f"{where}: {name!r} is a number, and no address of four")
    if any(host == inner or host.endswith(f".{inner}") for inner in INNER_NAMES):
        raise Refused(400, f"{where}: {name!r} is in no public DNS")
    if any(not 0 < len(label) < 64 for label in host.split(".")):
        raise Refused(400, f"{where}: {name!r} is no host")
    return host


def checked_value(value: str, where: str) -> str:
    """A header's value that can be sent on: one line, of characters that a header may have.

    Raises:
        Refused: 400.
    """
    if len(value) > HEADER_MAX:
        raise Refused(400, f"{where}: longer than {HEADER_MAX} characters")
    if any(not 0x20 <= ord(c) < 0x7F for c in value):
        raise Refused(400, f"{where}: has a character that is not printable ASCII")
    return value.strip()
