"""Nothing leaves the lab, nothing that is not its own enters, and nothing of it stays behind."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from contextlib import closing, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from gatewatch.lab import world as world_module
from gatewatch.lab.enclosure import Enclosure, Tell
from gatewatch.lab.namespaces import Namespace, SealBroken, Tun, assert_sealed
from gatewatch.lab.world import REFUSED, World, WorldFailed
from gatewatch.wire.packet import SYN, MalformedPacket, parse, tcp, udp
from tests.lab.full import (
    WORLD,
    Tap,
    in_world,
    requires_full_lab,
    requires_root,
)
from tests.lab.hostile import HOSTILE, SITE6, set_off_everything
from tests.lab.talk import PATIENCE_S, Told, asker, stream, told
from tests.lab.worlds import PROBE, SITE, packed

param = pytest.param

CANARY = b"no packet of the lab may be seen outside it"


# -- what is sent to where the lab does not reach --------------------------------------------


def addresses_of_the_host() -> list[str]:
    with IPRoute() as netlink:
        return [address.get_attr("IFA_ADDRESS") for address in netlink.get_addr()]


OUTSIDE = [
    *("9.9.9.9", "10.0.0.1", "192.168.1.1", "169.254.169.254", "172.17.0.1", "100.64.0.1"),
    *("2620:fe::fe", "fd00::1", "fe80::1", "fe80::fc:ff:fe00:1"),
    *("224.0.0.1", "224.0.0.251", "239.255.255.250", "255.255.255.255", "130.192.255.255"),
    *("ff02::1", "ff02::fb", "ff05::1:3", "::ffff:9.9.9.9"),
]
"""Resolvers, private networks, a cloud's metadata, neighbours, groups, and everybody."""


def send_everywhere(source: str | None, targets: list[str]) -> int:
    """Datagrams to all of these; how many the kernel sent off."""
    sent = 0
    for target in targets:
        version = ip_address(target).version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as sock, suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if source is not None and version == 4:
                sock.bind((source, 0))
            scope = socket.if_nametoindex("lab0")
            sock.sendto(CANARY, (target, 9) if version == 4 else (target, 9, 0, scope))
            sent += 1
    return sent


