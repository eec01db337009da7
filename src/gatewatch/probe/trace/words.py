"""The evidence of a reading in sentences, each with the frames that bear it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from gatewatch.probe.trace.path import hops_back
from gatewatch.probe.trace.probes import Probe, Told, length
from gatewatch.probe.trace.replies import WORDS, Reply
from gatewatch.wire.packet import ACK, FIN, PSH, RST, SYN, TCP, Packet
from gatewatch.wire.pcap import Frame

if TYPE_CHECKING:
    from gatewatch.probe.trace.reading import Case

NEAR_SLACK = 4
"""By how many hops the way there may be shorter than the way back, which alone shows in the TTL of
a SYN/ACK. Our choice: ways in both directions mostly differ by less than that."""
NEAR_NS = 5_000_000
"Below such a round trip, times say nothing. Our choice: machines are late by as much."
FAST_SHARE = 0.6
"Of the handshake's round trip: no way becomes so much shorter from one moment to the next."
BURST_NS = 200_000_000
"RSTs within so long are one burst. Our choice: below any retransmission's time."
_FLAGS = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"))
_FRAMES_NAMED = 6


def ip_id(packet: Packet) -> int | None:
    """IPv4 identification; IPv6 has none."""
    return int.from_bytes(packet.data[4:6], "big") if packet.version == 4 else None


def flags(packet: Packet) -> str:
    return "/".join(word for bit, word in _FLAGS if packet.flags & bit)


def frames(found: Iterable[Frame]) -> str:
    """
    Frames by number, the first few of many.
    """
    numbers = [frame.number for frame in found]
    shown = ", ".join(map(str, numbers[:_FRAMES_NAMED]))
    more = f" and {len(numbers) - _FRAMES_NAMED} more" if len(numbers) > _FRAMES_NAMED else ""
    return f"frame{'s' if len(numbers) > 1 else ''} {shown}{more}"


def runs(ttls: Iterable[int]) -> str:
    """
    >>> runs([3, 4, 5, 9])
    '3-5, 9'
    """
    found = sorted(set(ttls))
    parts: list[list[int]] = []
    for ttl in found:
        if parts and ttl == parts[-1][-1] + 1:
            parts[-1].append(ttl)
        else:
            parts.append([ttl])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def mark(packet: Packet) -> str:
    """What a machine's hand shows in."""
    ident = ip_id(packet)
    parts = [f"TTL {packet.ttl}"]
    if ident is not None:
        parts.append(f"IP id {ident}")
    if packet.protocol == TCP:
        parts.append(f"window {packet.window}")
    return ", ".join(parts)


# -- signs of another hand -------------------------------------------------------------------


