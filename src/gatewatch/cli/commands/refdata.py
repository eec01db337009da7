"""`gatewatch refdata`: the reference data in force, and how to renew it."""

from __future__ import annotations

from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.exits import ExitCode, UsageFault
from gatewatch.cli.root import app
from gatewatch.cli.session import Ended, Session, refdata_directory

group = typer.Typer(
    help="Reference data: networks, countries, fingerprints, test lists, services.",
    epilog="\b\nExamples:\n  gatewatch refdata list\n  gatewatch refdata update",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="refdata")


@command(group, "list", examples=["gatewatch refdata list", "gatewatch refdata list --json"])
def list_(session: Session) -> None:
    """The sets in force, each with its date, source, licence and hash."""
    from gatewatch.cli.sheet import sheet_of

    columns = ["name", "date", "rows", "origin", "licence", "source", "sha256"]
    datasets = session.refdata.datasets()
    document = {"refdata_version": session.refdata.version, "datasets": datasets}
    session.show(sheet_of(datasets, columns), document=document)


@command(
    group,
    "update",
    examples=[
        "gatewatch refdata update",
        "gatewatch refdata update --only networks",
        "gatewatch refdata update --from networks=file:///media/usb/networks.csv.gz",
    ],
)
def update(
    session: Session,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="This set only; may be repeated.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--from", help="name=address: fetch a set from there; may be repeated."),
    ] = None,
) -> None:
    """Fetch newer reference data and put it in force, set by set.

    A set that cannot be had leaves the old one in force: the exit code is then 5, or 6 when
    none could be had.
    """
    import datetime as dt

    from gatewatch.cli.sheet import sheet_of
    from gatewatch.refdata.update import update as run

    pairs = [given.partition("=") for given in source or []]
    if any(not name or not address for name, _, address in pairs):
        raise UsageFault("--from wants name=address")
    results = run(
        refdata_directory(),
        {name: address for name, _, address in pairs} or None,
        now=dt.datetime.now(dt.UTC),
        progress=session.say,
        only=only,
    )
    session.show(sheet_of(results, ["name", "state", "words"]), document=results)
    failed = sum(result.state == "failed" for result in results)
    if failed:
        raise Ended(ExitCode.UNREACHABLE if failed == len(results) else ExitCode.PARTIAL)
