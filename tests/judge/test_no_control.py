"""Missing evidence masks, it never accuses: what nothing can be held against is not blocking."""

from __future__ import annotations

import pytest

from gatewatch.model.failure import KIND_OF
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Observed
from tests.judge.build import (
    ACCESS,
    BOGON,
    ELSEWHERE,
    HERE,
    HTTP,
    HTTPS,
    LOOPBACK,
    TWIN,
    as_control,
    connect,
    exchange,
    handshake,
    lookup,
    observed,
    plain_path,
    redirect,
    unanswered,
    verdict,
)
from tests.judge.rule_cases import stopped_at

FAILURES = [*KIND_OF, "a failure nobody has met before"]
LAYERS = ("dns", "tcp", "tls", "http")


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("layer", LAYERS)
def test_no_failure_at_any_layer_is_blocking_when_no_control_tells(layer: str, failure: str):
    url = HTTP if layer == "http" else HTTPS
    for helper in (None, "generic_timeout_error"):
        seen = observed(stopped_at(layer, failure), input=url, control_failure=helper)
        assert verdict(seen).outcome == Outcome.UNCLEAR


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("layer", LAYERS)
def test_nor_beyond_a_redirect(layer: str, failure: str):
    url = ("http" if layer == "http" else "https") + "://next.example/"
    port = 80 if layer == "http" else 443
    steps = {
        "dns": [lookup(failure=failure, host="next.example", hop=1)],
        "tcp": [lookup(TWIN, host="next.example", hop=1), connect(TWIN, port, failure, hop=1)],
        "tls": [
            lookup(TWIN, host="next.example", hop=1),
            connect(TWIN, port, hop=1),
            handshake(TWIN, failure, sni="next.example", chain="absent", hop=1),
        ],
        "http": [lookup(TWIN, host="next.example", hop=1), connect(TWIN, port, hop=1)],
    }[layer]
    last = unanswered(url, failure, address=TWIN, hop=1)
    seen = observed(lookup(HERE), connect(), redirect(HTTP, url), steps, last)
    assert verdict(seen).outcome == Outcome.UNCLEAR


@pytest.mark.parametrize("answer", [ELSEWHERE, ACCESS, BOGON, LOOPBACK, "2001:db8::9"])
@pytest.mark.parametrize(
    "then",
    [
        pytest.param([], id="nothing tried"),
        pytest.param(["connection_refused"], id="refused"),
        pytest.param(["connection_reset"], id="reset"),
        pytest.param(["generic_timeout_error"], id="timeout"),
    ],
)
def test_one_answer_that_nobody_vouches_for_is_not_blocking(answer: str, then: list[str]):
    for port, url in ((80, HTTP), (443, HTTPS)):
        seen = observed(lookup(answer), [connect(answer, port, f) for f in then], input=url)
        assert verdict(seen).outcome == Outcome.UNCLEAR


@pytest.mark.parametrize(
    "page",
    [
        pytest.param({"title": "Stop", "length": 300}, id="a short page"),
        pytest.param({"status": 403}, id="a refusal"),
        pytest.param({"status": 451}, id="unavailable for legal reasons"),
        pytest.param({"status": 503}, id="overloaded"),
        pytest.param({"fingerprints": ["vague"]}, id="vague words"),
        pytest.param({"fingerprints": ["captcha"], "status": 503}, id="a captcha"),
        pytest.param({"fingerprints": ["hotel"]}, id="a hotel's portal"),
        pytest.param({"fingerprints": ["school"]}, id="a school's filter"),
        pytest.param({"fingerprints": ["nat.any", "mistaken"]}, id="known to be mistaken"),
    ],
)
@pytest.mark.parametrize("answer", [HERE, ELSEWHERE, BOGON])
def test_no_page_but_a_known_block_page_is_blocking_without_a_control(page: dict, answer: str):
    seen = observed(lookup(answer), connect(answer), exchange(HTTP, address=answer, **page))
    assert verdict(seen).outcome != Outcome.BLOCKED


def test_a_known_block_page_needs_no_control():
    found = verdict(observed(plain_path(fingerprints=["nat.ir"])))
    assert (found.outcome, found.mechanisms) == (Outcome.BLOCKED, ["http.blockpage"])


@pytest.mark.parametrize("failure", ["dns_nxdomain_error", "connection_reset"])
def test_all_helpers_down_is_not_open_and_not_blocked(failure: str):
    layer = "dns" if failure.startswith("dns") else "http"
    found = verdict(observed(stopped_at(layer, failure), control_failure="connection_reset"))
    assert (found.outcome, found.reason) == (Outcome.UNCLEAR, Reason.NO_CONTROL)


def _half_control(*kept: str) -> Observed:
    """A reset, and of the control only some parts."""
    parts = {
        "dns": lookup(HERE, resolver="control", vantage="control"),
        "tcp": connect(vantage="control"),
        "page": as_control(exchange(HTTP)),
    }
    return observed(stopped_at("http", "connection_reset"), [parts[name] for name in kept])


@pytest.mark.parametrize("kept", [(), ("dns",), ("tcp",), ("dns", "tcp")])
def test_a_control_that_fetched_no_page_says_nothing_of_the_page(kept: tuple[str, ...]):
    assert verdict(_half_control(*kept)).outcome == Outcome.UNCLEAR
    assert verdict(_half_control(*kept, "page")).outcome == Outcome.BLOCKED


def test_an_answer_that_failed_without_a_failure_is_no_answer_of_the_control():
    """Neither a page nor a failure is on record, so the control says neither."""
    silent = as_control(exchange(HTTP, None))
    seen = observed(stopped_at("http", "connection_reset"), silent)
    assert verdict(seen).outcome == Outcome.UNCLEAR


def test_nothing_on_record_is_unclear_for_want_of_evidence():
    found = verdict(observed())
    assert (found.outcome, found.reason) == (Outcome.UNCLEAR, Reason.NO_EVIDENCE)
