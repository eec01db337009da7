"""A decade of failure strings, in three dialects, said in one."""

from __future__ import annotations

import pytest

from gatewatch.archive.adapters.ooni_failures import failure_of, translate
from gatewatch.model.failure import KIND_OF, FailureKind, kind_of

K = FailureKind

DIALECTS = [
    # the first probe and the test helper, in Twisted's words
    ("connection_refused_error", K.REFUSED),
    ("connect_error", K.UNKNOWN),
    ("connection_lost_error", K.EOF),
    ("connection_done", K.EOF),
    ("response_never_received", K.EOF),
    ("deferred_timeout_error", K.TIMEOUT),
    ("task_timed_out", K.TIMEOUT),
    ("tcp_timed_out_error", K.TIMEOUT),
    ("dns_name_error", K.NXDOMAIN),
    ("dns_server_failure", K.SERVFAIL),
    ("dns_lookup_error", K.DNS_OTHER),
    ("dns_name_failure", K.DNS_OTHER),
    ("host_unreachable_error", K.UNREACHABLE),
    ("network_unreachable_error", K.UNREACHABLE),
    ("address_family_not_supported_error", K.LOCAL),
    ("socks_error", K.LOCAL),
    ("socks_host_unreachable", K.LOCAL),
    ("socks_connection_refused", K.LOCAL),
    ("unknown_error", K.UNKNOWN),
    # Measurement Kit
    ("ssl_error: error:14090086:SSL routines:certificate verify failed", K.CERTIFICATE),
    ("ssl_error: error:00000000:lib(0):func(0):reason(0)", K.TLS_ERROR),
    ("connection_reset_by_peer", K.RESET),
    # today's engine
    ("unknown_failure: stopped after too many redirects", K.REDIRECT),
    ("unknown_failure: read tcp [scrubbed]->[scrubbed]: connection reset by peer", K.RESET),
    ("unknown_failure: dial tcp [scrubbed]: i/o timeout", K.TIMEOUT),
    ("unknown_failure: net/http: malformed HTTP response", K.UNKNOWN),
    ("unknown_failure: dial tcp: connect: no route to host", K.UNREACHABLE),
    ("unknown_failure: context canceled", K.LOCAL),
    ("unknown_failure: 'ascii' codec can't decode byte 0xe2", K.LOCAL),
    ("unknown_failure: something new", K.UNKNOWN),
    ("android_dns_cache_no_data", K.DNS_OTHER),
]


@pytest.mark.parametrize(("words", "kind"), DIALECTS)
def test_every_dialect_is_said_in_the_one_vocabulary(words: str, kind: FailureKind):
    code, said = translate(words)
    assert code in KIND_OF
    assert kind_of(code) is kind
    assert said == (None if code == words else words)


@pytest.mark.parametrize("code", sorted(KIND_OF))
def test_a_code_of_the_vocabulary_is_left_as_it_is(code: str):
    assert translate(code) == (code, None)
    assert translate(f" {code}\n")[0] == code


@pytest.mark.parametrize("success", [None, False, ""])
def test_null_false_and_nothing_are_success(success: object):
    assert failure_of(success) == (None, None)


@pytest.mark.parametrize("odd", [True, 0, 1.5, [], {}, ["eof_error"], 10**30])
def test_a_failure_that_is_no_text_is_unknown_and_kept_in_words(odd: object):
    code, words = failure_of(odd)
    assert code == "unknown_failure"
    assert words


def test_a_failure_as_long_as_a_book_is_cut():
    code, words = translate("unknown_failure: " + "x" * 1_000_000)
    assert code == "unknown_failure"
    assert words is not None
    assert len(words) <= 500
