"""The first pass as a whole: who is asked how often, what is fetched over what, and its end."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from gatewatch.lab.certificates import Office
from gatewatch.probe.experiments.web_connectivity import INTERRUPTED, TIMEOUT, measure
from gatewatch.probe.finding import Finding
from gatewatch.probe.seat import Control, Patience, Seat
from gatewatch.probe.visits import Visits
from tests.probe import http2_server, http3_server
from tests.probe.experiments.small_world import (
    AT,
    CONTROL,
    ISP,
    NAME,
    NAMES,
    PAGE,
    PUBLIC,
    SECURE,
    SITE,
    World,
    measured,
    seen,
)
from tests.probe.oonidata import assert_others_can_read
from tests.probe.town import PROBE, Town, control, http, pages, resets, zone

HTTPS, HTTP = f"https://{NAME}/", f"http://{NAME}/"
OTHERS = ("1.1.1.1", "9.9.9.10", "208.67.222.222")


def run(office: Office, world: World, visiting: Any, **about: Any) -> Any:
    """What a coroutine makes of a seat in the world."""

    async def go() -> Any:
        async with Town() as town:
            await world.furnish(town, office)
            seat = Seat(
                **{
                    "asn": 137, "country": "IR", "network": "GARR", "addresses": (PROBE,),
                    "resolver": ISP, "udp_resolvers": (PUBLIC,),
                    "doh_resolvers": (("dns.example", SECURE),),
                    "controls": (Control(name="control.example", address=CONTROL),),
                    "ca": office.ca_file, "reach": town, "patience": Patience(late_s=0.02),
                    **about,
                }
            )  # fmt: skip
            return await visiting(seat)

    return asyncio.run(go())


def engines(measurement: dict[str, Any]) -> set[str]:
    return {query["engine"] for query in measurement["test_keys"]["queries"]}


# -- what a run shares -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pause", "sealed"),
    [
        pytest.param((20.0, 39.0), [True, False, False], id="as OONI does"),
        pytest.param((0.0, 0.0), [True, True, True], id="every time"),
    ],
)
def test_the_resolver_over_https_is_asked_now_and_then(pause, sealed, office):
    async def visiting(seat: Seat) -> list[bool]:
        visits = Visits(doh_pause_s=pause)
        return ["doh" in engines(await measure(HTTPS, seat, visits=visits)) for _ in range(3)]

    assert run(office, World(), visiting) == sealed


def test_who_the_resolver_is_is_asked_once_in_a_while(office):
    heard: list[bytes] = []
    names = zone({**NAMES, "whoami.v4.powerdns.org": ("130.192.3.99",)})

    def noted(question: bytes):
        heard.extend([question] if b"whoami" in question else [])
        return names(question)

    async def visiting(seat: Seat) -> list[str]:
        visits = Visits()
        found = [await measure(HTTPS, seat, visits=visits) for _ in range(3)]
        return [one["resolver_ip"] for one in found]

    assert run(office, World(isp=noted), visiting) == ["130.192.3.99"] * 3
    assert len(heard) == 1


def test_the_public_resolver_is_chosen_by_chance(office):
    async def extra(town: Town, office: Office) -> None:
        for address in OTHERS:
            await town.udp(address, 53, zone(NAMES))

    def chosen(seed: int) -> str:
        found = measured(
            HTTPS,
            World(extra=extra),
            office,
            made={"rng": random.Random(seed)},
            udp_resolvers=(PUBLIC, *OTHERS),
        )
        (asked,) = {
            q["resolver_address"] for q in found["test_keys"]["queries"] if q["engine"] == "udp"
        }
        (who,) = found["test_keys"]["x_dns_whoami"]["udp_v4"] or {asked: None}
        assert who == asked
        return asked

    picked = [chosen(seed) for seed in range(8)]
    assert len(set(picked)) > 1
    assert picked[0] == chosen(0), "the same seed, the same choice"


def test_runs_share_their_start_and_measurements_have_their_own(office):
    async def visiting(seat: Seat) -> list[tuple[str, str]]:
        visits = Visits(began=AT)
        later = [AT.replace(hour=hour) for hour in (13, 14)]
        found = [await measure(HTTPS, seat, visits=visits, at=at) for at in later]
        return [(one["test_start_time"], one["measurement_start_time"]) for one in found]

    assert run(office, World(), visiting) == [
        ("2026-03-01 12:00:00", "2026-03-01 13:00:00"),
        ("2026-03-01 12:00:00", "2026-03-01 14:00:00"),
    ]


# -- pages -------------------------------------------------------------------------------------


def test_a_cookie_is_brought_back_where_it_belongs(office):
    def site(host: str, path: str) -> bytes:
        return http(302, location="/in", set_cookie="seen=1; Path=/")

    heard: list[str] = []

    async def strict(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            heard.append(head)
            here = "cookie: seen=1" in head.lower()
            writer.write(http(200, PAGE) if here else site(NAME, "/"))
            await writer.drain()

    keys = measured(HTTP, World(plain=strict), office)["test_keys"]
    assert [r["response"]["code"] for r in keys["requests"]] == [200, 302]
    assert "Cookie" in keys["requests"][0]["request"]["headers"]


def test_http_2_is_spoken_where_the_server_agrees(office):
    def answer(h2, stream, headers, body):
        h2.send_headers(stream, [(":status", "200"), ("content-type", "text/html")])
        h2.send_data(stream, b"<title>An ordinary site</title>", end_stream=True)

    async def extra(town: Town, office: Office) -> None:
        context = office.context("valid", [NAME], alpn=["h2"])
        await town.tcp(SITE, 443, http2_server.serving(answer), context)

    keys = measured(HTTPS, World(tls=None, extra=extra), office)["test_keys"]
    (fetched,) = keys["requests"]
    assert (fetched["alpn"], fetched["failure"]) == ("h2", None)
    assert fetched["response"]["headers"]["Content-Type"] == "text/html"
    assert keys["tls_handshakes"][0]["negotiated_protocol"] == "h2"


def test_http_3_is_tried_where_it_is_offered_and_disturbs_no_reader(office, tmp_path):
    def page(body: bytes):
        return http3_server.serving(office, http3_server.page(body), [NAME], SITE)

    async def extra(town: Town, office: Office) -> None:
        await page(b"<title>over QUIC</title>")(town)

    found = measured(f"https://{NAME}/h3", World(extra=extra), office)
    keys = found["test_keys"]
    first, over_quic = keys["requests"]
    assert (first["network"], first["response"]["code"]) == ("tcp", 200)
    assert (over_quic["network"], over_quic["alpn"]) == ("udp", "h3")
    assert over_quic["x_page"]["title"] == "over QUIC"
    assert "x_http3" in over_quic["tags"]
    (shaken,) = keys["quic_handshakes"]
    assert (shaken["network"], shaken["failure"], shaken["negotiated_protocol"]) == (
        "udp", None, "h3",
    )  # fmt: skip
    assert shaken["peer_certificates"]
    assert {"quic_handshake_start", "quic_handshake_done"} <= {
        event["operation"] for event in keys["network_events"]
    }
    assert (keys["blocking"], keys["accessible"]) == (False, True)
    assert_others_can_read([found], tmp_path, model="WebConnectivity")


def test_every_control_can_be_heard(office, tmp_path):
    second = "162.55.247.209"
    other = {**seen(), "x_new": True}

    async def extra(town: Town, office: Office) -> None:
        context = office.context("valid", ["second.example"], alpn=["http/1.1"])
        await town.tcp(second, 443, control(other), context)

    controls = (
        Control(name="control.example", address=CONTROL),
        Control(name="second.example", address=second),
        Control(name="nobody.example", address="162.55.247.210"),
    )
    found = measured(
        HTTPS, World(extra=extra), office, made={"all_controls": True}, controls=controls
    )
    keys = found["test_keys"]
    assert keys["x_control_url"] == "https://control.example/"
    assert [(c["url"], c["answer"], c["failure"]) for c in keys["x_controls"]] == [
        ("https://second.example/", other, None),
        ("https://nobody.example/", None, "connection_refused"),
    ]
    assert_others_can_read([found], tmp_path)


def test_the_question_is_recorded_as_it_was_sent(office):
    asked: list[dict[str, Any]] = []

    async def noted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        asked.append(json.loads(await reader.readexactly(length)))
        writer.write(http(200, json.dumps(seen()).encode()))
        await writer.drain()

    async def extra(town: Town, office: Office) -> None:
        context = office.context("valid", ["control.example"], alpn=["http/1.1"])
        await town.tcp(CONTROL, 443, noted, context)

    keys = measured(HTTPS, World(controlled=False, extra=extra), office)["test_keys"]
    assert asked == [keys["x_control_request"]]
    assert asked[0]["http_request"] == HTTPS
    assert asked[0]["tcp_connect"] == [f"{SITE}:443", f"{SITE}:80"]


# -- experiments -------------------------------------------------------------------------------

FOUND = Finding(
    experiment="sni_swap", version=1, question="Is it the name?", layer="tls", depth=0,
    host=NAME, url=HTTPS, answer="name", words="It is.",
)  # fmt: skip


class Ending:
    """Experiments that find one thing and then end so."""

    def __init__(self, ends: str) -> None:
        self.ends = ends
        self.told: list[str] = []

    async def __call__(
        self, url, keys, seat, vantage, *, deep, rng, tell, findings
    ) -> list[Finding]:
        self.told.append(f"{url} {keys['blocking']} {deep}")
        findings.append(FOUND)
        if self.ends == "hang":
            tell("hanging")
            await asyncio.Event().wait()
        if self.ends == "break":
            raise ZeroDivisionError("a fault of ours")
        return findings


@pytest.mark.parametrize(
    ("ends", "failure"),
    [
        pytest.param("well", None, id="they end"),
        pytest.param("hang", TIMEOUT, id="they take too long"),
        pytest.param("break", "unknown_failure: ZeroDivisionError: a fault of ours", id="a fault"),
    ],
)
def test_what_experiments_found_is_kept_however_they_end(ends, failure, office):
    ending = Ending(ends)
    patience = Patience(late_s=0.02, experiment_s=0.1)
    made = {"experiments": ending}
    found = measured(HTTPS, World(raw_tls=resets), office, made=made, patience=patience)
    keys = found["test_keys"]
    assert ending.told == [f"{HTTPS} http-failure False"]
    assert [one["answer"] for one in keys["x_experiments"]] == ["name"]
    assert keys["x_experiments_failure"] == failure
    assert keys["tls_handshakes"][0]["failure"] is not None


def test_whoever_interrupts_the_experiments_still_has_the_first_pass(office):
    async def visiting(seat: Seat) -> dict[str, Any]:
        hanging = asyncio.Event()

        def tell(words: str) -> None:
            if words == "hanging":
                hanging.set()

        task = asyncio.ensure_future(measure(HTTPS, seat, tell=tell, experiments=Ending("hang")))
        await hanging.wait()
        task.cancel()
        return await task

    keys = run(office, World(), visiting)["test_keys"]
    assert keys["requests"][0]["response"]["code"] == 200
    assert keys["x_experiments_failure"] == INTERRUPTED
    assert len(keys["x_experiments"]) == 1


def test_whoever_interrupts_the_first_pass_has_nothing(office):
    async def visiting(seat: Seat) -> bool:
        started = asyncio.Event()
        task = asyncio.ensure_future(measure(HTTPS, seat, tell=lambda words: started.set()))
        await started.wait()
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert run(office, World(), visiting) is True


def test_without_experiments_there_are_none(office):
    ending = Ending("well")
    found = measured(HTTPS, World(), office, made={"investigate": False, "experiments": ending})
    assert ending.told == []
    assert "x_experiments" not in found["test_keys"]


def test_the_users_own_addresses_are_in_no_part_of_a_measurement(office):
    mine = "198.51.100.77"
    page = f"<title>{mine}</title> 198-51-100-77.dsl.example".encode()
    names = zone({**NAMES, "whoami.v4.powerdns.org": (mine,)})
    world = World(
        isp=names,
        plain=pages(lambda host, path: http(200, page, x_you=mine, set_cookie=f"ip={mine}")),
    )
    found = measured(HTTP, world, office, secrets=(mine,))
    text = json.dumps(found)
    assert mine not in text
    assert "198-51-100-77" not in text
