"""`gatewatch control`: a vantage on the open Internet that probes compare with and submit to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gatewatch.cli.command import command
from gatewatch.cli.exits import UsageFault
from gatewatch.cli.root import app
from gatewatch.cli.session import Format, Session

group = typer.Typer(
    help="A server that probes compare with, and submit their measurements to.",
    epilog="\b\nExamples:\n  gatewatch control serve --port 8080\n  gatewatch control status",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="control")

MIB = 1 << 20

Host = Annotated[
    str, typer.Option("--host", help="Address to listen on; `all` is every one of the machine.")
]
PortNumber = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="0 takes a free one and says which.")
]
Certificate = Annotated[
    Path | None, typer.Option("--tls-cert", help="Certificate chain, PEM; read anew on SIGHUP.")
]
Key = Annotated[Path | None, typer.Option("--tls-key", help="Its key, PEM.")]
AnchorPort = Annotated[
    int | None,
    typer.Option("--anchor-port", min=0, max=65535, help="Serve a page under any name there."),
]
AnchorTlsPort = Annotated[
    int | None,
    typer.Option("--anchor-tls-port", min=0, max=65535, help="The same over TLS."),
]
PublicUrl = Annotated[
    str | None, typer.Option("--public-url", help="How clients reach us, if not as they say.")
]
Public = Annotated[
    list[str] | None,
    typer.Option("--public", help="Our address as sites see it; told to probes. Repeat for more."),
]
Own = Annotated[
    list[str] | None,
    typer.Option("--own", help="An address or network never to measure, besides our own."),
]
RunLinks = Annotated[
    Path | None, typer.Option("--run-links", help="Folder of OONI Run descriptors, ID.json.")
]
TorTargets = Annotated[
    Path | None,
    typer.Option("--tor-targets", help="JSON file of targets for the tor test, in place of ours."),
]
CollectorName = Annotated[
    str | None, typer.Option("--collector", help="Our name in report ids: letters and digits.")
]
MaxBody = Annotated[
    int, typer.Option("--max-body", min=1, help="MiB of one submission, unpacked too.")
]
MaxRequests = Annotated[int, typer.Option("--max-requests", min=1, help="Answered at once.")]
MaxConnections = Annotated[int, typer.Option("--max-connections", min=2, help="Open at once.")]
MaxRate = Annotated[
    float, typer.Option("--max-rate", min=0.1, help="Requests a second of one client.")
]
KeepFree = Annotated[
    int, typer.Option("--keep-free", min=0, help="MiB of disk left free; below, nothing is taken.")
]
SealAfter = Annotated[
    float,
    typer.Option("--seal-after", min=0.1, help="Seconds until submissions are put in the store."),
]
HeaderTime = Annotated[
    float, typer.Option("--header-time", min=0.1, help="Seconds to send a request's headers.")
]
BodyTime = Annotated[
    float, typer.Option("--body-time", min=0.1, help="Seconds to send its body; long ones more.")
]


@command(
    group,
    "serve",
    examples=[
        "gatewatch control serve --port 8080",
        "gatewatch control serve --host all --port 443 --tls-cert cert.pem --tls-key key.pem",
        "gatewatch control serve --host all --port 443 --tls-cert cert.pem --tls-key key.pem"
        " --public 192.0.2.7 --anchor-port 80",
    ],
)
def serve(
    session: Session,
    host: Host = "127.0.0.1",
    port: PortNumber = 8080,
    tls_cert: Certificate = None,
    tls_key: Key = None,
    anchor_port: AnchorPort = None,
    anchor_tls_port: AnchorTlsPort = None,
    public_url: PublicUrl = None,
    public: Public = None,
    own: Own = None,
    run_links: RunLinks = None,
    tor_targets: TorTargets = None,
    collector: CollectorName = None,
    max_body: MaxBody = 32,
    max_requests: MaxRequests = 512,
    max_connections: MaxConnections = 1024,
    max_rate: MaxRate = 100.0,
    keep_free: KeepFree = 1024,
    seal_after: SealAfter = 300.0,
    header_time: HeaderTime = 10.0,
    body_time: BodyTime = 30.0,
) -> None:
    """Serve as test helper, collector and list server, with the API of OONI's backend.

    What is submitted is on the disk before it is acknowledged, and in the store when a segment
    is full or old enough, and at the end; `gatewatch analyze` judges it. No address of a client
    is stored or logged. With --json, one line on standard output says what is served where, as
    soon as it is.
    """
    from gatewatch.archive.store import Store
    from gatewatch.server.app import Settings
    from gatewatch.server.collector import CollectorLimits
    from gatewatch.server.door import DoorLimits
    from gatewatch.server.patient import Patience
    from gatewatch.server.running import Listening, Plan, read_tor_targets, run
    from gatewatch.server.serving import Tls

    if (tls_cert is None) != (tls_key is None):
        raise UsageFault("--tls-cert and --tls-key belong together")
    if collector is not None and not (collector.isascii() and collector.isalnum()):
        raise UsageFault(f"--collector is {collector!r}; letters and digits are wanted")
    plan = Plan(
        host=host,
        port=port,
        anchor_port=anchor_port,
        anchor_tls_port=anchor_tls_port,
        tls=Tls(tls_cert, tls_key) if tls_cert and tls_key else None,
        public=tuple(public or ()),
        own=tuple(own or ()),
        settings=Settings(
            public_url=public_url,
            collector=collector,
            run_links=run_links,
            tor_targets=read_tor_targets(tor_targets) if tor_targets else None,
            door=DoorLimits(
                body_bytes=max_body * MIB,
                body_s=body_time,
                requests=max_requests,
                per_s=max_rate,
            ),
            intake=CollectorLimits(free_bytes=keep_free * MIB, seal_s=seal_after),
        ),
        patience=Patience(header_s=header_time, connections=max_connections),
    )

    def ready(listening: list[Listening]) -> None:
        for one in listening:
            session.say(f"{one.what} at {one.url}")
        if session.format in (Format.JSON, Format.JSONL):
            session.write(msgspec.json.encode({"listening": listening}) + b"\n")

    store = Store.open(session.store_path, create=True)
    counts = run(store, session.refdata, plan, ready=ready)
    told = "; ".join(f"{what}: {count:,}" for what, count in counts.items() if count)
    session.say(told or "nothing was submitted")


@command(group, "status", examples=["gatewatch control status", "gatewatch control status --json"])
def status(session: Session) -> None:
    """What was submitted to the store and waits to be brought into it."""
    from gatewatch.archive.incoming import IncomingState, state_of
    from gatewatch.cli.sheet import sheet_of

    state = state_of(session.store)
    session.show(sheet_of([state], IncomingState.__struct_fields__), document=state)
