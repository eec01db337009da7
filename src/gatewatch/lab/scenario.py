"""A scenario: one world and its truth, read from TOML.

Networks form a tree below one core. Each has router hops, listed from its machines outwards;
packets climb from hop to hop and from network to network (`via`) until the way down begins.
Hosts stand at the innermost hop of the network that holds their address. How much a field may
hold is in `lab.bounds`, what does not go together in `lab.flaws`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct, field, structs

from gatewatch.lab.rules import Censor
from gatewatch.model.errors import GatewatchError

ANCHOR = "anchor"
"Name of the host, in the lab's worlds, that answers to any name: `probe.seat.Anchor`."

FOLDER = Path(__file__).parent / "scenarios"


class BadScenario(GatewatchError):
    """A scenario file that breaks docs/lab.md."""

    def __init__(self, where: str, words: str) -> None:
        super().__init__(f"{where}: {words}")
        self.where = where


class Link(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stretch of the way, the same in both directions."""

    delay_ms: float = 1.0
    "One way."
    jitter_ms: float = 0.0
    "Uniform extra delay, 0 to this; packets keep their order."
    loss: float = 0.0
    "Share of packets lost, 0..1."
    rate_kbps: float | None = None
    queue_kb: float = 64.0
    "What a rate-limited link holds before it drops the newest."


