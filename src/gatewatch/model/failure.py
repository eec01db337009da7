"""The failure vocabulary: what a network operation can end with, and where the fault shows.

The codes are the field's own (OONI's modern names); foreign dialects are translated by the
adapters, and the words as found are kept beside the code.
"""

from __future__ import annotations

from enum import StrEnum


class FailureKind(StrEnum):
    """What sort of ending a failure is, which is all that the judge looks at."""

    TIMEOUT = "timeout"
    RESET = "reset"
    REFUSED = "refused"
    EOF = "eof"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    TLS_ERROR = "tls_error"
    NXDOMAIN = "nxdomain"
    SERVFAIL = "servfail"
    DNS_REFUSED = "dns_refused"
    NO_ANSWER = "no_answer"
    DNS_OTHER = "dns_other"
    REDIRECT = "redirect"
    LOCAL = "local"
    "The fault is the probe's own: its sockets, its network, its code."
    UNKNOWN = "unknown"


_KINDS: dict[FailureKind, str] = {
    FailureKind.TIMEOUT: "generic_timeout_error timed_out",
    FailureKind.RESET: "connection_reset connection_aborted network_reset",
    FailureKind.REFUSED: "connection_refused",
    FailureKind.EOF: "eof_error connection_already_closed",
    FailureKind.UNREACHABLE: "host_unreachable network_unreachable",
    FailureKind.CERTIFICATE: "ssl_invalid_certificate ssl_invalid_hostname ssl_unknown_authority",
    FailureKind.TLS_ERROR: "ssl_failed_handshake ssl_error quic_incompatible_version",
    FailureKind.NXDOMAIN: "dns_nxdomain_error",
    FailureKind.SERVFAIL: "dns_servfail_error dns_server_misbehaving dns_temporary_failure",
    FailureKind.DNS_REFUSED: "dns_refused_error",
    FailureKind.NO_ANSWER: "dns_no_answer",
    FailureKind.DNS_OTHER: (
        "android_dns_cache_no_data dns_non_recoverable_failure dns_bogon_error"
        " dns_reply_with_wrong_query_id dns_lookup_error"
    ),
    FailureKind.REDIRECT: "http_invalid_redirect_location_host http_too_many_redirects",
    FailureKind.LOCAL: (
        "address_family_not_supported address_in_use address_not_available already_connected"
        " bad_address bad_file_descriptor connection_already_in_progress"
        " destination_address_required interrupted invalid_argument json_parse_error"
        " message_size network_down no_buffer_space no_protocol_option not_a_socket"
        " not_connected operation_would_block permission_denied protocol_not_supported"
        " wrong_protocol_type socks_error probe_encoding_error"
    ),
    FailureKind.UNKNOWN: (
        "connect_error unknown_error http_request_failed http_unexpected_status_code"
        " http_unexpected_redirect_url invalid_ca unknown_failure"
    ),
}

KIND_OF: dict[str, FailureKind] = {
    code: kind for kind, codes in _KINDS.items() for code in codes.split()
}
"""Failure code → its kind; the keys are the whole vocabulary."""


def kind_of(failure: str | None) -> FailureKind | None:
    """The kind of a failure code; None for success; UNKNOWN for a code outside the vocabulary.

    >>> kind_of("connection_reset"), kind_of(None), kind_of("no such code")
    (<FailureKind.RESET: 'reset'>, None, <FailureKind.UNKNOWN: 'unknown'>)
    """
    return None if failure is None else KIND_OF.get(failure, FailureKind.UNKNOWN)