def forge(packets: list[bytes]) -> None:
    """Put packets on the interface as they are, past all that the kernel thinks of them."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as raw:
        for data in packets:
            raw.sendto(data, ("lab0", 0x0800 if data[0] >> 4 == 4 else 0x86DD))


STRANGERS = ["9.9.9.9", "10.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255", SITE]
SPOOFED = [
    *(udp(packed(source), packed(SITE), 53, 53, CANARY) for source in STRANGERS),
    *(
        tcp(packed(s), packed("8.8.8.8"), 1, 80, seq=1, flags=SYN, payload=CANARY)
        for s in STRANGERS
    ),
    udp(packed("2620:fe::fe"), packed(SITE6), 53, 53, CANARY),
]
JUNK = [b"\x45" + CANARY, b"\x60" + CANARY, b"\x4f" + bytes(19) + CANARY, b"\x45" * 20]


def run_an_errand(source: str, target: str) -> None:
    """There and back: by then the router has had all that was sent before."""
    with asker(target, 33_434, source=source) as sock:
        sock.send(b"is nobody there?")
        assert told(sock, PATIENCE_S) == Told(target, 3, 3)


def test_no_packet_of_the_lab_is_seen_on_any_interface_of_the_host():
    """While censors forge and clients send wherever they can, and in whosever name."""
    requires_root()
    requires_full_lab()
    targets = [*OUTSIDE, *addresses_of_the_host()]

    def client(world: World) -> int:
        set_off_everything(world)
        forge(SPOOFED + JUNK)
        sent = send_everywhere(None, targets)
        run_an_errand(PROBE, SITE)
        return sent

    def hosts(_: World) -> int:
        sent = send_everywhere(SITE, targets)
        run_an_errand(SITE, PROBE)
        return sent

    with closing(Tap()) as tap:
        lived = in_world(HOSTILE, {"access": client, WORLD: hosts})
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"the tap is awake", ("127.0.0.1", 9))
        heard = [frame.data for frame in tap.frames()]
    assert any(data.endswith(b"the tap is awake") for data in heard)
    assert not [data for data in heard if CANARY in data or of_the_lab(data)]
    sent = lived.results["access"], lived.results[WORLD]
    assert min(sent) > len(OUTSIDE) // 2
    assert lived.refused["destination is not in the world"] >= sum(sent) // 2
    assert lived.refused["source is not the sender's"] >= len(SPOOFED)
    assert lived.refused["malformed"] >= len(JUNK)


PREFIXES = [ip_network(p) for network in HOSTILE.networks.values() for p in network.prefixes]


def of_the_lab(data: bytes) -> bool:
    """Is it a packet between machines of the world? (The host may really talk to one of them.)"""
    try:
        packet = parse(data)
    except MalformedPacket:
        return False
    ends = ip_address(packet.src), ip_address(packet.dst)
    return all(any(end in prefix for prefix in PREFIXES) for end in ends)


# -- what the lab lets in --------------------------------------------------------------------


def test_the_router_is_where_there_is_no_interface_but_a_loopback_that_is_down():
    def client(world: World) -> tuple[list[str], str]:
        stream(SITE, 80).close()  # so the router is at work
        (router,) = (pid for pid, name in world.processes.items() if name == "router")
        its = Path("/proc", str(router), "net")
        devices = [
            line.split(":")[0].strip() for line in (its / "dev").read_text().splitlines()[2:]
        ]
        return devices, (its / "fib_trie").read_text() + (its / "if_inet6").read_text()

    lived = in_world(HOSTILE, {"access": client})
    assert lived.results["access"] == (["lo"], "")


def test_an_enclosure_is_not_in_the_network_namespace_of_the_host():
    """So whoever escapes a world is where there is nothing."""
    requires_full_lab()

    def work(tell: Tell) -> None:
        tell(sorted({os.stat(link).st_ino for link in Path("/proc").glob("[0-9]*/ns/net")}))
        tell([name for _, name in socket.if_nameindex()])

    host = os.stat("/proc/self/ns/net").st_ino
    with Enclosure(work) as enclosure:
        namespaces, interfaces = enclosure
    assert interfaces == ["lo"]
    assert namespaces != [host], "which is all that can be seen from in there"


def of_another(_: Namespace) -> int:
    return Tun(Namespace(), "theirs").fileno()


def moved_away(ours: Namespace) -> int:
    """A TUN device of ours that somebody has moved to a namespace of theirs."""
    Namespace()
    theirs = os.open("/proc/self/ns/net", os.O_RDONLY)
    fd = Tun(ours, "moved").fileno()
    with IPRoute() as netlink:
        (interface,) = netlink.link_lookup(ifname="lab0")
        netlink.link("set", index=interface, net_ns_fd=theirs)
    return fd


def with_ethernet(ours: Namespace) -> int:
    """A TAP device: made like a TUN device, but with Ethernet around each packet."""
    ours.enter()
    fd = os.open("/dev/net/tun", os.O_RDWR)
    tunsetiff, iff_tap, iff_no_pi = 0x400454CA, 0x2, 0x1000
    fcntl.ioctl(fd, tunsetiff, struct.pack("16sH22x", b"tap0", iff_tap | iff_no_pi))
    return fd


def veth(ours: Namespace) -> int:
    """All that goes over one end of a pair of Ethernet interfaces."""
    ours.enter()
    with IPRoute() as netlink:
        netlink.link("add", ifname="veth0", kind="veth", peer="veth1")
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind(("veth0", 0))
    return sock.detach()


@pytest.mark.parametrize(
    ("interface", "refusal"),
    [
        param(lambda ours: Tun(ours, "ours").fileno(), None, id="a TUN device of our own"),
        param(of_another, "in a namespace that is not the lab's", id="one of another namespace"),
        param(moved_away, "in a namespace that is not the lab's", id="ours, moved elsewhere"),
        param(with_ethernet, "carries Ethernet", id="a TAP device"),
        param(veth, "is no TUN device", id="one end of a veth pair"),
        param(lambda _: os.open("/dev/net/tun", os.O_RDWR), "is no TUN device", id="no interface"),
        param(lambda _: os.open(__file__, os.O_RDONLY), "is no TUN device", id="a file"),
    ],
)
def test_only_a_tun_device_in_a_namespace_of_our_own_is_sealed(interface, refusal):
    requires_full_lab()

    def work(tell: Tell) -> None:
        ours = Namespace()
        try:
            assert_sealed(interface(ours), {ours.inode})
        except SealBroken as broken:
            tell(str(broken))

    with Enclosure(work) as enclosure:
        words = list(enclosure)
    assert enclosure.status == 0
    assert [refusal in str(word) for word in words] == ([True] if refusal else [])


def test_a_router_that_is_given_an_interface_of_elsewhere_carries_nothing(
    monkeypatch, tmp_path, capfd
):
    requires_full_lab()

    class Elsewhere(Tun):
        def __init__(self, _: Namespace, name: str) -> None:
            super().__init__(Namespace(), name)

    monkeypatch.setattr(world_module, "Tun", Elsewhere)

    def work(tell: Tell) -> None:
        try:
            with World(HOSTILE, tmp_path):
                tell("it has begun")
        except WorldFailed as failed:
            tell(str(failed))

    with Enclosure(work) as enclosure:
        (words,) = enclosure
    assert words == "the router process of  has ended"
    assert "SealBroken" in capfd.readouterr().err
    assert not (tmp_path / REFUSED).exists(), "written by a router that has carried something"
