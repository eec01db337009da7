"""A certificate made for the user's address, without what would give the address away.

Blotting the address out is not enough: its signature, checked against each possible address, tells
which it was, and a serial number or a key is found again in the public logs of certificates (RFC
9162). They are overwritten with zeros; names, dates and whoever issued it stay.
"""

from __future__ import annotations

from collections.abc import Iterator

SEQUENCE, INTEGER, BIT_STRING, OCTET_STRING, OBJECT_ID = 0x30, 0x02, 0x03, 0x04, 0x06
_EXTENSIONS = 0xA3
_KEY_ID, _KEPT = bytes.fromhex("551d0e"), frozenset(map(bytes.fromhex, ("551d11", "551d13")))
"subjectKeyIdentifier; subjectAltName and basicConstraints: RFC 5280, section 4.2.1."
_NOWHERE = b"\x29"
"First octet of an object identifier under 1.1, which has never been given out."


class _Malformed(ValueError):
    """Bytes that are no DER."""


def unsigned(der: bytes) -> bytes:
    """The certificate without signature, serial number, key, and extensions that hold traces of
    these, as many bytes; what is no certificate comes back as it is.

    Source: RFC 5280, section 4.1, for the order of the fields.

    >>> unsigned(b"no certificate")
    b'no certificate'
    """
    changed = bytearray(der)
    try:
        _blot(der, changed)
    except _Malformed:
        return der
    return bytes(changed)


def _blot(der: bytes, changed: bytearray) -> None:
    outer = list(_inside(der, 0, len(der)))
    if len(outer) != 1 or outer[0][0] != SEQUENCE:
        raise _Malformed
    parts = list(_inside(der, *outer[0][1:]))
    if [tag for tag, _, _ in parts] != [SEQUENCE, SEQUENCE, BIT_STRING]:
        raise _Malformed
    fields = list(_inside(der, *parts[0][1:]))
    if fields and fields[0][0] == 0xA0:  # the version
        fields = fields[1:]
    if len(fields) < 6 or fields[0][0] != INTEGER:
        raise _Malformed
    key = list(_inside(der, *fields[5][1:]))
    extensions = [field for field in fields if field[0] == _EXTENSIONS]
    blots = [parts[2][1:], fields[0][1:]] + [(at, end) for tag, at, end in key if tag == BIT_STRING]
    for at, end in blots:
        changed[at:end] = bytes(end - at)
    _, at, end = fields[0]
    changed[at:end] = b"\x01" * (end - at)  # serial numbers are positive, and have no idle zeros
    for _, at, end in extensions:
        for _, first, last in _inside(der, at, end):
            for _, begins, ends in _inside(der, first, last):
                _blot_extension(der, changed, begins, ends)


def _blot_extension(der: bytes, changed: bytearray, at: int, end: int) -> None:
    """Whatever is not known to be harmless becomes an extension that nobody knows."""
    parts = list(_inside(der, at, end))
    if parts[0][0] != OBJECT_ID or parts[-1][0] != OCTET_STRING:
        raise _Malformed
    _, name_at, name_end = parts[0]
    _, value_at, value_end = parts[-1]
    name = der[name_at:name_end]
    if name in _KEPT:
        return
    if name == _KEY_ID:
        changed[value_at + 2 : value_end] = bytes(value_end - value_at - 2)
        return
    changed[value_at:value_end] = bytes(value_end - value_at)
    changed[name_at] = _NOWHERE[0]


def _inside(der: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Tag, begin and end of each value between two places."""
    while at < end:
        if at + 2 > end:
            raise _Malformed
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or at + size > end:
                raise _Malformed
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > end:
            raise _Malformed
        yield tag, at, at + length
        at += length
