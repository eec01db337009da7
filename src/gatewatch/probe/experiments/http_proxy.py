"""http_proxy: is there a proxy on the way that says so, or that keeps copies?

Two requests for the same path, each with a word of its own, go to a server that says what it got:
headers that we never sent are a proxy's, and so is an answer that holds the first one's word.
"""

from __future__ import annotations

from gatewatch.probe.experiments.common.echoed import Echoed, ask_echo
from gatewatch.probe.experiments.common.inputs import Asked, InputTest, locate
from gatewatch.probe.ooni import ACCEPT, USER_AGENT, Json, scrub

ADDED = frozenset(
    {
        "via", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded",
        "x-real-ip", "x-proxy-id", "x-bluecoat-via", "client-ip", "x-client-ip",
        "cache-control", "proxy-connection", "x-forwarded-server", "max-forwards",
    }
)  # fmt: skip
"Request headers that proxies add: RFC 9110, section 7.6.3; RFC 7239; the rest by custom."
CACHES = ("via", "x-cache", "x-cache-lookup", "age", "x-squid-error", "proxy-agent")
"Answer headers by which proxies and caches show. The server's own front may send them as well."
WORD = "X-Word"


async def work(asked: Asked) -> Json:
    session = asked.session
    found, failure = await locate(asked, schemes={"http": 80})
    if found is None:
        return {**session.keys(), "failure": failure, **verdict([], [])}
    at = (found.addresses[0], found.place.port)
    path = f"/{session.rng.randbytes(6).hex()}"
    words = [session.rng.randbytes(8).hex() for _ in range(2)]
    echoes = []
    for word in words:  # one after the other: the second is to find the first one's copy
        headers = [
            ("Host", found.place.host),
            ("Accept", ACCEPT),
            ("User-Agent", USER_AGENT),
            (WORD, word),
        ]
        url = asked.input.rstrip("/") + path
        echoes.append(await ask_echo(session, at, url, f"GET {path} HTTP/1.1", headers))
    failure = next((echo.answer.failure for echo in echoes if echo.answer.failure), None)
    return {**session.keys(), "failure": failure, **verdict(echoes, words)}


def verdict(echoes: list[Echoed], words: list[str]) -> Json:
    """`proxy`: True, False, or None where the server did not say what it got."""
    told = [(echo, word) for echo, word in zip(echoes, words, strict=True) if echo.told]
    sent = {"host", "accept", "user-agent", WORD.lower()}
    added = {
        name.lower(): scrub(value)
        for echo, _ in told
        for name, value in echo.headers
        if name.lower() not in sent
    }
    cached = any(_word(echo) not in (None, word) for echo, word in told)
    shown = {
        name.lower(): scrub(value)
        for echo in echoes
        for name, value in echo.answer.headers
        if name.lower() in CACHES
    }
    known = {name: value for name, value in added.items() if name in ADDED}
    why = []
    if added:
        why.append(f"the server got headers that were not sent: {', '.join(sorted(added))}")
    if cached:
        why.append("the answer to the second request was that to the first")
    if not told:
        why.append("the server did not say what it got")
    return {
        "added_headers": added,
        "proxy_headers": known,
        "answer_headers": shown,
        "cached": cached if told else None,
        "proxy": True if added or cached else False if told else None,
        "why": "; ".join(why) or "the server got what was sent",
    }


def _word(echo: Echoed) -> str | None:
    return next((value for name, value in echo.headers if name.lower() == WORD.lower()), None)


EXPERIMENT = InputTest(
    name="http_proxy",
    version="0.1.0",
    question="Is there a proxy on the way to web servers?",
    work=work,
    kinds=(("helpers", "http_return_json_headers"),),
    helper=True,
)
