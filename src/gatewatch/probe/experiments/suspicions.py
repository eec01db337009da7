"""What in the test keys of a first pass may be interference, and is worth an experiment.

Nothing is decided here: a suspicion costs a few attempts, and what an innocent network does to a
site it also does where experiments compare. What a control fails at as well is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.model.target import is_address
from gatewatch.probe.experiments.first_pass import PRIVATE, FirstPass, Hop, answers, header
from gatewatch.probe.experiments.mechanism import Layer, Suspicion
from gatewatch.probe.ooni import Json
from gatewatch.wire.address import endpoint, is_bogon, is_loopback, parted

SLOW_KBPS = 400.0
"Below it a page is suspected of being held back. Our choice: twice the documented throttles."
ENOUGH_BYTES = 16_384
"Of an answer whose speed says something; less comes in one flight, whatever the rate."
MOST_ADDRESSES = 3
"Of one host and port that are suspected alike. Our choice."
OURS = ("http_too_many_redirects", "http_invalid_redirect_location_host", "invalid_argument")
"Failures that are about an answer which did come, or about the request."
ANSWERED = frozenset({"connection_refused", "connection_refused_error"})
"A control that is refused has met a host."


def suspicions(url: str, keys: Json) -> list[Suspicion]:
    """What in the test keys of a web_connectivity measurement may be interference.

    In the order of the path, one hop after the other; of each hop names first.

    Args:
        url: as measured.
    """
    said = FirstPass(url, keys)
    found: list[Suspicion] = []
    for hop in said.hops:
        names = list(_names(said, hop))
        found += names
        found += _connections(said, hop)
        found += _handshakes(said, hop)
        found += _quic(said, hop)
        found += _pages(said, hop, names)
    return found


# -- names -----------------------------------------------------------------------------------


def _names(said: FirstPass, hop: Hop) -> Iterator[Suspicion]:
    """The system's answer, where it fails or leads elsewhere."""
    if is_address(hop.host):
        return
    true = said.true_addresses(hop)
    for query in said.at("queries", hop.depth):
        if query.get("engine") not in SYSTEM or query.get("hostname") != hop.host:
            continue
        if query.get("failure") and kind_of(query["failure"]) is not FailureKind.LOCAL:
            if true or said.has_page is not False:
                yield _suspect("dns", "failed", hop, failure=query["failure"], true=true)
            return
        given = answers(query)
        if given and _leads_elsewhere(said, hop, query, given, true):
            yield _suspect("dns", "answer", hop, true=true, answers=tuple(given))
        return


SYSTEM = frozenset({"getaddrinfo", "system", "golang_net_resolver"})


def _leads_elsewhere(
    said: FirstPass, hop: Hop, query: Json, given: list[str], true: tuple[str, ...]
) -> bool:
    false = [a for a in given if a not in true]
    if not false or said.proved(hop) & {*false}:
        return False
    if any(is_bogon(a) for a in false) or (not true and _is_denied(said, hop)):
        return True
    if len(false) < len(given) or not true:
        return False
    networks = {(said.control.get("ip_info") or {}).get(a, {}).get("asn") for a in true} - {None, 0}
    theirs = {answer.get("asn") for answer in query.get("answers") or []} - {None, 0}
    return not networks & theirs


def _is_denied(said: FirstPass, hop: Hop) -> bool:
    """Do resolvers asked in private, and the control, say that there is no such name?"""
    private = [
        query
        for query in said.at("queries", hop.depth)
        if query.get("engine") in PRIVATE and query.get("hostname") == hop.host
    ]
    control = (said.control.get("dns") or {}).get("failure")
    denied = [kind_of(query.get("failure")) in NAMELESS for query in private]
    return bool(denied) and all(denied) and (hop.depth > 0 or bool(control))


NAMELESS = frozenset({FailureKind.NXDOMAIN, FailureKind.NO_ANSWER})


# -- connections and handshakes --------------------------------------------------------------


