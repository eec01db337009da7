"""Every command says how it is used, by example."""

from __future__ import annotations

import shlex

import pytest
from typer.testing import CliRunner

from gatewatch.cli.app import COMMANDS, load

GROUPS = {
    "control": ("serve", "status"),
    "lab": ("list", "show", "run", "check"),
    "refdata": ("list", "update"),
    "trace": ("run", "read"),
}
LINES = [(command,) for command in COMMANDS]
LINES += [(group, command) for group, commands in GROUPS.items() for command in commands]


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_every_help_ends_with_examples_of_that_command(line):
    result = CliRunner().invoke(load(), [*line, "--help"], prog_name="gatewatch")
    assert result.exit_code == 0
    _, found, examples = result.output.partition("Examples:")
    assert found
    shown = [text.strip() for text in examples.strip().splitlines()]
    assert shown
    assert all(" ".join(("gatewatch", *line)) in text for text in shown)


def test_every_example_can_be_parsed():
    """An example with an option that does not exist would be refused before it runs."""
    for line in LINES:
        told = CliRunner().invoke(load(), [*line, "--help"], prog_name="gatewatch").output
        for example in told.partition("Examples:")[2].strip().splitlines():
            command = example.partition("gatewatch ")[2].split(" | ")[0].split(" && ")[0]
            words = shlex.split(command.split(" > ")[0].split(" -- ")[0])
            result = CliRunner().invoke(load(), [*words, "--help"], prog_name="gatewatch")
            assert result.exit_code == 0, example


def test_the_list_of_commands_is_whole():
    told = CliRunner().invoke(load(), ["--help"]).output
    assert all(f"  {command} " in told for command in COMMANDS)
