"""Service by network, country or site: who stands how, with what nobody measured left empty."""

from __future__ import annotations

import msgspec

from gatewatch.model.outcome import CellState
from gatewatch.publish.reading import Reading, Scope, Window
from gatewatch.publish.standing import FILTERED, Standing, combined, standings


class Network(msgspec.Struct, frozen=True, kw_only=True):
    asn: int | None
    asn_name: str | None
    measurements: int


class MatrixCell(msgspec.Struct, frozen=True, kw_only=True):
    """A service on one network. What was not measured has no cell."""

    service: str
    asn: int | None
    state: CellState
    p: float | None
    interval: tuple[float | None, float | None]
    measurements: int


class ServiceStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A service in the whole scope."""

    service: str
    name: str
    state: CellState
    p: float | None
    interval: tuple[float | None, float | None]
    networks_blocked: int
    networks_sufficient: int
    networks: int
    measurements: int


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    services: list[ServiceStanding]
    networks: list[Network]
    "Most measured first."
    cells: list[MatrixCell]


def matrix(reading: Reading, scope: Scope, window: Window) -> Matrix:
    """Services by network within a country or on one network."""
    by_host = standings(reading, scope, window, ["service", "target"])
    by_network = standings(reading, scope, window, ["service", "probe_asn", "target"])
    rows: list[ServiceStanding] = []
    cells: list[MatrixCell] = []
    for service in reading.names.services():
        hosts = {key[1]: s for key, s in by_host.items() if key[0] == service.id}
        whole = combined(service, hosts)
        if whole is None:
            continue
        networks: dict[int | None, dict[str, Standing]] = {}
        for (name, asn, host), standing in by_network.items():
            if name == service.id:
                networks.setdefault(asn, {})[host] = standing
        here = {asn: combined(service, found) for asn, found in networks.items()}
        placed = [_cell(service.id, asn, s) for asn, s in here.items() if s is not None]
        rows.append(_row(service.id, service.name, whole, placed))
        cells.extend(placed)
    return Matrix(services=rows, networks=networks_of(reading, scope, window), cells=cells)


def networks_of(reading: Reading, scope: Scope, window: Window) -> list[Network]:
    """The networks that measured anything in the scope, most active first."""
    condition, values = scope.where()
    found = reading.rows(
        f"""select probe_asn as asn, count(*) as measurements from verdicts
where {condition} and day between $first and $last
group by probe_asn order by measurements desc, asn""",
        **values,
        first=window.first,
        last=window.last,
    )
    return [Network(asn_name=reading.network_name(row["asn"]), **row) for row in found]


def _cell(service: str, asn: int | None, standing: Standing) -> MatrixCell:
    return MatrixCell(
        service=service,
        asn=asn,
        state=standing.state,
        p=standing.p,
        interval=(standing.low, standing.high),
        measurements=standing.measurements,
    )


def _row(service: str, name: str, whole: Standing, cells: list[MatrixCell]) -> ServiceStanding:
    known = [cell.state for cell in cells if cell.asn is not None]
    return ServiceStanding(
        service=service,
        name=name,
        state=whole.state,
        p=whole.p,
        interval=(whole.low, whole.high),
        networks_blocked=sum(state in FILTERED for state in known),
        networks_sufficient=sum(state is not CellState.INSUFFICIENT for state in known),
        networks=len(known),
        measurements=whole.measurements,
    )
