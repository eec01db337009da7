"""How fast the probe gets through a list: `python -m benchmarks.speed.probe [URLS]`.

A world of real packets with round trips of 100 ms to every site and to the control, and a list of
URLs of which one in ten is filtered, each tenth in another way. The list is measured once with
many at a time and once one after the other; the verdicts of the two must be the same.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gatewatch.cli.human import console, grid

GATEWATCH = [sys.executable, "-c", "from gatewatch.cli.app import main; main()"]
NAMES_PER_HOST = 5
TOGETHER = 16
"The default of `probe run --parallel`."
PATH_MS = 48.0
"One way, on the access link; with the other links a round trip takes some 100 ms."

WORLD = """
title = "A long list on a slow path"
words = "Sites far away, some of them filtered."
kind = "national"
extends = "worlds/internet.toml"
core = {{ delay_ms = 1.0 }}

[networks.isp]
asn = 137
name = "An ISP"
country = "IT"
prefixes = ["130.192.0.0/16"]
hops = [["130.192.0.1"], ["130.192.0.3"]]
access = {{ delay_ms = {delay} }}
uplink = {{ delay_ms = 1.0 }}
probe = ["130.192.91.211"]
resolver = "8.8.8.8"

[networks.hosting]
asn = 16276
name = "A hosting company"
country = "FR"
prefixes = ["51.68.0.0/16"]
hops = [["51.68.0.1"]]
access = {{ delay_ms = 0.2 }}
uplink = {{ delay_ms = 1.0 }}

[[censors]]
id = "sni"
at = "isp"
trigger = {{ sni = ["*-sni.example"] }}
action = {{ reset = {{ to = "both" }} }}

[[censors]]
id = "dns"
at = "isp"
trigger = {{ dns = ["*-dns.example"] }}
action = {{ forge_dns = {{ a = ["10.10.34.35"] }} }}

[[censors]]
id = "host"
at = "isp"
trigger = {{ host = ["*-host.example"] }}
action = {{ block_page = {{ page = "iran", status = 403, swallow = true }} }}

[[expect]]
url = "https://site0.example/"
outcome = "open"
"""
FILTERED = ("sni", "dns", "host")


def names(count: int) -> list[str]:
    """
    >>> names(21)[0], names(21)[10], names(21)[20]
    ('site0-sni.example', 'site10-dns.example', 'site20-host.example')
    """
    return [
        f"site{n}{'' if n % 10 else '-' + FILTERED[n // 10 % len(FILTERED)]}.example"
        for n in range(count)
    ]


def urls(count: int) -> list[str]:
    return [f"{'http' if 'host' in name else 'https'}://{name}/" for name in names(count)]


def world(count: int) -> str:
    text = WORLD.format(delay=PATH_MS).replace("https://site0.example/", urls(count)[1])
    known = names(count)
    for number in range(0, count, NAMES_PER_HOST):
        mine = json.dumps(known[number : number + NAMES_PER_HOST])
        host = number // NAMES_PER_HOST
        address = f"51.68.{1 + host // 200}.{10 + host % 200}"
        text += f'\n[hosts.host{host}]\naddresses = ["{address}"]\nnames = {mine}\nweb = {{}}\n'
    return text


def measured(folder: Path, count: int, parallel: int) -> tuple[float, dict[str, str]]:
    """Seconds for the whole list, and each URL's verdict."""
    (folder / "world.toml").write_text(world(count))
    (folder / "urls.txt").write_text("\n".join(urls(count)))
    out = folder / f"{parallel}.json"
    probe = [*GATEWATCH, "probe", "run", "--file", str(folder / "urls.txt"), "--json",
             "--parallel", str(parallel), "--spool", str(folder / f"spool{parallel}"),
             "--rate", "50", "--progress", "none"]  # fmt: skip
    script = f"{shlex.join(probe)} > {out}"
    began = time.monotonic()
    subprocess.run(
        [*GATEWATCH, "lab", "run", str(folder / "world.toml"), "--", "sh", "-c", script],
        check=True,
    )
    seconds = time.monotonic() - began
    found = json.loads(out.read_text())
    return seconds, {one["input"]: one["outcome"] + str(one["mechanisms"]) for one in found}


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as name:
        together_s, together = measured(Path(name), count, TOGETHER)
        alone_s, alone = measured(Path(name), count, 1)
    differ = [f"{url}: {together[url]}, alone {alone[url]}" for url in alone
              if together[url] != alone[url]]  # fmt: skip
    table = grid(
        ["", ">s", ">s a URL"],
        [
            (
                f"{count} URLs, {TOGETHER} at a time",
                f"{together_s:.0f}",
                f"{together_s / count:.2f}",
            ),
            (f"{count} URLs, one by one", f"{alone_s:.0f}", f"{alone_s / count:.2f}"),
            ("ratio", f"{alone_s / together_s:.1f}", ""),
        ],
    )
    console(sys.stdout).print(table)
    blocked = sum(verdict.startswith("blocked") for verdict in alone.values())
    print(f"{blocked} blocked; {len(differ)} verdicts differ")
    print(*differ, sep="\n")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
