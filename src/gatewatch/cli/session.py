"""What every command shares: where the store is, how results are printed, who hears the talk.

Results go to standard output and nothing else does; talk and progress go to standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from gatewatch.cli.clean import clean
from gatewatch.cli.exits import ExitCode, UsageFault

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from gatewatch.archive.store import Store
    from gatewatch.cli.progress import Meter
    from gatewatch.cli.sheet import Sheet
    from gatewatch.publish.reading import Reading
    from gatewatch.refdata.snapshot import RefData


class Format(StrEnum):
    TABLE = "table"
    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSONL = "jsonl"
    MD = "md"
    PARQUET = "parquet"


class Color(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class ProgressStyle(StrEnum):
    AUTO = "auto"
    PLAIN = "plain"
    NONE = "none"


class Session:
    """One run of one command, with the options that all commands share."""

    def __init__(
        self,
        *,
        store: Path | None = None,
        format: Format | None = None,
        output: Path | None = None,
        fields: list[str] | None = None,
        sort: str | None = None,
        limit: int | None = None,
        explain_query: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        color: Color = Color.AUTO,
        progress: ProgressStyle = ProgressStyle.AUTO,
    ) -> None:
        self.store_path = store or default_store()
        self.output = output
        self.format = format or _format_for(output)
        self.format_given = format is not None
        self.fields = [name for given in fields or [] for name in given.split(",") if name]
        self.sort, self.limit = sort, limit
        self.explain_query = explain_query
        self.quiet, self.verbose = quiet, verbose
        self.color, self.progress_style = color, progress
        if limit is not None and limit < 0:
            raise UsageFault("--limit wants a number of rows, 0 or more")

    # The library

    @cached_property
    def store(self) -> Store:
        from gatewatch.archive.store import Store

        return Store.open(self.store_path)

    @cached_property
    def refdata(self) -> RefData:
        from gatewatch.refdata.snapshot import load

        return load(refdata_directory())

    @cached_property
    def reading(self) -> Reading:
        from gatewatch.publish.reading import Reading

        return Reading(self.store.database(), self.refdata)

    # Talk

    def say(self, words: str) -> None:
        """Something the user may want to know; `-q` silences it."""
        if not self.quiet:
            print(clean(words), file=sys.stderr, flush=True)

    def detail(self, words: str) -> None:
        """Something only `-v` tells."""
        if self.verbose:
            self.say(words)

    @contextmanager
    def progress(self) -> Iterator[Meter]:
        """A meter on standard error for as long as the block runs."""
        from gatewatch.cli.progress import meter

        style = ProgressStyle.NONE if self.quiet else self.progress_style
        with meter(style) as running:
            yield running

    # Results

    def show(
        self,
        sheet: Sheet,
        *,
        document: Any = None,
        view: Callable[[], Iterable[RenderableType]] | None = None,
        empty_is_answer: bool = False,
    ) -> None:
        """Print a result in the format asked for.

        Args:
            sheet: the result as one plain table; made narrower by --field, --sort and --limit.
            document: the result as one JSON value; the rows of the sheet if there is none.
            view: the result for people; the sheet as a table if there is none.
            empty_is_answer: a sheet without rows says something; else it ends the command with 3.
        """
        from gatewatch.cli import sheet as formats

        if self.explain_query and "reading" in self.__dict__:
            self.write(";\n\n".join(self.reading.queries).encode() + b";\n")
            return
        narrowed = bool(self.fields or self.sort or self.limit is not None)
        if narrowed:
            sheet = sheet.chosen(self.fields, self.sort, self.limit)
        if self.format is Format.TABLE:
            from gatewatch.cli.human import table_of

            made = view() if view is not None and not narrowed else [table_of(sheet)]
            self.print(made)
        elif self.format is Format.JSON:
            whole = formats.as_objects(sheet) if narrowed or document is None else document
            self.write(formats.as_json(whole))
        elif self.format is Format.JSONL:
            self.write(formats.as_jsonl(sheet))
        elif self.format is Format.PARQUET:
            if self.output is None and sys.stdout.isatty():
                raise UsageFault("Parquet is binary; give it a file with -o")
            self.write(formats.as_parquet(sheet))
        else:
            makers = {
                Format.TSV: formats.as_tsv,
                Format.CSV: formats.as_csv,
                Format.MD: formats.as_markdown,
            }
            self.write(makers[self.format](sheet).encode("utf-8", "backslashreplace"))
        if not sheet.rows and not empty_is_answer:
            raise Ended(ExitCode.NO_DATA)

    def to_stdout(self) -> None:
        """The result goes to standard output: what was written to -o was something else."""
        self.output = None
        if not self.format_given:
            self.format = _format_for(None)

    def write(self, data: bytes) -> None:
        """Bytes of a result, to -o or standard output."""
        if self.output is None:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        with replacing(self.output) as part:
            part.write_bytes(data)

    @contextmanager
    def sink(self) -> Iterator[BinaryIO]:
        """Where a result that comes in pieces goes: -o, whole or not at all, or standard output."""
        if self.output is None:
            sys.stdout.flush()
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        with replacing(self.output) as part, part.open("wb") as file:
            yield file

    def print(self, made: Iterable[RenderableType]) -> None:
        """Words and tables for people, to -o or standard output.

        Lines of words are left to the terminal to wrap, so that a path or a command can be copied.
        """
        from rich.text import Text

        def put(file: Any) -> None:
            console = self._console(file)
            for renderable in made:
                console.print(renderable, soft_wrap=isinstance(renderable, Text))

        if self.output is None:
            put(sys.stdout)
            return
        with replacing(self.output) as part, part.open("w", encoding="utf-8") as file:
            put(file)

    def _console(self, file: Any) -> Console:
        from gatewatch.cli.human import console

        return console(file, self.color.value)


def heed_sockets() -> None:
    """For commands with sockets of their own: a peer that hangs up is an error on the socket, and
    not the end of the program, as it is of a filter whose reader has gone."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)


class Ended(Exception):
    """The command has said all it has to say, and ends with this code."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code.name)
        self.code = code


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place only when all went well."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def default_store() -> Path:
    """Where the store is when nobody says: the user's data directory."""
    return _data_directory() / "store"


def refdata_directory() -> Path:
    """Where `refdata update` puts newer reference data."""
    given = os.environ.get("GATEWATCH_REFDATA")
    return Path(given) if given else _data_directory() / "refdata"


def _data_directory() -> Path:
    from platformdirs import user_data_path

    return user_data_path("gatewatch", appauthor=False)


def _format_for(output: Path | None) -> Format:
    """A table for people, TSV for pipes; with -o, what the file's name says."""
    if output is not None:
        ending = output.suffix.removeprefix(".").lower()
        return Format(ending) if ending in list(Format) else Format.TSV
    return Format.TABLE if sys.stdout.isatty() else Format.TSV
