"""Is it the port, the address, or everything: what else answers where a connection fails?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gatewatch.model.mechanism import Placement, Trigger
from gatewatch.probe.experiments.attempts import (
    CONNECT_S,
    ENDING_WORDS,
    Attempt,
    Ending,
    ask_page,
    finding,
    of,
    open_tcp,
)
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.net import Datagrams, Failed
from gatewatch.probe.seat import Anchor

REPEATED = 3
ANCHORS = 3
WEB = (80, 443)
UNUSED = (40_000, 60_000)
"Ports at which hardly any server listens, so that one that is there says that it is closed."
NEARER = 0.6
"""Share of the way to the server, in time, below which an answer is not the server's. Our choice:
queues make answers late, and nothing makes them early."""
LEAST_S = 0.004
"Smaller differences are the machine's. Our choice."
NOISE, NOISE_BYTES = "/bytes?n=4096", 4096

ENDED: dict[Ending, str] = {
    "timeout": "tcp.timeout",
    "refused": "tcp.refused",
    "reset": "tcp.reset",
    "unreachable": "ip.unreachable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    suspect: list[Attempt]
    closed: list[Attempt]
    "A port of the same address that should be closed."
    other: list[Attempt]
    "The other web port of the same address."
    datagram: list[Trial]
    anchor: list[Attempt]
    "The same port at addresses of ours."
    elsewhere: list[Attempt]
    "Port 80 at addresses of ours."

    @property
    def trials(self) -> list[Trial]:
        attempts = (self.suspect, self.closed, self.other, self.anchor, self.elsewhere)
        return [*(one.trial for some in attempts for one in some), *self.datagram]

    @property
    def alive(self) -> list[str]:
        """What the host answers to, in words."""
        found = []
        for arm, attempts in (("its other web port", self.other), ("a closed port", self.closed)):
            if any(one.ok or one.ending in ("refused", "reset") for one in attempts):
                found.append(arm)
        if any(one.failure in (None, "connection_refused") for one in self.datagram):
            found.append("UDP")
        return found


class TcpPort:
    """The connection repeated; other ports of the address; the port at innocent addresses."""

    name = "tcp_port"
    version = 1
    question = "Is it this port, this address, or everything that cannot be reached?"
    layers: frozenset[Layer] = frozenset({"tcp"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        if suspicion.kind != "failed" or suspicion.address is None:
            return None
        bench.tell(f"what else answers at {suspicion.address}?")
        await bench.turn(suspicion.address)
        with bench.lend(ANCHORS, suspicion.address, tainted=True) as anchors:
            # Where a trigger was sent before, failing would be no news.
            anchors = [a for a in anchors if not bench.is_tainted(a.address)] or anchors
            doubtful = all(bench.is_tainted(a.address) for a in anchors)
            tried = await _try(bench, suspicion, suspicion.address, anchors)
        answer, mechanism, trigger, placement, words = _read(suspicion, tried)
        if doubtful and answer in ("everything", "port"):
            answer, mechanism, trigger = "inconclusive", None, None
        return finding(
            self,
            suspicion,
            answer,
            words,
            tried.trials,
            mechanism=mechanism,
            trigger=trigger,
            placement=placement,
        )


async def _try(bench: Bench, at: Suspicion, address: str, anchors: list[Anchor]) -> _Tried:
    closed = bench.rng.randrange(*UNUSED)
    others = [port for port in WEB if port != at.port]

    async def tcp(where: str, port: int, arm: str, times: int) -> list[Attempt]:
        tries = (open_tcp(bench, where, port, arm, CONNECT_S) for _ in range(times))
        return list(await asyncio.gather(*tries))

    async def at_anchors() -> list[Attempt]:
        every = await asyncio.gather(
            *(tcp(one.address, at.port, "innocent_address", 1) for one in anchors)
        )
        return [one for some in every for one in some]

    async def in_clear() -> list[Attempt]:
        return list(
            await asyncio.gather(
                *(
                    ask_page(bench, one.address, 80, one.name, NOISE, "port_80", CONNECT_S,
                             most=NOISE_BYTES)
                    for one in anchors[:2]
                )
            )
        )  # fmt: skip

    suspect, shut, other, udp, anchor, clear = await asyncio.gather(
        tcp(address, at.port, "suspect", REPEATED),
        tcp(address, closed, "closed_port", REPEATED),
        tcp(address, others[0], "other_port", REPEATED),
        asyncio.gather(*(_datagram(bench, address, closed) for _ in range(2))),
        at_anchors(),
        in_clear() if at.port != 80 else _none(),
    )
    return _Tried(
        suspect=suspect,
        closed=shut,
        other=other,
        datagram=list(udp),
        anchor=anchor,
        elsewhere=clear,
    )


async def _none() -> list[Attempt]:
    return []


async def _datagram(bench: Bench, address: str, port: int) -> Trial:
    """A datagram to a port that should be closed, which a host that is there says by ICMP."""
    t0, failure = bench.vantage.now(), None
    try:
        with await Datagrams.open(bench.vantage, address, port) as datagrams:
            await datagrams.send(b"?")
            await datagrams.receive(t0 + CONNECT_S)
    except Failed as failed:
        failure = failed.failure
    t = bench.vantage.now()
    return Trial(
        arm="datagram",
        step="packet",
        address=address,
        port=port,
        name=None,
        failure=failure,
        t0=t0,
        t=t,
    )


Read = tuple[str, str | None, Trigger | None, Placement | None, str]


def _read(suspicion: Suspicion, tried: _Tried) -> Read:
    """Answer, mechanism, trigger, placement and words."""
    address, port = suspicion.address, suspicion.port
    failed = [one for one in tried.suspect if not one.ok]
    if len(failed) < REPEATED:
        count = of(len(tried.suspect) - len(failed), REPEATED)
        words = f"Repeated, the connection to {address} port {port} opens {count} times."
        return "not_repeated", None, None, None, words
    ending = failed[0].ending
    if any(one.ending != ending for one in failed):
        words = f"Repeated, the connection to {address} port {port} fails, each time otherwise."
        return "inconclusive", None, None, None, words
    how = f"{REPEATED} of {REPEATED} connections to {address} port {port} {_was(ending)}"
    reached = sum(one.ok for one in tried.anchor)
    if not tried.anchor:
        return "inconclusive", None, None, None, f"{how}; there was nothing to compare with."
    if not reached:
        return _everywhere(tried, ending, how, port)
    ours = f"the same port opens at {of(reached, len(tried.anchor))} addresses of ours"
    sure = suspicion.reached is True
    alive = tried.alive
    if ending == "refused":
        return _refused(tried, f"{how}; {ours}", sure)
    beyond = "" if sure else " No control says that it can be reached from elsewhere."
    if ending == "unreachable":
        words = f"{how} by a router on the way; {ours}.{beyond}"
        return "address", "ip.unreachable" if sure else None, "address", "unknown", words
    if alive:
        words = f"{how}, while the host answers to {' and to '.join(alive)}; {ours}.{beyond}"
        return "port_of_address", ENDED.get(ending) if sure else None, "address", "unknown", words
    others = [one for one in suspicion.answering if one != port]
    null = bool(others) and ending == "timeout"
    words = (
        f"{how}, nothing else at that address answers either, over TCP, UDP or ICMP; {ours}."
        + (f" A control is answered at its port {others[0]} too." if null else "")
        + beyond
    )
    mechanism = "ip.null_route" if null else ENDED.get(ending)
    return "address", mechanism if sure else None, "address", "unknown", words


def _was(ending: Ending) -> str:
    """
    >>> _was("timeout")
    'got no answer'
    """
    return ENDING_WORDS[ending].replace("was ", "were ", 1)


def _everywhere(tried: _Tried, ending: Ending, how: str, port: int) -> Read:
    """The same port is shut at addresses of ours too: that port alone, or all there is?"""
    count = of(len(tried.anchor), len(tried.anchor))
    alike = all(one.ending == ending for one in tried.anchor)
    ours = sum(_is_noise(one) for one in tried.elsewhere)
    if alike and len(tried.anchor) >= ANCHORS and ours >= 2:
        words = (
            f"{how}, and so do those to port {port} of {count} addresses of ours, which listen"
            f" there; in clear, at port 80, they answer {of(ours, len(tried.elsewhere))} times."
            " It is the port."
        )
        return "port", ENDED.get(ending), "port", "unknown", words
    words = f"{how}; port {port} fails at {count} addresses of ours as well: it is not this site."
    return "everything", None, None, None, words


def _is_noise(one: Attempt) -> bool:
    """Is it what an anchor alone sends: bytes that are no text?"""
    page = one.page
    if page is None or page.status != 200 or len(page.body) < NOISE_BYTES:
        return False
    return sum(byte >= 0x80 for byte in page.body) > len(page.body) / 4


def _refused(tried: _Tried, how: str, sure: bool) -> Read:
    """A server that refuses and a box that does it for the server differ in how soon they do."""
    soonest = min(one.took_s for one in tried.suspect)
    # Of each port the quickest; a box that refuses at more than one is quick at those too.
    quickest = [
        min(one.took_s for one in arm)
        for arm in (tried.other, tried.closed)
        if arm and all(one.ok or one.ending == "refused" for one in arm)
    ]
    server = max(quickest, default=0.0)
    ms = f"The refusal comes after {soonest * 1000:.0f} ms"
    if sure and soonest < NEARER * server and server - soonest > LEAST_S:
        words = f"{how}. {ms}, the server's own word after {server * 1000:.0f} ms: it is not its."
        return "nearer", "tcp.refused", "address", "unknown", words
    own = f", the address's word at other ports after {server * 1000:.0f} ms" if quickest else ""
    return "as_far", None, None, None, f"{how}. {ms}{own}: it may be the server's own."


EXPERIMENT = TcpPort()
