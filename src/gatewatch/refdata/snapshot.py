"""Everything known beforehand, asked in one place: `load()`, then its methods.

Each dataset is read, verified and indexed when first asked about, once. What is in force is what
`update` installed, and for the rest what the package brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property, lru_cache
from hashlib import sha256
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import urlsplit

from gatewatch.model.errors import NoData, NotFound
from gatewatch.model.target import Target, canonical_host, endpoint_of
from gatewatch.refdata.bogons import Bogons, is_loopback, read_bogons
from gatewatch.refdata.endpoints import Endpoints, read_endpoints
from gatewatch.refdata.fingerprints import read_own, read_public
from gatewatch.refdata.matcher import Matcher, Skipped, matcher_for
from gatewatch.refdata.nouns import Dataset, Fingerprint, Service
from gatewatch.refdata.ranges import AddressMap, letters_of, unpack
from gatewatch.refdata.services import Services, read_services
from gatewatch.refdata.store import Snapshot, embedded, installed
from gatewatch.refdata.suffixes import FILE as SUFFIX_FILE
from gatewatch.refdata.suffixes import Suffixes, bundled, read_suffixes
from gatewatch.refdata.testlists import Listed, TestLists, read_lists

DATASETS = (
    "networks",
    "countries",
    "fingerprints",
    "fingerprints_http",
    "fingerprints_dns",
    "test_lists",
    "suffixes",
    "bogons",
    "services",
    "endpoints",
)
ASKED = ("endpoints",)
"Whom the probe asks: they bear on no answer of ours, and a new table makes no verdict old."
DATED = ("networks", "countries")
"Sets of which earlier snapshots answer for earlier days."
TARGETS_MAX = 1 << 17
ADDRESSES_MAX = 1 << 20


class RefData:
    """What is known beforehand; safe to share between threads, cheap to send to a process."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = directory
        history = {name: [one] for name, one in embedded().items()}
        history["suffixes"] = [bundled()]
        if directory is not None:
            for name, snapshots in installed(directory).items():
                if name in DATASETS:
                    history.setdefault(name, []).extend(snapshots)
        self._history = history
        self._maps: dict[str, AddressMap] = {}
        self._known: dict[str, dict[str, int]] = {}

    def __reduce__(self) -> tuple[type[RefData], tuple[Path | None]]:
        return RefData, (self.directory,)

    @cached_property
    def version(self) -> str:
        """Newest date in force, and a digest of every dataset that can bear on an answer."""
        lines = [
            f"{name} {snapshot.dataset.sha256}\n"
            for name in DATASETS
            if name not in ASKED
            for snapshot in self._history.get(name, [])[0 if name in DATED else -1 :]
        ]
        newest = max(dataset.date for dataset in self.datasets())
        return f"{newest}.{sha256(''.join(lines).encode()).hexdigest()[:8]}"

    def datasets(self) -> list[Dataset]:
        """What is in force, in a fixed order."""
        return [self._history[name][-1].dataset for name in DATASETS if name in self._history]

    # Addresses

    def asn_of(self, address: str, at: date | None = None) -> int | None:
        """The network that announces an address; None when unknown, or not an address.

        Args:
            at: answer from the newest snapshot not after that day, else from the oldest.
        """
        return self.asns_of([address], at)[0]

    def asns_of(self, addresses: Sequence[str], at: date | None = None) -> list[int | None]:
        """As `asn_of`, for many addresses at once."""
        return [value or None for value in self._values("networks", addresses, at)]

    def country_of(self, address: str, at: date | None = None) -> str | None:
        """The country an address is registered in, ISO 3166: not where its machine stands."""
        value = self._values("countries", [address], at)[0]
        return letters_of(value) if value else None

    def network_name(self, asn: int) -> str | None:
        """Name of a network as its registrant gave it."""
        return self._names.get(asn)

    def is_bogon(self, address: str) -> bool:
        """Can no public host have this address? True also for what is no address.

        IPv6 forms that carry an IPv4 bogon (6to4, Teredo) are bogons as well.
        """
        return self._bogons.holds(address)

    def is_loopback(self, address: str) -> bool:
        """Does the address lead back to the machine itself?"""
        return is_loopback(address)

    # Fingerprints

    def injected_answer(self, address: str) -> Fingerprint | None:
        """The known injected or block-page answer that this address, or CNAME, is."""
        canonical = canonical_host(address)
        if canonical is None:
            return None
        if canonical.startswith("::ffff:"):
            # A filtering resolver's answer to an AAAA question: its IPv4 address, mapped.
            canonical = str(IPv6Address(canonical).ipv4_mapped or canonical)
        exact, prefixes = self._answers
        found = exact.get(canonical)
        if found is None:
            found = next((one for one in prefixes if canonical.startswith(one.pattern)), None)
        return found

    def match_page(self, body: str, headers: list[tuple[str, str]], title: str | None) -> list[str]:
        """Ids of all fingerprints that a page shows, known false positives (`fp`) among them.

        Args:
            body: as decoded, with replacement where it could not be.
            headers: name and value, names in any case.
            title: text of the title, None when there is none.
        """
        return self._matcher.match(body, headers, title)

    def fingerprint(self, id: str) -> Fingerprint:
        """The fingerprint of that id.

        Raises:
            NotFound: when none in force has it.
        """
        try:
            return self._fingerprints[id]
        except KeyError:
            raise NotFound(f"no fingerprint {id!r} in reference data {self.version}") from None

    def fingerprints(self) -> list[Fingerprint]:
        """All in force, our own first."""
        return list(self._fingerprints.values())

    def skipped_patterns(self) -> list[Skipped]:
        """Fingerprints in force whose pattern does not compile, so that they never match."""
        return self._matcher.skipped

    # Targets

    def target_of(self, given: str) -> Target | None:
        """The canonical names of a URL, or of a host with or without port and path; else None.

        >>> load().target_of("http://WWW.BBC.co.uk:80/persian")
        Target(url='http://www.bbc.co.uk:80/persian', host='www.bbc.co.uk', domain='bbc.co.uk', \
service='bbc')
        """
        return self._target_of(given)

    def domain_of(self, host: str) -> str | None:
        """The registrable domain of a host; None for an address, and for what is no host."""
        target = self.target_of(host)
        return target and target.domain

    def service(self, id: str) -> Service:
        """The service of that id.

        Raises:
            NotFound: when there is none.
        """
        return self._services.get(id)

    def services(self) -> list[Service]:
        return self._services.all()

    def endpoints(self) -> Endpoints:
        """Whom the tests of messengers, circumvention and middleboxes talk to."""
        return self._endpoints

    def category_of(self, url_or_host: str) -> str | None:
        """Category code of the test lists; None when not listed, or no lists are installed."""
        return self._test_lists.category_of(url_or_host) if self._test_lists else None

    def listed(self) -> list[Listed]:
        """Every row of the test lists; none when no lists are installed."""
        if "test_lists" not in self._history:
            return []
        return read_lists(_file_of(self._in_force("test_lists"), "lists.tsv"))

    # What is read when first asked for

    def _in_force(self, name: str) -> Snapshot:
        try:
            return self._history[name][-1]
        except KeyError:
            raise NoData(f"no dataset {name} is in the package or installed") from None

    def _values(self, name: str, addresses: Sequence[str], at: date | None) -> list[int]:
        snapshot = self._in_force(name) if at is None else _as_of(self._history[name], at)
        known = self._known.setdefault(snapshot.dataset.sha256 + name, {})
        new = [address for address in dict.fromkeys(addresses) if address not in known]
        if new:
            if len(known) > ADDRESSES_MAX:
                # Not cleared in place: another thread may be reading it.
                known = {a: known[a] for a in addresses if a in known}
                self._known[snapshot.dataset.sha256 + name] = known
            known.update(zip(new, self._map(snapshot).values_of(new), strict=True))
        return [known[address] for address in addresses]

    def _map(self, snapshot: Snapshot) -> AddressMap:
        key = str(snapshot.directory) + snapshot.dataset.name
        if key not in self._maps:
            v4, v6 = (_file_of(snapshot, f"v{family}.parquet") for family in (4, 6))
            self._maps[key] = unpack(v4, v6)
        return self._maps[key]

    @cached_property
    def _names(self) -> dict[int, str]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = _file_of(self._in_force("networks"), "names.parquet")
        asns, names = pq.read_table(pa.BufferReader(content), use_threads=False).columns
        return dict(zip(asns.to_pylist(), names.to_pylist(), strict=True))

    @cached_property
    def _bogons(self) -> Bogons:
        return read_bogons(_file_of(self._in_force("bogons"), "bogons.tsv"), "bogons.tsv")[1]

    @cached_property
    def _fingerprints(self) -> dict[str, Fingerprint]:
        own = _file_of(self._in_force("fingerprints"), "fingerprints.tsv")
        rows = read_own(own, "fingerprints.tsv")[1]
        for name in ("fingerprints_http", "fingerprints_dns"):
            if name in self._history:
                content = _file_of(self._in_force(name), "fingerprints.csv")
                rows += read_public(content, name)[0]
        found: dict[str, Fingerprint] = {}
        for row in rows:
            found.setdefault(row.id, row)
        return found

    @cached_property
    def _answers(self) -> tuple[dict[str, Fingerprint], list[Fingerprint]]:
        exact: dict[str, Fingerprint] = {}
        prefixes: list[Fingerprint] = []
        for one in self._fingerprints.values():
            if one.location != "dns":
                continue
            canonical = canonical_host(one.pattern)
            if one.pattern_type == "prefix":
                prefixes.append(one)
            elif canonical is not None:
                exact.setdefault(canonical, one)
        return exact, prefixes

    @cached_property
    def _matcher(self) -> Matcher:
        names = [name for name in DATASETS if name.startswith("fingerprints")]
        used = [self._history[name][-1].dataset.sha256 for name in names if name in self._history]
        return matcher_for("".join(used), self.fingerprints())

    @cached_property
    def _suffixes(self) -> Suffixes:
        snapshot = self._in_force("suffixes")
        return read_suffixes(_file_of(snapshot, SUFFIX_FILE), SUFFIX_FILE)[2]

    @cached_property
    def _services(self) -> Services:
        content = _file_of(self._in_force("services"), "services.toml")
        return read_services(content, "services.toml")[1]

    @cached_property
    def _endpoints(self) -> Endpoints:
        content = _file_of(self._in_force("endpoints"), "endpoints.toml")
        return read_endpoints(content, "endpoints.toml")[1]

    @cached_property
    def _test_lists(self) -> TestLists | None:
        if "test_lists" not in self._history:
            return None
        return TestLists(read_lists(_file_of(self._in_force("test_lists"), "lists.tsv")))

    @cached_property
    def _target_of(self):
        return lru_cache(maxsize=TARGETS_MAX)(self._find_target)

    def _find_target(self, given: str) -> Target | None:
        given = given.strip()
        url: str | None = None
        if "://" in given:
            named = _canonical_url(given)
            if named is None:
                return None
            url, host = named
        else:
            bare = given.partition("/")[0]  # old inputs name pages without their scheme
            found = canonical_host(bare) or _host_before_port(bare)
            if found is None:
                return None
            host = found
        return Target(url, host, self._suffixes.domain_of(host), self._services.of_host(host))


