"""`gatewatch network`: a network as a whole."""

from __future__ import annotations

from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.options import From, To, WindowDays, asked
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(
    app,
    "network",
    examples=["gatewatch network AS44244", "gatewatch network 44244 --from 2026-01-01 --csv"],
)
def network(
    session: Session,
    asn: Annotated[str, typer.Argument(help="Network, such as AS44244.")],
    first: From = None,
    last: To = None,
    window: WindowDays = "30d",
) -> None:
    """What is filtered on a network, how, and since when."""
    from gatewatch.cli.views.profile import show_profile
    from gatewatch.publish.countries import network_number
    from gatewatch.publish.profile import network as profile

    show_profile(session, profile(session.reading, network_number(asn), asked(first, last, window)))
