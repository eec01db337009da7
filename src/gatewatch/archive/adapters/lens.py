"""What an adapter asks for while it reads: the readings of a fact that need more than its format.

The adapters know where a certificate, a body or an address stands; `observe` knows how to read
it against reference data. This is the agreement between the two.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple, Protocol

from gatewatch.model.target import Target


class Chain(NamedTuple):
    """Our own reading of a certificate chain; states as in `Handshake.chain_state`."""

    state: str
    leaf_sha256: str | None
    leaf_issuer: str | None


class Page(NamedTuple):
    """The features of a page that are kept; its body is not."""

    title: str | None
    length: int | None
    "Bytes."
    sha256: str | None
    fingerprints: list[str]


class Lens(Protocol):
    def target_of(self, given: str) -> Target | None: ...

    def asns_of(self, addresses: list[str], at: date | None) -> list[int | None]: ...

    def chain(self, ders: list[bytes], host: str | None, at: datetime | None) -> Chain: ...

    def page(self, body: str | bytes | None, headers: list[tuple[str, str]]) -> Page: ...
