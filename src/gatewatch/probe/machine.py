"""A seat on the real machine: its own addresses, its resolver, the public ones, whom it trusts.

Nothing is sent to find this out. In which network and country the machine is, whoever has the
tables for it says (`refdata`).
"""

from __future__ import annotations

import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import certifi

from gatewatch import __version__
from gatewatch.probe.dns import Lookup, Reply
from gatewatch.probe.net import Plain, Vantage, getaddrinfo, source_towards
from gatewatch.probe.replies import system_lookup
from gatewatch.probe.seat import Anchor, Control, Patience, Seat

SYSTEM_S = 15.0
"How long OONI waits for getaddrinfo, which has timeouts of its own."
RESOLV_CONF = Path("/etc/resolv.conf")
UNKNOWN_COUNTRY, UNKNOWN_NETWORK = "ZZ", 0
"As OONI writes what is not known: ZZ and AS0."
FAR_AWAY = ("192.0.2.1", "2001:db8::1")
"Addresses for documentation (RFC 5737 and 3849): the way to them is the way to everywhere."


class PublicResolver(NamedTuple):
    """A resolver that anybody may ask."""

    name: str
    "Its server name over TLS and HTTPS; the path of the latter is `/dns-query`."
    address: str
    source: str
    "Where its operator publishes this."


PUBLIC_RESOLVERS = (
    PublicResolver("dns.google", "8.8.8.8", "https://developers.google.com/speed/public-dns"),
    PublicResolver(
        "cloudflare-dns.com", "1.1.1.1", "https://developers.cloudflare.com/1.1.1.1/encryption/"
    ),
    PublicResolver(
        "dns10.quad9.net", "9.9.9.10", "https://quad9.net/service/service-addresses-and-features/"
    ),
    PublicResolver(
        "unfiltered.adguard-dns.com", "94.140.14.140", "https://adguard-dns.io/public-dns.html"
    ),
)
"""Who is asked beside the system's own, in this order. Our choice: large, each of another operator,
and of those that also have resolvers which withhold something, the ones that do not."""


def seat_of_machine(
    *,
    asn: int = UNKNOWN_NETWORK,
    country: str = UNKNOWN_COUNTRY,
    network: str = "",
    controls: tuple[Control, ...] = (),
    anchors: tuple[Anchor, ...] = (),
    ca: Path | None = None,
    patience: Patience | None = None,
    resolv_conf: Path = RESOLV_CONF,
) -> Seat:
    """The machine as a vantage point.

    Args:
        asn, country, network: as somebody who has the tables says.
        ca: PEM file of the authorities to trust; None is Mozilla's list.
    """
    return Seat(
        asn=asn,
        country=country,
        network=network,
        addresses=(),
        resolver=system_resolver(resolv_conf),
        system=ask_system,
        udp_resolvers=tuple(one.address for one in PUBLIC_RESOLVERS),
        doh_resolvers=tuple((one.name, one.address) for one in PUBLIC_RESOLVERS),
        controls=controls,
        anchors=anchors,
        ca=Path(certifi.where()) if ca is None else ca,
        reach=Plain(),
        version=__version__,
        annotations={
            "architecture": platform.machine(),
            "network_type": "unknown",
            "platform": platform_name(),
        },
        patience=patience or Patience(),
        secrets=own_addresses(),
    )


async def ask_system(vantage: Vantage, hostname: str) -> Lookup:
    """A name as every program of the machine looks it up, with its cache and its hosts file."""
    t0 = vantage.now()
    names = await getaddrinfo(hostname, timeout_s=SYSTEM_S)
    reply = Reply(
        t=vantage.now(),
        failure=names.failure,
        addresses=names.addresses,
        cnames=(f"{names.canonical}.",) if names.canonical else (),
    )
    return system_lookup(hostname, t0, reply, error=names.error)


def own_addresses() -> tuple[str, ...]:
    """Every address of the machine's interfaces but those of its loopback; nothing is sent."""
    found = [source for far in FAR_AWAY if (source := source_towards(far))]
    if sys.platform == "linux":
        with ThreadPoolExecutor(1) as apart:  # netlink's client has an event loop of its own
            found += apart.submit(_interface_addresses).result()
    return tuple(dict.fromkeys(a for a in found if not ip_address(a).is_loopback))


def _interface_addresses() -> list[str]:
    """Of all interfaces, as the kernel tells."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as kernel:
            messages = list(kernel.get_addr())
    except (NetlinkError, OSError):  # a sandbox without netlink
        return []
    pairs = [pair for message in messages for pair in message["attrs"]]
    return [str(value) for key, value in pairs if key in ("IFA_ADDRESS", "IFA_LOCAL")]


def system_resolver(resolv_conf: Path = RESOLV_CONF) -> str | None:
    """The resolver that the system asks first; None where the file does not say."""
    try:
        text = resolv_conf.read_text(errors="replace")
    except OSError:
        return None
    return next(iter(nameservers(text)), None)


def nameservers(resolv_conf: str) -> list[str]:
    """Addresses in a resolver configuration (resolv.conf(5)), in their order.

    >>> nameservers("search lan" + chr(10) + "nameserver 192.0.2.53 # home")
    ['192.0.2.53']
    """
    found: list[str] = []
    for line in resolv_conf.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) >= 2 and words[0] == "nameserver":
            address = words[1].partition("%")[0]  # a zone is of this machine alone
            try:
                found.append(str(ip_address(address)))
            except ValueError:
                continue
    return found


def platform_name() -> str:
    """In OONI's vocabulary.

    >>> platform_name() in ("linux", "macos", "windows", "freebsd", "android", "unknown")
    True
    """
    for prefix, name in _PLATFORMS.items():
        if sys.platform.startswith(prefix):
            return name
    return "unknown"


_PLATFORMS = {
    "linux": "linux",
    "darwin": "macos",
    "win": "windows",
    "freebsd": "freebsd",
    "android": "android",
}
