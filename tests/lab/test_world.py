"""What is promised of worlds holds in real ones, for the kernel's own TCP and plain sockets.

Upper bounds on time are wide, for the machine may be busy; lower bounds are exact, for nothing in
a world may come early.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable

import msgspec
import pytest

from gatewatch.lab.rules import (
    Action,
    Alert,
    BlockPage,
    Censor,
    Divert,
    Drop,
    Fin,
    ForgeDns,
    Icmp,
    NullRoute,
    Redirect,
    Refuse,
    Reset,
    Residual,
    Schedule,
    Throttle,
    Trigger,
)
from gatewatch.lab.scenario import Host, Link, Middlebox, Resolver, Route, Scenario, Web
from gatewatch.lab.world import World
from gatewatch.wire.packet import ICMP, RST, SYN, TCP, UDP, Packet
from tests.lab.dialogue import get, hello, query
from tests.lab.full import WORLD, Lived, Tap, in_world
from tests.lab.talk import (
    PATIENCE_S,
    SILENCE_S,
    Told,
    addresses,
    answers,
    asker,
    probe,
    rest,
    said,
    stream,
    tell,
    told,
)
from tests.lab.worlds import HOSTING, PROBE, SITE, packed, scenario

param = pytest.param

SITE6, RESOLVER, ELSEWHERE, NOBODY = "2606:2800::34", "8.8.8.8", "93.184.216.35", "93.184.216.99"
AT_HOME = "130.192.1.53"
"A resolver in the vantage point's own network."
FORGED = "10.10.34.35"
LISTED, INNOCENT = "www.example.com", "www.example.org"
HOSTS = {
    "site": Host(
        addresses=(SITE, SITE6),
        names=(LISTED, INNOCENT),
        tcp={"80": "echo", "443": "echo", "8443": "echo"},
    ),
    "elsewhere": Host(addresses=(ELSEWHERE,), tcp={"443": "echo"}),
    "resolver": Host(addresses=(RESOLVER,), resolver=Resolver()),
    "at-home": Host(addresses=(AT_HOME,), resolver=Resolver()),
}
ONE_WAY_S = 0.0325
"From the vantage point to the site: access 2, 2 × 0.5, uplink 4, 0.5, 10, core 5, 8 and 2 ms."


def world(trigger: Trigger | None = None, action: Action | None = None, **more) -> Scenario:
    """A small world with a censor, if any, at the border of the vantage point's network."""
    fields = {name: more.pop(name) for name in ("hosts", "networks") if name in more}
    censors = ()
    if trigger and action:
        censors = (Censor(id="censor", at="access", trigger=trigger, action=action, **more),)
    return scenario(**{"hosts": HOSTS, "censors": censors, **fields})


def only(what: Callable[[], object], place: str = "access") -> dict:
    """One client, that has no need to know the world it is in."""
    return {place: lambda _: what()}


# -- DNS -------------------------------------------------------------------------------------

FORGES = Action(forge_dns=ForgeDns(a=(FORGED,), aaaa=("2001:db8::bad",)))
ASKED = Trigger(dns=(LISTED,))


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

SAID = Trigger(sni=(LISTED,))


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
NAMED = Trigger(host=(LISTED,))


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


# -- residual blocking -----------------------------------------------------------------------

LONG = 3600.0
HERE = 40_000
"A port of the client's own choice, so that a flow can have the same one again."


@pytest.mark.parametrize(
    ("ends", "open_still"),
    [
        param("2-tuple", {"another server"}, id="client and server"),
        param("3-tuple", {"another server", "another service"}, id="and the server's port"),
        param(
            "4-tuple",
            {"another server", "another service", "another port"},
            id="and the client's port",
        ),
    ],
)
def test_residual_blocking_meets_innocents_with_the_same_ends(ends, open_still):
    flows = {
        "the same": (SITE, 443, HERE),
        "another port": (SITE, 443, HERE + 1),
        "another service": (SITE, 8443, HERE),
        "another server": (ELSEWHERE, 443, HERE),
    }
    innocent = hello(INNOCENT)

    def client():
        before = [opens(server, port, here + 10, innocent) for server, port, here in flows.values()]
        trigger = tell(SITE, 443, hello(LISTED), source=(PROBE, HERE))
        after = {name for name, (s, p, here) in flows.items() if opens(s, p, here, innocent)}
        return before, trigger, after

    lived = in_world(
        world(SAID, Action(reset=Reset(to="both")), residual=Residual(seconds=LONG, ends=ends)),
        only(client),
    )
    assert lived.results["access"] == ([True] * 4, "ECONNRESET", open_still)


def opens(server: str, port: int, here: int, words: bytes) -> bool:
    return tell(server, port, words, source=(PROBE, here)) == words


def test_residual_blocking_lasts_its_seconds():
    seconds = 2.0

    def client():
        began = time.monotonic()
        heard = [tell(SITE, 443, hello(LISTED))]
        while heard[-1] != hello(INNOCENT):
            heard.append(tell(SITE, 443, hello(INNOCENT)))
        return heard, time.monotonic() - began

    residual = Residual(seconds=seconds, extends=False)
    lived = in_world(world(SAID, Action(reset=Reset(to="both")), residual=residual), only(client))
    heard, lasted = lived.results["access"]
    assert len(heard) > 2, "an innocent was blocked, and in the end was not"
    assert seconds <= lasted < seconds + PATIENCE_S
    assert {act.subject for act in lived.acts} == {LISTED}


# -- TTL -------------------------------------------------------------------------------------

