"""`gatewatch country`: a country as a whole."""

from __future__ import annotations

from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.options import From, To, WindowDays, asked
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(
    app,
    "country",
    examples=["gatewatch country IR", "gatewatch country TR --window 90d --json"],
)
def country(
    session: Session,
    cc: Annotated[str, typer.Argument(help="Country, two letters of ISO 3166.")],
    first: From = None,
    last: To = None,
    window: WindowDays = "30d",
) -> None:
    """What is filtered in a country, on which networks, how, and since when."""
    from gatewatch.cli.views.profile import show_profile
    from gatewatch.publish.countries import country_code
    from gatewatch.publish.profile import country as profile

    show_profile(session, profile(session.reading, country_code(cc), asked(first, last, window)))
