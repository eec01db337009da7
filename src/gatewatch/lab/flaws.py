"""What can be wrong with a scenario whose fields all have the right types.

The most basic comes first: a check may rely on those before it having found nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import NamedTuple, TypeVar

from gatewatch.lab import spelling
from gatewatch.lab.pages import PAGES, SITE
from gatewatch.lab.rules import Action, Censor, ForgeDns, Trigger
from gatewatch.lab.scenario import Answer, Expectation, Host, Network, Scenario, Web
from gatewatch.lab.topology import Topology
from gatewatch.model.mechanism import ALL

T = TypeVar("T")


class Flaw(NamedTuple):
    where: str
    found: object
    wanted: str


_QUALIFIERS = frozenset(
    ("transport", "dns_types", "networks", "bidirectional", "probability", "schedule")
)
"Fields of a trigger that narrow it and set off nothing by themselves."


def flaws(scenario: Scenario) -> Iterator[Flaw]:
    """Everything that breaks docs/lab.md."""
    for name, network in scenario.networks.items():
        yield from _network(f"networks.{name}", network)
    yield from _prefixes(scenario)
    yield from _circles(scenario)
    topology = Topology(scenario)
    yield from _machines(scenario, topology)
    for name, network in scenario.networks.items():
        yield from _vantage(f"networks.{name}", network, scenario)
    for name, host in scenario.hosts.items():
        yield from _host(f"hosts.{name}", host, scenario)
    yield from _control(scenario)
    for name, answer in scenario.names.items():
        yield from _patterns(f"names.{name}", (name,))
        yield from _answer(f"names.{name}", answer)
    yield from _ids(scenario)
    for censor in scenario.censors:
        yield from _censor(f"censors.{censor.id}", censor, scenario, topology)
    yield from _expected(scenario)


# -- the map ---------------------------------------------------------------------------------


def _network(where: str, network: Network) -> Iterator[Flaw]:
    if network.asn < 1:
        yield Flaw(f"{where}.asn", network.asn, "the number of an autonomous system")
    yield from _countries(f"{where}.country", (network.country,))
    if not network.prefixes:
        yield Flaw(f"{where}.prefixes", network.prefixes, "at least one prefix")
    if not network.hops:
        yield Flaw(f"{where}.hops", network.hops, "at least one hop; [] within is a silent one")
    for text in network.prefixes:
        prefix = spelling.prefix(text)
        if prefix is None:
            yield Flaw(f"{where}.prefixes", text, "an IP prefix without host bits")
        elif not spelling.may_be_used(prefix):
            yield Flaw(f"{where}.prefixes", text, "public or access-network address space")
    for key, hop in (*(("hops", hop) for hop in network.hops), ("probe", network.probe)):
        yield from _one_of_each_version(f"{where}.{key}", hop)


def _one_of_each_version(where: str, addresses: Iterable[str]) -> Iterator[Flaw]:
    seen: set[int] = set()
    for text in addresses:
        address = spelling.address(text)
        if address is None:
            yield Flaw(where, text, "an IP address")
        elif address.version in seen:
            yield Flaw(where, text, f"one IPv{address.version} address")
        else:
            seen.add(address.version)


def _prefixes(scenario: Scenario) -> Iterator[Flaw]:
    """Prefixes are nested or apart; only the same one twice leaves its addresses undecided."""
    owner: dict[spelling.Prefix, str] = {}
    for name, network in scenario.networks.items():
        for prefix in map(ip_network, network.prefixes):
            if prefix in owner:
                yield Flaw(
                    f"networks.{name}.prefixes",
                    str(prefix),
                    f"a prefix that {owner[prefix]} does not have",
                )
            owner[prefix] = name


def _circles(scenario: Scenario) -> Iterator[Flaw]:
    for name in scenario.networks:
        way, at = [name], scenario.networks[name].via
        while at is not None:
            if at not in scenario.networks:
                yield Flaw(f"networks.{way[-1]}.via", at, "the name of a network")
                break
            if at in way:
                yield Flaw(f"networks.{name}.via", " → ".join((*way, at)), "a way to the core")
                break
            way.append(at)
            at = scenario.networks[at].via


def _machines(scenario: Scenario, topology: Topology) -> Iterator[Flaw]:
    """Every machine and router has its address to itself, inside of the world."""
    owner: dict[spelling.Address, str] = {}
    for where, network, text in _addresses(scenario):
        address = spelling.address(text)
        if address is None:
            yield Flaw(where, text, "an IP address")
            continue
        holder = topology.network_of(address.packed)
        if holder is None:
            yield Flaw(where, text, "an address within a network's prefixes")
        elif network is not None and holder != network:
            yield Flaw(where, text, f"an address of {network}; it lies in {holder}")
        elif address in owner:
            yield Flaw(where, text, f"an address that {owner[address]} does not have")
        owner[address] = where


def _addresses(scenario: Scenario) -> Iterator[tuple[str, str | None, str]]:
    """Where, the network that must hold it (None: any), and the address."""
    for name, network in scenario.networks.items():
        for number, hop in enumerate(network.hops, 1):
            yield from ((f"networks.{name}.hops ({number})", None, text) for text in hop)
        yield from ((f"networks.{name}.probe", name, text) for text in network.probe)
    for name, host in scenario.hosts.items():
        yield from ((f"hosts.{name}.addresses", None, text) for text in host.addresses)


def _vantage(where: str, network: Network, scenario: Scenario) -> Iterator[Flaw]:
    if network.probe and network.resolver is None:
        yield Flaw(f"{where}.resolver", None, "the resolver that the vantage point asks")
    if network.resolver is not None and network.resolver not in _resolvers(scenario):
        yield Flaw(f"{where}.resolver", network.resolver, "an address of a host with `resolver`")


def _resolvers(scenario: Scenario) -> set[str]:
    return {a for h in scenario.hosts.values() if h.resolver is not None for a in h.addresses}


# -- machines and names ----------------------------------------------------------------------


def _host(where: str, host: Host, scenario: Scenario) -> Iterator[Flaw]:
    if not host.addresses:
        yield Flaw(f"{where}.addresses", host.addresses, "at least one address")
    yield from _hostnames(f"{where}.names", host.names)
    yield from _each(f"{where}.tcp", host.tcp, spelling.is_port, "a port number")
    if host.web is not None:
        yield from _web(f"{where}.web", host.web, host, scenario)
    if host.middlebox is not None:
        yield from _patterns(f"{where}.middlebox.names", host.middlebox.names)
        if host.middlebox.page:
            yield from _page(f"{where}.middlebox.page", host.middlebox.page)
        if host.middlebox.resolver is not None:
            yield from _answer(f"{where}.middlebox.resolver", host.middlebox.resolver)
    if host.resolver is not None:
        upstream = host.resolver.upstream
        if upstream is not None and upstream not in _resolvers(scenario):
            yield Flaw(f"{where}.resolver.upstream", upstream, "an address of another resolver")
        for pattern, answer in host.resolver.answers.items():
            yield from _patterns(f"{where}.resolver.answers", (pattern,))
            yield from _answer(f"{where}.resolver.answers.{pattern}", answer)


def _web(where: str, web: Web, host: Host, scenario: Scenario) -> Iterator[Flaw]:
    taken = {port for port, used in (("80", web.http), ("443", web.https)) if used}
    free = "a port that `web` does not use"
    yield from _each(where, taken & set(host.tcp), lambda _: False, free)
    yield from _hostnames(f"{where}.certificate_names", web.certificate_names)
    yield from _page(f"{where}.page", web.page)
    for number, route in enumerate(web.routes):
        place = f"{where}.routes[{number}]"
        yield from _networks_of(place, route.networks, scenario)
        yield from _countries(f"{place}.countries", route.countries)
        yield from _page(f"{place}.page", route.page)


def _control(scenario: Scenario) -> Iterator[Flaw]:
    found = [name for name, host in scenario.hosts.items() if host.control]
    if len(found) != 1:
        yield Flaw("hosts", found, "one control server")


def _answer(where: str, answer: Answer) -> Iterator[Flaw]:
    yield from _countries(f"{where}.by_country", answer.by_country)
    everywhere = (*answer.addresses, *(a for some in answer.by_country.values() for a in some))
    yield from _each(where, everywhere, spelling.address, "an IP address")
    if answer.cname is not None:
        yield from _hostnames(f"{where}.cname", (answer.cname,))


def _page(where: str, name: str) -> Iterator[Flaw]:
    if name not in PAGES and name != SITE and not name.startswith("<"):
        yield Flaw(where, name, "a page of lab.pages, or HTML that begins with `<`")


def _hostnames(where: str, found: Iterable[str]) -> Iterator[Flaw]:
    yield from _each(where, found, spelling.is_name, "a host name, in lower case and ASCII")


def _patterns(where: str, found: Iterable[str]) -> Iterator[Flaw]:
    wanted = "`name`, `.name` or a glob, in lower case and ASCII"
    yield from _each(where, found, spelling.is_pattern, wanted)


def _countries(where: str, found: Iterable[str]) -> Iterator[Flaw]:
    yield from _each(where, found, spelling.is_country, "two capital letters")


def _each(
    where: str, found: Iterable[T], is_right: Callable[[T], object], wanted: str
) -> Iterator[Flaw]:
    yield from (Flaw(where, one, wanted) for one in found if not is_right(one))


def _networks_of(where: str, found: Iterable[str], scenario: Scenario) -> Iterator[Flaw]:
    known = scenario.networks.__contains__
    yield from _each(f"{where}.networks", found, known, "the name of a network")


# -- censors ---------------------------------------------------------------------------------


def _ids(scenario: Scenario) -> Iterator[Flaw]:
    """The log names censors and hosts in one column."""
    taken = set(scenario.hosts)
    for number, censor in enumerate(scenario.censors):
        if not censor.id or censor.id in taken:
            yield Flaw(f"censors[{number}].id", censor.id, "an id that nothing else has")
        taken.add(censor.id)


def _censor(where: str, censor: Censor, scenario: Scenario, topology: Topology) -> Iterator[Flaw]:
    try:
        topology.place(censor.at)
    except (KeyError, ValueError):
        yield Flaw(f"{where}.at", censor.at, "a network, or one of its hops as `network/1`")
        return
    yield from _trigger(f"{where}.trigger", censor.trigger, scenario)
    yield from _action(f"{where}.action", censor, censor.action, scenario, topology)
    if censor.residual is not None:
        if censor.residual.seconds <= 0:
            yield Flaw(f"{where}.residual.seconds", censor.residual.seconds, "more than 0")
        if censor.residual.action is not None:
            place = f"{where}.residual.action"
            yield from _action(place, censor, censor.residual.action, scenario, topology)
    if censor.mechanism is not None and censor.mechanism not in ALL:
        yield Flaw(f"{where}.mechanism", censor.mechanism, "a node of the mechanism taxonomy")


def _trigger(where: str, trigger: Trigger, scenario: Scenario) -> Iterator[Flaw]:
    fields = [f for f in trigger.__struct_fields__ if f not in _QUALIFIERS]
    if not any(getattr(trigger, field) for field in fields):
        yield Flaw(where, "nothing", "something to set it off; `everything = true` is any packet")
    for field in ("dns", "host", "sni", "quic_sni"):
        yield from _patterns(f"{where}.{field}", getattr(trigger, field))
    for field in ("url", "keyword", "answer_keyword"):
        yield from _each(f"{where}.{field}", getattr(trigger, field), bool, "some text")
    yield from _each(f"{where}.ip", trigger.ip, spelling.prefix, "an IP address or prefix")
    endpoint = "`192.0.2.1:443` or `[2001:db8::1]:443/tcp`"
    yield from _each(f"{where}.endpoint", trigger.endpoint, spelling.is_endpoint, endpoint)
    yield from _each(f"{where}.port", map(str, trigger.port), spelling.is_port, "a port number")
    yield from _networks_of(where, trigger.networks, scenario)
    if not 0 < trigger.probability <= 1:
        yield Flaw(f"{where}.probability", trigger.probability, "a share above 0, at most 1")
    hours = trigger.schedule.hours if trigger.schedule else ()
    yield from _each(f"{where}.schedule.hours", hours, spelling.is_hours, "such as `20:00-06:00`")


def _action(
    where: str, censor: Censor, action: Action, scenario: Scenario, topology: Topology
) -> Iterator[Flaw]:
    if action.divert is not None:
        yield from _divert(f"{where}.divert.to", censor, action.divert.to, scenario, topology)
    if action.forge_dns is not None:
        yield from _forged(f"{where}.forge_dns", action.forge_dns)
    if action.block_page is not None:
        yield from _page(f"{where}.block_page.page", action.block_page.page)
    if action.redirect is not None:
        location = (action.redirect.location,)
        yield from _each(f"{where}.redirect.location", location, spelling.is_web, "an http(s) URL")
    if action.reset is not None:
        payload, ttls = (action.reset.payload,), action.reset.ttls
        yield from _each(f"{where}.reset.payload", payload, spelling.is_hexadecimal, "hexadecimal")
        yield from _each(f"{where}.reset.ttls", ttls, range(1, 256).__contains__, "1 to 255")
    if action.throttle is not None:
        throttle = action.throttle
        if not 0 <= throttle.loss < 1:
            yield Flaw(f"{where}.throttle.loss", throttle.loss, "a share below 1")
        if not (throttle.rate_kbps or throttle.delay_ms or throttle.loss):
            yield Flaw(f"{where}.throttle", "no limit", "a rate, a delay or a loss")


def _divert(
    where: str, censor: Censor, name: str, scenario: Scenario, topology: Topology
) -> Iterator[Flaw]:
    """The box that hands a flow over must also see the middlebox's answers, to hand them back."""
    host = scenario.hosts.get(name)
    if host is None or host.middlebox is None:
        yield Flaw(where, name, "the name of a host with `middlebox`")
        return
    place = topology.place(censor.at)
    home = topology.network_of(ip_address(host.addresses[0]).packed)
    for vantage in scenario.vantages:
        way = [stretch.to for stretch in topology.way(home or "", vantage)]
        if topology.below(place, vantage) and place not in way:
            yield Flaw(where, name, f"a middlebox whose way to {vantage} leads past {place}")


