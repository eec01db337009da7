"""`gatewatch init`: make an empty store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewatch.cli.command import command
from gatewatch.cli.root import app
from gatewatch.cli.session import Session


@command(app, "init", examples=["gatewatch init", "gatewatch init ./iran-2026"])
def init(
    session: Session,
    directory: Annotated[
        Path | None, typer.Argument(help="Where; default: --store, or the user's data directory.")
    ] = None,
) -> None:
    """Make an empty store. A store that is there already is left as it is."""
    from gatewatch.archive.store import Store
    from gatewatch.cli.sheet import Sheet

    store = Store.open(directory or session.store_path, create=True)
    session.show(Sheet(["store"], [(str(store.root),)]))
    session.say(f"next: gatewatch import FILE --store {store.root}")
