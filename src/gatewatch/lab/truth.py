"""What is true of a measurement, from the scenario and from what the censors say they did.

A scenario states what should happen; the log states what did. Truth is where the two agree, and
where they do not, nobody may be judged by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address

from msgspec import Struct

from gatewatch.lab.box import Act
from gatewatch.lab.pages import SITE
from gatewatch.lab.rules import Action, BlockPage, Censor, Divert, Drop, ForgeDns, Trigger
from gatewatch.lab.scenario import ANCHOR, Answer, Expectation, Host, Middlebox, Scenario
from gatewatch.model.errors import GatewatchError
from gatewatch.model.mechanism import under
from gatewatch.wire.address import is_bogon

NO_BLOCK_PAGES = frozenset(
    (SITE, "portal", "portal_redirect", "captcha", "geoblock", "sanctions", "gdpr", "unavailable",
     "maintenance", "not_found", "nginx", "parked")
)  # fmt: skip
"Pages of `lab.pages` that say nothing of a network that blocks; every other one does."

_SHOWN: dict[str, dict[str, str]] = {
    "drop": {
        "dns": "dns.timeout",
        "quic_sni": "quic.timeout.sni",
        "quic": "quic.timeout",
        "sni": "tls.timeout",
        "hello": "tls.timeout",
        "host": "http.timeout",
        "keyword": "http.timeout",
        "everything": "ip.null_route",
        "packet": "tcp.timeout",
    },
    "reset": {
        "dns": "dns",
        "sni": "tls.reset.sni",
        "hello": "tls.reset.other",
        "host": "http.reset.host",
        "keyword": "http.reset.keyword",
        "everything": "tcp.reset",
        "packet": "tcp.reset",
    },
    "fin": {
        "dns": "dns",
        "sni": "tls.eof",
        "hello": "tls.eof",
        "host": "http.eof",
        "keyword": "http.eof",
        "everything": "tcp",
        "packet": "tcp",
    },
    "close_quic": {"quic_sni": "quic.reset.sni", "quic": "quic.reset"},
    "throttle": {
        "quic_sni": "quic",
        "quic": "quic",
        "sni": "tls.throttle.sni",
        "hello": "tls.throttle",
        "host": "http.throttle.host",
        "keyword": "http.throttle",
        "everything": "tls.throttle",
        "packet": "tls.throttle",
    },
    "null_route": {"": "ip.null_route"},
    "icmp": {"": "ip.unreachable"},
    "refuse": {"": "tcp.refused"},
    "alert": {"": "tls.error"},
    "redirect": {"": "http.redirect"},
}
"""Action → what the trigger looks for → mechanism; with no word on the trigger, for all. What an
action cannot do to such a flow is not in it."""

_SEEN_AS = {
    "ip.null_route": "tcp.timeout",
    "tcp.reset": "tcp.refused",
    "tls.throttle.sni": "http.timeout",
    "http.throttle.host": "http.timeout",
    "http.redirect": "http.blockpage",
}
"""What a client may see in its place: it tries TCP alone, its system calls the reset of a SYN a
refusal, it gives up on what is too slow, and it ends at the page that a redirect leads to."""

_RCODES = {"NXDOMAIN": "dns.nxdomain", "REFUSED": "dns.refused", "SERVFAIL": "dns.servfail"}
_BLOCK_STATUS = frozenset({403, 451})
"Errors with which block pages come; any other is an error page and no more."

HARMLESS = frozenset({"divert"})
"Acts that by themselves change nothing: the middlebox logs what it does to a flow."
DNS_PORT = 53


class UnconfirmedTruth(GatewatchError):
    """The log does not bear out what the scenario says."""

    def __init__(self, where: str, doubts: Sequence[str]) -> None:
        super().__init__(f"{where}: {'; '.join(doubts)}")
        self.where, self.doubts = where, list(doubts)


class Truth(Struct, frozen=True, kw_only=True):
    """What is true of one measurement."""

    measurement: str
    "Its id."
    scenario: str
    network: str
    url: str
    outcome: str
    "`open`, `down`, `blocked` or `server_side`."
    mechanisms: tuple[str, ...] = ()
    "How it is blocked; empty when it is not."
    places: tuple[str, ...] = ()
    "Hops and hosts at which something was done to it."
    acts: int = 0
    "How often, by the log."
    accept: tuple[str, ...] = ()
    "What one plain measurement may conclude besides."


# -- mechanisms ------------------------------------------------------------------------------


def mechanisms_of(censor: Censor, hosts: Mapping[str, Host]) -> tuple[str, ...]:
    """All the ways in which a censor's work can show, the first action's first.

    >>> from gatewatch.lab.rules import Action, Reset, Trigger
    >>> trigger, action = Trigger(sni=("example.org",)), Action(reset=Reset())
    >>> mechanisms_of(Censor(id="c", at="isp", trigger=trigger, action=action), {})
    ('tls.reset.sni',)
    """
    cause = cause_of(censor.trigger)
    given = (censor.mechanism,) if censor.mechanism else _shown(censor.action, cause, hosts)
    found = list(given)
    if censor.residual is not None:
        left = censor.residual.action or censor.action
        found += _shown(left, cause, hosts)
        found += _shown(left, "packet", hosts)  # whatever comes next, its first packet included
    found += [_SEEN_AS[mechanism] for mechanism in found if mechanism in _SEEN_AS]
    return tuple(dict.fromkeys(found))


def cause_of(trigger: Trigger) -> str:
    """What a trigger looks for, of all its conditions the one deepest in the packet."""
    causes = (
        ("dns", trigger.dns or trigger.dns_types),
        ("quic_sni", trigger.quic_sni),
        ("quic", trigger.quic),
        ("sni", trigger.sni),
        ("hello", trigger.ech or trigger.esni),
        ("host", trigger.host),
        ("keyword", trigger.url or trigger.keyword or trigger.answer_keyword),
        ("packet", trigger.ip or trigger.endpoint or trigger.port or trigger.look),
    )
    return next((cause for cause, given in causes if given), "everything")


def _shown(action: Action, cause: str, hosts: Mapping[str, Host]) -> Iterator[str]:
    for name, value in action.given():
        match value:
            case ForgeDns():
                yield from _forged(value, hosts)
            case BlockPage():
                yield _page(value.status)
            case Divert():
                box = hosts[value.to].middlebox
                yield from _intercepted(box, hosts) if box is not None else ()
            case Drop(after_kb=kb) if kb is not None:
                yield "http.timeout"  # by then the handshake is over
            case Drop(after_packets=more) if more and cause == "sni":
                yield from ("tls.timeout", "http.timeout")  # the handshake may be over by then
            case _:
                by_cause = _SHOWN[name]
                found = by_cause.get(cause) or by_cause.get("")
                yield from (found,) if found else ()


def _forged(forged: ForgeDns, hosts: Mapping[str, Host]) -> Iterator[str]:
    if forged.wrong_id:
        yield "dns"
    else:
        addresses = (*forged.a, *forged.aaaa)
        yield from _answered(forged.rcode, addresses, forged.cname, hosts)


def _answered(
    rcode: str, addresses: tuple[str, ...], cname: str | None, hosts: Mapping[str, Host]
) -> Iterator[str]:
    """How an answer that is not the true one shows, or one drawn from a pool."""
    if rcode != "NOERROR":
        yield _RCODES[rcode]
        return
    if cname is not None:
        addresses += tuple(a for h in hosts.values() if cname in h.names for a in h.addresses)
    if not addresses:
        yield "dns.no_answer" if cname is None else "dns.injection.other"
    real = {address for address in addresses if not is_bogon(address)}
    if real:
        blocks = {a for h in hosts.values() if _serves_block_page(h) for a in h.addresses}
        yield "dns.injection.blockpage" if blocks & real else "dns.injection.other"
    if real != {*addresses}:
        yield "dns.injection.bogon"


def _serves_block_page(host: Host) -> bool:
    return host.web is not None and host.web.page not in NO_BLOCK_PAGES


def _page(status: int | None) -> str:
    block = status is None or status < 400 or status in _BLOCK_STATUS
    return "http.blockpage" if block else "http.error"


def _intercepted(box: Middlebox, hosts: Mapping[str, Host]) -> Iterator[str]:
    if box.tls != "splice":
        yield "tls.mitm.ca_signed" if box.tls == "national_ca" else "tls.mitm.self_signed"
    if box.page:
        yield _page(box.status)
    if box.script:
        yield "http.injection"
    if box.resolver is not None:
        yield from _lie(box.resolver, hosts)


def _lie(answer: Answer, hosts: Mapping[str, Host]) -> Iterator[str]:
    """How a resolver's own word shows."""
    if answer.silent:
        yield "dns.timeout"
    else:
        yield from _answered(answer.rcode, answer.addresses, answer.cname, hosts)


