"""The second opinion: what follows from what probe and control reach of the same endpoints.

An endpoint counts as blocked only if the probe twice falls short of what the control reaches. One
that fails for both has moved, or is dead; where no control spoke, nothing is known. So a change at
the service is never taken for a censor, and neither is a dead line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from gatewatch.model.target import is_address
from gatewatch.probe.certificates import (
    INVALID,
    UNKNOWN_AUTHORITY,
)
from gatewatch.probe.experiments.common.opinions import Opinions, View, ask
from gatewatch.probe.experiments.common.pages import blocking_page
from gatewatch.probe.experiments.common.reached import Depth, Reached
from gatewatch.probe.experiments.common.session import SPOKEN, Session
from gatewatch.probe.ooni import Json
from gatewatch.refdata.endpoints import EndpointClass
from gatewatch.wire.address import is_bogon

State = Literal["open", "blocked", "moved", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What is true of one endpoint, as far as probe and control know."""

    reached: Reached
    state: State
    why: str


async def second_opinion(
    session: Session, reached: Sequence[Reached], classes: Sequence[EndpointClass]
) -> tuple[list[Ruling], Json]:
    """Ask the control, try again what fell short of it, and say what follows.

    Args:
        reached: the first attempts, of endpoints of these classes.

    Returns:
        What is true of each endpoint, in order, and the test keys that say so.
    """
    heard = await ask(session, [one for one in reached if _is_asked(one, reached)])
    short = [one for one in reached if falls_short(one, heard.views.get(one.endpoint.url))]
    if short:
        session.tell(f"trying {len(short)} endpoints again")
    again = await session.reach_all([one.endpoint for one in short], tags=["x_again"])
    second = {one.endpoint.url: one for one in again}
    mute = await _mute(session, reached)
    rulings = [
        rule(one, second.get(one.endpoint.url), heard, session)
        if one.endpoint.url not in mute
        else Ruling(reached=one, state="unknown", why="the resolver is not heard on other names")
        for one in reached
    ]
    return rulings, keys(rulings, heard, classes)


async def _mute(session: Session, reached: Sequence[Reached]) -> set[str]:
    """Endpoints whose names were met with silence or an error by a resolver that may be dead."""
    silent = [r for r in reached if r.operation == "resolve" and r.failure not in SPOKEN]
    return {r.endpoint.url for r in silent if not await session.resolver_speaks(r.endpoint.host)}


def _is_asked(one: Reached, all: Sequence[Reached]) -> bool:
    """What failed, what another may have answered, and of each class the first."""
    first = next(other for other in all if other.endpoint.kind == one.endpoint.kind)
    return one is first or not one.well or not proves_itself(one)


def proves_itself(one: Reached) -> bool:
    """Whether reaching it is proof: by certificate, or because no name was asked for."""
    return one.depth >= Depth.SECURE and one.endpoint.protocol == "https"


def falls_short(one: Reached, seen: View | None) -> bool:
    """Did the control come further, so that a second attempt is worth making?"""
    return not one.well and seen is not None and seen.depth > one.depth


def rule(first: Reached, again: Reached | None, heard: Opinions, session: Session) -> Ruling:
    """What is true of an endpoint; `again` is the second attempt at what fell short."""
    seen = heard.views.get(first.endpoint.url)
    if first.well:
        return _of_success(first, seen, session)
    if again is not None and again.well:
        return Ruling(reached=first, state="open", why="reached at the second attempt")
    last = again or first
    if seen is None:
        why = f"{last.failure}, and no control to compare with"
        return Ruling(reached=first, state="unknown", why=why)
    if seen.depth > last.depth:
        return _of_failure(first, last, seen)
    if last.depth is seen.depth is Depth.CERTIFICATE and not (
        last.failure == seen.certificate != UNKNOWN_AUTHORITY
    ):
        why = f"{last.failure} here; the control cannot check the certificate either"
        return Ruling(reached=first, state="unknown", why=why)
    if seen.tested > seen.depth:
        why = f"{last.failure} here; the control does not get further ({seen.failure})"
        return Ruling(reached=first, state="moved", why=why)
    why = f"{last.failure} here; the control does not try what failed"
    return Ruling(reached=first, state="unknown", why=why)


def _of_failure(first: Reached, last: Reached, seen: View) -> Ruling:
    """It failed, and the control came further."""
    words = f"{last.failure} here; the control gets {_words(seen.depth)}"

    def ruled(state: State, why: str) -> Ruling:
        return Ruling(reached=first, state=state, why=why)

    if last.failure == INVALID:
        return ruled("unknown", f"{words}; a certificate out of date may be a wrong clock")
    if last.operation == "connect" and seen.near < Depth.CONNECTED:
        if all(is_bogon(address) for address in last.addresses):
            return ruled("blocked", f"{words} and the name gave {_listed(last.addresses)} here")
        return ruled("unknown", f"{words}, though not over the addresses that the name gave here")
    return ruled("blocked", f"{words}, here twice not")


