"""A server killed again and again loses nothing that it acknowledged, and keeps nothing twice.

`python -m benchmarks.speed.submit` does the same with ten thousand measurements, and says how fast.
"""

from __future__ import annotations

import asyncio

from benchmarks.speed.submit import run

MEASUREMENTS, CLIENTS, KILLS = 3_000, 50, 5


def test_what_fifty_clients_were_told_is_kept_once_through_five_kills(tmp_path):
    outcome = asyncio.run(
        run(
            tmp_path / "store",
            measurements=MEASUREMENTS,
            clients=CLIENTS,
            kills=KILLS,
            size=4_000,
        )
    )
    assert outcome.kills == KILLS
    assert outcome.repeated > KILLS, "the kills came when nobody was waiting"
    assert len(outcome.acknowledged) == MEASUREMENTS
    assert outcome.lost == []
    assert outcome.twice == []
    assert outcome.stored.total() == MEASUREMENTS
