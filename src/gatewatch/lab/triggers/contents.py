"""What a trigger listens for in a flow, one condition for each kind of message."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import Protocol

from gatewatch.lab.flows import Stream
from gatewatch.lab.rules import Trigger
from gatewatch.lab.triggers.looks import LOOKS
from gatewatch.lab.triggers.names import Names
from gatewatch.lab.triggers.reading import Reading

QUIC_V1 = b"\x00\x00\x00\x01"
QUIC_SIZE_MIN = 1_001
"Payload bytes: Xue et al., TSPU: Russia's Decentralized Censorship System, IMC 2022, section 5."


class Condition(Protocol):
    """One of the things that must be said in a flow before its trigger goes off."""

    def hears(self, reading: Reading) -> str | None:
        """What the packet last read holds that was listened for: a name, a keyword."""
        ...

    def over(self, reading: Reading) -> bool:
        """Whether it cannot be heard any more."""
        ...


class Asked:
    """A DNS question."""

    def __init__(self, trigger: Trigger) -> None:
        self._names = Names(trigger.dns) if trigger.dns else None
        self._types = frozenset(trigger.dns_types)

    def hears(self, reading: Reading) -> str | None:
        for asked, _ in reading.questions:
            if (self._names is None or asked.name in self._names) and (
                not self._types or asked.type in self._types
            ):
                return asked.name
        return None

    def over(self, reading: Reading) -> bool:
        return reading.no_more_questions


class Requested:
    """An HTTP request in clear."""

    def __init__(self, trigger: Trigger) -> None:
        self._hosts = Names(trigger.host) if trigger.host else None
        globs = "|".join(map(translate, trigger.url))
        self._urls = re.compile(globs) if globs else None

    def hears(self, reading: Reading) -> str | None:
        request = reading.request
        if request is None:
            return None
        if self._hosts is not None and request.host not in self._hosts:
            return None
        host = request.host or ""
        if self._urls is None:
            return host
        url = host + request.path
        return url if self._urls.match(url) else None

    def over(self, reading: Reading) -> bool:
        return reading.no_more_requests


class Greeted:
    """A TLS ClientHello, over TCP for `sni`, in QUIC for `quic_sni`, either for the rest."""

    def __init__(self, trigger: Trigger) -> None:
        self._tls = Names(trigger.sni) if trigger.sni else None
        self._quic = Names(trigger.quic_sni) if trigger.quic_sni else None
        self._ech, self._esni = trigger.ech, trigger.esni

    def hears(self, reading: Reading) -> str | None:
        hello = reading.hello
        if hello is None:
            return None
        fits = (
            (self._tls is None or (not reading.over_quic and hello.sni in self._tls))
            and (self._quic is None or (reading.over_quic and hello.sni in self._quic))
            and (hello.ech or not self._ech)
            and (hello.esni or not self._esni)
        )
        return (hello.sni or "no name") if fits else None

    def over(self, reading: Reading) -> bool:
        return reading.no_more_hellos


class Initiated:
    """A large QUIC version 1 Initial."""

    def hears(self, reading: Reading) -> str | None:
        initial = reading.initial
        fits = len(initial) >= QUIC_SIZE_MIN and initial[1:5] == QUIC_V1
        return "QUIC version 1" if fits else None

    def over(self, reading: Reading) -> bool:
        return reading.no_more_hellos


class Said:
    """A byte string in what one side sends."""

    def __init__(self, keywords: tuple[str, ...], *, by_server: bool) -> None:
        self._words = [(word, word.encode()) for word in keywords]
        self._by_server = by_server

    def _stream(self, reading: Reading) -> Stream:
        return reading.answered if self._by_server else reading.sent

    def hears(self, reading: Reading) -> str | None:
        stream = self._stream(reading)
        for word, wanted in self._words:
            since = max(0, stream.grown_from - len(wanted) + 1)
            if stream.data.find(wanted, since) >= 0:
                return word
        return None

    def over(self, reading: Reading) -> bool:
        return self._stream(reading).full


class Looked:
    """A first payload of a certain look."""

    def __init__(self, trigger: Trigger) -> None:
        self._looks = trigger.look

    def hears(self, reading: Reading) -> str | None:
        return next((look for look in self._looks if LOOKS[look](reading)), None)

    def over(self, reading: Reading) -> bool:
        # Tor's look is that of a whole ClientHello, which may take more than one segment.
        return reading.started and ("tor" not in self._looks or reading.no_more_hellos)


def conditions(trigger: Trigger) -> list[Condition]:
    """What must be heard, all of it; empty where the ends of the flow decide alone."""
    found: list[Condition] = []
    if trigger.dns or trigger.dns_types:
        found.append(Asked(trigger))
    if trigger.host or trigger.url:
        found.append(Requested(trigger))
    if trigger.sni or trigger.quic_sni or trigger.ech or trigger.esni:
        found.append(Greeted(trigger))
    if trigger.quic:
        found.append(Initiated())
    if trigger.keyword:
        found.append(Said(trigger.keyword, by_server=False))
    if trigger.answer_keyword:
        found.append(Said(trigger.answer_keyword, by_server=True))
    if trigger.look:
        found.append(Looked(trigger))
    return found
