"""echcheck: do handshakes get through whose server name is encrypted? OONI's test `echcheck`.

Three ClientHellos to one server: without ECH, with one that nobody can open (GREASE), and with the
server's own configuration: its key's id, its public name in clear. The last one's contents are
noise of the right length, as who is on the way cannot tell; so it is known whether it gets through
and is answered, and not whether the server would have opened it.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.rdatatype

from gatewatch.probe.experiments.common.inputs import (
    BAD_INPUT,
    Asked,
    InputTest,
    addresses_of,
    place_of,
)
from gatewatch.probe.experiments.common.opinions import ask
from gatewatch.probe.experiments.common.reached import Reached
from gatewatch.probe.hello import Hello, client_hello, ech_extension, say_hello
from gatewatch.probe.net import EOF
from gatewatch.probe.ooni import Json, timed
from gatewatch.probe.steps import Lookup, connect, lookup_https
from gatewatch.refdata.endpoints import Endpoint
from gatewatch.wire.address import endpoint

ECH_PARAMETER = 5
"SvcParamKey `ech`: RFC 9848."
ECH_VERSION = 0xFE0D
ENC_BYTES = 32
"Of X25519."


@dataclass(frozen=True, slots=True)
class Config:
    """The first configuration of a server's list that we can read: RFC 9849, section 4."""

    raw: bytes
    "The whole list."
    id: int
    public_name: str


async def work(asked: Asked) -> Json:
    session = asked.session
    at = place_of(asked.input, schemes={"https": 443})
    empty = {"network_events": [], "queries": [], "tcp_connects": [], "tls_handshakes": []}
    if at is None:
        return {**empty, "failure": BAD_INPUT, "x_ech": judged([], None)}
    addresses, config = await _about(asked, at.host)
    if not addresses:
        addresses, failure = await addresses_of(session, at.host)
        if not addresses:
            return {**_lists(asked), "failure": failure, "x_ech": judged([], None)}
    kinds = ["none", "grease", *(["real"] if config else [])]
    session.rng.shuffle(kinds)
    tries = [
        (kind, await _shake(asked, kind, addresses[0], at.port, at.host, config)) for kind in kinds
    ]
    target = Endpoint(
        service="echcheck", kind="page", protocol="https", host=at.host, port=at.port, path="/"
    )
    failed = any(failure for _, failure in tries)
    about = [Reached(endpoint=target, addresses=addresses)] if failed else []
    heard = await ask(session, about)
    return {
        **_lists(asked),
        "failure": None,
        "x_control": heard.connects,
        "x_ech": judged(tries, config),
    }


def _lists(asked: Asked) -> Json:
    keys = asked.session.keys()
    return {
        "network_events": keys["network_events"],
        "queries": keys["queries"],
        "tcp_connects": keys["tcp_connect"],
        "tls_handshakes": keys["tls_handshakes"],
    }


async def _about(asked: Asked, host: str) -> tuple[tuple[str, ...], Config | None]:
    """Addresses and configuration, by a resolver that nobody on the way can answer for."""
    session, seat = asked.session, asked.session.seat
    named = seat.doh_resolvers[:1]
    where: list[tuple[str, str]] = [*named]
    if not where:
        for resolver in asked.table.of("echcheck", "resolver"):
            found, _ = await addresses_of(session, resolver.host)
            where += [(resolver.host, address) for address in found[:1]]
    if not where:
        return (), None
    name, address = where[0]
    answers = await asyncio.gather(
        *(
            lookup_https(session.vantage, name, address, host, kind, ca=seat.ca)
            for kind in ("A", "HTTPS")
        )
    )
    for answer in answers:
        session.journal.lookup(answer, session.journal.thread("doh", []))
    return answers[0].addresses, config_of(answers[1])


