"""What the control says of endpoints: the question, and how far the answer shows that it came."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gatewatch.model.target import is_address
from gatewatch.probe.certificates import (
    CERTIFICATE_FAILURES,
)
from gatewatch.probe.control import ask_control, control_request
from gatewatch.probe.experiments.common.reached import WANTED, Depth, Reached
from gatewatch.probe.experiments.common.session import MOST_ADDRESSES, Session
from gatewatch.probe.ooni import Json
from gatewatch.wire.address import endpoint as place
from gatewatch.wire.address import in_url

PARALLEL = 6
"Questions to the control at a time. Our choice: an open helper takes some from each client."


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How far the control came with an endpoint."""

    depth: Depth
    near: Depth
    "Over the addresses that the probe has; where it has none, as `depth`."
    tested: Depth
    "How far it tried to come; it asks for no more than an endpoint's port suggests."
    failure: str | None
    certificate: str | None
    "What the control found wrong with the certificate."
    status: int | None
    "Of the page's end, for web endpoints."
    addresses: tuple[str, ...]
    networks: frozenset[int]


@dataclass(slots=True, kw_only=True)
class Opinions:
    """All that the control said."""

    views: dict[str, View] = field(default_factory=dict)
    "By the endpoint's URL."
    connects: Json = field(default_factory=dict)
    "As `tcp_connect` of the control's answers, all together."
    failures: list[str] = field(default_factory=list)


async def ask(session: Session, reached: Sequence[Reached]) -> Opinions:
    """What the control sees of these endpoints; one question for each host and port."""
    heard = Opinions()
    if not session.seat.controls:
        return heard
    gate = asyncio.Semaphore(PARALLEL)

    async def one(about: Reached) -> None:
        async with gate:
            question = control_question(about)
            answer, failure = await ask_control(session.vantage, session.seat, question)
        if answer is None:
            heard.failures.append(failure or "unknown_failure")
            return
        heard.connects.update(
            {
                where: {"status": bool(said.get("status")), "failure": said.get("failure")}
                for where, said in (answer.get("tcp_connect") or {}).items()
                if isinstance(said, dict)
            }
        )
        heard.views[about.endpoint.url] = view(about, answer)

    if reached:
        session.tell(f"asking the control about {len(reached)} endpoints")
    await asyncio.gather(*map(one, reached))
    return heard


def control_question(about: Reached) -> Json:
    """The endpoint as a page, since that is what a control can be asked about.

    Nothing is there at most ports; the control then says at least whether it connects.
    """
    target = about.endpoint
    host = in_url(target.host)
    scheme = "https" if target.protocol in ("https", "tls") or target.port == 443 else "http"
    if target.protocol in ("http", "http_post"):
        scheme = "http"
    plain = (scheme, target.port) in (("http", 80), ("https", 443))
    url = f"{scheme}://{host}{'' if plain else f':{target.port}'}{target.path or '/'}"
    question = control_request(url, [])
    addresses = about.addresses[:MOST_ADDRESSES]
    places = [place(address, target.port) for address in addresses]
    # What our helper offers, and a foreign one does not read: TLS at whatever port, and no page
    # where there is none. A name it is still to look up.
    names = {"x_tls": dict.fromkeys(places, target.host)} if target.protocol == "tls" else {}
    bare = target.protocol in ("tcp", "tls") and is_address(target.host)
    only = {"x_endpoints_only": True} if bare else {}
    return {**question, "tcp_connect": places, **names, **only}


def view(about: Reached, answer: Json) -> View:
    """The control's answer about one endpoint; what is not as it should be counts for nothing."""
    target = about.endpoint
    mine = {place(address, target.port) for address in about.addresses}
    port = f":{target.port}"
    connects = {k: v for k, v in _entries(answer, "tcp_connect") if k.endswith(port)}
    shakes = {k: v for k, v in _entries(answer, "tls_handshake") if k.endswith(port)}
    page = answer.get("http_request")
    page = page if isinstance(page, dict) else {}
    status = page.get("status_code")
    status = status if isinstance(status, int) and status > 0 else None
    dns = answer.get("dns")
    addresses = tuple(
        a for a in _strings((dns or {}).get("addrs") if isinstance(dns, dict) else ())
    )
    wanted = WANTED.get(target.protocol, Depth.CONNECTED)

    def depth_of(where: Iterable[str], fetched: bool) -> Depth:
        places = set(where)
        ends = [v for k, v in shakes.items() if k in places]
        refused = any(_refusal(v) for v in ends)
        if fetched:
            return Depth.ANSWERED
        if any(v.get("status") for v in ends) or (refused and target.protocol == "tls"):
            return Depth.SECURE
        if refused:
            return Depth.CERTIFICATE
        if any(v.get("status") for k, v in connects.items() if k in places):
            return Depth.CONNECTED
        return Depth.NAME if addresses else Depth.NOTHING

    web = target.protocol in ("https", "http", "http_post")
    fetched = web and page.get("failure") is None and status is not None
    depth = min(depth_of([*connects, *shakes], fetched), wanted)
    near = min(depth_of(mine, fetched and is_address(target.host)), wanted) if mine else depth
    failure = next((v.get("failure") for v in (*connects.values(), *shakes.values())), None)
    tested = Depth.ANSWERED if web else Depth.SECURE if shakes else Depth.CONNECTED
    certificate = next(filter(None, map(_refusal, shakes.values())), None)
    return View(
        certificate=certificate,
        depth=depth,
        near=near,
        tested=min(tested, wanted),
        failure=None if depth >= wanted else page.get("failure") or failure,
        status=status,
        addresses=addresses,
        networks=_networks(answer, addresses),
    )


def _refusal(shaken: Json) -> str | None:
    """What the control found wrong with a certificate."""
    failure = shaken.get("failure")
    return failure if isinstance(failure, str) and failure in CERTIFICATE_FAILURES else None


def _entries(answer: Json, key: str) -> list[tuple[str, Json]]:
    found = answer.get(key)
    if not isinstance(found, dict):
        return []
    return [(str(k), v) for k, v in found.items() if isinstance(v, dict)]


def _strings(values: object) -> list[str]:
    return [v for v in values if isinstance(v, str)] if isinstance(values, list) else []


def _networks(answer: Json, addresses: tuple[str, ...]) -> frozenset[int]:
    known = dict(_entries(answer, "ip_info"))
    numbers = (known.get(address, {}).get("asn") for address in addresses)
    return frozenset(asn for asn in numbers if isinstance(asn, int) and asn)
