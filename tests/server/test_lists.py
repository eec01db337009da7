"""What is to be measured: the least measured of what matters most comes first."""

from __future__ import annotations

import asyncio

import pytest

from gatewatch.refdata.snapshot import RefData
from gatewatch.refdata.testlists import Listed
from gatewatch.server.lists import Lists, Rule
from tests.server.control import (
    ABOUT,
    Known,
    get,
    measurement,
    post,
    with_control,
)

NEWS, GAMBLING, LOCAL = (
    "https://www.example.com/",
    "https://gambling.example/",
    "https://giornale.example/",
)


class Counted:
    """So often each URL was measured lately."""

    def __init__(self, **times: int) -> None:
        self.times = {url: times.get(name, 0) for name, url in URLS.items()}

    async def __call__(self, asked):
        return [self.times.get(url, 0) for _, url in asked]


URLS = {"news": NEWS, "gambling": GAMBLING, "local": LOCAL}


@pytest.mark.parametrize(
    ("times", "order"),
    [
        pytest.param({}, [NEWS, LOCAL, GAMBLING], id="nothing measured: by what matters"),
        pytest.param({"news": 1}, [LOCAL, GAMBLING, NEWS], id="measured once: behind all others"),
        pytest.param(
            {"news": 7, "local": 5, "gambling": 1}, [LOCAL, GAMBLING, NEWS], id="by the quotient"
        ),
    ],
)
def test_the_least_measured_of_what_matters_most_comes_first(times, order):
    pages = asyncio.run(Lists(Known(), Counted(**times)).pages("IT", None, 10))
    assert [page.url for page in pages] == order


@pytest.mark.parametrize(
    ("rules", "urls"),
    [
        pytest.param([Rule(1)], {NEWS, GAMBLING, LOCAL}, id="all alike"),
        pytest.param([Rule(1), Rule(-1, category="GMB")], {NEWS, LOCAL}, id="nothing left of it"),
        pytest.param([Rule(1, cc="FR")], set(), id="for another country"),
        pytest.param([Rule(1, domain="giornale.example")], {LOCAL}, id="one domain"),
        pytest.param([Rule(1, url=GAMBLING)], {GAMBLING}, id="one URL"),
    ],
)
def test_what_has_no_priority_is_not_listed(rules, urls):
    pages = asyncio.run(Lists(Known(), Counted(), rules).pages("IT", None, 10))
    assert {page.url for page in pages} == urls


@pytest.mark.parametrize(
    ("query", "urls"),
    [
        ("probe_cc=IT", [NEWS, LOCAL, GAMBLING]),
        ("country_code=IT", [NEWS, LOCAL, GAMBLING]),
        ("probe_cc=it&limit=1", [NEWS]),
        ("probe_cc=IT&category_codes=GMB,CTRL", [GAMBLING]),
        ("probe_cc=ZZ", [NEWS, GAMBLING]),
        ("", [NEWS, GAMBLING]),
    ],
)
def test_lists_are_asked_for_as_at_oonis(tmp_path, query, urls):
    async def talk(control):
        return (await get(control, f"/api/v1/test-list/urls?{query}")).json

    told = with_control(tmp_path, talk)
    assert [one["url"] for one in told["results"]] == urls
    assert told["metadata"]["count"] == len(urls)
    assert {one["country_code"] for one in told["results"]} <= {"XX", "IT"}


@pytest.mark.parametrize(
    "query", ["probe_cc=ITA", "probe_cc=1", "limit=x", "category_codes=A;B", "limit=99999999"]
)
def test_what_is_no_question_is_refused(tmp_path, query):
    async def talk(control):
        return await get(control, f"/api/v1/test-list/urls?{query}")

    assert with_control(tmp_path, talk).status == 400


def test_without_lists_the_answer_is_empty_and_says_why(tmp_path):
    async def talk(control):
        check_in = {"probe_cc": "IT", "probe_asn": "AS1", "run_type": "manual"}
        urls = (await get(control, "/api/v1/test-list/urls?probe_cc=IT")).json
        return urls, (await post(control, "/api/v1/check-in", check_in)).json

    urls, told = with_control(tmp_path, talk, refdata=RefData())
    assert urls["results"] == []
    assert "refdata update" in urls["metadata"]["reason"]
    assert told["tests"]["web_connectivity"]["urls"] == []
    assert "refdata update" in told["tests"]["web_connectivity"]["reason"]


@pytest.mark.parametrize(
    ("asked", "many"),
    [
        pytest.param({"run_type": "manual"}, 150, id="by hand: the whole list"),
        pytest.param({"run_type": "timed", "charging": True}, 100, id="at the charger"),
        pytest.param({"run_type": "timed", "charging": False}, 20, id="on battery"),
        pytest.param({"run_type": "timed"}, 20, id="nobody knows"),
    ],
)
def test_a_run_that_nobody_started_is_short(tmp_path, asked, many):
    long = Known()
    long.rows = [Listed("global", f"https://site{n}.example/", "NEWS") for n in range(150)]

    async def talk(control):
        return (await post(control, "/api/v1/check-in", {**asked, "probe_cc": "IT"})).json

    told = with_control(tmp_path, talk, refdata=long)
    assert len(told["tests"]["web_connectivity"]["urls"]) == many


def test_a_url_that_was_submitted_is_less_wanted(tmp_path):
    async def talk(control):
        report = (await post(control, "/report", ABOUT)).json["report_id"]
        content = {**measurement(), "input": NEWS}
        await post(control, f"/report/{report}", {"content": content})
        return (await get(control, "/api/v1/test-list/urls?probe_cc=IT")).json

    assert [one["url"] for one in with_control(tmp_path, talk)["results"]][-1] == NEWS


def test_tor_is_tried_at_its_directories_and_relays_and_not_at_bridges_without_their_secrets(
    tmp_path,
):
    async def talk(control):
        return (await get(control, "/api/v1/test-list/tor-targets?country_code=IT")).json

    targets = with_control(tmp_path, talk).values()
    assert {one["protocol"] for one in targets} == {"dir_port", "or_port_dirauth"}
    assert {"128.31.0.39:9131", "128.31.0.39:9101"} <= {one["address"] for one in targets}
