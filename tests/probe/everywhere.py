"""Servers at every address, that speak every protocol, and tell all who come the same things.

What they tell is planted in each place that a protocol has for it: answers to names, bodies,
headers, redirects, certificates, and bytes that are of no protocol at all.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
from aioquic.asyncio.server import QuicServer
from aioquic.quic.configuration import QuicConfiguration
from dns.name import from_text

from gatewatch.lab.attach import Local, Transport
from gatewatch.lab.certificates import Office
from tests.probe.http3_server import Server
from tests.probe.town import HERE, Replies, Town

SITE = "93.184.216.34"
COOKIE = bytes.fromhex("2112a442")
_LINE = re.compile(rb"(GET|POST|HEAD|GeT) \S+ HTTP/1\.[01]\r\n")


@dataclass(frozen=True, kw_only=True)
class Plants:
    """What is told: an address of either version, spelt in many ways."""

    v4: str
    v6: str
    spelt: Sequence[str]

    @property
    def dashed(self) -> str:
        return f"host-{self.v4.replace('.', '-')}.dyn.example.it"

    @property
    def backwards(self) -> str:
        return f"{'.'.join(self.v4.split('.')[::-1])}.in-addr.arpa"

    @property
    def raw(self) -> bytes:
        return ip_address(self.v4).packed + ip_address(self.v6).packed

    @property
    def all(self) -> str:
        return "\n".join(self.spelt)

    def page(self) -> bytes:
        return (
            f"<html><head><title>You are {self.v4}</title><script src='//x.example/{self.v4}.js'>"
            f"</script><script>var ip='{self.dashed}'</script></head><body>{'word ' * 40}\n"
            f"{self.all}</body></html>"
        ).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        texts = [text.encode() for text in self.spelt if text.isascii()]
        return [
            (b"x-forwarded-for", self.v4.encode()),
            (b"set-cookie", f"ip={self.dashed}; path=/".encode()),
            (b"via", f"1.1 [{self.v6}]".encode()),
            (b"alt-svc", b'h3=":443"'),
            (b"x-raw", bytes(one for one in self.raw[:4] if one > 32)),
            *((f"x-plant-{number}".encode(), text) for number, text in enumerate(texts)),
        ]


class Everywhere(Town):
    """Whoever is contacted, this answers.

    Args:
        garbles: it answers with bytes of no protocol; resolvers then go on with an answer.
    """

    def __init__(self, plants: Plants, office: Office, *, garbles: bool = False) -> None:
        super().__init__()
        self._plants, self._office, self._garbles = plants, office, garbles
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.came: set[tuple[str, int, Transport]] = set()

    def reach(
        self, source: str | None, address: str, port: int, transport: Transport
    ) -> tuple[str, int, Local | None]:
        self.came.add((address, port, transport))
        kind = {53: "dns", 443: "quic"}.get(port, "stun") if transport == "udp" else "tcp"
        return super().reach(source, kind, 1, transport)

    async def open(self) -> None:
        garbage = self._plants.all.encode() + self._plants.raw
        answers = {"dns": self._names, "stun": self._stun}
        for kind in ("dns", "stun", "quic"):
            if self._garbles:
                after = self._names if kind == "dns" else lambda _: ()
                await self.udp(kind, 1, _first(garbage[:1200], after))
            elif kind in answers:
                await self.udp(kind, 1, answers[kind])
        if not self._garbles:
            await self._open_quic()
        listening = socket.socket()
        listening.bind((HERE, 0))
        listening.listen(64)
        listening.setblocking(False)
        self._kept.append(listening)
        self._ports["tcp", 1, "tcp"] = listening.getsockname()[1]
        self._spawn(self._accept(listening))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def __aenter__(self) -> Everywhere:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await super().__aexit__()

    # -- TCP -----------------------------------------------------------------------------------

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            accepted, _ = await loop.sock_accept(listening)
            self._spawn(self._serve(accepted))

    async def _serve(self, accepted: socket.socket) -> None:
        first = await _peeked(accepted)
        secure = first[:1] == b"\x16" and not self._garbles
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=self._context() if secure else None
            )
        except OSError:  # the handshake was given up
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._writers.append(writer)
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _context(self, name: str = "www.example.org") -> ssl.SSLContext:
        plants = self._plants
        names = [plants.v4, name, plants.dashed, plants.v6]
        context = self._office.context("valid", names, alpn=["http/1.1"])

        def choose(shown: ssl.SSLObject, asked: str | None, _: ssl.SSLContext) -> None:
            if asked:
                shown.context = self._office.context(
                    "valid", [plants.v4, asked, plants.dashed, plants.v6], alpn=["http/1.1"]
                )

        context.sni_callback = choose
        return context

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not self._garbles and int.from_bytes(data[:2], "big") == len(data) - 2:
                reply = next(iter(self._names(data[2:])))[1]
                writer.write(len(reply).to_bytes(2, "big") + reply)
            elif data[:1] == b"\x05" and not self._garbles:
                writer.write(await self._proxied(data, reader, writer))
            elif self._garbles or not _LINE.match(data):
                writer.write(data[:64] + self._plants.raw + self._plants.all.encode())
                await writer.drain()
                return
            else:
                while b"\r\n\r\n" not in data:
                    data += await reader.read(65_536)
                head, _, body = data.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                while length and len(body) < int(length[1]):
                    body += await reader.read(65_536)
                writer.write(self._web(head, body))
            await writer.drain()

    async def _proxied(
        self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """SOCKS5, RFC 1928: connected, and this is where from."""
        writer.write(b"\x05\x00")
        await reader.read(512)
        return b"\x05\x00\x00\x04" + self._plants.raw[4:] + b"\x01\xbb"

    def _web(self, head: bytes, body: bytes) -> bytes:
        plants = self._plants
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        lower = head.lower()
        kind, status, more = "text/html", "200 Fine", list(plants.headers())
        if b"application/dns-message" in lower:
            kind, answer = "application/dns-message", next(iter(self._names(body)))[1]
        elif method == "GeT":
            told = {"X-Forwarded-For": [plants.v4], "Via": [plants.dashed]}
            line = head.split(b"\r\n")[0].decode()
            answer = json.dumps({"headers_dict": told, "request_line": line}).encode()
        elif method == "POST" and b"application/json" in lower:
            kind, answer = "application/json", json.dumps(self._control(body)).encode()
        elif target == "/":
            host = re.search(rb"(?i)\r\nhost: *([^\r]*)", head)
            there = host[1].decode() if host else "www.example.org"
            more.append((b"location", f"//{there}/you?ip={plants.v4}&{plants.dashed}".encode()))
            status, answer = "302 Found", plants.page()
        else:
            answer = plants.page()
        lines = [f"HTTP/1.1 {status}".encode(), b"Content-Length: %d" % len(answer)]
        lines += [b"Content-Type: " + kind.encode(), *(n + b": " + v for n, v in more)]
        return b"\r\n".join([*lines, b"", b""]) + (b"" if method == "HEAD" else answer)

    def _control(self, body: bytes) -> dict[str, Any]:
        plants = self._plants
        asked = json.loads(body)
        step = {"status": True, "failure": None}
        here = (f"{plants.v4}:443", f"[{plants.v6}]:443", *asked.get("tcp_connect", ()))
        return {
            "tcp_connect": dict.fromkeys(here, step),
            "tls_handshake": {one: {**step, "server_name": plants.dashed} for one in here},
            "quic_handshake": {},
            "http_request": {
                "body_length": 1000, "discovered_h3_endpoint": f"[{plants.v6}]:443",
                "failure": None, "headers": {"X-You": plants.v4, plants.dashed: plants.v6},
                "status_code": 200, "title": f"You are {plants.v4}",
            },
            "dns": {"failure": None, "addrs": [SITE, plants.v4, plants.v6]},
            "ip_info": {SITE: {"asn": 1, "flags": 10}, plants.v4: {"asn": 137, "flags": 9}},
            "x_text": list(plants.spelt),
            "x_number": int(ip_address(plants.v4)),
            "x_octets": list(ip_address(plants.v4).packed),
            "x_nested": [{plants.all: [plants.v4, {"a": plants.v6}]}],
        }  # fmt: skip

    # -- UDP -----------------------------------------------------------------------------------

    def _names(self, question: bytes) -> Iterable[tuple[float, bytes]]:
        plants = self._plants
        query = dns.message.from_wire(question)
        name = query.question[0].name
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        yield 0.0, self._reply(query, kind, [SITE, plants.v4], [plants.v6])
        yield 0.01, self._reply(query, kind, [plants.v4], [plants.v6])
        stray = dns.message.make_query(name, kind)
        stray.flags |= dns.flags.QR
        yield 0.01, self._reply(stray, kind, [plants.v4], [plants.v6], response=False)
        yield 0.02, plants.all.encode()[:400] + plants.raw

    def _reply(
        self,
        query: dns.message.Message,
        kind: str,
        fours: list[str],
        sixes: list[str],
        *,
        response: bool = True,
    ) -> bytes:
        plants, name = self._plants, query.question[0].name
        found = dns.message.make_response(query) if response else query
        if "whoami" in str(name) or "myaddr" in str(name):
            fours = [plants.v4]
        alias = from_text(plants.dashed)
        rows = {"A": fours, "AAAA": sixes}.get(kind, [])
        if rows and "whoami" not in str(name):
            found.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", plants.dashed + "."))
            name = alias
        if rows:
            found.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *rows))
        elif kind == "TXT":
            code = "".join(f"\\{one:03}" for one in plants.raw[:4])
            found.answer.append(
                dns.rrset.from_text(name, 60, "IN", "TXT", f'"{plants.v4}" "{code}"')
            )
        elif kind == "PTR":
            found.answer.append(dns.rrset.from_text(name, 60, "IN", "PTR", plants.dashed + "."))
        found.additional.append(
            dns.rrset.from_text(plants.backwards + ".", 9, "IN", "PTR", plants.dashed + ".")
        )
        return found.to_wire()

    def _stun(self, request: bytes) -> Iterable[tuple[float, bytes]]:
        """Mapped addresses, as they are and exclusive-ored: RFC 8489, sections 14.1 and 14.2."""
        four, six = self._plants.raw[:4], self._plants.raw[4:]
        mask = COOKIE + request[8:20]
        parts = [
            (0x0001, b"\x00\x01\x01\xbb" + four),
            (0x0020, b"\x00\x01\x01\xbb" + _xor(four, mask)),
            (0x0001, b"\x00\x02\x01\xbb" + six),
            (0x0020, b"\x00\x02\x01\xbb" + _xor(six, mask)),
            (0x8022, self._plants.v4.encode().ljust(16)),
        ]
        body = b"".join(n.to_bytes(2, "big") + len(v).to_bytes(2, "big") + v for n, v in parts)
        yield 0.0, b"\x01\x01" + len(body).to_bytes(2, "big") + mask + body

    async def _open_quic(self) -> None:
        plants = self._plants

        class Here(Server):
            pass

        def answer(server: Server, stream: int, asked: dict[str, str], _: bytes) -> None:
            server.h3.send_headers(stream, [(b":status", b"200"), *plants.headers()])
            server.h3.send_data(stream, plants.page(), end_stream=True)

        Here.answer = staticmethod(answer)
        configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
        names = [plants.v4, "www.example.org", plants.dashed, plants.v6]
        configuration.load_cert_chain(Path(self._office.file("valid", names)))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: QuicServer(configuration=configuration, create_protocol=Here),
            local_addr=(HERE, 0),
        )
        self.keep("quic", 1, "udp", transport)


def _first(data: bytes, then: Replies) -> Replies:
    def replies(question: bytes) -> Iterable[tuple[float, bytes]]:
        yield 0.0, data
        yield from ((delay + 0.01, reply) for delay, reply in then(question))

    return replies


async def _peeked(accepted: socket.socket) -> bytes:
    """What comes first, left where it is; empty at the end."""
    loop = asyncio.get_running_loop()
    accepted.setblocking(False)
    ready = asyncio.Event()
    loop.add_reader(accepted, ready.set)
    try:
        await ready.wait()
        return accepted.recv(1, socket.MSG_PEEK)
    except OSError:
        return b""
    finally:
        loop.remove_reader(accepted)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=False))


# -- looking for them --------------------------------------------------------------------------


def leaks(value: Any, plants: Plants) -> list[str]:
    """Where in a JSON value the addresses are, for whoever reads it as text, decodes what may be
    base64 or hexadecimal, or looks at numbers."""
    texts = sorted({text.lower() for text in (*plants.spelt, plants.v4, plants.v6, plants.dashed)})
    raw = [plants.raw[:4], plants.raw[4:12]]
    found: list[str] = []

    def look(where: str, text: str) -> None:
        lower = text.lower()
        found.extend(f"{where}: {one}" for one in texts if one in lower)
        found.extend(f"{where}: raw" for one in raw if one.decode("latin-1") in text)
        for run in re.findall(r"[A-Za-z0-9+/_-]{6,}", text):
            coded = run.replace("-", "+").replace("_", "/").rstrip("=")
            inside(where, base64.b64decode(coded + "AAA"[: -len(coded) % 4]))
        if re.fullmatch(r"(?:[0-9a-f]{2})+", lower):
            inside(where, bytes.fromhex(lower))

    def inside(where: str, data: bytes) -> None:
        lower = data.lower()
        spelt = [one.encode() for one in (plants.v4, plants.v6, plants.dashed)]
        spelt += [plants.v4.encode("utf-16-le"), plants.v4.encode("utf-16-be")]
        labels = b"".join(bytes([len(part)]) + part.encode() for part in plants.v4.split("."))
        reverse = b"".join(
            bytes([len(part)]) + part.encode() for part in plants.v4.split(".")[::-1]
        )
        found.extend(f"{where}: coded {one!r}" for one in (*spelt, labels, reverse) if one in lower)
        found.extend(f"{where}: coded raw" for one in raw if one in data)

    def walk(where: str, one: Any) -> None:
        match one:
            case str():
                look(where, one)
            case dict():
                for key, entry in one.items():
                    look(f"{where} (key)", str(key))
                    walk(f"{where}.{key!s:.40}", entry)
            case list() | tuple():
                octets = all(type(n) is int and 0 <= n < 256 for n in one) and len(one) >= 4
                if octets and raw[0] in bytes(one):
                    found.append(f"{where}: octets")
                for number, entry in enumerate(one):
                    walk(f"{where}[{number}]", entry)
            case int() if one == int(ip_address(plants.v4)):
                found.append(f"{where}: a number")
            case _:
                pass

    walk("", value)
    return found
