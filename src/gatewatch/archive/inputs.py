"""Which files a user means: files, folders and patterns, as given on a command line."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from gatewatch.model.errors import GatewatchError

_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".swp", ".lock")


def find_inputs(arguments: list[str]) -> list[Path]:
    """The files that the arguments name, in the order given; each file once.

    Args:
        arguments: files, folders (all files below, sorted; hidden and unfinished ones skipped),
            and patterns with `*`, `?`, `[…]` and `**`.

    Raises:
        GatewatchError: naming every argument that is missing, unreadable or without a file.
    """
    found: dict[str, Path] = {}
    problems: list[str] = []
    for argument in arguments:
        try:
            paths = _expand(argument)
        except OSError as error:
            problems.append(f"{argument}: {error.strerror}")
            continue
        if not paths:
            problems.append(_nothing(argument))
        for path in paths:
            found.setdefault(os.path.realpath(path), path)
    if problems:
        raise GatewatchError("; ".join(problems))
    return list(found.values())


def _expand(argument: str) -> list[Path]:
    path = Path(argument).expanduser()
    if not path.exists() and glob.has_magic(argument):
        matches = sorted(glob.glob(str(path), recursive=True))
        return [file for match in matches for file in _files(Path(match))]
    return _files(path)


def _files(path: Path) -> list[Path]:
    """The path itself, or every finished file below it; OSError when a folder cannot be read."""
    if not path.is_dir():
        return [path] if path.exists() else []

    def fail(error: OSError) -> None:
        raise error

    files: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=fail):
        folders[:] = sorted(name for name in folders if _finished(name))
        inside = (Path(folder, name) for name in sorted(names) if _finished(name))
        files.extend(file for file in inside if file.is_file())
    return files


def _finished(name: str) -> bool:
    return not (name.startswith(".") or name.endswith("~") or name.lower().endswith(_UNFINISHED))


def _nothing(argument: str) -> str:
    path = Path(argument).expanduser()
    if path.is_dir():
        return f"{argument}: no files in this folder; wanted measurement files"
    if glob.has_magic(argument):
        return f"{argument}: nothing matches this pattern"
    return f"{argument}: no such file or folder"
