"""Every test by name, and the shape of what each writes, whatever becomes of it."""

from __future__ import annotations

import json
import re
from datetime import datetime

import pytest

from gatewatch.lab.certificates import Office
from gatewatch.model.errors import NotFound
from gatewatch.probe.experiments.common.inputs import InputTest, Pace
from gatewatch.probe.experiments.registry import EXPERIMENTS, GROUPS, experiment
from gatewatch.refdata.snapshot import load
from tests.judge.reading import observe, read
from tests.probe.experiments.street import Elsewhere, Json, measured, table, with_table
from tests.probe.town import PROBE, Town

ENDPOINTS = load().endpoints()
BARE = "192.0.2.9"
"Nobody is there, and it says so."
TABLE = table(
    *(
        {"service": service, "id": kind, "protocol": protocol, "hosts": [BARE], "ports": [port]}
        for service, kind, protocol, port in (
            ("telegram", "data_center", "http_post", 80),
            ("telegram", "web", "https", 443),
            ("whatsapp", "endpoint", "tcp", 5222),
            ("whatsapp", "registration", "https", 443),
            ("whatsapp", "web", "https", 443),
            ("signal", "backend", "https", 443),
            ("messenger", "api", "tcp", 443),
            ("tor", "or_port", "tls", 9001),
            ("psiphon", "server_list", "https", 443),
            ("stun", "server", "stun", 3478),
            ("resolvers", "udp", "udp", 53),
            ("echcheck", "page", "https", 443),
            ("helpers", "tcp_echo", "tcp", 80),
            ("helpers", "http_return_json_headers", "http", 80),
            ("well_known", "tls", "https", 443),
            ("well_known", "page", "http", 80),
        )
    )
)
INPUTS = {
    "tcpping": f"tcpconnect://{BARE}:443",
    "tlsping": f"tlshandshake://{BARE}:443",
    "quicping": f"https://{BARE}/",
    "simplequicping": f"quichandshake://{BARE}:443",
    "web_connectivity": f"https://{BARE}/",
}
URLGETTER = {
    "agent", "failure", "failed_operation", "network_events", "queries", "requests",
    "tcp_connect", "tls_handshakes",
}  # fmt: skip
PINGS = {"pings", "failure"}
SHAPES: dict[str, set[str]] = {
    "telegram": URLGETTER | {"telegram_http_blocking", "telegram_tcp_blocking",
                             "telegram_web_failure", "telegram_web_status"},
    "whatsapp": URLGETTER | {"registration_server_failure", "registration_server_status",
                             "whatsapp_endpoints_blocked", "whatsapp_endpoints_dns_inconsistent",
                             "whatsapp_endpoints_status", "whatsapp_web_failure",
                             "whatsapp_web_status"},
    "signal": URLGETTER | {"signal_backend_status", "signal_backend_failure"},
    "facebook_messenger": URLGETTER | {"facebook_dns_blocking", "facebook_tcp_blocking"},
    "psiphon_fronts": URLGETTER | {"bootstrap_time"},
    "tor": {"targets", *(f"{kind}_{what}" for kind in ("dir_port", "obfs4", "or_port",
                                                       "or_port_dirauth")
                         for what in ("total", "accessible"))},
    "stunreachability": {"endpoint", "failure", "network_events", "queries"},
    "dnscheck": {"bootstrap", "bootstrap_failure", "domain", "lookups"},
    "echcheck": {"network_events", "queries", "tcp_connects", "tls_handshakes"},
    "http_invalid_request_line": {"failure_list", "received", "sent", "tampering_list",
                                  "tampering"},
    "http_header_field_manipulation": {"requests", "failure", "tampering"},
    "http_proxy": {"proxy", "cached", "added_headers"},
    "script_injection": {"injected", "scripts"},
    "tls_interception": {"intercepted", "names", "tls_handshakes"},
    "dns_proxy": {"proxy", "resolvers", "queries"},
    "tcpping": PINGS, "tlsping": PINGS, "quicping": PINGS | {"domain", "unexpected_responses"},
    "simplequicping": PINGS, "dnsping": PINGS,
    "web_connectivity": {"queries", "requests", "control"},
}  # fmt: skip
ENVELOPE = {
    "annotations", "data_format_version", "extensions", "input", "measurement_start_time",
    "probe_asn", "probe_cc", "probe_ip", "probe_network_name", "report_id", "resolver_asn",
    "resolver_ip", "resolver_network_name", "software_name", "software_version", "test_helpers",
    "test_keys", "test_name", "test_runtime", "test_start_time", "test_version",
}  # fmt: skip


