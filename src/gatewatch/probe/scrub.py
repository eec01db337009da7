"""The user's own addresses, taken out of everything before it is written anywhere.

An address comes back in many places: what a site or a censor writes into a page or a header, the
answer of a resolver that says who asked, a certificate made for it, a redirect, a quoted packet.
So it is looked for in every string and every run of bytes of a measurement, in all the spellings
that `spellings` knows. An IPv6 address stands for its whole /64, which is one household's.

Nearly all of what is looked at holds no address. A coarse look at all of it together, which may
be wrong in one direction only, comes before the exact one.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from gatewatch.probe.scrub_certificate import unsigned
from gatewatch.probe.spellings import (
    household,
    in_base64,
    needles_v4,
    needles_v6,
    pattern_v4,
    pattern_v6,
    shortened_v6,
    squeezed,
)

SCRUBBED = "[scrubbed]"
MOST_INFLATED = 1 << 23
"Bytes that a compressed body may become while we look into it."
_NESTED = 3
"How deep base64 in base64 is looked into; our choice."
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{8,}")
"May be base64, of either alphabet."
_URL_SAFE, _TO_URL_SAFE = bytes.maketrans(b"-_", b"+/"), bytes.maketrans(b"+/", b"-_")
_LONGEST, _PART = 256, 1024
"""Characters: more than any spelling has, and how exactly places are told before the patterns,
which are slow, are tried there."""
_PACKED = (b"H4sI", b"eA", b"eF", b"eJ", b"eN")
"How gzip (RFC 1952) and zlib (RFC 1950) begin, in base64."
_COOKIE = bytes.fromhex("2112a442")
"Of STUN; addresses in its answers are exclusive-ored with it: RFC 8489, section 14.2."
_ESCAPED = re.compile(rb"\\(\d{3})")
"A byte in a zone file: RFC 1035, section 5.1."


class Scrubber:
    """Takes addresses out of JSON values and bytes.

    Args:
        secrets: addresses; what is none is ignored.

    >>> Scrubber(["192.0.2.7"]).clean({"body": "you are 192.0.2.7, or 7.2.0.192.in-addr.arpa"})
    {'body': 'you are [scrubbed], or [scrubbed].in-addr.arpa'}
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        v4: set[IPv4Address] = set()
        halves: set[int] = set()
        for text in secrets:
            try:
                address = ip_address(text.partition("%")[0])
            except ValueError:
                continue
            if address.is_loopback or address.is_unspecified:
                continue
            if isinstance(address, IPv4Address):
                v4.add(address)
            elif address.ipv4_mapped is not None:
                v4.add(address.ipv4_mapped)
            elif household(address):
                halves.add(household(address))
        self._halves = halves
        self._numbers = {int(address) for address in v4}
        fours, sixes = sorted(v4), sorted(halves)
        patterns = [*map(pattern_v4, fours), *map(pattern_v6, sixes)]
        self._raw = [a.packed for a in fours] + [half.to_bytes(8, "big") for half in sixes]
        # Four letters that are a word to people stay where the text is for people.
        odd = [raw.decode("latin-1") for raw in self._raw if not _is_word(raw)]
        self._shortened = _any_of(f"(?i:{p})" for half in sixes if (p := shortened_v6(half)))
        told = [spelt for secret in (*fours, *sixes) for spelt in in_base64(secret)]
        # Base64 is of one case.
        self._text = _any_of([*(f"(?i:{one})" for one in patterns), *map(re.escape, [*odd, *told])])
        self._xored = [_xor(a.packed, _COOKIE) for a in fours]
        self._plain = [
            *self._raw, *self._xored, *(o.encode() for o in odd), *(t.encode() for t in told),
        ]  # fmt: skip
        self._needles = sorted(
            {n for a in v4 for n in needles_v4(a)} | {n for h in halves for n in needles_v6(h)}
        )

    def clean(self, value: Any) -> Any:
        """A JSON value without any of the addresses; the same one when there are none in it."""
        if self._text is None:
            return value
        strings: dict[str, None] = {}
        others = _gather(value, strings, self._numbers)
        held = {text: self._string(text) for text in self._held(list(strings))}
        if not held and not others:
            return value
        return self._rebuilt(value, held)

    def bytes(self, data: bytes) -> bytes:
        """The same bytes, as many, with the addresses overwritten: text by `x`, raw by zeros.

        Compressed data that holds one is not kept. A certificate that holds one is left without
        what would give it away by a search: see `unsigned`.
        """
        if self._text is None:
            return data
        if data[:2] == b"\x1f\x8b" or data[:1] == b"\x78":
            inner = _inflated(data)
            if inner is not None and self.bytes(inner) != inner:
                return b""
        if not self._may_hold(data):
            return data
        clean = data
        for raw in (*self._raw, *self._xored, *self._xored_v6(data)):
            clean = clean.replace(raw, bytes(len(raw)))
        clean = self._exact(clean.decode("latin-1"), _crossed).encode("latin-1")
        wide = clean.replace(b"\0", b"")
        if len(wide) < len(clean) and self._text.search(wide.decode("latin-1")):
            return b"x" * len(clean)  # UTF-16: no place in it is worth keeping
        return clean if clean == data else unsigned(clean)

    def body(self, data: bytes) -> bytes:
        """The body of an answer, as it is recorded: as text where it is UTF-8, else as bytes."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            return self.bytes(data)
        clean = self.clean(text)
        return data if clean is text else clean.encode("utf-8")

    # -- the coarse look -----------------------------------------------------------------------

    def _held(self, strings: Sequence[str]) -> list[str]:
        """Those that may hold an address, found by halving."""
        joined = "\n".join(strings).encode("utf-8", "surrogatepass")
        if not strings or not self._may_hold(joined):
            return []
        if len(strings) == 1:
            return [strings[0]]
        middle = len(strings) // 2
        return self._held(strings[:middle]) + self._held(strings[middle:])

    def _may_hold(self, data: bytes, depth: int = 0) -> bool:
        if self._may_show(data) or (self._halves and _COOKIE in data):
            return True
        if b"\\" in data and any(raw in _unescaped(data) for raw in self._raw):
            return True
        runs = _RUN.findall(data) if depth < _NESTED else []
        if not runs:
            return False
        if any(run.startswith(_PACKED) for run in runs):
            return True
        return self._may_hold(_decoded(runs), depth + 1)

    def _may_show(self, data: bytes) -> bool:
        """The same, for what is there without decoding anything."""
        if any(plain in data for plain in self._plain):
            return True
        letters = squeezed(data)
        return any(needle in letters for needle in self._needles)

    # -- the exact one -------------------------------------------------------------------------

    def _string(self, text: str) -> str:
        found = self._exact(text, _replaced)
        if "\\" in found and any(
            raw in _unescaped(found.encode("utf-8", "surrogatepass")) for raw in self._raw
        ):
            return SCRUBBED
        return found

    def _exact(self, text: str, put: Callable[..., str]) -> str:
        """Text, or bytes as Latin-1, with `put` in place of every match."""
        assert self._text is not None

        def shortened(match: re.Match[str]) -> str:
            length = self._length_of_ours(match.group())
            return put(match, length) + match.group()[length:] if length else match.group()

        found = self._swept(text, self._text, put)
        if self._shortened is not None:
            found = self._swept(found, self._shortened, shortened)
        return self._runs(found, put)

    def _swept(self, text: str, pattern: re.Pattern[str], put: Callable[..., str]) -> str:
        """`pattern.sub(put, text)`, where there may be something to find."""
        kept, done = [], 0
        for begin, end in self._places(text, 0, len(text)):
            first, last = max(begin - _LONGEST, 0), min(end + _LONGEST, len(text))
            for match in pattern.finditer(text[first:last]):
                at = first + match.start()
                if begin <= at < end and at >= done:
                    kept += [text[done:at], put(match)]
                    done = first + match.end()
        return "".join([*kept, text[done:]]) if kept else text

    def _places(self, text: str, begin: int, end: int) -> list[tuple[int, int]]:
        """The parts in which a match may begin, found by halving."""
        part = text[max(begin - _LONGEST, 0) : end + _LONGEST]
        if not self._may_show(part.encode("utf-8", "surrogatepass")):
            return []
        if end - begin <= _PART:
            return [(begin, end)]
        middle = (begin + end) // 2
        return self._places(text, begin, middle) + self._places(text, middle, end)

    def _runs(self, text: str, put: Callable[..., str]) -> str:
        """What may be base64 in a text, with what is in it cleaned."""
        runs = list(dict.fromkeys(_RUN_OF_TEXT.findall(text)))
        held = {run: self._coded_again(run) for run in self._held_runs(runs)}
        if not any(held.values()):
            return text

        def run(match: re.Match[str]) -> str:
            clean = held.get(match.group(), "")
            if not clean:
                return match.group()
            return put(match) if len(clean) != len(match.group()) else clean

        return _RUN_OF_TEXT.sub(run, text)

    def _held_runs(self, runs: Sequence[str]) -> list[str]:
        coded = [run.encode() for run in runs]
        packed = any(run.startswith(_PACKED) for run in coded)
        if not runs or not (packed or self._may_hold(_decoded(coded), 1)):
            return []
        if len(runs) == 1:
            return [runs[0]]
        middle = len(runs) // 2
        return self._held_runs(runs[:middle]) + self._held_runs(runs[middle:])

    def _coded_again(self, run: str) -> str:
        """Base64 of the cleaned data: empty when it is clean, `-` when nothing of it is kept."""
        data = _decoded([run.encode()])
        clean = self.bytes(data)
        if clean == data:
            return ""
        if len(clean) != len(data):
            return "-"
        coded = binascii.b2a_base64(clean, newline=False)[: len(run)]
        url_safe = "-" in run or "_" in run
        return (coded.translate(_TO_URL_SAFE) if url_safe else coded).decode()

    def _length_of_ours(self, text: str) -> int:
        """How much of the beginning is an address of a household; 0 when it is none."""
        written = text.replace("-", ":")
        for end in range(len(written), 3, -1):
            try:
                address = IPv6Address(written[:end])
            except ValueError:
                continue
            return end if household(address) in self._halves else 0
        return 0

    def _xored_v6(self, data: bytes) -> list[bytes]:
        """How a household's addresses look in the STUN messages in there."""
        found = []
        at = data.find(_COOKIE) if self._halves else -1
        while at >= 0:
            mask = data[at : at + 8].ljust(8, b"\0")
            found += [_xor(half.to_bytes(8, "big"), mask) for half in self._halves]
            at = data.find(_COOKIE, at + 1)
        return found

    def _rebuilt(self, value: Any, held: dict[str, str]) -> Any:
        match value:
            case str():
                return held.get(value, value)
            case bool() | None | float():
                return value
            case int():
                return None if value in self._numbers else value
            case bytes():
                return self.bytes(value)
            case dict():
                found: dict[Any, Any] = {}
                for key, entry in value.items():
                    name = again = self._rebuilt(key, held)
                    while name != key and (name in found or name in value):
                        again = f"{again} "  # two addresses must not become one
                        name = again
                    found[name] = self._rebuilt(entry, held)
                return found
            case list() | tuple():
                if _are_octets(value) and any(raw in bytes(value) for raw in self._raw):
                    return [None] * len(value)
                return [self._rebuilt(entry, held) for entry in value]
            case _:
                return value


