"""How OONI compares the probe's final answer with the control's, number by number.

Kept as it is, faults included (a shared `Content-Length` makes headers match), so that our
records can stand beside theirs. The judge compares in its own way.
"""

from __future__ import annotations

import re

from gatewatch.probe.ooni import Json

COMMON_HEADERS = frozenset(
    "date content-type server cache-control vary set-cookie location expires x-powered-by "
    "content-encoding last-modified accept-ranges pragma x-frame-options etag "
    "x-content-type-options age via p3p x-xss-protection content-language cf-ray "
    "strict-transport-security link x-varnish".split()
)
"""Headers that say nothing about which site answers, as the probe counts them."""

SAME_LENGTH = 0.7
"Of the shorter body to the longer; more than this is a match."
WORD_MIN = 5
"Bytes of a word of a title that counts."

TITLE = re.compile(r"(?i)<title>([^<]{1,512})</title>")
"As OONI's helper and probe find a title: one with attributes is none."


def no_likeness() -> Json:
    """The keys when there is nothing to compare."""
    return {
        "body_proportion": 0,
        "body_length_match": None,
        "headers_match": None,
        "status_code_match": None,
        "title_match": None,
    }


def likeness(request: Json | None, control: Json | None) -> Json:
    """Body, status, headers and title of a final answer against the control's.

    Args:
        request: an entry of `requests`; None, a failure, and an answer that is not final leave
            all keys empty. The length is of the body as it came, where `x_page` says it.
        control: the helper's answer.
    """
    out = no_likeness()
    expected = (control or {}).get("http_request") or {}
    if request is None or not is_final(request):
        return out
    response = request["response"]
    body = response.get("body")
    body = body if isinstance(body, str) else ""
    length = (request.get("x_page") or {}).get("body_length", len(body.encode("utf-8", "replace")))
    wanted = _number(expected.get("body_length"))
    if length > 0 and wanted > 0 and not response.get("body_is_truncated"):
        out["body_proportion"] = min(length, wanted) / max(length, wanted)
        out["body_length_match"] = out["body_proportion"] > SAME_LENGTH
    code, got = _number(expected.get("status_code")), response["code"]
    if code <= 0:
        return out
    out["status_code_match"] = True if got == code else (False if 200 <= code < 300 else None)
    names = [
        {name.lower() for name in side.get("headers") or {}} - COMMON_HEADERS
        for side in (response, expected)
    ]
    out["headers_match"] = bool(names[0] & names[1])
    title = TITLE.search(body)
    out["title_match"] = _words(title[1] if title else "") == _words(expected.get("title") or "")
    return out


def differs(compared: Json) -> bool:
    """Is this another page than the control's?"""
    same = (
        compared["body_length_match"] or compared["headers_match"] or compared["title_match"]
    ) is True
    return not (compared["status_code_match"] is True and same)


def is_final(request: Json) -> bool:
    """An answer that is neither a failure nor on the way to another one."""
    code = (request.get("response") or {}).get("code") or 0
    return request.get("failure") is None and code // 100 in (2, 4, 5)


def _words(title: str) -> set[str]:
    return {word.lower() for word in title.split(" ") if len(word.encode()) >= WORD_MIN}


def _number(value: object) -> int:
    return value if isinstance(value, int) else -1
