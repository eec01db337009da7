"""Whose answer it was, where the box is that gave it, and how that is called."""

from __future__ import annotations

from collections import Counter

from gatewatch.model.mechanism import Placement
from gatewatch.probe.trace import words
from gatewatch.probe.trace.case import Answers, Case, Reading, reading
from gatewatch.probe.trace.probes import Probe
from gatewatch.probe.trace.replies import Kind, Reply
from gatewatch.wire.address import is_bogon
from gatewatch.wire.packet import RST, TCP

ALIVE_LEAST = 3
"Connections that were alive after a request that went less far. Our choice."


def blocked(case: Case, found: Answers, *, copied: bool) -> Reading:
    """The reading of a name that was answered by somebody else, or ended at."""
    evidence = [words.answered(probe, reply) for probe, reply in first_of_each_ttl(found)]
    evidence += words.marks(case, found)
    if copied:
        ttl = min((p.ttl - r.frames[0].packet.ttl) // 2 for p, r in found)
        evidence.append(words.copied(found, ttl))
    else:
        ttl = min(probe.ttl for probe, _ in found)
    placement, why = _placement(case, found, ttl, copied=copied)
    evidence += why
    evidence += words.unrelated(case)
    hop = None
    if not case.limited:
        ttl = None
    elif placement == "endpoint":
        hop = case.server
    else:
        here = [t.address for p, _ in found if p.ttl == ttl for t in p.expired]
        control = case.control.address(ttl) if case.control else None
        hop = here[0] if here else control or case.test.address(ttl)
        if hop is None and case.distance == ttl:
            hop = case.server
        evidence.append(words.hop(case, ttl, hop))
    return reading(
        case, "blocked", evidence,
        mechanism=_mechanism(case, found), placement=placement, hop=hop, hop_ttl=ttl,
    )  # fmt: skip


def first_of_each_ttl(found: Answers, most: int = 4) -> Answers:
    """Examples, the smallest TTLs first."""
    seen: dict[tuple[int, Kind], tuple[Probe, Reply]] = {}
    for probe, reply in sorted(found, key=lambda pair: pair[0].ttl):
        seen.setdefault((probe.ttl, reply.kind), (probe, reply))
    return list(seen.values())[:most]


def _placement(
    case: Case, found: Answers, ttl: int, *, copied: bool
) -> tuple[Placement, list[str]]:
    """Beside the traffic or in it.

    Who only listens lets the request go on: it still expires further out and a router still says
    so, or the server still answers. Who stands in the way takes it: where the control's requests
    expire, nothing says so of these.
    """
    both = [(p, t) for p, _ in found for t in p.expired]
    if both:
        return "on_path", [words.expired_too(both)]
    beside = [
        (p, f)
        for p, reply in found
        if not case.own(p, reply.frames)
        for f in (*p.heard, *p.late)
        if p.key.protocol == TCP
        and not f.packet.flags & RST
        and f not in reply.frames
        and case.own(p, [f])
        and p.acknowledged_by(f)
    ]
    if beside:
        return "on_path", [words.server_too(beside)]
    if not case.limited:
        return "unknown", []
    distance = case.distance
    if distance is None:
        return "unknown", []
    if ttl >= distance:
        return "endpoint", [words.at_the_server(case, ttl)]
    control = case.control
    assert control is not None, "it gave the distance"
    if copied:
        swallowed = [
            p.ttl
            for p in case.test.probes
            if ttl <= p.ttl < distance and not p.told and control.address(p.ttl)
        ]
    else:
        swallowed = [p.ttl for p, _ in found if p.ttl < distance and control.address(p.ttl)]
    if swallowed:
        return "in_path", [words.swallowed(case, swallowed)]
    probes = [p for p, _ in found]
    if not any(p.late for p in probes) and all(closed_in_full(p) for p in probes):
        alive = [p for p in case.test.probes if p.late and p.ttl < ttl]
        if len(alive) >= ALIVE_LEAST:
            return "in_path", [words.cut_off(probes)]
    return "unknown", [words.hops_silent(ttl)]


def closed_in_full(probe: Probe) -> bool:
    """The client ended the connection with packets that go all the way."""
    return probe.closed is not None and probe.closed.packet.ttl > probe.ttl


_BY_NAME = {"tls": "tls.reset.sni", "http": "http.reset.host"}
_RESET = {
    "syn": "tcp.reset",
    "tls": "tls.reset",
    "http": "http.reset",
    "dns": "dns",
    "quic": "quic.reset",
}
_CLOSED = {"tls": "tls.eof", "http": "http.eof", "dns": "dns"}
_ANSWER_RCODES = {"NXDOMAIN": "dns.nxdomain", "REFUSED": "dns.refused", "SERVFAIL": "dns.servfail"}
_BLOCK_STATUS = (None, 200, 403, 451)
"With which block pages come, or without any."


def _mechanism(case: Case, found: Answers) -> str:
    kinds = Counter(reply.kind for _, reply in found)
    kind = next((k for k in ("page", "dns", "hello", "alert", "garbage") if k in kinds), None)
    reply = next(r for _, r in found if r.kind == (kind or kinds.most_common(1)[0][0]))
    protocol = case.test.probes[0].protocol
    named = case.answered and case.name is not None
    match reply.kind:
        case "reset":
            return (_BY_NAME if named else {}).get(protocol) or _RESET.get(protocol, "tcp.reset")
        case "closed":
            return _CLOSED.get(protocol, "tcp")
        case "page":
            if reply.status is not None and 300 <= reply.status < 400 and reply.location:
                return "http.redirect"
            return "http.blockpage" if reply.status in _BLOCK_STATUS else "http.error"
        case "hello":
            return "tls.mitm"
        case "alert":
            return "tls.error"
        case "dns":
            return _dns_mechanism(reply)
        case "garbage":
            return {"tls": "tls.error", "http": "http.error", "dns": "dns"}.get(protocol, "tcp")
        case "datagram":
            return "quic.reset.sni" if named and protocol == "quic" else "quic"
        case "unread" | "accepted":
            return "tcp"


def _dns_mechanism(reply: Reply) -> str:
    if reply.rcode in _ANSWER_RCODES:
        return _ANSWER_RCODES[reply.rcode]
    if not reply.addresses:
        return "dns.no_answer"
    if all(is_bogon(address) for address in reply.addresses):
        return "dns.injection.bogon"
    return "dns.injection"
