"""A scenario, running: its namespaces, its router, its hosts, and whoever measures in it.

A world is made inside an `enclosure`, by a process of its own that forks the others; they end
with it. Its folder holds all that it leaves behind: the lab's CA, the log of what the censors
did, and, if asked for, a capture of every packet.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Self

import msgspec

from gatewatch.lab.attach import Attach, Direct
from gatewatch.lab.box import Act, Box
from gatewatch.lab.diversion import Diversion, Diversions
from gatewatch.lab.enclosure import spawn
from gatewatch.lab.hosts import serve
from gatewatch.lab.namespaces import (
    Namespace,
    Tun,
    assert_sealed,
    furnish_machine,
    furnish_world,
    mount_over,
    private_mounts,
)
from gatewatch.lab.router import Capture, Router
from gatewatch.lab.scenario import Scenario
from gatewatch.lab.topology import Place, Topology
from gatewatch.wire import pcapng

READY_S = 30.0
"What a world may take to begin. Our choice: a hundred times what it takes on an idle machine."

LOG, CA, REFUSED = "acts.jsonl", "ca.pem", "refused.json"
"Files of a world's folder."

TRUST_STORES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)
"Where Debian, Fedora and Alpine keep the authorities that programs trust."
TRUST_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
"What programs that bring authorities of their own look at first."


class WorldFailed(RuntimeError):
    """A process of the world ended before its time."""


class World:
    """One world; a context manager that begins and ends it.

    Args:
        folder: made if need be; what a world leaves behind goes there.
        seed: decides everything that chance decides.
        capture: write what each interface sees to a file of its name, `NETWORK.pcapng` for a
            vantage point and `world.pcapng` for all hosts.
    """

    def __init__(self, scenario: Scenario, folder: Path, *, seed: int = 0, capture: bool = False):
        self.scenario = scenario
        self.folder = folder
        self._seed = seed
        self._capture = capture
        self._topology = Topology(scenario)
        self.processes: dict[int, str] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.began = time.monotonic()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._log = os.open(self.folder / LOG, flags, 0o644)
        self.machines: dict[str, Namespace] = {}
        "By the network that each is a vantage point of."
        self._probes: dict[str, Tun] = {}
        for name in self.scenario.vantages:
            self.machines[name] = Namespace()
            self._probes[name] = Tun(self.machines[name], name)
            furnish_machine(self.scenario.networks[name].probe)
        self.hosts = Namespace()
        self._world = Tun(self.hosts, "world")
        furnish_world(a for host in self.scenario.hosts.values() for a in host.addresses)
        self._diversions = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready, self._ready = os.pipe()
        self._start("router", self._route)
        self._start("hosts", self._serve)
        os.close(self._ready)
        self._await(ready)
        for name in self.scenario.vantages:
            for target, text in self._machine_files(name).items():
                self._own(name, target).write_text(text)
        return self

    def _await(self, ready: int) -> None:
        """Wait until router and hosts both say that they are at work.

        Raises:
            WorldFailed: one of them ended, or says nothing.
        """
        until, said = time.monotonic() + READY_S, 0
        with open(ready, "rb", buffering=0) as words:
            while said < len(self.processes):
                if select.select([words], (), (), 0.1)[0]:
                    said += len(words.read(1) or b"")
                self.check()
                if time.monotonic() > until:
                    raise WorldFailed(f"the world of {self.scenario.id} does not begin")

    def __exit__(self, *_: object) -> None:
        for stop in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes:
                os.kill(pid, stop)
            self._reap(1.0 if stop == signal.SIGTERM else None)
        for tun in (*self._probes.values(), self._world):
            tun.close()
        for namespace in (*self.machines.values(), self.hosts):
            namespace.close()
        for end in self._diversions:
            end.close()
        os.close(self._log)

    def _reap(self, patience_s: float | None) -> None:
        until = None if patience_s is None else time.monotonic() + patience_s
        for pid in list(self.processes):
            while until is None or time.monotonic() < until:
                if os.waitpid(pid, os.WNOHANG if until else 0)[0]:
                    del self.processes[pid]
                    break
                time.sleep(0.005)

    def _start(self, name: str, work: Callable[[], None]) -> None:
        self.processes[spawn(work)] = name

    def check(self) -> None:
        """Are router and hosts at work?

        Raises:
            WorldFailed: one is not.
        """
        for pid, name in self.processes.items():
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                raise WorldFailed(f"the {name} process of {self.scenario.id} has ended")

    def now(self) -> float:
        """Seconds since the world began."""
        return time.monotonic() - self.began

    # -- who is in it ------------------------------------------------------------------------

    def enter_vantage(self, network: str) -> Attach:
        """Move this process to the machine at a vantage point, with its resolver and trust store.

        Raises:
            CannotSeal: the system does not let us.
        """
        self.machines[network].enter()
        private_mounts()
        for target in self._machine_files(network):
            mount_over(self._own(network, target), target)
        for name in (name for name in list(os.environ) if name.lower().endswith("_proxy")):
            del os.environ[name]  # the host's, which is not in this world
        os.environ.update(dict.fromkeys(TRUST_VARIABLES, str((self.folder / CA).resolve())))
        return Direct()

    def _own(self, network: str, target: Path) -> Path:
        """The file that a machine of that network has in place of the host's."""
        return self.folder / f"{network}-{target.name}"

    def enter_world(self) -> None:
        """Move this process to where all other machines are."""
        self.hosts.enter()

    def _machine_files(self, network: str) -> dict[Path, str]:
        """What a machine of that network finds in place of the host's own files."""
        resolver = self.scenario.networks[network].resolver
        asked = f"nameserver {resolver}\n" if resolver else ""
        files = {
            Path("/etc/resolv.conf"): f"{asked}options timeout:2 attempts:2\n",
            Path("/etc/hosts"): "127.0.0.1 localhost\n::1 localhost\n",
            **dict.fromkeys(TRUST_STORES, (self.folder / CA).read_text()),
        }
        return {target: text for target, text in files.items() if target.exists()}

    # -- its processes -----------------------------------------------------------------------

    def _tell(self, act: Act) -> None:
        os.write(self._log, msgspec.json.encode(act) + b"\n")

    def _route(self) -> None:
        ours = {n.inode for n in (*self.machines.values(), self.hosts)}
        Namespace()  # where there is no interface at all but a loopback that is down
        for interface in (*self._probes.values(), self._world):
            assert_sealed(interface.fileno(), ours)
        stop, stopping = os.pipe()
        signal.signal(signal.SIGTERM, lambda *_: os.close(stopping))
        with self._capturing() as capture:
            router = Router(
                self.scenario,
                self._probes,
                self._world,
                boxes_of(self.scenario, self._topology, self._seed, self._tell_router),
                clock=self.now,
                seed=self._seed,
                capture=capture,
            )
            os.write(self._ready, b"!")
            router.run(stop)
        report = {"carried": router.carried, "refused": dict(router.refused)}
        (self.folder / REFUSED).write_bytes(msgspec.json.encode(report))

    def _tell_router(self, act: Act) -> None:
        self._tell(act)
        if act.peer is not None:
            self._diversions[0].send(msgspec.json.encode(act))

    @contextmanager
    def _capturing(self) -> Iterator[Capture | None]:
        if not self._capture:
            yield None
            return
        with ExitStack() as files:
            writers: dict[str, Callable[[bytes], object]] = {}
            for tun in (*self._probes.values(), self._world):
                file = files.enter_context((self.folder / f"{tun.name}.pcapng").open("wb"))
                file.write(pcapng.section() + pcapng.interface(tun.name))
                writers[tun.name] = file.write
            offset_ns = time.time_ns() - time.monotonic_ns()

            def capture(interface: str, data: bytes) -> None:
                now_ns = offset_ns + time.monotonic_ns()
                writers[interface](pcapng.packet(0, now_ns, data))

            yield capture

    def _serve(self) -> None:
        self.enter_world()
        # asyncio warns of every peer that vanishes, which is what censors make of peers
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        original = Originals(self._diversions[1])

        def ready() -> None:
            os.write(self._ready, b"!")

        async def hosts() -> None:
            asyncio.get_running_loop().add_reader(self._diversions[1], original.read)
            await serve(
                self.scenario,
                Direct(),
                self.folder,
                ready=ready,
                tell=lambda act: self._tell(msgspec.structs.replace(act, t=self.now())),
                original=original.of,
            )

        asyncio.run(hosts())


