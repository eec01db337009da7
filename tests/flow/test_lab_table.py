"""The judge held against known truth: how each answer counts, and the table it makes."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest

from gatewatch.cli.human import console
from gatewatch.cli.views.lab import view_of
from gatewatch.flow.lab import Kind, check, compare, kind_of, place, verdicts_of
from gatewatch.lab.truth import Truth
from gatewatch.model.mechanism import ALL, LEAVES
from gatewatch.model.outcome import Outcome
from gatewatch.model.verdict import Verdict
from gatewatch.simulate import probe
from gatewatch.simulate.network import Network
from tests.judge.reading import read, refdata

RECORD = probe.measure(Network(), "https://www.example.org/")
SOME = read(RECORD)


def verdict(outcome: str, *mechanisms: str) -> Verdict:
    reason = "no_control" if outcome == "unclear" else None
    return msgspec.structs.replace(
        SOME, outcome=outcome, mechanisms=list(mechanisms), reason=reason, sentence="So it is."
    )


def truth(
    outcome: str, *mechanisms: str, accept: tuple[str, ...] = (), id: str = "m", name: str = "here"
) -> Truth:
    return Truth(
        measurement=id,
        scenario=name,
        network="isp",
        url="https://www.example.org/",
        outcome=outcome,
        mechanisms=mechanisms,
        accept=accept,
    )


NX, RST = "dns.nxdomain", "tls.reset.sni"


@pytest.mark.parametrize(
    ("true", "said", "kind"),
    [
        (truth("blocked", NX), verdict("blocked", NX), Kind.FOUND),
        (truth("blocked", RST), verdict("blocked", "tls.reset"), Kind.FOUND),
        (truth("blocked", RST), verdict("blocked", "tls"), Kind.FOUND),
        (truth("blocked", RST), verdict("blocked", NX, "tls.reset"), Kind.FOUND),
        (truth("blocked", NX, RST), verdict("blocked", RST), Kind.FOUND),
        (truth("blocked", RST), verdict("blocked", NX), Kind.WRONG_MECHANISM),
        (truth("blocked", "tls.reset"), verdict("blocked", "tls.timeout"), Kind.WRONG_MECHANISM),
        (truth("blocked", RST), verdict("blocked"), Kind.WRONG_MECHANISM),
        (truth("blocked", RST), verdict("open"), Kind.MISSED),
        (truth("blocked", RST), verdict("down"), Kind.MISSED),
        (truth("blocked", RST), verdict("server_side"), Kind.MISSED),
        (truth("blocked", RST), verdict("unclear", "tls.reset"), Kind.MISSED),
        (truth("blocked", RST, accept=("unclear",)), verdict("unclear"), Kind.ACCEPTED),
        (truth("blocked", RST, accept=("unclear",)), verdict("open"), Kind.MISSED),
        (truth("open"), verdict("open"), Kind.RIGHT),
        (truth("down"), verdict("down"), Kind.RIGHT),
        (truth("server_side"), verdict("server_side"), Kind.RIGHT),
        (truth("open"), verdict("blocked", NX), Kind.FALSE_ALARM),
        (truth("down"), verdict("blocked", NX), Kind.FALSE_ALARM),
        (truth("open"), verdict("unclear"), Kind.UNDECIDED),
        (truth("open", accept=("unclear",)), verdict("unclear"), Kind.ACCEPTED),
        (truth("open"), verdict("down"), Kind.WRONG_OUTCOME),
        (truth("server_side", accept=("open",)), verdict("open"), Kind.ACCEPTED),
        (truth("open"), None, Kind.UNMEASURED),
        (truth("blocked", NX, accept=("unclear",)), None, Kind.UNMEASURED),
    ],
)
def test_an_answer_counts_by_how_it_stands_to_the_truth(true, said, kind):
    assert kind_of(true, said) is kind


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.UNCLEAR])
@pytest.mark.parametrize("said", list(Outcome))
def test_only_what_is_blocked_can_be_missed_and_only_the_rest_be_a_false_alarm(outcome, said):
    kind = kind_of(truth(outcome, RST), verdict(said, NX))
    blocked = outcome is Outcome.BLOCKED
    assert (kind is Kind.MISSED) == (blocked and said is not Outcome.BLOCKED)
    assert (kind is Kind.FALSE_ALARM) == (not blocked and said is Outcome.BLOCKED)


@pytest.mark.parametrize(
    ("true", "said", "cell"),
    [
        (truth("blocked", RST), verdict("blocked", "tls.reset"), (RST, "tls.reset")),
        (truth("blocked", NX, RST), verdict("blocked", RST), (RST, RST)),
        (truth("blocked", RST), verdict("blocked", NX, "tls.reset"), (RST, "tls.reset")),
        (truth("blocked", RST), verdict("blocked", NX), (RST, NX)),
        (truth("blocked", RST), verdict("blocked"), (RST, "blocked")),
        (truth("blocked", RST), verdict("unclear", "tls.reset"), (RST, "unclear")),
        (truth("open"), verdict("open"), ("open", "open")),
        (truth("open"), verdict("blocked", NX), ("open", NX)),
        (truth("down"), None, ("down", "unmeasured")),
    ],
)
def test_a_measurement_stands_in_one_cell_of_the_table(true, said, cell):
    compared = compare(true, said)
    assert (compared.row, compared.column) == cell


TRUTHS = [
    truth("blocked", RST, id="1", name="russia"),
    truth("blocked", RST, id="2", name="russia"),
    truth("blocked", NX, id="3", name="italy"),
    truth("blocked", NX, id="4", name="italy", accept=("unclear",)),
    truth("open", id="5", name="innocent"),
    truth("open", id="6", name="innocent"),
]
VERDICTS = {
    "1": verdict("blocked", "tls.reset"),
    "2": verdict("open"),
    "3": verdict("blocked", NX),
    "4": verdict("unclear"),
    "5": verdict("open"),
    "6": verdict("blocked", "http"),
}


def test_the_report_adds_up():
    report = check(TRUTHS, VERDICTS)
    assert (report.measurements, report.good) == (6, 4)
    assert sum(report.totals.values()) == sum(cell.count for cell in report.confusion) == 6
    assert {kind: n for kind, n in report.totals.items() if n} == {
        "found": 2,
        "right": 1,
        "accepted": 1,
        "missed": 1,
        "false_alarm": 1,
    }


def test_recall_leaves_out_what_need_not_be_found():
    recalls = {one.mechanism: one for one in check(TRUTHS, VERDICTS).recall}
    assert recalls[NX].recall == 1.0
    assert (recalls[NX].measurements, recalls[NX].accepted) == (2, 1)
    assert recalls[RST].recall == 0.5
    (only,) = check([TRUTHS[3]], VERDICTS).recall
    assert only.recall is None


def test_the_report_is_the_same_whatever_order_the_truths_come_in():
    there, back = check(TRUTHS, VERDICTS), check(TRUTHS[::-1], dict(reversed(VERDICTS.items())))
    assert msgspec.json.encode(there) == msgspec.json.encode(back)
    assert msgspec.json.decode(msgspec.json.encode(there))["schema"] == "gatewatch.lab.check/1"


def test_rows_stand_in_the_order_of_the_taxonomy_and_outcomes_after_them():
    labels = sorted([*ALL, "open", "down"], key=place)
    assert labels[-2:] == ["down", "open"]
    assert [label for label in labels if label in LEAVES] == list(LEAVES)
    assert labels.index("tls") < labels.index("tls.reset") < labels.index("tls.reset.sni")


def test_verdicts_are_known_by_the_records_id_and_by_its_file(tmp_path: Path):
    for stem, uid in (("lab-a-isp-0", "lab-a-isp-0"), ("lab-a-isp-1", None)):
        record = {**RECORD, "measurement_uid": uid} if uid else RECORD
        (tmp_path / f"{stem}.jsonl").write_bytes(msgspec.json.encode(record) + b"\n")
    (tmp_path / "lab-a-isp-2.jsonl").write_bytes(b"no record\n")
    found = verdicts_of(sorted(tmp_path.iterdir()), refdata())
    assert {"lab-a-isp-0", "lab-a-isp-1"} <= found.keys()
    assert "lab-a-isp-2" not in found


def test_people_read_what_was_right_and_what_was_not():
    out = io.StringIO()
    for shown in view_of(check(TRUTHS, VERDICTS, unconfirmed=["x: nobody acted"])):
        console(out).print(shown)
    text = out.getvalue()
    assert "4 of 6 measurements as they are" in text
    assert "missed  russia: https://www.example.org/ on isp" in text
    assert "false alarm  innocent" in text
    assert "tls.reset.sni, a reset caused by the server name" in text
    assert "x: nobody acted" in text
