"""How a command is added: its own parameters, then the options that all commands share.

A command is a function whose first parameter is the `Session`; the shared options are parsed
into that, so that they are written once and are the same everywhere.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from copy import copy
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from gatewatch.cli.clean import clean
from gatewatch.cli.exits import ExitCode, UsageFault, code_of
from gatewatch.cli.session import Color, Ended, Format, ProgressStyle, Session
from gatewatch.model.errors import GatewatchError


def _shared(
    *,
    format: Annotated[
        Format | None,
        typer.Option("--format", "-f", help="Default: a table on a terminal, TSV in a pipe."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Same as -f json.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Same as -f jsonl.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Same as -f csv.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write there; its ending names the format."),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", "-F", help="Only these columns, in this order; repeat, or a,b."),
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", help="Sort rows by a column; -column for falling.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="At most so many rows.")] = None,
    explain_query: Annotated[
        bool, typer.Option("--explain-query", help="Print the SQL used in place of its result.")
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", envvar="GATEWATCH_STORE", help="Default: the user's data directory."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="More talk.")] = False,
    color: Annotated[Color, typer.Option("--color", help="NO_COLOR is heeded too.")] = Color.AUTO,
    progress: Annotated[
        ProgressStyle, typer.Option("--progress", help="On standard error.")
    ] = ProgressStyle.AUTO,
) -> Session:
    short = [f for f, given in zip(Format, _flags(csv, json, jsonl), strict=True) if given]
    chosen = {*short, *([format] if format else [])}
    if len(chosen) > 1:
        raise UsageFault("more than one output format asked for")
    return Session(
        store=store,
        format=chosen.pop() if chosen else None,
        output=output,
        fields=field,
        sort=sort,
        limit=limit,
        explain_query=explain_query,
        quiet=quiet,
        verbose=verbose,
        color=color,
        progress=progress,
    )


def _flags(csv: bool, json: bool, jsonl: bool) -> list[bool]:
    """The shorthand flags, in the order of `Format`."""
    given = {Format.CSV: csv, Format.JSON: json, Format.JSONL: jsonl}
    return [given.get(name, False) for name in Format]


def command(
    app: typer.Typer, name: str, *, examples: list[str]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command.

    Args:
        examples: whole command lines; the end of its help.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        taken = {flag for parameter in own for flag in _flags_of(parameter)}
        shared = [
            _without(parameter, taken)
            for parameter in inspect.signature(_shared, eval_str=True).parameters.values()
        ]

        @wraps(function)
        def run(**given: Any) -> None:
            with errors_in_one_line():
                session = _shared(**{p.name: given.pop(p.name) for p in shared})
                function(session, **given)

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [parameter.replace(kind=keyword) for parameter in (*own, *shared)]
        vars(run)["__signature__"] = inspect.Signature(parameters)
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        del run.__wrapped__
        shown = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples)
        app.command(name, epilog=shown, no_args_is_help=False)(run)
        return function

    return register


def _flags_of(parameter: inspect.Parameter) -> tuple[str, ...]:
    options = getattr(parameter.annotation, "__metadata__", ())
    return tuple(flag for option in options for flag in getattr(option, "param_decls", None) or ())


def _without(parameter: inspect.Parameter, taken: set[str]) -> inspect.Parameter:
    """A shared option without the flags that a command has for something of its own."""
    flags = _flags_of(parameter)
    if not taken & {*flags}:
        return parameter
    (option,) = parameter.annotation.__metadata__
    option = copy(option)
    option.param_decls = tuple(flag for flag in flags if flag not in taken)
    kind = parameter.annotation.__origin__
    return parameter.replace(annotation=Annotated[kind, option])


class errors_in_one_line:  # noqa: N801 - a context manager, read as a verb where it is used
    """Turns what a command may raise into one line on standard error and an exit code."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Ended):
            raise typer.Exit(error.code)
        if isinstance(error, UsageFault):
            _complain(str(error))
            raise typer.Exit(ExitCode.USAGE)
        if isinstance(error, GatewatchError):
            _complain(str(error))
            raise typer.Exit(code_of(error))
        if isinstance(error, KeyboardInterrupt):
            _complain("interrupted; what was finished is kept, and running it again goes on")
            raise typer.Exit(ExitCode.INTERRUPTED)
        if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
            where = f"{error.filename}: " if error.filename else ""
            _complain(f"{where}{error.strerror or error}")
            raise typer.Exit(ExitCode.FAILED)
        return False


def _complain(words: str) -> None:
    print(f"gatewatch: {clean(words)}", file=sys.stderr, flush=True)
