"""A transparent proxy, as the clients meet it whose flows are diverted to it."""

from __future__ import annotations

import asyncio
import json
import ssl

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gatewatch.lab.certificates import NATIONAL
from gatewatch.lab.diversion import Diversion
from gatewatch.lab.scenario import Answer, Host, Middlebox, Web
from gatewatch.probe.steps import connect, handshake, lookup
from tests.lab.hosts.running import PROBE, RESOLVER, SITE, Running, meet, world

BOX, ECHO = "130.192.7.7", "93.184.216.80"
CLIENT = f"{PROBE}:40000"
"By what the router says; the box itself may see another port."
NAMED, OTHER = "www.example.org", "other.example"
SCRIPT = '<script src="//ads.example/x.js"></script>'

HOSTS = {
    "site": Host(addresses=(SITE,), names=(NAMED, OTHER), web=Web()),
    "echo": Host(addresses=(ECHO,), tcp={"80": "headers"}),
}


def meet_box(visit, original: tuple[str, int], **fields) -> None:
    """Run a visit in a world where every flow to the box was meant for one server."""
    box = Host(addresses=(BOX,), middlebox=Middlebox(names=(".example.org",), **fields))

    async def meant(transport: str, peer: str) -> Diversion | None:
        assert peer.startswith(f"{PROBE}:")
        return Diversion(CLIENT, original)

    meet(world({**HOSTS, "box": box}), visit, meant)


async def shown(running: Running, name: str) -> tuple[str | None, str]:
    """How a handshake with the box ends, and the issuer of the certificate."""
    found = await connect(running.vantage(), BOX, 443)
    assert found.stream is not None
    shaken = await handshake(found.stream, name, ca=running.ca)
    found.stream.close()
    issuer = x509.load_der_x509_certificate(shaken.chain[0]).issuer
    return shaken.failure, str(issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize(("tls", "issuer"), [("national_ca", NATIONAL), ("self_signed", NAMED)])
def test_tls_to_the_names_is_intercepted_and_to_others_is_not(tls, issuer):
    async def visit(running: Running) -> None:
        assert await shown(running, NAMED) == ("ssl_unknown_authority", issuer)
        assert (await shown(running, OTHER))[0] is None
        assert [(act.action, act.subject) for act in running.acts] == [("intercept", NAMED)]
        (act,) = running.acts
        assert (act.place, act.censor, act.server, act.transport) == (
            "box",
            "box",
            f"{SITE}:443",
            "tcp",
        )
        assert act.client == CLIENT

    meet_box(visit, (SITE, 443), tls=tls)


@pytest.mark.parametrize("alpn", ["h2", "http/1.1"])
def test_who_accepts_the_forged_certificate_gets_the_genuine_site(alpn):
    async def visit(running: Running) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([alpn])
        reader, writer = await running.stream(BOX, 443, context, NAMED)
        tls = writer.get_extra_info("ssl_object")
        assert tls.selected_alpn_protocol() == alpn
        if alpn == "http/1.1":
            writer.write(f"GET / HTTP/1.1\r\nHost: {NAMED}\r\nConnection: close\r\n\r\n".encode())
            assert f"<title>{NAMED}</title>".encode() in await reader.read()
        writer.close()

    meet_box(visit, (SITE, 443), tls="national_ca")


def test_without_interception_every_handshake_is_genuine():
    async def visit(running: Running) -> None:
        assert (await shown(running, NAMED))[0] is None
        assert running.acts == []

    meet_box(visit, (SITE, 443))


def test_the_names_get_a_page_in_place_of_theirs_and_others_their_own():
    async def visit(running: Running) -> None:
        page = await running.get(f"http://{NAMED}/", BOX)
        assert page.status == 403
        assert b"<title>M1-8</title>" in page.body
        other = await running.get(f"http://{OTHER}/", BOX)
        assert f"<title>{OTHER}</title>".encode() in other.body
        assert [(act.action, act.subject) for act in running.acts] == [("block_page", NAMED)]

    meet_box(visit, (SITE, 80), page="iran", status=403)


def test_a_script_is_put_into_genuine_pages():
    async def visit(running: Running) -> None:
        genuine = await running.get(f"http://{NAMED}/", SITE)
        altered = await running.get(f"http://{NAMED}/", BOX)
        assert altered.body == genuine.body.replace(b"</body>", SCRIPT.encode() + b"</body>")
        assert dict(altered.headers)["Content-Length"] == str(len(altered.body))
        other = await running.get(f"http://{OTHER}/", BOX)
        assert SCRIPT.encode() not in other.body
        assert [(act.action, act.subject) for act in running.acts] == [("inject_script", NAMED)]

    meet_box(visit, (SITE, 80), script=SCRIPT)


def get(host: str, path: str = "/") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


async def answered(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The next response on a connection: its head and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


def test_a_page_comes_for_the_first_request_to_a_name_on_a_connection_kept_for_others():
    async def visit(running: Running) -> None:
        reader, writer = await running.stream(BOX, 80)
        writer.write(get(OTHER))
        assert f"<title>{OTHER}</title>".encode() in (await answered(reader))[1]
        writer.write(get("x.example", f"http://{NAMED}/"))
        assert b"<title>M1-8</title>" in (await answered(reader))[1]
        assert await reader.read() == b""
        writer.close()
        assert [(act.action, act.subject) for act in running.acts] == [("block_page", NAMED)]

    meet_box(visit, (SITE, 80), page="iran", status=403)


def test_a_page_comes_though_the_server_is_not_there():
    async def visit(running: Running) -> None:
        page = await running.get(f"http://{NAMED}/", BOX)
        assert b"<title>M1-8</title>" in page.body

    meet_box(visit, ("93.184.216.99", 80), page="iran")


def test_of_several_requests_on_a_connection_those_to_the_names_get_the_script():
    async def visit(running: Running) -> None:
        reader, writer = await running.stream(BOX, 80)
        for host in (OTHER, NAMED, OTHER, f"{NAMED.upper()}:80"):
            writer.write(get(host))
            body = (await answered(reader))[1]
            assert (SCRIPT.encode() in body) == (host != OTHER)
        writer.close()
        assert [act.action for act in running.acts] == ["inject_script"] * 2

    meet_box(visit, (SITE, 80), script=SCRIPT)


def test_a_name_in_a_request_that_is_not_by_the_letter_gets_the_page_too():
    async def visit(running: Running) -> None:
        reader, writer = await running.stream(BOX, 80)
        writer.write(f"GET  / HTTP/9.9\r\nHost : {NAMED}\r\n\r\n".encode())
        assert b"<title>M1-8</title>" in (await answered(reader))[1]
        writer.close()

    meet_box(visit, (ECHO, 80), page="iran")


def test_a_proxy_adds_its_headers_and_keeps_the_connection():
    async def visit(running: Running) -> None:
        reader, writer = await running.stream(BOX, 80)
        for _ in range(2):
            writer.write(get(OTHER))
            head, body = await answered(reader)
            assert b"Via: 1.1 cache\r\n" in head
            assert f"<title>{OTHER}</title>".encode() in body
        writer.close()
        assert running.acts == []

    meet_box(visit, (SITE, 80), headers={"Via": "1.1 cache"})


def test_a_proxy_may_lower_the_case_of_request_headers():
    async def visit(running: Running) -> None:
        page = await running.get("http://x.example/", BOX, headers=(("aCcEpT", "*/*"),))
        assert json.loads(page.body)["request_headers"] == [
            ["host", "x.example"],
            ["accept", "*/*"],
        ]

    meet_box(visit, (ECHO, 80), lower_case_headers=True)


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"GeT / HTTP/1.1\r\nhOsT: x.example\r\n\r\n", id="odd case"),
        pytest.param(b"GET  / HTTP/9.9\r\nHost : x\r\n\r\n", id="not by the letter"),
        pytest.param(b"\1\2\3\r\n\r\n", id="no HTTP at all"),
    ],
)
@pytest.mark.parametrize("fields", [{}, {"headers": {"Via": "x"}}], ids=["plain", "proxy"])
def test_what_a_box_does_not_understand_passes_untouched(request_bytes, fields):
    async def visit(running: Running) -> None:
        reader, writer = await running.stream(BOX, 80)
        writer.write(request_bytes)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        line = request_bytes.split(b"\r\n")[0].decode()
        assert json.loads(body)["request_line"] == line
        writer.close()

    meet_box(visit, (ECHO, 80), **fields)


