"""The user's own addresses come back everywhere, and are in nothing that is recorded."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import msgspec
import pytest

from gatewatch.lab.certificates import Office
from gatewatch.probe.experiments.blockdiff import blockdiff
from gatewatch.probe.experiments.common.inputs import Pace
from gatewatch.probe.experiments.registry import EXPERIMENTS
from gatewatch.probe.experiments.web_connectivity import measure
from gatewatch.probe.proxy import Proxy
from gatewatch.probe.scrub import Scrubber
from gatewatch.probe.seat import Anchor, Control, Patience, Seat
from gatewatch.refdata.snapshot import load
from tests.judge.reading import observe
from tests.probe.everywhere import Everywhere, Plants, leaks
from tests.probe.test_scrub import SPELT, V4, V6
from tests.probe.town import PROBE

PLANTS = Plants(v4=V4, v6=V6, spelt=[str(one.values[0]) for one in SPELT])
ENDPOINTS = load().endpoints()
URL = "http://www.example.org/"
PATIENCE = Patience(
    dns_s=0.4, connect_s=0.4, tls_s=0.6, quic_s=0.6, http_s=0.6, control_s=1.0, late_s=0.05,
    experiment_s=2.0,
)  # fmt: skip
GARBLES = pytest.mark.parametrize("garbles", [False, True], ids=["servers", "babble"])


def seat(town: Everywhere, office: Office, **about: Any) -> Seat:
    return Seat(
        **{
            "asn": 137,
            "country": "IT",
            "network": "Consortium GARR",
            "addresses": (),
            "resolver": "130.192.3.21",
            "udp_resolvers": ("8.8.8.8",),
            "doh_resolvers": (("dns.google", "8.8.8.8"),),
            "controls": (Control(name="control.example", address="162.55.247.208"),),
            "anchors": (Anchor(name="anchor.example", address="198.51.100.4"),),
            "ca": office.ca_file,
            "reach": town,
            "patience": PATIENCE,
            "secrets": (V4, V6),
            "quic": True,
            **about,
        }
    )


def there(
    office: Office, work: Callable[[Seat], Any], *, garbles: bool = False, **about: Any
) -> Any:
    """What a measurement at that place comes to."""

    async def go() -> Any:
        async with Everywhere(PLANTS, office, garbles=garbles) as town:
            found = await work(seat(town, office, **about))
            assert town.came, "it contacts somebody"
            return found

    return asyncio.run(go())


INPUTS = (
    URL, "https://www.example.org/", "tcpconnect://www.example.org:443",
    "tlshandshake://www.example.org:443", "quichandshake://www.example.org:443",
)  # fmt: skip
"One that a test does not take costs nothing."


async def every_input(name: str, seat: Seat) -> list[Any]:
    """What a test records, of every input that it may take."""
    test: Any = EXPERIMENTS[name]
    if "pace" in {field.name for field in fields(test)}:
        test = replace(test, pace=Pace(times=2, gap_s=0.0, timeout_s=0.3))
    given = (*INPUTS, *test.inputs(ENDPOINTS)[:1]) if test.takes == "url" else (None,)
    return [await test.run(one, seat, random.Random(7)) for one in given]


@GARBLES
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_test_records_the_users_address(name, garbles, office):
    found = there(office, lambda seat: every_input(name, seat), garbles=garbles)
    assert leaks(found, PLANTS) == []
    for one in found:
        told = {**one, "report_id": "20260301T120000Z_x_IT_137_n1_0000000000000000"}
        assert observe(told).measurement.test_name == name, "what is left of it can be read"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_test_meets_it(name, office):
    found = there(office, lambda seat: every_input(name, seat), secrets=())
    assert leaks([one["test_keys"] for one in found], PLANTS)


@GARBLES
def test_deep_experiments_record_no_address(garbles, office):
    async def work(seat: Seat) -> Any:
        longer = replace(seat, patience=replace(PATIENCE, experiment_s=8.0))
        return await measure("https://www.example.org/", longer, deep=True, rng=random.Random(7))

    found = there(office, work, garbles=garbles)
    assert found["test_keys"]["x_experiments"]
    assert leaks(found, PLANTS) == []


def test_without_secrets_all_of_it_would_be_there(office):
    async def work(seat: Seat) -> Any:
        return await measure(URL, seat, investigate=False)

    found = "\n".join(leaks(there(office, work, secrets=()), PLANTS))
    for where in (
        "response.body", "headers.Location", "headers.Set-Cookie", "answers", "raw_response",
        "x_dns_whoami", "peer_certificates", "control.http_request.title", "x_number", "x_octets",
        "x_dns_duplicate_responses",
    ):  # fmt: skip
        assert where in found


def test_an_interrupted_measurement_records_no_address(office):
    async def work(seat: Seat) -> Any:
        async def endless(*_: Any, **__: Any) -> Any:
            measuring.cancel()
            await asyncio.Event().wait()

        measuring = asyncio.ensure_future(
            measure(URL, seat, experiments=endless, rng=random.Random(7))
        )
        return await measuring

    found = there(office, work)
    assert found["test_keys"]["x_experiments_failure"] == "interrupted"
    assert leaks(found, PLANTS) == []


def test_an_address_that_sockets_are_bound_to_is_one_of_the_users(office):
    plants = Plants(v4=PROBE, v6="2001:db8:5:6::7", spelt=[PROBE])

    async def go() -> Any:
        async with Everywhere(plants, office) as town:
            here = seat(town, office, addresses=(PROBE, plants.v6), secrets=())
            return await measure(URL, here, investigate=False)

    assert leaks(asyncio.run(go()), plants) == []


@pytest.mark.parametrize("proxied", [False, True], ids=["seat", "proxy"])
def test_two_vantages_side_by_side_show_neithers_address(proxied, office):
    other = Proxy(scheme="socks5", address="198.51.100.8", port=1080)

    async def work(seat: Seat) -> Any:
        two = replace(seat, secrets=(V6,))
        one = replace(seat, secrets=(V4,))
        return await blockdiff([URL, "https://www.example.org/x"], one, other if proxied else two)

    rows = msgspec.to_builtins(there(office, work, secrets=(V4, V6)))
    if proxied:
        rows = Scrubber([V6]).clean(rows)  # of the proxy alone
    assert leaks(rows, PLANTS) == []


SAME_LENGTH = "130.192.91.218"
"Another address that would make pages and certificates as long."


def test_no_hash_tells_one_address_from_another(office):
    """All that there is of a page is the same for two users whose addresses alone differ."""

    def seen(address: str) -> Any:
        spelt = [str(one).replace(V4, address) for one in PLANTS.spelt[:1]]
        plants = Plants(v4=address, v6=V6, spelt=spelt)

        async def go() -> Any:
            async with Everywhere(plants, office) as town:
                here = seat(town, office, secrets=(address, V6))
                return await measure(URL, here, investigate=False, rng=random.Random(7))

        return [one.get("x_page") for one in asyncio.run(go())["test_keys"]["requests"]]

    one, other = seen(V4), seen(SAME_LENGTH)
    assert any(one)
    assert {json.dumps(page) for page in one} == {json.dumps(page) for page in other}
