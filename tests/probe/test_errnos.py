"""Errors of the system have names that say whose fault they are."""

from __future__ import annotations

import errno

import pytest

from gatewatch.model.failure import KIND_OF, FailureKind, kind_of
from gatewatch.probe.errnos import ERRNOS, failure_of
from gatewatch.probe.net import EAI_FAILURES

BY_CAUSE = {
    FailureKind.RESET: "ECONNRESET ECONNABORTED ENETRESET",
    FailureKind.REFUSED: "ECONNREFUSED",
    FailureKind.UNREACHABLE: "EHOSTUNREACH ENETUNREACH EHOSTDOWN",
    FailureKind.TIMEOUT: "ETIMEDOUT",
    FailureKind.EOF: "EPIPE",
    FailureKind.LOCAL: (
        "EMFILE ENFILE ENOMEM ENOBUFS EACCES EPERM EBADF EINVAL EADDRINUSE EADDRNOTAVAIL"
        " EAFNOSUPPORT EISCONN EALREADY ENOTCONN EFAULT EINTR EMSGSIZE ENETDOWN ENOTSOCK"
        " EPROTONOSUPPORT EPROTOTYPE EWOULDBLOCK EDESTADDRREQ ENOPROTOOPT"
    ),
    FailureKind.UNKNOWN: "EIO EXDEV",
}


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for kind, names in BY_CAUSE.items() for name in names.split()]
)
def test_an_error_is_of_the_kind_of_its_cause(name, kind):
    failure = failure_of(OSError(getattr(errno, name), "words"))
    assert kind_of(failure.partition(":")[0]) is kind


def test_every_name_is_one_of_the_vocabulary():
    assert {*ERRNOS.values(), *EAI_FAILURES.values()} <= KIND_OF.keys()


def test_every_name_that_an_errno_can_have_has_one():
    of_the_system = (
        "address_family_not_supported address_in_use address_not_available already_connected"
        " bad_address bad_file_descriptor connection_aborted connection_already_in_progress"
        " connection_refused connection_reset destination_address_required host_unreachable"
        " interrupted invalid_argument message_size network_down network_reset"
        " network_unreachable no_buffer_space no_protocol_option not_a_socket not_connected"
        " operation_would_block permission_denied protocol_not_supported timed_out"
        " wrong_protocol_type"
    )
    assert {*of_the_system.split()} <= {*ERRNOS.values()}


def test_a_timeout_of_ours_is_another_than_that_of_the_system():
    ours, its = failure_of(TimeoutError()), failure_of(TimeoutError(errno.ETIMEDOUT, "words"))
    assert (ours, its) == ("generic_timeout_error", "timed_out")


@pytest.mark.parametrize(
    ("name", "failure"),
    [("EACCES", "host_unreachable"), ("ENOPROTOOPT", "connection_refused")],
)
def test_what_an_icmp_error_says_is_no_fault_of_the_machine(name, failure):
    error = OSError(getattr(errno, name), "words")
    assert failure_of(error, from_path=True) == failure
    assert kind_of(failure_of(error)) is FailureKind.LOCAL
