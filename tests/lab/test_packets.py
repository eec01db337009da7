"""The packets of the lab are packets: tshark, which is not ours, reads them without complaint."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatewatch.lab.enclosure import Enclosure, Tell
from gatewatch.lab.load import load
from gatewatch.lab.rules import (
    Action,
    Alert,
    BlockPage,
    Censor,
    CloseQuic,
    ForgeDns,
    Icmp,
    Refuse,
    Reset,
    Trigger,
)
from gatewatch.lab.runs import run_world
from gatewatch.lab.scenario import Host
from gatewatch.lab.world import World
from tests.lab.dialogue import assert_sound, get, hello, quic_client
from tests.lab.full import Lived, in_world, requires_full_lab, requires_tool
from tests.lab.talk import PATIENCE_S, answers, asker, probe, rest, stream, tell, told
from tests.lab.worlds import SITE, scenario

param = pytest.param

CHECKED = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"]
COMPLAINT = " || ".join(
    [
        "_ws.malformed",
        '_ws.expert.severity >= "Error"',
        *(f'{layer}.checksum.status == "Bad"' for layer in ("ip", "tcp", "udp", "icmp", "icmpv6")),
    ]
)


def tshark(capture: Path, *arguments: str) -> str:
    options = [word for name in CHECKED for word in ("-o", f"{name}:TRUE")]
    command = [requires_tool("tshark"), "-n", "-r", str(capture), *options, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def complaints(folder: Path) -> dict[str, str]:
    """What tshark finds wrong, by file; and that there is something to find it in."""
    captures = sorted(folder.glob("*.pcapng"))
    assert len(captures) >= 2
    assert all(tshark(capture, "-c", "9").count("\n") == 9 for capture in captures)
    found = {capture.name: tshark(capture, "-Y", COMPLAINT) for capture in captures}
    return {name: words for name, words in found.items() if words}


@pytest.mark.parametrize(
    "name",
    [
        param("china-tls-resets", id="bursts of resets, and what is left of them"),
        param("dns-injection-ipv6", id="forged answers, IPv6"),
        param("iran-http-403", id="block pages from the side"),
        param("quic-reset-sni", id="QUIC closed in its first flight"),
        param("tcp-refused", id="refused on SYN"),
        param("tls-mitm-self-signed", id="TLS intercepted by a middlebox"),
    ],
)
def test_tshark_has_no_complaint_about_what_a_scenario_sends(name, tmp_path):
    requires_full_lab()

    def work(_: Tell) -> None:
        run_world(load(name), tmp_path, client=None, seed=1, capture=True)

    with Enclosure(work) as enclosure:
        assert list(enclosure) == []
        assert enclosure.status == 0
    assert complaints(tmp_path) == {}


# -- a world in which everything is forged ---------------------------------------------------

SITE6 = "2606:2800::34"


def forger(id: str, trigger: Trigger, **action) -> Censor:
    return Censor(id=id, at="access", trigger=trigger, action=Action(**action))


HOSTILE = scenario(
    hosts={"site": Host(addresses=(SITE, SITE6), tcp={"80": "echo", "443": "echo"})},
    censors=(
        forger(
            "answers",
            Trigger(dns=("forged.example",)),
            forge_dns=ForgeDns(a=("10.10.34.35",), aaaa=("2001:db8::bad",), copies=3),
        ),
        forger("denies", Trigger(dns=("none.example",)), forge_dns=ForgeDns(rcode="NXDOMAIN")),
        forger(
            "resets",
            Trigger(sni=("reset.example",)),
            reset=Reset(to="both", offsets=(0, 1460), ttls=(98, 41), windows=(1460, 94)),
        ),
        forger(
            "pages",
            Trigger(host=("page.example",)),
            block_page=BlockPage(page="<p>closed</p>" * 300, status=451),
        ),
        forger("alerts", Trigger(sni=("alert.example",)), alert=Alert(description=80)),
        forger("closes", Trigger(quic_sni=("quic.example",)), close_quic=CloseQuic()),
        forger("refuses", Trigger(port=(8081,)), refuse=Refuse()),
        forger("forbids", Trigger(port=(8082,)), icmp=Icmp(code="admin")),
    ),
)


def set_off_everything(_: World) -> None:
    """Every censor acts, over IPv4 and IPv6, and a probe of each kind dies on its way."""
    for server in (SITE, SITE6):
        answers("forged.example", server, expected=3)
        answers("forged.example", server, expected=3, kind="AAAA")
        answers("none.example", server, expected=1)
        for name in ("reset.example", "alert.example"):
            tell(server, 443, hello(name))
        for port in (8081, 8082):
            tell(server, port, b"")
        with stream(server, 80) as sock:
            sock.sendall(get("page.example"))
            rest(sock)
        with asker(server, 443) as sock:
            sock.send(quic_client("quic.example")[1])
            sock.recv(2048)
        for transport in ("tcp", "udp"):
            with probe(transport, server, 33_434, 1) as sock:
                told(sock, PATIENCE_S)


@dataclass(frozen=True)
class Captured:
    lived: Lived
    folder: Path


@pytest.fixture(scope="module")
def captured(tmp_path_factory) -> Captured:
    folder = tmp_path_factory.mktemp("hostile")
    lived = in_world(HOSTILE, {"access": set_off_everything}, capture=True, folder=folder)
    return Captured(lived, folder)


def test_tshark_has_no_complaint_about_anything_forged(captured):
    assert complaints(captured.folder) == {}


@pytest.mark.parametrize(
    ("what", "times"),
    [
        param("dns.a == 10.10.34.35", 6, id="forged addresses"),
        param("dns.aaaa == 2001:db8::bad", 6, id="and IPv6 ones"),
        param("dns.flags.rcode == 3", 2, id="a name that is denied"),
        param("tcp.flags.reset && tcp.window_size_value == 1460", 2, id="the first of two resets"),
        param("tcp.flags.reset && (ip.ttl == 39 || ipv6.hlim == 39)", 2, id="and the second"),
        param("tcp.flags.reset && tcp.srcport == 8081", 2, id="a refusal"),
        param('http.response.code == 451 && frame contains "closed"', 2, id="a block page"),
        param("tls.alert_message.desc == 80", 2, id="an alert"),
        param("quic.cc.error_code == 2", 2, id="the end of a QUIC connection"),
        param("icmp.type == 3 && icmp.code == 13", 1, id="forbidden"),
        param("icmpv6.type == 1 && icmpv6.code == 1", 1, id="forbidden, IPv6"),
        param("icmp.type == 11", 2, id="time exceeded"),
        param("icmpv6.type == 3", 2, id="time exceeded, IPv6"),
    ],
)
def test_tshark_sees_in_the_forged_what_was_meant(captured, what, times):
    """Each of two clients, IPv4 and IPv6, sets each off once."""
    seen = tshark(captured.folder / "access.pcapng", "-Y", what)
    assert seen.count("\n") == times, seen


def test_every_packet_at_every_machine_is_sound(captured):
    heard = [seen.packet for place in captured.lived.seen.values() for seen in place]
    assert len(heard) > 50
    for packet in heard:
        assert_sound(packet)


def test_a_capture_holds_what_the_machine_saw(captured):
    """The router writes captures, the taps are the kernel's, which greets its links now and then."""
    fields = ["-Y", "not ipv6.dst == ff00::/8", "-T", "fields", "-e", "frame.len"]
    written = tshark(captured.folder / "access.pcapng", *fields).split()
    heard = [seen.packet for seen in captured.lived.seen["access"]]
    told = [str(len(p.data)) for p in heard if p.version == 4 or p.dst[0] != 0xFF]
    assert sorted(written) == sorted(told)
