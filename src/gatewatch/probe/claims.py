"""What web_connectivity 0.5 concludes from its own records: `blocking`, `accessible`, the flags.

Its published rules, so that our records can stand beside OONI's. Faults are kept: no reader
should take these fields for the truth, and the judge does not read them.

The classic keys speak of the path of an ordinary program: the system's resolver and the
addresses it gave. The flags speak of everything that was tried. Both leave out what OONI's probe
would not have tried: HTTP/3, and what follows a 303, tagged `AFTER_303`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gatewatch.probe.likeness import differs, is_final, likeness, no_likeness
from gatewatch.probe.ooni import Json
from gatewatch.wire.address import endpoint, is_bogon, is_loopback, parted

AFTER_303 = "x_after_303"
"""Tag of what was tried after a `303 See Other`, which OONI's probe does not follow."""

BOGON, UNEXPECTED_FAILURE, UNEXPECTED_ADDRESSES = 1, 2, 4
"Bits of `x_dns_flags`."
DNS, TCP, TLS, HTTP, DIFF, SUCCESS = 1, 2, 4, 8, 16, 32
"Bits of `x_blocking_flags`; the first four also name how deep an attempt got."
EXPECTED_DNS, EXPECTED_TCP, EXPECTED_TLS, UNCONTROLLED_SUCCESS, GHOST = 1, 2, 4, 8, 16
"Bits of `x_null_null_flags`."

_SYSTEM = ("getaddrinfo", "system", "golang_net_resolver", "go")
_UNREACHABLE = ("network_unreachable", "host_unreachable")
_NO_ANSWER = "dns_no_answer"


class Conclusion(NamedTuple):
    blocking: str | bool | None
    accessible: bool | None
    failure: str | None = None
    "`http_experiment_failure`."


@dataclass(slots=True)
class _Asked:
    """One question to one resolver."""

    depth: int
    system: bool
    engine: str
    query_type: str
    failure: str | None
    answers: dict[str, int | None]
    "Address → its network, where the record says it."

    @property
    def idle(self) -> bool:
        """A failure that says nothing: OONI expects no IPv6 of a name, and little of DoH."""
        if self.failure is None:
            return False
        return self.engine.startswith("doh") or (
            self.query_type == "AAAA" and self.failure == _NO_ANSWER
        )


@dataclass(slots=True)
class _Tried:
    """One endpoint: how deep the attempt got, and how it ended there."""

    address: str | None
    port: int | None
    depth: int
    fetches: bool
    transaction: int
    stage: int = 0
    failure: str | None = None
    server_name: str | None = None
    shaken: bool = False
    request: Json | None = None

    @property
    def place(self) -> str:
        return endpoint(self.address, self.port) if self.address and self.port else ""

    @property
    def final(self) -> bool:
        return self.request is not None and is_final(self.request)

    @property
    def secure(self) -> bool:
        url = self.request["request"].get("url") if self.request else None
        return self.shaken or str(url).startswith("https:")

    @property
    def idle(self) -> bool:
        """An unreachable IPv6 address means that the probe has no IPv6."""
        return self.stage == TCP and self.failure in _UNREACHABLE and ":" in (self.address or "")


def _as_ooni(tags: list[str]) -> bool:
    return AFTER_303 not in tags


def claims(keys: Json, *, also: Callable[[list[str]], bool] = _as_ooni) -> Json:
    """The conclusions for a set of test keys whose observations are complete.

    Args:
        also: which entries count, by their tags.
    """
    case = _Case(keys, also)
    return {**case.flags(), **case.classic()}


