"""Who measures in a world, and what was brought home: one visit is one URL from one network."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import msgspec

from gatewatch import __version__
from gatewatch.lab.attach import Attach
from gatewatch.lab.scenario import ANCHOR, Expectation, Host, Scenario
from gatewatch.lab.topology import Topology
from gatewatch.probe.experiments.web_connectivity import measure
from gatewatch.probe.journal import AsnOf
from gatewatch.probe.seat import Anchor, Control, Patience, Seat
from gatewatch.wire.address import is_bogon

PATIENCE = Patience(connect_s=5.0, tls_s=5.0, quic_s=5.0, http_s=8.0, control_s=11.0, late_s=0.3)
"""About half of what OONI's probe has; our choice, so that a measurement in which all is silent
stays short. In the lab no path is longer than a second."""

VISIT_S = 120.0
"What a client may take for one URL before it is ended. Our choice: four times what the probe does."
DEEP_VISIT_S = 1200.0
"The same, where it waits for residual blocking to end, and for programs of others."


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Who measures in a world."""

    command: tuple[str, ...] | None = None
    "In place of the probe; `-i URL -o FILE` is added to it."
    experiments: bool = True
    "The probe also finds out how."
    deep: bool = False
    "And takes minutes for it."

    @property
    def most_s(self) -> float:
        """What it may take for one URL before it is ended."""
        return DEEP_VISIT_S if self.deep or self.command else VISIT_S


SETTLE_S = 0.1
"After each measurement, so that what is still on its way is not taken for the next one's."

FIRST_PASS = Client(experiments=False)
"As quick as a plain web_connectivity measurement."


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One URL measured from one network of one scenario."""

    scenario: str
    network: str
    url: str
    began: float
    ended: float
    "Seconds since the world began."
    file: str
    "Where the measurement is, in the world's folder; JSON Lines."
    failure: str | None = None
    "The client's, if it brought nothing home."


def expected_on(scenario: Scenario, network: str) -> Iterator[Expectation]:
    """What the scenario says of that network, in its order."""
    return (e for e in scenario.expect if network in (e.networks or scenario.vantages))


def uid_of(scenario: Scenario, network: str, number: int) -> str:
    """The measurement's id, the same for the same scenario every time."""
    return f"lab-{scenario.id}-{network}-{number}"


def seat_at(scenario: Scenario, network: str, attach: Attach, ca: Path) -> Seat:
    """The probe's seat at a vantage point: its resolvers and its control server."""
    mine = scenario.networks[network]
    control = next((host for host in scenario.hosts.values() if host.control), None)
    return Seat(
        asn=mine.asn,
        country=mine.country,
        network=mine.name,
        addresses=mine.probe,
        resolver=mine.resolver,
        udp_resolvers=tuple(host.addresses[0] for host in _public_resolvers(scenario, "udp")),
        doh_resolvers=tuple(
            (host.names[0], host.addresses[0])
            for host in _public_resolvers(scenario, "doh")
            if host.names
        ),
        controls=(
            (Control(name=control.names[0], address=control.addresses[0]),) if control else ()
        ),
        anchors=tuple(_anchors(scenario)),
        ca=ca,
        reach=attach,
        clock_skew_days=scenario.clock_skew_days,
        software="gatewatch-lab",
        version=__version__,
        annotations={"synthetic": "true"},
        patience=PATIENCE,
        secrets=mine.probe,
        asn_of=_numbers(scenario),
    )


def _anchors(scenario: Scenario) -> Iterator[Anchor]:
    """The addresses of ours that answer to any name."""
    host = scenario.hosts.get(ANCHOR)
    if host is not None:
        yield from (Anchor(name=host.names[0], address=address) for address in host.addresses)


def _numbers(scenario: Scenario) -> AsnOf:
    """The networks of addresses, as a database of the public ones knows them."""
    topology = Topology(scenario)

    def asn_of(address: str) -> int | None:
        network = topology.network_of(ip_address(address).packed)
        return None if network is None or is_bogon(address) else topology.networks[network].asn

    return asn_of


def _public_resolvers(scenario: Scenario, transport: str) -> Iterator[Host]:
    """Resolvers that are no network's own."""
    own = {network.resolver for network in scenario.networks.values()}
    for host in scenario.hosts.values():
        serves = host.resolver is not None and transport in host.resolver.transports
        if serves and host.names and not own & {*host.addresses}:
            yield host


def visit_all(
    scenario: Scenario,
    network: str,
    folder: Path,
    *,
    seat: Seat,
    client: Client,
    since: float,
) -> list[Visit]:
    """Measure everything the scenario expects of a network, one after the other.

    Args:
        client: who measures.
        since: when the world began, on the monotonic clock.
    """
    visits = list[Visit]()
    for number, expectation in enumerate(expected_on(scenario, network)):
        uid = uid_of(scenario, network, number)
        file = folder / f"{uid}.jsonl"
        began = time.monotonic() - since
        if client.command is None:
            failure = _measure(expectation.url, seat, uid, scenario, file, client)
        else:
            failure = _call([*client.command, "-i", expectation.url, "-o", str(file)], file, seat)
        time.sleep(SETTLE_S)
        visits.append(
            Visit(
                scenario=scenario.id,
                network=network,
                url=expectation.url,
                began=began,
                ended=time.monotonic() - since,
                file=file.name,
                failure=failure,
            )
        )
    return visits


def _measure(
    url: str, seat: Seat, uid: str, scenario: Scenario, file: Path, client: Client
) -> str | None:
    """One measurement by the probe, its clock the scenario's; why there is none."""
    at = datetime.fromisoformat(scenario.clock).astimezone(UTC)
    try:
        found = asyncio.run(
            measure(
                url,
                seat,
                uid=uid,
                report_id=f"lab-{scenario.id}",
                at=at,
                deep=client.deep,
                investigate=client.experiments,
            )
        )
    except Exception as error:  # noqa: BLE001 - a client that breaks is a finding about the client
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    file.write_bytes(msgspec.json.encode(found) + b"\n")
    return None


def environment_of(seat: Seat) -> dict[str, str]:
    """What a probe that is a program of its own finds in its environment: `gatewatch probe`."""
    return {
        "GATEWATCH_CA": str(seat.ca.resolve()),
        "GATEWATCH_CONTROL": " ".join(control.url for control in seat.controls),
        "GATEWATCH_ANCHOR": " ".join(f"{one.name}={one.address}" for one in seat.anchors),
        "GATEWATCH_ASN": f"AS{seat.asn}",
        "GATEWATCH_COUNTRY": seat.country,
        "GATEWATCH_CONSENT": "yes",
        # what is made up has no place among real measurements, from where it could be submitted
        "GATEWATCH_SPOOL": str(seat.ca.resolve().parent / "spool"),
    }


def _call(command: list[str], file: Path, seat: Seat) -> str | None:
    """One measurement by a client that is a command; why there is none."""
    try:
        ended = subprocess.run(
            command,
            stdout=sys.stderr,
            timeout=DEEP_VISIT_S,
            check=False,
            env={**os.environ, **environment_of(seat)},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if ended.returncode:
        return f"{command[0]} ended with {ended.returncode}"
    return None if file.is_file() else f"{command[0]} wrote no {file.name}"
