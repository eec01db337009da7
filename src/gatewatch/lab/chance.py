"""Chance that repeats itself: draws that depend on a seed and on what they are about.

Nothing here depends on the order in which packets come, which no seed decides.
"""

from __future__ import annotations

from hashlib import blake2b


def draw(*about: object) -> float:
    """A number in [0, 1), the same for the same words.

    >>> draw(1, "cn-dns", "example.org") == draw(1, "cn-dns", "example.org")
    True
    >>> 0.0 <= draw(2, "cn-dns", "example.org") < 1.0
    True
    """
    words = "\0".join(map(str, about)).encode("utf-8", "surrogateescape")
    # 53 bits, so that the quotient is exact and never rounds up to 1
    return (int.from_bytes(blake2b(words, digest_size=8).digest(), "big") >> 11) / (1 << 53)
