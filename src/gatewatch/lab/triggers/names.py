"""Patterns of names, as the triggers of a scenario are written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate


class Names:
    """A set of name patterns: a name, `.name` for it and all below it, or a glob.

    >>> names = Names(["example.org", ".example.net", "*keyword*"])
    >>> [name in names for name in ("example.org", "www.example.org", "a.keyword.example")]
    [True, False, True]
    >>> "example.net" in names, "a.b.Example.net." in names, "counterexample.net" in names
    (True, True, False)
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        lowered = [pattern.lower() for pattern in patterns]
        globs = [pattern for pattern in lowered if set(pattern) & set("*?[")]
        suffixes = [p for p in lowered if p.startswith(".") and p not in globs]
        self._exact = {p for p in lowered if p not in globs} | {p[1:] for p in suffixes}
        self._suffixes = tuple(suffixes)
        self._globs = re.compile("|".join(map(translate, globs))) if globs else None

    def __contains__(self, name: str | None) -> bool:
        """Whether a pattern fits; none fits what has no name."""
        if name is None:
            return False
        name = name.lower().rstrip(".")
        return (
            name in self._exact
            or name.endswith(self._suffixes)
            or bool(self._globs and self._globs.match(name))
        )
