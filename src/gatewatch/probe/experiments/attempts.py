"""Steps as attempts of an experiment: each names its failure, none raises, all can be compared.

Certificates are never checked here: an anchor has none for the names that are sent to it. What it
showed is kept, to be held against what it shows to an innocent name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.experiments.mechanism import Bench, Experiment, Suspicion
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.ooni import ACCEPT, ACCEPT_LANGUAGE, USER_AGENT
from gatewatch.probe.steps import (
    Exchange,
    Request,
    TlsStream,
    connect,
    exchange,
    handshake,
    quic_handshake,
)
from gatewatch.probe.urls import header
from gatewatch.wire.address import in_url

SILENT_S = 3.0
"""How long an attempt that hears nothing is waited for, where innocent ones are answered sooner.
Our choice: a lost packet is sent again at least twice meanwhile."""
SLOWER = 4.0
"On a slow path: so many times what the slowest innocent attempt took. Our choice."
CONNECT_S = 4.0
"Three SYNs, at 0, 1 and 3 seconds (RFC 6298)."
NOISE = "/bytes?n=65536"
"""What is asked of an anchor where the answer is to be long enough for whoever lets a handshake
and some packets pass: twice the largest documented allowance, 32 kB."""
NOISE_BYTES = 65_536

Ending = Literal[
    "ok", "reset", "timeout", "eof", "refused", "unreachable", "tls_error", "certificate", "other",
    "local", "changed",
]  # fmt: skip
"How an attempt ended; `changed`: well, and with something else than an innocent one brings."

_ENDINGS: dict[FailureKind | None, Ending] = {
    None: "ok",
    FailureKind.RESET: "reset",
    FailureKind.TIMEOUT: "timeout",
    FailureKind.EOF: "eof",
    FailureKind.REFUSED: "refused",
    FailureKind.UNREACHABLE: "unreachable",
    FailureKind.TLS_ERROR: "tls_error",
    FailureKind.CERTIFICATE: "certificate",
    FailureKind.LOCAL: "local",
}

ENDING_WORDS: dict[Ending, str] = {
    "ok": "went well",
    "reset": "was reset",
    "timeout": "got no answer",
    "eof": "was closed",
    "refused": "was refused",
    "unreachable": "was called unreachable",
    "tls_error": "ended in an alert, or in what is no TLS",
    "certificate": "met a certificate that proves nothing",
    "other": "got an answer that makes no sense",
    "local": "could not be made",
    "changed": "was answered by somebody else",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt, and what came of it."""

    trial: Trial
    shown: tuple[Any, ...] = ()
    "What the other side showed: its certificate, or status, redirect target and body."
    chain: tuple[bytes, ...] = ()
    page: Exchange | None = None

    @property
    def ending(self) -> Ending:
        return _ENDINGS.get(kind_of(self.trial.failure), "other")

    @property
    def ok(self) -> bool:
        return self.trial.failure is None

    @property
    def told(self) -> bool:
        """Did it get as far as sending the name, or whatever it is about?"""
        return self.trial.step != "tcp" and self.ending != "local"

    @property
    def took_s(self) -> float:
        return self.trial.t - self.trial.t0


def patience_s(innocent: Iterable[Attempt]) -> float:
    """How long to wait for an attempt that may hear nothing."""
    slowest = max((one.took_s for one in innocent if one.ok), default=0.0)
    return max(SILENT_S, SLOWER * slowest)


async def open_tcp(bench: Bench, address: str, port: int, arm: str, within_s: float) -> Attempt:
    """A connection that is opened and closed again."""
    reached = await connect(bench.vantage, address, port, timeout_s=within_s)
    if reached.stream is not None:
        reached.stream.close()
    trial = Trial(
        arm=arm,
        step="tcp",
        address=address,
        port=port,
        name=None,
        failure=reached.failure,
        t0=reached.t0,
        t=reached.t,
    )
    return Attempt(trial=trial)


