"""The flow goes on, slower: its rate bounded, its packets late, some of them lost."""

from __future__ import annotations

from gatewatch.lab.censors.sight import DROP, KB, PASS, Effect, Sight
from gatewatch.lab.chance import draw
from gatewatch.lab.rules import Throttle

QUEUE_KB = 256
"What a shaper holds before it drops. Our choice: some seconds at the rates that are reported."


def act(rule: Throttle, sight: Sight) -> Effect:
    if rule.after_kb and sight.answered <= rule.after_kb * KB:
        return PASS
    if rule.loss:
        about = (sight.post.seed, sight.post.id, *sight.flow.identity, sight.packets)
        if draw(*about) < rule.loss:
            return DROP
    delay_ms = rule.delay_ms
    if rule.rate_kbps is not None:
        wait_ms = _bucket(rule, sight, rule.rate_kbps).take(len(sight.packet.data), sight.now)
        if wait_ms is None:
            return DROP
        delay_ms += wait_ms
    return Effect(delay_ms=delay_ms) if delay_ms else PASS


def _bucket(rule: Throttle, sight: Sight, rate_kbps: float) -> Bucket:
    """One for each direction of what shares a rate."""
    if rule.per == "flow":
        kept, key = sight.flow.kept, (sight.post.id, sight.to_server)
    else:
        kept, key = sight.post.kept, (sight.flow.client, sight.to_server)
    if key not in kept:
        queue_kb = QUEUE_KB if rule.mode == "shape" else 0.0
        kept[key] = Bucket(rate_kbps, rule.burst_kb, queue_kb, sight.now)
    return kept[key]


class Bucket:
    """A token bucket of bytes that may go below empty by what a queue holds.

    >>> police = Bucket(rate_kbps=8, burst_kb=1, queue_kb=0, now=0.0)
    >>> police.take(1000, 0.0), police.take(500, 0.0), police.take(500, 0.5)
    (0.0, None, 0.0)
    >>> shape = Bucket(rate_kbps=8, burst_kb=1, queue_kb=1, now=0.0)
    >>> shape.take(1000, 0.0), shape.take(500, 0.0), shape.take(600, 0.0)
    (0.0, 500.0, None)
    """

    def __init__(self, rate_kbps: float, burst_kb: float, queue_kb: float, now: float) -> None:
        self._bytes_per_s = rate_kbps * KB / 8
        self._burst, self._queue = burst_kb * KB, queue_kb * KB
        self._tokens, self._at = self._burst, now

    def take(self, size: int, now: float) -> float | None:
        """How long a packet of so many bytes has to wait, milliseconds; None drops it."""
        gained = (now - self._at) * self._bytes_per_s
        self._tokens, self._at = min(self._burst, self._tokens + gained), now
        if self._tokens - size < -self._queue:
            return None
        self._tokens -= size
        return max(0.0, -self._tokens / self._bytes_per_s * 1000)
