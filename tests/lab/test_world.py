"""What is promised of worlds holds in real ones, for the kernel's own TCP and plain sockets.

Where a test says that something does not arrive, something sent after it has: packets keep their
order. Upper bounds on time are wide, for the machine may be busy; lower bounds are exact.
"""

from __future__ import annotations

import msgspec
import pytest

from gatewatch.lab.rules import (
    Action,
    Alert,
    BlockPage,
    Divert,
    Drop,
    Fin,
    ForgeDns,
    Icmp,
    NullRoute,
    Redirect,
    Refuse,
    Reset,
    Schedule,
    Trigger,
)
from gatewatch.lab.scenario import Host, Middlebox
from gatewatch.wire.packet import RST, SYN, TCP, UDP, Packet
from tests.lab.censored import (
    ASKED,
    AT_HOME,
    FORGED,
    FORGES,
    INNOCENT,
    LISTED,
    NAMED,
    NOBODY,
    RESOLVER,
    SAID,
    SITE6,
    only,
    world,
)
from tests.lab.dialogue import get, hello, query
from tests.lab.full import WORLD, Lived, Tap, in_world
from tests.lab.talk import (
    PATIENCE_S,
    SILENCE_S,
    addresses,
    answers,
    asker,
    rest,
    said,
    stream,
    tell,
)
from tests.lab.worlds import PROBE, SITE, packed

param = pytest.param

# -- DNS -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("react_ms", "order"),
    [
        param(0.5, [[FORGED], [SITE]], id="a near injector is first, and the truth comes late"),
        param(1500.0, [[SITE], [FORGED]], id="a slow one loses the race"),
    ],
)
def test_a_forged_answer_races_the_true_one(react_ms, order):
    lived = in_world(
        world(ASKED, FORGES, react_ms=react_ms),
        only(lambda: answers(LISTED, RESOLVER, expected=2)),
    )
    assert lived.results["access"] == order
    assert asked_of(lived, RESOLVER) == [query(LISTED)]


def test_an_in_path_forger_leaves_no_race():
    swallowing = Action(forge_dns=ForgeDns(a=(FORGED,), swallow=True))

    def client():
        first = answers(LISTED, RESOLVER, expected=1)
        return first + answers(INNOCENT, RESOLVER, expected=1)

    lived = in_world(world(ASKED, swallowing), only(client))
    assert lived.results["access"] == [[FORGED], [SITE]]
    assert asked_of(lived, RESOLVER) == [query(INNOCENT)], "packets keep their order: it is lost"


@pytest.mark.parametrize(
    ("server", "kind", "forged"),
    [
        param(NOBODY, "A", FORGED, id="an address at which nobody is"),
        param(SITE, "A", FORGED, id="a web server"),
        param(SITE6, "AAAA", "2001:db8::bad", id="over IPv6"),
    ],
)
def test_an_injector_answers_for_an_address_that_runs_no_resolver(server, kind, forged):
    lived = in_world(
        world(ASKED, FORGES), only(lambda: answers(LISTED, server, expected=1, kind=kind))
    )
    assert lived.results["access"] == [[forged]]


@pytest.mark.parametrize(
    ("both_ways", "heard"),
    [
        param(True, [[FORGED], [SITE]], id="bidirectional"),
        param(False, [[SITE]], id="inner only"),
    ],
)
def test_a_question_from_outside_sets_off_a_bidirectional_injector(both_ways, heard):
    trigger = msgspec.structs.replace(ASKED, bidirectional=both_ways)

    def outsider():
        return answers(LISTED, AT_HOME, expected=len(heard), source=SITE)

    lived = in_world(world(trigger, FORGES), only(outsider, WORLD))
    assert lived.results[WORLD] == heard, "a forged answer would be first: it is nearer"


def test_a_censor_keeps_to_its_schedule():
    """The client goes on asking until it has met all three times: before, during, after."""
    trigger = Trigger(dns=(LISTED,), schedule=Schedule(after_s=1.0, until_s=1.7))

    def client():
        heard = [""]
        while FORGED not in heard or heard[-1] == FORGED:
            with asker(RESOLVER) as sock:
                sock.send(query(LISTED))
                heard += addresses(sock.recv(4096))
        return heard[1:]

    action = Action(forge_dns=ForgeDns(a=(FORGED,), swallow=True))
    lived = in_world(world(trigger, action), only(client))
    heard = lived.results["access"]
    assert (heard[0], heard[-1]) == (SITE, SITE)
    assert lived.acts
    assert all(1.0 <= act.t < 1.7 for act in lived.acts)


