"""For every rule of the judge a measurement in which it fires, and one just short of it."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from gatewatch.judge.control import Seen
from gatewatch.judge.pool import NO_POOL, Pool, Voice
from gatewatch.judge.rules import BY_ID
from gatewatch.model.failure import KIND_OF, FailureKind
from gatewatch.model.records import Observed
from tests.judge.build import (
    ACCESS,
    ACCESS_ASN,
    BOGON,
    BOGON6,
    DAY,
    ELSEWHERE,
    FORGED,
    FORGED_BOGON,
    HERE,
    HTTP,
    HTTPS,
    PRIVATE,
    PRIVATE6,
    PUBLIC,
    SEALED,
    SITE,
    TWIN,
    WORLD,
    Attempt,
    connect,
    control,
    dead_control,
    exchange,
    finding,
    handshake,
    hop_at,
    lookup,
    observed,
    plain_path,
    redirect,
    secure_path,
    unanswered,
)


class RuleCase(NamedTuple):
    rule: str
    fires: Observed
    near_miss: Observed
    pool: Pool = NO_POOL


# -- the rules made of a layer, a kind of failure and a control's word -------------------------

CODE_OF: dict[FailureKind, str] = {}
for _code, _kind in KIND_OF.items():
    CODE_OF.setdefault(_kind, _code)
CODE_OF[FailureKind.CERTIFICATE] = "ssl_unknown_authority"
"One failure code of each kind; a certificate refused for its dates is another story."


def stopped_at(layer: str, failure: str) -> list[Attempt]:
    """The attempts of a path that ends at a layer, over HTTPS unless the layer is `http`."""
    if layer == "dns":
        return [lookup(failure=failure)]
    if layer == "tcp":
        return [lookup(HERE), connect(port=443, failure=failure)]
    if layer == "tls":
        return [lookup(HERE), connect(port=443), handshake(failure=failure, chain="absent")]
    return [lookup(HERE), connect(), unanswered(HTTP, failure)]


def control_that(seen: Seen, layer: str) -> list[Attempt]:
    if seen is Seen.REACHES:
        return control()
    if seen is Seen.NONE:
        return []
    if seen is Seen.ELSEWHERE:
        return control(step_failure="generic_timeout_error")
    return dead_control(lookup_failure="dns_nxdomain_error" if layer == "dns" else None)


def stopped(layer: str, failure: str, seen: Seen, **about: Any) -> Observed:
    url = HTTP if layer == "http" else HTTPS
    return observed(stopped_at(layer, failure), control_that(seen, layer), input=url, **about)


STEP_IDS = sorted(
    rule_id
    for rule_id in BY_ID
    if rule_id.rpartition(".control_")[0].partition(".")[2] in CODE_OF
    and not rule_id.startswith("http.redirect.")  # has a condition of its own
)


def _step_case(rule: str) -> RuleCase:
    step, _, seen = rule.rpartition(".control_")
    layer, _, kind = step.partition(".")
    others = [s for s in Seen if s != seen]
    failure = CODE_OF[FailureKind(kind)]
    return RuleCase(rule, stopped(layer, failure, Seen(seen)), stopped(layer, failure, others[0]))


# -- the rules with conditions of their own ------------------------------------------------------

RESET = [*stopped_at("tls", "connection_reset"), *control()]
SILENT = [*stopped_at("tcp", "generic_timeout_error"), *control()]
ABROAD, AT_HOME = "198.51.100.1", "203.0.113.1"
SLOW = finding("tls.throttle.sni", effect_high=0.1)
SHIELD = ["server: nginx", "x-site-node: a7"]
"Headers of which one is the site's own."


def quorum(
    host: str,
    *,
    resolves: bool = True,
    reaches: bool = True,
    reports: int = 5,
    day: date | None = DAY,
) -> Pool:
    """So many reports, each from a network of its own, that say the same of a host on a day."""
    return Pool(
        Voice(host, f"report {n}", n, resolves, reaches, day) for n in range(1, reports + 1)
    )


def _with_page(**about: Any) -> list[Attempt]:
    """A control whose page differs from the ordinary one as told."""
    return control(page=exchange(HTTP, **about))


def _stray(*then: Attempt, answer: str = ELSEWHERE) -> list[Attempt]:
    """The system resolver answers with an address the control has never heard of."""
    return [lookup(answer), *then]


def _found_other_way(failure: str, to: str = HERE, named_by: str = "8.8.8.8:53") -> Observed:
    """The system resolver fails; the site is reached at an address that another one named."""
    return observed(
        lookup(failure=failure), lookup(HERE, resolver=named_by), handshake(to), input=HTTPS
    )


def _dead_end(url: str, *others: list[Attempt]) -> Observed:
    first = unanswered(url, "http_invalid_redirect_location_host", location=None)
    steps: list[Attempt] = [lookup(HERE), connect(port=443 if url == HTTPS else 80)]
    steps += [handshake()] if url == HTTPS else []
    return observed(steps, [first], *others, input=url)


UNHEARD: dict[str, Any] = {"resolver_asn": None, "resolver_ip": "127.0.0.2"}
"Of a probe whose resolver did not say who it is."


def silent_resolver(*others: Attempt, **about: Any) -> Observed:
    """The system's resolver has nothing to say of the site, which is up."""
    asked = others or (lookup(HERE, resolver=PUBLIC),)
    return observed(lookup(failure="generic_timeout_error"), *asked, control(), **about)


