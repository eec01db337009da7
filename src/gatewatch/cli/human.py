"""Tables and colours for people. Whatever is shown has been through `clean` first."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import IO, Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatewatch.cli.clean import clean
from gatewatch.cli.sheet import Sheet, plain
from gatewatch.model.outcome import CellState
from gatewatch.publish.words import state_words

PIPE_WIDTH = 100
"Columns, where no terminal says how many it has."
FIRST_WIDTH = 64
"Of the first column of a table: every id known fits, and a hostile name cannot push out the rest."

STYLES = {
    CellState.BLOCKED: "bold red",
    CellState.LIKELY_BLOCKED: "red",
    CellState.IMPAIRED: "yellow",
    CellState.DOWN: "magenta",
    CellState.SERVER_SIDE: "cyan",
    CellState.OPEN: "green",
    CellState.INSUFFICIENT: "dim",
}


def console(file: IO[str], color: str = "auto") -> Console:
    """A console that never guesses: no markup, no emoji codes, no highlighting of data."""
    terminal = file.isatty()
    return Console(
        file=file,
        width=None if terminal else PIPE_WIDTH,
        force_terminal=True if color == "always" else None,
        no_color=True if color == "never" else None,
        color_system="standard" if color == "always" else None if color == "never" else "auto",
        markup=False,
        emoji=False,
        highlight=False,
    )


def text(words: str, style: str = "") -> Text:
    """Words as data: cleaned, and never read as markup."""
    return Text(clean(words), style=style)


def lines(words: Sequence[str]) -> Text:
    """Several pieces of data, each on a line of its own."""
    return Text("\n".join(clean(piece) for piece in words))


def state(value: CellState | str | None) -> Text:
    """A state with its shape and its colour."""
    known = None if value is None else CellState(value)
    return Text(state_words(known), style="dim" if known is None else STYLES[known])


def heading(words: str) -> Text:
    return Text("\n" + clean(words), style="bold")


def grid(columns: Sequence[str], rows: Iterable[Sequence[Text | str]]) -> Table:
    """A plain table; a column whose name begins with `>` is set to the right.
    The first column is not broken over lines, since it holds what one copies.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        right = name.startswith(">")
        table.add_column(
            clean(name.removeprefix(">")), justify="right" if right else "left", overflow="fold"
        )
    if table.columns:
        first = table.columns[0]
        first.no_wrap, first.overflow, first.max_width = True, "ellipsis", FIRST_WIDTH
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else text(cell) for cell in row))
    return table


def table_of(sheet: Sheet) -> Table:
    """A sheet as it is, numbers to the right."""
    numeric = [
        bool(sheet.rows)
        and all(
            value is None or (isinstance(value, int | float) and not isinstance(value, bool))
            for value in column
        )
        for column in (zip(*sheet.rows, strict=True) if sheet.rows else [[]] * len(sheet.columns))
    ]
    names = [
        (">" if right else "") + name for name, right in zip(sheet.columns, numeric, strict=True)
    ]
    return grid(names, [[_shown(value) for value in row] for row in sheet.rows])


def _shown(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float):
        return f"{value:.4g}"
    return plain(value)
