"""http_header_field_manipulation: does something on the way change the headers of requests?

A request whose headers are in a case of their own goes to a server that says what it got. Proxies
add headers, and write them in their own case. OONI's test of that name.
"""

from __future__ import annotations

import random
import string

from gatewatch.probe.experiments.common.echoed import Echoed, ask_echo
from gatewatch.probe.experiments.common.inputs import Asked, InputTest, locate
from gatewatch.probe.ooni import ACCEPT, USER_AGENT, Json

HEADERS = (
    ("Accept", ACCEPT),
    ("Accept-Charset", "ISO-8859-1,utf-8;q=0.7,*;q=0.3"),
    ("Accept-Encoding", "gzip,deflate,sdch"),
    ("Accept-Language", "en-US,en;q=0.8"),
    ("User-Agent", USER_AGENT),
)
"What OONI sends, in a case that is drawn."
METHOD = "GeT"


async def work(asked: Asked) -> Json:
    session = asked.session
    found, failure = await locate(asked, schemes={"http": 80})
    if found is None:
        return {**session.keys(), "failure": failure, "tampering": tampering("", [], None)}
    headers = drawn(session.rng)
    line = f"{METHOD} / HTTP/1.1"
    at = (found.addresses[0], found.place.port)
    echoed = await ask_echo(session, at, asked.input, line, headers)
    return {
        **session.keys(),
        "failure": echoed.answer.failure,
        "tampering": tampering(line, headers, echoed),
    }


def drawn(rng: random.Random) -> list[tuple[str, str]]:
    """The headers, each letter of a name upper or lower case, and a host that nobody has."""
    host = "".join(rng.choices(string.ascii_letters + string.digits, k=15)) + ".com"
    pairs = [("Host", host), *HEADERS]
    return [
        ("".join(rng.choice((c.upper(), c.lower())) for c in name), value) for name, value in pairs
    ]


def tampering(line: str, sent: list[tuple[str, str]], echoed: Echoed | None) -> Json:
    """OONI's verdicts on what the server says it got; `total`: it did not say."""
    if echoed is None or not echoed.told:
        nothing = dict.fromkeys(_VERDICTS, False)
        return {**nothing, "header_name_diff": [], "total": True}
    mine, theirs = dict(sent), dict(echoed.headers)
    diff = sorted({*mine} ^ {*theirs})
    lower = {name.lower(): value for name, value in theirs.items()}
    return {
        "header_field_name": {n.lower() for n in mine} != {*lower},
        "header_field_number": len(sent) != len(echoed.headers),
        "header_field_value": any(lower.get(n.lower(), v) != v for n, v in mine.items()),
        "header_name_capitalization": bool(diff),
        "header_name_diff": diff,
        "request_line_capitalization": echoed.line != line,
        "total": False,
    }


_VERDICTS = (
    "header_field_name",
    "header_field_number",
    "header_field_value",
    "header_name_capitalization",
    "request_line_capitalization",
)

EXPERIMENT = InputTest(
    name="http_header_field_manipulation",
    version="0.2.1",
    question="Does something on the way change the headers of requests?",
    work=work,
    kinds=(("helpers", "http_return_json_headers"),),
    helper=True,
)
