"""Chromium without a window, driven over its own debugging pipe.

It is the browser as installed, with a fresh profile in which the lab's authority is one that the
user has added, as one adds a company's. Certificates are verified as ever.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.clients.cases import Target
from benchmarks.clients.tools import described, slow

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"No sandbox, because root has none; the rest keeps it from calling home, where nobody is."

STARTS_S = 60.0
"What Chromium may take to start. Our choice: on an idle machine it takes one."

PAGE = """({
    title: document.title,
    url: location.href,
    protocol: performance.getEntriesByType('navigation')[0].nextHopProtocol,
    scripts: Array.from(document.scripts, script => script.src).filter(Boolean),
    size: performance.getEntriesByType('navigation')[0].encodedBodySize,
})"""
"What is asked of a page that was shown."

Message = dict[str, Any]


class Patience(Exception):
    """The browser did not say in time what was waited for."""


class DevTools:
    """Chromium's debugging protocol: JSON messages, each ended by a NUL, over two pipes.

    Source: https://chromedevtools.github.io/devtools-protocol/
    """

    def __init__(self, writing: int, reading: int) -> None:
        self._writing, self._reading = writing, reading
        self._buffer = b""
        self._calls = 0
        self._session: str | None = None

    def open_tab(self, until: float) -> None:
        """Send all that follows to a new tab."""
        tab = self.call("Target.createTarget", until, url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", until, targetId=tab, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable", until)

    def call(self, method: str, until: float, **params: object) -> Message:
        """The result of a call.

        Raises:
            Patience: it has not come by then, a time on the monotonic clock.
        """
        self._calls += 1
        number = self._calls
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": number, "method": method, "params": params, **session}
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        return self.wait(lambda said: said.get("id") == number, until)["result"]

    def wait(self, wanted: Callable[[Message], bool], until: float) -> Message:
        """The next message that is wanted; those before it are lost.

        Raises:
            Patience: as for `call`.
        """
        while True:
            while b"\0" in self._buffer:
                line, _, self._buffer = self._buffer.partition(b"\0")
                said = json.loads(line)
                if wanted(said):
                    return said
            left = max(until - time.monotonic(), 0.0)
            if not select.select([self._reading], (), (), left)[0]:
                raise Patience
            got = os.read(self._reading, 1 << 16)
            if not got:
                raise Patience("the browser has ended")
            self._buffer += got


@contextmanager
def running(home: Path, profile: str, flags: tuple[str, ...]) -> Iterator[DevTools]:
    """A browser with a tab, and its end."""
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    # The protocol's descriptors are 3 and 4, which bash can say and Popen cannot.
    shell = ["bash", "-c", f'exec "$@" 3<&{from_us} 4>&{to_us}', "bash"]
    ours = ["--remote-debugging-pipe", f"--user-data-dir={home / profile}"]
    with (home / "chromium.log").open("ab") as log:
        process = subprocess.Popen(
            [*shell, "chromium", *QUIET, *ours, *flags, "about:blank"],
            env={**os.environ, "HOME": str(home)},
            pass_fds=(from_us, to_us),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    os.close(from_us)
    os.close(to_us)
    try:
        browser = DevTools(to_browser, from_browser)
        browser.open_tab(time.monotonic() + STARTS_S)
        yield browser
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(to_browser)
        os.close(from_browser)


def trust(home: Path, ca: Path) -> None:
    """Add an authority to the user's own, where Chromium on Linux looks for them."""
    folder = home / ".pki" / "nssdb"
    folder.mkdir(parents=True)
    base = ["certutil", "-d", f"sql:{folder}"]
    subprocess.run([*base, "-N", "--empty-password"], check=True)
    subprocess.run([*base, "-A", "-t", "C,,", "-n", "lab", "-i", str(ca)], check=True)


def visit(browser: DevTools, url: str, patience_s: float) -> str:
    """What the browser makes of a URL: its network error, or the page it shows."""
    began = time.monotonic()
    until = began + patience_s
    try:
        said = browser.call("Page.navigate", until, url=url)
        if "errorText" in said:
            return ", ".join([said["errorText"], *slow(time.monotonic() - began)])
        browser.wait(lambda event: event.get("method") == "Page.loadEventFired", until)
    except Patience:
        return ", ".join(["still loading", *slow(time.monotonic() - began)])
    seconds = time.monotonic() - began
    answer = browser.call("Runtime.evaluate", until, expression=PAGE, returnByValue=True)
    return ", ".join([*page_words(answer["result"]["value"], url), *slow(seconds)])


def page_words(page: Message, url: str) -> list[str]:
    """A page that was shown: its title, where it is if that is elsewhere, and how it came."""
    said = described(page["title"], page["scripts"]) or [f"{page['size']:,} bytes"]
    if page["url"] != url:
        said.append(f"at {page['url']}")
    return [*said, f"over {page['protocol']}"]


def ways(target: Target) -> dict[str, tuple[str, ...]]:
    """How a site is visited: flags, by the words that say what they do."""
    if urlsplit(target.url).scheme == "http":
        return {"": (), "not upgraded": ("--disable-features=HttpsUpgrades",)}
    return {"": ()}


def over_quic(target: Target) -> dict[str, tuple[str, ...]]:
    """One more way: over QUIC or not at all, with any authority that the user trusts.

    Without the flag, Chromium takes to HTTP/3 only where a public authority vouches, and no
    lab has one of those.
    """
    return {"QUIC alone": (f"--origin-to-force-quic-on={target.host}:{target.tls_port}",)}


def run(target: Target, home: Path, ca: Path, patience_s: float, *, quic: bool) -> str:
    """What Chromium shows, one way after the other, each in a fresh browser."""
    home.mkdir()
    trust(home, ca)
    shown = list[str]()
    for words, flags in (ways(target) | (over_quic(target) if quic else {})).items():
        with running(home, f"profile {words}", flags) as browser:
            seen = visit(browser, target.url, patience_s)
        shown.append(f"{words}: {seen}" if words else seen)
    return "; ".join(shown)