def dead_for_all(*answers: str, others: tuple[Attempt, ...] = (), **about: Any) -> Observed:
    """Answers that nobody can connect to, here or elsewhere, where the control has the page from
    the site's own address."""
    real = [a for a in answers if not WORLD.is_bogon(a)]
    dead = "generic_timeout_error"
    return observed(
        lookup(*answers), *others, [connect(a, failure=dead) for a in answers],
        control(), [connect(a, failure=dead, vantage="control") for a in real], **about,
    )  # fmt: skip


def _in_clear(answer: str, sealed: list[str]) -> list[Attempt]:
    """What a public resolver says in clear, and one over TLS."""
    return [lookup(answer, resolver=PUBLIC), lookup(*sealed, resolver=SEALED)]


def _dead_answers(at_control: str | None) -> Observed:
    """Two answers in the site's network fail here; a third address, the control's, works."""
    stray = "192.0.2.10"
    dead = "generic_timeout_error"
    return observed(
        lookup(TWIN), lookup(stray, resolver="8.8.8.8:53"),
        connect(TWIN, failure=dead), connect(stray, failure=dead), handshake(HERE),
        control(), [connect(a, failure=at_control, vantage="control") for a in (TWIN, stray)],
    )  # fmt: skip


_TWIN_RESET = handshake(failure="connection_reset", chain="absent")
_NEXT, _THERE = "http://next.example/", "192.0.2.9"


def _beyond_redirect(*attempts: Attempt) -> Observed:
    return observed(plain_redirect(_NEXT), *attempts, control())


def plain_redirect(to: str) -> list[Attempt]:
    return [lookup(HERE), connect(), redirect(HTTP, to)]


def _next_hop(failure: str | None, *twins: Attempt) -> list[Attempt]:
    last = unanswered(_NEXT, failure, address=_THERE, hop=1) if failure else exchange(
        _NEXT, address=_THERE, hop=1
    )  # fmt: skip
    return [lookup(_THERE, host="next.example", hop=1), connect(_THERE, hop=1), last, *twins]


def _next_twin(failure: str | None) -> Attempt:
    return handshake(_THERE, failure, sni="next.example", hop=1)


