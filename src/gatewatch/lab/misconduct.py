"""What can be wrong with a censor, each of whose fields is within its bounds.

A censor that could never act, or would act in a way that nobody meant, is refused here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_address, ip_network

from gatewatch.lab.bounds import Flaw
from gatewatch.lab.rules import Action, Censor, Schedule, Trigger
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.topology import Place, Topology

_QUALIFIERS = frozenset(
    ("transport", "dns_types", "networks", "bidirectional", "probability", "schedule")
)
"Fields of a trigger that narrow it and set off nothing by themselves."
_AT_ONCE = _QUALIFIERS - {"dns_types"} | {"everything", "ip", "endpoint", "port"}
"Fields of a trigger that the first packet of any flow answers."
_OVER = {"host": "tcp", "url": "tcp", "sni": "tcp", "quic_sni": "udp", "quic": "udp"}
"The transport that what is listened for comes over."


def misconduct(
    where: str, censor: Censor, scenario: Scenario, topology: Topology
) -> Iterator[Flaw]:
    """Everything that keeps a censor from doing what it says."""
    try:
        place = topology.place(censor.at)
    except KeyError:
        yield Flaw(f"{where}.at", censor.at, "a network, or one of its hops as `network/1`")
        return
    yield from _trigger(f"{where}.trigger", censor.trigger, scenario)
    if censor.action.divert is not None:
        yield from _tells_at_once(f"{where}.trigger", censor.trigger)
    actions = {"action": censor.action}
    if censor.residual is not None and censor.residual.action is not None:
        actions["residual.action"] = censor.residual.action
    for key, action in actions.items():
        yield from _action(f"{where}.{key}", action, censor.trigger, place, scenario, topology)


def unknown(
    where: str, found: Iterable[str], known: Collection[str], wanted: str
) -> Iterator[Flaw]:
    yield from (Flaw(where, one, wanted) for one in found if one not in known)


def known_networks(where: str, found: Iterable[str], scenario: Scenario) -> Iterator[Flaw]:
    yield from unknown(f"{where}.networks", found, scenario.networks, "the name of a network")


# -- triggers --------------------------------------------------------------------------------


def _given(trigger: Trigger) -> list[str]:
    """The fields that ask for something."""
    return [field for field in trigger.__struct_fields__ if getattr(trigger, field)]


def _trigger(where: str, trigger: Trigger, scenario: Scenario) -> Iterator[Flaw]:
    given = _given(trigger)
    if not set(given) - _QUALIFIERS:
        yield Flaw(where, "nothing", "something to set it off; `everything = true` is any packet")
    over = {field: _OVER[field] for field in given if field in _OVER}
    if trigger.transport is not None:
        over["transport"] = trigger.transport
    if len(set(over.values())) > 1:
        yield Flaw(where, list(over), "what can be true of one flow; it is TCP or UDP")
    yield from known_networks(where, trigger.networks, scenario)
    if trigger.schedule is not None:
        yield from _schedule(f"{where}.schedule", trigger.schedule)


def _schedule(where: str, schedule: Schedule) -> Iterator[Flaw]:
    if schedule.until_s is not None and schedule.until_s <= schedule.after_s:
        wanted = f"an end after the beginning, which is {schedule.after_s} s"
        yield Flaw(f"{where}.until_s", schedule.until_s, wanted)


def _tells_at_once(where: str, trigger: Trigger) -> Iterator[Flaw]:
    """No machine can take over a connection that has begun, so the first packet must decide."""
    known = set(_AT_ONCE)
    if trigger.transport == "udp":
        known |= {"dns", "dns_types"}
    wanted = "only what a flow's first packet tells, as it is diverted: {}; or dns over udp"
    yield from unknown(where, _given(trigger), known, wanted.format(", ".join(sorted(_AT_ONCE))))


# -- actions ---------------------------------------------------------------------------------


def _action(
    where: str,
    action: Action,
    trigger: Trigger,
    place: Place,
    scenario: Scenario,
    topology: Topology,
) -> Iterator[Flaw]:
    if action.divert is not None:
        yield from _divert(f"{where}.divert.to", place, action.divert.to, scenario, topology)
    if action.icmp is not None and action.icmp.code != "port":
        yield from _sender(f"{where}.icmp", trigger, place, scenario, topology)
    if action.throttle is not None:
        throttle = action.throttle
        if not (throttle.rate_kbps or throttle.delay_ms or throttle.loss):
            yield Flaw(f"{where}.throttle", "no limit", "a rate, a delay or a loss")


def _divert(
    where: str, place: Place, name: str, scenario: Scenario, topology: Topology
) -> Iterator[Flaw]:
    """The box that hands a flow over must also see the middlebox's answers, to hand them back."""
    host = scenario.hosts.get(name)
    if host is None or host.middlebox is None:
        yield Flaw(where, name, "the name of a host with `middlebox`")
        return
    home = topology.network_of(ip_address(host.addresses[0]).packed)
    for vantage in scenario.vantages:
        way = [stretch.to for stretch in topology.way(home or "", vantage)]
        if topology.below(place, vantage) and place not in way:
            yield Flaw(where, name, f"a middlebox whose way to {vantage} leads past {place}")


def _sender(
    where: str, trigger: Trigger, place: Place, scenario: Scenario, topology: Topology
) -> Iterator[Flaw]:
    """An ICMP error of a router needs a router with an address to come from."""
    own = topology.addresses(place)
    missing = _versions_met(trigger, place, scenario, topology) - {
        ip_address(text).version for text in own
    }
    for version in sorted(missing):
        wanted = f"a hop with an IPv{version} address to send it from, or code `port`"
        yield Flaw(where, f"{place} with {list(own)}", wanted)


def _versions_met(
    trigger: Trigger, place: Place, scenario: Scenario, topology: Topology
) -> set[int]:
    """IP versions of the flows that a trigger may be about, going by the vantage points."""
    servers = [ip_network(text).version for text in trigger.ip]
    servers += [6 if text.startswith("[") else 4 for text in trigger.endpoint]
    clients = {
        ip_address(text).version
        for vantage in scenario.vantages
        if topology.below(place, vantage) or trigger.bidirectional
        for text in scenario.networks[vantage].probe
    }
    return clients & set(servers) if servers else clients