def _connections(said: FirstPass, hop: Hop) -> Iterator[Suspicion]:
    found = 0
    for entry in said.at("tcp_connect", hop.depth):
        address, port = entry["ip"], entry["port"]
        failure = (entry.get("status") or {}).get("failure")
        if not failure or not _is_fair(said, hop, address, failure):
            continue
        reached = said.reached("tcp_connect", address, port, hop.depth)
        if reached is False or found >= MOST_ADDRESSES:
            continue
        found += 1
        yield _suspect(
            "tcp",
            "failed",
            hop.twin(port),
            failure=failure,
            address=address,
            port=port,
            true=said.true_addresses(hop),
            reached=reached,
            answering=_answering(said, address),
        )


def _is_fair(said: FirstPass, hop: Hop, address: str, failure: str) -> bool:
    """Is a failure at an address one of the network's?

    Not one of our own system, as where we have no IPv6; and not one at an address that a false
    answer gave, which is that answer's doing.
    """
    if kind_of(failure) is FailureKind.LOCAL or is_loopback(address):
        return False
    if failure == "network_unreachable" and ip_address(address).version not in said.heard:
        return False
    true = said.true_addresses(hop)
    return not true or address in true or address in said.proved(hop)


def _answering(said: FirstPass, address: str) -> tuple[int, ...]:
    """Ports of an address at which a control met a host, whatever it said."""
    found = []
    for port in (80, 443):
        step = (said.control.get("tcp_connect") or {}).get(endpoint(address, port))
        if step is not None and (not step.get("failure") or step["failure"] in ANSWERED):
            found.append(port)
    return tuple(found)


def _handshakes(said: FirstPass, hop: Hop) -> Iterator[Suspicion]:
    yield from _first_of_each(
        _failed_at(said, hop, "tls", said.at("tls_handshakes", hop.depth), "tls_handshake")
    )
    fine = [
        entry
        for entry in said.at("tls_handshakes", hop.depth)
        if entry.get("failure") is None and entry.get("server_name") == hop.host
    ]
    if fine:
        address, port = parted(fine[0]["address"])
        yield _suspect("tls", "unasked", hop, address=address, port=port, reached=True)


def _failed_at(
    said: FirstPass, hop: Hop, layer: Layer, entries: Iterable[Json], kind: str
) -> Iterator[Suspicion]:
    for entry in entries:
        failure = entry.get("failure")
        address, port = parted(entry.get("address"))
        if not failure or not is_address(address) or not _is_fair(said, hop, address, failure):
            continue
        reached = said.reached(kind, address, port, hop.depth)
        if reached is False:
            continue
        yield _suspect(
            layer,
            "failed",
            hop.twin(int(port)),
            failure=failure,
            address=address,
            port=int(port),
            true=said.true_addresses(hop),
            reached=reached,
        )


def _first_of_each(every: Iterable[Suspicion]) -> Iterator[Suspicion]:
    """One for each port: the name is the same at all addresses. IPv4 before IPv6."""
    seen: set[int] = set()
    for one in sorted(every, key=lambda one: ":" in (one.address or "")):
        if one.port not in seen:
            seen.add(one.port)
            yield one


def _quic(said: FirstPass, hop: Hop) -> Iterator[Suspicion]:
    entries = said.at("quic_handshakes", hop.depth)
    yield from _first_of_each(_failed_at(said, hop, "quic", entries, "quic_handshake"))
    if entries or is_address(hop.host):
        return
    page = said.control.get("http_request") or {}
    seen = page.get("discovered_h3_endpoint") if hop.depth == 0 else None
    services = (header(said.request(hop.depth), "alt-svc") or "").split(",")
    if not seen and not any(one.strip().startswith("h3=") for one in services):
        return
    known = [a for a in said.true_addresses(hop) if ip_address(a).version in said.heard]
    if known:
        yield _suspect("quic", "unasked", hop, address=known[0], port=443)


# -- pages -----------------------------------------------------------------------------------


