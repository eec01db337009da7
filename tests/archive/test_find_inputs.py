"""What the user's arguments name."""

from __future__ import annotations

import os

import pytest

from gatewatch.archive.reader import find_inputs
from gatewatch.model.errors import GatewatchError


@pytest.fixture
def here(tmp_path, monkeypatch):
    for name in ["b.jsonl", "a.json", "sub/c.gz", "sub/.hidden", ".git/x", "sub/d.part", "e~"]:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(arguments: list[str]) -> list[str]:
    return [os.path.relpath(path) for path in find_inputs(arguments)]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        pytest.param(["b.jsonl", "a.json"], ["b.jsonl", "a.json"], id="files, in the order given"),
        pytest.param(["."], ["a.json", "b.jsonl", "sub/c.gz"], id="a folder, sorted"),
        pytest.param(["*.json*"], ["a.json", "b.jsonl"], id="a pattern"),
        pytest.param(["**/*.gz"], ["sub/c.gz"], id="a deep pattern"),
        pytest.param(["s*"], ["sub/c.gz"], id="a pattern that meets a folder"),
        pytest.param(["a.json", "./a.json", "."], ["a.json", "b.jsonl", "sub/c.gz"], id="once"),
        pytest.param(["sub/.hidden", "e~"], ["sub/.hidden", "e~"], id="hidden, but asked for"),
    ],
)
def test_arguments_name_files(here, arguments, found):
    assert names(arguments) == found


def test_a_link_to_a_file_is_the_same_file(here):
    (here / "z.json").symlink_to("a.json")
    assert names(["a.json", "z.json"]) == ["a.json"]
    (here / "sub" / "loop").symlink_to(here)
    assert names(["sub"]) == ["sub/c.gz"]


def test_a_name_with_brackets_is_a_name_if_it_exists(here):
    (here / "[a].json").write_text("{}")
    assert names(["[a].json"]) == ["[a].json"]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("gone.json", "gone.json: no such file or folder"),
        ("*.nothing", r"\*.nothing: nothing matches"),
        (".git/empty", ".git/empty: no files in this folder"),
    ],
)
def test_what_names_nothing_is_an_error_that_says_so(here, argument, words):
    (here / ".git" / "empty").mkdir()
    with pytest.raises(GatewatchError, match=words):
        find_inputs(["a.json", argument])
