"""Services: which hosts belong to one thing that people use, and which of them matter."""

from __future__ import annotations

from datetime import date

import msgspec

from gatewatch.model.errors import MalformedRecord, NotFound
from gatewatch.model.target import canonical_host
from gatewatch.refdata.dated import read_dated
from gatewatch.refdata.nouns import Service

COMBINE = ("any_core", "all_core")


class Services:
    """All services by id, and the service of a host."""

    def __init__(self, services: list[Service], where: str = "services") -> None:
        self._by_id: dict[str, Service] = {}
        self._by_pattern: dict[str, str] = {}
        for service in services:
            if service.id in self._by_id:
                raise MalformedRecord(where, "id", got=service.id, want="an id used once")
            if not service.core:
                raise MalformedRecord(where, f"{service.id}.core", got=[], want="at least one host")
            if service.combine not in COMBINE:
                raise MalformedRecord(
                    where, f"{service.id}.combine", got=service.combine, want=" or ".join(COMBINE)
                )
            self._by_id[service.id] = service
            for pattern in service.core + service.other:
                self._claim(pattern, service.id, where)

    def of_host(self, host: str) -> str | None:
        """Id of the service a canonical host belongs to; the most specific pattern decides."""
        owner = self._by_pattern.get(host)
        if owner is not None:
            return owner
        rest = host
        while rest:
            owner = self._by_pattern.get(f".{rest}")
            if owner is not None:
                return owner
            _, _, rest = rest.partition(".")
        return None

    def get(self, id: str) -> Service:
        """The service of that id.

        Raises:
            NotFound: when there is none.
        """
        try:
            return self._by_id[id]
        except KeyError:
            raise NotFound(f"no service {id!r}; there are: {', '.join(self._by_id)}") from None

    def all(self) -> list[Service]:
        return list(self._by_id.values())

    def _claim(self, pattern: str, owner: str, where: str) -> None:
        if canonical_host(pattern.removeprefix(".")) != pattern.removeprefix("."):
            raise MalformedRecord(
                where, f"{owner}: host", got=pattern, want="a canonical host, or `.` and a host"
            )
        other = self._by_pattern.setdefault(pattern, owner)
        if other != owner:
            raise MalformedRecord(
                where, "host", got=pattern, want=f"one owner, not {other}, {owner}"
            )


def read_services(content: bytes, where: str) -> tuple[date, Services]:
    """The date of a services file and what it says.

    Raises:
        MalformedRecord: when it is not TOML of that form, or breaks a rule of its own.
    """
    dated, document = read_dated(content, where)
    rows = [{"other": [], **row} for row in document.get("service", [])]
    try:
        services = msgspec.convert(rows, list[Service])
    except msgspec.ValidationError as error:
        raise MalformedRecord(where, "service", got=str(error), want="a service") from error
    return dated, Services(services, where)
