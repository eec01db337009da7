"""A site or a service from its own angle: every country that measured it, and its parts."""

from __future__ import annotations

import msgspec

from gatewatch.model.errors import NotFound
from gatewatch.model.outcome import CellState
from gatewatch.publish.check import Check, check_countries
from gatewatch.publish.reading import Asked, Reading
from gatewatch.publish.standing import SEVERITY, matches, standings
from gatewatch.publish.subject import Subject, service_of, site_of


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One host in one country: a component of a service, or a sibling of a site."""

    host: str
    core: bool | None
    "Can the service do without it? None where the question does not arise."
    probe_cc: str | None
    state: CellState
    p: float | None
    measurements: int


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where a site or service stands how."""

    schema: str
    target: str
    name: str
    service: str | None
    rule: str | None
    "How a service follows from its hosts: `any_core` or `all_core`; None for a site."
    hosts: list[str]
    "The service's core hosts, as its definition writes them; for a site, itself."
    countries: list[Check]
    "Most severe first."
    parts: list[Part]


def site(reading: Reading, text: str, asked: Asked) -> Places:
    """A site in every country, beside the other hosts of its registrable domain.

    Raises:
        NotFound: the text names no site.
        NoData: nobody measured it.
    """
    subject = site_of(reading, text)
    found = _countries(reading, subject, asked)
    target = reading.names.target_of(text)
    domain = target.domain if target else None
    kin = reading.rows(
        "select distinct target from verdicts where domain = $domain and target <> $subject",
        domain=domain,
        subject=subject.id,
    )
    window = found[0].window
    scope = msgspec.structs.replace(subject.scope(), hosts=tuple(row["target"] for row in kin))
    parts = [
        Part(
            host=host,
            core=None,
            probe_cc=cc,
            state=standing.state,
            p=standing.p,
            measurements=standing.measurements,
        )
        for (host, cc), standing in standings(
            reading, scope, window, ["target", "probe_cc"]
        ).items()
    ]
    return Places(
        schema="gatewatch.site/1",
        target=subject.id,
        name=subject.name,
        service=subject.service,
        rule=None,
        hosts=[subject.id],
        countries=found,
        parts=parts,
    )


def service(reading: Reading, text: str, asked: Asked) -> Places:
    """A service in every country, with its hosts.

    Raises:
        NotFound: no service has that id or name.
        NoData: nobody measured any of its hosts.
    """
    row = service_of(reading, text)
    if row is None:
        known = ", ".join(sorted(s.id for s in reading.names.services()))
        raise NotFound(f"{text!r} is no known service; there are: {known}")
    subject = Subject(kind="service", id=row.id, name=row.name, service=row.id)
    found = _countries(reading, subject, asked)
    by_host = standings(reading, subject.scope(), found[0].window, ["target", "probe_cc"])
    parts = [
        Part(
            host=host,
            core=any(matches(host, pattern) for pattern in row.core),
            probe_cc=cc,
            state=standing.state,
            p=standing.p,
            measurements=standing.measurements,
        )
        for (host, cc), standing in by_host.items()
    ]
    parts.sort(key=lambda part: (not part.core, part.host, part.probe_cc or ""))
    return Places(
        schema="gatewatch.service/1",
        target=row.id,
        name=row.name,
        service=row.id,
        rule=row.combine,
        hosts=list(row.core),
        countries=found,
        parts=parts,
    )


def _countries(reading: Reading, subject: Subject, asked: Asked) -> list[Check]:
    found = check_countries(reading, subject, asked=asked)
    return sorted(found, key=lambda c: (-SEVERITY.index(c.state), c.scope["probe_cc"]))
