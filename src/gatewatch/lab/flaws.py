"""What can be wrong with a scenario whose fields all have the right types.

Each field by itself is held against `lab.bounds`; here is how fields must agree with each other,
except for those of one censor, which are `lab.misconduct`'s. The most basic comes first: a check
may rely on those before it having found nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from gatewatch.lab import spelling
from gatewatch.lab.bounds import Flaw, out_of_bounds
from gatewatch.lab.misconduct import known_networks, misconduct, unknown
from gatewatch.lab.scenario import Expectation, Host, Network, Scenario
from gatewatch.lab.topology import Topology


def flaws(scenario: Scenario) -> Iterator[Flaw]:
    """Everything that breaks docs/lab.md."""
    yield from out_of_bounds(scenario)
    for name, network in scenario.networks.items():
        yield from _routers(f"networks.{name}", network)
    yield from _prefixes(scenario)
    yield from _circles(scenario)
    topology = Topology(scenario)
    yield from _machines(scenario, topology)
    for name, network in scenario.networks.items():
        yield from _vantage(f"networks.{name}", network, scenario)
    for name, host in scenario.hosts.items():
        yield from _host(f"hosts.{name}", host, scenario)
    yield from _control(scenario)
    yield from _ids(scenario)
    for censor in scenario.censors:
        yield from misconduct(f"censors.{censor.id}", censor, scenario, topology)
    yield from _expected(scenario)


# -- the map ---------------------------------------------------------------------------------


def _routers(where: str, network: Network) -> Iterator[Flaw]:
    for key, machine in (*(("hops", hop) for hop in network.hops), ("probe", network.probe)):
        seen: set[int] = set()
        for address in map(ip_address, machine):
            if address.version in seen:
                yield Flaw(f"{where}.{key}", str(address), f"one IPv{address.version} address")
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
        address = ip_address(text)
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
    if network.resolver is None:
        if network.probe:
            yield Flaw(f"{where}.resolver", None, "the resolver that the vantage point asks")
        return
    if network.resolver not in _resolvers(scenario):
        yield Flaw(f"{where}.resolver", network.resolver, "an address of a host with `resolver`")
    elif network.probe:
        yield from _can_ask(f"{where}.resolver", network.probe, network.resolver)


def _can_ask(where: str, own: Iterable[str], resolver: str) -> Iterator[Flaw]:
    versions = {ip_address(text).version for text in own}
    if ip_address(resolver).version not in versions:
        kinds = " or ".join(f"IPv{version}" for version in sorted(versions))
        yield Flaw(where, resolver, f"a resolver that can be asked over {kinds}")


def _resolvers(scenario: Scenario) -> set[str]:
    return {a for h in scenario.hosts.values() if h.resolver is not None for a in h.addresses}


# -- machines and names ----------------------------------------------------------------------


def _host(where: str, host: Host, scenario: Scenario) -> Iterator[Flaw]:
    yield from _one_to_a_port(where, host)
    if host.control and host.web is not None:
        yield Flaw(f"{where}.web", "control and web", "a control server, which is no site besides")
    if host.control and not host.names:
        yield Flaw(f"{where}.names", host.names, "the name that the control server is asked by")
    over_https = host.resolver is not None and "doh" in host.resolver.transports
    if over_https and host.web is not None and not host.web.https:
        yield Flaw(f"{where}.web.https", False, "HTTPS, which the resolver's `doh` is over")
    for number, route in enumerate(host.web.routes if host.web else ()):
        yield from known_networks(f"{where}.web.routes[{number}]", route.networks, scenario)
    upstream = host.resolver.upstream if host.resolver else None
    if upstream is not None:
        if upstream in host.addresses or upstream not in _resolvers(scenario):
            yield Flaw(f"{where}.resolver.upstream", upstream, "an address of another resolver")
        yield from _can_ask(f"{where}.resolver.upstream", host.addresses, upstream)


def _one_to_a_port(where: str, host: Host) -> Iterator[Flaw]:
    listening: dict[str, list[str]] = defaultdict(list)
    for service, port in _listening(host):
        listening[port].append(service)
    for port, services in listening.items():
        if len(services) > 1:
            found = f"{' and '.join(services)} on port {port}"
            yield Flaw(where, found, "one service on each port")


def _listening(host: Host) -> Iterator[tuple[str, str]]:
    """What listens where on a host, as `lab.hosts` starts it."""
    if host.web is not None:
        ports = (("80/tcp", host.web.http), ("443/tcp", host.web.https), ("443/udp", host.web.h3))
        yield from (("web", port) for port, used in ports if used)
    if host.control:
        yield from (("control", port) for port in ("80/tcp", "443/tcp"))
    if host.resolver is not None:
        ports_of = {"udp": "53/udp", "tcp": "53/tcp", "dot": "853/tcp", "doh": "443/tcp"}
        for transport in host.resolver.transports:
            if transport != "doh" or host.web is None:  # a web server answers it besides
                yield f"resolver over {transport}", ports_of[transport]
    if host.middlebox is not None:
        yield from (("middlebox", port) for port in ("80/tcp", "443/tcp", "53/tcp", "53/udp"))
    yield from ((f"tcp ({service})", f"{port}/tcp") for port, service in host.tcp.items())


def _control(scenario: Scenario) -> Iterator[Flaw]:
    found = [name for name, host in scenario.hosts.items() if host.control]
    if len(found) != 1:
        yield Flaw("hosts", found, "one control server")


# -- who is who ------------------------------------------------------------------------------


def _ids(scenario: Scenario) -> Iterator[Flaw]:
    """The log names censors and hosts in one column."""
    taken = set(scenario.hosts)
    for number, censor in enumerate(scenario.censors):
        if censor.id in taken:
            yield Flaw(f"censors[{number}].id", censor.id, "an id that nothing else has")
        taken.add(censor.id)


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
    yield from unknown(
        f"{where}.networks", expected.networks, vantages, "a network with a vantage point"
    )
    log = "a censor, a middlebox or a resolver with answers of its own"
    yield from unknown(f"{where}.by", expected.by, told, log)
    if expected.outcome == "blocked" and not (expected.mechanisms and expected.by):
        yield Flaw(where, "blocked, and no more", "mechanisms, and by whom")
    if expected.outcome in expected.accept:
        yield Flaw(f"{where}.accept", expected.outcome, "other outcomes than the true one")