def asked_of(lived: Lived, server: str) -> list[bytes]:
    """The questions that arrived at a server."""
    return [
        p.payload
        for p in lived.arrived(WORLD)
        if p.protocol == UDP and p.dst == packed(server) and p.dport == 53
    ]


# -- resets ----------------------------------------------------------------------------------


def test_a_reset_comes_before_the_answer_that_is_on_its_way():
    """The kernel ends the connection; what the server said is heard by the interface alone."""

    def client():
        with stream(SITE, 443) as censored, stream(SITE, 443) as innocent:
            heard = said(censored, hello(LISTED))
            return heard, said(innocent, b"packets keep their order")

    lived = in_world(world(SAID, Action(reset=Reset())), only(client))
    assert lived.results["access"] == ("ECONNRESET", b"packets keep their order")
    came = [p for p in lived.arrived("access") if p.flags & RST or p.payload == hello(LISTED)]
    assert [bool(p.flags & RST) for p in came] == [True, False]
    forged, true = came
    assert (forged.seq, forged.dport) == (true.seq, true.dport)
    assert forged.ttl == 64 - 2, "the third hop sent it"
    assert true.ttl == 64 - 6


def test_a_reset_that_comes_after_the_answer_is_out_of_the_window():
    def client():
        tap = Tap()
        with stream(SITE, 443) as sock:
            first = said(sock, hello(LISTED))
            reset = tap.until(lambda p: bool(p.flags & RST), PATIENCE_S)
            return first, reset is not None, said(sock, b"still here")

    lived = in_world(world(SAID, Action(reset=Reset()), react_ms=800.0), only(client))
    assert lived.results["access"] == (hello(LISTED), True, b"still here")


def test_a_burst_of_resets_towards_both_ends_hits_where_it_aims():
    """Each is as far ahead of what its receiver expects, and has the TTL and window, as told."""

    def client():
        with stream(SITE, 443) as censored, stream(SITE, 443) as innocent:
            heard = said(censored, hello(LISTED))
            said(innocent, b"packets keep their order")
            return heard, censored.getsockname()[1]

    burst = Reset(to="both", offsets=(0, 1460, 4380), ttls=(98, 99, 100), windows=(7, 8, 9))
    lived = in_world(world(SAID, Action(reset=burst)), only(client))
    heard, port = lived.results["access"]
    assert heard == "ECONNRESET"
    for where, hops in (("access", 2), (WORLD, 3)):
        came = [p for p in lived.arrived(where) if port in (p.sport, p.dport)]
        resets = [p for p in came if p.flags & RST and p.window]
        before = came[came.index(resets[0]) - 1]
        expected = before.seq + len(before.payload) + bool(before.flags & SYN)
        assert [(p.seq - expected) % 2**32 for p in resets] == [0, 1460, 4380]
        assert [p.ttl + hops for p in resets] == [98, 99, 100]
        assert [p.window for p in resets] == [7, 8, 9]


# -- what the kernel says --------------------------------------------------------------------

ADDRESSED = Trigger(ip=(SITE, SITE6))


@pytest.mark.parametrize(
    ("server", "trigger", "action", "kernel_says"),
    [
        param(SITE, ADDRESSED, Action(refuse=Refuse()), "ECONNREFUSED", id="refused on SYN"),
        param(SITE6, ADDRESSED, Action(refuse=Refuse()), "ECONNREFUSED", id="refused, IPv6"),
        param(SITE, ADDRESSED, Action(icmp=Icmp(code="net")), "ENETUNREACH", id="no network"),
        param(SITE, ADDRESSED, Action(icmp=Icmp(code="host")), "EHOSTUNREACH", id="no host"),
        param(SITE, ADDRESSED, Action(icmp=Icmp(code="port")), "ECONNREFUSED", id="no port"),
        param(SITE, ADDRESSED, Action(icmp=Icmp(code="admin")), "EHOSTUNREACH", id="forbidden"),
        param(SITE6, ADDRESSED, Action(icmp=Icmp(code="admin")), "EACCES", id="forbidden, IPv6"),
        param(SITE, ADDRESSED, Action(null_route=NullRoute()), "silence", id="null route"),
        param(SITE, NAMED, Action(drop=Drop()), "silence", id="dropped for its Host"),
        param(SITE, NAMED, Action(reset=Reset()), "ECONNRESET", id="reset for its Host"),
        param(SITE, NAMED, Action(fin=Fin()), b"", id="ended for its Host"),
        param(SITE, NAMED, Action(alert=Alert(garbage="no TLS")), b"no TLS", id="garbage"),
    ],
)
def test_a_client_hears_from_its_kernel_what_a_censor_did(server, trigger, action, kernel_says):
    lived = in_world(
        world(trigger, action), only(lambda: tell(server, 80, get(LISTED), patience_s=SILENCE_S))
    )
    assert lived.results["access"] == kernel_says


