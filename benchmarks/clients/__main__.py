"""Visit every mechanism with every client and print the page about it.

    python -m benchmarks.clients [MECHANISM…] > docs/lab-clients.md

Takes some three minutes, most of which is waiting for a browser that waits for a server. Needs
the full lab, and curl, dig, openssl, Chromium and certutil.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.clients import chromium
from benchmarks.clients.cases import OPEN, Target, mechanisms, scenario_of
from benchmarks.clients.page import page
from benchmarks.clients.running import Client, shown_in, visit_worlds
from benchmarks.clients.tools import TOOLS, Tool
from gatewatch.lab.world import CA

NEEDED = ("curl", "dig", "openssl", "chromium", "certutil")

PATIENCE_S = 15.0
"Of dig, curl and openssl; dig's own."

BROWSER_PATIENCE_S = 150.0
"More than Linux takes to give up a connection attempt, 131 s (ip-sysctl, tcp_syn_retries)."

AT_ONCE = 8
"Worlds. Our choice: with more on two cores, browsers that start show in the times of others."

SLOW = ("timeout", "null_route", "bogon", "injection.other")
"Where a browser waits longest; these go first, so that the others are done meanwhile."


def clients() -> dict[str, Client]:
    def command(tool: Tool) -> Client:
        return lambda target, home: tool.run(target, PATIENCE_S)

    def browser(target: Target, home: Path) -> str:
        quic = home.name == OPEN or home.name.startswith("quic")
        return chromium.run(
            target, home / "chromium", home / CA, patience_s=BROWSER_PATIENCE_S, quic=quic
        )

    return {**{name: command(tool) for name, tool in TOOLS.items()}, "Chromium": browser}


def versions() -> list[str]:
    """Names and versions of the clients, and of the system whose TCP they share."""
    asked = {
        "dig": ["-v"],
        "curl": ["--version"],
        "openssl": ["version"],
        "chromium": ["--version"],
        "uname": ["-s", "-r"],
    }
    return [_version([name, *how]) for name, how in asked.items()]


def _version(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.match(r"\S+ [\d.]+\d", done.stdout or done.stderr)
    assert found, f"{command} gives no version"
    return found[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("mechanisms", nargs="*", default=mechanisms(), metavar="MECHANISM")
    arguments = parser.parse_args()
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 1
    scenarios = {mechanism: scenario_of(mechanism) for mechanism in arguments.mechanisms}
    order = sorted(scenarios, key=lambda m: not any(word in m for word in SLOW))
    asked = clients()
    with tempfile.TemporaryDirectory(prefix="gatewatch-clients-") as temporary:
        folder = Path(temporary)
        visits = visit_worlds([scenarios[m] for m in order], folder, asked, at_once=AT_ONCE)
        for number, name in enumerate(visits, 1):
            print(f"{number} of {len(scenarios)}: {name}", file=sys.stderr)
        shown = {
            mechanism: [shown_in(folder, scenario, client) for client in asked]
            for mechanism, scenario in scenarios.items()
        }
    print(page(versions(), list(asked), shown), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
