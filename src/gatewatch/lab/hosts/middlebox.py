"""A transparent proxy on the way: passes flows on, and interferes with those of some names.

Flows come with its own address in place of the server's; the router says which server was meant.
Each request in clear is looked at by itself. Whatever is no protocol that it knows, or nothing
that it alters, goes on byte for byte.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from http.client import responses
from typing import TypeVar

import dns.rdatatype

from gatewatch.lab.diversion import DNS_PORT, HTTP_PORT, HTTPS_PORT, Diversion, services
from gatewatch.lab.hosts.dns import Datagrams, Way, ask, encoded, parsed
from gatewatch.lab.hosts.premises import Original, Peer, Premises
from gatewatch.lab.hosts.proxy import Alterations, proxy, well_formed
from gatewatch.lab.hosts.relay import Ends, connect, relay, terminate
from gatewatch.lab.hosts.tcp import CHUNK, Listening, reset
from gatewatch.lab.pages import page as lab_page
from gatewatch.lab.scenario import Middlebox
from gatewatch.lab.triggers.names import Names
from gatewatch.lab.zone import ByName
from gatewatch.simulate.network import Page
from gatewatch.wire.dns import framed
from gatewatch.wire.http import RequestHead, may_be_request, request_head
from gatewatch.wire.packet import TCP
from gatewatch.wire.tls import ClientHello, NotTls, client_hello

T = TypeVar("T")

MAX_PEEK = 65_536
ALPN_WE_RELAY = ("h2", "http/1.1")


class Diverted:
    """One middlebox, as it is on one of its addresses.

    Args:
        host: its name, by which the log knows it.
        original: what flows were before they were diverted.
    """

    def __init__(
        self, host: str, box: Middlebox, address: str, premises: Premises, original: Original
    ) -> None:
        self._host = host
        self._box = box
        self._address = address
        self._premises = premises
        self._original = original
        self._names = Names(box.names)
        self._answers = ByName(dict.fromkeys(box.names, box.resolver) if box.resolver else {})

    async def listen(self, listening: Listening) -> None:
        """Takes what is diverted to it."""
        handlers = {HTTP_PORT: self._http, HTTPS_PORT: self._tls, DNS_PORT: self._dns_stream}
        for protocol, port in services(self._box):
            if protocol == TCP:
                handler = partial(self._with_flow, handlers[port])
                await listening.streams(self._address, port, handler)
            else:
                datagrams = partial(Datagrams, self._dns_datagram, listening)
                await listening.datagrams(self._address, port, datagrams)

    async def _with_flow(
        self,
        handler: Callable[[Diversion, Ends], Awaitable[None]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Handles a connection that the router has diverted; others are reset."""
        peer = writer.get_extra_info("peername")
        flow = await self._flow(peer, "tcp")
        if flow is None:
            reset(writer)
        else:
            await handler(flow, Ends(reader, writer))

    async def _flow(self, peer: Peer, transport: Way) -> Diversion | None:
        return await self._original(transport, self._premises.endpoint(peer))

    def _tell(self, action: str, flow: Diversion, transport: Way, subject: str) -> None:
        self._premises.tell(
            self._host,
            action,
            client=flow.client,
            server=flow.server,
            transport=transport,
            subject=subject,
        )

    async def _onward(self, flow: Diversion, client: Ends) -> Ends | None:
        """A connection to where the flow was going; without one the client's is reset."""
        try:
            return await connect(self._premises.attach, self._address, flow.server)
        except OSError:
            reset(client.writer)
            return None

    async def _splice(self, flow: Diversion, client: Ends, begun: bytes) -> None:
        """Passes the flow on as it is."""
        server = await self._onward(flow, client)
        if server is not None:
            server.writer.write(begun)
            await relay(client, server)

    # -- TLS ---------------------------------------------------------------------------------

    async def _tls(self, flow: Diversion, client: Ends) -> None:
        begun, hello = await peek(client.reader, hello_or_not)
        name = hello.sni if hello else None
        if hello and name and self._box.tls != "splice" and name in self._names:
            await self._intercept(flow, client, begun, hello, name)
        else:
            await self._splice(flow, client, begun)

    async def _intercept(
        self, flow: Diversion, client: Ends, begun: bytes, hello: ClientHello, name: str
    ) -> None:
        """Is the server to the client, with a forged certificate, and the client to the server."""
        onward = onward_context(hello.alpn)
        attach = self._premises.attach
        try:
            server = await connect(attach, self._address, flow.server, onward, name)
        except OSError:
            reset(client.writer)
            return
        kind = "national" if self._box.tls == "national_ca" else "self_signed"
        chosen = server.writer.get_extra_info("ssl_object").selected_alpn_protocol()
        forged = self._premises.office.context(kind, [name], alpn=[chosen] if chosen else [])
        self._tell("intercept", flow, "tcp", name)
        async with terminate(client, begun, forged) as inside:
            await relay(inside, server)

    # -- HTTP in clear -----------------------------------------------------------------------

    async def _http(self, flow: Diversion, client: Ends) -> None:
        begun, head = await peek(client.reader, head_or_not)
        alters = partial(self._alterations, flow)
        if head is None or not self._alters:
            await self._splice(flow, client, begun)
        elif well_formed(begun):
            await proxy(client, begun, partial(self._onward, flow, client), alters)
        elif page := alters(head.host or "").page:
            client.writer.write(page())
            await client.writer.drain()
        else:
            await self._splice(flow, client, begun)

    @property
    def _alters(self) -> bool:
        """Whether it looks into requests at all."""
        box = self._box
        return bool(box.page or box.script or box.headers or box.lower_case_headers)

    def _alterations(self, flow: Diversion, host: str) -> Alterations:
        """What it does to a request for a host, and to the answer."""
        named = host in self._names

        def page() -> bytes:
            self._tell("block_page", flow, "tcp", host)
            return as_bytes(lab_page(self._box.page), self._box.status)

        return Alterations(
            page=page if named and self._box.page else None,
            script=self._box.script if named or not self._box.names else "",
            headers=self._box.headers,
            lower_case_headers=self._box.lower_case_headers,
            injected=lambda: self._tell("inject_script", flow, "tcp", host),
        )

    # -- DNS ---------------------------------------------------------------------------------

    async def _dns_datagram(self, query: bytes, peer: Peer) -> bytes | None:
        flow = await self._flow(peer, "udp")
        if flow is None:
            return None
        forged = self._forged(flow, query, peer, "udp")
        if forged is not None:
            return forged or None
        address, port = flow.server
        return await ask(query, address, self._address, self._premises.attach, port=port)

    async def _dns_stream(self, flow: Diversion, client: Ends) -> None:
        """Answers questions as long as they are for it; the rest of the stream passes."""
        peer = client.writer.get_extra_info("peername")
        while True:
            begun = await client.reader.readexactly(2)
            begun += await client.reader.readexactly(struct.unpack("!H", begun)[0])
            forged = self._forged(flow, begun[2:], peer, "tcp")
            if forged is None:
                break
            if forged:
                client.writer.write(framed(forged))
                await client.writer.drain()
        await self._splice(flow, client, begun)

    def _forged(self, flow: Diversion, query: bytes, peer: Peer, transport: Way) -> bytes | None:
        """Its own answer to a query for one of its names; empty is silence, None: not its own."""
        asked = parsed(query)
        if asked is None:
            return None
        question = asked.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        if self._answers.get(name) is None:
            return None
        kind = dns.rdatatype.to_text(question.rdtype)
        who = self._premises.attach.who(peer)
        self._tell("forge_dns", flow, transport, name)
        reply = self._premises.zone.reply(name, kind, who, self._answers)
        return b"" if reply.silent else encoded(asked, reply, transport)


async def peek(
    reader: asyncio.StreamReader, read: Callable[[bytes], tuple[bool, T | None]]
) -> tuple[bytes, T | None]:
    """The first bytes of a stream, and what they are.

    Args:
        read: of the bytes so far, says whether they are enough, and what they are.
    """
    begun = b""
    while data := await reader.read(CHUNK):
        begun += data
        enough, found = read(begun)
        if enough or len(begun) > MAX_PEEK:
            return begun, found
    return begun, None


def hello_or_not(stream: bytes) -> tuple[bool, ClientHello | None]:
    try:
        found = client_hello(stream)
    except NotTls:
        return True, None
    return found is not None, found


def head_or_not(stream: bytes) -> tuple[bool, RequestHead | None]:
    found = request_head(stream)
    return found is not None or not may_be_request(stream), found


def onward_context(alpn: tuple[str, ...]) -> ssl.SSLContext:
    """For the way on to the server, which interceptors do not verify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([name for name in alpn if name in ALPN_WE_RELAY])
    return context


def as_bytes(found: Page, status: int) -> bytes:
    """A page as HTTP/1.1 on the wire, after which the connection ends."""
    body = found.body.encode() if isinstance(found.body, str) else found.body
    headers = {**found.headers, "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {status} {responses.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
