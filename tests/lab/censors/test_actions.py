"""The table of actions: one for each that a scenario can name."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewatch.lab import censors
from gatewatch.lab.rules import Action, BlockPage, Drop, ForgeDns, Reset

NAMES = list(Action.__struct_fields__)


def test_every_action_of_a_scenario_is_in_the_table_in_the_order_it_is_taken():
    assert list(censors.ACTIONS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_action_has_a_file_of_its_own_that_a_stranger_can_read(name):
    act = censors.ACTIONS[name]
    file = Path(act.__code__.co_filename)
    assert (file.parent, file.stem) == (Path(censors.__file__).parent, name)
    assert len(file.read_text().splitlines()) < 80


@pytest.mark.parametrize(
    ("action", "swallows"),
    [
        (Action(reset=Reset()), False),
        (Action(reset=Reset(swallow=True)), True),
        (Action(reset=Reset(), drop=Drop()), True),
        (Action(reset=Reset(), drop=Drop(after_packets=1)), False),
        (Action(drop=Drop(after_kb=16)), False),
        (Action(forge_dns=ForgeDns(), block_page=BlockPage(page="odd", swallow=True)), True),
    ],
)
def test_a_censor_knows_whether_its_trigger_goes_on(action, swallows):
    assert censors.swallows(action) is swallows
