"""Rules on what the system resolver answered, held against the control's answer.

An unknown answer accuses nobody: content networks answer differently everywhere. It is the
answer that leads to a wrong place, or comes from address space that cannot be right, or is a
published forgery, that speaks.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from gatewatch.judge.case import REDIRECTS, Case, Hop, authentic
from gatewatch.judge.compare import Answers, compare_pages
from gatewatch.judge.control import Seen
from gatewatch.judge.rules.row import Fired, Rule
from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.model.outcome import Outcome, Reason

EMBEDDED_CACHES = frozenset({2906, 13335, 15169, 16625, 20940, 32934, 54113})
"""Networks that put their caches inside access networks, so that an access network's own
address for their names is ordinary: Netflix, Cloudflare, Google, Akamai (two), Meta, Fastly."""

_UNIQUE_LOCAL = ip_network("fc00::/7")
"RFC 4193."


def _addresses(hop: Hop) -> str:
    return ", ".join(sorted(hop.addresses or ())[:3])


def _agrees(case: Case) -> Fired | None:
    if case.first is None or case.answers not in (Answers.SHARED, Answers.SAME_NETWORK):
        return None
    if case.only_bogons(case.first):
        return None
    same = "an address" if case.answers is Answers.SHARED else "a network"
    return Fired(f"the resolver's answer {_addresses(case.first)} shares {same} with the control's")


def _bogon(seen: Seen):
    def condition(case: Case) -> Fired | None:
        step = case.obstacle
        hop = step.hop if step else next((h for h in case.hops if case.only_bogons(h)), None)
        if hop is None or not case.only_bogons(hop):
            return None
        if seen is not _bogon_seen(case, hop):
            return None
        words = f"{hop.host} is answered with {_addresses(hop)}, which is not on the Internet"
        return Fired(words, None if seen is Seen.FAILS else "dns.injection.bogon")

    return condition


def _bogon_seen(case: Case, hop: Hop) -> Seen:
    if hop.depth > 0:
        return case.control.page_seen
    usable = [a for a in case.control.addresses if not case.refdata.is_bogon(a)]
    if usable:
        return Seen.REACHES
    if case.control.addresses or case.control.name_missing:
        return Seen.FAILS
    return case.lent(hop.host, "dns")


def _published_forgery(case: Case) -> Fired | None:
    """An address published as injected, that the control was not given for the name."""
    for hop in case.hops:
        for address in sorted(hop.addresses or ()):
            known = case.refdata.injected_answer(address)
            if known is None or address in case.control.addresses or address == hop.host:
                continue
            if ip_address(address).is_loopback or ip_address(address).is_unspecified:
                continue  # forged here and there, and honest for many a parked name
            if known.countries and case.measurement.probe_cc not in known.countries:
                continue
            if any(authentic(o) and o.address == address for o in (*hop.handshakes, *hop.twins)):
                continue
            if case.refdata.is_bogon(address):
                mechanism = "dns.injection.bogon"
            else:
                blockpage = known.scope in ("nat", "isp", "prod")
                mechanism = "dns.injection.blockpage" if blockpage else "dns.injection.other"
            words = (
                f"{hop.host} is answered with {address}, published as a false answer ({known.id})"
            )
            return Fired(words, mechanism)
    return None


def _forged_elsewhere(case: Case) -> Fired | None:
    """The user's resolver is left alone, and a question in clear to another one is not."""
    hop = case.first
    if hop is None or case.answers not in (Answers.SHARED, Answers.SAME_NETWORK):
        return None
    for lookup in hop.others:
        stray = set(lookup.addresses) - set(case.control.addresses) - (hop.addresses or set())
        known = [a for a in sorted(stray) if case.refdata.injected_answer(a)]
        bogons = [a for a in sorted(stray) if case.refdata.is_bogon(a)]
        if lookup.transport != "udp" or not (known or bogons):
            continue
        return Fired(
            f"{lookup.resolver}, asked in clear, answers {(known or bogons)[0]} for {hop.host}",
            "dns.injection.bogon" if bogons else "dns.injection",
        )
    return None


def _private(case: Case) -> Fired | None:
    """Every resolver names one address of the local network, and not even the helper is reached."""
    hop = case.first
    if hop is None or case.control.present or not hop.addresses or not case.only_bogons(hop):
        return None
    private = [
        a for a in hop.addresses if ip_address(a).is_private and not ip_address(a).is_loopback
    ]
    elsewhere = {a for o in hop.others if o.transport == "udp" for a in o.addresses}
    if len(private) < len(hop.addresses) or elsewhere - hop.addresses:
        return None
    if any(case.refdata.injected_answer(a) for a in private):
        return None
    return Fired(f"{hop.host} is answered with {private[0]}, inside the local network")


def _validated(case: Case) -> Fired | None:
    hop = case.first
    if hop is None or case.answers is not Answers.DIFFER:
        return None
    good = [o.address for o in (*hop.handshakes, *hop.twins) if authentic(o)]
    if not good:
        return None
    return Fired(f"{good[0]}, unknown to the control, proves the name {hop.host} by TLS")


