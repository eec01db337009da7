"""Steps as entries of an OONI measurement, gathered while it runs.

Shapes are OONI's; what it has no place for stands in keys that begin with `x_`. The chain of a
server that was refused is kept whole, where OONI keeps the leaf: readers take the first.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import dns.exception
import dns.message

from gatewatch.probe.features import page_features
from gatewatch.probe.ooni import Json, binary_body, scrub, tcp_connect, timed
from gatewatch.probe.scrub import NO_SECRETS, Scrubber
from gatewatch.probe.steps import (
    Connect,
    Event,
    Exchange,
    Handshake,
    Lookup,
    QuicHandshake,
    Reply,
    Stream,
)
from gatewatch.wire.address import endpoint

AsnOf = Callable[[str], int | None]
SAMPLE_S, SAMPLE_MIN_S, SAMPLE_MAX_S = 0.25, 0.025, 0.65
"""Between samples of bytes received: the mean of an exponential distribution, and its bounds. As
OONI takes them."""
MOST_SAMPLES = 64
"As many as events."
BASES = {"system": 10_000, "udp": 20_000, "doh": 30_000, "tcp": 40_000, "tls": 50_000,
         "quic": 60_000}  # fmt: skip
"""Where the transaction ids of each kind begin, as in OONI's records; QUIC is our addition."""
_OWN_LIST = {"udp": "x_do53", "doh": "x_doh"}
"Where OONI writes the events of lookups that are not the system's."


def number_nowhere(address: str) -> int | None:
    """For those who leave the numbers of networks to the reader."""
    return None


@dataclass(slots=True, kw_only=True)
class Thread:
    """What the entries of one attempt share."""

    transaction: int
    tags: list[str]

    def marks(self) -> Json:
        return {"tags": self.tags, "transaction_id": self.transaction}