def mechanisms_by(name: str, scenario: Scenario) -> tuple[str, ...]:
    """How the work of a censor, a middlebox or a resolver shows, by its name."""
    censor = next((censor for censor in scenario.censors if censor.id == name), None)
    if censor is not None:
        return mechanisms_of(censor, scenario.hosts)
    host, found = scenario.hosts[name], list[str]()
    if host.middlebox is not None:
        found += _intercepted(host.middlebox, scenario.hosts)
    if host.resolver is not None:
        lies = host.resolver.answers.values()
        found += [mechanism for lie in lies for mechanism in _lie(lie, scenario.hosts)]
    return tuple(dict.fromkeys(found))


# -- the log ---------------------------------------------------------------------------------


def acts_on(
    scenario: Scenario, network: str, acts: Iterable[Act], began: float, ended: float
) -> list[Act]:
    """What was done to a network's vantage point, or to a resolver asking for it, in that time.

    What was only done again was done to whom it was done first: systems go on repeating segments
    of connections that their programs have given up.

    Args:
        began, ended: of the measurement, seconds since the world began.
    """
    clients = {str(ip_address(a)) for a in _askers(scenario, network)}
    return [
        act
        for act in acts
        if began <= act.t <= ended and not act.again and _address(act.client) in clients
    ]


