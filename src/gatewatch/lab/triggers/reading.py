"""What a flow says, understood as its packets pass.

A censor reads in order and ahead of nobody: streams are put together from segments in any order
(`flows.Stream`), messages from the streams. Everything here is kept per flow, and is shared by all
censors of a box.
"""

from __future__ import annotations

from gatewatch.lab.flows import Flow, Stream
from gatewatch.lab.triggers.scope import DNS_PORT
from gatewatch.wire.dns import Question, framed, messages, question
from gatewatch.wire.http import RequestHead, may_be_request, request_head
from gatewatch.wire.packet import SYN, TCP, UDP, Packet
from gatewatch.wire.quic import Initials, is_initial
from gatewatch.wire.tls import ClientHello, NotTls, client_hello

HELLO_DATAGRAMS = 10
"Client datagrams in which a ClientHello is looked for. Our choice: browsers need at most three."


class Reading:
    """One flow, as far as it has been read.

    The plain nouns say what the packet last seen has completed; they are empty again with the
    next. The `no_more_…` say what can never come any more.
    """

    def __init__(self, flow: Flow) -> None:
        self.sent, self.answered = Stream(), Stream()
        self.started = False
        "The client has sent its first payload."
        self.datagrams = 0
        "From the client."

        self.first: bytes = b""
        self.questions: list[tuple[Question, bytes]] = []
        "Each with its DNS message."
        self.request: RequestHead | None = None
        self.hello: ClientHello | None = None
        self.over_quic = False
        "The hello came in QUIC Initials."
        self.initial: bytes = b""
        "A datagram with a QUIC Initial."

        self.udp = flow.protocol == UDP
        self.no_more_hellos = self.no_more_requests = flow.protocol not in (TCP, UDP)
        self.no_more_requests |= self.udp
        self.no_more_questions = flow.server_port != DNS_PORT
        self._initials: Initials | None = None
        self._message_at = 0
        "Where the next DNS message of the stream begins."
        self._request_at = 0
        self._request_done = False
        self._server_spoke = False

    def see(self, packet: Packet, to_server: bool) -> None:
        """Take the next packet of the flow."""
        self.first, self.initial = b"", b""
        self.questions, self.request, self.hello = [], None, None
        for stream in (self.sent, self.answered):
            stream.grown_from = len(stream.data)
        stream = self.sent if to_server else self.answered
        if packet.protocol == TCP and packet.flags & SYN:
            stream.begin(packet.seq + 1 & 0xFFFFFFFF)
            return
        payload = packet.payload
        if not payload:
            return
        grew = stream.append(payload) if self.udp else stream.add(packet.seq, payload)
        if not to_server:
            self._server_spoke = True
        elif self.udp:
            self._read_datagram(payload)
        elif grew:
            self._read_stream()

    def _read_datagram(self, payload: bytes) -> None:
        self.datagrams += 1
        if not self.started:
            self.started, self.first = True, payload
        if not self.no_more_questions:
            asked = question(payload)
            if asked:
                self.questions = [(asked, payload)]
        if not self.no_more_hellos:
            self._read_initial(payload)

    def _read_initial(self, payload: bytes) -> None:
        """A ClientHello sent again is one again: each Initial may be answered."""
        if is_initial(payload):
            self.initial = payload
            self._initials = self._initials or Initials()
            self.hello, self.over_quic = self._initials.feed(payload), True
        if self.datagrams >= HELLO_DATAGRAMS:
            self.no_more_hellos = True

    def _read_stream(self) -> None:
        data = bytes(self.sent.data)
        if not self.started:
            self.started, self.first = True, data
        if not self.no_more_questions:
            self._read_messages(data)
        if not self.no_more_hellos:
            self._read_hello(data)
        if not self.no_more_requests:
            self._read_request(data)
        if self.sent.full:
            self.no_more_hellos = self.no_more_questions = self.no_more_requests = True

    def _read_messages(self, data: bytes) -> None:
        """DNS messages, each behind its length (RFC 1035, section 4.2.2)."""
        for message in messages(data[self._message_at :]):
            self._message_at += len(framed(message))
            asked = question(message)
            if asked:
                self.questions.append((asked, message))

    def _read_hello(self, data: bytes) -> None:
        try:
            self.hello = client_hello(data)
        except NotTls:
            self.no_more_hellos = True
        self.over_quic = False
        if self.hello:
            self.no_more_hellos = True

    def _read_request(self, data: bytes) -> None:
        """A request is looked for where the client's turn begins; behind it comes its body."""
        if self._server_spoke:
            self._server_spoke, self._request_done = False, False
            self._request_at = self.sent.grown_from
        if self._request_done:
            return
        turn = data[self._request_at :]
        self.request = request_head(turn)
        self._request_done = self.request is not None
        if not self._request_at and not may_be_request(turn):
            self.no_more_requests = True
