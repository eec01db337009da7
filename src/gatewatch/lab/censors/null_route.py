"""The route is gone: packets towards the server vanish, and nobody says so."""

from __future__ import annotations

from gatewatch.lab.censors.sight import DROP, PASS, Effect, Sight
from gatewatch.lab.rules import NullRoute


def act(rule: NullRoute, sight: Sight) -> Effect:
    return DROP if sight.to_server else PASS
