"""How a service follows from its hosts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gatewatch.model.outcome import CellState
from gatewatch.publish.standing import Standing, combined

B, L, IMP, D, OPN, N = (
    CellState.BLOCKED,
    CellState.LIKELY_BLOCKED,
    CellState.IMPAIRED,
    CellState.DOWN,
    CellState.OPEN,
    CellState.INSUFFICIENT,
)


def standing(state: CellState) -> Standing:
    return Standing(
        state=state,
        share=None,
        low=None,
        high=None,
        votes={},
        measurements=3,
        reports=3,
        networks=1,
        first=None,
        last=None,
    )


def service(combine: str) -> Any:
    return SimpleNamespace(
        id="s", name="S", core=["a.org", ".b.org"], other=["c.org"], combine=combine
    )


@pytest.mark.parametrize(
    ("combine", "hosts", "state"),
    [
        pytest.param("any_core", {"a.org": B, "b.org": OPN}, B, id="one core host is enough"),
        pytest.param("any_core", {"a.org": OPN, "x.b.org": L}, L, id="beneath a core domain"),
        pytest.param("any_core", {"a.org": OPN, "b.org": D}, D, id="a dead part"),
        pytest.param("any_core", {"a.org": OPN, "c.org": B}, OPN, id="other hosts do not decide"),
        pytest.param("any_core", {"c.org": B}, N, id="other hosts alone say nothing"),
        pytest.param("any_core", {"a.org": N, "b.org": OPN}, OPN, id="too little does not speak"),
        pytest.param("any_core", {"a.org": N}, N, id="too little everywhere"),
        pytest.param("all_core", {"a.org": B, "b.org": OPN}, IMP, id="half of it works"),
        pytest.param("all_core", {"a.org": B, "b.org": B}, B, id="all of it is blocked"),
        pytest.param("all_core", {"a.org": B, "b.org": L}, L, id="as sure as the least sure part"),
        pytest.param("all_core", {"a.org": B}, IMP, id="the other half was not measured"),
        pytest.param("all_core", {"a.org": OPN, "b.org": OPN}, OPN, id="all of it is open"),
    ],
)
def test_a_service_stands_by_its_own_rule(combine, hosts, state):
    found = combined(service(combine), {host: standing(s) for host, s in hosts.items()})
    assert found is not None
    assert found.state is state
    assert found.measurements == 3 * len(hosts)


def test_a_service_nobody_measured_has_no_standing():
    assert combined(service("any_core"), {}) is None
