"""A world in which everything is forged, and a client that sets all of it off."""

from __future__ import annotations

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
from gatewatch.lab.scenario import Host
from gatewatch.lab.world import World
from tests.lab.dialogue import get, hello, quic_client
from tests.lab.talk import PATIENCE_S, answers, asker, probe, rest, stream, tell, told
from tests.lab.worlds import SITE, scenario

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
