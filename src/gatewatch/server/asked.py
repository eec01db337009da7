"""What the routes of the collector read of their requests; clients send more."""

from __future__ import annotations

from typing import Any

import msgspec


class OpenReport(msgspec.Struct):
    """What is read of a request to open a report; the rest describes the client."""

    test_name: str
    probe_cc: str = "ZZ"
    probe_asn: str = "AS0"
    format: str = "json"


class InReport(msgspec.Struct):
    content: dict[str, msgspec.Raw]
    format: str = "json"


class Alone(msgspec.Struct):
    """A measurement without a report. What anonymous credentials add is read by nobody here: the
    answer says `unverified`, which is true of everything that this server takes."""

    content: str | dict[str, msgspec.Raw]
    format: str = "json"


class Bounced(msgspec.Struct):
    net_tests: list[dict[str, Any]] = msgspec.field(name="net-tests")
