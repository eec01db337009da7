"""Captured frames as probes: which request each is, and which frames answer it.

What counts as an answer is what the server's address sent before the client closed: a FIN or RST
of full TTL has answers of its own. Here nothing is judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from gatewatch.probe.trace.probes import (
    SEQUENCE,
    Collected,
    Key,
    Probe,
    Protocol,
    Told,
    before,
    length,
)
from gatewatch.wire import dns, http, quic, tls
from gatewatch.wire.packet import ACK, FIN, ICMP, ICMPV6, RST, SYN, TCP, UDP, Packet
from gatewatch.wire.pcap import Frame
from gatewatch.wire.quote import Ends, quoted_ends

FRAMES_MOST = 500_000
"Our choice: two thousand times a sweep over all TTLs; only a capture of something else has more."
_REQUEST_MOST = 1 << 16
"What of a request is read for its name."
_DNS, _QUIC = 53, 443
_JITTER_NS = 200_000_000
"By how much a round trip may differ from the one before it. Our choice, as TCP's shortest RTO."
_SAME_WAY = 1
"Hops by which the ways of one connection's packets may differ. Our choice, as in `path`."
_PATIENCE_NS = 1_000_000_000
"The same where no round trip was seen: TCP's first RTO (RFC 6298)."

_EXPIRED = {ICMP: (11, 0), ICMPV6: (3, 0)}
_UNREACHABLE = {ICMP: 3, ICMPV6: 1}
_FRAGMENTATION_NEEDED = 4
"Code of ICMP type 3 that says only that the packet was too long."


def collect(frames: Iterable[Frame], *, knocks: bool = False, most: int = FRAMES_MOST) -> Collected:
    """Read frames as probes.

    Args:
        frames: in the order of the capture, both directions.
        knocks: connections without a request are probes, too: their SYN is the request.
    """
    flows: dict[Key, list[Frame]] = defaultdict(list)
    errors: list[tuple[Ends, Frame]] = []
    count, whole = 0, True
    for frame in frames:
        if count == most:
            whole = False
            break
        count += 1
        packet = frame.packet
        if packet.protocol in (TCP, UDP) and packet.payload_at > packet.header_end:
            flows[_ends(packet)].append(frame)
        elif packet.protocol in _EXPIRED:
            ends = quoted_ends(packet)
            if ends is not None:
                errors.append((ends, frame))
    found = [
        probe
        for key, heard in flows.items()
        for probe in (_connections if key.protocol == TCP else _exchanges)(heard)
        if probe.syns or probe.request
    ]
    if knocks:
        for probe in found:
            _knock(probe)
    found.sort(key=lambda p: (p.syn or p.request[0]).number)
    _tell(found, errors)
    return Collected(
        [p for p in found if p.request], [p for p in found if not p.request], count, whole
    )


def _ends(packet: Packet) -> Key:
    """The same for both directions."""
    one, other = (packet.src, packet.sport), (packet.dst, packet.dport)
    low, high = min(one, other), max(one, other)
    return Key(low[0], high[0], packet.protocol, low[1], high[1])


def _from(packet: Packet) -> Key:
    return Key(packet.src, packet.dst, packet.protocol, packet.sport, packet.dport)


# -- TCP -------------------------------------------------------------------------------------


def _connections(frames: list[Frame]) -> Iterator[Probe]:
    """The connections between two ends, one after the other; a new SYN begins a new one."""
    probe: Probe | None = None
    for frame in frames:
        packet = frame.packet
        if packet.flags & SYN and not packet.flags & ACK:
            if probe and probe.syns and probe.syns[0].packet.seq == packet.seq:
                probe.syns.append(frame)  # the same once more
                continue
            if probe is not None:
                yield _named(probe)
            probe = Probe(_from(packet), syns=[frame])
        elif probe is None:
            if _is_request(packet):
                probe = Probe(_from(packet))
                _from_client(probe, frame)
        elif _from(packet) == probe.key:
            _from_client(probe, frame)
        else:
            _from_server(probe, frame)
    if probe is not None:
        yield _named(probe)


def _knock(probe: Probe) -> None:
    """Make a connection without a request a probe of its SYN."""
    if probe.request or not probe.syns:
        return
    probe.request, probe.protocol = list(probe.syns), "syn"
    probe.begins = probe.syns[0].packet.seq
    probe.ends = (probe.begins + 1) % SEQUENCE
    probe.heard = [frame for frame in (probe.synack, probe.refused) if frame is not None]
    probe.heard.sort(key=lambda frame: frame.number)


def _is_request(packet: Packet) -> bool:
    """Whether a segment begins a request, where a capture begins after the SYN."""
    payload = packet.payload
    if not payload or not http.may_be_request(payload):
        return payload[:1] == b"\x16" and _server_name(payload) is not None
    return http.request_head(payload) is not None


def _from_client(probe: Probe, frame: Frame) -> None:
    packet = frame.packet
    size = length(packet)
    if probe.closed is not None or packet.flags & SYN:
        return
    if size and not packet.flags & RST:
        if not probe.request:
            probe.request = [frame]
            probe.begins, probe.ends = packet.seq, (packet.seq + size) % SEQUENCE
            if packet.flags & FIN:
                probe.ends = (probe.ends + 1) % SEQUENCE
            return
        if packet.ttl == probe.ttl:
            if not any(length(heard.packet) for heard in probe.heard):
                probe.request.append(frame)
                end = (packet.seq + size) % SEQUENCE
                probe.ends = end if before(probe.ends, end) else probe.ends
            return
        probe.closed = frame  # with another TTL it is another probe: what follows answers that
    elif packet.flags & (FIN | RST):
        probe.closed = frame


def _from_server(probe: Probe, frame: Frame) -> None:
    packet = frame.packet
    if packet.flags & SYN:
        if probe.synack is None and packet.flags & ACK:
            probe.synack = frame
    elif not probe.request:
        if packet.flags & RST and probe.refused is None:
            probe.refused = frame
    elif _answers(probe, frame):
        probe.heard.append(frame)
    else:
        probe.late.append(frame)


def _answers(probe: Probe, frame: Frame) -> bool:
    """Whether a segment from the server's address answers the request.

    It does if it acknowledges the request to its end, and no FIN behind it. Injectors do not
    always take that trouble, so what comes before the client closes counts as well, unless it
    may be the end of a connection that was idle for the server: a FIN or RST that does not know
    of the request, and came the server's way or later than an answer would.
    """
    packet = frame.packet
    ends = bool(packet.flags & (RST | FIN)) and not length(packet)
    if packet.flags & ACK and not before(packet.ack, probe.ends):
        return probe.closed is None or not ends or packet.ack == probe.ends
    if probe.closed is not None:
        return False
    if not ends:
        return True
    if packet.flags & ACK and (
        probe.synack is None or abs(packet.ttl - probe.synack.packet.ttl) <= _SAME_WAY
    ):
        return False
    return frame.time_ns - probe.request[-1].time_ns <= _patience_ns(probe)


def _patience_ns(probe: Probe) -> int:
    """How long an answer may take: half as much again as the handshake's round trip."""
    if probe.syn is None or probe.synack is None:
        return _PATIENCE_NS
    round_trip = probe.synack.time_ns - probe.syn.time_ns
    return max(round_trip * 3 // 2, round_trip + _JITTER_NS)


def _named(probe: Probe) -> Probe:
    """The probe with its request read."""
    stream, at = b"", probe.begins
    for frame in probe.request:
        packet = frame.packet
        if packet.seq == at:
            stream += packet.payload
            at = (at + length(packet)) % SEQUENCE
        if len(stream) > _REQUEST_MOST:
            break
    probe.protocol, probe.name = read_request(stream, probe.key.server_port)
    return probe


def read_request(stream: bytes, port: int) -> tuple[Protocol, str | None]:
    """What a client's first bytes over TCP are, and whom they name."""
    if stream[:1] == b"\x16":
        found = _server_name(stream)
        return ("other", None) if found is None else ("tls", found or None)
    head = http.request_head(stream)
    if head is not None:
        return "http", head.host
    asked = dns.question(stream[2:]) if port == _DNS else None
    return ("dns", asked.name) if asked else ("other", None)


def _server_name(stream: bytes) -> str | None:
    """Of a ClientHello; empty when it names nobody; None when it is none, or not complete."""
    try:
        hello = tls.client_hello(stream)
    except tls.NotTls:
        return None
    return None if hello is None else hello.sni or ""


# -- UDP -------------------------------------------------------------------------------------


def _exchanges(frames: list[Frame]) -> Iterator[Probe]:
    """The exchange between two ends: the client is who sends to a port with a service."""
    first = frames[0].packet
    services = (_DNS, _QUIC)
    asked = first.dport in services or first.sport not in services
    key = _from(first) if asked else _from(first)._replace(
        client=first.dst, server=first.src, client_port=first.dport, server_port=first.sport
    )  # fmt: skip
    probe: Probe | None = None
    for frame in frames:
        packet = frame.packet
        if _from(packet) != key:
            if probe is not None:
                (probe.late if probe.closed else probe.heard).append(frame)
        elif probe is None:
            probe = Probe(key, request=[frame])
        elif packet.ttl == probe.ttl and not probe.heard and probe.closed is None:
            probe.request.append(frame)
        elif packet.ttl != probe.ttl and probe.closed is None:
            probe.closed = frame
    if probe is not None:
        yield _asked(probe)


def _asked(probe: Probe) -> Probe:
    payloads = [frame.packet.payload for frame in probe.request]
    if probe.key.server_port == _DNS:
        asked = dns.question(payloads[0])
        if asked is not None:
            probe.protocol, probe.name = "dns", asked.name
    elif quic.is_initial(payloads[0]):
        try:
            hello = quic.client_hello_of(payloads)
        except (quic.NotQuic, tls.NotTls):
            hello = None
        probe.protocol, probe.name = "quic", hello.sni if hello else None
    return probe


# -- ICMP ------------------------------------------------------------------------------------


def tell(probes: list[Probe], frames: Iterable[Frame]) -> None:
    """Give each ICMP error in a capture to the probe whose request it is about."""
    errors = [
        (ends, frame)
        for frame in frames
        if frame.packet.protocol in _EXPIRED and (ends := quoted_ends(frame.packet)) is not None
    ]
    _tell(probes, errors)


def _tell(probes: list[Probe], errors: list[tuple[Ends, Frame]]) -> None:
    """Give each error to the probe whose request it is about."""
    by_key: dict[Key, list[Probe]] = defaultdict(list)
    for probe in probes:
        if probe.request:
            by_key[probe.key].append(probe)
    for ends, frame in errors:
        packet = frame.packet
        kind, code = packet.data[packet.header_end : packet.header_end + 2]
        expired = (kind, code) == _EXPIRED[packet.protocol]
        if not expired and kind != _UNREACHABLE[packet.protocol]:
            continue
        if packet.protocol == ICMP and kind == 3 and code == _FRAGMENTATION_NEEDED:
            continue
        key = Key(ends.src, ends.dst, ends.protocol, ends.sport, ends.dport)
        for probe in by_key.get(key, ()):
            if ends.seq is None or _within(ends.seq, probe):
                address = str(ip_address(packet.src))
                probe.told.append(Told(frame, address, expired))
                break


def _within(seq: int, probe: Probe) -> bool:
    return not before(seq, probe.begins) and before(seq, probe.ends)
