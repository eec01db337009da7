"""Steps as entries of an OONI measurement, gathered while it runs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gatewatch.probe.ooni import Json, binary, scrub, tcp_connect, timed
from gatewatch.probe.steps import (
    Connect,
    Event,
    Exchange,
    Handshake,
    Lookup,
    QuicHandshake,
    Reply,
)
from gatewatch.wire.address import endpoint

AsnOf = Callable[[str], int | None]
SAMPLE_S = 0.25
"Between samples of bytes received; OONI's are random with this mean."
BASES = {"system": 10_000, "udp": 20_000, "doh": 30_000, "tcp": 40_000, "tls": 50_000,
         "quic": 60_000}  # fmt: skip
"""Where the transaction ids of each kind begin, as in OONI's records; QUIC is our addition."""


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
    queries: list[Json] = field(default_factory=list)
    duplicates: list[Json] = field(default_factory=list)
    connects: list[Json] = field(default_factory=list)
    handshakes: list[Json] = field(default_factory=list)
    quic_handshakes: list[Json] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)
    _counters: dict[str, int] = field(default_factory=dict)

    def thread(self, kind: str, tags: list[str]) -> Thread:
        """A new attempt of a kind named in `BASES`."""
        self._counters[kind] = self._counters.get(kind, BASES[kind]) + 1
        return Thread(transaction=self._counters[kind], tags=tags)

    def lookup(self, found: Lookup, thread: Thread) -> None:
        self.queries.append(self._query(found, found.reply, thread))
        self.duplicates += [self._query(found, reply, thread) for reply in found.late]

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
        self.handshakes.append(
            {
                "network": "tcp",
                "address": endpoint(address, port),
                "cipher_suite": found.cipher_suite,
                "failure": found.failure,
                "negotiated_protocol": found.alpn,
                "no_tls_verify": False,
                "peer_certificates": [_base64(der) for der in found.chain],
                "server_name": found.server_name,
                "tls_version": found.tls_version,
                **timed((found.t0, found.t)),
                **thread.marks(),
            }
        )

    def quic(self, found: QuicHandshake, thread: Thread) -> None:
        done = found.failure is None
        self.quic_handshakes.append(
            {
                "network": "udp",
                "address": endpoint(found.address, found.port),
                "cipher_suite": "",
                "failure": found.failure,
                "negotiated_protocol": found.alpn,
                "no_tls_verify": False,
                "peer_certificates": [],
                "server_name": found.server_name,
                "tls_version": "TLSv1.3" if done else "",
                **timed((found.t0, found.t)),
                **thread.marks(),
            }
        )
        self.traffic(found.events, thread)

    def request(self, address: str, alpn: str, found: Exchange, thread: Thread) -> None:
        """An exchange; the failure may be one that was found in the answer afterwards."""
        host = ("Host", urlsplit(found.request.url).netloc)
        sent = {name: scrub(value) for name, value in sorted((*found.request.headers, host))}
        got = [[name, scrub(value)] for name, value in sorted(found.headers)]
        self.requests.append(
            {
                "network": "tcp",
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
                    "x_transport": "tcp",
                    "url": found.request.url,
                },
                "response": {
                    "body": binary(found.body, scrub),
                    "body_is_truncated": found.truncated,
                    "code": found.status or 0,
                    "headers": dict(reversed(got)),
                    "headers_list": got,
                },
                **timed((found.t0, found.t)),
                **thread.marks(),
            }
        )

    def traffic(self, events: Sequence[Event], thread: Thread) -> None:
        self.events += [_event(event, thread) for event in (*events, *received(events))]

    def _query(self, asked: Lookup, reply: Reply, thread: Thread) -> Json:
        return {
            "answers": self._answers(reply) or None,
            "engine": asked.engine,
            "failure": reply.failure,
            "hostname": asked.hostname,
            "query_type": asked.query_type,
            **({"rcode": reply.rcode} if reply.rcode else {}),
            **({"raw_response": _text64(reply.raw)} if reply.raw else {}),
            "resolver_hostname": None,
            "resolver_port": None,
            "resolver_address": asked.resolver,
            **timed((asked.t0, reply.t)),
            **thread.marks(),
        }

    def _answers(self, reply: Reply) -> list[Json]:
        found: list[Json] = []
        for address in reply.addresses:
            key, kind = ("ipv6", "AAAA") if ":" in address else ("ipv4", "A")
            asn = self.asn_of(address)
            known = {"asn": asn} if asn else {}
            found.append({**known, "answer_type": kind, key: address, "ttl": None})
        found += [{"answer_type": "CNAME", "hostname": c, "ttl": None} for c in reply.cnames]
        return found


def received(events: Sequence[Event]) -> list[Event]:
    """Samples of the bytes received so far, as OONI takes them of every connection.

    >>> reads = [Event("read", "e", None, n, t, t, "tcp") for n, t in ((5, 0.1), (7, 0.3))]
    >>> [(sample.t, sample.num_bytes) for sample in received(reads)]
    [(0.35, 12)]
    """
    reads = [event for event in events if event.operation == "read" and event.num_bytes]
    if not reads:
        return []
    found: list[Event] = []
    first, last = reads[0].t, reads[-1].t
    for number in range(1, int((last - first) / SAMPLE_S) + 2):
        at = first + number * SAMPLE_S
        total = sum(event.num_bytes for event in reads if event.t <= at)
        where = reads[0].address
        found.append(Event("bytes_received_cumulative", where, None, total, at, at, "tcp"))
    return found


def _event(event: Event, thread: Thread) -> Json:
    return {
        "address": event.address,
        "failure": event.failure,
        **({"num_bytes": event.num_bytes} if event.num_bytes else {}),
        "operation": event.operation,
        "proto": event.proto,
        **timed((event.t0, event.t)),
        **thread.marks(),
    }


def _base64(data: bytes) -> Json:
    return {"data": _text64(data), "format": "base64"}


def _text64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