def _stray(case: Case) -> Hop | None:
    """The first hop, if its answer is in other networks than the control's, and only those say
    so for whom the network can speak."""
    hop = case.first
    if hop is None or case.answers is not Answers.DIFFER or case.only_bogons(hop):
        return None
    return None if _vouched(case, hop) else hop


def _vouched(case: Case, hop: Hop) -> bool:
    """Does a resolver give the same answer over an authenticated channel?"""
    return any(not case.refdata.is_bogon(a) for a in hop.sealed & (hop.addresses or set()))


def _differs(case: Case) -> Fired | None:
    hop = _stray(case)
    if hop is None:
        return None
    theirs = ", ".join(case.control.addresses[:3])
    return Fired(f"answered {_addresses(hop)}, the control {theirs}, in other networks")


def _leads_astray(case: Case) -> Fired | None:
    """Another answer, whose address does not hold the name, while the control gets the page."""
    hop = _stray(case)
    if hop is None or case.control.page is None or _validated(case):
        return None
    words = f"{hop.host} is answered with {_addresses(hop)}, which "
    step = case.obstacle
    if step is not None and step.hop.depth == 0 and step.layer in ("tcp", "tls"):
        return Fired(f"{words}does not serve it ({step.failure})", "dns.injection")
    if hop.exchange is None or hop.exchange.failure or hop.exchange.status is None:
        return None
    scopes = case.scopes(hop.exchange)
    if "fp" in scopes or "server" in scopes:
        return None
    if scopes.keys() & {"nat", "isp", "prod", "vbw"}:
        return Fired(f"{words}serves a block page", "dns.injection.blockpage")
    redirected = hop.exchange.status in REDIRECTS
    if not redirected and compare_pages(hop.exchange, case.control.page).score <= -1.5:
        return Fired(f"{words}serves another page", "dns.injection")
    return None


def _dead_in_clear(case: Case) -> Fired | None:
    """Forged answers are sometimes drawn from the site's own network. Then they are dead for
    everybody, and differ by question, while the real address works from this very probe."""
    hop = _unanswered(case)
    if hop is None or case.answers is not Answers.SAME_NETWORK or case.control.page is None:
        return None
    theirs = set(case.control.addresses)
    stray = hop.in_clear - theirs - (hop.addresses or set())
    tried = [o for o in case.observed.connects if o.vantage == "probe" and o.address in stray]
    dead = [case.control.connects(attempts) for attempts in (hop.connects, tried)]
    works = [o.address for o in hop.detours if authentic(o) and o.address in theirs]
    if not works or dead != [Seen.FAILS, Seen.FAILS]:
        return None
    return Fired(
        f"{hop.host} is answered with {_addresses(hop)} and, elsewhere in clear, with "
        f"{', '.join(sorted(stray)[:2])}, dead for everybody; {works[0]} serves it from here",
        "dns.injection",
    )


def _unanswered(case: Case) -> Hop | None:
    """The first hop, if none of the addresses answered accepts a connection."""
    step = case.obstacle
    if step is None or step.hop.depth or step.layer != "tcp":
        return None
    return step.hop


def _dead_unsealed(case: Case) -> Fired | None:
    """One answer from all who are asked in clear, dead for everybody; over TLS there is another,
    and it works from this very probe. A site that has lost one server of several can look so."""
    hop = _unanswered(case)
    if hop is None or case.answers is not Answers.SAME_NETWORK:
        return None
    mine = hop.addresses or frozenset[str]()
    if not mine & hop.in_clear or mine & hop.sealed:
        return None
    if case.control.page is None or case.control.connects(hop.connects) is not Seen.FAILS:
        return None
    proved = {o.address for o in hop.detours if authentic(o)}
    works = sorted(a for a in proved & hop.sealed if a)
    if not works or proved & hop.in_clear:
        return None
    return Fired(
        f"{hop.host} is answered in clear with {_addresses(hop)}, dead for everybody, and over "
        f"TLS with {works[0]}, which serves it from here",
        "dns.injection",
    )


def _bogon_among(proved: bool):
    """Injectors that take an A from anybody's network betray themselves by the AAAA.

    Args:
        proved: the address that an unaltered answer names holds the name, seen from here.
    """

    def condition(case: Case) -> Fired | None:
        hop = _unanswered(case)
        theirs = case.control.addresses
        if hop is None or not theirs or any(case.refdata.is_bogon(a) for a in theirs):
            return None
        if case.answers is Answers.SHARED or _vouched(case, hop):
            return None  # a true address is among them, whatever else is
        bogons = [a for a in case.bogons(hop) if a not in hop.sealed and not _unique_local(a)]
        serves = case.control.connects(hop.connects) is Seen.REACHES
        if not bogons or serves or any(authentic(o) for o in hop.twins):
            return None
        named = hop.sealed.union(theirs)
        works = [o.address for o in hop.detours if authentic(o) and o.address in named]
        if bool(works) is not proved:
            return None
        mine = hop.addresses or frozenset[str]()
        dead = ", ".join(sorted(mine.difference(case.bogons(hop)))[:2])
        words = f"{hop.host} is answered with {dead}, dead, and {bogons[0]}, not on the Internet"
        words += f"; {works[0]} serves it from here" if works else ""
        return Fired(words, "dns.injection.bogon")

    return condition


