"""Verdicts as `judge` prints them: a stream of JSON Lines, or a table when all is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from gatewatch.cli.clean import clean, json_bytes
from gatewatch.cli.session import Format, Session
from gatewatch.cli.sheet import sheet_of
from gatewatch.model.records import SetAside
from gatewatch.publish.judged import Judged as Line
from gatewatch.publish.judged import Unread, judged, unread

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from gatewatch.flow import Judged

BATCH_BYTES = 1 << 18
"Written at a time; a system call per line would cost more than the encoding."

COLUMNS = (
    "measurement_id target probe_cc probe_asn outcome reason mechanisms p.blocked sentence"
).split()


def show_verdicts(session: Session, found: Iterable[Judged | SetAside], *, live: bool) -> int:
    """Print verdicts; the number of records that could not be read.

    What can be written line by line is written as it comes; tables for people, and what is to be
    sorted, wait until all is judged.

    Args:
        live: each line goes out as soon as it is there, since the next may be long in coming.
    """
    narrowed = bool(session.fields or session.sort or session.limit is not None)
    if session.format is Format.JSONL and not narrowed:
        with session.sink() as sink:
            return write_lines(found, sink.write, sink.flush, live=live)
    lines: list[Line] = []
    set_aside = 0
    for line in map(line_of, found):
        if isinstance(line, Unread):
            set_aside += 1
            error = line.error
            session.say(f"{error.where}: {error.field} is {error.got}; wanted {error.want}")
        else:
            lines.append(line)
    session.show(
        sheet_of(lines, COLUMNS),
        document=lines,
        view=lambda: _view(lines),
        empty_is_answer=set_aside > 0,
    )
    return set_aside


def _view(lines: list[Line]) -> Iterable[RenderableType]:
    """For people: the sentence, and below it the id to ask about."""
    from gatewatch.cli.human import grid, text

    rows: list[list[Text | str]] = []
    for line in lines:
        said = text(line.sentence).append("\n").append_text(text(line.measurement_id, "dim"))
        outcome = line.outcome + (f"\n{line.reason}" if line.reason else "")
        place = f"{line.probe_cc or '?'}\n{'' if line.probe_asn is None else f'AS{line.probe_asn}'}"
        how = "\n".join(line.mechanisms)
        rows.append([*map(_lines, (outcome, line.target or "", place, how)), said])
    table = grid(["outcome", "target", "where", "how", "verdict, measurement"], rows)
    table.columns[-1].min_width = 40
    yield table


def _lines(words: str) -> Text:
    """Text whose line breaks are ours; all else in it is cleaned."""
    from rich.text import Text

    return Text("\n".join(clean(line) for line in words.split("\n")))


def line_of(item: Judged | SetAside) -> Line | Unread:
    return unread(item) if isinstance(item, SetAside) else judged(item.source, item.verdict)


def write_lines(
    found: Iterable[Judged | SetAside],
    write: Callable[[bytes], object],
    flush: Callable[[], object],
    *,
    live: bool,
) -> int:
    """Write JSON Lines as they come; the number of records that could not be read.

    What was judged before an error or an interruption is written.
    """
    encoder = msgspec.json.Encoder()
    buffer = bytearray()
    set_aside = 0
    try:
        for line in map(line_of, found):
            set_aside += isinstance(line, Unread)
            buffer += json_bytes(encoder.encode(line))
            buffer += b"\n"
            if live or len(buffer) >= BATCH_BYTES:
                write(bytes(buffer))
                buffer.clear()
                if live:
                    flush()
    finally:
        write(bytes(buffer))
        flush()
    return set_aside