def _of_success(one: Reached, seen: View | None, session: Session) -> Ruling:
    """It was reached; was it reached, or something in its place?"""
    target = one.endpoint

    def ruled(state: State, why: str) -> Ruling:
        return Ruling(reached=one, state=state, why=why)

    page, answer = None, one.exchange
    if answer is not None and target.protocol in ("http", "http_post"):
        page = blocking_page(answer.body, answer.headers)
    if page:
        return ruled("blocked", f"a page in its place: {page}")
    if is_address(target.host) or target.protocol == "https":
        return ruled("open", "reached")
    if any(is_bogon(address) for address in one.addresses):
        public = seen is not None and any(not is_bogon(a) for a in seen.addresses)
        why = f"the name gave {_listed(one.addresses)}, which is not on the Internet"
        return ruled("blocked" if public else "unknown", why)
    numbers = {session.seat.asn_of(address) for address in one.addresses}
    if numbers & {*target.networks}:
        return ruled("open", "reached in a network of the service")
    if seen is None:
        known = bool(target.networks) and None not in numbers
        why = "reached, in a network that is not known as the service's" if known else "reached"
        return ruled("unknown" if known else "open", why)
    if {*seen.addresses} & {*one.addresses} or seen.networks & (numbers - {None}):
        return ruled("open", "reached where the control finds it")
    if not seen.addresses or (not target.networks and seen.near >= one.depth):
        return ruled("open", "reached")
    return ruled("unknown", f"the name gave {_listed(one.addresses)}, and other networks elsewhere")


def _listed(addresses: Iterable[str]) -> str:
    return ", ".join(addresses) or "no address"


def _words(depth: Depth) -> str:
    return {
        Depth.NOTHING: "nothing",
        Depth.NAME: "its addresses",
        Depth.CONNECTED: "a connection",
        Depth.CERTIFICATE: "its certificate",
        Depth.SECURE: "through a handshake",
        Depth.ANSWERED: "an answer",
    }[depth]


def keys(rulings: Sequence[Ruling], heard: Opinions, classes: Sequence[EndpointClass]) -> Json:
    """The test keys that say what follows; addresses in words are the endpoints', never ours."""
    blocked, why = of_service(rulings, classes)
    return {
        "x_control": heard.connects,
        "x_control_failure": heard.failures[0] if heard.failures else None,
        "x_moved": [r.reached.endpoint.url for r in rulings if r.state == "moved"],
        "x_service": {
            "blocked": blocked,
            "why": why,
            "endpoints": [_entry(ruling) for ruling in rulings],
        },
    }


def _entry(ruling: Ruling) -> Json:
    one = ruling.reached
    return {
        "endpoint": one.endpoint.url,
        "kind": one.endpoint.kind,
        "state": ruling.state,
        "failure": one.failure,
        "operation": one.operation,
        "why": ruling.why,
    }


def of_service(
    rulings: Sequence[Ruling], classes: Sequence[EndpointClass]
) -> tuple[bool | None, str]:
    """Is the service kept from people, and why we think so; None: not known."""
    said = []
    states: list[State] = []
    for one in classes:
        mine = [r for r in rulings if r.reached.endpoint.kind == one.id]
        if not mine:
            continue
        state, words = of_class([r.state for r in mine], one.need)
        said.append(f"{one.id}: {words}")
        if one.need != "none":
            states.append(state)
    why = "; ".join(said) or "nothing was tried"
    if "blocked" in states:
        return True, why
    # What has moved is not measured any more: the rest of the service does not speak for it.
    return False if {*states} == {"open"} else None, why


def of_class(states: Sequence[State], need: str) -> tuple[State, str]:
    """What is true of endpoints that do one job.

    >>> of_class(["open", "blocked", "moved"], "any")
    ('open', '1 open, 1 blocked, 1 moved')
    >>> of_class(["open", "blocked"], "all"), of_class(["moved", "open"], "all")[0]
    (('blocked', '1 open, 1 blocked'), 'moved')
    """
    order: tuple[State, ...] = ("open", "blocked", "moved", "unknown")
    words = ", ".join(f"{states.count(s)} {s}" for s in order if s in states)
    decisive: tuple[State, ...] = (
        ("open", "unknown", "blocked") if need == "any" else ("blocked", "unknown", "moved", "open")
    )
    for state in decisive:
        if state in states:
            return state, words
    return "moved", words
