"""A file is read with its worlds below it; one that cannot be says where, what and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewatch.lab.load import ECHO_MAX, NESTED_MAX, load
from gatewatch.lab.scenario import BadScenario
from gatewatch.model.errors import NotFound
from tests.lab.files import GOOD, RESET, changed, refusal, written

param = pytest.param


def test_a_small_world_can_be_written_in_one_file(tmp_path: Path):
    scenario = load(written(tmp_path, GOOD))
    assert (scenario.id, scenario.vantages) == ("world", ["isp"])


def test_a_page_may_come_without_a_status_line(tmp_path: Path):
    bare = 'action = { block_page = { page = "india", status = "none" } }'
    scenario = load(written(tmp_path, changed((RESET, bare))))
    page = scenario.censors[0].action.block_page
    assert page is not None
    assert page.status is None


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        param('title = "A world"', 'title = "A', "world.toml", "not TOML", id="no TOML"),
        param("words =", 'color = "red"\nwords =', "world.toml", "color", id="unknown key"),
        param("kind =", 'id = "x"\nkind =', "id", "file's name", id="an id of its own"),
        param('"leaf"', '"forest"', "world.toml", "forest", id="unknown kind"),
        param("asn = 137", 'asn = "137"', "networks.isp", "int", id="a number in quotes"),
        param(RESET, "action = {}", "censors[0] (resetter)", "does nothing", id="no action"),
        param(RESET, "action = { explode = {} }", "censors[0] (resetter)", "explode",
              id="an action that nobody knows"),
        param('outcome = "blocked"', 'outcome = "unclear"', "expect[0]", "unclear",
              id="a truth that is unclear"),
        param("words =", f"x = {'[' * 5000}{']' * 5000}\nwords =", "world.toml",
              f"at most {NESTED_MAX} levels", id="arrays without end"),
        param("words =", f"{'x.' * 5000}y = 1\nwords =", "world.toml",
              f"at most {NESTED_MAX} levels", id="keys without end"),
        param("asn = 137", f"asn = {'9' * 10_000}", "world.toml", "not TOML",
              id="a number that nobody can read"),
        param("asn = 137", f"asn = 0x{'f' * 10_000}", "networks.isp.asn", "40000 bits",
              id="a number that nobody can write"),
        param("words =", "x = nan\nwords =", "world.toml", "`x`", id="a key of no number"),
        param("kind =", 'extends = "../\\u0000"\nkind =', "extends", ".toml file",
              id="upon a file of no name"),
        param("kind =", 'extends = "/dev/zero"\nkind =', "extends", ".toml file",
              id="upon a file that never ends"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_scenario_says_where_and_what_is_wanted(
    tmp_path: Path, old: str, new: str, where: str, words: str
):
    said = refusal(tmp_path, changed((old, new)))
    assert where in said.where
    assert words in str(said)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        param("[networks.isp]", f"[networks.{'n' * 10_000}]", id="a name"),
        param('"leaf"', f'"{"k" * 10_000}"', id="a kind"),
        param("words =", f'{"w" * 10_000} = 1\nwords =', id="a key"),
        param('id = "resetter"', f'id = "{"i" * 10_000}"', id="an id"),
        param(RESET, f'action = {{ reset = {{ payload = "{"x" * 10_000}" }} }}', id="a value"),
        param('by = ["resetter"]', f'by = ["{"b" * 10_000}"]', id="an entry"),
        param("[[censors]]", f"[[censors]]\nx.{'y' * 10_000} = 1", id="a table"),
    ],
)  # fmt: skip
def test_no_error_repeats_more_than_can_be_read(tmp_path: Path, old: str, new: str):
    said = refusal(tmp_path, changed((old, new)))
    assert len(str(said)) < 3 * ECHO_MAX


def test_an_error_repeats_no_control_character(tmp_path: Path):
    said = refusal(tmp_path, changed(("[networks.isp]", '[networks."\\u001b[2J"]')))
    assert str(said).isprintable()


# -- worlds upon worlds -----------------------------------------------------------------------


def test_what_a_scenario_says_replaces_what_its_world_says(tmp_path: Path):
    at = GOOD.index("[hosts.site]")
    parts = 'title = "Ground"\nwords = "Firm."\n' + GOOD[GOOD.index("[networks.isp]") : at]
    site = GOOD[at : GOOD.index("[[censors]]")]
    (tmp_path / "ground.toml").write_text(parts + site, encoding="utf-8")
    own = site.replace("130.192.6.6", "130.192.8.8")
    head = 'title = "A world"\nwords = "Small."\nkind = "leaf"\nextends = "ground.toml"\n'
    scenario = load(written(tmp_path, head + own + GOOD[GOOD.index("[[censors]]") :]))
    assert list(scenario.hosts) == ["resolver", "control", "site"]
    assert scenario.hosts["site"].addresses == ("130.192.8.8",)


@pytest.mark.parametrize(
    ("world", "words"),
    [
        param(None, "cannot be read", id="no such file"),
        param('title = "W"\nwords = "W."\nextends = "ground.toml"', "no circle", id="on itself"),
        param('title = "W"\nwords = "W."\n[[censors]]\nid = "c"', "censors", id="with a censor"),
    ],
)
def test_a_bad_world_is_named(tmp_path: Path, world: str | None, words: str):
    if world is not None:
        (tmp_path / "ground.toml").write_text(world, encoding="utf-8")
    text = GOOD.replace('kind = "leaf"', 'kind = "leaf"\nextends = "ground.toml"')
    with pytest.raises(BadScenario, match=words):
        load(written(tmp_path, text))


def test_a_name_that_no_scenario_has_is_said_to_be_none():
    with pytest.raises(NotFound, match="no scenario 'atlantis'"):
        load("atlantis")
