"""How answers are put in words: states, probabilities, spans, counts. One vocabulary for all."""

from __future__ import annotations

import datetime as dt

from gatewatch.model.outcome import CellState

STATE_WORDS = {
    CellState.BLOCKED: "blocked",
    CellState.LIKELY_BLOCKED: "likely blocked",
    CellState.IMPAIRED: "impaired",
    CellState.DOWN: "down",
    CellState.SERVER_SIDE: "refused by the server",
    CellState.OPEN: "open",
    CellState.INSUFFICIENT: "insufficient",
}

STATE_SYMBOLS = {
    CellState.BLOCKED: "■",
    CellState.LIKELY_BLOCKED: "◧",
    CellState.IMPAIRED: "◪",
    CellState.DOWN: "▽",
    CellState.SERVER_SIDE: "◇",
    CellState.OPEN: "○",
    CellState.INSUFFICIENT: "▨",
}
"""Shapes that can be told apart without colour."""

NOT_MEASURED = "not measured"


def state_words(state: CellState | None) -> str:
    """A state with its shape; None is what nobody measured.

    >>> state_words(CellState.OPEN), state_words(None)
    ('○ open', '· not measured')
    """
    if state is None:
        return f"· {NOT_MEASURED}"
    return f"{STATE_SYMBOLS[state]} {STATE_WORDS[state]}"


def probability(p: float) -> str:
    """Two decimals, three near the ends, and never rounded into a certainty.

    >>> probability(0.5), probability(0.9934), probability(0.99999), probability(0.0001)
    ('0.50', '0.993', '0.999', '0.001')
    >>> probability(1.0), probability(0.0)
    ('1', '0')
    """
    if p in (0.0, 1.0):
        return str(int(p))
    if 0.02 <= p <= 0.98:
        return f"{p:.2f}"
    return f"{min(max(p, 0.001), 0.999):.3f}"


def interval(share: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval; empty where nothing was decided.

    >>> interval(0.993, 0.985, 0.997), interval(None, None, None)
    ('P=0.993 [0.985–0.997]', '')
    """
    if share is None or low is None or high is None:
        return ""
    return f"P={probability(share)} [{probability(low)}–{probability(high)}]"


def since(earliest: dt.date | None, latest: dt.date | None) -> str:
    """An onset known to lie between two days; `earliest` is None where nobody looked before.

    >>> since(dt.date(2021, 1, 14), dt.date(2021, 1, 15))
    'since 2021-01-14..15'
    >>> since(None, dt.date(2021, 1, 15)), since(dt.date(2021, 1, 15), dt.date(2021, 1, 15))
    ('since 2021-01-15 or earlier', 'since 2021-01-15')
    >>> since(dt.date(2020, 12, 30), dt.date(2021, 1, 2))
    'since 2020-12-30..2021-01-02'
    """
    if latest is None:
        return ""
    if earliest is None:
        return f"since {latest} or earlier"
    return f"since {span(earliest, latest)}"


def onset(earliest: dt.date | None, latest: dt.date | None) -> str:
    """The same for a column of a table.

    >>> onset(None, dt.date(2021, 1, 15)), onset(dt.date(2021, 1, 14), dt.date(2021, 1, 15))
    ('≤ 2021-01-15', '2021-01-14..15')
    """
    if latest is None:
        return ""
    return f"≤ {latest}" if earliest is None else span(earliest, latest)


def span(first: dt.date, last: dt.date) -> str:
    """Two days as one expression, the second no longer than it must be.

    >>> day = dt.date(2026, 5, 1)
    >>> span(day, dt.date(2026, 6, 1)), span(day, day)
    ('2026-05-01..2026-06-01', '2026-05-01')
    """
    if first == last:
        return str(first)
    same_month = (first.year, first.month) == (last.year, last.month)
    return f"{first}..{last:%d}" if same_month else f"{first}..{last}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> count(1, "network"), count(1204, "measurement"), count(0, "country", "countries")
    ('1 network', '1,204 measurements', '0 countries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def network(asn: int | None, name: str | None) -> str:
    """A network by name and number.

    >>> network(44244, "Irancell"), network(44244, None), network(None, None)
    ('Irancell (AS44244)', 'AS44244', 'unknown network')
    """
    if asn is None:
        return "unknown network"
    return f"{name} (AS{asn})" if name else f"AS{asn}"
