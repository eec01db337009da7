"""`gatewatch trace`: who answers in a server's name, and at which hop; measured or recorded."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.root import app
from gatewatch.cli.session import Session

group = typer.Typer(
    help="Who answers in a server's name, and at which hop: with limited TTLs, or from captures.",
    epilog="\b\nExamples:\n"
    "  gatewatch trace run https://www.example.com/\n"
    "  gatewatch trace read test.pcap --control control.pcap",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="trace")


class Protocol(StrEnum):
    TLS = "tls"
    HTTP = "http"
    QUIC = "quic"
    DNS = "dns"


Control = Annotated[
    Path | None,
    typer.Option("--control", help="A capture of another name at the same server."),
]


@command(
    group,
    "read",
    examples=[
        "gatewatch trace read test.pcap",
        "gatewatch trace read test.pcap --control control.pcap --json",
    ],
)
def read(
    session: Session,
    capture: Annotated[Path, typer.Argument(help="pcap or pcapng, plain or gzipped; - is stdin.")],
    control: Control = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The one tested; else the capture's own.")
    ] = None,
) -> None:
    """Read a capture of requests with limited TTLs, or of any requests in clear.

    Without --control, requests in the same capture with other names to the same server serve for
    one; without those, less can be said.
    """
    from gatewatch.cli.traces import read_captures
    from gatewatch.cli.views.trace import show_reading

    show_reading(session, read_captures(session, capture, control, name))


@command(
    group,
    "run",
    examples=[
        "gatewatch trace run https://www.example.com/",
        "gatewatch trace run 93.184.216.34 --name www.example.com --control example.org",
        "gatewatch trace run 8.8.8.8 --protocol dns --name www.example.com --folder /tmp/traces",
    ],
)
def run(
    session: Session,
    target: Annotated[str, typer.Argument(help="A URL, a host, or an address.")],
    name: Annotated[
        str | None, typer.Option("--name", help="The name to send; else the target's.")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            "--control", help="An innocent name, sent to the same server first; example.com."
        ),
    ] = None,
    protocol: Annotated[
        Protocol | None, typer.Option("--protocol", help="Else by the URL; TLS without one.")
    ] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535)] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where the two captures go.")] = Path(
        "."
    ),
    keep_addresses: Annotated[
        bool, typer.Option("--keep-addresses", help="Leave your own addresses in the captures.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Consent; do not ask.")] = False,
) -> None:
    """Send a name with TTLs from 1 on, and an innocent one before it; say where they part.

    The server and every hop on the way see requests from your address, the tested name among them.
    Both captures are kept as pcapng, your own addresses taken out. Needs the right to capture
    packets.
    """
    from gatewatch.cli.probe_machine import consented
    from gatewatch.cli.traces import run_trace
    from gatewatch.cli.views.trace import show_reading

    words = (
        f"Some dozens of requests will be sent to {target} from your own address, the tested name"
        " among them.\nThe server, your network and every hop on the way can see them. In some"
        " places, asking for\nwhat is blocked, or measuring it, is dangerous or forbidden."
    )
    consented(session, words, yes=yes)
    reading = run_trace(
        session,
        target,
        name=name,
        control=control,
        protocol=None if protocol is None else protocol.value,
        port=port,
        folder=folder,
        keep_addresses=keep_addresses,
    )
    show_reading(session, reading)
