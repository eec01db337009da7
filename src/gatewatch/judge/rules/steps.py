"""Rules on the step of the path that failed, by layer, kind of failure and what a control says.

One row of `_FAILURES` is one way to fail; each makes a rule for every word a control can say of
it, so that "the control gets through", "the control fails too" and "there is no control" are
told apart for every one, and "it fails too, at this address" where steps have an address.
"""

from __future__ import annotations

from collections.abc import Iterator

from gatewatch.judge.case import Case, authentic
from gatewatch.judge.compare import Answers
from gatewatch.judge.control import Seen
from gatewatch.judge.rules.row import Fired, Rule
from gatewatch.model.failure import FailureKind as K
from gatewatch.model.outcome import Outcome

_FAILURES: tuple[tuple[str, K, float, str], ...] = (
    # layer, kind of failure, weight for blocked when the control gets through, mechanism
    ("dns", K.NXDOMAIN, 4.5, "dns.nxdomain"),
    ("dns", K.DNS_REFUSED, 4.0, "dns.refused"),
    ("dns", K.NO_ANSWER, 3.5, "dns.no_answer"),
    ("dns", K.SERVFAIL, 2.6, "dns.servfail"),
    ("dns", K.TIMEOUT, 2.6, "dns.timeout"),
    ("dns", K.DNS_OTHER, 2.6, "dns"),
    ("dns", K.REFUSED, 1.5, "dns"),
    ("dns", K.UNKNOWN, 1.0, "dns"),
    ("tcp", K.TIMEOUT, 3.2, "tcp.timeout"),
    ("tcp", K.RESET, 4.0, "tcp.reset"),
    ("tcp", K.REFUSED, 4.0, "tcp.refused"),
    ("tcp", K.UNREACHABLE, 2.8, "ip.unreachable"),
    ("tcp", K.EOF, 2.6, "tcp"),
    ("tcp", K.UNKNOWN, 2.0, "tcp"),
    ("tls", K.TIMEOUT, 3.2, "tls.timeout"),
    ("tls", K.RESET, 4.5, "tls.reset"),
    ("tls", K.EOF, 4.0, "tls.eof"),
    ("tls", K.TLS_ERROR, 2.8, "tls.error"),
    ("tls", K.CERTIFICATE, 4.5, "tls.mitm"),
    ("tls", K.UNKNOWN, 1.5, "tls"),
    ("http", K.TIMEOUT, 2.8, "http.timeout"),
    ("http", K.RESET, 4.3, "http.reset"),
    ("http", K.EOF, 3.8, "http.eof"),
    ("http", K.REFUSED, 3.0, "http"),
    ("http", K.UNREACHABLE, 2.0, "http"),
    ("http", K.UNKNOWN, 1.0, "http"),
)  # fmt: skip

_FAILS_TOO = 4.5
_NO_CONTROL = 0.7
"Without a control a failure here is a question. It stays below any threshold by itself."
_DEAD_ADDRESS = 0.7
"""An address that is dead for everybody was forged, or the site has lost a server: a question
too, and answered, if at all, by who named the address."""

_WITH_ADDRESS = ("tcp", "tls")


def _step_rules() -> Iterator[Rule]:
    for layer, kind, weight, mechanism in _FAILURES:
        for seen, outcome, nats, words in (
            (Seen.REACHES, Outcome.BLOCKED, weight, "the control gets past this step"),
            (Seen.FAILS, Outcome.DOWN, _FAILS_TOO, "the control fails here too"),
            (Seen.ELSEWHERE, Outcome.BLOCKED, _DEAD_ADDRESS,
             "the control fails at this address too, and gets the page at another"),
            (Seen.NONE, Outcome.BLOCKED, _NO_CONTROL, "no control tells how this step ends"),
        ):  # fmt: skip
            if seen is Seen.ELSEWHERE and layer not in _WITH_ADDRESS:
                continue
            yield Rule(
                id=f"{layer}.{kind}.control_{seen}",
                layer=layer,
                control=seen,
                evidence_for=outcome,
                weight=nats,
                words=f"{layer.upper()} ends in {kind}, and {words}",
                condition=_ends_in(layer, kind, seen, mechanism),
            )


def _ends_in(layer: str, kind: K, seen: Seen, mechanism: str):
    def condition(case: Case) -> Fired | None:
        step = case.obstacle
        if step is None or step.layer != layer or step.kind is not kind:
            return None
        if step.failure == "dns_bogon_error" or case.seen(step) is not seen:
            return None  # bogons have rules of their own
        where = f" after {step.hop.depth} redirects" if step.hop.depth else ""
        words = f"{step.hop.host}{where}: {step.words[:120]}"
        if seen is Seen.FAILS:
            return Fired(words)
        return Fired(words, _mitm(case) if kind is K.CERTIFICATE else mechanism)

    return condition


def _mitm(case: Case) -> str:
    """How deep the certificates recorded let us go."""
    step = case.obstacle
    states = {o.chain_state for o in step.hop.handshakes} if step else set[str]()
    if "self_signed" in states:
        return "tls.mitm.self_signed"
    return "tls.mitm.ca_signed" if states & {"untrusted", "wrong_name"} else "tls.mitm"