async def nobody(town: Town, office: Office) -> None:
    """A town without servers: everything fails, and every record is whole."""


def of(name: str, office: Office, elsewhere: Elsewhere | None = None) -> Json:
    test = EXPERIMENTS[name]
    if name != "web_connectivity":
        test = with_table(test, TABLE)
    if isinstance(test, InputTest):
        test = with_table(test, TABLE, pace=Pace(times=2, gap_s=0.0, timeout_s=0.05))
    return measured(test, nobody, office, elsewhere=elsewhere, input=INPUTS.get(name))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_record_has_the_shape_that_ooni_gives_it(name, office):
    found = of(name, office)
    assert found.keys() >= ENVELOPE
    assert found["test_keys"].keys() >= SHAPES[name]
    assert found["test_name"] == name == EXPERIMENTS[name].name
    assert found["test_version"] == EXPERIMENTS[name].version
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["test_version"])
    datetime.strptime(found["measurement_start_time"], "%Y-%m-%d %H:%M:%S")
    assert found["input"] is None or isinstance(found["input"], str)
    assert json.loads(json.dumps(found, allow_nan=False)).keys() == found.keys()
    assert PROBE not in json.dumps(found)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "web_connectivity"])
def test_a_record_loads_and_is_no_verdict_about_a_page(name, office):
    found = {**of(name, office), "report_id": "20260301T120000Z_x_IT_137_n1_0000000000000000"}
    assert observe(found).measurement.test_name == name
    verdict = read(found)
    assert (verdict.outcome, verdict.reason) == ("unclear", "unsupported_test")


@pytest.mark.parametrize("elsewhere", [None, Elsewhere()], ids=["no control", "it fails too"])
@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if "connectivity" not in name])
def test_where_nothing_works_for_anybody_nothing_is_blocked(name, elsewhere, office):
    keys = of(name, office, elsewhere)["test_keys"]
    assert (keys.get("x_service") or {"blocked": None})["blocked"] is None
    assert (keys.get("x_ech") or {"blocked": None})["blocked"] is None
    for key in ("proxy", "injected", "intercepted"):
        assert keys.get(key) is None


@pytest.mark.parametrize("test", EXPERIMENTS.values(), ids=lambda test: test.name)
def test_a_test_says_what_it_asks_and_whom(test):
    assert test.question.endswith("?")
    contacts = test.contacts(ENDPOINTS)
    assert len(contacts) == len({*contacts})
    inputs = test.inputs(ENDPOINTS)
    if test.takes == "nothing":
        assert inputs == []
    if test.takes == "maybe":
        assert inputs
        assert contacts
    elif test.takes == "nothing":
        assert contacts


def test_groups_hold_every_test_once():
    names = [test.name for tests in GROUPS.values() for test in tests]
    assert sorted(names) == sorted(EXPERIMENTS)
    assert {*GROUPS} == {"websites", "im", "circumvention", "middlebox", "experimental"}
    assert next(test.name for test in GROUPS["im"]) == "telegram"


def test_names_that_people_try():
    assert experiment("psiphon").name == "psiphon_fronts"
    assert experiment("telegram").name == "telegram"
    with pytest.raises(NotFound, match="nonsense"):
        experiment("nonsense")
