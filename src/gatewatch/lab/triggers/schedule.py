"""When a trigger is in force."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from gatewatch.lab.rules import Schedule


def in_force(schedule: Schedule, clock: datetime) -> Callable[[float], bool]:
    """A question to ask with the seconds since the world began.

    Args:
        clock: the scenario's time when the world begins.

    >>> asleep = in_force(Schedule(hours=("22:00-06:00",)), datetime(2026, 3, 1, 21, 59))
    >>> asleep(0.0), asleep(60.0), asleep(8 * 3600.0), asleep(9 * 3600.0)
    (False, True, True, False)
    """
    hours = [_minutes(span) for span in schedule.hours]

    def answer(now: float) -> bool:
        if now < schedule.after_s or (schedule.until_s is not None and now >= schedule.until_s):
            return False
        time = clock + timedelta(seconds=now)
        minute = time.hour * 60 + time.minute
        return not hours or any(_within(minute, *span) for span in hours)

    return answer


def _minutes(span: str) -> tuple[int, int]:
    """
    >>> _minutes("20:00-06:30")
    (1200, 390)
    """
    begin, end = (text.split(":") for text in span.split("-"))
    return int(begin[0]) * 60 + int(begin[1]), int(end[0]) * 60 + int(end[1])


def _within(minute: int, begin: int, end: int) -> bool:
    """Whether a span holds a minute; one that ends before it begins passes midnight."""
    if begin <= end:
        return begin <= minute < end
    return minute >= begin or minute < end
