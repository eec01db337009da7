"""TOML files that say of which day they are, as ours do."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

from gatewatch.model.errors import MalformedRecord


def read_dated(content: bytes, where: str) -> tuple[date, dict[str, Any]]:
    """The date of a file, and all that it says.

    Raises:
        MalformedRecord: it is not TOML in UTF-8, or has no date.
    """
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MalformedRecord(where, "text", got=str(error), want="TOML in UTF-8") from error
    dated = document.get("date")
    if type(dated) is not date:
        raise MalformedRecord(where, "date", got=dated, want="a date, as in `date = 2026-01-31`")
    return dated, document
