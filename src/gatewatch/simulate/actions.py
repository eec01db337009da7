"""What censors do, as changes to a `Network`: one function per documented kind of interference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gatewatch.simulate.certificates import issued
from gatewatch.simulate.network import Answer, Handshake, Page, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one censor does about one host."""

    changes: Mapping[str, Any]
    "Fields of `Network` to extend."
    clear: tuple[str, ...] = ()
    "Mechanisms that a URL in clear meets; none: it opens."
    secure: tuple[str, ...] = ()
    "Mechanisms that a URL over TLS meets."
    own_resolver: bool = False
    "Only users of the ISP's resolver meet it."


Action = Callable[[str, tuple[str, ...]], Effect]
"""Host and its true addresses → effect."""


def _dns(answer: Answer, *mechanisms: str, everywhere: bool, server: Server | None) -> Action:
    def act(host: str, addresses: tuple[str, ...]) -> Effect:
        field = "cleartext_names" if everywhere else "isp_names"
        changes: dict[str, Any] = {field: {host: answer}}
        if server is not None:
            changes["servers"] = dict.fromkeys(answer.addresses, server)
        return Effect(
            changes=changes, clear=mechanisms, secure=mechanisms, own_resolver=not everywhere
        )

    return act


def answers(
    *addresses: str, mechanism: str, server: Server | None = None, everywhere: bool = True
) -> Action:
    """False addresses, to every question in clear or from the ISP's resolver alone."""
    answer = Answer(addresses=addresses)
    return _dns(answer, mechanism, everywhere=everywhere, server=server)


def denies(failure: str, mechanism: str, *, everywhere: bool = False) -> Action:
    """A failure in place of an answer."""
    return _dns(Answer(failure=failure), mechanism, everywhere=everywhere, server=None)


def races(pool: Mapping[str, Server]) -> Action:
    """Forged addresses out of `pool` come first, and the truth after them."""
    order = tuple(pool)

    def act(host: str, addresses: tuple[str, ...]) -> Effect:
        start = len(host) % len(order)
        first, second = order[start], order[(start + 1) % len(order)]
        return Effect(
            changes={
                "isp_names": {host: Answer(addresses=(first,))},
                "udp_names": {host: Answer(addresses=(second,), late=(first, addresses[0]))},
                "servers": {a: pool[a] for a in (first, second)},
            },
            clear=("dns.injection",),
            secure=("dns.injection",),
        )

    return act


def cuts(failure: str, clear: str, secure: str) -> Action:
    """The name in a handshake or a request ends the connection."""

    def act(host: str, addresses: tuple[str, ...]) -> Effect:
        return Effect(
            changes={
                "tampered_tls": {host: Handshake(failure=failure)},
                "tampered_http": {host: Page(failure=failure)},
            },
            clear=(clear,),
            secure=(secure,),
        )

    return act


def shows(page: Page, *mechanisms: str, tls: str | None = None) -> Action:
    """A page in place of the answer in clear; with `tls`, handshakes end with that failure."""

    def act(host: str, addresses: tuple[str, ...]) -> Effect:
        changes: dict[str, Any] = {"tampered_http": {host: page}}
        if tls:
            changes["tampered_tls"] = {host: Handshake(failure=tls)}
        return Effect(changes=changes, clear=mechanisms, secure=("tls",) if tls else ())

    return act


def unreachable(failure: str, *mechanisms: str) -> Action:
    """Every true address is cut off."""

    def act(host: str, addresses: tuple[str, ...]) -> Effect:
        return Effect(
            changes={"blocked_connects": dict.fromkeys(addresses, failure)},
            clear=mechanisms,
            secure=mechanisms,
        )

    return act


def intercepts(authority: str, organisation: str) -> Action:
    """Handshakes are answered with a certificate of an authority nobody trusts."""

    def act(host: str, addresses: tuple[str, ...]) -> Effect:
        chain = issued(host, authority, organisation=organisation)
        return Effect(
            changes={
                "tampered_tls": {host: Handshake(failure="ssl_unknown_authority", chain=chain)}
            },
            secure=("tls.mitm.ca_signed",),
        )

    return act
