"""The steps of a measurement, in one place: each is awaited, none raises, all say how they ended.

A step opens its sockets from a `Vantage` and names its failure in OONI's vocabulary. The control
server measures with the same ones.
"""

from gatewatch.probe.dns import (
    Lookup,
    Record,
    Reply,
    System,
    lookup,
    lookup_https,
    lookup_system,
    lookup_tcp,
    lookup_tls,
)
from gatewatch.probe.hello import Hello, client_hello, say_hello
from gatewatch.probe.http import Exchange, Request, exchange
from gatewatch.probe.http3 import exchange3
from gatewatch.probe.net import Channel, Connect, Datagrams, Event, Stream, Vantage, connect
from gatewatch.probe.quic import QuicHandshake, quic_handshake
from gatewatch.probe.tls import Handshake, TlsStream, handshake

__all__ = [
    "Channel",
    "Connect",
    "Datagrams",
    "Event",
    "Exchange",
    "Handshake",
    "Hello",
    "Lookup",
    "QuicHandshake",
    "Record",
    "Reply",
    "Request",
    "Stream",
    "System",
    "TlsStream",
    "Vantage",
    "client_hello",
    "connect",
    "exchange",
    "exchange3",
    "handshake",
    "lookup",
    "lookup_https",
    "lookup_system",
    "lookup_tcp",
    "lookup_tls",
    "quic_handshake",
    "say_hello",
]