class Network(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An autonomous system, or the part of it that matters."""

    asn: int
    name: str
    country: str
    prefixes: tuple[str, ...]
    hops: tuple[tuple[str, ...], ...]
    "Router addresses from the inside out, IPv4 and, if it has one, IPv6; an empty hop is silent."
    via: str | None = None
    "The network that carries its traffic; None hangs it at the core."
    access: Link = Link(delay_ms=2.0)
    "Between a machine and the innermost hop."
    uplink: Link = Link(delay_ms=8.0)
    "Between the outermost hop and what is beyond."
    probe: tuple[str, ...] = ()
    "Addresses of a vantage point in it, at most one of each IP version; empty is none."
    resolver: str | None = None
    "Address of the resolver its machines are told to use, of an IP version that `probe` has."


class Answer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the true DNS says of a name beyond the addresses of the host that carries it."""

    addresses: tuple[str, ...] = ()
    by_country: dict[str, tuple[str, ...]] = {}
    "Other addresses for askers in these countries."
    rotate: int = 0
    "So many of the addresses at a time, others with every question; 0 is all."
    cname: str | None = None
    rcode: Literal["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"] = "NOERROR"
    silent: bool = False
    "Nobody answers."
    ttl_s: int = 300


class Route(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a web host answers to some requests."""

    path: str = "/"
    "A glob."
    host: str = "*"
    "A glob over the Host header."
    countries: tuple[str, ...] = ()
    "Only clients from these countries; empty is any."
    networks: tuple[str, ...] = ()
    "Only clients from these networks; empty is any."
    status: int = 200
    page: str = "site"
    "Name of a page in `lab.pages`, or the HTML itself if it begins with `<`."
    headers: dict[str, str] = {}
    location: str | None = None
    size: int | None = None
    "Bytes of random content in place of a page."
    delay_ms: float = 0.0
    "Before the first byte."
    scheme: Literal["http", "https"] | None = None


class Web(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A web server on ports 80 and 443."""

    http: bool = True
    https: bool = True
    h2: bool = True
    h3: bool = False
    certificate: Literal["valid", "expired", "wrong_name", "unknown_issuer", "self_signed"] = (
        "valid"
    )
    certificate_names: tuple[str, ...] = ()
    "Empty: the names of the host."
    routes: tuple[Route, ...] = ()
    "The first that fits answers; after them every path is the host's page."
    page: str = "site"
    handshake: Literal["normal", "silent", "reset", "close", "alert"] = "normal"
    "What the server itself does to a ClientHello."


class Resolver(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A DNS resolver."""

    transports: tuple[Literal["udp", "tcp", "dot", "doh"], ...] = ("udp", "tcp")
    answers: dict[str, Answer] = {}
    "Its own word on some names (patterns as in `lab.rules`), before the truth."
    upstream: str | None = None
    "Address of a resolver that it asks over the network, lies on the way included."
    delay_ms: float = 0.0
    silent: bool = False


class Middlebox(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transparent proxy that censors divert flows to."""

    tls: Literal["splice", "national_ca", "self_signed"] = "splice"
    "How handshakes for `names` are answered; all others are passed through untouched."
    names: tuple[str, ...] = ()
    "Server names and Host headers that are interfered with."
    script: str = ""
    "Put into genuine HTML pages in clear, before `</body>`."
    page: str = ""
    "Served in place of those sites in clear."
    status: int = 200
    headers: dict[str, str] = {}
    "Added to every answer in clear, as proxies do."
    lower_case_headers: bool = False
    "Request headers are passed on in lower case."
    resolver: Answer | None = None
    "For diverted DNS: the answer for `names`; others are asked where the client wanted."


class Host(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine of the world; no two of its services may want the same port."""

    addresses: tuple[str, ...]
    names: tuple[str, ...] = ()
    "Names that the true DNS gives these addresses."
    web: Web | None = None
    resolver: Resolver | None = None
    middlebox: Middlebox | None = None
    control: bool = False
    "The control server: measures from here what the probe asks it to."
    tcp: dict[str, Literal["echo", "discard", "headers", "messenger", "silent", "close"]] = {}
    "Port → plain TCP service; `headers` answers with the request's headers as JSON."
    down: bool = False
    "Nothing listens, and nothing says so."


class Expectation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is true of one target, on some networks."""

    url: str
    networks: tuple[str, ...] = ()
    "Empty: every network with a vantage point."
    outcome: Literal["open", "down", "blocked", "server_side"]
    mechanisms: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    "Censors that must have acted on it, by the log."
    accept: tuple[Literal["open", "down", "blocked", "server_side", "unclear"], ...] = ()
    "What one plain measurement may honestly conclude besides, and nothing worse."
    soon: bool = False
    "True only moments after the one before it, while what that set off lasts."
    words: str = ""


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One world and its truth."""

    title: str
    words: str
    kind: Literal["leaf", "national", "suite", "innocent"]
    "One mechanism; a documented national style; a public QA case; nothing is filtered."
    source: tuple[str, ...] = ()
    "Where the interference is described."
    extends: str | None = None
    "A file whose networks, hosts and names come first; same keys here replace them."
    clock: str = "2026-03-01T12:00:00Z"
    "What the censors' schedules believe the time to be when the world begins, with its zone."
    clock_skew_days: float = 0.0
    "How wrong the probe's own clock is."
    networks: dict[str, Network] = {}
    hosts: dict[str, Host] = {}
    names: dict[str, Answer] = {}
    core: Link = Link(delay_ms=5.0)
    censors: tuple[Censor, ...] = ()
    expect: tuple[Expectation, ...] = ()
    rebind_every_s: float | None = None
    "A NAT in front of the probes gives a flow another source port so often."
    id: str = field(default="", name="id")
    "The file's stem."

    @property
    def vantages(self) -> list[str]:
        """Networks with a vantage point."""
        return [name for name, network in self.networks.items() if network.probe]


def unhurried(scenario: Scenario) -> Scenario:
    """The same world for a client that takes minutes: without what is true for moments only."""
    kept = tuple(one for one in scenario.expect if not one.soon)
    return structs.replace(scenario, expect=kept)


def with_loss(scenario: Scenario, loss: float) -> Scenario:
    """The same world with more packets lost between every vantage point and its first hop.

    Args:
        loss: share, 0..1, on top of what is lost there anyway.
    """

    def lossy(network: Network) -> Network:
        kept = (1.0 - network.access.loss) * (1.0 - loss)
        access = structs.replace(network.access, loss=1.0 - kept)
        return structs.replace(network, access=access) if network.probe else network

    networks = {name: lossy(network) for name, network in scenario.networks.items()}
    return structs.replace(scenario, networks=networks)
