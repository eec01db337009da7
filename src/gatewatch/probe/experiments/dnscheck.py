"""dnscheck: does a resolver answer, over each of its addresses? OONI's test `dnscheck`.

Its name is looked up with the system's resolver, as OONI does; then every address is asked for the
same name. What it answers for that name is known, so a wrong answer shows.
"""

from __future__ import annotations

import asyncio

from gatewatch.probe.experiments.common.inputs import (
    BAD_INPUT,
    Asked,
    InputTest,
    Place,
    addresses_of,
    place_of,
)
from gatewatch.probe.experiments.common.opinions import ask
from gatewatch.probe.experiments.common.reached import Reached
from gatewatch.probe.experiments.common.session import MOST_ADDRESSES, SPOKEN, Session
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import Lookup, lookup, lookup_https, lookup_tcp, lookup_tls
from gatewatch.refdata.endpoints import Endpoint
from gatewatch.wire.address import endpoint, is_bogon

SCHEMES = {"https": 443, "dot": 853, "tcp": 53, "udp": 53}
DOMAIN = "example.org"
TOTAL_S = 15.0
"As long as OONI waits."
BOGON = "dns_bogon_error"


async def work(asked: Asked) -> Json:
    session = asked.session
    at = place_of(asked.input, schemes=SCHEMES)
    base = {
        "domain": DOMAIN,
        "bootstrap": None,
        "bootstrap_failure": BAD_INPUT,
        "lookups": {},
        "x_http3_enabled": False,
    }
    if at is None:
        return {**base, **_service(asked.input, BAD_INPUT, {})}
    boot = session.fork()
    addresses, failure = await addresses_of(boot, at.host)
    tries = [(address, session.fork()) for address in addresses[:MOST_ADDRESSES]]
    found = await asyncio.gather(*(_ask(one, at, address) for address, one in tries))
    lookups = {
        _url(at, address): _keys(one, at, answer)
        for (address, one), answer in zip(tries, found, strict=True)
    }
    worst = next((f for f in (_failure(a) for a in found) if f), failure)
    best = None if any(_failure(a) is None for a in found) else worst
    speaks = addresses or failure in SPOKEN  # a resolver that is mute hides nothing in particular
    control = await _controlled(session, at, addresses) if best and speaks else {}
    if best and any(said["status"] for said in control.values()):
        again = await asyncio.gather(*(_ask(session.fork(), at, address) for address, _ in tries))
        best = None if any(_failure(answers) is None for answers in again) else best
    return {
        **base,
        "bootstrap": None if at.host in addresses else {**boot.keys(), "failure": failure},
        "bootstrap_failure": failure,
        "lookups": lookups,
        **_service(asked.input, best, control),
    }


async def _ask(session: Session, at: Place, address: str) -> tuple[Lookup, ...]:
    """Both types of address, as OONI asks."""
    kinds = ("A", "AAAA")
    found = await asyncio.gather(*(_one(session, at, address, kind) for kind in kinds))
    engine = {"https": "doh"}.get(at.scheme, "udp")
    for one in found:
        session.journal.lookup(one, session.journal.thread(engine, []))
    return tuple(found)


async def _one(session: Session, at: Place, address: str, kind: str) -> Lookup:
    vantage, ca = session.vantage, session.seat.ca
    if at.scheme == "https":
        path = at.path or "/dns-query"
        return await lookup_https(
            vantage, at.host, address, DOMAIN, kind, ca=ca, total_s=TOTAL_S, path=path, port=at.port
        )
    if at.scheme == "dot":
        return await lookup_tls(
            vantage, at.host, address, DOMAIN, kind, ca=ca, total_s=TOTAL_S, port=at.port
        )
    if at.scheme == "tcp":
        return await lookup_tcp(vantage, address, DOMAIN, kind, total_s=TOTAL_S, port=at.port)
    return await lookup(vantage, address, DOMAIN, kind, total_s=TOTAL_S, port=at.port)


def _failure(answers: tuple[Lookup, ...]) -> str | None:
    """None where one of both types has addresses, and all are on the Internet."""
    addresses = [address for one in answers for address in one.addresses]
    if any(is_bogon(address) for address in addresses):
        return BOGON
    return None if addresses else next((one.failure for one in answers if one.failure), None)


def _keys(session: Session, at: Place, answers: tuple[Lookup, ...]) -> Json:
    failure = _failure(answers)
    return {
        **session.keys(),
        "failed_operation": "resolve" if failure else None,
        "failure": failure,
    }


def _url(at: Place, address: str) -> str:
    """OONI names each lookup by the resolver's URL with the address in it."""
    return f"{at.scheme}://{endpoint(address, at.port)}{at.path}"


async def _controlled(session: Session, at: Place, addresses: tuple[str, ...]) -> Json:
    """What the control connects to at the resolver; over UDP it cannot ask."""
    if at.scheme == "udp":
        return {}
    target = Endpoint(
        service="resolvers", kind=at.scheme, protocol="tcp", host=at.host, port=at.port
    )
    heard = await ask(session, [Reached(endpoint=target, addresses=addresses)])
    return {k: v for k, v in heard.connects.items() if k.endswith(f":{at.port}")}


def _service(url: str, failure: str | None, control: Json) -> Json:
    reaches = any(said["status"] for said in control.values())
    if failure is None:
        blocked, why = False, "it answers"
    elif reaches:
        blocked, why = True, f"{failure} here; the control connects to it"
    elif control:
        blocked, why = None, f"{failure} here, and the control does not reach it either"
    else:
        blocked, why = None, f"{failure}, and no control to compare with"
    return {
        "x_control": control,
        "x_moved": [url] if control and failure and not reaches else [],
        "x_service": {
            "blocked": blocked,
            "why": why,
            "endpoints": [{"endpoint": url, "failure": failure}],
        },
    }


EXPERIMENT = InputTest(
    name="dnscheck",
    version="0.9.3",
    question="Can a resolver be used, encrypted or in clear?",
    work=work,
    kinds=(("resolvers", "doh"), ("resolvers", "dot"), ("resolvers", "udp")),
)
