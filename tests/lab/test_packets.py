"""The packets of the lab are packets: tshark, which is not ours, reads them without complaint."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatewatch.lab.enclosure import Enclosure, Tell
from gatewatch.lab.load import load
from gatewatch.lab.runs import run_world
from gatewatch.lab.visits import FIRST_PASS
from tests.lab.dialogue import assert_sound
from tests.lab.full import Lived, in_world, requires_full_lab, requires_tool
from tests.lab.hostile import HOSTILE, set_off_everything

param = pytest.param

CHECKED = ["ip.check_checksum", "tcp.check_checksum", "udp.check_checksum"]
BAD_CHECKSUM = " || ".join(
    f'{layer}.checksum.status == "Bad"' for layer in ("ip", "tcp", "udp", "icmp", "icmpv6")
)
COMPLAINT = f'_ws.malformed || _ws.expert.severity >= "Error" || {BAD_CHECKSUM}'
LINUX = "tcp.checksum.ffff"
"""A checksum written as minus zero. It is right, if not as RFC 1624 would have it, and Linux does
so itself in one packet of 65,536 (`skb_checksum_help`)."""


def tshark(capture: Path, *arguments: str) -> str:
    options = [word for name in CHECKED for word in ("-o", f"{name}:TRUE")]
    options += ["--disable-protocol", "manolito"]  # which is guessed from one port of the system's
    command = [requires_tool("tshark"), "-n", "-r", str(capture), *options, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def complaints(folder: Path) -> dict[str, str]:
    """What tshark finds wrong, by file; and that there is something to find it in."""
    captures = sorted(folder.glob("*.pcapng"))
    assert len(captures) >= 2
    assert all(tshark(capture, "-c", "9").count("\n") == 9 for capture in captures)
    found = {
        capture.name: tshark(capture, "-Y", f"({COMPLAINT}) && !{LINUX}") for capture in captures
    }
    return {name: words for name, words in found.items() if words}


@pytest.mark.parametrize(
    "name",
    [
        param("china-tls-resets", id="bursts of resets, and what is left of them"),
        param("dns-injection-ipv6", id="forged answers, IPv6"),
        param("http-blockpage", id="a block page from the side"),
        param("quic-reset-sni", id="QUIC closed in its first flight"),
        param("tcp-refused", id="refused on SYN"),
        param("tls-mitm-self-signed", id="TLS intercepted by a middlebox"),
    ],
)
def test_tshark_has_no_complaint_about_what_a_scenario_sends(name, tmp_path):
    requires_full_lab()

    def work(_: Tell) -> None:
        run_world(load(name), tmp_path, client=FIRST_PASS, seed=1, capture=True)

    with Enclosure(work) as enclosure:
        assert list(enclosure) == []
        assert enclosure.status == 0
    assert complaints(tmp_path) == {}


# -- a world in which everything is forged ---------------------------------------------------


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


def test_a_capture_holds_all_that_the_machine_saw(captured):
    """The router writes captures, and the taps hear the kernel."""
    lengths = tshark(captured.folder / "access.pcapng", "-T", "fields", "-e", "frame.len")
    written = Counter(lengths.split())
    seen = Counter(str(len(seen.packet.data)) for seen in captured.lived.seen["access"])
    assert not seen - written