def signs(probe: Probe, reply: Reply) -> list[str]:
    """In what the packets of an answer differ from the SYN/ACK of their connection.

    The TTL: they came another way. The IP id: a server that counts has one close by; 0 says
    nothing, as many send it with DF. The window, where the client offered no scaling: a server's
    does not shrink to almost nothing with its first answer; that of a RST says nothing where it
    is 0. RSTs with a payload, several of one moment, and RSTs ahead of the stream are what
    injectors send that cannot know where the stream is.
    """
    if probe.synack is None:
        return []
    base = probe.synack.packet
    found = []
    packets = [frame.packet for frame in reply.frames]
    if any(p.ttl != base.ttl for p in packets):
        found.append("ttl")
    if probe.ttl < hops_back(base.ttl) - NEAR_SLACK:
        found.append("near")
    if _too_fast(probe, reply):
        found.append("fast")
    base_id = ip_id(base)
    idents = [i for i in map(ip_id, packets) if i]
    if base_id and idents and all(not 0 < (i - base_id) % 65536 < 4096 for i in idents):
        found.append("id")
    resets = [frame for frame in reply.frames if frame.packet.flags & RST]
    if any(p.window for p in packets if p.flags & RST):
        found.append("window")
    if not resets and _unscaled(probe) and all(p.window < base.window // 8 for p in packets):
        found.append("window")
    if any(length(frame.packet) for frame in resets):
        found.append("payload")
    if any(b.time_ns - a.time_ns < BURST_NS for a, b in pairwise(resets)):
        found.append("burst")
    if any(frame.packet.seq != probe.request[0].packet.ack for frame in resets):
        found.append("sequence")
    return found


def _too_fast(probe: Probe, reply: Reply) -> bool:
    """The answer took far less than the handshake's round trip: it comes from nearer."""
    if probe.synack is None or len(probe.syns) != 1:
        return False
    round_trip = probe.synack.time_ns - probe.syns[0].time_ns
    took = reply.frames[0].time_ns - probe.request[0].time_ns
    return round_trip > NEAR_NS and 0 <= took < round_trip * FAST_SHARE


def _unscaled(probe: Probe) -> bool:
    """The client's SYN offers no window scaling (RFC 7323), so windows mean what they say."""
    if probe.syn is None:
        return False
    packet = probe.syn.packet
    options = packet.data[packet.header_end + 20 : packet.payload_at]
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            break
        if kind == 3:
            return False
        at += 1 if kind == 1 else max(options[at + 1] if at + 1 < len(options) else 2, 2)
    return True


# -- sentences -------------------------------------------------------------------------------


def answered(probe: Probe, reply: Reply) -> str:
    """That a probe was answered, and how."""
    first = reply.frames[0].packet
    what = WORDS[reply.kind]
    if reply.kind == "reset":
        count = len(reply.frames)
        kind = flags(first)
        what = f"{kind}" if count == 1 else f"{count} packets {kind}"
        carried = length(first)
        if carried:
            what += f" with {carried} bytes of payload"
    elif reply.status is not None:
        what = f"HTTP {reply.status}" + (f" to {reply.location}" if reply.location else "")
    elif reply.kind == "dns":
        what = f"a DNS answer ({reply.rcode}: {', '.join(reply.addresses) or 'no address'})"
    after_ms = (reply.frames[0].time_ns - probe.request[0].time_ns) / 1e6
    return (
        f"the request with TTL {probe.ttl} ({frames(probe.request)}) is answered in the server's "
        f"name after {after_ms:.0f} ms: {what} ({frames(reply.frames)})"
    )


def marks(case: Case, found: Sequence[tuple[Probe, Reply]]) -> list[str]:
    """How the packets of an answer differ from the server's."""
    out: list[str] = []
    probe, reply = min(found, key=lambda pair: pair[0].ttl)
    first = reply.frames[0].packet
    if probe.synack is not None:
        out.append(
            f"{frames(reply.frames[:1])} has {mark(first)}; the SYN/ACK of the connection "
            f"({frames([probe.synack])}) has {mark(probe.synack.packet)}"
        )
    elif probe.heard:
        out.append(f"{frames(reply.frames[:1])} has {mark(first)}")
    if not case.own(probe, reply.frames):
        known = ", ".join(map(str, sorted(case.ttls)))
        out.append(f"the server's own packets arrive with a TTL of {known} and no other")
    resets = [f for _, r in found for f in r.frames if f.packet.flags & RST]
    ttls = sorted({f.packet.ttl for f in resets})
    if len(ttls) > 2:
        out.append(f"RSTs arrive with TTLs {', '.join(map(str, ttls))}: not one system's")
    told = signs(probe, reply)
    sentences = {
        "payload": "a RST with a payload, which no system sends by itself",
        "burst": "several RSTs at once, of which one would do",
        "sequence": "a RST whose sequence number is not the next of the stream",
        "fast": "it came sooner than the server, by the round trip of its SYN/ACK, could have",
        "near": f"the request with TTL {probe.ttl} can hardly have reached a server whose SYN/ACK, "
        "by its TTL, came over more hops",
        "id": "the IP id is far from the one of the SYN/ACK, where the server counts",
    }
    out += [words for sign, words in sentences.items() if sign in told]
    tied = {f.packet.window - f.packet.ttl for f in resets if f.packet.window}
    if len(ttls) > 1 and len(tied) == 1:
        out.append(f"the windows of the RSTs are their TTL and {tied.pop()}: one injector's mark")
    ended = [f for _, r in found if r.kind == "page" for p, _ in found for f in (*p.heard, *p.late)
             if f.packet.flags & (FIN | RST) and f.packet.ttl == first.ttl]  # fmt: skip
    if ended:
        out.append(f"the same hand ends the connection ({frames(dict.fromkeys(ended))})")
    return out


def own_marks(case: Case) -> list[str]:
    """That an answer is the server's own."""
    probe, reply = case.test.answers[0]
    if probe.synack is None:
        return []
    return [
        f"{frames(reply.frames[:1])} has {mark(reply.frames[0].packet)}, the SYN/ACK "
        f"({frames([probe.synack])}) {mark(probe.synack.packet)}: the same way, the same machine"
    ]


def copied(found: Sequence[tuple[Probe, Reply]], hop: int) -> str:
    pairs = {(p.ttl, r.frames[0].packet.ttl) for p, r in found}
    shown = ", ".join(f"{sent} → {got}" for sent, got in sorted(pairs)[:_FRAMES_NAMED])
    return (
        f"the TTL of the answers is what was left of the request's (sent → arrived: {shown}): "
        f"half of the difference is the distance, {hop} hops"
    )


def expired_too(both: Sequence[tuple[Probe, Told]]) -> str:
    ttls = runs(p.ttl for p, _ in both)
    return (
        f"requests with TTL {ttls} were answered and expired further out as well "
        f"({frames(t.frame for _, t in both)}: ICMP time exceeded from "
        f"{', '.join(dict.fromkeys(t.address for _, t in both[:3]))}): they were let pass"
    )


def server_too(beside: Sequence[tuple[Probe, Frame]]) -> str:
    return (
        f"the server's own packets came as well ({frames(f for _, f in beside)}): the request "
        "was let pass"
    )


def swallowed(case: Case, ttls: Sequence[int]) -> str:
    return (
        f"no ICMP for the requests with TTL {runs(ttls)}, where the control's expire at "
        f"{case.control.address(min(ttls)) if case.control else None}: they were taken off the way"
    )


def at_the_server(case: Case, ttl: int) -> str:
    return f"TTL {ttl} is the distance of the server, by the control's answers"


def cut_off(found: Sequence[Probe]) -> str:
    closings = frames(p.closed for p in found if p.closed)
    return (
        f"the connection is dead afterwards: the closing ({closings}) "
        "gets no answer, as it does where the request did not get so far"
    )


def hops_silent(ttl: int) -> str:
    return f"the hops up to TTL {ttl} send no ICMP to the control either: this leaves open who"


def hop(case: Case, ttl: int, address: str | None) -> str:
    if address is None:
        return f"the first hop concerned is at TTL {ttl}, and does not tell its address"
    return f"the first hop concerned is {address}, at TTL {ttl}"


def control_answered(case: Case) -> str:
    if case.control is None or not case.control.answers:
        return "the control was not answered either"
    probe, reply = case.control.answers[0]
    return (
        f"control: {probe.name or 'no name'} is answered from TTL {case.control.distance} on "
        f"({WORDS[reply.kind]}, {frames(reply.frames)} of the control's capture)"
    )


def silence(case: Case, silent: Sequence[Probe], last: int) -> str:
    return (
        f"{len(silent)} requests with TTL {runs(p.ttl for p in silent)} were not answered at all "
        f"(the first in {frames(p.request[0] for p in silent[:1])}); the last sign of life from "
        f"the way is at TTL {last}"
    )


def unanswered(silent: Sequence[Probe]) -> str:
    return (
        f"{len(silent)} requests, sent {sum(p.copies for p in silent)} times in all, were not "
        f"answered ({frames(p.request[0] for p in silent)})"
    )


def died(case: Case, silent: Sequence[Probe]) -> str:
    alive = [p for p in case.test.probes if p.late]
    return (
        f"after requests with TTL up to {max((p.ttl for p in alive), default=0)} the server still "
        f"answered the closing ({frames(f for p in alive[-2:] for f in p.late[:1])}), after "
        f"farther ones it did not ({frames(p.closed for p in silent[:3] if p.closed)} went "
        "unanswered): the connection was cut off"
    )


def told_unreachable(told: Sequence[tuple[Probe, Told]]) -> str:
    return (
        f"ICMP unreachable from {told[0][1].address} for the request "
        f"({frames(t.frame for _, t in told)})"
    )


def failed(case: Case) -> str:
    tried = len(case.failed) + len(case.test.probes)
    return (
        f"{len(case.failed)} of {tried} connections did not come up "
        f"({frames(p.syn for p in case.failed if p.syn)}): what is missing may be missing for that"
    )


def unrelated(case: Case) -> list[str]:
    """What might be taken for a sign, and is none."""
    out = []
    seen = sorted(case.test.ttls)
    if len(seen) > 1:
        out.append(
            f"SYN/ACKs arrive with TTLs {', '.join(map(str, seen))}: balanced ways, no sign of "
            "another hand"
        )
    return out


def undecided(case: Case) -> list[str]:
    """Why nothing can be said."""
    furthest = max(p.ttl for p in case.test.probes)
    out = [
        f"no answer to any of {len(case.test.probes)} requests"
        if not case.pairs
        else f"answers that may be the server's own ({frames(case.pairs[0][1].frames)})"
    ]
    if case.failed:
        tried = len(case.failed) + len(case.test.probes)
        out.append(f"{len(case.failed)} of {tried} connections did not come up")
    if case.control is None:
        out.append("no control to compare with")
    elif not case.answered:
        out.append("the control was not answered either")
    elif case.distance is not None and furthest < case.distance:
        out.append(f"the requests went to TTL {furthest}, the server is at {case.distance}")
    return out