_CASES: tuple[RuleCase, ...] = (
    # the probe itself
    RuleCase(
        "probe.own_fault",
        stopped("tcp", "address_family_not_supported", Seen.REACHES),
        stopped("tcp", "connection_refused", Seen.REACHES),
    ),
    RuleCase(
        "probe.offline",
        observed(
            lookup(failure="generic_timeout_error"),
            lookup(failure="network_unreachable", resolver="8.8.8.8:53"),
            connect(failure="generic_timeout_error"),
            control_failure="generic_timeout_error",
        ),
        observed(
            lookup(failure="generic_timeout_error"),
            lookup(HERE, resolver="8.8.8.8:53"),
            connect(failure="generic_timeout_error"),
            control_failure="generic_timeout_error",
        ),
    ),
    RuleCase(
        "probe.resolver_silent",
        silent_resolver(**UNHEARD),
        silent_resolver(resolver_asn=ACCESS_ASN),
    ),
    RuleCase(
        "probe.clock",
        stopped("tls", "ssl_invalid_certificate", Seen.REACHES),
        observed(
            lookup(HERE),
            connect(port=443),
            handshake(failure="ssl_invalid_certificate", chain="self_signed"),
            control(),
            input=HTTPS,
        ),
    ),
    # answers
    RuleCase(
        "dns.answer.agrees",
        observed(plain_path(), control(TWIN)),
        observed(_stray(), control()),
    ),
    RuleCase(
        "dns.bogon.control_reaches",
        observed(lookup(BOGON), control()),
        observed(lookup(BOGON, HERE), control()),
    ),
    RuleCase(
        "dns.bogon.among",
        dead_for_all(TWIN, BOGON6),
        dead_for_all(TWIN, PRIVATE6),
    ),
    RuleCase(
        "dns.bogon.among_proved",
        dead_for_all(TWIN, BOGON6, others=(handshake(HERE),)),
        dead_for_all(TWIN, BOGON6, others=(handshake(HERE, chain="wrong_name"),)),
    ),
    RuleCase(
        "dns.bogon.control_fails",
        observed(lookup(BOGON), dead_control(lookup_failure="dns_nxdomain_error")),
        observed(lookup(BOGON), control()),
    ),
    RuleCase("dns.bogon.control_none", observed(lookup(BOGON)), observed(lookup(HERE))),
    RuleCase(
        "dns.forgery.published",
        observed(lookup(FORGED), control()),
        observed(lookup(FORGED), control(FORGED)),
    ),
    RuleCase(
        "dns.forgery.elsewhere",
        observed(plain_path(), lookup(FORGED, resolver="8.8.8.8:53"), control()),
        observed(plain_path(), lookup(FORGED, resolver="https://dns.example/"), control()),
    ),
    RuleCase(
        "dns.local_portal",
        observed(lookup(PRIVATE), lookup(PRIVATE, resolver="8.8.8.8:53")),
        observed(lookup(PRIVATE), lookup(HERE, resolver="8.8.8.8:53")),
    ),
    RuleCase(
        "dns.differs.validated",
        observed(_stray(handshake(ELSEWHERE)), control(), input=HTTPS),
        observed(_stray(handshake(ELSEWHERE, chain="wrong_name")), control(), input=HTTPS),
    ),
    RuleCase(
        "dns.differs",
        observed(_stray(), control()),
        observed(_stray(answer=TWIN), control()),
    ),
    RuleCase(
        "dns.differs.leads_astray",
        observed(_stray(connect(ELSEWHERE, failure="connection_refused")), control()),
        observed(_stray(connect(ELSEWHERE, failure="connection_refused")), dead_control()),
    ),
    RuleCase(
        "dns.answers.dead",
        _dead_answers("generic_timeout_error"),
        _dead_answers(None),
    ),
    RuleCase(
        "dns.answers.unsealed",
        dead_for_all(TWIN, others=(*_in_clear(TWIN, sealed=[HERE]), handshake(HERE))),
        dead_for_all(TWIN, others=(*_in_clear(TWIN, sealed=[HERE, TWIN]), handshake(HERE))),
    ),
    RuleCase(
        "dns.differs.in_clear",
        observed(
            _stray(lookup(ELSEWHERE, resolver="8.8.8.8:53")),
            lookup(HERE, resolver="https://dns.example/dns-query"),
            control(),
        ),
        observed(
            _stray(lookup(HERE, resolver="8.8.8.8:53")),
            lookup(HERE, resolver="https://dns.example/dns-query"),
            control(),
        ),
    ),
    RuleCase(
        "dns.ghost",
        observed(lookup(ACCESS), dead_control(lookup_failure="dns_nxdomain_error")),
        observed(lookup(ACCESS), dead_control(lookup_failure="dns_servfail_error")),
    ),
    # steps
    RuleCase(
        "site.control_page_failed",
        stopped("http", "connection_reset", Seen.FAILS),
        observed(plain_path(), dead_control()),
    ),
    RuleCase(
        "http.redirect.control_reaches", _dead_end(HTTP, control()), _dead_end(HTTPS, control())
    ),
    RuleCase(
        "http.redirect.authenticated", _dead_end(HTTPS, control()), _dead_end(HTTP, control())
    ),
    RuleCase(
        "http.redirect.control_fails", _dead_end(HTTP, dead_control()), _dead_end(HTTP, control())
    ),
    RuleCase("http.redirect.control_none", _dead_end(HTTP), _dead_end(HTTP, dead_control())),
    RuleCase(
        "tls.twin_failed",
        observed(plain_path(), _TWIN_RESET, control()),
        observed(plain_path(), _TWIN_RESET, dead_control()),
    ),
    RuleCase(
        "tls.hop_twin_failed",
        _beyond_redirect(*_next_hop("connection_reset", _next_twin("connection_reset"))),
        _beyond_redirect(*_next_hop("connection_reset", _next_twin(None))),
    ),
    RuleCase(
        "dns.detour_proves",
        _found_other_way("dns_nxdomain_error"),
        _found_other_way("dns_nxdomain_error", to=TWIN),
    ),
    RuleCase(
        "dns.detour_works",
        _found_other_way("generic_timeout_error"),
        observed(lookup(failure="generic_timeout_error"), handshake(HERE), input=HTTPS),
    ),
    # pages over an authenticated path
    RuleCase(
        "http.authenticated",
        observed(secure_path(), input=HTTPS),
        observed(lookup(HERE), handshake(chain="wrong_name"), exchange(HTTPS), input=HTTPS),
    ),
    RuleCase(
        "http.authenticated.refusal",
        observed(secure_path(status=403), control(), input=HTTPS),
        observed(secure_path(status=403), _with_page(status=403), input=HTTPS),
    ),
    RuleCase(
        "http.same_error.refused",
        observed(plain_path(status=404), _with_page(status=404)),
        observed(plain_path(status=404), _with_page(status=410)),
    ),
    RuleCase(
        "http.same_error.broken",
        observed(plain_path(status=502), _with_page(status=502)),
        observed(plain_path(status=502), control()),
    ),
    RuleCase(
        "tls.reached",
        observed(lookup(HERE), handshake(), input=HTTPS),
        observed(lookup(HERE), handshake(chain="wrong_name"), input=HTTPS),
    ),
    RuleCase(
        "http.encrypted_unproved",
        observed(lookup(HERE), exchange(HTTPS), input=HTTPS),
        observed(lookup(HERE), handshake(chain="expired"), exchange(HTTPS), input=HTTPS),
    ),
    # pages in clear
    RuleCase(
        "http.page.matches",
        observed(plain_path(), control()),
        observed(plain_path(title="Nothing like it", length=300), control()),
    ),
    RuleCase(
        "http.page.resembles",
        observed(plain_path(title=None, length=2500, headers=["server: a"]),
                 _with_page(title=None, headers=["server: a"])),
        observed(plain_path(title=None, length=2500, headers=["server: b"]),
                 _with_page(title=None, headers=["server: a"])),
    ),
    RuleCase(
        "http.page.nothing_against",
        observed(plain_path(title=None, complete=False), handshake(), control()),
        observed(plain_path(title=None, complete=False), control()),
    ),
    RuleCase(
        "http.block_page",
        observed(plain_path(fingerprints=["nat.ir"])),
        observed(plain_path(fingerprints=["nat.ir", "mistaken"])),
    ),
    RuleCase(
        "http.block_page.product",
        observed(plain_path(fingerprints=["prod.any"])),
        observed(plain_path(fingerprints=["isp.any"])),
    ),
    RuleCase(
        "http.block_page.elsewhere",
        observed(plain_path(fingerprints=["nat.ir"]), probe_cc="IT"),
        observed(plain_path(fingerprints=["nat.ir"]), probe_cc="IR"),
    ),
    RuleCase(
        "http.block_page.redirect",
        observed(plain_redirect("http://stop.example/"),
                 exchange("http://stop.example/", address=ACCESS, hop=1, fingerprints=["nat.ir"])),
        observed(plain_redirect("http://www.site.example/"),
                 exchange("http://www.site.example/", hop=1, fingerprints=["nat.ir"])),
    ),
    RuleCase(
        "http.redirect.forged",
        observed(plain_redirect(f"http://{FORGED_BOGON}/?u=1")),
        observed(plain_redirect(f"http://{PRIVATE}/?u=1")),
    ),
    RuleCase(
        "http.block_wording",
        observed(plain_path(fingerprints=["vague"], title="Stop", length=300), control()),
        observed(plain_path(fingerprints=["vague", "captcha"], title="Stop", length=300),
                 control()),
    ),
    RuleCase(
        "http.block_wording.no_control",
        observed(plain_path(fingerprints=["vague"])),
        observed(plain_path(fingerprints=["vague"], title="Stop", length=300), control()),
    ),
    RuleCase(
        "http.page.differs",
        observed(plain_path(title="Stop", length=300), control()),
        observed(plain_path(), control()),
    ),
    RuleCase(
        "http.refusal",
        observed(plain_path(status=403, title="No", length=300, headers=SHIELD),
                 _with_page(headers=SHIELD)),
        observed(plain_path(status=403, title="No", length=300), control()),
    ),
    RuleCase(
        "http.disproved",
        observed(plain_path(fingerprints=["nat.any", "mistaken"]), control()),
        observed(plain_path(fingerprints=["nat.any"]), control()),
    ),
    RuleCase(
        "http.unfollowed.same_site",
        observed(lookup(HERE), redirect(HTTP, "/welcome", status=303)),
        observed(lookup(HERE), redirect(HTTP, "http://other.example/", status=303)),
    ),
    RuleCase(
        "http.unfollowed.elsewhere",
        observed(lookup(HERE), redirect(HTTP, "http://other.example/", status=303)),
        observed(secure_path(status=303, location="http://other.example/"), input=HTTPS),
    ),
    RuleCase(
        "http.control_refused",
        observed(plain_path(), _with_page(status=403)),
        observed(plain_path(fingerprints=["nat.any"]), _with_page(status=403)),
    ),
    RuleCase(
        "http.portal",
        observed(plain_path(fingerprints=["hotel"]), control()),
        observed(
            plain_path(fingerprints=["hotel", "nat.any"], title="Denied", length=300), control()
        ),
    ),
    RuleCase(
        "probe.experiment.tells_how",
        observed(RESET, finding("tls.reset.sni"), input=HTTPS),
        observed(secure_path(), control(), finding("tls.reset.sni"), input=HTTPS),
    ),
    RuleCase(
        "probe.experiment.ends_abroad",
        observed(SILENT, hop_at(ABROAD), input=HTTPS),
        observed(SILENT, hop_at(AT_HOME), input=HTTPS),
    ),
    RuleCase(
        "probe.experiment.not_repeated",
        observed(RESET, finding(answer="not_repeated"), input=HTTPS),
        observed(RESET, finding(answer="not_repeated"), finding("tls.reset.sni"), input=HTTPS),
    ),
    RuleCase(
        "quic.experiment.fails",
        observed(secure_path(), control(), finding("quic.timeout.sni", layer="quic"), input=HTTPS),
        observed(secure_path(), control(), finding("quic.timeout.sni", trials=2), input=HTTPS),
    ),
    RuleCase(
        "tls.experiment.throttle",
        observed(secure_path(), control(), SLOW, input=HTTPS),
        observed(secure_path(), control(), finding("tls.throttle.sni", effect_high=0.6),
                 input=HTTPS),
    ),
    RuleCase(
        "http.experiment.throttle",
        observed(plain_path(), control(), finding("http.throttle.host", effect_high=0.1)),
        observed(plain_path(), control(), finding("http.throttle.host")),
    ),
    RuleCase(
        "http.experiment.injection",
        observed(plain_path(), control(), finding("http.injection", layer="http")),
        observed(plain_path(), control(), finding(layer="http", answer="none")),
    ),
)  # fmt: skip

RULE_CASES: tuple[RuleCase, ...] = (*(_step_case(rule_id) for rule_id in STEP_IDS), *_CASES)

__all__ = ["CODE_OF", "RULE_CASES", "SITE", "STEP_IDS", "UNHEARD", "RuleCase", "dead_for_all",
           "quorum", "silent_resolver", "stopped"]  # fmt: skip
