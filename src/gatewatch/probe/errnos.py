"""The errors of the operating system in OONI's vocabulary (`model/failure.py`).

Those that are the machine's own fault keep names that nobody reads as interference.
"""

from __future__ import annotations

import errno

TIMEOUT = "generic_timeout_error"
EOF = "eof_error"

ERRNOS = {
    errno.EISCONN: "already_connected",
    errno.EFAULT: "bad_address",
    errno.EBADF: "bad_file_descriptor",
    errno.EALREADY: "connection_already_in_progress",
    errno.EDESTADDRREQ: "destination_address_required",
    errno.EINTR: "interrupted",
    errno.ENOPROTOOPT: "no_protocol_option",
    errno.ENOTSOCK: "not_a_socket",
    errno.ENOTCONN: "not_connected",
    errno.EWOULDBLOCK: "operation_would_block",
    errno.EPROTONOSUPPORT: "protocol_not_supported",
    errno.EPROTOTYPE: "wrong_protocol_type",
    errno.ECONNREFUSED: "connection_refused",
    errno.ECONNRESET: "connection_reset",
    errno.ECONNABORTED: "connection_aborted",
    errno.EPIPE: EOF,  # only ever after the peer has closed
    errno.EHOSTUNREACH: "host_unreachable",
    errno.ENETUNREACH: "network_unreachable",
    errno.ENETDOWN: "network_down",
    errno.ENETRESET: "network_reset",
    errno.ETIMEDOUT: "timed_out",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EADDRNOTAVAIL: "address_not_available",
    errno.EADDRINUSE: "address_in_use",
    errno.EAFNOSUPPORT: "address_family_not_supported",
    errno.EINVAL: "invalid_argument",
    errno.EMSGSIZE: "message_size",
    **dict.fromkeys(
        # OONI has no word for files and memory that ran out; whatever it is called, it is ours.
        (errno.ENOBUFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC),
        "no_buffer_space",
    ),
}
_BY_ICMP = {
    errno.EACCES: "host_unreachable",
    errno.ENOPROTOOPT: "connection_refused",
}
"""Where an error came back from the path, what it means there: `administratively prohibited` is
EACCES in IPv6 and EHOSTUNREACH in IPv4, `protocol unreachable` is ENOPROTOOPT (linux/icmp.c)."""
if hasattr(errno, "EHOSTDOWN"):  # not on every system
    ERRNOS[errno.EHOSTDOWN] = "host_unreachable"
if hasattr(errno, "ENONET"):
    _BY_ICMP[errno.ENONET] = "host_unreachable"


class Failed(Exception):
    """A network operation that failed, which is what we came to see."""

    def __init__(self, failure: str) -> None:
        super().__init__(failure)
        self.failure = failure


def failure_of(error: OSError, *, from_path: bool = False) -> str:
    """The failure code of a system error.

    Args:
        from_path: it came back after something had been sent, and not from our own system.

    >>> failure_of(ConnectionResetError(errno.ECONNRESET, "reset"))
    'connection_reset'
    >>> refused = PermissionError(errno.EACCES, "not permitted")
    >>> failure_of(refused), failure_of(refused, from_path=True)
    ('permission_denied', 'host_unreachable')
    """
    if isinstance(error, TimeoutError) and error.errno is None:
        return TIMEOUT
    number = error.errno or 0
    if from_path and number in _BY_ICMP:
        return _BY_ICMP[number]
    name = errno.errorcode.get(number, "no errno")
    return ERRNOS.get(number, f"unknown_failure: {name}")
