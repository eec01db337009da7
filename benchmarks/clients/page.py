"""The page about what was shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.clients.cases import OPEN
from gatewatch.model.mechanism import LEAVES

HEAD = """\
# What clients show in the lab

    python -m benchmarks.clients > docs/lab-clients.md

Clients: {versions}.

The lab is the author of all that is shown here: the table says that its censors look to ordinary
programs as real ones do, and is no evidence about any network. Each row is the leaf scenario of
that mechanism, visited from its vantage point by four programs at a time, as they are installed:

- `dig @RESOLVER NAME A`, the resolver being the network's own;
- `curl -sS --max-time 15 URL`, redirects not followed;
- `openssl s_client -connect NAME:443 -servername NAME`, ended after 15 s; for a mechanism that
  acts on requests in clear, it shows that TLS to the same site is left alone;
- Chromium without a window, in a fresh profile that trusts the lab's authority as one that its
  user has added. Of an `http://` URL it tries `https://` first, as it does everywhere; *not
  upgraded* is the same visit with `--disable-features=HttpsUpgrades`. *QUIC alone* is
  `--origin-to-force-quic-on`: without it Chromium speaks HTTP/3 only to servers that a public
  authority vouches for, and falls back to TCP by itself.

A time is given where it was two seconds or more.

"""

NOTES = """
## Where it may differ elsewhere

- A desktop Chrome that finds no address asks what else can be resolved before it says what it
  thinks, and shows `DNS_PROBE_FINISHED_NXDOMAIN` or a like code. Debian's Chromium has that turned
  off, and shows the network error itself.
- A reset in answer to a SYN is `ECONNREFUSED` on Linux, so `tcp.reset` and `tcp.refused` look the
  same to all programs; they differ on the wire.
- A connection attempt that is never answered ends when the system gives up; on this one after
  some 130 s (`tcp_syn_retries`), on Windows after 21.
- Machines of the lab ask their resolver twice, for two seconds each (`/etc/resolv.conf`), and not
  for five as is usual: a name that is never answered fails sooner than elsewhere.
- curl of another version, or with another TLS library, has other words for the same codes.

## What was reported from behind the real thing

| mechanism | reported | where |
| --- | --- | --- |
"""

REPORTS = (
    (
        "tls.reset",
        "Chrome: `ERR_CONNECTION_RESET`",
        "Russia, Beeline, 2021: https://github.com/ValdikSS/GoodbyeDPI/issues/229",
    ),
    (
        "tls.timeout",
        "curl connects, sends its hello, and hears nothing for 15 s",
        "Iran, 2022: https://github.com/net4people/bbs/issues/133",
    ),
    (
        "tcp.timeout",
        "Chrome: `ERR_CONNECTION_TIMED_OUT`",
        "Russia, 2022: https://github.com/jsfiddle/jsfiddle-users/issues/1775",
    ),
    (
        "tls.mitm.ca_signed",
        "an authority that no browser trusts; the sites cannot be reached without it",
        "Kazakhstan, 2019: https://censoredplanet.org/kazakhstan",
    ),
    (
        "http.reset",
        "curl: (56) Recv failure: Connection reset by peer",
        "China Telecom, 2016: https://github.com/sjtug/mirror-docker/issues/17",
    ),
    (
        "http.redirect",
        "curl: HTTP 301 to http://10.10.34.34",
        "Iran, 2023: https://github.com/net4people/bbs/issues/241",
    ),
    (
        "http.blockpage",
        "curl: HTTP 200 and a page that says why",
        "Bulgaria, 2018: https://github.com/jsdelivr/jsdelivr/issues/18082",
    ),
)
"Mechanism as we would call it, what a user saw, and where that is written."


def page(
    versions: Sequence[str], clients: Sequence[str], shown: Mapping[str, Sequence[str]]
) -> str:
    """The page in Markdown.

    Args:
        shown: mechanism → what each of the clients showed.
    """
    head = ("mechanism", "what it is", *clients)
    rows = [head, ("---",) * len(head)]
    for mechanism, cells in shown.items():
        words = LEAVES.get(mechanism, "nothing is done to it")
        rows.append((_name(mechanism), words, *cells))
    reports = [(f"`{mechanism}`", what, where) for mechanism, what, where in REPORTS]
    return HEAD.format(versions=", ".join(versions)) + _lines(rows) + NOTES + _lines(reports)


def _name(mechanism: str) -> str:
    return mechanism if mechanism == OPEN else f"`{mechanism}`"


def _lines(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(_cell(cell) for cell in row)} |\n" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
