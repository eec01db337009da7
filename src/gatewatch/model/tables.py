"""Every table of the store: its name, what a row is, and the noun its columns come from."""

from __future__ import annotations

from typing import Any, NamedTuple

from gatewatch.model.columns import NamedColumn, columns_of
from gatewatch.model.records import (
    Connect,
    Exchange,
    Finding,
    Handshake,
    Lookup,
    Measurement,
    SetAside,
)
from gatewatch.model.verdict import Cell, Verdict


class Table(NamedTuple):
    name: str
    row: str
    noun: type[Any]

    @property
    def columns(self) -> list[NamedColumn]:
        return columns_of(self.noun)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("measurements", "one measurement as submitted", Measurement),
        Table("lookups", "one question to one resolver", Lookup),
        Table("connects", "one attempt to open a TCP connection", Connect),
        Table("handshakes", "one attempt to start TLS or QUIC", Handshake),
        Table("exchanges", "one HTTP request and its answer", Exchange),
        Table("findings", "what one experiment of the probe found out", Finding),
        Table("verdicts", "what one measurement says", Verdict),
        Table("cells", "one target on one network, resolver network and day", Cell),
        Table("set_aside", "one record that could not be read", SetAside),
    )
}
