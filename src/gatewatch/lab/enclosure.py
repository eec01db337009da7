"""A tree of processes that is gone, whole, as soon as its root or whoever started it is gone.

The root is the first process of a PID namespace: when it ends, the kernel kills all the others,
however they were started and whatever they ignore. It is killed itself when its starter dies,
also by SIGKILL. Its mounts are its own, none of them is in the network namespace that it was
started from, and an ordinary user gets a user namespace around it all.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator

import msgspec

from gatewatch.lab.namespaces import (
    CLONE_NEWNET,
    CLONE_NEWPID,
    CannotSeal,
    become_root_of_new_user_namespace,
    mount_proc,
    private_mounts,
    unshare,
)

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

IGNORED = (signal.SIGINT, signal.SIGPIPE)
"""Within: the terminal's interrupt is for whoever started it all, and a peer that is gone, which
is what censors make of peers, is an error to handle and not a reason to die."""

Tell = Callable[[object], None]
"Sends one message, anything that JSON can hold, to whoever started the enclosure."


def spawn(work: Callable[[], int | None]) -> int:
    """Fork a process that does `work` and ends, at the latest when this one ends; its PID."""
    parent = os.pidfd_open(os.getpid())
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        os.close(parent)
        return child
    code = 1
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if not has_ended(parent):  # a parent that ended before we asked does not tell us
            os.close(parent)
            code = work() or 0
    except BaseException:  # noqa: BLE001 - nothing may run on in a fork of our caller
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def has_ended(pidfd: int) -> bool:
    """Whether a process has, whichever PID namespace it is seen from."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


class Enclosure:
    """Runs `work` enclosed; iterate over it for the messages that `work` sends.

    Args:
        work: given a function that sends messages; its result is the exit status.
        namespaces: without them it is an ordinary process: its children are told to end with
            it, and those that it did not fork itself may not.
    """

    def __init__(self, work: Callable[[Tell], int | None], *, namespaces: bool = True) -> None:
        self._messages, sending = os.pipe()
        # The terminal's interrupt is for the starter, who ends the rest; not even a fork that
        # has just begun may take it for its own.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.pid = spawn(lambda: _outer(work, sending, self._messages, namespaces))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(sending)
        self.status: int | None = None
        "Exit status, once it has ended; negative is a signal."

    def __iter__(self) -> Iterator[object]:
        with os.fdopen(os.dup(self._messages), "rb") as lines:
            for line in lines:
                message = msgspec.json.decode(line)
                if isinstance(message, dict) and "cannot_seal" in message:
                    raise CannotSeal(message["cannot_seal"])
                yield message
        self.wait()

    def wait(self) -> int:
        """Wait for the end; the exit status."""
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def __enter__(self) -> Enclosure:
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
        while os.read(self._messages, 1 << 16):
            continue  # until the last of its forks is gone, and writes to no folder of ours
        os.close(self._messages)


def _give_up_rights_outside() -> None:
    """Enter a user namespace; root can do without where there are none, and is then on its honour.

    Raises:
        CannotSeal: an ordinary user needs one.
    """
    try:
        become_root_of_new_user_namespace()
    except CannotSeal:
        if os.geteuid() != 0:
            raise


def _outer(work: Callable[[Tell], int | None], sending: int, reading: int, namespaces: bool) -> int:
    """The process between: in the new namespaces' parent, so that a fork is their first process."""
    os.close(reading)
    for ours in IGNORED:
        signal.signal(ours, signal.SIG_IGN)
    for theirs in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(theirs, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def tell(message: object) -> None:
        os.write(sending, msgspec.json.encode(message) + b"\n")

    if not namespaces:
        return work(tell) or 0
    try:
        _give_up_rights_outside()
        private_mounts()
        unshare(CLONE_NEWNET, "network namespace")  # worlds make their own; here is nothing
        unshare(CLONE_NEWPID, "PID namespace")
    except (CannotSeal, OSError) as error:
        tell({"cannot_seal": str(error)})
        return 1

    def first() -> int:
        mount_proc()
        try:
            return work(tell) or 0
        except CannotSeal as error:
            tell({"cannot_seal": str(error)})
            return 1

    root = spawn(first)
    os.close(sending)
    return os.waitstatus_to_exitcode(os.waitpid(root, 0)[1]) & 0xFF
