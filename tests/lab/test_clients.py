"""Ordinary programs at a vantage point show what they show behind the real thing."""

from __future__ import annotations

import errno
import re
import socket
from pathlib import Path
from typing import NamedTuple

from benchmarks.clients.cases import OPEN, Target, scenario_of
from benchmarks.clients.running import Client, shown_in, visit_worlds
from benchmarks.clients.tools import TOOLS, Tool
from gatewatch.lab.load import load
from gatewatch.lab.world import World
from tests.lab.full import in_world, requires_full_lab, requires_tool

PATIENCE_S = 3.0

TRUE = r"NOERROR 93\.184\.216\.34"
VERIFIED = r"TLSv1\.3, verify code 0 \(ok\)"


class Shows(NamedTuple):
    """Patterns of what each program says, apart from how long it took."""

    dig: str
    curl: str
    openssl: str


SHOWN = {
    OPEN: Shows(TRUE, "HTTP 200, “www.example.com”", VERIFIED),
    "dns.nxdomain": Shows("NXDOMAIN", r"\(6\) Could not resolve.*", "Name or service not known"),
    "dns.refused": Shows("REFUSED", r"\(6\) Could not resolve.*", "Temporary failure in name .*"),
    "dns.no_answer": Shows(
        "NOERROR, no address", r"\(6\) Could not resolve.*", "No address associated .*"
    ),
    "tcp.refused": Shows(TRUE, r"\(7\) Failed to connect .*", "Connection refused"),
    "tcp.timeout": Shows(TRUE, r"\(28\) Connection timed out", "no connection"),
    "ip.unreachable": Shows(TRUE, r"\(7\) Failed to connect .*", "No route to host"),
    "tls.reset.sni": Shows(
        TRUE, r"\(35\) Recv failure: Connection reset by peer", r"connected, then .*:errno=104"
    ),
    "tls.timeout": Shows(TRUE, r"\(28\) .* timed out", "connected, then nothing"),
    "tls.eof": Shows(TRUE, r"\(35\) .*", "connected, then unexpected eof while reading"),
    "tls.error": Shows(
        TRUE, r"\(35\) .* alert handshake failure", "connected, then .* alert handshake failure"
    ),
    "tls.mitm.ca_signed": Shows(
        TRUE,
        r"\(60\) SSL certificate problem: unable to get local issuer certificate",
        r"TLSv1\.3, verify code 21 .*",
    ),
    "http.reset.host": Shows(TRUE, r"\(56\) Recv failure: Connection reset by peer", VERIFIED),
    "http.eof": Shows(TRUE, r"\(52\) Empty reply from server", VERIFIED),
    "http.blockpage": Shows(TRUE, "HTTP 200, “Access Denied”", VERIFIED),
}


def test_programs_show_what_they_show_behind_the_real_thing(tmp_path: Path):
    requires_full_lab()
    clients = {name: client(name, tool) for name, tool in TOOLS.items()}
    scenarios = {mechanism: scenario_of(mechanism) for mechanism in SHOWN}
    visited = set(visit_worlds([*scenarios.values()], tmp_path, clients, at_once=len(scenarios)))
    assert visited == {scenario.id for scenario in scenarios.values()}
    shown = {
        (mechanism, name): shown_in(tmp_path, scenario, name)
        for mechanism, scenario in scenarios.items()
        for name in clients
    }
    unlike = {
        (mechanism, name): words
        for (mechanism, name), words in shown.items()
        if not re.fullmatch(f"(?:{getattr(SHOWN[mechanism], name)})(?:, after \\d+ s)?", words)
    }
    assert unlike == {}


def test_a_datagram_to_a_closed_port_is_refused_over_either_ip():
    scenario = load("tls-reset-sni-ipv6")
    addresses = scenario.hosts["wikipedia"].addresses

    def knock(_: World) -> dict[str, str]:
        return {address: answer_to_datagram(address, 443) for address in addresses}

    assert in_world(scenario, {"free": knock}).results["free"] == dict.fromkeys(
        addresses, "ECONNREFUSED"
    )


def answer_to_datagram(address: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.settimeout(PATIENCE_S)
        sender.connect((address, port))
        sender.send(b"anyone there?")
        try:
            return repr(sender.recv(64))
        except TimeoutError:
            return "nothing"
        except OSError as error:
            return errno.errorcode[error.errno or 0]


def client(name: str, tool: Tool) -> Client:
    requires_tool(name)

    def show(target: Target, home: Path) -> str:
        return tool.run(target, PATIENCE_S)

    return show
