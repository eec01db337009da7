"""dig, curl and openssl: how they are called, and what their output says in a few words.

Each tool is a command line and a reading; a reading is a pure function of what the command
printed. Codes and messages are the tool's own.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.clients.cases import Target

TIMED_OUT = 124
"What timeout(1) says of a command that it had to end."

WORTH_TELLING_S = 2.0
"Our choice: a client that took less is not called slow."


class Finished(NamedTuple):
    """A command that has come to an end."""

    status: int
    out: str
    err: str
    seconds: float


def dig_command(target: Target, patience_s: float) -> list[str]:
    """dig as it is by default for a patience of 15 s: three tries of 5 s."""
    return [
        "dig",
        f"@{target.resolver}",
        target.host,
        "A",
        "+tries=3",
        f"+time={patience_s / 3:.0f}",
    ]


def curl_command(target: Target, patience_s: float) -> list[str]:
    report = "%{stderr}\n%{json}"
    return ["curl", "-sS", "--max-time", f"{patience_s:g}", "--write-out", report, target.url]


def openssl_command(target: Target, patience_s: float) -> list[str]:
    """s_client has no patience of its own; `-state` makes it say how far it has come."""
    at = f"{target.host}:{target.tls_port}"
    client = ["openssl", "s_client", "-state", "-connect", at, "-servername", target.host]
    return ["timeout", f"{patience_s:g}", *client]


def dig_words(finished: Finished) -> str:
    """The status and the addresses, or dig's complaint."""
    status = re.search(r"status: (\w+)", finished.out)
    if status is None:
        complaints = re.findall(
            r"^;; (?:communications error to \S+: (.+)|(no servers .+))$", finished.out, re.M
        )
        said = dict.fromkeys(one or other for one, other in complaints)
        return ", ".join([*said, *slow(finished.seconds)])
    addresses = re.findall(r"\sIN\sA\s(\S+)$", finished.out, re.M)
    if status[1] == "NOERROR" and not addresses:
        return "NOERROR, no address"
    return " ".join([status[1], *addresses])


def curl_words(finished: Finished) -> str:
    """The HTTP status and what the page is, or curl's exit status and message."""
    report = json.loads(finished.err.rpartition("\n")[2])
    if report["exitcode"] != 0:
        message = re.sub(r" after \d+ (ms|milliseconds)", "", report["errormsg"]).strip()
        return ", ".join([f"({report['exitcode']}) {message}", *slow(finished.seconds)])
    said = [f"HTTP {report['response_code']}"]
    if report["redirect_url"]:
        said.append(f"to {report['redirect_url']}")
    else:
        said += page_words(finished.out) or [f"{report['size_download']:,} bytes"]
    return ", ".join([*said, *slow(finished.seconds)])


def openssl_words(finished: Finished) -> str:
    """What the handshake came to: the certificate's verification, or what was wrong."""
    verified = re.search(r"^Verify return code: (\d+) \((.+)\)", finished.out, re.M)
    protocol = re.search(r"^New, (TLS\S+), Cipher is TLS", finished.out, re.M)
    if protocol and verified:
        return f"{protocol[1]}, verify code {verified[1]} ({verified[2]})"
    connected = "connected, then " if "SSL_connect:" in finished.err else ""
    if finished.status == TIMED_OUT:
        wrong = "nothing" if connected else "no connection"
    else:
        wrong = openssl_error(finished.err)
    return ", ".join([f"{connected}{wrong}", *slow(finished.seconds)])


def openssl_error(err: str) -> str:
    """What s_client complained of first: OpenSSL's reason, or else the failed call's errno."""
    error = re.search(r":error:[0-9A-F]+:[^:]*:[^:]*:([^:]*):[^:]*:\d+:(.*)", err)
    if error is not None:
        return error[2] if error[1] == "system lib" else error[1]
    call = re.search(r"^(?:write|read):errno=\d+", err, re.M)
    return call[0] if call else "an end"


def page_words(page: str) -> list[str]:
    """The title of an HTML page, and scripts that it takes from elsewhere."""
    title = re.search(r"<title>(.*?)</title>", page, re.S)
    scripts = re.findall(r'<script src="([^"]+)"', page)
    return described(html.unescape(title[1]) if title else "", scripts)


def described(title: str, scripts: list[str]) -> list[str]:
    return [f"“{title}”"] * bool(title) + [f"with script {script}" for script in scripts]


def slow(seconds: float) -> list[str]:
    """How many whole seconds it took, if that is worth telling."""
    return [f"after {int(seconds)} s"] * (seconds >= WORTH_TELLING_S)


class Tool(NamedTuple):
    """One client that is a command."""

    command: Callable[[Target, float], list[str]]
    words: Callable[[Finished], str]

    def run(self, target: Target, patience_s: float) -> str:
        """What the tool shows.

        Raises:
            subprocess.TimeoutExpired: it waited twice as long as it was told to.
        """
        return self.words(_finished(self.command(target, patience_s), 2 * patience_s))


TOOLS = {
    "dig": Tool(dig_command, dig_words),
    "curl": Tool(curl_command, curl_words),
    "openssl": Tool(openssl_command, openssl_words),
}


def _finished(command: list[str], limit_s: float) -> Finished:
    """Run a command with nothing to read; its output as text, whatever bytes it is."""
    began = time.monotonic()
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=limit_s,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr, time.monotonic() - began)
