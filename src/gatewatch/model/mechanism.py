"""How a path is interfered with: a tree of dotted names, `layer.action.qualifier`.

Every prefix of a name is itself a valid answer, so a verdict can stop at the depth that its
evidence supports. The layer is where the interference showed.
"""

from __future__ import annotations

from typing import Literal, get_args

Trigger = Literal["name", "address", "keyword", "protocol", "port"]
"What sets it off."
Placement = Literal["on_path", "in_path", "endpoint", "unknown"]
"Where whoever does it stands: beside the traffic, in it, or at an end of it."
TRIGGERS: frozenset[str] = frozenset(get_args(Trigger))
PLACEMENTS: frozenset[str] = frozenset(get_args(Placement))

LEAVES: dict[str, str] = {
    "dns.injection.blockpage": "a false answer that leads to a block page",
    "dns.injection.bogon": "a false answer from address space that is not on the Internet",
    "dns.injection.other": "a false answer of another kind",
    "dns.nxdomain": "an answer that the name does not exist, where it does",
    "dns.refused": "a resolver that refuses this name",
    "dns.servfail": "a resolver that reports a failure for this name",
    "dns.no_answer": "an answer without an address, where there is one",
    "dns.timeout": "no answer to the query",
    "tcp.reset": "a connection reset while it was set up",
    "tcp.timeout": "a connection attempt that nobody answers",
    "tcp.refused": "a connection attempt that is refused",
    "tls.reset.sni": "a reset caused by the server name",
    "tls.reset.other": "a reset during the handshake with another cause",
    "tls.timeout": "a handshake that is never answered",
    "tls.eof": "a connection closed during the handshake",
    "tls.error": "a handshake ended by an alert or by bytes that are not TLS",
    "tls.mitm.self_signed": "another party's self-signed certificate",
    "tls.mitm.ca_signed": "another party's certificate, issued by an authority nobody trusts",
    "tls.throttle.sni": "a slowed connection, by server name",
    "quic.timeout.sni": "a QUIC handshake dropped for its server name",
    "quic.reset.sni": "a QUIC handshake reset for its server name",
    "http.blockpage": "a page that says the content is blocked, in place of the content",
    "http.redirect": "a redirect to somewhere the site did not send us",
    "http.error": "an error answer made up by the network",
    "http.timeout": "a request that is never answered",
    "http.eof": "a connection closed instead of an answer",
    "http.reset.host": "a reset caused by the Host header",
    "http.reset.keyword": "a reset caused by a word in the request or answer",
    "http.throttle.host": "a slowed connection, by Host header",
    "http.injection": "foreign content put into a genuine page",
    "ip.unreachable": "a network that says the address cannot be reached",
    "ip.null_route": "an address that no packet reaches",
}
"""Leaf name → plain words."""

LAYER_WORDS = {
    "dns": "DNS tampering",
    "tcp": "TCP interference",
    "tls": "TLS interference",
    "quic": "QUIC interference",
    "http": "HTTP interference",
    "ip": "IP-level blocking",
}

PREFIX_WORDS = {
    "dns.injection": "a false DNS answer",
    "tls.reset": "a reset during the TLS handshake",
    "tls.mitm": "another party's certificate",
    "tls.throttle": "a slowed TLS connection",
    "quic.timeout": "a dropped QUIC handshake",
    "quic.reset": "a reset QUIC handshake",
    "http.reset": "a reset in place of an HTTP answer",
    "http.throttle": "a slowed HTTP connection",
}

ALL: frozenset[str] = frozenset(
    ".".join(leaf.split(".")[:depth]) for leaf in LEAVES for depth in range(1, leaf.count(".") + 2)
)


def under(mechanism: str, ancestor: str) -> bool:
    """Is `mechanism` the node `ancestor` or below it?

    >>> under("dns.injection.bogon", "dns.injection"), under("dns.nxdomain", "dns.injection")
    (True, False)
    """
    return mechanism == ancestor or mechanism.startswith(ancestor + ".")


def words(mechanism: str) -> str:
    """Plain words for a node of the tree.

    >>> words("dns.nxdomain")
    'an answer that the name does not exist, where it does'
    """
    return LEAVES.get(mechanism) or PREFIX_WORDS.get(mechanism) or LAYER_WORDS[mechanism]


def deepest(mechanisms: list[str]) -> list[str]:
    """Drop every node that a deeper one of the list already says; keep first-seen order.

    >>> deepest(["dns", "dns.injection", "tcp.reset", "dns.injection.bogon"])
    ['tcp.reset', 'dns.injection.bogon']
    """
    unique = list(dict.fromkeys(mechanisms))
    return [m for m in unique if not any(o != m and under(o, m) for o in unique)]
