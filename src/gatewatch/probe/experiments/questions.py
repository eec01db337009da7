"""Questions to resolvers as attempts of an experiment, and what an answer to one amounts to."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass

from gatewatch.model.failure import FailureKind, kind_of
from gatewatch.probe.dns import Lookup, Reply
from gatewatch.probe.experiments.mechanism import Bench, Suspicion
from gatewatch.probe.finding import Trial
from gatewatch.wire.address import is_bogon

TRIES, TRY_S = 2, 1.5
"How often a question is sent, and how long each time waits: three seconds of silence in all."
TOTAL_S = 3.5

SHOWN = {
    FailureKind.NXDOMAIN: "nxdomain",
    FailureKind.SERVFAIL: "servfail",
    FailureKind.DNS_REFUSED: "refused",
    FailureKind.NO_ANSWER: "no_answer",
    FailureKind.TIMEOUT: "timeout",
}
MECHANISMS = {kind: f"dns.{kind}" for kind in SHOWN.values()}
"What the network, or a resolver, does to a name that others know."

IN_WORDS = {
    "nxdomain": "NXDOMAIN",
    "servfail": "SERVFAIL",
    "refused": "REFUSED",
    "no_answer": "an answer without an address",
    "timeout": "silence",
    "unreached": "no connection to the resolver",
    "bogon": "an address that is not on the Internet",
    "addresses": "other addresses",
    "other": "an answer that is none",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question and its answer."""

    arm: str
    name: str
    lookup: Lookup
    address: str
    port: int

    @property
    def shown(self) -> str:
        """What came, in one word: a key of `IN_WORDS`."""
        return shown(self.lookup.reply)

    @property
    def answered(self) -> bool:
        """Did a message come, whatever is in it?"""
        return bool(self.lookup.reply.raw or self.lookup.late) or bool(self.addresses)

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.lookup.addresses

    @property
    def trial(self) -> Trial:
        words = ", ".join(self.addresses) or IN_WORDS[self.shown]
        if self.lookup.late:
            words += f"; {len(self.lookup.late)} more"
        return Trial(
            arm=self.arm,
            step="dns",
            address=self.address,
            port=self.port,
            name=self.name,
            failure=self.lookup.failure,
            t0=self.lookup.t0,
            t=self.lookup.reply.t,
            words=words,
        )


def shown(reply: Reply) -> str:
    """What a reply amounts to.

    >>> shown(Reply(t=0.1, failure=None, addresses=("10.0.0.1",)))
    'bogon'
    """
    if reply.failure is None:
        return "bogon" if all(is_bogon(a) for a in reply.addresses) else "addresses"
    kind = kind_of(reply.failure)
    if kind is not None and kind in SHOWN:
        return SHOWN[kind]
    unreached = (FailureKind.REFUSED, FailureKind.RESET, FailureKind.EOF, FailureKind.UNREACHABLE,
                 FailureKind.CERTIFICATE, FailureKind.TLS_ERROR)  # fmt: skip
    return "unreached" if kind in unreached else "other"


async def asked(arm: str, name: str, address: str, port: int, looking: Awaitable[Lookup]) -> Asked:
    return Asked(arm=arm, name=name, lookup=await looking, address=address, port=port)


def forged_as(kinds: Iterable[str]) -> str | None:
    """The mechanism of answers that are known to be forged, by what they amount to.

    >>> forged_as(["bogon", "addresses"]), forged_as(["nxdomain"]), forged_as(["addresses"])
    ('dns.injection.bogon', 'dns.nxdomain', 'dns.injection')
    """
    seen = list(kinds)
    if "bogon" in seen:
        return "dns.injection.bogon"
    if "addresses" in seen:
        return "dns.injection"
    return next((MECHANISMS[kind] for kind in seen if kind in MECHANISMS), "dns" if seen else None)


def innocent_name(bench: Bench) -> str | None:
    """A name that exists, and with which nobody has a quarrel."""
    seat = bench.seat
    if seat.anchors:
        return seat.anchors[0].name
    return seat.controls[0].name if seat.controls else None


def record_type(suspicion: Suspicion) -> str:
    """The type to ask for: the one whose answer is suspected."""
    only_6 = suspicion.answers and all(":" in address for address in suspicion.answers)
    return "AAAA" if only_6 else "A"
