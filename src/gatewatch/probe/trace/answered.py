"""Rules about answers: what the server cannot have sent, or does to one name and not to another."""

from __future__ import annotations

from collections import Counter

from gatewatch.probe.trace import words
from gatewatch.probe.trace.case import Answers, Case, Reading, reading
from gatewatch.probe.trace.placing import blocked
from gatewatch.probe.trace.probes import Probe
from gatewatch.probe.trace.replies import Reply

COPIED_BELOW = 4
"""A copied TTL that arrives for the first time has one or two hops left; 3 where one probe more
was lost. Our choice."""
DISTANCE_SLACK = 2
"""A server that answers at this many hops less than to the control may still be the server, on a
shorter one of balanced ways. Our choice, as in `path.TTL_SLACK`, doubled for the way there and
the sampling of both."""
FAR = 4
"So many hops are no difference between balanced ways that have the same length back. Our choice."


def impossible(case: Case, probe: Probe, reply: Reply) -> bool:
    """Whether the server cannot have sent this, wherever its packets seem to come from.

    The request's TTL ran out on the way, and a router says so; or it was too small to come near
    the server, as the control shows. A second copy of a request may have gone another way: then
    only a distance that no way bridges counts, or packets that did not come the server's way.
    """
    distance, nearest = case.distance, case.nearest
    own = case.own(probe, reply.frames)
    if distance is not None and probe.ttl >= distance:
        return False
    if probe.expired and (probe.copies == 1 or not own):
        return True
    if nearest is None or probe.ttl >= nearest:
        return False
    if probe.ttl > nearest - DISTANCE_SLACK:
        return not own
    if reply.kind not in ("hello", "page", "alert") or not own:
        return True
    # what looks like the server's in every way may have gone a shorter one of several ways, unless
    # its connection came back as the control's did, whose requests expired many hops further out
    control = case.control
    expired = control.furthest if control else 0
    return probe.ttl <= expired - FAR and _same_way_as_control(case, probe)


def _same_way_as_control(case: Case, probe: Probe) -> bool:
    control = case.control
    if control is None or probe.synack is None:
        return False
    back = {
        p.synack.packet.ttl for p, _ in control.answers if p.synack and p.ttl == control.distance
    }
    return probe.synack.packet.ttl in back


def _copied(case: Case) -> Answers:
    """Answers whose TTL is what was left of the request's: it grows with the request's.

    The first that lasts for the way back arrives with almost none left. One probe will do if its
    TTL is beyond the server's distance, where nobody can have been reached for the first time.
    """
    strangers = [
        (p, r, frame.packet.ttl)
        for p, r in case.pairs
        if r.kind in ("reset", "closed", "page")
        for frame in r.frames[:1]
        if frame.packet.ttl < p.ttl and not case.own(p, r.frames)
    ]
    if not strangers or min(ttl for _, _, ttl in strangers) >= COPIED_BELOW:
        return []
    counted = Counter(probe.ttl - ttl for probe, _, ttl in strangers)
    rest, _ = counted.most_common(1)[0]
    alike = [(p, r) for p, r, ttl in strangers if p.ttl - ttl == rest]
    beyond = case.distance is not None and min(p.ttl for p, _ in alike) > case.distance
    several = len({p.ttl for p, _ in alike}) > 1
    return alike if (several or beyond) and 2 * len(alike) > len(strangers) else []


def injected(case: Case) -> Reading | None:
    """Answers that the server cannot have given."""
    if not case.limited:
        return None
    copied = _copied(case)
    found = copied or [(p, r) for p, r in case.pairs if impossible(case, p, r)]
    if not found:
        return None
    return blocked(case, found, copied=bool(copied))


def by_name(case: Case) -> Reading | None:
    """The name is reset or closed upon where another one is answered."""
    ended = [(p, r) for p, r in case.pairs if r.kind in ("reset", "closed")]
    if not ended or not case.answered or _answered_too(case, ended):
        return None
    return blocked(case, ended, copied=False)


def _answered_too(case: Case, ended: Answers) -> bool:
    """The server answers this name as well, so that what ended other probes was an accident; not
    if a stranger's packets ended them."""
    strangers = [pair for pair in ended if not case.own(pair[0], pair[1].frames)]
    return bool(case.test.answers) and not strangers


def stranger(case: Case) -> Reading | None:
    """Packets in the server's name that came another way than the server's, and show it in more
    than their TTL; or that bear it beside the server's own answer."""
    found: Answers = []
    for probe, reply in case.pairs:
        if reply.kind == "reset" and _spoke_after(case, probe, reply):
            found.append((probe, reply))
            continue
        if reply.kind in ("hello", "datagram", "dns", "unread") or case.own(probe, reply.frames):
            continue
        if probe.synack is None:
            continue
        signs = words.signs(probe, reply)
        beside = any(
            other is probe and case.own(other, r.frames) and r.kind != "closed"
            for other, r in case.test.answers
        )
        page = reply.kind == "page"
        if beside or len(signs) >= (2 if page and case.answered else 2 if not page else 3):
            found.append((probe, reply))
    return blocked(case, found, copied=False) if found else None


def _spoke_after(case: Case, probe: Probe, reset: Reply) -> bool:
    """The server goes on to say what the RST, by its sequence number, came before: it did not
    send it."""
    first = reset.frames[0]
    return any(
        other is probe
        and reply.frames[0].number > first.number
        and reply.frames[0].packet.seq == first.packet.seq
        for other, reply in case.test.answers
    )


def unreachable(case: Case) -> Reading | None:
    """A machine says that the request may not pass, and does not say so to the control's."""
    told = [(p, t) for p in case.test.probes for t in p.unreachable]
    spared = case.control is not None and not any(p.unreachable for p in case.control.probes)
    if not told or not spared or not case.answered or case.test.answers:
        return None
    probe, first = min(told, key=lambda pair: pair[0].ttl)
    at_server = first.address == case.server
    ttl = probe.ttl if case.limited else None
    return reading(
        case,
        "blocked",
        [words.told_unreachable(told), words.control_answered(case)],
        mechanism="ip.unreachable",
        placement="endpoint" if at_server else "in_path",
        hop=first.address,
        hop_ttl=ttl,
    )