HOPS = ["130.192.0.1", None, "130.192.0.3", "79.0.0.1", "79.0.0.2", "93.184.216.1"]
HOPS6 = ["2001:760::1", None, None, None, None, "2606:2800::1"]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize(
    ("server", "hops", "exceeded"),
    [param(SITE, HOPS, 11, id="IPv4"), param(SITE6, HOPS6, 3, id="IPv6")],
)
def test_a_probe_dies_at_the_hop_of_its_ttl_and_is_told_by_it(server, hops, exceeded, transport):
    """Silent hops are asked first: the farthest would answer after them, if they did."""

    def client():
        probes = [probe(transport, server, 33_434, ttl) for ttl in range(1, len(hops) + 1)]
        farthest = told(probes[-1], PATIENCE_S)
        return [*(told(sock, 0) for sock in probes[:-1]), farthest]

    lived = in_world(world(), only(client))
    assert lived.results["access"] == [hop and Told(hop, exceeded, 0) for hop in hops]
    assert not [p for p in lived.arrived(WORLD) if p.protocol in (TCP, UDP)]


def test_a_probe_with_one_more_ttl_than_hops_arrives():
    def client():
        return told(probe("udp", SITE, 33_434, len(HOPS) + 1), PATIENCE_S)

    lived = in_world(world(), only(client))
    assert lived.results["access"] == Told(SITE, 3, 3), "nobody listens there"
    assert [p.ttl for p in lived.arrived(WORLD)] == [1]


def test_a_censor_answers_what_passes_its_hop_and_not_what_dies_there():
    """As one finds out where an injector sits: here, at the third hop."""

    def client():
        found = []
        for ttl in (3, 4):
            with asker(RESOLVER, ttl=ttl) as sock:
                sock.send(query(LISTED))
                found.append(told(sock, PATIENCE_S))
        return found

    lived = in_world(world(ASKED, FORGES), only(client))
    assert lived.results["access"] == [Told("130.192.0.3", 11, 0), Told("79.0.0.1", 11, 0)]
    came = [p.protocol for p in lived.arrived("access")]
    assert came == [ICMP, UDP, ICMP], "the forged answer is sooner there than the error"


# -- throttling and links --------------------------------------------------------------------

SIZE = 250_000


@pytest.mark.parametrize("mode", ["police", "shape"])
def test_a_throttled_flow_goes_at_its_rate(mode):
    rate_kbps = 800.0
    web = Web(https=False, routes=(Route(size=SIZE),))
    hosts = {"site": Host(addresses=(SITE,), names=(LISTED,), web=web)}

    def client():
        with stream(SITE, 80) as sock:
            sock.sendall(f"GET / HTTP/1.0\r\nHost: {LISTED}\r\n\r\n".encode())
            return len(rest(sock))

    throttle = Action(throttle=Throttle(rate_kbps=rate_kbps, mode=mode))
    lived = in_world(world(NAMED, throttle, hosts=hosts), only(client))
    assert lived.results["access"] > SIZE
    came = [(s.at, len(s.packet.data)) for s in lived.seen["access"] if not s.sent]
    settled = came[len(came) // 4 :]
    measured = sum(size for _, size in settled[1:]) * 8 / 1000 / (settled[-1][0] - settled[0][0])
    assert measured == pytest.approx(rate_kbps, rel=0.25)


def on_the_way(**link) -> Scenario:
    """A world whose site is behind a link of this kind."""
    hosting = msgspec.structs.replace(HOSTING, access=Link(**{"delay_ms": 2.0, **link}))
    return world(networks={**scenario().networks, "hosting": hosting})


def train(length: int, lab: Scenario, *, seed: int = 0) -> list[tuple[int, float]]:
    """Send numbered datagrams in one go: which ones arrive, in their order, and after how long.

    Somebody listens, lest errors travel back and take their share of chance. The last word is
    said until it is heard.
    """
    heard, hearing = os.pipe()

    def sender(_: World) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((SITE, 9))
            for number in range(length):
                sock.send(number.to_bytes(2, "big"))
            while not select.select([heard], (), (), 0.05)[0]:
                sock.send(b"end")

    def listener(_: World) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((SITE, 9))
            sock.settimeout(PATIENCE_S)
            while sock.recv(64) != b"end":
                continue
            os.write(hearing, b"!")

    lived = in_world(lab, {"access": sender, WORLD: listener}, seed=seed)
    os.close(heard)
    os.close(hearing)
    left = {s.packet.payload: s.at for s in lived.seen["access"] if s.sent}
    came = [(s.packet.payload, s.at) for s in lived.seen[WORLD] if len(s.packet.payload) == 2]
    return [(int.from_bytes(number, "big"), at - left[number]) for number, at in came]


def test_the_way_takes_its_time():
    def client():
        began = time.monotonic()
        stream(SITE, 80).close()
        return time.monotonic() - began

    took = in_world(world(), only(client)).results["access"]
    assert 2 * ONE_WAY_S <= took < 2 * ONE_WAY_S + 1.0


def test_jitter_delays_and_does_not_reorder():
    jitter_s = 0.2
    arrived = train(100, on_the_way(jitter_ms=jitter_s * 1000))
    assert [number for number, _ in arrived] == list(range(100))
    took = [seconds for _, seconds in arrived]
    clock_s = 1e-3
    assert min(took) > ONE_WAY_S - clock_s
    assert max(took) > ONE_WAY_S + jitter_s / 2


def test_a_lossy_link_loses_its_share_and_the_same_packets_for_the_same_seed():
    length, loss = 500, 0.3
    first, again, other = (
        {number for number, _ in train(length, on_the_way(loss=loss), seed=seed)}
        for seed in (1, 1, 2)
    )
    assert first == again != other
    for arrived in (first, other):
        assert len(arrived) == pytest.approx(length * (1 - loss), abs=50), "five deviations"


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
