"""How an address can be written: patterns that find every spelling, and needles that come first.

A needle is what is left of a spelling when all but letters and digits is taken out of it, in lower
case: one of them stands for all separators, for UTF-16, and for the labels of a DNS message. It is
looked for in what `squeezed` leaves, and says "perhaps"; the patterns say where.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from itertools import product

_HOUSEHOLD = 64
"Prefix length that providers give to one customer at the least (RIPE-690, section 4.2)."
_BETWEEN = (
    ".", "-", "_", " ", ",", ", ", ":", "/", "%2E", "%2D", "%2e", "%5F", "%252E", "&#46;", "&#x2e;",
    "&period;", "[.]", "(.)", "{.}", "[dot]", "(dot)", " dot ", "\\.", "\u3002",
    "\x01", "\x02", "\x03",
)  # fmt: skip
"What stands between octets; the last three are lengths of labels in DNS messages."
_BETWEEN_BYTES = ("", ".", ":", " ", "-", ",", ", ", "\\x", "%", "0x", " 0x", ", 0x", ".0x", ",0x")
_BETWEEN_GROUPS = (":", "-", "_", "%3A", "%253A", "&#58;", "&#x3a;", "&colon;", "\\:")
_NOT_ALPHANUMERIC = bytes(sorted({*range(256)} - {*b"0123456789abcdefghijklmnopqrstuvwxyz"}))


def household(address: IPv6Address) -> int:
    """The 64 bits that tell an IPv6 address's user from others: its prefix, which all machines of
    the household share. Link-local addresses all have the same; there it is the machine's part.
    """
    number = int(address)
    return number & (1 << 64) - 1 if address.is_link_local else number >> _HOUSEHOLD


def squeezed(data: bytes) -> bytes:
    """Letters and digits, in lower case.

    >>> squeezed(b"IP-192.0.2.7")
    b'ip192027'
    """
    return data.lower().translate(None, _NOT_ALPHANUMERIC)


# -- IPv4 ------------------------------------------------------------------------------------


def pattern_v4(address: IPv4Address) -> str:
    """Finds the address however it is written in text; to be matched in any case of letters."""
    between = _either(_BETWEEN)
    octets = "|".join(between.join(parts) for parts in _octets(address))
    number, code = int(address), address.packed
    whole = "|".join((str(number), f"0{number:o}", "".join(_octets(address)[1])))
    between = _either(_BETWEEN_BYTES)
    hexadecimal = "|".join(
        between.join(f"{part:02x}" for part in data) for data in (code, code[::-1])
    )
    # As text in hexadecimal.
    hexadecimal += "|" + str(address).encode().hex()
    short = r"\.0x".join(f"{part:x}" for part in code)
    within = rf"(?<=[:\-])0{{0,3}}{_pair(code)}(?![0-9a-f])"
    hidden = rf"(?<=[:\-])0{{0,3}}{_pair(bytes(255 - part for part in code))}(?![0-9a-f])"
    return (
        rf"(?<![0-9])(?:{octets}|{whole})(?![0-9])|0x(?:{short}|{number:x})(?![0-9a-f])"
        rf"|{hexadecimal}|{within}|{hidden}"
    )


def _pair(code: bytes) -> str:
    """The address as the two groups that stand for it in an IPv6 address. Teredo inverts them."""
    high, low = int.from_bytes(code[:2], "big"), int.from_bytes(code[2:], "big")
    return rf"{high:x}[:\-]0{{0,3}}{low:x}"


def _octets(address: IPv4Address) -> tuple[list[str], ...]:
    parts = [str(part) for part in address.packed]
    padded = [part.zfill(3) for part in parts]
    octal = [f"0{part:o}" for part in address.packed]
    return parts, padded, parts[::-1], padded[::-1], octal


def needles_v4(address: IPv4Address) -> Iterator[bytes]:
    """What one of must be in squeezed text for the pattern to match."""
    for parts in _octets(address):
        for between in _BETWEEN:
            yield squeezed(between.encode().join(part.encode() for part in parts))
    number, code = int(address), address.packed
    yield from (str(number).encode(), f"0{number:o}".encode(), f"0x{number:x}".encode())
    for data in (code, code[::-1]):
        for between in _BETWEEN_BYTES:
            yield squeezed(between.join(f"{part:02x}" for part in data).encode())
    yield str(address).encode().hex().encode()
    yield squeezed("0x".join(f"{part:x}" for part in code).encode())
    for data in (code, bytes(255 - part for part in code)):
        high, low = data[:2].hex(), data[2:].hex()
        yield from (one + other for one, other in product(*map(_zeros, (high, low))))


# -- IPv6 ------------------------------------------------------------------------------------


def pattern_v6(half: int) -> str:
    """Finds all addresses of a /64 that are written with all its groups, or without colons."""
    digits, groups = f"{half:016x}", _groups(half)
    colon = _either(_BETWEEN_GROUPS)
    full = colon.join(rf"0{{0,3}}{group}" for group in groups)
    rest = rf"(?:{colon}[0-9a-f]{{0,4}}){{0,6}}(?:\.\d{{1,3}}){{0,3}}"
    forth, back = (r"[.\-\x01]".join(way) for way in (digits, digits[::-1]))
    pairs = [digits[at : at + 2] for at in range(0, 16, 2)]
    octets = "|".join(between.join(pairs) for between in (":", " ", r"\\x", "%"))
    # In a reverse name the machine's part comes before that of the household.
    machine = r"(?:[0-9a-f][.\-\x01]){0,16}", r"(?:[.\-\x01][0-9a-f]){0,16}"
    return (
        rf"(?<![0-9a-f]){full}(?![0-9a-f]){rest}|{digits}(?:[0-9a-f]{{16}})?|{digits[::-1]}"
        rf"|{forth}{machine[1]}|{machine[0]}{back}|{octets}|{_spelt_hex(half)}"
    )


def shortened_v6(half: int) -> str | None:
    """Finds what may be an address of the /64 with a `::` in place of zeros that are among its own;
    whoever finds one has to read it. None where the prefix has no zeros."""
    groups = _groups(half)
    if "0" not in groups or groups[0] == "0":
        return None
    head = groups[: groups.index("0")]
    begins = r"[:\-]".join(rf"0{{0,3}}{group}" for group in head)
    return rf"(?<![0-9a-f]){begins}[:\-][0-9a-f:\-]{{1,45}}"


def needles_v6(half: int) -> Iterator[bytes]:
    """What one of must be in squeezed text for the patterns to match."""
    digits = f"{half:016x}"
    yield from (digits.encode(), digits[::-1].encode(), _spelt_hex(half).encode())
    yield squeezed("\\x".join(digits[at : at + 2] for at in range(0, 16, 2)).encode())
    groups = [digits[at : at + 4] for at in range(0, 16, 4)]
    head = groups[: groups.index("0000")] if "0000" in groups else groups
    for between in {squeezed(b.encode()) for b in _BETWEEN_GROUPS}:
        for spelt in product(*map(_zeros, head or groups)):
            yield between.join(spelt)


def _spelt_hex(half: int) -> str:
    """The prefix as text, in hexadecimal."""
    return f"{':'.join(_groups(half))}:".encode().hex()


def _groups(half: int) -> list[str]:
    digits = f"{half:016x}"
    return [digits[at : at + 4].lstrip("0") or "0" for at in range(0, 16, 4)]


def _zeros(group: str) -> Iterator[bytes]:
    """A group of four digits with all, some and none of the zeros before it."""
    short = group.lstrip("0") or "0"
    for width in range(len(short), 5):
        yield short.zfill(width).encode()


# -- base64 ----------------------------------------------------------------------------------


def in_base64(secret: IPv4Address | int) -> set[str]:
    """How an address, as text or packed, looks inside base64 that begins anywhere: what of it
    does not depend on what stands around it. An integer is an IPv6 prefix."""
    found: set[str] = set()
    if isinstance(secret, IPv4Address):
        found.add(base64.b64encode(secret.packed).decode().rstrip("="))
        spelt = [str(secret).encode()]
    else:
        found.update(_within(secret.to_bytes(8, "big")))
        text = f"{':'.join(_groups(secret))}:"
        digits = f"{secret:016x}"
        full = "".join(f"{digits[at : at + 4]}:" for at in range(0, 16, 4))
        spelt = [s.encode() for s in (text, text.upper(), full, full.upper())]
        short = text.rstrip("0:") if text.endswith(":0:") else ""
        spelt += [f"{short}::".encode()] if short.count(":") else []
    for data in spelt:
        found.update(_within(data))
    return found | {one.replace("+", "-").replace("/", "_") for one in found}


def _within(data: bytes) -> Iterator[str]:
    for before in range(3):
        coded = base64.b64encode(bytes(before) + data)
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        yield coded[first:last].decode("ascii")


def _either(spellings: Iterable[str]) -> str:
    """A pattern for any of them, the longest first."""
    return (
        "(?:" + "|".join(map(re.escape, sorted(set(spellings), key=lambda s: (-len(s), s)))) + ")"
    )