@dataclass(slots=True)
class _Case:
    keys: Json
    also: Callable[[list[str]], bool]
    control: Json | None = field(init=False)
    asked: list[_Asked] = field(init=False)
    tried: list[_Tried] = field(init=False)

    def __post_init__(self) -> None:
        self.control = self.keys.get("control")
        self.asked = [_asked(entry) for entry in self._entries("queries")]
        self.tried = self._tried()

    # -- what was tried ------------------------------------------------------------------------

    def _entries(self, name: str) -> Iterator[Json]:
        for entry in self.keys.get(name) or ():
            if self.also(entry.get("tags") or []) and entry.get("network") not in ("udp", "quic"):
                yield entry

    def _tried(self) -> list[_Tried]:
        found: dict[object, _Tried] = {}

        def one(entry: Json, address: str, port: int) -> _Tried:
            number = entry.get("transaction_id") or 0
            tags = entry.get("tags") or []
            fetches = "fetch_body=false" not in tags
            fresh = _Tried(address or None, port or None, _depth(tags), fetches, number)
            return found.setdefault(number or id(entry), fresh)

        for entry in self._entries("tcp_connect"):
            flow = one(entry, entry["ip"], entry["port"])
            flow.stage, flow.failure = TCP, entry["status"].get("failure") or None
        for entry in self._entries("tls_handshakes"):
            flow = one(entry, *parted(entry.get("address")))
            flow.stage, flow.failure = TLS, entry["failure"]
            flow.server_name, flow.shaken = entry.get("server_name"), entry["failure"] is None
        unlinked = not any(entry["status"].get("success") for entry in self._entries("tcp_connect"))
        for entry in self._entries("requests"):
            linked = entry.get("transaction_id")
            if entry["failure"] and unlinked and not linked:
                continue  # before 0.5 the request carries whatever failed under it
            flow = one(entry, *parted(entry.get("address")))
            flow.stage, flow.failure, flow.request = HTTP, entry["failure"], entry
        return list(found.values())

    # -- what the control says -----------------------------------------------------------------

    @property
    def page(self) -> Json | None:
        return None if self.control is None else self.control.get("http_request") or {}

    @property
    def page_ok(self) -> bool:
        return self.page is not None and self.page.get("failure") is None

    @property
    def names(self) -> Json | None:
        return None if self.control is None else self.control.get("dns")

    @property
    def true_addresses(self) -> set[str]:
        return set((self.names or {}).get("addrs") or ())

    def _control_of(self, flow: _Tried) -> Json | None:
        """What became of the same step, tried by the control."""
        if self.control is None:
            return None
        step = "tls_handshake" if flow.stage == TLS else "tcp_connect"
        found = (self.control.get(step) or {}).get(flow.place)
        if found and flow.stage == TLS and found.get("server_name") not in (None, flow.server_name):
            return None
        return found

    def _network(self, address: str, told: int | None) -> int:
        info = ((self.control or {}).get("ip_info") or {}).get(address) or {}
        return told or info.get("asn") or 0

    # -- names ---------------------------------------------------------------------------------

    def _valid(self, asked: _Asked) -> bool:
        """Any address, or any network, that the control has found too."""
        if self.true_addresses & asked.answers.keys():
            return True
        true = {self._network(address, None) for address in self.true_addresses}
        said = {self._network(address, told) for address, told in asked.answers.items()}
        return bool((true & said) - {0})

    def _comparable(self, asked: _Asked) -> bool:
        return bool(asked.depth == 0 and asked.answers and self.true_addresses)

    def _proved(self, asked: _Asked) -> bool:
        """Did an address that it yielded hold the name's certificate? OONI's own records show
        that a handshake beside a plain URL does not count."""
        return any(
            flow.shaken and flow.fetches and flow.address in asked.answers for flow in self.tried
        )

    def _name_fails_everywhere(self, asked: _Asked) -> bool | None:
        """For a failed question; None without a control to compare with."""
        if self.names is None or asked.depth > 0:
            return None
        nothing = asked.failure == _NO_ANSWER and not self.true_addresses
        return self.names.get("failure") is not None or nothing

    # -- everything ----------------------------------------------------------------------------

    def flags(self) -> Json:
        """The extended analysis: bits that do not exclude each other."""
        dns = blocking = nothing = 0
        for asked in self.asked:
            if asked.depth == 0 and any(is_bogon(address) for address in asked.answers):
                dns |= BOGON
            if asked.depth == 0 and asked.answers and self.names and not self.true_addresses:
                nothing |= GHOST
            if asked.failure and not asked.idle:
                everywhere = self._name_fails_everywhere(asked)
                dns |= UNEXPECTED_FAILURE * (everywhere is False)
                blocking |= DNS * (everywhere is False)
                nothing |= EXPECTED_DNS * (everywhere is True)
            elif self._comparable(asked) and not (self._valid(asked) or self._proved(asked)):
                dns |= UNEXPECTED_ADDRESSES
                blocking |= DNS
        for flow in self.tried:
            bits, null = self._flags_of(flow)
            blocking |= bits
            nothing |= null
        if self.page_ok and not any(flow.final for flow in self.tried):
            blocking |= self._unexplained()
        return {"x_dns_flags": dns, "x_blocking_flags": blocking, "x_null_null_flags": nothing}

    def _flags_of(self, flow: _Tried) -> tuple[int, int]:
        """Blocking and null-null bits of one endpoint."""
        if flow.final:
            if flow.secure:
                return SUCCESS, UNCONTROLLED_SUCCESS * (self.control is None)
            if self.control is None:
                return 0, 0
            return (DIFF if differs(likeness(flow.request, self.control)) else SUCCESS), 0
        if flow.failure is None or flow.idle:
            return 0, 0
        if flow.stage == HTTP:
            return HTTP * self.page_ok, 0
        control = self._control_of(flow)
        if control is None:
            return 0, 0
        expected = {TCP: EXPECTED_TCP, TLS: EXPECTED_TLS}[flow.stage]
        return (0, expected) if _failed(control) else (flow.stage, 0)

    def _unexplained(self) -> int:
        """Failures after a redirect, where the control looks at no step by itself."""
        bits = 0
        for asked in self.asked:
            bits |= DNS * (asked.depth > 0 and bool(asked.failure) and not asked.idle)
        for flow in self.tried:
            if flow.depth > 0 and flow.failure and not flow.idle and not self._control_of(flow):
                bits |= flow.stage
        return bits

    # -- the path of an ordinary program -------------------------------------------------------

    def classic(self) -> Json:
        """The keys that version 0.4 had."""
        asked = [one for one in self.asked if one.system]
        flows = sorted(self._classic_flows(asked), key=_deepest_first)
        final = next((flow for flow in flows if flow.final), None)
        failed = [one for one in asked if one.depth == 0 and one.failure and not one.idle]
        consistency = self._consistency([one for one in asked if one.depth == 0])
        concluded = self._concluded(flows, asked)
        if consistency == "inconsistent" and concluded is not None and not concluded.accessible:
            concluded = concluded._replace(blocking="dns", accessible=False)
        blocking, accessible, failure = concluded or Conclusion(None, None)
        return {
            "dns_experiment_failure": failed[0].failure if failed else None,
            "dns_consistency": consistency,
            "http_experiment_failure": failure,
            **(likeness(final.request, self.control) if final else no_likeness()),
            "blocking": blocking,
            "accessible": accessible,
        }

    def _classic_flows(self, asked: list[_Asked]) -> Iterator[_Tried]:
        """To what the system's resolver answered, or to what no resolver was asked about."""
        own = {address for one in asked for address in one.answers}
        others = {address for one in self.asked for address in one.answers}
        if self.asked:
            others |= self.true_addresses
        for flow in self.tried:
            if flow.fetches and (flow.address in own or flow.address not in others):
                yield flow

    def _consistency(self, asked: list[_Asked]) -> str | None:
        """Of the system resolver's answers for the input's own name with the control's."""
        if self.names is None:
            return None
        said = [one for one in asked if not one.idle]
        failures = [self._name_fails_everywhere(one) for one in said if one.failure]
        answered = [one for one in said if not one.failure]
        compared = [self._valid(one) for one in answered if self._comparable(one)]
        ghosts = bool(answered) and not self.true_addresses
        if False in compared or False in failures or ghosts:
            return "inconsistent"
        return "consistent" if True in compared or True in failures else None

    def _concluded(self, flows: list[_Tried], asked: list[_Asked]) -> Conclusion | None:
        """By the first that tells anything, of all that was tried, the deepest first."""
        depths = {one.depth for one in asked} | {flow.depth for flow in flows}
        for depth in sorted(depths, reverse=True):
            for flow in flows:
                found = self._by_endpoint(flow) if flow.depth == depth else None
                if found is not None:
                    return found
            for one in sorted(asked, key=lambda one: one.failure or ""):
                found = self._by_name(one) if one.depth == depth and not one.idle else None
                if found is not None:
                    return found
        return None

    def _by_endpoint(self, flow: _Tried) -> Conclusion | None:
        if flow.final:
            if flow.secure:
                return Conclusion(False, True)
            if self.control is None:
                return Conclusion(None, None)
            different = differs(likeness(flow.request, self.control))
            return Conclusion("http-diff", False) if different else Conclusion(False, True)
        if flow.failure is None:
            return None
        if flow.stage == HTTP:
            compared = self.page
        else:
            compared = self._control_of(flow)
            if compared is None and self.control is not None:
                return Conclusion("http-failure", False, flow.failure)
        if compared is None:
            return Conclusion(None, None, flow.failure)
        if _failed(compared):
            return Conclusion(False, False, flow.failure)
        return Conclusion("tcp_ip" if flow.stage == TCP else "http-failure", False, flow.failure)

    def _by_name(self, asked: _Asked) -> Conclusion | None:
        if asked.failure is None:
            local = all(is_loopback(address) for address in asked.answers)
            if not local or not self.true_addresses or asked.depth > 0:
                return None
            everywhere = all(is_loopback(address) for address in self.true_addresses)
            return Conclusion(False if everywhere else "dns", False)
        everywhere = self._name_fails_everywhere(asked)
        if everywhere is None:
            if self.control is None:
                return Conclusion(False, True, asked.failure)  # sic
            return Conclusion("dns", False, asked.failure)
        if not everywhere:
            return Conclusion("dns", False, asked.failure)
        nothing = (self.names or {}).get("failure") is None
        return Conclusion(False, False, None if nothing else asked.failure)


def _asked(entry: Json) -> _Asked:
    said = {
        answer.get("ipv4") or answer.get("ipv6"): answer.get("asn")
        for answer in entry.get("answers") or ()
    }
    engine = entry.get("engine") or "system"
    return _Asked(
        depth=_depth(entry.get("tags") or []),
        system=engine in _SYSTEM,
        engine=engine,
        query_type=entry.get("query_type") or "A",
        failure=entry.get("failure"),
        answers={address: network for address, network in said.items() if address},
    )


def _depth(tags: list[str]) -> int:
    return next((int(tag[6:]) for tag in tags if tag.startswith("depth=")), 0)


def _deepest_first(flow: _Tried) -> tuple[int, int, str, int]:
    return -flow.depth, -flow.stage, flow.failure or "", -flow.transaction


def _failed(control: Json) -> bool:
    return control.get("failure") is not None or control.get("status") is False
