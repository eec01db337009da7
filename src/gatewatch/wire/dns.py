"""DNS messages as a box on the way handles them: the question asked, and an answer to it.

What a resolver or a client needs, with all of DNS in it, is the business of dnspython. This is
for each packet to port 53, and for answers that owe nothing to a zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from struct import Struct
from typing import Literal

import msgspec

Rcode = Literal["NOERROR", "SERVFAIL", "NXDOMAIN", "REFUSED"]

_RCODES: dict[Rcode, int] = {"NOERROR": 0, "SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}
_TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    64: "SVCB",
    65: "HTTPS",
    255: "ANY",
}
_A, _CNAME, _AAAA, _IN = 1, 5, 28, 1

_HEADER = Struct(">HHHHHH")
_RECORD = Struct(">HHHIH")
_TWO_WORDS = Struct(">HH")
_MAX_LABEL, _MAX_NAME = 63, 255
"RFC 1035, section 2.3.4."
_ANSWER, _OPCODE, _RECURSION_DESIRED, _RECURSION_AVAILABLE = 0x8000, 0x7800, 0x0100, 0x0080
_POINTER = 0xC000


class NotDns(ValueError):
    """Bytes that hold no DNS question."""


class Question(msgspec.Struct, frozen=True):
    """The first question of a query."""

    id: int
    name: str
    "Lower case, without the final dot; the root is empty. A dot inside a label is `\\\\.`."
    type: str
    "Such as `A`; without a name of its own here, `TYPE` and its number (RFC 3597)."
    end: int
    "Where the question ends in the message."


def question(payload: bytes) -> Question | None:
    """The question of a query, read from a UDP payload or one message of a stream.

    Returns:
        None where there is none: a response, no question, or a broken or compressed name.

    >>> query = bytes.fromhex("000a01000001000000000000") + b"\\7Example\\3org\\0\\0\\x1c\\0\\1"
    >>> question(query)
    Question(id=10, name='example.org', type='AAAA', end=29)
    """
    if len(payload) < 17:
        return None
    ident, flags, questions, *_ = _HEADER.unpack_from(payload)
    if flags & _ANSWER or not questions:
        return None
    labels = []
    at = 12
    while length := payload[at]:
        end = at + 1 + length
        # The type and class must follow even the shortest rest, so no index can go astray.
        if length > _MAX_LABEL or end - 12 >= _MAX_NAME or end + 5 > len(payload):
            return None
        labels.append(payload[at + 1 : end])
        at = end
    if any(b"." in label for label in labels):
        labels = [label.replace(b".", b"\\.") for label in labels]
    kind, _ = _TWO_WORDS.unpack_from(payload, at + 1)
    name = b".".join(labels).decode("latin-1").lower()
    return Question(ident, name, _TYPES.get(kind) or f"TYPE{kind}", at + 5)


def answer(
    payload: bytes,
    addresses: Sequence[str] = (),
    *,
    cname: str | None = None,
    rcode: Rcode = "NOERROR",
    ttl_s: int = 300,
    id: int | None = None,
) -> bytes:
    """A resolver's answer to a query, forged or not.

    The question is repeated byte for byte, so that a client which plays with upper and lower
    case finds its own. Every address becomes a record, whatever type was asked for.

    Args:
        cname: an alias; the addresses are then its, not the name's.
        id: another transaction ID than the query's.

    Raises:
        NotDns: the payload holds no question.
        ValueError: an address or alias that is none.
    """
    asked = question(payload)
    if asked is None:
        raise NotDns(f"no question in {len(payload)} bytes")
    (_, flags, *_) = _HEADER.unpack_from(payload)
    flags = flags & (_OPCODE | _RECURSION_DESIRED) | _ANSWER | _RECURSION_AVAILABLE
    owner, records = _POINTER | 12, []
    if cname is not None:
        records.append(_record(owner, _CNAME, ttl_s, _name(cname)))
        # The addresses belong to the alias, which is spelled out behind this record's header.
        owner = _POINTER | asked.end + _RECORD.size
    for address in addresses:
        packed = ip_address(address).packed
        records.append(_record(owner, _A if len(packed) == 4 else _AAAA, ttl_s, packed))
    ident = asked.id if id is None else id
    header = _HEADER.pack(ident, flags | _RCODES[rcode], 1, len(records), 0, 0)
    return header + payload[12 : asked.end] + b"".join(records)


def _record(owner: int, kind: int, ttl_s: int, data: bytes) -> bytes:
    return _RECORD.pack(owner, kind, _IN, ttl_s, len(data)) + data


def _name(text: str) -> bytes:
    """A name on the wire.

    >>> _name("example.org.")
    b'\\x07example\\x03org\\x00'
    """
    labels = [label.encode("latin-1") for label in text.rstrip(".").split(".")]
    wire = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    if not all(0 < len(label) <= _MAX_LABEL for label in labels) or len(wire) > _MAX_NAME:
        raise ValueError(f"{text!r} is no domain name")
    return wire


def framed(message: bytes) -> bytes:
    """A message as it travels over TCP, behind its length (RFC 1035, section 4.2.2)."""
    return len(message).to_bytes(2, "big") + message


def messages(stream: bytes) -> list[bytes]:
    """The complete messages at the beginning of a TCP stream.

    >>> messages(framed(b"one") + framed(b"two") + b"\\0\\7part")
    [b'one', b'two']
    """
    found = []
    at = 2
    while at <= len(stream):
        end = at + int.from_bytes(stream[at - 2 : at], "big")
        if end > len(stream):
            break
        found.append(stream[at:end])
        at = end + 2
    return found
