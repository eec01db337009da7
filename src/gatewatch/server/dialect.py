"""The vocabulary of OONI's test helper: how it calls failures, and which numbers it uses.

Its API is older than the probe's: names, connects and pages fail in words of the Twisted library;
TLS and QUIC, added later, fail in the probe's own. Whoever answers as the helper does, for real or
in a simulation, takes the words from here.
"""

from __future__ import annotations

GREETING = {"message": "Hello OONItarian!"}
"What a GET is answered with; OONI's own helper says the same."

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"The helper's HTTP client also follows 303, which the probe does not."
MAX_REDIRECTS = 10
BODY_LIMIT = 1 << 24
"Bytes of a page that the helper reads."
COPIED = ("accept", "accept-language", "user-agent")
"Request headers that the helper takes over from the question."

RESOLVED_BY_PROBE, RESOLVED_HERE, BOGON, VALID = 1, 2, 4, 8
"Flags of `ip_info`; valid is an address that holds the name's certificate."

# What is in no table is `unknown_error`, or `connect_error` for TCP.
DNS_DIALECT = {
    "dns_nxdomain_error": "dns_name_error",
    "dns_servfail_error": "dns_server_failure",
    "dns_no_answer": None,
}
TCP_DIALECT = {
    "generic_timeout_error": "generic_timeout_error",
    "connection_refused": "connection_refused_error",
}
HTTP_DIALECT = {
    **TCP_DIALECT,
    "dns_nxdomain_error": "dns_lookup_error",
    "dns_no_answer": "dns_lookup_error",
    "dns_servfail_error": "dns_lookup_error",
}


def dns_failure(failure: str | None) -> str | None:
    """
    >>> dns_failure("dns_nxdomain_error"), dns_failure("dns_no_answer"), dns_failure(None)
    ('dns_name_error', None, None)
    """
    return failure and DNS_DIALECT.get(failure, "unknown_error")


def tcp_failure(failure: str | None) -> str | None:
    """
    >>> tcp_failure("connection_refused"), tcp_failure("host_unreachable")
    ('connection_refused_error', 'connect_error')
    """
    return failure and TCP_DIALECT.get(failure, "connect_error")


def http_failure(failure: str | None) -> str | None:
    """
    >>> http_failure("dns_nxdomain_error"), http_failure("ssl_invalid_hostname")
    ('dns_lookup_error', 'unknown_error')
    """
    return failure and HTTP_DIALECT.get(failure, "unknown_error")
