"""Network namespaces and the TUN devices in them, made and entered by system calls alone.

Everything here changes the calling process: call it in a child that exists for the purpose.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

from gatewatch.model.errors import GatewatchError

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
_MS_BIND, _MS_REC, _MS_PRIVATE, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 4096, 16384, 1 << 18, 2, 4, 8
_TUNSETIFF, _TUNGETIFF, _TUNGETDEVNETNS = 0x400454CA, 0x800454D2, 0x54E3
_IFF_TUN, _IFF_NO_PI = 0x1, 0x1000
_TUN = Path("/dev/net/tun")
_MTU = 1500
_FAMILIES = {4: 2, 6: 10}
"IP version → address family as Linux counts them."
_HOST_SCOPE = {4: 254, 6: 0}
"A local route's scope; IPv6 has none."
_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x02, 0x200
"An address that is usable at once, and one that brings no route."

_libc = ctypes.CDLL(None, use_errno=True)


class CannotSeal(GatewatchError):
    """The system lacks something that a full lab is made of."""


class SealBroken(GatewatchError):
    """Something that is not the lab's own was about to be used; nothing was done with it."""


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise CannotSeal(f"{what}: {os.strerror(code)} ({errno.errorcode.get(code, code)})")


def unshare(flags: int, what: str) -> None:
    """Leave the namespaces of these kinds for new ones.

    Raises:
        CannotSeal: the system does not let this user.
    """
    result = _libc.unshare(flags)
    if result != 0 and ctypes.get_errno() == errno.ENOSPC:  # which is not about space: unshare(2)
        raise CannotSeal(f"a new {what} cannot be made: the limits in /proc/sys/user forbid it")
    _check(result, f"a new {what} cannot be made")


def become_root_of_new_user_namespace() -> None:
    """Be root in a user namespace of our own, with no right over anything made outside it.

    Of an ordinary user their own ids are mapped, of root all: programs in it may then become
    other users. Not even root's programs can enter the host's network from there.

    Raises:
        CannotSeal: the system does not allow user namespaces.
    """
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        unshare(CLONE_NEWUSER, "user namespace")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        return
    us, made, making = os.getpid(), *os.pipe()
    outside = os.fork()  # who maps all ids must have rights where they come from
    if outside == 0:
        os.close(making)
        try:
            if os.read(made, 1):
                for ids in ("uid_map", "gid_map"):
                    ranges = Path(f"/proc/self/{ids}").read_text().splitlines()
                    inside = [(first, count) for first, _, count in map(str.split, ranges)]
                    same = "\n".join(f"{first} {first} {count}" for first, count in inside)
                    Path(f"/proc/{us}/{ids}").write_text(same)
        finally:
            os._exit(0)
    os.close(made)
    try:
        unshare(CLONE_NEWUSER, "user namespace")
        os.write(making, b"!")
    finally:
        os.close(making)
        os.waitpid(outside, 0)
    if not Path("/proc/self/uid_map").read_text():
        raise CannotSeal("the ids of a new user namespace cannot be mapped")


def private_mounts() -> None:
    """Let nothing mounted from here on be seen outside."""
    unshare(CLONE_NEWNS, "mount namespace")
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)


def mount_proc() -> None:
    """Show the processes of this PID namespace, if the system lets us; nothing depends on it."""
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    _libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(flags), None)


def mount_over(file: Path, target: Path) -> None:
    """Show `file` in place of `target` to this process and its children.

    Raises:
        CannotSeal: it cannot be mounted.
    """
    _mount(str(file), str(target.resolve()), None, _MS_BIND)


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    arguments = [part.encode() if part is not None else None for part in (source, target, kind)]
    _check(_libc.mount(*arguments, ctypes.c_ulong(flags), None), f"{target} cannot be mounted")


class Namespace:
    """A network namespace that this process made, held open by a descriptor."""

    def __init__(self) -> None:
        unshare(CLONE_NEWNET, "network namespace")
        self._fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino

    def enter(self) -> None:
        _check(_libc.setns(self._fd, CLONE_NEWNET), "a namespace of the lab cannot be entered")

    def close(self) -> None:
        os.close(self._fd)


class Tun:
    """A TUN device: one packet a read or write, IP and nothing around it.

    Raises:
        CannotSeal: the device cannot be opened or made.
    """

    def __init__(self, namespace: Namespace, name: str) -> None:
        namespace.enter()
        self.name = name
        try:
            self._fd = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise CannotSeal(f"{_TUN}{_mode(_TUN)} cannot be opened: {error.strerror}") from None
        request = struct.pack("16sH22x", b"lab0", _IFF_TUN | _IFF_NO_PI)
        try:
            fcntl.ioctl(self._fd, _TUNSETIFF, request)
        except OSError as error:
            os.close(self._fd)
            raise CannotSeal(f"a TUN device cannot be made: {error.strerror}") from None
        self.namespace = namespace

    def close(self) -> None:
        os.close(self._fd)

    def fileno(self) -> int:
        return self._fd