def load(directory: Path | None = None) -> RefData:
    """The reference data in force.

    Args:
        directory: where `update` installs; each dataset in it takes the place of the one in the
            package. None, or a directory that is not there: the package's alone.

    Raises:
        DamagedData: when a manifest or a pointer cannot be read. A damaged file is found when it
            is first needed.
    """
    return RefData(directory)


def _as_of(history: list[Snapshot], day: date) -> Snapshot:
    """Of the snapshots not after the day the newest, and of those the last installed."""
    by_date = sorted(history, key=lambda one: one.dataset.date)
    before = [one for one in by_date if one.dataset.date <= day]
    return before[-1] if before else by_date[0]


def _file_of(snapshot: Snapshot, name: str) -> bytes:
    inside = f"{snapshot.dataset.name}/{name}"
    return snapshot.read(inside if inside in snapshot.files else name)


def _canonical_url(given: str) -> tuple[str, str] | None:
    """The URL with scheme and host in canonical spelling and all else as given; and the host."""
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    endpoint = endpoint_of(given)
    host = endpoint.host if endpoint else canonical_host(parts.hostname or "")
    if host is None or (endpoint is None and scheme in ("http", "https")):
        return None
    shown = f"[{host}]" if ":" in host else host
    user, at, _ = parts.netloc.rpartition("@")
    netloc = f"{user}{at}{shown}" + (f":{port}" if port is not None else "")
    return parts._replace(scheme=scheme, netloc=netloc).geturl(), host


def _host_before_port(given: str) -> str | None:
    host, _, port = given.rpartition(":")
    return canonical_host(host) if port.isascii() and port.isdecimal() else None
