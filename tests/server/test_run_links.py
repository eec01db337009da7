"""OONI Run links are files of the operator, served as OONI's API serves them."""

from __future__ import annotations

import json

import pytest

from gatewatch.model.errors import GatewatchError
from gatewatch.server.app import Settings
from tests.server.control import ROOMY, get, post, with_control

FIRST = {
    "name": "Elections",
    "short_description": "Sites of the campaign",
    "author": "someone@example.org",
    "expiration_date": "2026-03-01T00:00:00Z",
    "date_created": "2026-01-01T00:00:00Z",
    "nettests": [
        {"test_name": "web_connectivity", "inputs": ["https://www.example.com/"]},
        {"test_name": "telegram"},
    ],
}
SECOND = {
    **FIRST,
    "expiration_date": "2027-01-01T00:00:00Z",
    "nettests": [{"test_name": "web_connectivity", "targets_name": "websites_list_prioritized"}],
}
NAME = "/api/v2/oonirun/links/10009"


def folder_of(tmp_path, **files: object):
    folder = tmp_path / "links"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name[1:]}.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def ask(tmp_path):
    folder = folder_of(tmp_path, _10009=FIRST)
    (folder / "10009.2.json").write_text(json.dumps(SECOND))
    (folder / "README.txt").write_text("not a link")

    def ask(talk):
        return with_control(tmp_path, talk, Settings(intake=ROOMY, run_links=folder))

    return ask


def test_the_newest_revision_is_the_link(ask):
    async def talk(control):
        link = (await get(control, NAME)).json
        listed = (await get(control, "/api/v2/oonirun/links")).json
        first = (await get(control, f"{NAME}/full-descriptor/1")).json
        return link, listed, first

    link, listed, first = ask(talk)
    assert listed == {"oonirun_links": [link]}
    assert (link["oonirun_link_id"], link["revision"], link["is_expired"]) == ("10009", "2", False)
    assert (first["revision"], first["is_expired"], first["is_mine"]) == ("1", True, False)
    assert first["nettests"][0]["inputs"] == ["https://www.example.com/"]
    assert first["date_created"] == "2026-01-01T00:00:00Z"


def test_an_engine_is_told_what_to_run_with_the_dynamic_list_filled_in(ask):
    asked = {
        "is_charging": True,
        "run_type": "manual",
        "probe_cc": "IT",
        "probe_asn": "AS1",
        "network_type": "wifi",
        "website_category_codes": ["NEWS"],
    }

    async def talk(control):
        latest = await post(control, f"{NAME}/engine-descriptor/latest", asked)
        return latest, (await post(control, f"{NAME}/engine-descriptor/1", asked)).json

    latest, first = ask(talk)
    assert latest.headers["vary"] == "X-OONI-Credentials"
    assert set(latest.json) == {"revision", "date_created", "nettests"}
    (nettest,) = latest.json["nettests"]
    assert nettest["inputs"] == ["https://www.example.com/", "https://giornale.example/"]
    assert nettest["inputs_extra"][1] == {"category_code": "NEWS", "country_code": "IT"}
    assert [one["test_name"] for one in first["nettests"]] == ["web_connectivity", "telegram"]


@pytest.mark.parametrize(
    "path", ["1", "10009/full-descriptor/3", "10009/full-descriptor/x", "..%2f10009", "١"]
)
def test_what_is_no_link_is_not_found(ask, path):
    async def talk(control):
        return await get(control, f"/api/v2/oonirun/links/{path}")

    assert ask(talk).status == 404


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"name": "x"}, "nettests"),
        ([], "descriptor"),
        ({**FIRST, "expiration_date": "2026-01-01T00:00:00"}, "zone"),
        ({**FIRST, "nettests": [{"test_name": "x", "targets_name": "other"}]}, "targets_name"),
    ],
)
def test_a_file_that_is_no_descriptor_stops_the_server_from_starting(tmp_path, content, words):
    folder = folder_of(tmp_path, _1=content)

    async def talk(control):
        raise AssertionError("it started")

    with pytest.raises(GatewatchError, match=words):
        with_control(tmp_path, talk, Settings(intake=ROOMY, run_links=folder))
