"""The program `gatewatch`: its commands, and how it starts and ends.

Only what parses a command line is loaded here, and of the commands only the one called for;
engines and tables load when a command needs them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from importlib import import_module

import typer

from gatewatch.cli.exits import ExitCode
from gatewatch.cli.root import app

COMMANDS = (
    "init",
    "probe",
    "trace",
    "import",
    "judge",
    "analyze",
    "check",
    "country",
    "network",
    "site",
    "service",
    "explain",
    "query",
    "export",
    "control",
    "lab",
    "refdata",
    "rules",
    "status",
    "doctor",
    "version",
)
"In the order of the help."

_MODULES = {"import": "import_"}
"Where a module cannot have the command's name."


def load(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The program with these commands; importing the module of a command adds it."""
    for name in names:
        import_module(f"gatewatch.cli.commands.{_MODULES.get(name, name)}")
    return app


def main() -> None:
    """Entry point. A reader that has seen enough ends us in silence, as it does other filters."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever called us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open until we end
    called = sys.argv[1:2]
    try:
        load(called if called and called[0] in COMMANDS else COMMANDS)(prog_name="gatewatch")
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
