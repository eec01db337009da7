"""One probe testing one site at one moment: the network in between, and the truth about it.

What a censor of the `atlas` does is laid over the true Internet, and over that what happens by
accident. The truth names what an honest reader may conclude from the one record, and apart from
that whether the site was in fact filtered there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields, replace
from ipaddress import ip_address
from random import Random
from typing import Any

from gatewatch.simulate import pages
from gatewatch.simulate.actions import Effect
from gatewatch.simulate.atlas import CENSORS, OUTAGES, Site
from gatewatch.simulate.certificates import issued
from gatewatch.simulate.network import Answer, Handshake, Network, Page, Place, Server

INSTITUTION_FILTERS = frozenset({"www.pokerstars.com", "thepiratebay.org", "discord.com"})
"""What the simulated office keeps its people from."""

CDN_ASNS = frozenset({15169, 32934, 16509})
"""Networks whose answers differ from place to place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A device that measures now and then."""

    id: int
    place: Place
    public_resolver: bool = False
    ipv6: bool = False
    office: bool = False
    "Sits behind an organisation's web filter."
    clock_days_behind: int = 0
    engine: str = "0.5"
    active: tuple[float, float] = (0.0, 1.0)
    "When it takes part, as shares of the period."


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What one record honestly shows, and whether there was filtering behind it."""

    situation: str
    outcomes: tuple[str, ...]
    mechanisms: tuple[str, ...] = ()
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    key: Hashable
    "Scenes with the same key give the same observations."
    build: Callable[[], Network]
    truth: Truth


def scene(site: Site, probe: Probe, moment: float, chance: Random, *, portal: bool) -> Scene:
    """What `probe` meets when it tests `site`.

    Args:
        moment: share of the period that has passed.
        chance: decides accidents.
        portal: the probe sits behind a captive portal now.
    """
    effect = _filtering(site, probe, moment)
    down = any(o.host == site.host and o.since <= moment < o.until for o in OUTAGES)
    accident = "portal" if portal else _accident(chance)
    key = (site.host, probe.place, probe.public_resolver, probe.ipv6, probe.office, down)
    key = (*key, bool(probe.clock_days_behind), id(effect) if effect else 0, accident)

    def build() -> Network:
        return _network(site, probe, effect.changes if effect else {}, down, accident)

    return Scene(key, build, _truth(site, probe, effect, down=down, accident=accident))


def _filtering(site: Site, probe: Probe, moment: float) -> Effect | None:
    """What the censors of the place do to this URL, if anything that it meets."""
    for index, censor in enumerate(CENSORS):
        if (
            censor.cc == probe.place.cc
            and site.host in censor.hosts
            and (not censor.asns or probe.place.asn in censor.asns)
            and censor.since <= moment < censor.until
        ):
            effect = _effect(index, site)
            met = effect.secure if site.url.startswith("https") else effect.clear
            if met and not (effect.own_resolver and probe.public_resolver):
                return effect
    return None


_EFFECTS: dict[tuple[int, str], Effect] = {}


def _effect(index: int, site: Site) -> Effect:
    key = (index, site.host)
    if key not in _EFFECTS:
        _EFFECTS[key] = CENSORS[index].act(site.host, site.addresses)
    return _EFFECTS[key]


def _accident(chance: Random) -> str:
    draw = chance.random()
    for name, share in (
        ("no_helper", 0.015),
        ("no_doh", 0.02),
        ("connect_timeout", 0.006),
        ("offline", 0.003),
    ):
        if draw < share:
            return name
        draw -= share
    return ""


def _network(site: Site, probe: Probe, changes: Any, down: bool, accident: str) -> Network:
    """The true Internet around one site, then the censor's changes, then the accident's."""
    addresses = site.addresses
    local = _nearby(addresses, probe.place.asn) if site.asn in CDN_ASNS else addresses
    server = Server(asn=site.asn, org=site.org)
    if down:
        server = replace(server, connect=OUTAGES[0].connect)
    v6 = (site.ipv6,) if site.ipv6 else ()
    page = home_page(site)
    net: dict[str, Any] = {
        "names": {site.host: Answer(addresses=(*local, *v6))},
        "control_names": {site.host: Answer(addresses=(*addresses, *v6))},
        "servers": dict.fromkeys((*addresses, *local, *v6), server),
        "pages": {site.host: page},
        "ipv6_failure": None if probe.ipv6 else "network_unreachable",
    }
    refused = probe.place.cc in site.refuses
    if refused:
        net["probe_pages"] = {site.host: _refusal(site)}
    # What covers every name replaces what was said of some: a probe that is offline is not lied to.
    for more in (_elsewhere(), changes, _local(site, probe), _mishap(accident, local)):
        for name, value in more.items():
            both = isinstance(value, dict) and name in net and "*" not in value
            net[name] = {**net[name], **value} if both else value
    return Network(**{f.name: net[f.name] for f in fields(Network) if f.name in net})


