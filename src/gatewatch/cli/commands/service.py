"""`gatewatch service`: a service in every country that measured it."""

from __future__ import annotations

from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.options import From, To, WindowDays, asked
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(
    app,
    "service",
    examples=["gatewatch service telegram", "gatewatch service whatsapp --json"],
)
def service(
    session: Session,
    name: Annotated[str, typer.Argument(help="Id or name of a service.")],
    first: From = None,
    last: To = None,
    window: WindowDays = "30d",
) -> None:
    """How a service stands in every country, and which of its hosts make it so."""
    from gatewatch.cli.views.places import show_places
    from gatewatch.publish.places import service as places

    show_places(session, places(session.reading, name, asked(first, last, window)))