PAGE = BlockPage(page="<p>closed</p>", status=403)


@pytest.mark.parametrize(
    ("action", "begins"),
    [
        param(Action(block_page=PAGE), b"HTTP/1.1 403", id="page"),
        param(Action(redirect=Redirect(location="/x")), b"HTTP/1.1 302", id="redirect"),
    ],
)
def test_an_injected_answer_is_the_stream_and_the_true_one_is_not(action, begins):
    """The server's answer arrives, too late: those bytes of the stream have been heard already."""

    def client():
        with stream(SITE, 80) as sock, stream(SITE, 80) as innocent:
            sock.sendall(get(LISTED))
            heard = rest(sock)
            said(innocent, b"packets keep their order")
            return heard

    lived = in_world(world(NAMED, action), only(client))
    heard = lived.results["access"]
    assert heard.startswith(begins)
    assert get(LISTED) not in heard
    assert get(LISTED) in [p.payload for p in lived.arrived("access")]


# -- drops -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("to", "reached"),
    [
        param("both", 0, id="both ways"),
        param("server", 0, id="towards the server"),
        param("client", 1, id="towards the client"),
    ],
)
def test_an_in_path_drop_really_drops(to, reached):
    """The client's kernel sends its words again and again; they meet the same end each time."""
    before, words = b"before", get(LISTED)

    def client():
        with stream(SITE, 80, patience_s=SILENCE_S) as sock:
            return said(sock, before), said(sock, words)

    lived = in_world(world(NAMED, Action(drop=Drop(to=to))), only(client))
    assert lived.results["access"] == (before, "silence")
    assert len(spoken(lived.sent("access"), words)) > 1, "it was sent again"
    assert bool(spoken(lived.arrived(WORLD), words)) == bool(reached)
    assert not spoken(lived.arrived("access"), words)
    assert spoken(lived.arrived(WORLD), before)


def test_a_late_drop_lets_so_many_packets_pass_and_not_one_more():
    """From the triggering one on, either way, whatever they are."""

    def client():
        with stream(SITE, 80, patience_s=SILENCE_S) as sock:
            return said(sock, get(LISTED)), said(sock, b"more"), said(sock, b"and more")

    lived = in_world(world(NAMED, Action(drop=Drop(after_packets=4))), only(client))
    heard = lived.results["access"]
    assert (heard[0], heard[-1]) == (get(LISTED), "silence")
    handshake = 3
    passed = [p for where in ("access", WORLD) for p in lived.arrived(where) if p.protocol == TCP]
    assert len(passed) == handshake + 4


def spoken(packets: list[Packet], words: bytes) -> list[Packet]:
    return [p for p in packets if p.protocol == TCP and p.payload == words]


# -- diversion -------------------------------------------------------------------------------


def test_a_diverted_flow_meets_the_middlebox_and_the_client_does_not_see_it():
    proxy = "79.0.0.80"
    hosts = {
        "site": Host(addresses=(SITE,), names=(LISTED, INNOCENT), tcp={"80": "headers"}),
        "proxy": Host(
            addresses=(proxy,),
            middlebox=Middlebox(names=(LISTED,), page="<p>closed</p>", lower_case_headers=True),
        ),
    }

    def client():
        heard = []
        for name in (LISTED, INNOCENT):
            with stream(SITE, 80) as sock:
                sock.sendall(f"GET / HTTP/1.1\r\nhOST: {name}\r\n\r\n".encode())
                heard.append(rest(sock))
        return heard

    trigger = Trigger(port=(80,), transport="tcp")
    lived = in_world(world(trigger, Action(divert=Divert(to="proxy")), hosts=hosts), only(client))
    page, headers = lived.results["access"]
    assert page.endswith(b"<p>closed</p>")
    assert b'"host"' in headers
    assert b"hOST" not in headers
    assert {p.src for p in lived.arrived("access")} == {packed(SITE)}
    assert {p.dst for p in lived.arrived(WORLD) if p.src == packed(PROBE)} == {packed(proxy)}
    assert {p.src for p in lived.arrived(WORLD) if p.dst == packed(SITE)} == {packed(proxy)}