@dataclass(slots=True)
class Journal:
    """The lists of `test_keys`, each in the order in which its attempts ended."""

    asn_of: AsnOf = number_nowhere
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    "When bytes received are sampled."
    queries: list[Json] = field(default_factory=list)
    duplicates: list[Json] = field(default_factory=list)
    connects: list[Json] = field(default_factory=list)
    handshakes: list[Json] = field(default_factory=list)
    quic_handshakes: list[Json] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)
    "Oldest first."
    requests_h3: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    sub_events: dict[str, list[Json]] = field(default_factory=dict)
    "Of `x_do53` and `x_doh`."
    scrubber: Scrubber = NO_SECRETS
    "Whose addresses no hash of a page may give away."
    _counters: dict[str, int] = field(default_factory=dict)

    def thread(self, kind: str, tags: list[str]) -> Thread:
        """A new attempt of a kind named in `BASES`."""
        self._counters[kind] = self._counters.get(kind, BASES[kind]) + 1
        return Thread(transaction=self._counters[kind], tags=tags)

    def keys(self) -> Json:
        """The lists as they stand in `test_keys`."""
        return {
            "network_events": sorted(self.events, key=_ended),
            "x_doh": {
                "network_events": sorted(self.sub_events.get("x_doh", []), key=_ended),
                "queries": [],
                "requests": [],
                "tcp_connect": [],
                "tls_handshakes": [],
            },
            "x_do53": {
                "network_events": sorted(self.sub_events.get("x_do53", []), key=_ended),
                "queries": [],
            },
            "x_dns_duplicate_responses": sorted(self.duplicates, key=_ended),
            "queries": sorted(self.queries, key=_ended),
            # OONI's readers take the first for the end of the chain, and know no HTTP/3.
            "requests": self.requests[::-1] + self.requests_h3,
            "tcp_connect": sorted(self.connects, key=_ended),
            "tls_handshakes": sorted(self.handshakes, key=_ended),
            "quic_handshakes": sorted(self.quic_handshakes, key=_ended),
        }

    # -- steps ---------------------------------------------------------------------------------

    def lookup(self, found: Lookup, thread: Thread) -> None:
        self.queries.append(self._query(found, found.reply, thread))
        self.duplicates += [self._query(found, reply, thread) for reply in found.late]
        marks = [
            Event("resolve_start", "", None, 0, found.t0, found.t0, ""),
            Event("resolve_done", "", found.failure, 0, found.t0, found.reply.t, ""),
        ]
        own = _OWN_LIST.get(found.engine)
        kept = self.events if own is None else self.sub_events.setdefault(own, [])
        kept += [_event(mark, thread) for mark in marks]

    def connect(self, found: Connect, thread: Thread) -> None:
        self.connects.append(
            tcp_connect(
                found.address,
                found.port,
                found.failure,
                (found.t0, found.t),
                thread.tags,
                thread.transaction,
            )
        )

    def handshake(self, address: str, port: int, found: Handshake, thread: Thread) -> None:
        done = found.failure is None
        self.handshakes.append(
            {
                "network": "tcp",
                "address": endpoint(address, port),
                "cipher_suite": found.cipher_suite,
                "tls_version": found.tls_version if done else "",
                **_shaken(found, thread),
            }
        )

    def quic(self, found: QuicHandshake, thread: Thread) -> None:
        self.quic_handshakes.append(
            {
                "network": "udp",
                "address": endpoint(found.address, found.port),
                "cipher_suite": found.cipher_suite,
                "tls_version": "TLSv1.3" if found.failure is None else "",
                **_shaken(found, thread),
            }
        )
        self.events += [_event(event, thread) for event in found.events]

    def request(
        self, address: str, alpn: str, found: Exchange, thread: Thread, *, network: str = "tcp"
    ) -> None:
        """An exchange; the failure may be one that was found in the answer afterwards."""
        host = ("Host", urlsplit(found.request.url).netloc)
        sent = {name: scrub(value) for name, value in sorted((*found.request.headers, host))}
        names = [(canonical(name), value) for name, value in found.headers]
        got = [[name, scrub(value)] for name, value in sorted(names)]
        answered = found.status is not None
        kept = self.requests if network == "tcp" else self.requests_h3
        kept.append(
            {
                "network": network,
                "address": address,
                "alpn": alpn,
                "failure": found.failure,
                "request": {
                    "body": "",
                    "body_is_truncated": False,
                    "headers": sent,
                    "headers_list": [list(pair) for pair in sent.items()],
                    "method": found.request.method,
                    "tor": {"exit_ip": None, "exit_name": None, "is_tor": False},
                    "x_transport": network,
                    "url": found.request.url,
                },
                "response": {
                    "body": binary_body(found.body),
                    "body_is_truncated": found.truncated,
                    "code": found.status or 0,
                    "headers": dict(reversed(got)),
                    "headers_list": got,
                },
                **({"x_page": self._page(found)} if answered else {}),
                **timed((found.t0, found.t)),
                **thread.marks(),
            }
        )

    def _page(self, found: Exchange) -> Json:
        return page_features(found.body, found.headers, clean=self.scrubber.body)

    def traffic(
        self, events: Sequence[Event], thread: Thread, stream: Stream | None = None
    ) -> None:
        """What happened on a connection that is over.

        Args:
            stream: its bytes received are sampled, as OONI does.
        """
        self.events += [_event(event, thread) for event in events]
        if stream is None or not stream.arrivals:
            return
        began = events[0].t if events else stream.arrivals[0][0]
        for at, total in samples(stream.arrivals, began, self.rng):
            sample = Event("bytes_received_cumulative", stream.endpoint, None, total, at, at, "tcp")
            self.events.append(_event(sample, thread))

    # -- names ---------------------------------------------------------------------------------

    def _query(self, asked: Lookup, reply: Reply, thread: Thread) -> Json:
        ttls, number = _read(reply.raw)
        return {
            "answers": self._answers(reply, ttls) or None,
            "engine": asked.engine,
            "failure": reply.failure,
            "hostname": asked.hostname,
            "query_type": asked.query_type,
            **({"rcode": reply.rcode} if reply.rcode else {}),
            **({"raw_response": _text64(reply.raw)} if reply.raw else {}),
            "resolver_hostname": None,
            "resolver_port": None,
            "resolver_address": asked.resolver,
            **({} if number is None else {"x_id": number}),
            **timed((asked.t0, reply.t)),
            **thread.marks(),
        }

    def _answers(self, reply: Reply, ttls: dict[str, int]) -> list[Json]:
        found: list[Json] = []
        for address in reply.addresses:
            key, kind = ("ipv6", "AAAA") if ":" in address else ("ipv4", "A")
            asn = self.asn_of(address)
            known = {"asn": asn} if asn else {}
            found.append({**known, "answer_type": kind, key: address, "ttl": ttls.get(address)})
        found += [
            {"answer_type": "CNAME", "hostname": name, "ttl": ttls.get(name)}
            for name in reply.cnames
        ]
        return found


