"""What the trace commands do: captures read, or made and read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from random import SystemRandom
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from gatewatch.cli.exits import UsageFault
from gatewatch.cli.session import Session
from gatewatch.model.errors import GatewatchError
from gatewatch.model.target import canonical_host, is_address
from gatewatch.probe.experiments.common.pages import blocking_page
from gatewatch.probe.machine import own_addresses
from gatewatch.probe.net import NO_RIGHT, Failed
from gatewatch.probe.trace.case import Reading
from gatewatch.probe.trace.hiding import own_of, without
from gatewatch.probe.trace.limited import Protocol, Trace, trace_from_here
from gatewatch.probe.trace.reading import read
from gatewatch.probe.trace.replies import Reply
from gatewatch.refdata.snapshot import RefData
from gatewatch.wire import pcapng
from gatewatch.wire.pcap import Frame, NotACapture, Reader

PORTS = {"tls": 443, "http": 80, "quic": 443, "dns": 53}
INNOCENT = ("example.com", "example.org")
"Names for documents (RFC 2606), with which nobody has a quarrel; other tools send them, too."


class CannotTrace(GatewatchError):
    """A trace that could not be made."""


def read_captures(
    session: Session, capture: Path, control: Path | None, name: str | None
) -> Reading:
    """The reading of a capture and its control.

    Raises:
        CannotTrace: a file is no capture.
    """
    page = block_page(session.refdata)
    capture = Path("/dev/stdin") if str(capture) == "-" else capture
    with capture.open("rb") as file:
        test = _capture(file, capture)
        if control is None:
            reading = read(test, name=name, block_page=page)
        else:
            with control.open("rb") as other:
                reading = read(test, _capture(other, control), name=name, block_page=page)
    for reason, count in test.set_aside.items():
        session.say(f"{capture}: set aside {count}: {reason}")
    return reading


def _capture(file: BinaryIO, path: Path) -> Reader:
    try:
        return Reader(file)
    except NotACapture as fault:
        raise CannotTrace(f"{path}: {fault}") from None


def block_page(refdata: RefData) -> Callable[[Reply], str | None]:
    """Says which known block page an HTTP answer is."""

    def known(reply: Reply) -> str | None:
        head, _, body = reply.data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")[1:]
        headers = [(n.strip(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        return blocking_page(body, headers, refdata)

    return known


def run_trace(
    session: Session,
    target: str,
    *,
    name: str | None,
    control: str | None,
    protocol: str | None,
    port: int | None,
    folder: Path,
    keep_addresses: bool,
) -> Reading:
    """Measure, keep both captures in the folder, and read them.

    Raises:
        CannotTrace: no address, or no right to capture.
        UsageFault: the target is none, or a capture of it is there already.
    """
    where, given, path = _parts(target)
    scheme = urlsplit(target).scheme if "://" in target else ""
    chosen = protocol or {"http": "http"}.get(scheme, "tls")
    tested = name or given
    if tested is None:
        raise UsageFault("an address needs a --name to send to it")
    innocent = control or next(one for one in INNOCENT if one != tested)
    if tested == innocent:
        raise UsageFault(f"{innocent} is the control; give another --control or --name")
    stem = f"{re.sub('[^0-9A-Za-z.-]', '_', where)}_{re.sub('[^0-9A-Za-z.-]', '_', tested)}"
    files = folder / f"{stem}_test.pcapng", folder / f"{stem}_control.pcapng"
    taken = next((file for file in files if file.exists()), None)
    if taken is not None:
        raise UsageFault(f"{taken} is there already; give another --folder")
    folder.mkdir(parents=True, exist_ok=True)

    to_port = port or PORTS[chosen]
    session.say(f"contacting {where} port {to_port}, from your own address, with the names "
                f"{innocent} and {tested}")  # fmt: skip
    try:
        found = trace_from_here(
            where,
            to_port,
            cast(Protocol, chosen),
            path,
            tested,
            innocent,
            random=SystemRandom(),
            tell=session.detail,
        )
    except Failed as failed:
        why = NO_RIGHT if failed.failure == "permission_denied" else failed.failure
        raise CannotTrace(f"{target}: {why}") from None
    own = () if keep_addresses else _own(found)
    test, other = list(without(found.test, own)), list(without(found.control, own))
    for file, frames in zip(files, (test, other), strict=True):
        file.write_bytes(capture_of(frames))
        session.say(f"kept {file}")
    if found.lost:
        session.say(f"{found.lost} packets were lost before they could be kept")
    page = block_page(session.refdata)
    return read(test, other, name=tested, block_page=page)


def capture_of(frames: Iterable[Frame]) -> bytes:
    """Frames as a file, in the order of their numbers."""
    head = pcapng.section() + pcapng.interface("any")
    return head + b"".join(pcapng.packet(0, f.time_ns, f.packet.data) for f in frames)


def _parts(target: str) -> tuple[str, str | None, str]:
    """Host or address, the name in it, and the path.

    >>> _parts("https://www.example.org/a?b"), _parts("192.0.2.1")
    (('www.example.org', 'www.example.org', '/a?b'), ('192.0.2.1', None, '/'))
    """
    parts = urlsplit(target if "://" in target else f"//{target}")
    try:
        host = canonical_host(parts.hostname or "")
    except ValueError:
        host = None
    if host is None:
        raise UsageFault(f"{target!r} is no URL, host or address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, None if is_address(host) else host, path


def _own(found: Trace) -> set[str]:
    """Every address of the machine, and those from which it was sent."""
    sent = own_of((*found.test, *found.control), found.target.address)
    return sent - {found.target.address} | {*own_addresses()}
