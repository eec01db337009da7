"""The pages made from the code say what the code says."""

from __future__ import annotations

from pathlib import Path

from gatewatch.model.document import document
from gatewatch.model.tables import TABLES

PAGE = Path(__file__).parent.parent / "docs" / "tables.md"


def test_the_page_of_tables_is_the_one_the_code_makes():
    assert PAGE.read_text(encoding="utf-8") == document(), "run `make docs`"


def test_every_column_of_every_table_is_explained():
    for table in TABLES.values():
        section = document().split(f"## {table.name}\n")[1].split("\n## ")[0]
        rows = [line for line in section.splitlines() if line.startswith("| `")]
        assert len(rows) == len(table.columns)
        assert all(len(line.replace("\\|", "").split("|")) == 7 for line in rows)
        assert all(column.meaning for column in table.columns)
