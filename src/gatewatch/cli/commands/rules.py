"""`gatewatch rules`: the rules of the judge, as they stand."""

from __future__ import annotations

from gatewatch.cli.command import command
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(app, "rules", examples=["gatewatch rules", "gatewatch rules --csv -o rules.csv"])
def rules(session: Session) -> None:
    """Every rule a measurement is judged by: what it looks for, what it speaks for, its weight."""
    from gatewatch.cli.sheet import Sheet
    from gatewatch.judge.rules import RULES, RULES_VERSION

    columns = ["id", "layer", "control", "evidence_for", "weight", "mechanism", "words", "source"]
    rows = [tuple(getattr(rule, name) for name in columns) for rule in RULES]
    session.detail(f"rule set {RULES_VERSION}; weights in nats")
    session.show(Sheet(columns, rows))
