"""In-path: packets of the flow vanish, from the triggering one on or somewhat later."""

from __future__ import annotations

from gatewatch.lab.censors.sight import DROP, KB, PASS, Effect, Sight
from gatewatch.lab.rules import Drop


def act(rule: Drop, sight: Sight) -> Effect:
    concerned = rule.to == "both" or (rule.to == "server") == sight.to_server
    still_free = sight.packets < rule.after_packets or (
        rule.after_kb is not None and sight.answered <= rule.after_kb * KB
    )
    return DROP if concerned and not still_free else PASS
