"""What the probe's tests share."""

from __future__ import annotations

import pytest

from gatewatch.lab.certificates import Office


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return Office(tmp_path_factory.mktemp("office"))
