"""Report ids have the form of OONI's, and prove by themselves that they were given out here."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis.strategies import integers, sampled_from

from gatewatch.model.errors import GatewatchError
from gatewatch.server.bodies import Refused
from gatewatch.server.keys import Keys
from gatewatch.server.report_ids import ReportIds

NOW = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
KEYS = Keys(b"k" * 32)
IDS = ReportIds(KEYS, "7")
ONE = IDS.open("web_connectivity", "IT", "30722", NOW)


def test_an_id_says_when_what_and_where():
    report = IDS.read(ONE)
    assert ONE.startswith("20260311T120000Z_webconnectivity_IT_30722_n7_")
    assert len(ONE.split("_")) == 6
    assert len(ONE.split("_")[5]) == 16
    assert (report.test, report.cc, report.asn) == ("webconnectivity", "IT", "30722")


def test_ids_of_the_same_second_network_and_test_differ():
    assert len({IDS.open("ndt", "IT", "1", NOW) for _ in range(1000)}) == 1000


@given(at=integers(0, len(ONE) - 1), letter=sampled_from("AZaz09_n"))
def test_an_id_with_any_other_letter_is_not_ours(at, letter):
    assume(ONE[at] != letter)
    with pytest.raises(Refused, match="Incorrect format"):
        IDS.read(ONE[:at] + letter + ONE[at + 1 :])


def test_another_servers_id_is_not_ours_even_under_our_name():
    with pytest.raises(Refused, match="not given out"):
        ReportIds(Keys(b"x" * 32), "7").read(ONE)


def test_the_secret_is_the_same_after_a_restart_and_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "incoming" / "secret"
    first = Keys.open(path)
    assert path.stat().st_mode & 0o777 == 0o600
    given_out = ReportIds(first).open("ndt", "IT", "1", NOW)
    assert ReportIds(Keys.open(path)).read(given_out).id == given_out


def test_a_damaged_secret_is_said_to_be_so(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"short")
    with pytest.raises(GatewatchError, match="5 bytes; wanted 32"):
        Keys.open(path)


@pytest.mark.parametrize(
    ("cc", "asn", "nowhere"), [("IT", "1", False), ("ZZ", "1", True), ("IT", "0", True)]
)
def test_nobody_knows_where_as0_and_zz_are(cc, asn, nowhere):
    assert IDS.read(IDS.open("ndt", cc, asn, NOW)).is_nowhere is nowhere