def _mode(file: Path) -> str:
    """What is to be known of a file that cannot be opened: its mode, if it lets us see that."""
    try:
        return f" (mode {file.stat().st_mode & 0o777:o})"
    except OSError:
        return ""


def assert_sealed(fd: int, ours: set[int]) -> None:
    """Refuse a descriptor unless it is a TUN device in one of our own namespaces.

    Args:
        ours: inodes of the network namespaces that the lab made.

    Raises:
        SealBroken: it is anything else.
    """
    try:
        answer = fcntl.ioctl(fd, _TUNGETIFF, bytes(40))
        netns = fcntl.ioctl(fd, _TUNGETDEVNETNS)
    except OSError as error:
        raise SealBroken(f"descriptor {fd} is no TUN device: {error.strerror}") from None
    inode = os.fstat(netns).st_ino
    os.close(netns)
    if not struct.unpack_from("16xH", answer)[0] & _IFF_TUN:
        raise SealBroken(f"descriptor {fd} carries Ethernet, and the lab knows only packets")
    if inode not in ours:
        raise SealBroken(f"descriptor {fd} is an interface in a namespace that is not the lab's")


@contextmanager
def _netlink() -> Iterator:
    from pyroute2 import IPRoute  # a fifth of a second; only worlds need it

    with IPRoute() as netlink:
        yield netlink


def furnish_machine(addresses: tuple[str, ...]) -> None:
    """Make the entered namespace one machine with these addresses and one way out."""
    with _netlink() as netlink:
        index = _up(netlink)
        for address in addresses:
            length = ip_address(address).max_prefixlen
            netlink.addr("add", index=index, address=address, prefixlen=length)
        for version in {ip_address(address).version for address in addresses}:
            netlink.route("add", family=_FAMILIES[version], dst=_everything(version), oif=index)


def furnish_world(addresses: Iterable[str] = ()) -> None:
    """Make the entered namespace answer on every address, each packet by way of the router.

    What comes in is looked up in the local table, which holds everything; what goes out never
    is, so that even neighbours in here meet over the wire.

    Args:
        addresses: of the machines in it. IPv6 signs an ICMP error with the address that was asked
            only where an interface has it; "everything is local" is enough for all else.
    """
    _set("net/ipv4/ip_nonlocal_bind", "1")
    _set("net/ipv6/ip_nonlocal_bind", "1")
    for interface in ("all", "lab0"):
        _set(f"net/ipv4/conf/{interface}/accept_local", "1")
        _set(f"net/ipv4/conf/{interface}/rp_filter", "0")
    # many machines share what Linux allows one to send of ICMP errors, so nobody is held to it
    _set("net/ipv4/icmp_ratelimit", "0")
    _set("net/ipv6/icmp/ratelimit", "0")
    with _netlink() as netlink:
        index = _up(netlink)
        loopback = netlink.link_lookup(ifname="lo")[0]
        for version, family in _FAMILIES.items():
            local, main = {"table": 255}, {"table": 254}
            netlink.rule("add", family=family, priority=1, iifname="lab0", action="to_tbl", **local)
            netlink.rule("add", family=family, priority=2, action="to_tbl", **main)
            netlink.rule("del", family=family, priority=0, action="to_tbl", **local)
            where = _everything(version)
            anywhere = {"type": "local", "dst": where, "oif": loopback, **local}
            netlink.route("add", family=family, scope=_HOST_SCOPE[version], **anywhere)
            netlink.route("add", family=family, dst=where, oif=index)
        for address in addresses:
            if ip_address(address).version == 6:
                flags = _IFA_F_NODAD | _IFA_F_NOPREFIXROUTE
                netlink.addr("add", index=index, address=address, prefixlen=128, flags=flags)


def _up(netlink) -> int:
    """Bring the interfaces up; the index of the TUN device."""
    loopback = netlink.link_lookup(ifname="lo")[0]
    index = netlink.link_lookup(ifname="lab0")[0]
    _set("net/ipv6/conf/lab0/addr_gen_mode", "1")  # no address of its own making
    netlink.link("set", index=loopback, state="up")
    netlink.link("set", index=index, state="up", mtu=_MTU, txqlen=10_000)
    return index


def _everything(version: int) -> str:
    return "0.0.0.0/0" if version == 4 else "::/0"


def _set(name: str, value: str) -> None:
    Path("/proc/sys", name).write_text(value)