@lru_cache(256)
def scrubber_of(secrets: tuple[str, ...]) -> Scrubber:
    """One for these addresses, made once."""
    return Scrubber(secrets)


_RUN_OF_TEXT = re.compile(_RUN.pattern.decode())


def _gather(value: Any, strings: dict[str, None], numbers: set[int]) -> bool:
    """All strings of a JSON value; whether there is anything else that must be looked at."""
    match value:
        case str():
            strings[value] = None
            return False
        case dict():
            others = False
            for key, entry in value.items():
                others |= _gather(key, strings, numbers) | _gather(entry, strings, numbers)
            return others
        case list() | tuple():
            others = _are_octets(value)
            for entry in value:
                others |= _gather(entry, strings, numbers)
            return others
        case bool() | None | float():
            return False
        case int():
            return value in numbers
        case _:
            return isinstance(value, bytes)


def _is_word(raw: bytes) -> bool:
    return raw.isascii() and raw.decode("ascii").isprintable()


def _are_octets(value: Sequence[Any]) -> bool:
    return len(value) >= 4 and all(type(one) is int and 0 <= one < 256 for one in value)


def _any_of(patterns: Iterable[str]) -> re.Pattern[str] | None:
    together = "|".join(patterns)
    return re.compile(together) if together else None


def _replaced(match: re.Match[str], length: int = 0) -> str:
    return SCRUBBED


def _crossed(match: re.Match[str], length: int = 0) -> str:
    return "x" * (length or len(match.group()))


def _decoded(runs: Sequence[bytes]) -> bytes:
    """Base64 without its padding, of either alphabet; runs one after the other."""
    whole = b"".join([run + b"AAA"[: -len(run) % 4] for run in runs])
    return binascii.a2b_base64(whole.translate(_URL_SAFE))


def _unescaped(data: bytes) -> bytes:
    return _ESCAPED.sub(lambda match: bytes([int(match[1]) & 255]), data)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _inflated(data: bytes) -> bytes | None:
    """What is in a gzip or zlib stream, as far as it goes; None when it is neither."""
    try:
        return zlib.decompressobj(47).decompress(data, MOST_INFLATED)
    except zlib.error:
        return None


NO_SECRETS = Scrubber(())
