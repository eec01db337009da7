"""script_injection: is something put into pages in clear that their servers did not send?

A page that is the same in clear and over TLS is fetched both ways. Scripts and frames that are in
the first alone were put in on the way; where the second cannot be had, nothing is said.
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from gatewatch.probe.experiments.common.inputs import BAD_INPUT, Asked, InputTest, place_of
from gatewatch.probe.experiments.common.reached import Reached
from gatewatch.probe.ooni import Json, scrub
from gatewatch.refdata.endpoints import Endpoint

_RUNS = re.compile(rb"<(script|iframe|object|embed)\b[^>]*>(?:[^<]{0,512})", re.IGNORECASE)
"What runs, or brings in what runs: its tag, and how it begins."
_SOURCE = re.compile(rb"""\bsrc\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
MOST = 32
"Of the things put in, so many are told."


async def work(asked: Asked) -> Json:
    session = asked.session
    at = place_of(asked.input, schemes={"http": 80})
    if at is None:
        return {**session.keys(), "failure": BAD_INPUT, **verdict(None, None)}
    path = at.path or "/"
    pair = [
        Endpoint(
            service="page", kind="plain", protocol="http", host=at.host, port=at.port, path=path
        ),
        Endpoint(
            service="page", kind="secure", protocol="https", host=at.host, port=443, path=path
        ),
    ]
    plain, secure = await asyncio.gather(*map(session.reach, pair))
    return {**session.keys(), "failure": plain.failure, **verdict(plain, secure)}


def verdict(plain: Reached | None, secure: Reached | None) -> Json:
    """`injected`: True, False, or None where there is nothing to compare with."""
    mine, true = _body(plain), _body(secure)
    if mine is None or true is None:
        why = "the page cannot be had in clear" if mine is None else "nor over TLS, to compare with"
        return {"injected": None, "scripts": [], "same": None, "why": why}
    known = {_key(found) for found in _RUNS.finditer(true)}
    new = [found for found in _RUNS.finditer(mine) if _key(found) not in known]
    scripts = [
        {
            "tag": found[1].decode().lower(),
            "begins": scrub(found[0].decode("utf-8", "replace"))[:256],
        }
        for found in new[:MOST]
    ]
    grown = b"</body" in mine.lower() and b"</body" in true.lower()
    why = (
        f"{len(new)} scripts or frames that are not in the page over TLS"
        if new
        else "what runs in the page in clear is in it over TLS too"
    )
    other = not grown and not new and mine != true
    return {
        "injected": None if other else bool(new),
        "scripts": scripts,
        "same": mine == true,
        "why": "the two answers are different pages" if other else why,
    }


def _body(one: Reached | None) -> bytes | None:
    """The page itself; None where there is none, or a redirect in its place."""
    answer = one.exchange if one else None
    if answer is None or answer.status != 200 or answer.failure or answer.truncated:
        return None
    return answer.body


def _key(found: re.Match[bytes]) -> bytes:
    """What makes two of them one: where it is from, whatever the scheme, or how it begins."""
    source = _SOURCE.search(found[0])
    if source is None:
        return found[0].strip()
    parts = urlsplit(source[1].decode("utf-8", "replace"))
    return f"{parts.netloc}{parts.path}".encode()


EXPERIMENT = InputTest(
    name="script_injection",
    version="0.1.0",
    question="Is something put into web pages on the way?",
    work=work,
    kinds=(("well_known", "page"),),
)
