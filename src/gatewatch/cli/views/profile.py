"""How a country or a network is shown."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType
from rich.text import Text

from gatewatch.cli.human import grid, heading, lines, state, text
from gatewatch.cli.session import Session
from gatewatch.cli.sheet import Sheet, sheet_of
from gatewatch.model.mechanism import words as mechanism_words
from gatewatch.model.outcome import CellState
from gatewatch.publish.profile import FilteredSite, Profile
from gatewatch.publish.words import (
    STATE_SYMBOLS,
    STATE_WORDS,
    count,
    interval,
    network,
    onset,
    span,
)

NETWORKS_SHOWN = 6
"Columns of the matrix on a terminal; all are in the machine formats."

COLUMNS = (
    "target service state p p_low p_high networks_blocked networks_sufficient since_earliest "
    "since_latest mechanisms measurements example"
).split()


def show_profile(session: Session, profile: Profile) -> None:
    """The whole picture for people; the filtered sites as the plain table."""
    decided = sum(n for state, n in profile.states.items() if state != CellState.INSUFFICIENT)
    session.show(
        _sheet(profile),
        document=profile,
        view=lambda: _view(profile),
        empty_is_answer=decided > 0,
    )


def _sheet(profile: Profile) -> Sheet:
    rows = [
        {
            **{name: getattr(site, name, None) for name in COLUMNS},
            "p_low": site.interval[0],
            "p_high": site.interval[1],
            "since_earliest": site.since and site.since.earliest,
            "since_latest": site.since and site.since.latest,
        }
        for site in profile.sites
    ]
    return sheet_of(rows, COLUMNS)


def _view(profile: Profile) -> Iterable[RenderableType]:
    scope, coverage = profile.scope, profile.coverage
    name = scope["probe_cc"] or network(scope["probe_asn"], scope["asn_name"])
    yield Text(f"{name}  {span(profile.window.first, profile.window.last)}", style="bold")
    strip = [
        f"{STATE_SYMBOLS[CellState(s)]} {n:,} {STATE_WORDS[CellState(s)]}"
        for s, n in profile.states.items()
        if n
    ]
    yield text("sites: " + "   ".join(strip))
    yield from _matrix(profile)
    yield heading("Filtered sites")
    if profile.sites:
        columns = ["site", "state", "P(blocked)", ">networks", "since", "how"]
        yield grid(columns, [_site(site) for site in profile.sites])
    else:
        yield text("none of the sites with enough evidence")
    if profile.mechanisms:
        yield heading("How")
        yield grid(
            ["mechanism", "", ">networks", ">measurements"],
            [
                (
                    m.mechanism,
                    mechanism_words(m.mechanism),
                    f"{m.networks:,}",
                    f"{m.measurements:,}",
                )
                for m in profile.mechanisms
            ],
        )
    yield heading("Coverage")
    yield text(
        f"{count(coverage.measurements, 'measurement')}, {count(coverage.reports, 'submission')}, "
        f"{count(coverage.networks, 'network')}, {count(coverage.targets, 'site')}, "
        f"{count(coverage.days, 'day')}; {coverage.unclear:,} unclear"
    )
    for caveat in coverage.caveats:
        yield text(f"- {caveat}")


def _site(site: FilteredSite) -> list[Text | str]:
    share = interval(site.p, *site.interval).removeprefix("P=")
    began = "" if site.since is None else onset(site.since.earliest, site.since.latest)
    return [
        site.target,
        state(site.state),
        share,
        f"{site.networks_blocked} of {site.networks_sufficient}",
        began,
        lines(site.mechanisms[:3]),
    ]


def _matrix(profile: Profile) -> Iterable[RenderableType]:
    """Services by network; a network of its own needs no columns but the whole."""
    if not profile.matrix.services:
        return
    yield heading("Services")
    shown = [] if profile.scope["probe_asn"] else profile.matrix.networks[:NETWORKS_SHOWN]
    cells = {(cell.service, cell.asn): cell.state for cell in profile.matrix.cells}
    names = [network(n.asn, n.asn_name) for n in shown]
    rows = [
        [row.name, state(row.state), *(state(cells.get((row.service, n.asn))) for n in shown)]
        for row in profile.matrix.services
    ]
    yield grid(["service", "all", *names], rows)
    more = len(profile.matrix.networks) - len(shown)
    if shown and more:
        yield text(f"{count(more, 'more network', 'more networks')}: --json has all")
