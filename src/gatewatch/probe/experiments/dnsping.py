"""dnsping: what does a resolver answer, time after time, and does more than one answer?

OONI's test `dnsping`. Whoever injects answers races the true ones, which then come late.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from gatewatch.model.target import is_address
from gatewatch.probe.experiments.common.inputs import Asked, InputTest, place_of, repeat
from gatewatch.probe.experiments.common.pings import ping_keys
from gatewatch.probe.ooni import Json
from gatewatch.probe.steps import lookup

DOMAINS = ("edge-chat.instagram.com", "example.com")
"As OONI: one that many censor, and one that nobody does."


async def work(asked: Asked) -> Json:
    """The input may name the domains: `udp://192.0.2.53:53?domains=a.example b.example`."""
    at = place_of(asked.input, schemes={"udp": 53})
    if at is None or not is_address(at.host):
        return ping_keys(asked, [])
    named = parse_qs(at.path.partition("?")[2]).get("domains", [" ".join(DOMAINS)])[0]
    domains = named.split()
    kinds = [(domain, kind) for domain in domains for kind in ("A", "AAAA")]

    async def ask(domain: str, kind: str) -> Json:
        session = asked.session.fork()
        found = await lookup(
            session.vantage,
            at.host,
            domain,
            kind,
            total_s=asked.pace.timeout_s,
            tries=1,
            try_s=asked.pace.timeout_s,
            late_s=session.seat.patience.late_s,
            port=at.port,
        )
        session.journal.lookup(found, session.journal.thread("udp", []))
        return {
            "query": session.journal.queries[0],
            "delayed_responses": session.journal.duplicates,
        }

    async def ping(number: int) -> Json:
        return {"all": await asyncio.gather(*(ask(*one) for one in kinds))}

    rounds = await repeat(asked.pace, ping)
    return ping_keys(asked, [one for found in rounds for one in found["all"]])


EXPERIMENT = InputTest(
    name="dnsping",
    version="0.4.0",
    question="What does a resolver answer, and does anybody else answer too?",
    work=work,
    kinds=(("resolvers", "udp"),),
    takes="url",
)
