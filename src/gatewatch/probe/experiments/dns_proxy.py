"""dns_proxy: are questions to public resolvers answered by somebody else?

Three questions. Under which address does the resolver that answers ask on (`whoami`)? A public
resolver asks from its operator's network; one whose questions are taken asks from the network that
takes them. Who answers says of itself (`version.bind`): two resolvers of different operators that
say the same, word for word, are one. And addresses that run no resolver at all: whoever answers
there for a name that nobody censors, answers for everybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.rdataclass
import dns.rdatatype

from gatewatch.probe.dns import DNS_PORT
from gatewatch.probe.experiments.common.inputs import Asked, InputTest
from gatewatch.probe.experiments.common.session import Session
from gatewatch.probe.net import Datagrams, Failed
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import lookup
from gatewatch.probe.whoami import WHOAMI
from gatewatch.wire.address import endpoint

INNOCENT = "www.example.com"
CHAOS = ("version.bind", "id.server")
"RFC 4892."
WAIT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What one address said."""

    address: str
    resolver: bool
    "Whether it is one that runs a resolver."
    failure: str | None
    "Of the question for a name."
    egress: str | None
    "Whom the servers of `whoami` saw asking."
    texts: tuple[str, ...]
    "To the questions of class CHAOS, in order; empty for none."


async def work(asked: Asked) -> Json:
    session = asked.session
    seat = session.seat
    public = list(seat.udp_resolvers) or [e.host for e in asked.table.of("resolvers", "udp")]
    nobodies = [anchor.address for anchor in seat.anchors if ":" not in anchor.address][:2]
    own = seat.resolver
    egress = await _egress(session, own) if own else None
    found = await asyncio.gather(
        *(_ask(session, address, True) for address in public if ":" not in address),
        *(_ask(session, address, False) for address in nobodies),
    )
    return {
        **session.keys(),
        "failure": None,
        **verdict(session, found, egress),
    }


async def _egress(session: Session, resolver: str) -> str | None:
    found = await lookup(session.vantage, resolver, WHOAMI, "A", late_s=0.0)
    return next(iter(found.addresses), None)


async def _ask(session: Session, address: str, resolver: bool) -> Asking:
    name = await lookup(session.vantage, address, INNOCENT, "A", tries=2, total_s=3.0, late_s=0.0)
    session.journal.lookup(name, session.journal.thread("udp", []))
    if name.failure and not name.reply.raw:
        return Asking(
            address=address, resolver=resolver, failure=name.failure, egress=None, texts=()
        )
    egress, *texts = await asyncio.gather(
        _egress(session, address), *(_chaos(session, address, word) for word in CHAOS)
    )
    return Asking(
        address=address,
        resolver=resolver,
        failure=name.failure,
        egress=egress,
        texts=tuple(text or "" for text in texts),
    )


async def _chaos(session: Session, address: str, name: str) -> str | None:
    """The text that a resolver says of itself; None where it says nothing."""
    question = dns.message.make_query(name, dns.rdatatype.TXT, dns.rdataclass.CH)
    try:
        with await Datagrams.open(session.vantage, address, DNS_PORT) as datagrams:
            await datagrams.send(question.to_wire())
            data = await datagrams.receive(session.vantage.now() + WAIT_S)
        message = dns.message.from_wire(data, ignore_trailing=True)
    except (Failed, dns.exception.DNSException, ValueError):
        return None
    if not question.is_response(message):
        return None
    return next((record.to_text() for rrset in message.answer for record in rrset), None)


def verdict(session: Session, found: Sequence[Asking], own: str | None) -> Json:
    """`proxy`: True, False, or None where nobody answered."""
    why: list[str] = []
    asn_of = session.seat.asn_of
    for one in found:
        if not one.resolver and one.failure is None:
            why.append(f"{one.address} runs no resolver, and {INNOCENT} was answered there")
        if one.resolver and one.egress is not None and one.egress == own:
            why.append(f"{one.address} asks from where the network's own resolver does")
    answering = [one for one in found if one.resolver and one.failure is None]
    operators = {one.address: asn_of(one.address) for one in answering}
    exits: dict[str, list[str]] = {}
    for one in answering:
        if one.egress is not None:
            exits.setdefault(one.egress, []).append(one.address)
    for egress, addresses in exits.items():
        if len({operators[a] for a in addresses} - {None}) > 1:
            why.append(f"resolvers of several operators ask from {egress}: {', '.join(addresses)}")
    proxy = True if why else False if answering else None
    return {
        "proxy": proxy,
        "why": "; ".join(why) or ("they answer for themselves" if answering else "nobody answers"),
        "resolvers": [
            {
                "resolver": endpoint(one.address, DNS_PORT),
                "runs_resolver": one.resolver,
                "failure": one.failure,
                "egress": one.egress,
                "egress_asn": asn_of(one.egress) if one.egress else None,
                "asn": asn_of(one.address),
                "version_bind": one.texts[0] if one.texts else None,
                "id_server": one.texts[1] if one.texts else None,
            }
            for one in found
        ],
    }


EXPERIMENT = InputTest(
    name="dns_proxy",
    version="0.1.0",
    question="Are questions to public resolvers answered by somebody else?",
    work=work,
    besides=(("resolvers", "udp"),),
    takes="nothing",
)
