"""`gatewatch explain`: walk a verdict back to its bytes."""

from __future__ import annotations

from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(
    app,
    "explain",
    examples=[
        "gatewatch explain 20210208220710.181572_MA_webconnectivity_7888edc7748936bf",
        "gatewatch explain signal.org/IR/AS44244/2026-08-31",
        "gatewatch explain 20210208220710.181572_MA_webconnectivity_7888edc7748936bf --raw | jq .",
    ],
)
def explain(
    session: Session,
    id: Annotated[
        str, typer.Argument(help="A measurement or record id, or a cell target/CC/ASN/day.")
    ],
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the bytes of the record and nothing else.")
    ] = False,
) -> None:
    """Show why a measurement was judged as it was, down to its bytes."""
    from gatewatch.cli.originals import Originals
    from gatewatch.cli.views import explain as view
    from gatewatch.publish import explain as published
    from gatewatch.publish.countries import cell_key

    originals = Originals(session.store)
    key = cell_key(id)
    if key is not None:
        view.show_cell(session, published.explain_cell(session.reading, *key))
        return
    found = published.explain(session.reading, id, originals.locate)
    if raw:
        for explanation in found:
            session.write(originals.bytes_of(explanation.source))
        return
    view.show_explanations(session, found)