def _pages(said: FirstPass, hop: Hop, names: list[Suspicion]) -> Iterator[Suspicion]:
    """A request that failed, was slow, or brought what a control was not given.

    A page over TLS is the server's own, whatever it says; one at an address that a false answer
    gave is that answer's doing.
    """
    request = said.request(hop.depth)
    if request is None:
        return
    first = all(other.host != hop.host for other in said.hops[: hop.depth])
    last = all(other.host != hop.host for other in said.hops[hop.depth + 1 :])
    suspected = False
    address = parted(request.get("address"))[0] or None
    failure = request.get("failure")
    true = said.true_addresses(hop)
    led = bool(names) and address in names[0].answers
    if failure:
        fair = address is None or _is_fair(said, hop, address, failure)
        if (
            fair
            and failure not in OURS
            and "redirects" not in failure
            and said.has_page is not False
        ):
            yield _page(hop, "failed", address, true, said, failure=failure)
    elif not hop.secure and not led and first and _is_unlike(said, hop, request):
        yield _page(hop, "page", address, true, said)
        suspected = True
    if led:
        return
    if _is_slow(request):
        yield _page(hop, "slow", address, true, said)
    elif failure is None and not suspected and last:
        yield _page(hop, "unasked", address, true, said)


def _page(
    hop: Hop,
    kind: Any,
    address: str | None,
    true: tuple[str, ...],
    said: FirstPass,
    failure: str | None = None,
) -> Suspicion:
    return _suspect(
        "http",
        kind,
        hop,
        failure=failure,
        address=address,
        port=hop.port,
        true=true,
        reached=said.has_page,
    )


def _is_unlike(said: FirstPass, hop: Hop, request: Json) -> bool:
    """Is a page in clear, or the redirect that led away from it, another than the control's?

    The least difference counts, as a page that was added to differs little.
    """
    page = said.control.get("http_request")
    if not isinstance(page, dict):
        return True
    if page.get("failure"):
        return False
    last = hop.depth == said.hops[-1].depth
    final = said.request(said.hops[-1].depth) if not last else request
    response = (final or {}).get("response") or {}
    if final is None or final.get("failure") or response.get("code") != page.get("status_code"):
        return True
    features = final.get("x_page") or {}
    theirs = page.get("x_page") or {}
    if features.get("body_sha256") and theirs.get("body_sha256"):
        return features["body_sha256"] != theirs["body_sha256"]
    length = features.get("body_length", _length(response.get("body")))
    return bool(response.get("body_is_truncated")) or length != page.get("body_length")


def _length(body: object) -> int | None:
    """Bytes of a body as recorded; of one in base64, or none, it is not worth knowing."""
    return len(body.encode()) if isinstance(body, str) else None


def _got(request: Json) -> int:
    body = (request.get("response") or {}).get("body")
    if isinstance(body, dict):
        return len(str(body.get("data") or "")) * 3 // 4
    return len(body.encode()) if isinstance(body, str) else 0


def _is_slow(request: Json) -> bool:
    """Did so much as says something come slower than ordinary lines are?"""
    size, took = _got(request), request.get("t", 0.0) - request.get("t0", 0.0)
    return size >= ENOUGH_BYTES and took > 0 and size * 8 / took / 1000 < SLOW_KBPS


def _suspect(
    layer: Layer,
    kind: Any,
    hop: Hop,
    *,
    failure: str | None = None,
    address: str | None = None,
    port: int | None = None,
    true: tuple[str, ...] = (),
    answers: tuple[str, ...] = (),
    reached: bool | None = None,
    answering: tuple[int, ...] = (),
) -> Suspicion:
    return Suspicion(
        layer=layer,
        kind=kind,
        failure=failure,
        url=hop.url,
        host=hop.host,
        address=address,
        port=hop.port if port is None else port,
        depth=hop.depth,
        true_addresses=true,
        answers=answers,
        reached=reached,
        answering=answering,
    )
