"""What a flow looks like by its first payload, to boxes that go by looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from gatewatch.lab.triggers.reading import Reading
from gatewatch.wire.dns import question
from gatewatch.wire.http import may_be_request

PRINTABLE = frozenset(range(0x20, 0x7F))
HTTP_METHODS = (b"GET ", b"PUT ", b"POST", b"HEAD")
TLS_RECORD = re.compile(rb"[\x16\x17]\x03[\x00-\x09]")
TOR_NAME = re.compile(r"www\.(?=.*(?:[2-7]|[b-df-hj-np-tv-xz]{5}))[a-z2-7]{4,25}\.com")
"""Tor's clients invent names of 4 to 25 base32 characters. That a digit or five consonants in a row
tell them from words is our choice; without it every old client would look like Tor."""
OPENVPN_RESETS = frozenset({1, 7, 10})
"P_CONTROL_HARD_RESET_CLIENT_V1 to _V3, in the upper five bits; the key id below them is 0."
OPENVPN_SIZES = range(14, 100)
"Opcode, session, empty acknowledgement and packet id; with an HMAC or wrapped key id, more."
WIREGUARD_INITIATION = b"\x01\x00\x00\x00"
WIREGUARD_SIZE = 148
"Message type and size of a handshake initiation: the WireGuard paper, section 5.4.2."


def looks_encrypted(payload: bytes) -> bool:
    """Whether nothing exempts a first TCP payload from being taken for fully encrypted traffic.

    Source: Wu et al., How the Great Firewall of China Detects and Blocks Fully Encrypted Traffic,
    USENIX Security 2023, algorithm 1, exemptions 1 to 5.

    >>> looks_encrypted(bytes.fromhex("8be1f40c9d27b35ea8")), looks_encrypted(b"\\0\\0\\0\\0\\0\\0")
    (True, False)
    """
    if not payload:
        return False
    ones = int.from_bytes(payload, "big").bit_count() / len(payload)
    if ones <= 3.4 or ones >= 4.6:
        return False
    printable = [byte in PRINTABLE for byte in payload]
    if all(printable[:6]) or sum(printable) * 2 > len(payload):
        return False
    if re.search(rb"[\x20-\x7e]{21}", payload):
        return False
    return not (TLS_RECORD.match(payload) or payload.startswith(HTTP_METHODS))


def looks_openvpn(payload: bytes, *, tcp: bool) -> bool:
    """A client's hard reset, behind its length if over TCP."""
    if tcp:
        if int.from_bytes(payload[:2], "big") != len(payload) - 2:
            return False
        payload = payload[2:]
    return (
        len(payload) in OPENVPN_SIZES
        and payload[0] & 7 == 0
        and payload[0] >> 3 in OPENVPN_RESETS
        and question(payload) is None
    )


def looks_wireguard(payload: bytes) -> bool:
    return len(payload) == WIREGUARD_SIZE and payload.startswith(WIREGUARD_INITIATION)


def looks_known(payload: bytes, *, tcp: bool) -> bool:
    """Whether it may be the beginning of DNS, HTTP or TLS, by which allow-lists go."""
    if not tcp:
        return question(payload) is not None
    return (
        b"\x16\x03".startswith(payload[:2])
        or may_be_request(payload)
        or question(payload[2:]) is not None
    )


def _encrypted(reading: Reading) -> bool:
    return not reading.udp and looks_encrypted(reading.first)


def _tor(reading: Reading) -> bool:
    """A ClientHello without ALPN for a name that nobody has."""
    hello = reading.hello
    return bool(
        hello and not reading.over_quic and not hello.alpn and TOR_NAME.fullmatch(hello.sni or "")
    )


def _openvpn(reading: Reading) -> bool:
    return bool(reading.first) and looks_openvpn(reading.first, tcp=not reading.udp)


def _wireguard(reading: Reading) -> bool:
    return reading.udp and looks_wireguard(reading.first)


def _unknown(reading: Reading) -> bool:
    return bool(reading.first) and not looks_known(reading.first, tcp=not reading.udp)


LOOKS: Mapping[str, Callable[[Reading], bool]] = {
    "encrypted": _encrypted,
    "tor": _tor,
    "openvpn": _openvpn,
    "wireguard": _wireguard,
    "unknown": _unknown,
}
"By their names in `lab.rules`: whether the packet last read makes the flow look so."
