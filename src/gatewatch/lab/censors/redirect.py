"""An injected redirect."""

from __future__ import annotations

from gatewatch.lab.censors.answers import head
from gatewatch.lab.censors.forging import may_answer, stream_answer
from gatewatch.lab.censors.sight import PASS, Effect, Sight
from gatewatch.lab.rules import Redirect


def act(rule: Redirect, sight: Sight) -> Effect:
    if not may_answer(sight):
        return PASS
    headers = {"Location": rule.location, "Content-Length": "0", "Connection": "close"}
    return stream_answer(sight, head(rule.status, headers), close="fin", swallow=rule.swallow)
