"""Can this system hold a full lab? The only sure way to know is to make one and throw it away."""

from __future__ import annotations

from gatewatch.lab.enclosure import Enclosure, Tell
from gatewatch.lab.namespaces import CannotSeal, Namespace, Tun, furnish_machine, furnish_world

_NOWHERE = ("192.0.2.1", "2001:db8::1")


def why_not() -> str | None:
    """What the system lacks for a full lab, in words; None: nothing."""
    try:
        with Enclosure(_make) as enclosure:
            for _ in enclosure:
                continue
            return None if enclosure.status == 0 else "a trial of it ended early"
    except CannotSeal as lacking:
        return str(lacking)


def _make(tell: Tell) -> None:
    for furnish in (lambda: furnish_machine(_NOWHERE), furnish_world):
        Tun(Namespace(), "trial")
        try:
            furnish()
        except OSError as error:
            raise CannotSeal(f"an interface of the lab cannot be set up: {error}") from None