@pytest.mark.parametrize("port", [80, 443])
def test_where_the_server_is_not_there_the_client_is_reset(port):
    async def visit(running: Running) -> None:
        reader, writer = await running.stream(BOX, port)
        writer.write(f"GET / HTTP/1.1\r\nHost: {OTHER}\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()

    meet_box(visit, ("93.184.216.99", port))


def test_diverted_questions_are_answered_for_the_names_and_passed_on_for_others():
    async def visit(running: Running) -> None:
        forged = await lookup(running.vantage(), BOX, NAMED, "A", late_s=0)
        assert forged.addresses == ("10.10.34.35",)
        passed = await lookup(running.vantage(), BOX, OTHER, "A", late_s=0)
        assert passed.addresses == (SITE,)
        assert [(act.action, act.subject) for act in running.acts] == [("forge_dns", NAMED)]

    meet_box(visit, (RESOLVER, 53), resolver=Answer(addresses=("10.10.34.35",)))


def test_diverted_questions_over_tcp_are_answered_alike():
    forged = bytes.fromhex("0a0a2223")

    async def visit(running: Running) -> None:
        for name, address in ((b"\3www\7example\3org\0", forged), (b"\5other\7example\0", None)):
            query = bytes.fromhex("0007 0100 0001 0000 0000 0000") + name + b"\0\1\0\1"
            reader, writer = await running.stream(BOX, 53)
            writer.write(len(query).to_bytes(2, "big") + query)
            length = int.from_bytes(await reader.readexactly(2), "big")
            answer = await reader.readexactly(length)
            assert answer[:2] == b"\0\7"
            assert answer[-4:] == (address or bytes(map(int, SITE.split("."))))
            writer.close()

    meet_box(visit, (RESOLVER, 53), resolver=Answer(addresses=("10.10.34.35",)))


def test_silence_about_a_name_is_not_broken_by_the_resolver():
    async def visit(running: Running) -> None:
        found = await lookup(running.vantage(), BOX, NAMED, "A", total_s=0.2, tries=1)
        assert found.failure == "generic_timeout_error"
        assert [act.action for act in running.acts] == ["forge_dns"]

    meet_box(visit, (RESOLVER, 53), resolver=Answer(silent=True))


def test_flows_that_nobody_has_diverted_are_reset():
    box = Host(addresses=(BOX,), middlebox=Middlebox())

    async def unknown(transport: str, peer: str) -> None:
        return None

    async def visit(running: Running) -> None:
        reader, writer = await running.stream(BOX, 80)
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5.0)
        writer.close()

    meet(world({"box": box}), visit, unknown)
