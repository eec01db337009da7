"""A control vantage on this machine: its ports, its applications, from start to end."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import certifi
import msgspec

from gatewatch.archive.store import Store
from gatewatch.model.errors import GatewatchError
from gatewatch.refdata.snapshot import RefData
from gatewatch.server.anchor import Anchor
from gatewatch.server.app import Control, Settings
from gatewatch.server.helper import Helper
from gatewatch.server.patient import Patience
from gatewatch.server.serving import (
    Port,
    Tls,
    listen,
    port_of,
    reload_on_hangup,
    serve,
    stop_on_signals,
)
from gatewatch.server.stand import real_stand
from gatewatch.wire.address import in_url

EVERYWHERE = "all"
"The host that stands for every address of the machine."


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator asks for."""

    host: str = "127.0.0.1"
    "A name or address of this machine, or `all`."
    port: int = 8080
    "0 lets the system choose."
    anchor_port: int | None = None
    anchor_tls_port: int | None = None
    "Where a page is served under any name; None does not serve it."
    tls: Tls | None = None
    public: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    "As of `real_stand`."
    settings: Settings = Settings()
    patience: Patience = Patience()


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """One port that is served."""

    what: str
    "`control` or `anchor`."
    host: str
    port: int
    tls: bool
    url: str


def run(
    store: Store, refdata: RefData, plan: Plan, *, ready: Callable[[list[Listening]], None]
) -> dict[str, int]:
    """Serve until SIGTERM or SIGINT; then finish what has begun, and bring it into the store.

    Args:
        ready: told of the ports when all of them take connections.

    Returns:
        What became of the submissions, as `Collector.counts`.

    Raises:
        GatewatchError: a port, a certificate or a file cannot be used, or another server runs.
    """
    return asyncio.run(_run(store, refdata, plan, ready))


async def _run(
    store: Store, refdata: RefData, plan: Plan, ready: Callable[[list[Listening]], None]
) -> dict[str, int]:
    stop = asyncio.Event()
    stop_on_signals(stop)
    if plan.anchor_tls_port is not None and plan.tls is None:
        raise GatewatchError("the anchor's TLS port wants a certificate and its key")
    context = plan.tls.context() if plan.tls else None
    if plan.tls and context:
        reload_on_hangup(plan.tls, context)
    try:
        stand = real_stand(refdata, Path(certifi.where()), own=plan.own, public=plan.public)
    except ValueError as error:
        raise GatewatchError(f"{error}; wanted are addresses and networks of ours") from None
    control = Control(store, refdata, Helper(stand=stand), plan.settings)
    anchor = Anchor()
    wanted = [
        ("control", control, plan.port, context),
        ("anchor", anchor, plan.anchor_port, None),
        ("anchor", anchor, plan.anchor_tls_port, context),
    ]
    with ExitStack() as stack:
        ports: list[Port] = []
        listening: list[Listening] = []
        for what, app, number, tls in wanted:
            if number is None:
                continue
            bound = listen("" if plan.host == EVERYWHERE else plan.host, number)
            for one in bound:
                stack.callback(one.close)
            ports.append(Port(app, bound, tls))
            listening.append(_listening(what, plan.host, bound, tls is not None))
        async with control:
            await serve(
                ports,
                patience=plan.patience,
                stop=stop,
                ready=lambda: ready(listening),
                died=control.collector.died,
            )
    return dict(control.collector.counts)


def _listening(what: str, host: str, bound: list[socket.socket], tls: bool) -> Listening:
    port = port_of(bound)
    shown = socket.gethostname() if host == EVERYWHERE else in_url(host)
    url = f"{'https' if tls else 'http'}://{shown}:{port}"
    return Listening(what=what, host=host, port=port, tls=tls, url=url)


_TARGET_ID = re.compile(r"[\x20-\x7e]{1,200}")


def read_tor_targets(path: Path) -> dict[str, Any]:
    """Targets of the tor test, by id, each an object, as OONI's `tor-targets` gives them.

    Raises:
        GatewatchError: the file holds something else.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
    except (OSError, msgspec.MsgspecError) as error:
        raise GatewatchError(f"{path}: {error}; wanted is a JSON object of tor targets") from error
    for id_ in found:
        if not _TARGET_ID.fullmatch(id_):
            raise GatewatchError(f"{path}: {id_[:80]!r} is no id of a target")
    return found
