"""Exit codes, and how an error becomes one line and one of them."""

from __future__ import annotations

from enum import IntEnum

from gatewatch.model.errors import GatewatchError, NoData, NotFound, Unreachable


class ExitCode(IntEnum):
    DONE = 0
    "The question was answered, whatever the answer."
    FAILED = 1
    USAGE = 2
    NO_DATA = 3
    "Nothing measured, or too little to say."
    NOT_FOUND = 4
    PARTIAL = 5
    "Some inputs failed; the rest was done."
    UNREACHABLE = 6
    BLOCKED = 10
    LIKELY_BLOCKED = 11
    IMPAIRED_OR_DOWN = 12
    "10 to 12 only from `check --exit-status`."
    INTERRUPTED = 130


def code_of(error: GatewatchError) -> ExitCode:
    """The code that an error ends a command with."""
    for kind, code in (
        (NoData, ExitCode.NO_DATA),
        (NotFound, ExitCode.NOT_FOUND),
        (Unreachable, ExitCode.UNREACHABLE),
    ):
        if isinstance(error, kind):
            return code
    return ExitCode.FAILED


class UsageFault(GatewatchError):
    """A command line that asks for something that cannot be done."""
