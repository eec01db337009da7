"""This machine, for the commands that measure: its seat, its spool, and its user's consent."""

from __future__ import annotations

import os
import ssl
import sys
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from gatewatch.cli.exits import UsageFault
from gatewatch.cli.session import Session
from gatewatch.model.target import is_address
from gatewatch.probe.machine import UNKNOWN_COUNTRY
from gatewatch.probe.seat import Anchor, Control, Seat
from gatewatch.probe.spool import Spool
from gatewatch.probe.whereabouts import Network, settled

CONSENT = "GATEWATCH_CONSENT"
"Environment variable that stands for `--yes`."
OONI_HELPERS = tuple(f"https://{n}.th.ooni.org/" for n in range(4))
"OONI's public test helpers, as its backend lists them (/api/v1/test-helpers)."


def consented(session: Session, text: str, *, yes: bool, act: str = "measured") -> None:
    """Say what will happen, and go on only if the user wants it.

    Args:
        act: what is then not done.

    Raises:
        UsageFault: nobody is there to ask, or the answer is no.
    """
    if yes or os.environ.get(CONSENT, "").lower() in ("1", "yes"):
        session.detail(text)
        return
    print(text, file=sys.stderr)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageFault(f"nothing is {act} without consent: give --yes, or {CONSENT}=yes")
    print("\nGo on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageFault(f"not {act}")


def spool_at(given: Path | None) -> Spool:
    """The spool named, or the user's."""
    from platformdirs import user_data_path

    return Spool(given or user_data_path("gatewatch", appauthor=False) / "probe")


def placed(session: Session, seat: Seat) -> Seat:
    """The seat in its network, which its public address tells; the address is kept secret."""

    def network_of(found: str) -> Network:
        asn = session.refdata.asn_of(found)
        name = session.refdata.network_name(asn) if asn else None
        return Network(asn, session.refdata.country_of(found), name)

    seat, address = settled(seat, network_of)
    if address is None:
        session.say("nobody tells under which address this machine is seen from outside")
    session.detail(f"measuring from AS{seat.asn} in {seat.country}")
    return seat


def asn_of(text: str | None) -> int:
    """
    >>> asn_of("AS137"), asn_of("137"), asn_of(None)
    (137, 137, 0)
    """
    if text is None:
        return 0
    digits = text.upper().removeprefix("AS")
    if not (digits.isascii() and digits.isdigit() and int(digits) < 2**32):
        raise UsageFault(f"--asn is {text!r}; a number such as AS137 is wanted")
    return int(digits)


def country_of(text: str | None) -> str:
    """
    >>> country_of("it"), country_of(None)
    ('IT', 'ZZ')
    """
    if text is None:
        return UNKNOWN_COUNTRY
    if not (len(text) == 2 and text.isascii() and text.isalpha()):
        raise UsageFault(f"--country is {text!r}; a code of two letters such as IT is wanted")
    return text.upper()


def trusted(ca: Path | None) -> Path | None:
    """The same file, once it is known to be one of authorities."""
    if ca is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
    except OSError as error:  # of which ssl's is a kind
        why = error.strerror or "no certificates"
        raise UsageFault(
            f"--ca is {str(ca)!r} ({why}); a PEM file of certificates is wanted"
        ) from None
    return ca


def controls_of(text: str) -> list[Control]:
    """Control vantages from an option: a URL, or a name for known ones.

    >>> [control.url for control in controls_of("https://th.example.net:4443")]
    ['https://th.example.net:4443/']
    """
    if text == "ooni":
        return [one for url in OONI_HELPERS for one in controls_of(url)]
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if not host or parts.scheme not in ("http", "https"):
        raise UsageFault(f"--control is {text!r}; a URL such as https://th.example.net/ is wanted")
    scheme = "http" if parts.scheme == "http" else "https"
    return [
        Control(
            name=host,
            address=host if is_address(host) else None,
            port=port or {"http": 80, "https": 443}[scheme],
            scheme=scheme,
            path=parts.path or "/",
        )
    ]


def anchor_of(text: str) -> Anchor:
    """
    >>> anchor_of("anchor.example.net=192.0.2.1")
    Anchor(name='anchor.example.net', address='192.0.2.1')
    """
    name, _, address = text.partition("=")
    if not name or not is_address(address):
        raise UsageFault(f"--anchor is {text!r}; NAME=ADDRESS is wanted")
    return Anchor(name=name, address=str(ip_address(address)))
