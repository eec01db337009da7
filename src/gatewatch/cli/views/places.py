"""How a site or a service is shown: country by country, then part by part."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from gatewatch.cli.human import grid, heading, lines, state, text
from gatewatch.cli.session import Session
from gatewatch.cli.views.check import sheet_of_checks
from gatewatch.model.outcome import CellState
from gatewatch.publish.check import Check
from gatewatch.publish.places import Places
from gatewatch.publish.words import count, interval, onset, span

_RULES = {
    "any_core": "blocked where any core host is",
    "all_core": "blocked where every core host is",
}


def show_places(session: Session, places: Places) -> None:
    """The whole picture for people; a row a country as the plain table."""
    session.show(sheet_of_checks(places.countries), document=places, view=lambda: _view(places))


def _view(places: Places) -> Iterable[RenderableType]:
    window = places.countries[0].window
    yield Text(f"{places.name}  {span(window.first, window.last)}", style="bold")
    if places.rule is not None:
        yield text(f"{_RULES.get(places.rule, places.rule)}: {', '.join(places.hosts)}")
    elif places.service is not None:
        yield text(f"part of the service {places.service}")
    yield heading("Countries")
    columns = ["country", "state", "P(blocked)", ">networks", "since", "how", ">measurements"]
    yield grid(columns, [_country(check) for check in places.countries])
    if places.parts:
        yield heading("Hosts" if places.rule else "Other hosts of the domain")
        columns = ["host", *([""] if places.rule else []), "country", "state", ">measurements"]
        yield grid(
            columns,
            [
                [
                    part.host,
                    *(["core" if part.core else "other"] if places.rule else []),
                    part.probe_cc or "unknown",
                    state(part.state),
                    f"{part.measurements:,}",
                ]
                for part in places.parts
            ],
        )
    insufficient = sum(c.state is CellState.INSUFFICIENT for c in places.countries)
    if insufficient:
        yield text("")
        yield text(
            f"too little evidence in {count(insufficient, 'country', 'countries')}; "
            "a country not listed was not measured"
        )


def _country(check: Check) -> list[Text | str]:
    began = "" if check.since is None else onset(check.since.earliest, check.since.latest)
    return [
        check.scope["probe_cc"],
        state(check.state),
        interval(check.p, *check.interval).removeprefix("P="),
        f"{check.n.networks_blocked} of {check.n.networks_sufficient}",
        began,
        lines([seen.mechanism for seen in check.mechanisms[:3]]),
        f"{check.n.measurements:,}",
    ]