def _askers(scenario: Scenario, network: str) -> Iterator[str]:
    """The vantage point's addresses, its resolver, and whomever that asks in turn."""
    here = scenario.networks[network]
    yield from here.probe
    asked, seen = here.resolver, set[str]()
    while asked is not None and asked not in seen:
        yield asked
        seen.add(asked)
        hosts = [h for h in scenario.hosts.values() if h.resolver and asked in h.addresses]
        asked = hosts[0].resolver.upstream if hosts and hosts[0].resolver else None


def _address(endpoint: str) -> str:
    """
    >>> _address("192.0.2.1:80"), _address("[2001:db8::1]:443"), _address("192.0.2.1")
    ('192.0.2.1', '2001:db8::1', '192.0.2.1')
    """
    if endpoint.startswith("["):
        return endpoint[1:].partition("]")[0]
    return endpoint.rpartition(":")[0] if endpoint.count(":") == 1 else endpoint


def truth_of(
    scenario: Scenario,
    expectation: Expectation,
    network: str,
    acts: Sequence[Act],
    *,
    measurement: str,
) -> Truth:
    """What is true of one measurement.

    Args:
        acts: what was done to it, as `acts_on` finds.
        measurement: its id.

    Raises:
        UnconfirmedTruth: the log says otherwise.
    """
    doubts = list(_doubts(scenario, expectation, acts))
    if doubts:
        raise UnconfirmedTruth(f"{scenario.id}, {expectation.url} on {network}", doubts)
    blocked = expectation.outcome == "blocked"
    derived = [m for name in expectation.by for m in mechanisms_by(name, scenario)[:1]]
    return Truth(
        measurement=measurement,
        scenario=scenario.id,
        network=network,
        url=expectation.url,
        outcome=expectation.outcome,
        mechanisms=tuple(expectation.mechanisms or derived) if blocked else (),
        places=tuple(dict.fromkeys(act.place for act in acts)),
        acts=len(acts),
        accept=expectation.accept,
    )


def _doubts(scenario: Scenario, expectation: Expectation, acts: Sequence[Act]) -> Iterator[str]:
    acted = {act.censor for act in acts}
    for name in expectation.by:
        if name not in acted and not _only_answers(scenario, name):
            yield f"{name} should have acted, and did not"
    if expectation.outcome == "blocked":
        if not acts and not any(_only_answers(scenario, name) for name in expectation.by):
            yield "should be blocked, and nobody acted"
        culprits = sorted({*expectation.by} or acted)
        derived = [m for name in culprits for m in mechanisms_by(name, scenario)]
        for declared in expectation.mechanisms:
            if not any(under(declared, m) or under(m, declared) for m in derived):
                yield f"{declared} is none of what {', '.join(culprits)} can do: {derived}"
        return
    for act in acts:
        if act.censor not in expectation.by and _bears_on(scenario, act):
            yield f"should be {expectation.outcome}, and {act.censor} did {act.action} to it"
            return


def _only_answers(scenario: Scenario, name: str) -> bool:
    """Is this a resolver that gives its own word, which is no act on anybody's flow?"""
    host = scenario.hosts.get(name)
    return host is not None and host.middlebox is None and host.resolver is not None


def _bears_on(scenario: Scenario, act: Act) -> bool:
    """Was it done to the target's own flows, and not to what else a probe talks to?"""
    if act.action in HARMLESS:
        return False
    aside = {
        address
        for name, host in scenario.hosts.items()
        if host.control or host.resolver is not None or name == ANCHOR
        for address in host.addresses
    }
    name_asked = act.server.endswith(f":{DNS_PORT}")
    return name_asked or _address(act.server) not in aside
