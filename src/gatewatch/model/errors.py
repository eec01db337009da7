"""What can go wrong for a user, said in one way: where, what was found, what was wanted."""

from __future__ import annotations


class GatewatchError(Exception):
    """Anything a user can mend or must know; the command line prints it without a traceback."""


class MalformedRecord(GatewatchError):
    """A raw record that breaks its format; it is set aside and counted, and the rest goes on."""

    def __init__(self, where: str, field: str, *, got: object, want: str) -> None:
        try:
            shown = repr(got)
        except RecursionError:
            shown = f"{type(got).__name__}, nested too deep to show"
        shown = shown if len(shown) <= 200 else shown[:200] + "…"
        super().__init__(f"{where}: {field} is {shown}; the format wants {want}")
        self.where, self.field, self.got, self.want = where, field, shown, want


class NoData(GatewatchError):
    """The question is sound, and nothing in the store answers it."""


class NotFound(GatewatchError):
    """The thing named does not exist here: an unknown id, country, table."""


class Unreachable(GatewatchError):
    """A network source could not be had."""
