"""What a lab censor looks for and what it does: the words of a scenario's `[[censors]]`.

A trigger is a conjunction: every field given must hold; of a list, one is enough. Name patterns
are `example.org` (that name), `.example.org` (it and everything below it), or a glob such as
`*.example.org` or `*keyword*`. All times are seconds or milliseconds of the running world. How
much a field may hold is in `lab.bounds`, what does not go together in `lab.misconduct`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Schedule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a trigger is in force; outside it the censor does nothing."""

    after_s: float = 0.0
    "From so long after the world began."
    until_s: float | None = None
    hours: tuple[str, ...] = ()
    "`20:00-06:00` by the scenario's own clock, UTC; empty is always."


class Trigger(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What sets a censor off."""

    everything: bool = False
    "Any packet: a shutdown, or a censor told apart by its schedule or networks alone."
    dns: tuple[str, ...] = ()
    "Question names, over UDP or TCP port 53, whoever is asked."
    dns_types: tuple[str, ...] = ()
    "Only these question types, such as A or AAAA; empty is any."
    ip: tuple[str, ...] = ()
    "Server addresses or prefixes, on any packet of a flow."
    endpoint: tuple[str, ...] = ()
    "`192.0.2.1:443`, `[2001:db8::1]:443`, either with `/tcp` or `/udp`; without, both."
    port: tuple[int, ...] = ()
    "Server ports."
    transport: Literal["tcp", "udp"] | None = None
    host: tuple[str, ...] = ()
    "HTTP Host headers, in clear."
    url: tuple[str, ...] = ()
    "Globs over host and path of an HTTP request in clear, as `host/path?query`."
    keyword: tuple[str, ...] = ()
    "Byte strings anywhere in what the client sends, first 64 kB."
    answer_keyword: tuple[str, ...] = ()
    "Byte strings anywhere in what the server sends, first 64 kB."
    sni: tuple[str, ...] = ()
    "TLS server names, from a ClientHello over any number of segments."
    quic_sni: tuple[str, ...] = ()
    "TLS server names in decrypted QUIC Initials."
    ech: bool = False
    "A ClientHello with encrypted_client_hello."
    esni: bool = False
    "A ClientHello with the older encrypted_server_name."
    look: tuple[Literal["encrypted", "tor", "openvpn", "wireguard", "unknown"], ...] = ()
    "First payload looks like this; `unknown` is none of DNS, HTTP and TLS (an allow-list)."
    quic: bool = False
    "A QUIC version 1 Initial of at least 1,001 bytes."
    networks: tuple[str, ...] = ()
    "Only clients in these networks; empty is any."
    bidirectional: bool = False
    "Also flows whose client is on the outer side of the place; without, inner clients only."
    probability: float = 1.0
    "Share of matches acted upon; drawn from the seed and what matched, not from the hour."
    schedule: Schedule | None = None


Side = Literal["client", "server", "both"]


class Drop(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In-path: the triggering packet and the rest of the flow vanish."""

    to: Side = "both"
    "Packets on the way to that side are dropped."
    after_packets: int = 0
    "So many more packets of the flow pass first, either way, the triggering one included."
    after_kb: float | None = None
    "Counts from the trigger on, payload bytes to the client; then the flow stalls."


class Reset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forged RSTs."""

    to: Side = "client"
    offsets: tuple[int, ...] = (0,)
    "One RST each, its sequence number ahead of the expected one by this."
    ack: bool = True
    "RST/ACK; without, a bare RST."
    ttls: tuple[int, ...] = (64,)
    "Initial TTLs, in turn; injectors are told apart by them."
    windows: tuple[int, ...] = (0,)
    "TCP windows, in turn."
    payload: str = ""
    "Bytes carried by the RST, as hexadecimal."
    swallow: bool = False
    "In-path: the triggering packet does not go on."


class Fin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A forged FIN/ACK."""

    to: Side = "client"
    swallow: bool = True


class Refuse(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """RST/ACK in answer to a SYN, as from a closed port; the SYN does not go on."""


class Icmp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An ICMP error to the sender in place of the packet."""

    code: Literal["net", "host", "port", "admin"] = "admin"
    "`port` comes from the server's address; the others from the hop, which must not be silent."


class ForgeDns(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A forged DNS answer; over TCP port 53 it is the stream's answer."""

    a: tuple[str, ...] = ()
    "Pool of IPv4 addresses; the name asked decides which, the same one every time."
    aaaa: tuple[str, ...] = ()
    rcode: Literal["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"] = "NOERROR"
    cname: str | None = None
    ttl_s: int = 300
    copies: int = 1
    "Racing answers, each with its own draw from the pool."
    spacing_ms: float = 1.0
    wrong_id: bool = False
    swallow: bool = False
    "In-path: the question does not go on, so no true answer follows."


class BlockPage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page put into the stream in the server's place."""

    page: str
    "Name of a page in `lab.pages`, or the HTML itself if it begins with `<`."
    status: int | None = 200
    'None, in TOML `status = "none"`: the page comes with no status line and no headers at all.'
    headers: dict[str, str] = {}
    close: Literal["fin", "reset", "none"] = "fin"
    swallow: bool = False
    "In-path: the request does not reach the server."


class Redirect(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An injected redirect."""

    location: str
    status: int = 302
    swallow: bool = False


class Alert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes in place of a ServerHello: a TLS alert record, or what is no TLS at all."""

    description: int = 40
    "TLS alert number; 40 is handshake_failure."
    garbage: str = ""
    "Text sent in place of the alert."
    swallow: bool = True


class CloseQuic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A forged Initial with CONNECTION_CLOSE; anyone who sees the client's Initial can make it."""

    error: int = 0x2
    "Transport error code; 0x2 is CONNECTION_REFUSED (RFC 9000, section 20.1)."
    swallow: bool = True


class Divert(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In-path: flows are handed to a middlebox host from their first packet on.

    The middlebox decides by itself what to intercept; its way back to the client must lead past
    the place. So the trigger may ask only for what a flow's first packet tells: its ends, or a
    DNS question with `transport = "udp"`.
    """

    to: str
    "Name of the host."


class Throttle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The flow goes on, slower."""

    rate_kbps: float | None = None
    mode: Literal["police", "shape"] = "police"
    "Police drops what exceeds the rate, shape delays it."
    burst_kb: float = 8.0
    "What passes at once after a pause; never less than a packet."
    delay_ms: float = 0.0
    loss: float = 0.0
    "Share of packets lost, 0..1."
    after_kb: float = 0.0
    "So much of the answer passes untouched first."
    per: Literal["flow", "client"] = "flow"
    "What shares one rate."


class NullRoute(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The route is gone: every packet towards the address vanishes, and none says so."""


class Action(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a censor does, in this order where several are given."""

    null_route: NullRoute | None = None
    divert: Divert | None = None
    refuse: Refuse | None = None
    icmp: Icmp | None = None
    forge_dns: ForgeDns | None = None
    block_page: BlockPage | None = None
    redirect: Redirect | None = None
    alert: Alert | None = None
    close_quic: CloseQuic | None = None
    fin: Fin | None = None
    reset: Reset | None = None
    throttle: Throttle | None = None
    drop: Drop | None = None

    def __post_init__(self) -> None:
        if not self.given():
            raise ValueError("an action that does nothing")

    def given(self) -> list[tuple[str, Struct]]:
        """The actions that are set, by name, in the order they are taken."""
        found = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return [(name, value) for name, value in found if value is not None]


class Residual(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """After a trigger, all that shares these ends of its flow is blocked for a while."""

    seconds: float
    ends: Literal["2-tuple", "3-tuple", "4-tuple"] = "3-tuple"
    "Client and server address; with the server's port; with the client's port too."
    action: Action | None = None
    "None: the censor's own action."
    extends: bool = True
    """The time starts anew with each packet of the client that says something: a SYN, a FIN, data;
    not with bare acknowledgements or RSTs, nor with anything from the server."""


class Censor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of one box."""

    id: str
    at: str
    "The hop it sits on: a network's name (its outermost hop) or `network/1` (innermost), `/2`…"
    trigger: Trigger
    action: Action
    react_ms: float = 0.5
    "How long an injector takes."
    residual: Residual | None = None
    mechanism: str | None = None
    "Only where it cannot be told from trigger and action; see `lab.truth`."
