"""Forged answers to DNS questions, as many as race each other."""

from __future__ import annotations

from gatewatch.lab.censors.forging import datagram, stream_answer
from gatewatch.lab.censors.sight import PASS, Effect, Sight
from gatewatch.lab.chance import draw
from gatewatch.lab.rules import ForgeDns
from gatewatch.wire.dns import Question, answer, framed, question
from gatewatch.wire.packet import TCP

WRONG_ID = 0x5555
"What a wrong transaction ID differs by from the right one. Our choice."


def act(rule: ForgeDns, sight: Sight) -> Effect:
    found = _question(sight)
    if not sight.fresh or not sight.to_server or found is None:
        return PASS
    asked, message = found
    if sight.packet.protocol == TCP:
        # A stream has room for one answer: what comes second is no answer to anything.
        forged = framed(_answer(rule, sight, asked, message, 0))
        return stream_answer(sight, forged, close="none", swallow=rule.swallow)
    answers = [_answer(rule, sight, asked, message, copy) for copy in range(rule.copies)]
    return Effect(
        drop=rule.swallow,
        inject=tuple(
            (datagram(sight, forged), sight.post.react_ms + copy * rule.spacing_ms)
            for copy, forged in enumerate(answers)
        ),
    )


def _question(sight: Sight) -> tuple[Question, bytes] | None:
    """The question that set the trigger off, or the packet's own where it was something else."""
    if sight.packet.protocol != TCP:
        message = sight.packet.payload
        asked = question(message)
        return (asked, message) if asked else None
    questions = sight.reading.questions if sight.reading else []
    named = [found for found in questions if found[0].name == sight.subject]
    return next(iter(named or questions), None)


def _answer(rule: ForgeDns, sight: Sight, asked: Question, message: bytes, copy: int) -> bytes:
    pool = {"A": rule.a, "AAAA": rule.aaaa}.get(asked.type, ())
    place = int(draw(sight.post.seed, sight.post.id, asked.name, copy) * len(pool))
    return answer(
        message,
        pool[place : place + 1],
        cname=rule.cname,
        rcode=rule.rcode,
        ttl_s=rule.ttl_s,
        id=asked.id ^ WRONG_ID if rule.wrong_id else None,
    )
