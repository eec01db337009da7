"""The steps of a measurement, in one place: each is awaited, none raises, all say how they ended.

A step opens its sockets from a `Vantage` and names its failure in OONI's vocabulary. The control
server measures with the same ones.
"""

from gatewatch.lab.reference.exchanges import Exchange, Request, exchange
from gatewatch.lab.reference.names import Lookup, Reply, lookup, lookup_https, lookup_system
from gatewatch.lab.reference.quic import QuicHandshake, quic_handshake
from gatewatch.lab.reference.sockets import Channel, Event, Stream, Vantage
from gatewatch.lab.reference.streams import Connect, Handshake, TlsStream, connect, handshake

__all__ = [
    "Channel",
    "Connect",
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
