"""The steps of a measurement, in one place: each is awaited, none raises, all say how they ended.

A step opens its sockets from a `Vantage` and names its failure in OONI's vocabulary. The control
server measures with the same ones.
"""

from gatewatch.probe.dns import Lookup, Reply, lookup, lookup_https, lookup_system
from gatewatch.probe.http import Exchange, Request, exchange
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
    "Lookup",
    "QuicHandshake",
    "Reply",
    "Request",
    "Stream",
    "TlsStream",
    "Vantage",
    "connect",
    "exchange",
    "handshake",
    "lookup",
    "lookup_https",
    "lookup_system",
    "quic_handshake",
]
