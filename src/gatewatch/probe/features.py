"""What is kept of a page besides, or in place of, its body: so that two vantages can compare.

The probe writes these features beside a request, the control server into its answer; both with
this function, over the same leading bytes. Addresses are replaced before anything is hashed:
a page that prints its visitor's address is then the same page for both, and no hash can be
turned back into the address by trying them all. What likeness means is for the judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from hashlib import blake2b, sha256
from html import unescape

import numpy as np

from gatewatch.probe.ooni import BODY_LIMIT, Json, scrub_bytes

MOST_SCRIPTS = 64
"Our choice: a page with more is told apart by the first ones."
TITLE_LENGTH, URL_LENGTH = 512, 512
"Characters. Titles are cut as the test helper cuts them; the other is our choice."
SHINGLE = 3
"Words hashed together; our choice. One changed word changes three shingles."

_WORD = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
_TAG = re.compile(rb"<(script|iframe|form|html|title)\b([^<>]{0,2000})", re.IGNORECASE)
"An attribute that holds an angle bracket ends the tag: a linear scan is worth it."
_SRC = re.compile(rb"""\bsrc\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_LANG = re.compile(rb"""\blang\s*=\s*["']?([0-9A-Za-z-]{2,35})""", re.IGNORECASE)
_CHARSET = re.compile(rb"""charset\s*=\s*["']?([0-9A-Za-z_.:-]{2,40})""", re.IGNORECASE)
_ODD, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
"Of Knuth's multiplicative hashing (TAOCP 6.4): an odd number near 2**64 over the golden ratio."


def page_features(
    body: bytes,
    headers: Iterable[tuple[str, str]],
    *,
    clean: Callable[[bytes], bytes] = bytes,
) -> Json:
    """The features of an answer's body.

    Args:
        body: as it came, without transfer coding, before anything in it was replaced.
        headers: name and value, in any case.
        clean: takes out what identifies the user, in whatever spelling; where it finds anything,
            lengths are of what is left, too.

    Returns:
        `body_length`: of all of it, bytes.
        `hashed_length`: how many leading bytes everything below is about, at most `BODY_LIMIT`,
        counted before addresses are replaced; equal hashes of unequal lengths are of one prefix.
        `body_sha256`: hex. `body_simhash`: 16 hex digits, see `simhash`; null without words.
        `title`: entities resolved, white space folded; null when there is none.
        `language`: the page's own word, else of the header; lower case, or null.
        `scripts`: `src` of the external ones, as written. `inline_scripts`: sha256 of the others.
        `forms`, `iframes`: how many.

    >>> page = page_features(b"<html lang=fa><title> A &amp; B</title><iframe src=x>", [])
    >>> page["title"], page["language"], page["iframes"], page["scripts"]
    ('A & B', 'fa', 1, [])
    """
    told = {name.lower(): value for name, value in headers}
    head = body[:BODY_LIMIT]
    page = clean(scrub_bytes(head))
    length, hashed = len(body), len(head)
    if clean(head) != head:
        length += len(page) - len(head)
        hashed = min(length, BODY_LIMIT)
    charset = _charset(told.get("content-type", ""), page)
    scripts: list[str] = []
    inline: list[str] = []
    counts = {b"form": 0, b"iframe": 0}
    title = language = None
    lower, past = page.lower(), 0
    for tag in _TAG.finditer(page):
        if tag.start() < past:
            continue  # within a script
        name, attributes, past = tag[1].lower(), tag[2], tag.end()
        if name in counts:
            counts[name] += 1
        elif name == b"html" and language is None:
            found = _LANG.search(attributes)
            language = found[1].decode("ascii").lower() if found else None
        elif name == b"title" and title is None:
            ends = page.find(b"<", tag.end() + 1)
            title = _text(page[tag.end() + 1 : ends if ends >= 0 else None], charset)
        elif name == b"script":
            ends = lower.find(b"</script", tag.end())
            past = len(page) if ends < 0 else ends
            source = _SRC.search(attributes)
            if source is not None:
                url = next(group for group in source.groups() if group is not None)
                scripts.append(unescape(_decoded(url, charset))[:URL_LENGTH])
            elif page[tag.end() + 1 : past].strip():
                inline.append(sha256(page[tag.end() + 1 : past]).hexdigest())
    return {
        "body_length": length,
        "hashed_length": hashed,
        "body_sha256": sha256(page).hexdigest(),
        "body_simhash": simhash(page),
        "title": title,
        "language": language or told.get("content-language", "").lower() or None,
        "scripts": scripts[:MOST_SCRIPTS],
        "inline_scripts": inline[:MOST_SCRIPTS],
        "forms": counts[b"form"],
        "iframes": counts[b"iframe"],
    }


def simhash(page: bytes) -> str | None:
    """64 bits of which most stay as they are when little of the page changes.

    Each bit is a vote of the distinct runs of three words, markup included, each by its own
    hash; a run counts once, so that a repeated menu does not drown the text.

    Returns:
        16 hex digits; None for a page without words.

    Source: Charikar (2002), "Similarity estimation techniques from rounding algorithms";
    for web pages Manku, Jain and Das Sarma (2007), who take 3 of 64 bits for near-duplicates.

    >>> page = b" ".join(b"word%d" % n for n in range(400))
    >>> simhash_distance(simhash(page), simhash(page + b" and a few more")) < 8
    True
    >>> simhash(b"") is None
    True
    """
    words = _WORD.findall(page)
    if not words:
        return None
    known = {word: _hash(word) for word in set(words)}
    hashes = np.array([known[word] for word in words], dtype=np.uint64)
    runs = hashes
    for shift in range(1, min(SHINGLE, len(words))):
        ahead = hashes[shift:]
        runs = runs[: len(ahead)] * _ODD + ahead
        runs ^= runs >> _SHIFT
    runs = np.unique(runs * _ODD)
    runs ^= runs >> _SHIFT
    bits = np.unpackbits((runs * _ODD).astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    votes = bits.sum(axis=0, dtype=np.int64) * 2 > len(runs)
    return np.packbits(votes).tobytes().hex()


def simhash_distance(one: str, other: str) -> int:
    """In how many of their bits two simhashes differ, 0 to 64; unrelated pages near 32.

    >>> simhash_distance("00000000000000ff", "000000000000000f")
    4
    """
    return (int(one, 16) ^ int(other, 16)).bit_count()


def _hash(word: bytes) -> int:
    return int.from_bytes(blake2b(word, digest_size=8).digest(), "big")


def _charset(content_type: str, page: bytes) -> str:
    """What the page says its encoding is; UTF-8 where nothing is said."""
    told = content_type.encode("latin-1", "replace")
    found = _CHARSET.search(told) or _CHARSET.search(page[:1024])
    return found[1].decode("ascii") if found else "utf-8"


def _decoded(data: bytes, charset: str) -> str:
    """A page can name any codec that Python has, and many that it has not."""
    try:
        return data.decode(charset, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def _text(data: bytes, charset: str) -> str | None:
    """Text as a reader sees it; None when nothing is to be seen."""
    text = unescape(_decoded(data[: 4 * TITLE_LENGTH], charset))
    return " ".join(text.split())[:TITLE_LENGTH] or None
