"""A page put into the stream in the server's place."""

from __future__ import annotations

from gatewatch.lab.censors.answers import head
from gatewatch.lab.censors.forging import may_answer, stream_answer
from gatewatch.lab.censors.sight import PASS, Effect, Sight
from gatewatch.lab.pages import page
from gatewatch.lab.rules import BlockPage


def act(rule: BlockPage, sight: Sight) -> Effect:
    """The page's own headers, then the rule's; a page without a status line has neither."""
    if not may_answer(sight):
        return PASS
    shown = page(rule.page)
    body = shown.body.encode() if isinstance(shown.body, str) else shown.body
    if rule.status is not None:
        body = head(rule.status, {**shown.headers, **rule.headers}) + body
    return stream_answer(sight, body, close=rule.close, swallow=rule.swallow)