def _control_page_failed(case: Case) -> Fired | None:
    if case.obstacle is None or case.control.page_seen is not Seen.FAILS:
        return None
    failure = case.control.exchange.failure if case.control.exchange else None
    return Fired(f"the control got no page either: {failure or 'no answer'}")


def _redirect(seen: Seen, encrypted: bool):
    def condition(case: Case) -> Fired | None:
        step = case.obstacle
        if step is None or step.kind is not K.REDIRECT or case.seen(step) is not seen:
            return None
        secure = step.hop.exchange is not None and step.hop.exchange.encrypted
        if seen is Seen.REACHES and secure is not encrypted:
            return None
        location = step.hop.exchange.location if step.hop.exchange else None
        words = f"{step.hop.host} redirects to {location!r}: {step.words[:80]}"
        return Fired(words, "http.redirect" if seen is Seen.REACHES else None)

    return condition


def _twin_failed(case: Case) -> Fired | None:
    """The plain URL's addresses, tried on port 443 with the name in clear."""
    hop = case.first
    if hop is None or not hop.twins or any(o.failure is None for o in hop.twins):
        return None
    if case.control.handshakes(hop.twins) is not Seen.REACHES or case.answers is Answers.DIFFER:
        return None
    failures = {o.failure or "" for o in hop.twins}
    mechanisms = {"connection_reset": "tls.reset", "generic_timeout_error": "tls.timeout",
                  "eof_error": "tls.eof"}  # fmt: skip
    if len(failures) > 1 or not failures & mechanisms.keys():
        return None
    failure = failures.pop()
    return Fired(f"{hop.host} on port 443: {failure}, where the control succeeds",
                 mechanisms[failure])  # fmt: skip


def _hop_twin_failed(case: Case) -> Fired | None:
    """The same beyond a redirect, where the plain step failed as well: both names are filtered."""
    step = case.obstacle
    if step is None or step.hop.depth == 0 or case.control.page is None:
        return None
    resets = [o for o in step.hop.twins if o.failure == "connection_reset"]
    if step.layer != "http" or not resets or len(resets) < len(step.hop.twins):
        return None
    return Fired(f"{step.hop.host} on port 443: connection_reset as well", "tls.reset")


def _detour_works(telling: bool):
    telling_kinds = {K.NXDOMAIN, K.DNS_REFUSED, K.NO_ANSWER}

    def condition(case: Case) -> Fired | None:
        step = case.obstacle
        if step is None or step.layer != "dns":
            return None
        bogon = step.failure == "dns_bogon_error"
        if (step.kind in telling_kinds or bogon) is not telling:
            return None
        good = [o for o in step.hop.detours if authentic(o)]
        named = {a for o in step.hop.others for a in o.addresses}
        proved = [o.address for o in good if o.address in named]
        if not proved:
            return None
        return Fired(f"another resolver names {proved[0]}, which proves the name by TLS")

    return condition


RULES = (
    *_step_rules(),
    Rule("site.control_page_failed", "http", "fails", Outcome.DOWN, 2.0,
         "the path failed here, and the control got no page either", _control_page_failed),
    Rule("http.redirect.control_reaches", "http", "reaches", Outcome.BLOCKED, 1.0,
         "a redirect in clear that leads nowhere, and the control follows it to a page",
         _redirect(Seen.REACHES, encrypted=False)),
    Rule("http.redirect.authenticated", "http", "reaches", Outcome.SERVER_SIDE, 3.5,
         "a redirect that leads nowhere over TLS, which only the server can have sent",
         _redirect(Seen.REACHES, encrypted=True)),
    Rule("http.redirect.control_fails", "http", "fails", Outcome.DOWN, _FAILS_TOO,
         "a redirect that leads nowhere, for the control too",
         _redirect(Seen.FAILS, encrypted=False)),
    Rule("http.redirect.control_none", "http", "none", Outcome.BLOCKED, 0.3,
         "a redirect that leads nowhere, and no control",
         _redirect(Seen.NONE, encrypted=False)),
    Rule("tls.twin_failed", "tls", "reaches", Outcome.BLOCKED, 0.5,
         "port 443 of a plain URL fails after the server name, where the control succeeds",
         _twin_failed),
    Rule("tls.hop_twin_failed", "tls", "reaches", Outcome.BLOCKED, 0.5,
         "beyond a redirect both the Host header and the server name are answered by a reset",
         _hop_twin_failed),
    Rule("dns.detour_proves", "dns", "own", Outcome.BLOCKED, 2.2,
         "the system resolver denies a name that another resolver leads to, proved by TLS",
         _detour_works(telling=True)),
    Rule("dns.detour_works", "dns", "own", Outcome.BLOCKED, 1.0,
         "the system resolver fails at a name that another resolver leads to, proved by TLS",
         _detour_works(telling=False)),
)  # fmt: skip