async def say_name(
    bench: Bench,
    address: str,
    port: int,
    name: str,
    arm: str,
    within_s: float,
    *,
    then: Request | None = None,
    most: int = NOISE_BYTES,
) -> Attempt:
    """A TLS handshake that sends a name, or "" for none; and a request after it.

    Args:
        within_s: for the connection, for the handshake, and for the request.
    """
    reached = await connect(bench.vantage, address, port, timeout_s=min(CONNECT_S, within_s))
    step, failure, t, chain, size = "tcp", reached.failure, reached.t, (), None
    if reached.stream is not None:
        step = "tls"
        stream = reached.stream
        shaken = await handshake(
            stream, name, ca=bench.seat.ca, timeout_s=within_s, sni=name, verify=False
        )
        failure, t, chain = shaken.failure, shaken.t, shaken.chain
        channel: TlsStream | None = shaken.channel
        if channel is not None and then is not None:
            step = "http"
            got = await exchange(bench.vantage, channel, then, timeout_s=within_s, most=most)
            failure, t, size = got.failure, got.t, len(got.body)
        stream.close()
    trial = Trial(
        arm=arm,
        step=step,
        address=address,
        port=port,
        name=name or None,
        failure=failure,
        t0=reached.t0,
        t=t,
        bytes=size,
    )
    return Attempt(trial=trial, shown=chain[:1], chain=chain)


async def say_name_over_quic(
    bench: Bench, address: str, port: int, name: str, arm: str, within_s: float
) -> Attempt:
    """A QUIC handshake that sends a name."""
    found = await quic_handshake(
        bench.vantage,
        address,
        port,
        name,
        ca=bench.seat.ca,
        sni=name,
        verify=False,
        timeout_s=within_s,
    )
    trial = Trial(
        arm=arm,
        step="quic",
        address=address,
        port=port,
        name=name,
        failure=found.failure,
        t0=found.t0,
        t=found.t,
    )
    return Attempt(trial=trial, shown=found.chain[:1], chain=found.chain)


async def ask_page(
    bench: Bench,
    address: str,
    port: int,
    host: str,
    target: str,
    arm: str,
    within_s: float,
    *,
    most: int = NOISE_BYTES,
) -> Attempt:
    """A request in clear to an address, for a host and a path that need not be its own."""
    reached = await connect(bench.vantage, address, port, timeout_s=min(CONNECT_S, within_s))
    step, failure, t, size, page = "tcp", reached.failure, reached.t, None, None
    shown: tuple[Any, ...] = ()
    if reached.stream is not None:
        step = "http"
        request = Request(url=f"http://{in_url(host)}{target}", headers=HEADERS)
        page = await exchange(bench.vantage, reached.stream, request, timeout_s=within_s, most=most)
        failure, t, size = page.failure, page.t, len(page.body)
        shown = (page.status, header(page, "location"), page.body)
        reached.stream.close()
    trial = Trial(
        arm=arm,
        step=step,
        address=address,
        port=port,
        name=host,
        failure=failure,
        t0=reached.t0,
        t=t,
        bytes=size,
        words=target if target != "/" else "",
    )
    return Attempt(trial=trial, shown=shown, page=page)


HEADERS = (
    ("Accept", ACCEPT),
    ("Accept-Language", ACCEPT_LANGUAGE),
    ("User-Agent", USER_AGENT),
)
"As the first pass sends them."


def finding(
    experiment: Experiment,
    suspicion: Suspicion,
    answer: str,
    words: str,
    trials: Iterable[Trial],
    **more: Any,
) -> Finding:
    """A finding of an experiment about a suspicion.

    Args:
        more: other fields of `Finding`.
    """
    return Finding(
        experiment=experiment.name,
        version=experiment.version,
        question=experiment.question,
        layer=suspicion.layer,
        depth=suspicion.depth,
        host=suspicion.host,
        url=suspicion.url,
        answer=answer,
        words=words,
        trials=tuple(sorted(trials, key=lambda trial: trial.t0)),
        **more,
    )


def answered(bench: Bench, suspicion: Suspicion, experiment: str, answer: str) -> bool:
    """Has an experiment before this one given that answer about the suspicion?"""
    wanted = (experiment, answer, suspicion.host, suspicion.depth)
    return any((f.experiment, f.answer, f.host, f.depth) == wanted for f in bench.findings)


def invented(bench: Bench) -> tuple[str, str]:
    """Names that nobody has, in the shapes that ordinary names have.

    What is done to them too is done to every name, as captive portals do.
    """
    return f"www.{bench.rng.randbytes(6).hex()}.com", f"{bench.rng.randbytes(6).hex()}.org"


def commonest(attempts: Iterable[Attempt]) -> Ending:
    """How most of the attempts that failed did so; of equals the first."""
    endings: list[Ending] = [one.ending for one in attempts if not one.ok]
    return max(endings, key=endings.count)


def of(failed: int, tried: int) -> str:
    """
    >>> of(3, 3), of(0, 4)
    ('3 of 3', '0 of 4')
    """
    return f"{failed} of {tried}"