def home_page(site: Site) -> Page:
    """What a site serves to everybody whom it does not refuse."""
    title = site.host.removeprefix("www.").split(".")[0].title()
    server = "cloudflare" if site.asn == 13335 else "nginx"
    headers = pages.CLOUDFLARE if site.asn == 13335 else {}
    return pages.site(
        f"{title} homepage",
        server=server,
        headers={**headers, "X-Origin": f"{title.lower()}-origin"},
    )


def _refusal(site: Site) -> Page:
    server = "cloudflare" if site.asn == 13335 else "nginx"
    return pages.site(
        "Not available in your country",
        paragraphs=1,
        status=403,
        server=server,
        headers=pages.CLOUDFLARE if site.asn == 13335 else {},
    )


def _nearby(addresses: tuple[str, ...], asn: int) -> tuple[str, ...]:
    """Other addresses of the same prefix, as a CDN gives users elsewhere."""
    return tuple(str(ip_address(a) + asn % 7) if ":" not in a else a for a in addresses)


def _elsewhere() -> dict[str, Any]:
    """Sites that censors redirect to."""
    hosts = {
        "www.warning.or.kr": ("121.189.57.82", 4766, "Korea Telecom", pages.KOREA_PAGE),
        "warning.rt.ru": ("95.167.13.50", 12389, "PJSC Rostelecom", pages.RUSSIA_PAGE),
    }
    return {
        "names": {h: Answer(addresses=(v[0],)) for h, v in hosts.items()},
        "servers": {v[0]: Server(asn=v[1], org=v[2]) for v in hosts.values()},
        "pages": {h: v[3] for h, v in hosts.items()},
    }


def _local(site: Site, probe: Probe) -> dict[str, Any]:
    """What the probe's own office or clock does."""
    if probe.office and site.host in INSTITUTION_FILTERS:
        chain = issued(site.host, "FGT60E4Q16000000", organisation="Fortinet")
        return {
            "tampered_http": {site.host: pages.FORTIGUARD},
            "tampered_tls": {site.host: Handshake(failure="ssl_unknown_authority", chain=chain)},
        }
    if probe.clock_days_behind:
        bad = "ssl_invalid_certificate"
        return {
            "tampered_tls": {"*": Handshake(failure=bad)},
            "doh_names": {"*": Answer(failure=bad)},
        }
    return {}


def _mishap(accident: str, addresses: tuple[str, ...]) -> dict[str, Any]:
    timeout = "generic_timeout_error"
    if accident == "no_helper":
        return {"control_failure": "connection_reset"}
    if accident == "no_doh":
        return {"doh_names": {"*": Answer(failure=timeout)}}
    if accident == "connect_timeout":
        return {"blocked_connects": dict.fromkeys(addresses, timeout)}
    if accident == "offline":
        silent = {"*": Answer(failure=timeout)}
        return {"cleartext_names": silent, "doh_names": silent, "control_failure": timeout}
    if accident == "portal":
        gateway = "192.168.182.1"
        return {
            "cleartext_names": {"*": Answer(addresses=(gateway,))},
            "doh_names": {"*": Answer(failure="connection_refused")},
            "servers": {
                gateway: Server(
                    asn=0, org="", connect={443: "connection_refused"}, page=pages.PORTAL
                )
            },
            "control_failure": "connection_refused",
        }
    return {}


def _truth(site: Site, probe: Probe, effect: Effect | None, *, down: bool, accident: str) -> Truth:
    """The first of these that holds; what comes earlier hides what comes later."""
    secure = site.url.startswith("https")
    mechanisms = () if effect is None else effect.secure if secure else effect.clear
    filtered = effect is not None
    if accident in ("portal", "offline"):
        return Truth(situation=accident, outcomes=("unclear",), filtered=filtered)
    if probe.clock_days_behind and secure and accident != "connect_timeout":
        either = ("unclear", "blocked") if filtered else ("unclear",)
        return Truth(situation="wrong_clock", outcomes=either, filtered=filtered)
    if filtered:
        outcomes = ("blocked",)
        if accident == "no_helper":
            outcomes = ("blocked", "unclear")
        elif down:
            outcomes = ("blocked", "down")
        return Truth(situation="filtered", outcomes=outcomes, mechanisms=mechanisms, filtered=True)
    if probe.office and site.host in INSTITUTION_FILTERS:
        how = ("tls.mitm",) if secure else ("http.blockpage",)
        return Truth(situation="office_filter", outcomes=("unclear", "blocked"), mechanisms=how)
    if down:
        shown = ("unclear",) if accident == "no_helper" else ("down",)
        return Truth(situation="site_down", outcomes=shown)
    if accident == "connect_timeout":
        elsewhere = site.asn in CDN_ASNS
        return Truth(
            situation="unlucky",
            outcomes=("blocked", "unclear", "open") if elsewhere else ("blocked", "unclear"),
            mechanisms=("tcp.timeout",),
        )
    if probe.place.cc in site.refuses:
        return Truth(situation="refused_by_site", outcomes=("server_side", "unclear"))
    if accident == "no_helper":
        outcomes = ("open", "unclear") if secure else ("unclear",)
        return Truth(situation="no_helper", outcomes=outcomes)
    return Truth(situation="open", outcomes=("open",))
