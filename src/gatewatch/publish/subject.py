"""What a question is about: a site or a service, found from what a user typed."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import msgspec

from gatewatch.model.errors import NoData, NotFound
from gatewatch.publish.reading import Reading, Scope, ServiceRow, Window
from gatewatch.publish.standing import Key, Standing, combined, standings


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A site (one host) or a service (several hosts and a rule)."""

    kind: str
    "`site` or `service`."
    id: str
    "The host, or the service's id."
    name: str
    service: str | None
    "For a site, the service it belongs to, if any."

    def scope(self, cc: str | None = None, asn: int | None = None) -> Scope:
        if self.kind == "service":
            return Scope(service=self.id, cc=cc, asn=asn)
        return Scope(hosts=(self.id,), cc=cc, asn=asn)


def subject_of(reading: Reading, text: str) -> Subject:
    """The service of that id or name, else the site that text names.

    Raises:
        NotFound: the text can be neither.
    """
    service = service_of(reading, text)
    if service is not None:
        return Subject(kind="service", id=service.id, name=service.name, service=service.id)
    return site_of(reading, text)


def site_of(reading: Reading, text: str) -> Subject:
    """The site that a URL or host name means.

    Raises:
        NotFound: the text cannot be a host.
    """
    target = reading.names.target_of(text)
    if target is None or not target.host:
        raise NotFound(f"{text!r} is neither a host, a URL nor a known service")
    return Subject(kind="site", id=target.host, name=target.host, service=target.service)


def service_of(reading: Reading, text: str) -> ServiceRow | None:
    """The service with that id or name, in any case."""
    wanted = text.strip().casefold()
    named = (s for s in reading.names.services() if wanted in (s.id, s.name.casefold()))
    return next(named, None)


def stand(
    reading: Reading, subject: Subject, scope: Scope, window: Window, by: Sequence[str]
) -> dict[Key, Standing]:
    """Standing of a subject in each group; a service by its own rule over its hosts."""
    if subject.kind == "site":
        return standings(reading, scope, window, by)
    service = reading.names.service(subject.id)
    return combined_by(service, standings(reading, scope, window, [*by, "target"]))


def combined_by(service: ServiceRow, found: dict[Key, Standing]) -> dict[Key, Standing]:
    """Fold standings whose keys end in a host into one per key without it."""
    groups: dict[Key, dict[str, Standing]] = {}
    for key, standing in found.items():
        groups.setdefault(key[:-1], {})[key[-1]] = standing
    return {
        key: standing
        for key, hosts in groups.items()
        if (standing := combined(service, hosts)) is not None
    }


def nothing_known(reading: Reading, subject: Subject, where: str) -> NoData:
    """The error for a sound subject without data, with the names nearest to it that have some."""
    measured = [
        row["target"]
        for row in reading.rows(
            "select target from verdicts where target is not null group by target order by target"
        )
    ]
    host = subject.id.removeprefix("www.")
    kin = [m for m in measured if m.removeprefix("www.") == host or m.endswith("." + host)]
    known = measured + [service.id for service in reading.names.services()]
    near = list(dict.fromkeys(kin + get_close_matches(subject.id, known, n=3, cutoff=0.7)))
    near = [name for name in near if name != subject.id][:3]
    hint = f"; nearest: {', '.join(near)}" if near else ""
    return NoData(f"no measurement of {subject.name}{where} in this window{hint}")