class Originals:
    """What diverted flows were, as the router tells the middleboxes."""

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self._told.setblocking(False)
        self._diversions = Diversions()

    def read(self) -> None:
        try:
            while True:
                self._diversions.note(msgspec.json.decode(self._told.recv(65_536), type=Act))
        except BlockingIOError:
            return

    async def of(self, transport: str, peer: str) -> Diversion | None:
        """A flow of a middlebox's peer; the router tells before it sends the flow on."""
        self.read()
        return self._diversions.of(transport, peer)


def boxes_of(
    scenario: Scenario, topology: Topology, seed: int, tell: Callable[[Act], None]
) -> dict[Place, Box]:
    """The censors, one box for each hop that has some."""
    at: dict[Place, list] = {}
    for censor in scenario.censors:
        at.setdefault(topology.place(censor.at), []).append(censor)

    def box(place: Place) -> Box:
        def inside(address: bytes) -> str | None:
            network = topology.network_of(address)
            return network if topology.below(place, network) else None

        return Box(
            str(place),
            at[place],
            inside=inside,
            seed=seed,
            clock=datetime.fromisoformat(scenario.clock).astimezone(UTC),
            tell=tell,
            hosts=scenario.hosts,
            addresses=tuple(ip_address(a).packed for a in topology.addresses(place)),
        )

    return {place: box(place) for place in at}