def _unique_local(address: str) -> bool:
    """An access network without IPv4 may translate addresses under a private prefix of its own
    (RFC 6147, section 5.2), which is honest."""
    return ip_address(address) in _UNIQUE_LOCAL


def _differs_in_clear(case: Case) -> Fired | None:
    """The same stray answer from resolvers that have nothing in common but a path in clear."""
    hop = _stray(case)
    if hop is None:
        return None
    mine = hop.addresses or frozenset[str]()
    clear = [o for o in hop.others if o.transport == "udp" and mine & set(o.addresses)]
    if not clear:
        return None
    lookup = case.control.lookup
    owners = {n for n in lookup.asns if n} if lookup else set[int]()
    if owners & EMBEDDED_CACHES:
        return None
    sealed = [o for o in hop.others if {*case.control.addresses} & hop.sealed & {*o.addresses}]
    here = {n for o in hop.system for n in o.asns if n}
    access = here & {case.measurement.probe_asn, case.measurement.resolver_asn}
    if not sealed and not access:
        return None
    why = (
        f"{sealed[0].resolver} over TLS agrees with the control"
        if sealed
        else ("the address lies in the access network itself")
    )
    return Fired(
        f"the system resolver and {clear[0].resolver} both answer {_addresses(hop)}; {why}",
        "dns.injection",
    )


def _ghost(case: Case) -> Fired | None:
    """A name that does not exist, except here."""
    hop, lookup = case.first, case.control.lookup
    if hop is None or lookup is None or not hop.addresses or case.only_bogons(hop):
        return None
    if kind_of(lookup.failure) is not FailureKind.NXDOMAIN or _vouched(case, hop):
        return None
    return Fired(
        f"{hop.host} does not exist for the control and is {_addresses(hop)} here", "dns.injection"
    )


RULES = (
    Rule("dns.answer.agrees", "dns", "reaches", Outcome.OPEN, 0.5,
         "the answer shares an address or a network with the control's", _agrees),
    Rule("dns.bogon.control_reaches", "dns", "reaches", Outcome.BLOCKED, 5.0,
         "only addresses that are not on the Internet, where the control gets real ones",
         _bogon(Seen.REACHES)),
    Rule("dns.bogon.among", "dns", "reaches", Outcome.BLOCKED, 1.4,
         "dead addresses, one of them not on the Internet, where the control gets real ones",
         _bogon_among(proved=False)),
    Rule("dns.bogon.among_proved", "dns", "reaches", Outcome.BLOCKED, 3.0,
         "the same, and the address that the control or DNS over TLS names works from here",
         _bogon_among(proved=True)),
    Rule("dns.bogon.control_fails", "dns", "fails", Outcome.DOWN, 4.5,
         "only addresses that are not on the Internet, for the control too",
         _bogon(Seen.FAILS)),
    Rule("dns.bogon.control_none", "dns", "none", Outcome.BLOCKED, 0.7,
         "only addresses that are not on the Internet, and no control", _bogon(Seen.NONE)),
    Rule("dns.forgery.published", "dns", "own", Outcome.BLOCKED, 4.0,
         "an address published as a false answer, not given to the control",
         _published_forgery, proof=True),
    Rule("dns.forgery.elsewhere", "dns", "reaches", Outcome.OPEN, 0.0,
         "another resolver, asked in clear, answers with an address that cannot be right",
         _forged_elsewhere),
    Rule("dns.local_portal", "dns", "own", Outcome.OPEN, 0.0,
         "an address of the local network for every resolver, and no helper in reach", _private,
         masks=Reason.LOCAL_PORTAL),
    Rule("dns.differs.validated", "dns", "own", Outcome.OPEN, 2.0,
         "an answer in other networks than the control's, and a certificate proves it",
         _validated),
    Rule("dns.differs", "dns", "reaches", Outcome.BLOCKED, 0.3,
         "an answer in other networks than the control's, not given over TLS", _differs),
    Rule("dns.differs.leads_astray", "dns", "reaches", Outcome.BLOCKED, 3.3,
         "an answer in other networks, not given over TLS, that does not serve the name, which "
         "the control gets",
         _leads_astray),
    Rule("dns.answers.dead", "dns", "reaches", Outcome.BLOCKED, 3.0,
         "several answers in clear, each dead for everybody, where the real address works",
         _dead_in_clear),
    Rule("dns.answers.unsealed", "dns", "reaches", Outcome.BLOCKED, 1.4,
         "one answer in clear, dead for everybody, and over TLS another, which works",
         _dead_unsealed),
    Rule("dns.differs.in_clear", "dns", "reaches", Outcome.BLOCKED, 0.7,
         "the same stray answer from unrelated resolvers asked in clear, and not over TLS",
         _differs_in_clear),
    Rule("dns.ghost", "dns", "fails", Outcome.DOWN, 3.0,
         "a name that does not exist for the control is answered here", _ghost),
)  # fmt: skip