def samples(
    arrivals: Sequence[tuple[float, int]], began: float, rng: random.Random
) -> Iterator[tuple[float, int]]:
    """When and how much had been received, at times that have nothing to do with the traffic.

    Args:
        arrivals: time and bytes so far, after each read.
        began: when the connection was open; all times in seconds since the measurement began.

    Yields:
        Times and bytes; the last saw everything, unless there are too many.

    >>> [(round(t, 2), n) for t, n in samples([(0.1, 5), (0.9, 12)], 0.0, random.Random(7))]
    [(0.1, 0), (0.14, 5), (0.4, 5), (0.43, 5), (0.62, 5), (0.73, 5), (0.76, 5), (0.93, 12)]
    """
    at, seen = began, 0
    for _ in range(MOST_SAMPLES):
        if seen == arrivals[-1][1]:
            return
        pause = rng.expovariate(1 / SAMPLE_S)
        at += min(max(pause, SAMPLE_MIN_S), SAMPLE_MAX_S)
        seen = next((total for t, total in reversed(arrivals) if t <= at), 0)
        yield at, seen


def _read(raw: bytes) -> tuple[dict[str, int], int | None]:
    """What a message says besides its addresses: the TTL of each record, and its id."""
    try:
        message = dns.message.from_wire(raw, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return {}, int.from_bytes(raw[:2], "big") if len(raw) > 1 else None
    ttls = {record.to_text(): records.ttl for records in message.answer for record in records}
    return ttls, message.id


def _shaken(found: Handshake | QuicHandshake, thread: Thread) -> Json:
    """What handshakes of TLS and QUIC have in common."""
    return {
        "failure": found.failure,
        "negotiated_protocol": found.alpn,
        "no_tls_verify": not found.verified,
        "peer_certificates": [_base64(der) for der in found.chain],
        "server_name": found.server_name,
        **({} if found.alert is None else {"x_alert": found.alert}),
        **timed((found.t0, found.t)),
        **thread.marks(),
    }


def canonical(name: str) -> str:
    """A header's name as OONI's software spells it, whatever version of HTTP it came by.

    >>> canonical("x-xss-protection"), canonical("ETag")
    ('X-Xss-Protection', 'Etag')
    """
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def _event(event: Event, thread: Thread) -> Json:
    return {
        **({"address": event.address} if event.address else {}),
        "failure": event.failure,
        **({"num_bytes": event.num_bytes} if event.num_bytes else {}),
        "operation": event.operation,
        **({"proto": event.proto} if event.proto else {}),
        **timed((event.t0, event.t)),
        **thread.marks(),
    }


def _base64(data: bytes) -> Json:
    return {"data": _text64(data), "format": "base64"}


def _text64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _ended(entry: Json) -> float:
    return entry["t"]
