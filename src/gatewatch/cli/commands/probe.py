"""`gatewatch probe`: measure from this machine, look at what was measured, hand it in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.exits import ExitCode, UsageFault
from gatewatch.cli.root import app
from gatewatch.cli.session import Ended, Format, Session

group = typer.Typer(
    help="Measure what this network lets through, and how it filters the rest.",
    epilog="\b\nExamples:\n"
    "  gatewatch probe run -i https://www.example.org/\n"
    "  gatewatch probe list\n"
    "  gatewatch probe show last",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="probe")

SpoolAt = Annotated[
    Path | None,
    typer.Option("--spool", envvar="GATEWATCH_SPOOL", help="Default: the user's data directory."),
]
Name = Annotated[str, typer.Argument(help="A run's id, the beginning of one, or `last`.")]


@command(
    group,
    "run",
    examples=[
        "gatewatch probe run -i https://www.example.org/ --control https://th.example.net/",
        "gatewatch probe run --list ir --control ooni -o ir.jsonl --rate 2",
        "gatewatch probe run --service telegram --service signal --deep",
        "gatewatch probe run -f urls.txt --yes --jsonl | gatewatch judge -",
    ],
)
def run(
    session: Session,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", "-i", help="A URL; may be given again.")
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", "-f", help="URLs, one a line; - is standard input."),
    ] = None,
    lists: Annotated[
        list[str] | None, typer.Option("--list", help="A country's test list, such as ir.")
    ] = None,
    services: Annotated[
        list[str] | None, typer.Option("--service", help="A service, such as telegram.")
    ] = None,
    experiments: Annotated[
        list[str] | None,
        typer.Option("--experiment", help="Tests or groups of them; `probe tests` lists them."),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also hops, residual times, throughput: takes minutes.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="No experiments on how something is blocked.")
    ] = False,
    controls: Annotated[
        list[str] | None,
        typer.Option(
            "--control",
            envvar="GATEWATCH_CONTROL",
            help="Base URL of a control vantage; `ooni` for OONI's.",
        ),
    ] = None,
    anchors: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            envvar="GATEWATCH_ANCHOR",
            help="NAME=ADDRESS of a server of ours for experiments.",
        ),
    ] = None,
    asn: Annotated[
        str | None,
        typer.Option("--asn", envvar="GATEWATCH_ASN", help="The network we are in: AS137."),
    ] = None,
    country: Annotated[
        str | None,
        typer.Option("--country", "-c", envvar="GATEWATCH_COUNTRY", help="Where we are: IT."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", envvar="GATEWATCH_CA", help="PEM file of the authorities to trust."),
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64)] = 16,
    rate: Annotated[
        float, typer.Option("--rate", min=0.01, help="Measurements begun in a second, at most.")
    ] = 5.0,
    budget: Annotated[
        float | None, typer.Option("--budget", min=0.0, help="Seconds after which none is begun.")
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", help="Again and again, such as 6h, until interrupted.")
    ] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="In an order of chance.")] = False,
    seed: Annotated[int | None, typer.Option("--seed", help="Decides what chance decides.")] = None,
    spool: SpoolAt = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Consent; do not ask.")] = False,
) -> None:
    """Measure, and keep the measurements on this machine; nothing is uploaded.

    Before anything is sent it says who will be contacted and what can be seen by whom. -o FILE
    writes every measurement there as it is made, a line of JSON each, in OONI's format; so does
    --jsonl to standard output. The result for people is a line for each: what it came to, and how.
    """
    from gatewatch.cli.probe_rounds import ProbeOptions, run_probe

    if deep and plain:
        raise UsageFault("--deep and --plain are opposites")
    code = run_probe(
        session,
        ProbeOptions(
            urls=tuple(inputs or ()),
            files=tuple(files or ()),
            lists=tuple(lists or ()),
            services=tuple(services or ()),
            tests=tuple(experiments or ()),
            deep=deep,
            investigate=not plain,
            controls=tuple(controls or ()),
            anchors=tuple(anchors or ()),
            asn=asn,
            country=country,
            ca=ca,
            parallel=parallel,
            rate=rate,
            budget_s=budget,
            every=every,
            shuffle=shuffle,
            seed=seed,
            spool=spool,
            yes=yes,
        ),
    )
    raise Ended(code)


@command(
    group,
    "diff",
    examples=[
        "gatewatch probe diff -i https://www.example.org/ --through socks5://192.0.2.1:1080",
        "gatewatch probe diff --list ir --with measured-elsewhere.jsonl --csv",
    ],
)
def diff(
    session: Session,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", "-i", help="A URL; may be given again.")
    ] = None,
    files: Annotated[
        list[Path] | None, typer.Option("--file", "-f", help="URLs, one a line; - is stdin.")
    ] = None,
    lists: Annotated[
        list[str] | None, typer.Option("--list", help="A country's test list, such as ir.")
    ] = None,
    through: Annotated[
        str | None, typer.Option("--through", help="A SOCKS5 or HTTP proxy elsewhere.")
    ] = None,
    measured: Annotated[
        Path | None, typer.Option("--with", help="What another machine measured: JSON Lines.")
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", envvar="GATEWATCH_CA", help="PEM file of authorities to trust."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Consent; do not ask.")] = False,
) -> None:
    """The same list through two networks, side by side, step by step.

    A difference says at which step the two part, and not whose doing it is.
    """
    from gatewatch.cli.probe_diff import diff_probe

    raise Ended(
        diff_probe(
            session,
            urls=tuple(inputs or ()),
            files=tuple(files or ()),
            lists=tuple(lists or ()),
            through=through,
            measured=measured,
            ca=ca,
            yes=yes,
        )
    )


@command(group, "tests", examples=["gatewatch probe tests", "gatewatch probe tests --json"])
def tests(session: Session) -> None:
    """The tests there are: what each asks, and what it takes."""
    from gatewatch.cli.sheet import sheet_of
    from gatewatch.probe.experiments.registry import EXPERIMENTS, GROUPS

    rows = [
        {
            "test": test.name,
            "version": test.version,
            "groups": [name for name, members in GROUPS.items() if test in members],
            "input": test.takes,
            "question": test.question,
        }
        for test in EXPERIMENTS.values()
    ]
    session.show(sheet_of(rows, ["test", "version", "groups", "input", "question"]), document=rows)


@command(group, "list", examples=["gatewatch probe list", "gatewatch probe list --json"])
def list_(session: Session, spool: SpoolAt = None) -> None:
    """The runs on this machine, the newest first."""
    from gatewatch.cli.views.probe import show_runs

    show_runs(session, spool)


@command(
    group,
    "show",
    examples=["gatewatch probe show last", "gatewatch probe show last --jsonl > run.jsonl"],
)
def show(session: Session, name: Name, spool: SpoolAt = None) -> None:
    """What a run came to; with --jsonl its measurements as they are."""
    from gatewatch.cli.probe_machine import spool_at
    from gatewatch.cli.views.probe import show_run

    run = spool_at(spool).run(name)
    if session.format is Format.JSONL:
        with session.sink() as sink:
            for line in run.lines():
                sink.write(line + b"\n")
        return
    show_run(session, run)


@command(
    group,
    "submit",
    examples=["gatewatch probe submit last --collector https://collector.example.net"],
)
def submit(
    session: Session,
    name: Name,
    collector: Annotated[str, typer.Option("--collector", help="Base URL of a collector.")],
    ca: Annotated[Path | None, typer.Option("--ca", help="PEM file to trust.")] = None,
    spool: SpoolAt = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Consent; do not ask.")] = False,
) -> None:
    """Hand a run's measurements to a collector, each once; what is handed in is public from then.

    It can be repeated after a failure: what the collector has is not sent again.
    """
    from gatewatch.cli.probe_submit import submit_run

    raise Ended(submit_run(session, name, collector=collector, ca=ca, spool=spool, yes=yes))


@command(group, "rm", examples=["gatewatch probe rm 20260301T120000Z-a1b2c3"])
def rm(
    session: Session,
    names: Annotated[list[str], typer.Argument(help="Runs' ids.")],
    spool: SpoolAt = None,
) -> None:
    """Delete runs from this machine; what was submitted stays where it was submitted to."""
    from gatewatch.cli.probe_machine import spool_at

    kept = spool_at(spool)
    for run in {run.folder: run for run in map(kept.run, names)}.values():
        run.remove()
        session.say(f"{run.facts.id} removed")
    raise Ended(ExitCode.DONE)
