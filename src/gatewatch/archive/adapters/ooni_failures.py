"""The failure strings of a decade of OONI software, in the one vocabulary of `model.failure`.

Three dialects: today's Go engine (which the vocabulary follows), Measurement Kit, and the
Twisted one of the first probe, which the test helper still speaks. Failure strings with a
prefix (`unknown_failure: …`, `ssl_error: …`) are told by what follows.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gatewatch.model.failure import KIND_OF

_LEGACY = {
    "address_family_not_supported_error": "address_family_not_supported",
    "connection_refused_error": "connection_refused",
    "connection_reset_by_peer": "connection_reset",
    "connection_done": "eof_error",
    "connection_lost_error": "eof_error",
    "response_never_received": "eof_error",
    "deferred_timeout_error": "generic_timeout_error",
    "task_timed_out": "generic_timeout_error",
    "tcp_timed_out_error": "generic_timeout_error",
    "dns_name_error": "dns_nxdomain_error",
    "dns_name_failure": "dns_lookup_error",
    "dns_server_failure": "dns_servfail_error",
    "http_invalid_redirect_url": "http_invalid_redirect_location_host",
    "host_unreachable_error": "host_unreachable",
    "network_unreachable_error": "network_unreachable",
}

_PATTERNS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern, re.IGNORECASE), code)
    for pattern, code in (
        (r"too many redirects|redirection limit", "http_too_many_redirects"),
        (r"codec can't (de|en)code|unicode\w*error", "probe_encoding_error"),
        (r"certificate verify failed", "ssl_invalid_certificate"),
        (r"^ssl_error", "ssl_failed_handshake"),
        (r"^socks_", "socks_error"),
        (r"connection reset", "connection_reset"),
        (r"connection refused", "connection_refused"),
        (r"i/o timeout|deadline exceeded|timed out", "generic_timeout_error"),
        (r"network is unreachable", "network_unreachable"),
        (r"no route to host", "host_unreachable"),
        (r"no such host", "dns_nxdomain_error"),
        (r"malformed HTTP|invalid header|protocol error", "http_request_failed"),
        (r"context canceled", "interrupted"),
    )
]


@lru_cache(maxsize=4096)
def translate(words: str) -> tuple[str, str | None]:
    """A failure string in our vocabulary, and the string itself where it says more.

    >>> translate("connection_refused_error")
    ('connection_refused', 'connection_refused_error')
    >>> translate("connection_reset")
    ('connection_reset', None)
    >>> translate("unknown_failure: stopped after too many redirects")[0]
    'http_too_many_redirects'
    """
    words = words.strip()
    if words in KIND_OF:
        return words, None
    if words in _LEGACY:
        return _LEGACY[words], words
    shown = words[:500]
    for pattern, code in _PATTERNS:
        if pattern.search(words):
            return code, shown
    return "unknown_failure", shown


def failure_of(value: object) -> tuple[str | None, str | None]:
    """A `failure` field as found: null and the `false` of old reports are success.

    >>> failure_of(False), failure_of(None), failure_of("eof_error")
    ((None, None), (None, None), ('eof_error', None))
    """
    if value is None or value is False or value == "":
        return None, None
    if isinstance(value, str):
        return translate(value)
    return "unknown_failure", f"{type(value).__name__} where a string is wanted"