def config_of(answer: Lookup) -> Config | None:
    """The configuration in an HTTPS record; None without one that can be read."""
    if not answer.reply.raw:
        return None
    try:
        message = dns.message.from_wire(answer.reply.raw, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None
    for rrset in message.answer:
        for record in rrset if rrset.rdtype == dns.rdatatype.HTTPS else ():
            params = getattr(record, "params", {})
            found = params.get(ECH_PARAMETER)
            config = read_config(getattr(found, "ech", b"")) if found is not None else None
            if config is not None:
                return config
    return None


def read_config(data: bytes) -> Config | None:
    """RFC 9849, section 4: length, then configurations of a version, a length and contents.

    >>> read_config(b"") is None
    True
    """
    at = 2
    while at + 4 <= len(data):
        version = int.from_bytes(data[at : at + 2], "big")
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 4 + length]
        at += 4 + length
        if version != ECH_VERSION or len(body) != length or len(body) < 5:
            continue
        key = int.from_bytes(body[3:5], "big")
        suites = 5 + key
        after = suites + 2 + int.from_bytes(body[suites : suites + 2], "big")
        end = after + 2 + body[after + 1] if after + 1 < len(body) else 0
        name = body[after + 2 : end]
        if end and len(name) == body[after + 1] and name.isascii():
            return Config(data, body[0], name.decode("ascii"))
    return None


async def _shake(
    asked: Asked, kind: str, address: str, port: int, host: str, config: Config | None
) -> str | None:
    """One ClientHello and the first of the answer, as OONI writes a handshake; its failure."""
    session = asked.session
    thread = session.journal.thread("tls", [kind])
    reached = await connect(
        session.vantage, address, port, timeout_s=session.seat.patience.connect_s
    )
    session.journal.connect(reached, thread)
    if reached.stream is None:
        session.journal.traffic(reached.events, thread)
        return reached.failure or EOF
    name, ech, shown = host, None, ""
    if kind == "grease":
        ech, shown = ech_extension(session.rng), "GREASE"
    elif kind == "real" and config is not None:
        enc = session.rng.randbytes(ENC_BYTES)
        ech = ech_extension(session.rng, config_id=config.id, enc=enc)
        name, shown = config.public_name, base64.b64encode(config.raw).decode("ascii")
    hello = client_hello(name, ech=ech, random=session.rng)
    said = await say_hello(reached.stream, hello, session.seat.patience.tls_s)
    reached.stream.close()
    failure = failure_of(said)
    session.journal.handshakes.append(
        {
            "network": "tcp",
            "address": endpoint(address, port),
            "cipher_suite": "",
            "failure": failure,
            "negotiated_protocol": "",
            "no_tls_verify": True,
            "peer_certificates": [],
            "server_name": host,
            "outer_server_name": name if shown else "",
            "echconfig": shown,
            "tls_version": "",
            **timed((said.t0, said.t)),
            **thread.marks(),
        }
    )
    session.journal.traffic(reached.events, thread)
    return failure


def failure_of(said: Hello) -> str | None:
    """A ServerHello is as far as these go."""
    if said.failure or said.answered == "server_hello":
        return said.failure
    return "ssl_failed_handshake"


def judged(tries: list[tuple[str, str | None]], config: Config | None) -> Json:
    """Is ECH kept from getting through? Only where the same handshake without it does."""
    ends = dict(tries)
    plain = ends.get("none", "") is None
    with_ech = {kind: failure for kind, failure in ends.items() if kind != "none"}
    short = [kind for kind, failure in with_ech.items() if failure]
    if not plain or not with_ech:
        blocked, why = None, "the handshake without ECH does not get through either"
    elif short:
        blocked, why = True, f"not answered: {', '.join(sorted(short))}; without ECH it is"
    else:
        blocked, why = False, "answered with ECH and without"
    return {
        "blocked": blocked,
        "why": why,
        "public_name": config.public_name if config else None,
        "ends": ends,
    }


EXPERIMENT = InputTest(
    name="echcheck",
    version="0.3.0",
    question="Do TLS handshakes get through whose server name is encrypted?",
    work=work,
    kinds=(("echcheck", "page"),),
    besides=(("echcheck", "resolver"),),
)
