"""The lens the adapters look through: reference data, certificate reading and page features."""

from __future__ import annotations

from datetime import date, datetime

from gatewatch.archive.adapters.lens import Chain, Page
from gatewatch.model.target import Target
from gatewatch.observe import pages
from gatewatch.observe.certificates import ChainReader
from gatewatch.refdata.snapshot import RefData


class RefDataLens:
    """Readings of facts under one state of the reference data."""

    def __init__(self, refdata: RefData, chains: ChainReader | None = None) -> None:
        self._refdata = refdata
        self._chains = chains or ChainReader()

    def target_of(self, given: str) -> Target | None:
        return self._refdata.target_of(given)

    def asns_of(self, addresses: list[str], at: date | None) -> list[int | None]:
        return self._refdata.asns_of(addresses, at) if addresses else []

    def chain(self, ders: list[bytes], host: str | None, at: datetime | None) -> Chain:
        return self._chains.read(ders, host, at)

    def page(self, body: str | bytes | None, headers: list[tuple[str, str]]) -> Page:
        return pages.features_of(body, headers, self._refdata.match_page)
