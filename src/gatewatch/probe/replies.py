"""What resolvers say, read from the bytes of their messages; dnspython is the codec."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

WRONG_ID = "dns_reply_with_wrong_query_id"
MISBEHAVING = "dns_server_misbehaving"
NO_ANSWER = "dns_no_answer"

_RCODES = {
    dns.rcode.NXDOMAIN: "dns_nxdomain_error",
    dns.rcode.REFUSED: "dns_refused_error",
    dns.rcode.SERVFAIL: "dns_servfail_error",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One resource record of a reply."""

    name: str
    "Whose it is, in lower case, without the final dot."
    kind: str
    "`A`, `CNAME`, `SOA`, ..."
    ttl_s: int
    data: str
    "As zone files write it; an address for A and AAAA."
    section: str = "answer"
    "Or `authority`, where a denial has its SOA."


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One message from a resolver; times in seconds since the measurement began."""

    t: float
    failure: str | None
    rcode: int = 0
    addresses: tuple[str, ...] = ()
    "Of the type that was asked for."
    cnames: tuple[str, ...] = ()
    raw: bytes = b""
    id: int | None = None
    "Of the message, whether or not it is the question's; None without a message."
    ttl_s: int | None = None
    "The least of the records in the answer; None when it has none."
    records: tuple[Record, ...] = ()
    "All of answer and authority, whatever was asked for."


@dataclass(slots=True, kw_only=True)
class Lookup:
    """One question to one resolver, and how it ended."""

    engine: str
    resolver: str
    "As OONI writes it: empty for the system's, `8.8.8.8:53`, or a URL."
    hostname: str
    query_type: str
    t0: float
    reply: Reply
    late: list[Reply] = field(default_factory=list)
    "What else came, replies with a wrong id among them, also before the answer."
    getaddrinfo_error: int | None = None
    "What the system's own function returned, where it was asked and failed."

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.reply.addresses

    @property
    def failure(self) -> str | None:
        return self.reply.failure


def system_lookup(
    hostname: str, t0: float, reply: Reply, *, late: Iterable[Reply] = (), error: int | None = None
) -> Lookup:
    """A question to the system's own function, for addresses of both kinds, as OONI writes it.

    Args:
        error: what the function returned, where it failed.
    """
    return Lookup(
        engine="getaddrinfo",
        resolver="",
        hostname=hostname,
        query_type="ANY",
        t0=t0,
        reply=reply,
        late=[*late],
        getaddrinfo_error=error,
    )


def read_reply(data: bytes, question: dns.message.QueryMessage, t: float) -> Reply | None:
    """The answer in a message that came at `t`; None when it is none to this question.

    It has failed without a record of the type that was asked for, whatever else is in it.
    """
    message = _message(data)
    if message is None or not question.is_response(message):
        return None
    kind = dns.rdatatype.to_text(question.question[0].rdtype)
    records = _records(message)
    told = any(record.kind == kind and record.section == "answer" for record in records)
    rcode = message.rcode()
    failure = None if told else NO_ANSWER
    if rcode != dns.rcode.NOERROR:
        failure = _RCODES.get(rcode, MISBEHAVING)
    addresses = tuple(
        record.data
        for record in records
        if failure is None
        and kind in ("A", "AAAA")
        and record.kind == kind
        and record.section == "answer"
    )
    return _reply(data, message, t, failure, addresses)


def stray_reply(data: bytes, t: float) -> Reply:
    """A message that is no answer to the question: evidence, and no addresses."""
    message = _message(data)
    if message is None:
        return Reply(t=t, failure=WRONG_ID, raw=data)
    return _reply(data, message, t, WRONG_ID, ())


def _reply(
    data: bytes,
    message: dns.message.Message,
    t: float,
    failure: str | None,
    addresses: tuple[str, ...],
) -> Reply:
    records = _records(message)
    answers = [record for record in records if record.section == "answer"]
    return Reply(
        t=t,
        failure=failure,
        rcode=int(message.rcode()),
        addresses=addresses,
        cnames=tuple(record.data for record in answers if record.kind == "CNAME"),
        raw=data,
        id=message.id,
        ttl_s=min((record.ttl_s for record in answers), default=None),
        records=records,
    )


def merged(replies: list[Reply]) -> Reply:
    """Replies to questions about both versions as one answer."""
    addresses = tuple(a for reply in replies for a in reply.addresses)
    ttls = [reply.ttl_s for reply in replies if reply.ttl_s is not None]
    return Reply(
        t=max(reply.t for reply in replies),
        failure=None if addresses else next(r.failure for r in replies if r.failure),
        addresses=addresses,
        cnames=tuple(dict.fromkeys(c for reply in replies for c in reply.cnames)),
        ttl_s=min(ttls, default=None),
        records=tuple(dict.fromkeys(r for reply in replies for r in reply.records)),
    )


def _message(data: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None


def _records(message: dns.message.Message) -> tuple[Record, ...]:
    return tuple(
        Record(
            name=rrset.name.to_text(omit_final_dot=True).lower(),
            kind=dns.rdatatype.to_text(rrset.rdtype),
            ttl_s=rrset.ttl,
            data=record.to_text(),
            section=section,
        )
        for section, rrsets in (("answer", message.answer), ("authority", message.authority))
        for rrset in rrsets
        for record in rrset
    )
