"""`gatewatch site`: a site in every country that measured it."""

from __future__ import annotations

from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.options import From, To, WindowDays, asked
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(
    app,
    "site",
    examples=["gatewatch site www.bbc.com", "gatewatch site www.bbc.com --window 365d --csv"],
)
def site(
    session: Session,
    name: Annotated[str, typer.Argument(help="A host or URL.")],
    first: From = None,
    last: To = None,
    window: WindowDays = "30d",
) -> None:
    """How a site stands in every country, and the other hosts of its domain."""
    from gatewatch.cli.views.places import show_places
    from gatewatch.publish.places import site as places

    show_places(session, places(session.reading, name, asked(first, last, window)))
