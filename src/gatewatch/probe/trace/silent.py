"""Rules about what did not come, and about what is the server's own."""

from __future__ import annotations

from gatewatch.model.mechanism import Placement
from gatewatch.probe.trace import words
from gatewatch.probe.trace.case import Case, Reading, reading
from gatewatch.probe.trace.path import Path
from gatewatch.probe.trace.placing import ALIVE_LEAST, blocked, closed_in_full, first_of_each_ttl

SHARE_FAILED = 0.25
"""Of connections that do not come up, from which on a capture is unusable. Our choice: of the
captures of CenTrace (2022), sound ones have none to speak of, those that it gave up on a quarter
and more; where one in four fails, a run of silences is no rare event."""
SILENT_LEAST = 3
"Silent probes behind the server's distance that make a silence, however good the line. Our choice."
CHANCE = 1e-3
"""Of so many silent probes in a row on a line that loses what this one is seen to lose. Our choice:
of a thousand captures of bad lines one would be called blocked."""
SILENT_SHARE = 0.8
"Of the probes that far; the rest may have gone a longer one of several ways. Our choice."
DEAD_LEAST = 5
"The same without a control: connections that died once the request had passed."
COPIES_LEAST = 5
"Copies of unanswered requests, of any TTL, that make a silence where no TTL was limited."


def unsteady(case: Case) -> Reading | None:
    """Connections do not come up: what is missing may be missing for that."""
    if case.share_failed < SHARE_FAILED:
        return None
    return reading(case, "unusable", [words.failed(case)])


def known_page(case: Case) -> Reading | None:
    """The server's distance has a block page for this name, and none for the control's."""
    if case.control is not None and any(case.block_page(r) for _, r in case.control.answers):
        return None
    found = [(p, r) for p, r in case.test.answers if r.kind == "page" and case.block_page(r)]
    return blocked(case, found, copied=False) if found else None


def genuine(case: Case) -> Reading | None:
    """The server answers, in its own hand."""
    if not case.test.answers:
        return None
    evidence = [words.answered(p, r) for p, r in first_of_each_ttl(case.test.answers)]
    evidence += words.own_marks(case)
    evidence += words.unrelated(case)
    return reading(case, "none", evidence)


def silence(case: Case) -> Reading | None:
    """Behind a certain hop nothing comes back for this name, and to another name it does."""
    if case.pairs or case.share_failed_control >= SHARE_FAILED:
        return None
    if not case.limited:
        return _silent_at_any(case)
    distance = case.distance
    if distance is None:
        return _dead(case)
    beyond = [p for p in case.test.probes if p.ttl >= distance]
    silent = [p for p in beyond if not p.told and not p.taken]
    if len(silent) < SILENT_LEAST or len(silent) < SILENT_SHARE * len(beyond):
        return None
    control = case.control
    assert control is not None, "it gave the distance"
    if _usual_silence(case, control, distance) ** len(silent) > CHANCE:
        return None
    killed = not any(p.late for p in silent)
    last = case.test.furthest
    if killed:  # the connection is alive until its request has passed the box
        last = max([last, *(p.ttl for p in case.test.probes if p.late and p.ttl < distance)])
    spoke = control.spoke if killed else {*control.hops, distance}
    ttl = min((t for t in spoke if t > last), default=distance)
    ttl = min(ttl, distance)
    placement: Placement = "in_path"
    evidence = [words.silence(case, silent, last), words.control_answered(case)]
    if killed and any(p.late for p in case.test.probes):
        evidence.append(words.died(case, silent))
    if ttl == distance:
        gap = distance - 1 > last
        placement = "unknown" if gap else "endpoint"
        evidence.append(words.hops_silent(distance - 1) if gap else words.at_the_server(case, ttl))
    hop = case.server if placement == "endpoint" else _next_speaking(case, ttl)
    evidence.append(words.hop(case, ttl, hop))
    evidence += words.unrelated(case)
    return reading(
        case, "blocked", evidence,
        mechanism=_timeout(case), placement=placement, hop=hop, hop_ttl=ttl,
    )  # fmt: skip


def _usual_silence(case: Case, control: Path, distance: int) -> float:
    """The share of requests that go unanswered where somebody is known to answer: at the control,
    and of the tested name's as far as they still expire."""
    known = [p for p in control.probes if p.ttl >= distance or p.ttl in control.hops]
    known += [
        p
        for p in case.test.probes
        if p.ttl <= case.test.furthest and (p.ttl in case.test.hops or p.ttl in control.hops)
    ]
    missing = sum(not p.told and not p.heard for p in known)
    return (missing + 1) / (len(known) + 2)  # Laplace's rule: a few answers do not prove a line


def _silent_at_any(case: Case) -> Reading | None:
    """Requests that went as far as they could, again and again, and were never answered."""
    silent = [p for p in case.test.probes if not p.told and not p.taken]
    if not case.answered or len(silent) < len(case.test.probes):
        return None
    if sum(p.copies for p in silent) < COPIES_LEAST:
        return None
    evidence = [words.unanswered(silent), words.control_answered(case)]
    return reading(case, "blocked", evidence, mechanism=_timeout(case))


def _next_speaking(case: Case, ttl: int) -> str | None:
    """Who is at this distance on the control's way."""
    return case.control.address(ttl) if case.control else None


def _timeout(case: Case) -> str:
    protocol = case.test.probes[0].protocol
    if protocol == "quic":
        return "quic.timeout.sni" if case.answered and case.name else "quic.timeout"
    return {
        "syn": "tcp.timeout",
        "tls": "tls.timeout",
        "http": "http.timeout",
        "dns": "dns.timeout",
    }.get(protocol, "tcp")


def _dead(case: Case) -> Reading | None:
    """Without a control: connections that answer their closing, until the request goes so far."""
    if case.control is not None:
        return None  # one that was not answered either tells nothing
    closed = [p for p in case.test.probes if closed_in_full(p)]
    alive = [p for p in closed if p.late]
    if len(alive) < ALIVE_LEAST:
        return None
    last = max(p.ttl for p in alive)
    dead = [p for p in closed if p.ttl > last and not p.told]
    if len(dead) < DEAD_LEAST:
        return None
    ttl = min(p.ttl for p in dead)
    evidence = [words.silence(case, dead, case.test.furthest), words.died(case, dead)]
    evidence.append("no control: whether another name is answered is not known")
    return reading(
        case, "blocked", evidence,
        mechanism=_timeout(case), placement="in_path", hop=case.test.address(ttl), hop_ttl=ttl,
    )  # fmt: skip


def undecided(case: Case) -> Reading:
    """What is missing to say anything."""
    return reading(case, "unusable", words.undecided(case))
