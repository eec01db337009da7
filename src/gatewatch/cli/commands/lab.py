"""`gatewatch lab`: a sealed world in which the instrument is held against known truth."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.exits import ExitCode, UsageFault
from gatewatch.cli.root import app
from gatewatch.cli.session import Ended, Session

if TYPE_CHECKING:
    from gatewatch.lab.visits import Client

group = typer.Typer(
    help="A sealed world with censors of our own, to hold the judge against known truth.",
    epilog="\b\nExamples:\n"
    "  gatewatch lab list\n"
    "  gatewatch lab run iran-dns\n"
    "  gatewatch lab check",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="lab")


class Kind(StrEnum):
    LEAF = "leaf"
    NATIONAL = "national"
    SUITE = "suite"
    INNOCENT = "innocent"


Name = Annotated[str, typer.Argument(help="As `lab list` prints it, or a .toml file.")]
OfKind = Annotated[Kind | None, typer.Option("--kind", help="Scenarios of this kind only.")]
Seed = Annotated[int, typer.Option("--seed", help="Decides everything that chance decides.")]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="Keep there what the world leaves: measurements, log, truth."),
]
Capture = Annotated[
    bool, typer.Option("--pcap", help="Keep in --folder what each interface sees, as pcapng.")
]
Command = Annotated[
    str | None,
    typer.Option(
        "--client", help="A command that measures; `-i URL -o FILE` is added to it for each URL."
    ),
]
Deep = Annotated[
    bool, typer.Option("--deep", help="Also find out hops and residual times: takes minutes.")
]
Plain = Annotated[
    bool, typer.Option("--plain", help="The first pass only, without experiments on how.")
]
Loss = Annotated[
    float,
    typer.Option("--loss", min=0.0, max=0.9, help="Share of packets that each access link loses."),
]
Reduced = Annotated[
    bool, typer.Option("--reduced", help="On loopback, without namespaces: what needs no packets.")
]


@command(group, "list", examples=["gatewatch lab list", "gatewatch lab list --kind national"])
def list_(session: Session, kind: OfKind = None) -> None:
    """The scenarios that come with gatewatch, a line each."""
    from gatewatch.cli.sheet import sheet_of
    from gatewatch.cli.views.lab_scenarios import LISTED, listed
    from gatewatch.lab.load import load, names

    found = [load(name) for name in names()]
    rows = [listed(one) for one in found if kind is None or one.kind == kind.value]
    session.show(sheet_of(rows, LISTED), document=rows)


@command(
    group, "show", examples=["gatewatch lab show russia-tspu-reset", "gatewatch lab show my.toml"]
)
def show(session: Session, scenario: Name) -> None:
    """One scenario in words: its networks, its censors, and what is true in it."""
    from gatewatch.cli.views.lab_scenarios import show_scenario
    from gatewatch.lab.load import load

    show_scenario(session, load(scenario))


@command(
    group,
    "run",
    examples=[
        "gatewatch lab run russia-tspu-reset",
        "gatewatch lab run iran-dns --pcap --folder /tmp/iran",
        "gatewatch lab run china-tls-resets -- curl -sv https://www.example.com/",
        "gatewatch lab run dns-nxdomain --network garr -- bash",
    ],
)
def run(
    session: Session,
    scenario: Name,
    command: Annotated[
        list[str] | None,
        typer.Argument(help="After --: run this at a vantage point, in place of measuring."),
    ] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="The vantage point of a command.")
    ] = None,
    client: Command = None,
    deep: Deep = False,
    plain: Plain = False,
    loss: Loss = 0.0,
    seed: Seed = 0,
    folder: Folder = None,
    pcap: Capture = False,
    reduced: Reduced = False,
) -> None:
    """Bring up one world; measure in it what it knows the truth of, or run a command in it.

    A command sees the world as a machine there does, with that network's resolver and with the
    lab's authority among the trusted; its exit code is ours. Nothing of it is left afterwards
    but --folder.
    """
    from gatewatch.cli.lab_runs import LabSession, run_command
    from gatewatch.cli.views.lab import show_lab_run
    from gatewatch.flow.lab_check import acts_of
    from gatewatch.lab.load import load

    if pcap and folder is None:
        raise UsageFault("--pcap wants a --folder to keep the captures in")
    if network is not None and not command:
        raise UsageFault("--network is for a command, which comes after --")
    loaded = load(scenario)
    who = _client(client, deep=deep, plain=plain)
    with LabSession(
        session, seed=seed, folder=folder, client=who, loss=loss, pcap=pcap, reduced=reduced
    ) as running:
        if command:
            raise typer.Exit(run_command(running, loaded, network, command))
        checked = running.check([loaded], at_once=1)
        acts = acts_of(loaded, running.folder)
    show_lab_run(session, checked, acts)
    raise Ended(ExitCode.FAILED if checked.unconfirmed else ExitCode.DONE)


@command(
    group,
    "check",
    examples=[
        "gatewatch lab check",
        "gatewatch lab check --kind innocent",
        "gatewatch lab check iran-dns iran-sni --json",
        "gatewatch lab check china-tls-resets --deep",
        "gatewatch lab check --client 'gatewatch probe run --yes' --folder /tmp/lab",
    ],
)
def check(
    session: Session,
    scenarios: Annotated[
        list[str] | None, typer.Argument(help="Names or .toml files; all, if none is given.")
    ] = None,
    kind: OfKind = None,
    client: Command = None,
    deep: Deep = False,
    plain: Plain = False,
    loss: Loss = 0.0,
    seed: Seed = 0,
    folder: Folder = None,
    pcap: Capture = False,
    reduced: Reduced = False,
    at_once: Annotated[
        int | None,
        typer.Option("--at-once", min=1, help="Worlds at a time; by default, by the cores."),
    ] = None,
) -> None:
    """Measure in every world, judge, and hold what was said against what is true.

    The exit code is 1 when a verdict contradicts the truth, or a scenario's log does not bear out
    what the scenario says.
    """
    from gatewatch.cli.lab_runs import LabSession
    from gatewatch.cli.views.lab import show_lab_check
    from gatewatch.lab.load import load, names

    if pcap and folder is None:
        raise UsageFault("--pcap wants a --folder to keep the captures in")
    loaded = [load(name) for name in scenarios or names()]
    loaded = [one for one in loaded if kind is None or one.kind == kind.value]
    who = _client(client, deep=deep, plain=plain)
    with LabSession(
        session, seed=seed, folder=folder, client=who, loss=loss, pcap=pcap, reduced=reduced
    ) as running:
        checked = running.check(loaded, at_once=at_once)
    show_lab_check(session, checked)
    whole = checked.good == checked.measurements and not checked.unconfirmed
    raise Ended(ExitCode.DONE if whole else ExitCode.FAILED)


def _client(command: str | None, *, deep: bool, plain: bool) -> Client:
    from gatewatch.lab.visits import Client

    if deep and plain:
        raise UsageFault("--deep and --plain are opposites")
    if command is None:
        return Client(deep=deep, experiments=not plain)
    if deep or plain:
        raise UsageFault("--deep and --plain are for the probe; --client has options of its own")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageFault(f"--client {command!r}: {error}") from None
    if not words:
        raise UsageFault("--client wants a command")
    return Client(command=tuple(words))
