"""What the true DNS of a world says: its hosts' names, and what the scenario adds to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Generic, NamedTuple, TypeVar

from msgspec.structs import replace

from gatewatch.lab.scenario import Answer, Scenario
from gatewatch.lab.triggers.names import Names

T = TypeVar("T")

MAX_CHAIN = 8
"CNAMEs followed before giving up, as resolvers do (unbound's limit is 11; ours only ends loops)."

ADDRESS_TYPES = {"A": 4, "AAAA": 6}

WHOAMI = "whoami.v4.powerdns.org"
"""Answered with the address of whoever asks the name's own servers, which is a resolver: PowerDNS
runs it, and OONI's probes find out by it who resolves for them."""


class Record(NamedTuple):
    """One resource record of an answer."""

    name: str
    type: str
    value: str
    ttl_s: int


class Reply(NamedTuple):
    """An answer to one question; `NOERROR` without records is "no such type"."""

    rcode: str = "NOERROR"
    records: tuple[Record, ...] = ()
    silent: bool = False


class Zone:
    """Every name of a world.

    Args:
        scenario: its hosts and names.
        country_of: the country of an address, for answers that depend on the asker.
    """

    def __init__(self, scenario: Scenario, country_of: Callable[[str], str | None]) -> None:
        self._hosts = ByName(_by_name(scenario))
        self._names = ByName(scenario.names)
        self._country_of = country_of
        self._asked: Counter[tuple[str, str]] = Counter()

    def reply(
        self,
        name: str,
        type: str,
        asker: str,
        own: ByName[Answer] | None = None,
        *,
        resolver: str | None = None,
    ) -> Reply:
        """What a resolver answers.

        Args:
            name: as asked, without the final dot; any case.
            asker: address of who asks, which geographic answers depend on.
            own: the resolver's own word, before the truth.
            resolver: its address; None if the asker needs no resolver.
        """
        name, chain = name.lower(), ()
        for _ in range(MAX_CHAIN):
            found = self._about(name, own or ByName({}), resolver or asker)
            if found is None:
                return Reply("NXDOMAIN", chain)
            if found.silent or found.rcode != "NOERROR":
                return Reply(found.rcode, chain, found.silent)
            if found.cname is None:
                return Reply(records=chain + self._addresses(name, type, found, asker))
            chain += (Record(name, "CNAME", found.cname, found.ttl_s),)
            name = found.cname.lower()
            if type == "CNAME":
                return Reply(records=chain)
            if found.addresses:
                return Reply(records=chain + self._addresses(name, type, found, asker))
        return Reply("SERVFAIL")

    def _about(self, name: str, own: ByName[Answer], resolver: str) -> Answer | None:
        """All that is known of a name; None if there is no such name."""
        known = self._hosts.get(name)
        said = own.get(name) or self._names.get(name)
        if said is None and known is None and name == WHOAMI:
            return Answer(addresses=(resolver,), ttl_s=0)
        if said is None:
            return None if known is None else Answer(addresses=known)
        if said.addresses or said.cname or known is None:
            return said
        return replace(said, addresses=known)

    def _addresses(self, name: str, type: str, answer: Answer, asker: str) -> tuple[Record, ...]:
        chosen = self._pick(name, type, answer, asker)
        return tuple(Record(name, type, address, answer.ttl_s) for address in chosen)

    def _pick(self, name: str, type: str, answer: Answer, asker: str) -> list[str]:
        """The addresses of the type asked for that this asker gets this time."""
        pool = answer.by_country.get(self._country_of(asker) or "", answer.addresses)
        version = ADDRESS_TYPES.get(type)
        fitting = [a for a in pool if ip_address(a).version == version]
        if not answer.rotate or len(fitting) <= answer.rotate:
            return fitting
        start = self._asked[name, type] * answer.rotate
        self._asked[name, type] += 1
        return [fitting[(start + n) % len(fitting)] for n in range(answer.rotate)]


class ByName(Generic[T]):
    """A table by names and patterns: a name's own entry comes before that of a pattern."""

    def __init__(self, table: Mapping[str, T]) -> None:
        self._exact = {name.lower(): found for name, found in table.items()}
        self._patterns = [(Names([pattern]), found) for pattern, found in table.items()]

    def get(self, name: str) -> T | None:
        """What is said of a name; of several patterns the first that fits counts.

        >>> ByName({"*.example.org": 1, "www.example.org": 2}).get("www.example.org")
        2
        """
        own = self._exact.get(name)
        if own is not None:
            return own
        return next((found for names, found in self._patterns if name in names), None)


def _by_name(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """Name or pattern → the addresses of every host that carries it, in the order given."""
    found: dict[str, tuple[str, ...]] = {}
    for host in scenario.hosts.values():
        for name in host.names:
            found[name] = found.get(name, ()) + host.addresses
    return found
