"""The program's root, to which each command adds itself."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="gatewatch",
    help="Who filters the Internet, what, on which networks, how, since when, and how sure we are.",
    epilog="\b\nExamples:\n"
    "  gatewatch import measurements.jsonl.gz\n"
    "  gatewatch check signal.org -c IR\n"
    "  gatewatch country IR",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def _root() -> None:
    """Keeps `gatewatch NAME` a command of that name, also when only one was loaded."""
