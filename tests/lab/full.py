"""Real worlds for tests: namespaces, the router, hosts, and the kernel's own TCP between them.

A client is a function that is called on a machine of the world, in a process of its own; what it
gives back is what `in_world` gives back. Meanwhile a tap on each machine hears what its interface
sends and is sent: from the kernel, not from the router, which is what is being tested.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import select
import shutil
import socket
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import msgspec
import pytest

from gatewatch.lab import trial
from gatewatch.lab.box import Act
from gatewatch.lab.enclosure import Enclosure, Tell, spawn
from gatewatch.lab.namespaces import private_mounts
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.world import LOG, REFUSED, World
from gatewatch.wire.packet import MalformedPacket, Packet, parse

import_module("pyroute2")  # which takes a while: here once, and not again in every world

CLIENT_S = 30.0
"What a client may take. Ten times what the slowest takes on an idle machine."
WORLD = "world"
"Where all machines are that are no vantage points."

Client = Callable[[World], Any]
"Called on a machine of the world. Its result must be something that can be pickled."

NOBODY = 65_534
"The user and group that own nothing."

_PR_SET_DUMPABLE = 4
_libc = ctypes.CDLL(None)
_ETH_P_ALL = 3
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_TAP_BYTES = 64 << 20


def requires_full_lab() -> None:
    """Skip this test where the system cannot hold a full lab; at the gate it must."""
    lacking = _lacking()
    if lacking is not None:
        _do_without(lacking)


@cache
def _lacking() -> str | None:
    return trial.why_not()


def requires_tool(name: str) -> str:
    """Where a program is; without it the test is skipped, though not at the gate."""
    return shutil.which(name) or _do_without(f"{name} is not installed")


def requires_root() -> None:
    """Skip what only root can see or set up; not at the gate."""
    if os.geteuid():
        _do_without("this needs root")


def _do_without(lacking: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(lacking)
    pytest.skip(lacking)


class Frame(NamedTuple):
    """What a tap heard once."""

    at: float
    "Seconds, by the kernel's wall clock."
    interface: str
    sent: bool
    data: bytes
    "From the network header on."


class Tap:
    """Hears all that the interfaces of a network namespace, the current one, send and are sent."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.setblocking(False)
        with suppress(PermissionError):  # in the lab nobody may, and the system's default must do
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _TAP_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)

    def frames(self) -> list[Frame]:
        """What it heard since it was last asked; it forgets nothing, or says so."""
        found = list[Frame]()
        while True:
            try:
                data, extra, _, address = self._socket.recvmsg(65_536, 128)
            except BlockingIOError:
                break
            seconds, nanoseconds = struct.unpack("qq", extra[0][2])
            sent = address[2] == socket.PACKET_OUTGOING
            found.append(Frame(seconds + nanoseconds / 1e9, address[0], sent, data))
        heard, missed = struct.unpack(
            "II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        )
        assert not missed, f"{missed} of {heard} packets did not fit into the tap"
        return found

    def until(self, wanted: Callable[[Packet], bool], within_s: float) -> Packet | None:
        """The first packet sent to us that is the wanted one; None: it does not come in time."""
        until = time.monotonic() + within_s
        while select.select([self._socket], (), (), max(0.0, until - time.monotonic()))[0]:
            for frame in self.frames():
                if not frame.sent and wanted(packet := parse(frame.data)):
                    return packet
        return None

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


class Seen(NamedTuple):
    """A packet at a machine of the world."""

    at: float
    sent: bool
    packet: Packet


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What is left of a world."""

    results: dict[str, Any]
    "Of the clients, by where they were."
    seen: dict[str, list[Seen]]
    "By network of the vantage point, and `WORLD` for all other machines together."
    acts: list[Act]
    refused: dict[str, int]
    "By the router, as it counts them."

    def arrived(self, where: str) -> list[Packet]:
        return [seen.packet for seen in self.seen[where] if not seen.sent]

    def sent(self, where: str) -> list[Packet]:
        return [seen.packet for seen in self.seen[where] if seen.sent]


def in_world(
    scenario: Scenario,
    clients: Mapping[str, Client],
    *,
    seed: int = 0,
    capture: bool = False,
    folder: Path | None = None,
) -> Lived:
    """Run a world, and clients in it at the same time, until all of them have ended.

    Args:
        clients: by the network whose vantage point they are at; `WORLD` for the machines that
            are none.
        folder: the world's; without, one that is gone with it.
    """
    requires_full_lab()
    with tempfile.TemporaryDirectory() as temporary:
        home = folder or Path(temporary)
        left = Path(temporary, "lived")

        def work(_: Tell) -> None:
            with World(scenario, home, seed=seed, capture=capture) as world:
                results, seen = attend(world, clients)
            left.write_bytes(pickle.dumps((results, seen)))

        with Enclosure(work) as enclosure:
            assert list(enclosure) == []
            assert enclosure.status == 0, "the world failed, and says why on stderr"
        results, seen = pickle.loads(left.read_bytes())
        acts = (home / LOG).read_bytes().splitlines()
        return Lived(
            results=results,
            seen=seen,
            acts=[msgspec.json.decode(line, type=Act) for line in acts],
            refused=msgspec.json.decode((home / REFUSED).read_bytes())["refused"],
        )


def attend(
    world: World, clients: Mapping[str, Client]
) -> tuple[dict[str, Any], dict[str, list[Seen]]]:
    """Let clients loose in a world that runs: what they brought back, and what the taps heard."""
    places = {**world.machines, WORLD: world.hosts}
    taps = dict[str, Tap]()
    for place, namespace in places.items():
        namespace.enter()
        taps[place] = Tap()
    going = {
        spawn(lambda place=place, client=client: _call(world, place, client)): place
        for place, client in clients.items()
    }
    seen = {place: list[Seen]() for place in taps}
    for _ in _until_ended(going, world, [*taps.values()]):
        for place, tap in taps.items():
            seen[place] += _packets(tap.frames())
    return {place: pickle.loads(_left_by(world, place).read_bytes()) for place in clients}, seen


def _packets(frames: list[Frame]) -> Iterator[Seen]:
    """What of it was on the wire, and was a packet."""
    for frame in frames:
        with suppress(MalformedPacket):
            if frame.interface == "lab0":
                yield Seen(frame.at, frame.sent, parse(frame.data))


def _call(world: World, place: str, client: Client) -> None:
    if place == WORLD:
        world.enter_world()
    else:
        world.enter_vantage(place)
    _left_by(world, place).write_bytes(pickle.dumps(client(world)))


def _left_by(world: World, place: str) -> Path:
    return world.folder / f"{place}.result"


def _until_ended(going: dict[int, str], world: World, taps: list[Tap]) -> Iterator[None]:
    """Wait for clients to end; with every step the taps may have heard something."""
    until = time.monotonic() + CLIENT_S
    ends = {os.pidfd_open(pid): pid for pid in going}
    heard = [tap.fileno() for tap in taps]
    while ends:
        for ready in select.select([*ends, *heard], (), (), 0.5)[0]:
            if ready in ends:
                pid = ends.pop(ready)
                os.close(ready)
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                assert status == 0, f"the client at {going[pid]} failed, and says why on stderr"
        assert time.monotonic() < until, "a client does not end"
        world.check()
        yield


def as_ordinary_user(
    work: Callable[[], Any],
    *,
    tun_mode: int | None = 0o666,
    before: Callable[[], None] = lambda: None,
) -> Any:
    """Call something in a process that has become an ordinary user; what it gives back.

    Args:
        before: what the process does while it is root.
    """
    reading, writing = os.pipe()

    def ordinary() -> None:
        before()
        become_ordinary(tun_mode)
        with os.fdopen(writing, "wb") as left:
            left.write(pickle.dumps(work()))

    pid = spawn(ordinary)
    os.close(writing)
    with os.fdopen(reading, "rb") as left:
        found = left.read()
    assert os.waitpid(pid, 0)[1] == 0, "it failed, and says why on stderr"
    return pickle.loads(found)


def become_ordinary(tun_mode: int | None = 0o666) -> None:
    """Turn this process, that has been root, into a user without any privilege.

    Args:
        tun_mode: of the `/dev/net/tun` that it finds, which is not the system's own; None for a
            system that has none.
    """
    private_mounts()
    assert _libc.mount(b"none", b"/dev/net", b"tmpfs", 0, None) == 0
    if tun_mode is not None:
        device = Path("/dev/net/tun")
        os.mknod(device, stat.S_IFCHR, os.makedev(10, 200))
        device.chmod(tun_mode)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after an exec: /proc/self is one's own
