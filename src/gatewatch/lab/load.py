"""From a TOML file to a scenario that holds together; what is wrong is said with its place.

A file may stand on a *world*: networks, hosts and names that many scenarios share. Worlds have a
folder of their own, `scenarios/worlds`, and are no scenarios: nothing in them is filtered.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gatewatch.lab import spelling
from gatewatch.lab.flaws import flaws
from gatewatch.lab.rules import Censor
from gatewatch.lab.scenario import FOLDER, Answer, BadScenario, Expectation, Host, Network, Scenario
from gatewatch.model.errors import NotFound

T = TypeVar("T")
S = TypeVar("S", bound=Struct)

MAPS = {"networks": Network, "hosts": Host, "names": Answer}
"Parts of a file that a world may hold too: key → what stands under each of its keys."
LISTS = {"censors": Censor, "expect": Expectation}
NULLABLE = frozenset({"status"})
"Keys of censors that may be null, for which TOML has no word: `none` is ours."
DEPTH_MAX = 4
"Worlds upon worlds. Our choice: more can no longer be read aloud."
NESTED_MAX = 32
"Tables within tables. Our choice: several times what a scenario needs."
ECHO_MAX = 120
"Characters of what was found that an error repeats."


class World(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What scenarios share."""

    title: str
    words: str
    extends: str | None = None
    networks: dict[str, Network] = {}
    hosts: dict[str, Host] = {}
    names: dict[str, Answer] = {}


def names() -> list[str]:
    """The scenarios that come with the package, in alphabetical order."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name_or_path: str | Path) -> Scenario:
    """The scenario of that name, or in that file.

    Raises:
        NotFound: no scenario comes with the package under that name.
        BadScenario: its file breaks docs/lab.md: where, what was found, and what is wanted.
    """
    path = _file_of(name_or_path)
    own = _parts(path, Scenario)
    if own.id:
        raise BadScenario(f"{path.name}: id", f"found {_shown(own.id)}; the file's name is the id")
    scenario = msgspec.structs.replace(_upon_its_worlds(own, path), id=path.stem)
    for where, found, wanted in flaws(scenario):
        raise _refused(path, where, found, wanted)
    return scenario


def _file_of(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".toml":
        return path
    if str(name_or_path) not in names():
        raise NotFound(f"no scenario {str(name_or_path)!r}; `gatewatch lab list` names them")
    return FOLDER / f"{name_or_path}.toml"


def _upon_its_worlds(own: Scenario, path: Path) -> Scenario:
    """The scenario with what its worlds bring; the same key here replaces theirs."""
    parts: dict[str, dict[str, Any]] = {key: getattr(own, key) for key in MAPS}
    below, extends, worlds = path, own.extends, 0
    while extends is not None:
        worlds += 1
        if worlds > DEPTH_MAX:
            raise BadScenario(
                f"{path.name}: extends", f"found more than {DEPTH_MAX} worlds; wants no circle"
            )
        if not spelling.is_file(extends):
            raise _refused(
                path, "extends", extends, "the name of a .toml file, or its way from here"
            )
        below = _world_file(below, extends)
        world = _parts(below, World)
        parts = {key: getattr(world, key) | parts[key] for key in MAPS}
        extends = world.extends
    return msgspec.structs.replace(own, **parts)


def _world_file(path: Path, extends: str) -> Path:
    """A world beside the file that names it, or one of the lab's own."""
    beside = path.parent / extends
    return beside if beside.exists() else FOLDER / extends


def _parts(path: Path, kind: type[S]) -> S:
    """A file read part by part, so that an error can name the part."""
    document = _document(path)
    made: dict[str, Any] = {}
    for key, kind_of_each in MAPS.items():
        entries = _taken(document, key, dict, path)
        made[key] = {
            name: _made(entry, kind_of_each, f"{path.name}: {_plain(f'{key}.{name}')}")
            for name, entry in entries.items()
        }
    for key, kind_of_each in LISTS.items() if kind is Scenario else ():
        entries = _taken(document, key, list, path)
        made[key] = tuple(
            _made(_with_nulls(entry), kind_of_each, f"{path.name}: {key}[{number}]{_called(entry)}")
            for number, entry in enumerate(entries)
        )
    return msgspec.structs.replace(_made(document, kind, path.name), **made)


def _document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadScenario(str(path), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadScenario(path.name, f"byte {error.start} is not UTF-8") from error
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep(path) from error
    except ValueError as error:  # TOMLDecodeError is one; so is that of a number too long to read
        raise BadScenario(path.name, f"not TOML: {_plain(str(error))}") from error
    if _is_deeper_than(document, NESTED_MAX):
        raise _too_deep(path)
    return document


def _is_deeper_than(document: object, most: int) -> bool:
    """Whether there are more levels; dotted keys make any number of them without recursion."""
    level = [document]
    for _ in range(most + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return bool(level)


def _too_deep(path: Path) -> BadScenario:
    return BadScenario(path.name, f"found deeper nesting; wants at most {NESTED_MAX} levels")


def _taken(document: dict[str, Any], key: str, kind: type[T], path: Path) -> T:
    found = document.pop(key, kind())
    if not isinstance(found, kind):
        wanted = "a table" if kind is dict else "an array of tables"
        raise _refused(path, key, found, wanted)
    return found


def _with_nulls(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {
        key: None if key in NULLABLE and value == "none" else _with_nulls(value)
        for key, value in entry.items()
    }


def _made(document: object, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise BadScenario(where, _plain(str(error))) from error


def _called(entry: object) -> str:
    """What an entry of a list goes by, for errors."""
    known = entry if isinstance(entry, dict) else {}
    name = known.get("id") or known.get("url")
    return f" ({_plain(name)})" if isinstance(name, str) else ""


# -- errors ----------------------------------------------------------------------------------


def _refused(path: Path, where: str, found: object, wanted: str) -> BadScenario:
    return BadScenario(f"{path.name}: {_plain(where)}", f"found {_shown(found)}; wants {wanted}")


def _shown(found: object) -> str:
    """A value as errors repeat it; a number may be too long for Python to write it in decimal."""
    if isinstance(found, int) and found.bit_length() > ECHO_MAX:
        return f"a number of {found.bit_length()} bits"
    return _plain(repr(found))


def _plain(words: str) -> str:
    """What a file says, fit to be shown: no control characters, and no more than can be read."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in words[: ECHO_MAX + 1])
    return shown if len(words) <= ECHO_MAX else f"{shown[:ECHO_MAX]}…"
