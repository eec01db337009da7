"""Bytes in place of a ServerHello: a TLS alert, or what is no TLS at all."""

from __future__ import annotations

from gatewatch.lab.censors.forging import may_answer, stream_answer
from gatewatch.lab.censors.sight import PASS, Effect, Sight
from gatewatch.lab.rules import Alert
from gatewatch.wire import tls

FATAL = 2


def act(rule: Alert, sight: Sight) -> Effect:
    if not may_answer(sight):
        return PASS
    said = rule.garbage.encode() or tls.alert(FATAL, rule.description)
    return stream_answer(sight, said, close="fin", swallow=rule.swallow)
