"""Who may import whom: each room only what comes before it, and sockets in three places."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "gatewatch"

GROUND = ["model", "wire", "refdata"]
DOOR = ["archive"]
ANALYSING = ["observe", "judge", "cells", "events", "publish", "web"]
MEASURING = ["probe", "server", "simulate", "lab"]
WINGS = [ANALYSING, MEASURING]
SEES_ALL = ["cli", "flow", "__main__"]

NETWORK = {"socket", "socketserver", "asyncio", "ftplib", "smtplib", "requests", "httpx"}
NETWORK |= {"http.client", "http.server", "urllib.request", "xmlrpc"}
ONLY_ARITHMETIC = {f"socket.{name}" for name in ("AF_INET", "AF_INET6", "inet_pton", "inet_ntop")}
MAY_CONNECT = ("probe/net.py", "server/", "refdata/fetch.py")
MAY_CONNECT += tuple(
    f"lab/{place}" for place in ("attach.py", "hosts/", "reduced/", "visits.py", "world.py")
)
"The lab's sockets are in its own namespaces, or on loopback."
MAY_WAIT = ("probe/",)
"Rooms with tasks and timeouts of asyncio; its streams and sockets are for those that connect."
CONNECTS = {"open_connection", "start_server", "create_connection", "create_server",
            "create_datagram_endpoint", "sock_connect", "sock_sendall", "sock_recv",
            "open_unix_connection", "start_unix_server"}  # fmt: skip


def allowed(room: str) -> set[str]:
    """The rooms that a room may import."""
    for order in (GROUND, *(GROUND + DOOR + wing for wing in WINGS)):
        if room in order:
            return {*order[: order.index(room) + 1]}
    return {*GROUND, *DOOR, *ANALYSING, *MEASURING, *SEES_ALL} if room in SEES_ALL else set()


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute, so that this test can read them"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def connecting(tree: ast.AST) -> set[str]:
    """The ways of asyncio to a socket that are named in a file."""
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & CONNECTS


def violations(source: Path) -> list[str]:
    """Every import that a room may not have, as `file: import`."""
    found = []
    for path in sorted(source.rglob("*.py")):
        place = path.relative_to(source).as_posix()
        room = place.split("/")[0].removesuffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name in imports(tree):
            whose = name.split(".")[1] if name.startswith("gatewatch.") else None
            if whose and whose != "__version__" and whose not in allowed(room):
                found.append(f"{place}: {name}")
            modules = {name, name.split(".")[0], name.rpartition(".")[0]}
            opens = modules & NETWORK and name not in ONLY_ARITHMETIC
            waits = name == "asyncio" and place.startswith(MAY_WAIT)
            if opens and not waits and not place.startswith(MAY_CONNECT):
                found.append(f"{place}: {name}")
        if not place.startswith(MAY_CONNECT):
            found += [
                f"{place}: {name}" for name in sorted(connecting(ast.parse(path.read_text())))
            ]
    return found


def test_every_room_imports_only_what_comes_before_it():
    assert violations(SOURCE) == []


def test_every_room_has_its_place():
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= {*GROUND, *DOOR, *ANALYSING, *MEASURING, *SEES_ALL}


@pytest.mark.parametrize(
    ("place", "line", "caught"),
    [
        ("judge/x.py", "from gatewatch.model.records import Lookup", False),
        ("judge/x.py", "from gatewatch.observe.stage import observe", False),
        ("judge/x.py", "from gatewatch.publish import report", True),
        ("judge/x.py", "import gatewatch.cells.stage", True),
        ("model/x.py", "from gatewatch.archive.store import Store", True),
        ("archive/x.py", "from gatewatch.observe.stage import observe", True),
        ("observe/x.py", "from gatewatch.probe import steps", True),
        ("lab/x.py", "from gatewatch.probe import steps", False),
        ("lab/x.py", "def f():\n    from gatewatch.judge.verdict import judge", True),
        ("publish/x.py", "from gatewatch.flow import analyze", True),
        ("cli/x.py", "from gatewatch import flow", False),
        ("flow.py", "from gatewatch.judge.verdict import judge", False),
        ("newroom/x.py", "from gatewatch.model import records", True),
        ("judge/x.py", "import socket", True),
        ("judge/x.py", "from urllib.request import urlopen", True),
        ("judge/x.py", "from urllib import request", True),
        ("judge/x.py", "from urllib.parse import urlsplit", False),
        ("judge/x.py", "import http.client", True),
        ("wire/x.py", "from socket import AF_INET, inet_pton", False),
        ("refdata/update.py", "import urllib.request", True),
        ("probe/net.py", "import socket", False),
        ("server/x.py", "from asyncio import start_server", False),
        ("probe/steps.py", "from socket import socket", True),
        ("probe/steps.py", "import asyncio", False),
        ("probe/steps.py", "import asyncio\nasyncio.open_connection", True),
        ("judge/x.py", "import asyncio", True),
    ],
)
def test_a_planted_violation_is_caught(tmp_path, place, line, caught):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(line)
    assert bool(violations(tmp_path)) is caught
