"""Report ids that prove themselves: nothing is kept for a report, and none can be made up.

    {YYYYmmddTHHMMSSZ}_{test}_{CC}_{asn}_n{collector}_{6 letters of chance}{10 letters of proof}

A table of reports would have to be on the disk before each is given out, and anyone could fill it
by opening reports for ever. The proof needs neither, and survives every restart. What it cannot
do is close a report; nor do others' collectors, where closing has done nothing for years.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import NamedTuple

from gatewatch.server.bodies import Refused
from gatewatch.server.keys import Keys, letters, same

CHANCE, PROOF = 6, 10
"""Letters. 36 bits tell apart the reports that one network opens for a test in the same second;
60 bits are not found by guessing. Together the 16 letters that these ids always end with."""
_ID = re.compile(
    r"(\d{8}T\d{6}Z)_([a-z0-9]{1,30})_([A-Z0-9]{2})_(0|[1-9]\d{0,9})_n([A-Za-z0-9]{1,16})"
    rf"_([A-Za-z0-9]{{{CHANCE}}})([A-Za-z0-9]{{{PROOF}}})"
)
_PURPOSE = "report"


class Report(NamedTuple):
    """What an id says."""

    id: str
    opened: str
    test: str
    "Without underscores."
    cc: str
    asn: str
    "Digits."

    @property
    def is_nowhere(self) -> bool:
        """Does nobody know where it was measured? The collector keeps nothing of it."""
        return self.asn == "0" or self.cc == "ZZ"


class ReportIds:
    """Gives out the ids of one collector, and knows them again."""

    def __init__(self, keys: Keys, collector: str | None = None) -> None:
        """
        Args:
            collector: its name, letters and digits; by default made from the secret.
        """
        self._keys = keys
        self._collector = collector or keys.name()

    def open(self, test: str, cc: str, asn: str, now: datetime) -> str:
        """A new id.

        Args:
            test: with or without underscores.
            asn: digits.
        """
        chance = letters(secrets.token_bytes(CHANCE), CHANCE)
        return self._made(f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}", test, cc, asn, chance)

    def of_run(self, test: str, cc: str, asn: str, started: datetime, run: str) -> str:
        """The id of measurements that came without one: the same for the same run, at any time.

        Args:
            run: whatever else tells one run of a probe from another.
        """
        time = f"{started:%Y%m%dT%H%M%SZ}"
        chance = letters(self._keys.sign("run", f"{time} {test} {cc} {asn} {run}"), CHANCE)
        return self._made(time, test, cc, asn, chance)

    def _made(self, time: str, test: str, cc: str, asn: str, chance: str) -> str:
        start = f"{time}_{test.replace('_', '')}_{cc}_{asn}_n{self._collector}_{chance}"
        return start + letters(self._keys.sign(_PURPOSE, start), PROOF)

    def read(self, text: str) -> Report:
        """
        Raises:
            Refused: 400, it was not given out here.
        """
        found = _ID.fullmatch(text)
        if found is None:
            raise Refused(
                400,
                f"Incorrect format: report_id is {text[:100]!r}; wanted is one that POST /report"
                " has given out",
            )
        start = text[:-PROOF]
        if not same(found[7], letters(self._keys.sign(_PURPOSE, start), PROOF)):
            raise Refused(400, "Incorrect format: report_id was not given out by this collector")
        return Report(text, found[1], found[2], found[3], found[4])

    def claims_us(self, text: str) -> bool:
        """Does an id say that it is ours, rightly or not?"""
        return f"_n{self._collector}_" in text
