"""What a probe is told before it measures: where it seems to be, what to do, and under which id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from gatewatch.refdata.snapshot import RefData
from gatewatch.server.content import ASN, CC
from gatewatch.server.lists import MOST, Lists, categories, country
from gatewatch.server.report_ids import ReportIds

ON_BATTERY, CHARGING = 20, 100
"URLs of a run that nobody started by hand, as OONI's."

TESTS = (
    "web_connectivity", "dnscheck", "echcheck", "stunreachability", "telegram", "whatsapp",
    "signal", "facebook_messenger", "tor", "vanilla_tor", "torsf", "psiphon", "riseupvpn",
    "openvpn", "http_invalid_request_line", "http_header_field_manipulation", "http_host",
    "http_requests", "dns_consistency", "tcp_connect", "urlgetter", "ndt", "dash",
    "bridge_reachability", "meek_fronted_requests_test", "multi_protocol_traceroute",
)  # fmt: skip
"Every test for which a check-in opens a report, so that a client need not."

FEATURES = {
    "torsf_enabled": False,
    "vanilla_tor_enabled": False,
    "openvpn_enabled": False,
    "webconnectivity_0.5": True,
}
"What clients switch on and off by; the three need servers of others."


class WebConnectivity(msgspec.Struct):
    category_codes: list[str] | str | None = None


class CheckIn(msgspec.Struct):
    """What is read of a check-in; every field may be missing."""

    charging: bool | None = None
    run_type: str = "timed"
    probe_cc: str = "ZZ"
    probe_asn: str = "AS0"
    web_connectivity: WebConnectivity | None = None


class GeoLookup(msgspec.Struct):
    addresses: list[str]


def whereabouts(refdata: RefData, address: str) -> dict[str, Any]:
    """Country and network of an address; ZZ, 0 and no name where nobody knows."""
    asn = refdata.asn_of(address)
    return {
        "cc": refdata.country_of(address) or "ZZ",
        "asn": asn or 0,
        "as_name": (refdata.network_name(asn) or "") if asn else "",
    }


async def check_in(
    asked: CheckIn,
    *,
    client: str | None,
    refdata: RefData,
    lists: Lists,
    ids: ReportIds,
    helpers: Mapping[str, Sequence[Mapping[str, str]]],
    now: datetime,
) -> dict[str, Any]:
    """
    Args:
        client: its address, to look up its network; it goes no further.
        helpers: as of `test_helpers`.
    """
    seen = whereabouts(refdata, client or "")
    cc = asked.probe_cc.upper() if CC.fullmatch(asked.probe_cc.upper()) else "ZZ"
    asn = asked.probe_asn.upper() if ASN.fullmatch(asked.probe_asn.upper()) else "AS0"
    # What the probe says goes: its way to us may be another than the one that it measures.
    if cc == "ZZ" and asn == "AS0":
        cc, asn = seen["cc"], f"AS{seen['asn']}"
    web = asked.web_connectivity or WebConnectivity()
    codes = web.category_codes
    most = MOST if asked.run_type == "manual" else CHARGING if asked.charging else ON_BATTERY
    wanted = categories(codes.split(",") if isinstance(codes, str) else codes)
    known = cc if cc.isalpha() else "ZZ"
    pages = await lists.pages(country(known), wanted, most)
    tests: dict[str, dict[str, Any]] = {
        test: {"report_id": ids.open(test, cc, asn[2:], now)} for test in TESTS
    }
    tests["web_connectivity"]["urls"] = [page._asdict() for page in pages]
    if lists.reason:
        tests["web_connectivity"]["reason"] = lists.reason
    return {
        "v": 1,
        "probe_cc": seen["cc"],
        "probe_asn": f"AS{seen['asn']}",
        "probe_network_name": seen["as_name"],
        "utc_time": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "conf": {"features": FEATURES, "test_helpers": helpers},
        "tests": tests,
    }


def bouncer(
    asked: Sequence[Mapping[str, Any]],
    base: str,
    helpers: Mapping[str, Sequence[Mapping[str, str]]],
) -> dict[str, Any]:
    """Where old clients are sent to: here, for everything.

    Args:
        asked: the tests that a client wants to run.
        base: URL of this server.
    """
    kinds = {"https": "https", "http": "http"}
    alternate = [{"type": kinds[base.partition(":")[0]], "address": base}]
    first = {kind: found[0]["address"] for kind, found in helpers.items() if found}
    alternates = {kind: list(found) for kind, found in helpers.items()}
    return {
        "net-tests": [
            {
                "name": one.get("name"),
                "version": one.get("version"),
                "input-hashes": None,
                "collector": base,
                "collector-alternate": alternate,
                "test-helpers": first,
                "test-helpers-alternate": alternates,
            }
            for one in asked
        ]
    }
