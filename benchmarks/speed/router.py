"""How many packets the lab's router carries on one core, and how much time it adds.

    python -m benchmarks.speed.router [--seconds S] [--rounds N]

A sender in a vantage point's namespace floods a sink in the world's with datagrams, through a
real router between real TUN devices. The floor is a loop that only reads from one device and
writes to the other, which any router in Python must do; the two are run in turn. Rates are
packets a second of the router's own CPU time, since sender and sink share the machine with it.
Latency is what a ping-pong takes beyond the delays of the links.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from gatewatch.lab.enclosure import Enclosure, Tell, spawn
from gatewatch.lab.load import load
from gatewatch.lab.rules import Action, Censor, Drop, Reset, Throttle, Trigger
from gatewatch.lab.scenario import Link, Scenario
from gatewatch.lab.topology import Topology
from gatewatch.lab.world import World

SINK = ("93.184.216.34", 9999)
PAYLOAD = bytes(1200)
PINGS = 100


def scenarios() -> dict[str, Scenario]:
    """The same world with nothing on the way, with busy boxes, and with a throttle."""
    base = replace(load("tls-reset-sni"), censors=(), expect=())
    watching = tuple(
        Censor(
            id=f"sni-{n}",
            at="garr",
            trigger=Trigger(sni=(f".blocked-{n}.example",)),
            action=Action(reset=Reset()),
        )
        for n in range(10)
    )
    following = Censor(
        id="follow",
        at="garr/1",
        trigger=Trigger(endpoint=(f"{SINK[0]}:{SINK[1]}/udp",)),
        action=Action(throttle=Throttle(rate_kbps=10_000_000, burst_kb=1_000_000)),
    )
    dropping = Censor(
        id="drop", at="garr/1", trigger=Trigger(ip=("9.9.9.9",)), action=Action(drop=Drop())
    )
    lossy = replace(base.core, jitter_ms=1.0, loss=0.001)
    return {
        "no box on the way": base,
        "two boxes, eleven censors that let it pass": replace(base, censors=(*watching, dropping)),
        "a throttle that counts every packet": replace(base, censors=(following,)),
        "jitter and loss": replace(base, core=lossy),
        "a rate-limited link": replace(base, core=Link(rate_kbps=10_000_000, queue_kb=100_000)),
    }


def sink(world: World, counted: int) -> None:
    """Count what arrives until nothing does; the number and the seconds it took go to a pipe."""
    world.enter_world()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        receiver.bind(SINK)
        os.write(counted, b"ready\n")
        receiver.settimeout(10.0)
        packets, first, last = 0, 0.0, 0.0
        try:
            while True:
                receiver.recv(2048)
                last = time.perf_counter()
                first = first or last
                packets += 1
                receiver.settimeout(0.5)
        except TimeoutError:
            os.write(counted, f"{packets} {last - first}\n".encode())


def flood(world: World, seconds: float) -> None:
    world.enter_vantage("garr")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(SINK)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            try:
                sender.send(PAYLOAD)
            except OSError:
                time.sleep(0.0005)  # the device's queue is full: the router is the slowest


def echo(world: World, ready: int) -> None:
    world.enter_world()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(SINK)
        os.write(ready, b"ready\n")
        while True:
            data, peer = receiver.recvfrom(2048)
            receiver.sendto(data, peer)


def ping(world: World, told: int) -> None:
    world.enter_vantage("garr")
    took = list[float]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(SINK)
        sender.settimeout(1.0)
        for _ in range(PINGS):
            began = time.perf_counter()
            sender.send(b"ping")
            try:
                sender.recv(2048)
            except TimeoutError:
                continue
            took.append(time.perf_counter() - began)
    took.sort()
    os.write(told, f"{statistics.median(took)} {took[int(len(took) * 0.99)]}\n".encode())


def line(pipe: int) -> bytes:
    """The next line of a pipe, whose writer writes whole lines."""
    if not select.select([pipe], (), (), 60)[0]:
        raise TimeoutError("the other side of the benchmark said nothing for a minute")
    return os.read(pipe, 4096)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bare(World):
    """A world whose router does nothing but read and write."""

    def _route(self) -> None:
        inside, outside = self._probes["garr"].fileno(), self._world.fileno()
        other = {inside: outside, outside: inside}
        os.write(self._ready, b"!")
        while True:
            for fd in select.select([inside, outside], (), ())[0]:
                for _ in range(64):
                    try:
                        os.write(other[fd], os.read(fd, 65536))
                    except BlockingIOError:
                        break


def rate(
    kind: type[World], scenario: Scenario, seconds: float, folder: Path
) -> tuple[float, float]:
    """Packets a second of the router's CPU, and packets a second as they arrived."""
    with kind(scenario, folder) as world:
        reading, writing = os.pipe()
        spawn(lambda: sink(world, writing))
        line(reading)
        router = next(pid for pid, name in world.processes.items() if name == "router")
        before = cpu_s(router)
        os.waitpid(spawn(lambda: flood(world, seconds)), 0)
        packets, took = map(float, line(reading).split())
        return packets / (cpu_s(router) - before), packets / took


def latency_ms(kind: type[World], scenario: Scenario, folder: Path) -> tuple[float, float]:
    """Median and 99th percentile of a round trip, milliseconds."""
    with kind(scenario, folder) as world:
        reading, writing = os.pipe()
        spawn(lambda: echo(world, writing))
        line(reading)
        spawn(lambda: ping(world, writing))
        median, high = map(float, line(reading).split())
        return median * 1000, high * 1000


def medians(rows: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """The median of each column."""
    return tuple(statistics.median(column) for column in zip(*rows, strict=True))


def benchmark(tell: Tell, seconds: float, rounds: int) -> None:
    cases = scenarios()
    rates: dict[str, list[tuple[float, float, float]]] = {name: [] for name in cases}
    added: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(rounds):
            for case, scenario in cases.items():
                tell(f"round {number + 1}: {case}")
                floor, _ = rate(Bare, scenario, seconds, folder)
                own, arrived = rate(World, scenario, seconds, folder)
                rates[case].append((own, arrived, floor / own))
                links = Topology(scenario).way("garr", "edgecast")
                nominal = 2 * sum(s.link.delay_ms + s.link.jitter_ms / 2 for s in links)
                median, high = latency_ms(World, scenario, folder)
                added[case].append((median - nominal, high - nominal))
    print("| on the way | packets/s of CPU | arrived/s | × floor | added, median | added, p99 |")
    print("|---|---|---|---|---|---|")
    for case in cases:
        own, arrived, ratio = medians(rates[case])
        median, high = medians(added[case])
        rated = f"{own:,.0f} | {arrived:,.0f} | {ratio:.1f}"
        print(f"| {case} | {rated} | {median:.2f} ms | {high:.2f} ms |")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    def work(tell: Tell) -> None:
        benchmark(tell, options.seconds, options.rounds)

    with Enclosure(work) as enclosure:
        for message in enclosure:
            print(message, file=sys.stderr)
    sys.exit(enclosure.status)


if __name__ == "__main__":
    main()