def _forged(where: str, forged: ForgeDns) -> Iterator[Flaw]:
    for field, version in (("a", 4), ("aaaa", 6)):
        for text in getattr(forged, field):
            address = spelling.address(text)
            if address is None or address.version != version:
                yield Flaw(f"{where}.{field}", text, f"an IPv{version} address")
    if forged.copies < 1:
        yield Flaw(f"{where}.copies", forged.copies, "at least 1")
    if forged.cname is not None:
        yield from _hostnames(f"{where}.cname", (forged.cname,))


# -- truth -----------------------------------------------------------------------------------


def _expected(scenario: Scenario) -> Iterator[Flaw]:
    if not scenario.expect:
        yield Flaw("expect", [], "at least one target")
    if not scenario.vantages:
        yield Flaw("networks", "no probe", "a network with a vantage point")
    told = {censor.id for censor in scenario.censors} | {
        name
        for name, host in scenario.hosts.items()
        if host.middlebox is not None or (host.resolver is not None and host.resolver.answers)
    }
    seen: set[tuple[str, str]] = set()
    for number, expected in enumerate(scenario.expect):
        where = f"expect[{number}] ({expected.url})"
        yield from _expectation(where, expected, scenario.vantages, told)
        for network in expected.networks or scenario.vantages:
            if (expected.url, network) in seen:
                yield Flaw(where, network, "one truth of a target on a network")
            seen.add((expected.url, network))


def _expectation(
    where: str, expected: Expectation, vantages: list[str], told: set[str]
) -> Iterator[Flaw]:
    yield from _each(f"{where}.url", (expected.url,), spelling.is_web, "an http or https URL")
    vantage = "a network with a vantage point"
    yield from _each(f"{where}.networks", expected.networks, vantages.__contains__, vantage)
    node = "nodes of the mechanism taxonomy"
    yield from _each(f"{where}.mechanisms", expected.mechanisms, ALL.__contains__, node)
    log = "a censor, a middlebox or a resolver with answers of its own"
    yield from _each(f"{where}.by", expected.by, told.__contains__, log)
    if expected.outcome == "blocked" and not (expected.mechanisms and expected.by):
        yield Flaw(where, "blocked, and no more", "mechanisms, and by whom")
    if expected.outcome in expected.accept:
        yield Flaw(f"{where}.accept", expected.outcome, "other outcomes than the true one")
