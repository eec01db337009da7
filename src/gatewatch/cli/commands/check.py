"""`gatewatch check`: is this blocked there? The dig of censorship."""

from __future__ import annotations

from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.options import Country, From, NetworkNumber, To, WindowDays, asked
from gatewatch.cli.root import app
from gatewatch.cli.session import Ended, Session


@command(
    app,
    "check",
    examples=[
        "gatewatch check signal.org -c IR",
        "gatewatch check telegram -c IR,RU --window 90d",
        "gatewatch check https://www.bbc.com/persian -c IR -n AS44244 --json",
        "gatewatch check signal.org -c IR --short --exit-status",
    ],
)
def check(
    session: Session,
    target: Annotated[str, typer.Argument(help="A host, a URL, or a service such as telegram.")],
    cc: Country = None,
    asn: NetworkNumber = None,
    first: From = None,
    last: To = None,
    window: WindowDays = "30d",
    short: Annotated[bool, typer.Option("--short", help="One line: the state, and P.")] = False,
    exit_status: Annotated[
        bool,
        typer.Option(
            "--exit-status",
            help="End with 10 blocked, 11 likely, 12 impaired or down, 0 open, 3 insufficient.",
        ),
    ] = False,
) -> None:
    """Is a site or service blocked, and how sure is that?

    Without a country, one line for each that has data. The exit code is 3 where the evidence
    is too little for a state.
    """
    from gatewatch.cli.views.check import show_checks, status_of
    from gatewatch.publish.check import check_countries, check_each
    from gatewatch.publish.countries import country_codes, network_number
    from gatewatch.publish.subject import subject_of

    reading = session.reading
    subject = subject_of(reading, target)
    network = None if asn is None else network_number(asn)
    span = asked(first, last, window)
    if cc is None and network is None:
        found = check_countries(reading, subject, asked=span)
    else:
        codes = [None] if cc is None else country_codes(cc)
        found, missing = check_each(reading, subject, codes, asn=network, asked=span)
        for words in missing:
            session.say(words)
    show_checks(session, subject, found, short=short)
    raise Ended(status_of(found, exit_status=exit_status))
