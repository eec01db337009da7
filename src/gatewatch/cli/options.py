"""Options that several commands share, and how their text becomes values."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from gatewatch.cli.exits import UsageFault

if TYPE_CHECKING:
    from gatewatch.publish.reading import Asked

Country = Annotated[
    str | None, typer.Option("--country", "-c", help="Country code; several as IR,TR.")
]
NetworkNumber = Annotated[
    str | None, typer.Option("--network", "-n", help="Network, such as AS44244.")
]
From = Annotated[
    str | None, typer.Option("--from", metavar="DAY", help="First day measured, UTC, 2026-01-31.")
]
To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day measured, UTC.")]
WindowDays = Annotated[
    str, typer.Option("--window", metavar="DAYS", help="Length up to the last day with data.")
]
Workers = Annotated[
    int, typer.Option("--workers", "-j", min=1, help="Processes that read and judge.")
]


def asked(first: str | None, last: str | None, window: str) -> Asked:
    """The window a user asks for.

    Raises:
        UsageFault: a day or a length that is none, or days in the wrong order.

    >>> asked("2026-01-01", None, "2w")
    Asked(first=datetime.date(2026, 1, 1), last=None, days=14)
    """
    from gatewatch.publish.reading import Asked

    days = Asked(_day("--from", first), _day("--to", last), _length(window))
    if days.first is not None and days.last is not None and days.first > days.last:
        raise UsageFault(f"--from {days.first} is later than --to {days.last}")
    return days


def _day(option: str, text: str | None) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise UsageFault(f"{option} is {text!r}; a day such as 2026-01-31 is wanted") from None


def _length(text: str) -> int:
    digits, unit = text[:-1], text[-1:]
    scale = {"d": 1, "w": 7, "y": 365}.get(unit)
    if text.isascii() and text.isdigit():
        digits, scale = text, 1
    if scale is None or not digits.isascii() or not digits.isdigit() or len(digits) > 5:
        raise UsageFault(f"--window is {text!r}; a length such as 30d, 8w or 1y is wanted")
    days = int(digits) * scale
    if not 0 < days <= 36_500:
        raise UsageFault(f"--window is {text!r}; between a day and a hundred years is wanted")
    return days
