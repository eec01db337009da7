"""Rules on what came back at the end of the path: whose page is it?

A path authenticated by TLS cannot be altered by the network, so whatever comes over it is the
server's own word. In clear, fingerprints come first (those that disprove before all), then the
likeness to the control's page.
"""

from __future__ import annotations

from ipaddress import ip_address

from gatewatch.judge.case import REDIRECTS, Case, Hop, answered, proves
from gatewatch.judge.compare import shared_identity
from gatewatch.judge.rules.row import Fired, Rule
from gatewatch.model.outcome import Outcome, Reason
from gatewatch.model.records import Exchange
from gatewatch.model.target import endpoint_of, is_address, redirect_target

_BLOCK_SCOPES = ("nat", "isp", "prod")
_ALIKE, _LIKE, _UNLIKE = 2.0, 0.75, -1.5
"Our choices on the scale of `compare.compare_pages`."
_REFUSALS = frozenset({401, 403, 405, 406, 409, 410, 418, 429, 430, 451, 503})
"Statuses with which servers and their shields turn a client away."


def _final(case: Case) -> Exchange | None:
    return case.final[1] if case.final else None


# -- over an authenticated path --------------------------------------------------------------


def _authenticated(case: Case) -> Fired | None:
    final = _final(case)
    if final is None or not case.authenticated or not answered(final.status):
        return None
    if "server" in case.scopes(final) or (final.status in REDIRECTS and not final.location):
        return None
    return Fired(f"status {final.status} over TLS, authenticated as {_host(final)}")


def _authenticated_refusal(case: Case) -> Fired | None:
    final, page = _final(case), case.control.page
    if final is None or not case.authenticated:
        return None
    signed = case.scopes(final).get("server")
    if signed:
        return Fired(f"{_host(final)} itself refuses: {signed}, over TLS")
    if answered(final.status) or (page is not None and page.status == final.status):
        return None
    theirs = f"the control gets {page.status}" if page else "no control to compare"
    return Fired(f"{_host(final)} itself answers {final.status} over TLS; {theirs}")


def _same_error(broken: bool):
    """The same error status for both, which is the server's to everybody."""

    def condition(case: Case) -> Fired | None:
        final, page = _final(case), case.control.page
        if final is None or page is None or final.status is None or final.status < 400:
            return None
        if final.status != page.status or (final.status >= 500) is not broken:
            return None
        return Fired(f"status {final.status} here and for the control")

    return condition


def _reached_tls(case: Case) -> Fired | None:
    """No request was made on the path itself; the handshake shows that it leads there."""
    if case.obstacle is not None or case.final is not None or len(case.hops) != 1:
        return None
    if any(flaw.startswith("test_keys.requests") for flaw in case.measurement.flaws):
        return None  # a request we could not read is not a request that was not made
    hop = case.hops[0]
    if hop.exchange is not None or not any(
        o.failure is None and o.chain_state in ("valid", "absent", "untrusted")
        for o in hop.handshakes
    ):
        return None
    return Fired(f"{hop.host} proves itself by TLS at the address the resolver gave")


def _encrypted_unproved(case: Case) -> Fired | None:
    """Old probes record no handshake, and some checked no certificate."""
    final = _final(case)
    if final is None or case.authenticated or not final.encrypted or not answered(final.status):
        return None
    if (case.final and case.final[0].handshakes) or not _encrypted_throughout(case):
        return None
    return Fired(f"status {final.status} over TLS; the certificate is not on record")


def _encrypted_throughout(case: Case) -> bool:
    return all(h.exchange is None or h.exchange.encrypted for h in case.hops)


# -- in clear --------------------------------------------------------------------------------


def _matches(least: float, most: float):
    def condition(case: Case) -> Fired | None:
        likeness, final = case.likeness, _final(case)
        if likeness is None or final is None or not least <= likeness.score < most:
            return None
        if not answered(final.status) or _known_block(case, final):
            return None
        if case.scopes(final).keys() & {"vbw", "portal", "inst", "server"}:
            return None
        return Fired(f"the page is like the control's: {', '.join(likeness.reasons[:4])}")

    return condition


def _plain_page_on_proved_address(case: Case) -> Fired | None:
    """Too little to compare (cut, empty), nothing against it, and the address is the site's."""
    likeness, final = case.likeness, _final(case)
    if likeness is None or final is None or final.fingerprints or not answered(final.status):
        return None
    short_of_features = not final.title and (not final.body_complete or not final.body_length)
    if likeness.score >= _LIKE or likeness.score < 0 or not short_of_features:
        return None
    hop = case.hops[-1]
    if hop.depth > 0 or not any(o.failure is None for o in hop.twins):
        return None
    return Fired("nothing in the answer differs, and its address proves the name on port 443")


def _asked(case: Case) -> str:
    return case.measurement.input or ""


def _known_block(case: Case, exchange: Exchange) -> str | None:
    """A block-page fingerprint that nothing disproves: not another fingerprint, and not the
    control, who gets the same page where the site itself shows or quotes one."""
    scopes = case.scopes(exchange)
    at_home = exchange is _final(case) and case.domain(exchange.url) == case.domain(_asked(case))
    everybodys = case.likeness is not None and case.likeness.score >= _ALIKE
    if "fp" in scopes or (at_home and everybodys):
        return None
    return next((scopes[s] for s in _BLOCK_SCOPES if s in scopes), None)


def _altered(case: Case) -> list[tuple[Hop, Exchange]]:
    """Answers on the path that a network could have written: in clear, or on its way there."""
    found: list[tuple[Hop, Exchange]] = []
    for hop in case.hops:
        exchange = hop.exchange
        if exchange is None or (proves(hop) and (not found or case.authenticated)):
            continue
        found.append((hop, exchange))
    return found


def _block_page(at_home: bool, product: bool = False):
    """A known block page. One of another country says less about this network, and one of a
    filtering product less about whose filter it is: an organisation may run the same."""

    def condition(case: Case) -> Fired | None:
        for _, exchange in _altered(case):
            name = _known_block(case, exchange)
            if name is None:
                continue
            known = case.refdata.fingerprint(name)
            home = not known.countries or case.measurement.probe_cc in known.countries
            if home is not at_home or (at_home and (known.scope == "prod") is not product):
                continue
            how = "http.redirect" if known.location == "header.location" else "http.blockpage"
            return Fired(f"{_host(exchange)} answers with a known block page: {name}", how)
        return None

    return condition


def _redirected_to_block_page(case: Case) -> Fired | None:
    """Beside the page itself: how the user got there."""
    altered = _altered(case)
    blocked = [h for h, e in altered if h.depth > 0 and _known_block(case, e)]
    if not blocked:
        return None
    before = next((e for h, e in altered if h.depth == blocked[0].depth - 1), None)
    if before is None or before.encrypted or before.status not in REDIRECTS:
        return None
    if case.domain(before.url) == case.domain(blocked[0].url):
        return None
    return Fired(f"{_host(before)} is redirected in clear to {blocked[0].host}", "http.redirect")


def _forged_redirect(case: Case) -> Fired | None:
    """A redirect in clear to an address published as a false answer."""
    for _, exchange in _altered(case):
        host = _location_host(exchange)
        if host and is_address(host) and case.refdata.injected_answer(host):
            return Fired(f"{_host(exchange)} is redirected to {host}", "http.redirect")
    return None


def _block_wording(compared: bool):
    def condition(case: Case) -> Fired | None:
        final = _final(case)
        if final is None or case.authenticated:
            return None
        scopes = case.scopes(final)
        if "vbw" not in scopes or scopes.keys() & {"fp", "server"} or _known_block(case, final):
            return None
        likeness = case.likeness
        if likeness is not None and likeness.score > _UNLIKE and shared(case):
            return None
        if (likeness is not None) is not compared:
            return None
        return Fired(
            f"{_host(final)} answers with the words of a block page ({scopes['vbw']})",
            "http.blockpage",
        )

    return condition


def _differs(case: Case) -> Fired | None:
    likeness, final = case.likeness, _final(case)
    if likeness is None or final is None or case.authenticated or likeness.score >= _LIKE:
        return None
    if case.scopes(final).keys() & {"vbw", "server", "inst", "portal"} or _known_block(case, final):
        return None
    how = "http.error" if final.status is not None and final.status >= 400 else None
    return Fired(f"the page is not the control's: {', '.join(likeness.reasons[:4])}", how)


def shared(case: Case) -> list[str]:
    final, page = _final(case), case.control.page
    return shared_identity(final, page) if final and page else []


def _refusal(case: Case) -> Fired | None:
    """A refusal in clear that the server signs, or that carries the headers of the site."""
    final, page = _final(case), case.control.page
    if final is None or case.authenticated:
        return None
    scopes = case.scopes(final)
    if _known_block(case, final) or final.status in REDIRECTS:
        return None
    if "server" in scopes:
        return Fired(f"{_host(final)} answers {final.status}, signed {scopes['server']}")
    if page is None or not answered(page.status) or final.status not in _REFUSALS:
        return None
    names = shared(case)
    if not names:
        return None
    return Fired(
        f"{_host(final)} answers {final.status} with the site's own {', '.join(names[:3])}"
    )


def _disproved(case: Case) -> Fired | None:
    final = _final(case)
    name = case.scopes(final).get("fp") if final else None
    return Fired(f"known to be mistaken for a block page: {name}") if name else None


def _unfollowed(same_site: bool):
    """The chain ends in a redirect that the probe did not follow, as 303 is never followed."""

    def condition(case: Case) -> Fired | None:
        final = _final(case)
        if final is None or case.authenticated or final.status not in REDIRECTS:
            return None
        if _known_block(case, final) or not final.location:
            return None
        to = redirect_target(final.url, final.location)
        same = to is not None and case.domain(to) == case.domain(final.url)
        if same is not same_site:
            return None
        where = _shown(to or final.location)
        return Fired(f"{_host(final)} answers {final.status} to {where}, not followed")

    return condition


def _portal(case: Case) -> Fired | None:
    """A captive portal or an organisation's filter, on this side of the access network."""
    step = case.obstacle
    if step and step.hop.depth and step.hop.host.rpartition(".")[2] in _LOCAL_NAMES:
        return Fired(f"redirected to {step.hop.host}, a name of the local network")
    for _, exchange in _altered(case):
        scopes = case.scopes(exchange)
        name = scopes.get("portal") or scopes.get("inst")
        if name and not _known_block(case, exchange):
            return Fired(f"{_host(exchange)} answers as a local portal or filter: {name}")
        host = _location_host(exchange)
        if host and is_address(host) and ip_address(host).is_private:
            if case.refdata.injected_answer(host):
                continue
            return Fired(f"{_host(exchange)} is redirected to {host}, inside the local network")
    return None


_LOCAL_NAMES = frozenset("lan local localdomain internal intranet home corp localhost arpa".split())
"""Last labels that no public name has: RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`, and
the ones that routers and offices use by habit."""


def _location_host(exchange: Exchange) -> str | None:
    if exchange.location is None or exchange.encrypted:
        return None
    endpoint = endpoint_of(redirect_target(exchange.url, exchange.location) or "")
    return endpoint.host if endpoint else None


def _host(exchange: Exchange) -> str:
    endpoint = endpoint_of(exchange.url)
    return endpoint.host if endpoint else exchange.url[:80]


def _shown(url: str) -> str:
    return url if len(url) <= 80 else url[:80] + "…"


def _control_refused(case: Case) -> Fired | None:
    """The control was refused and the probe got a page: nothing to hold it against."""
    final, page = _final(case), case.control.page
    if final is None or page is None or case.authenticated or answered(page.status):
        return None
    if not answered(final.status) or final.fingerprints:
        return None
    return Fired(f"status {final.status} here, {page.status} for the control")


RULES = (
    Rule("http.authenticated", "http", "own", Outcome.OPEN, 8.0,
         "an answer over TLS from the party asked for", _authenticated, proof=True),
    Rule("http.authenticated.refusal", "http", "own", Outcome.SERVER_SIDE, 6.0,
         "an error or refusal over TLS that the control does not get", _authenticated_refusal,
         proof=True),
    Rule("http.same_error.refused", "http", "reaches", Outcome.OPEN, 4.0,
         "the same 4xx for both: the server answers everybody so", _same_error(broken=False)),
    Rule("http.same_error.broken", "http", "fails", Outcome.DOWN, 4.0,
         "the same 5xx for both: the site is broken for everybody", _same_error(broken=True)),
    Rule("tls.reached", "tls", "own", Outcome.OPEN, 3.5,
         "no request on the path, and a handshake that proves the name", _reached_tls),
    Rule("http.encrypted_unproved", "http", "own", Outcome.OPEN, 3.0,
         "an answer over TLS whose certificate is not on record", _encrypted_unproved),
    Rule("http.page.matches", "http", "reaches", Outcome.OPEN, 6.0,
         "the page is the control's by several features", _matches(_ALIKE, 1e9)),
    Rule("http.page.resembles", "http", "reaches", Outcome.OPEN, 3.0,
         "the page is like the control's by what little can be compared",
         _matches(_LIKE, _ALIKE)),
    Rule("http.page.nothing_against", "http", "reaches", Outcome.OPEN, 3.0,
         "nothing to compare, nothing against it, and a proved address",
         _plain_page_on_proved_address),
    Rule("http.block_page", "http", "own", Outcome.BLOCKED, 6.0,
         "a known block page of this country, or of no country in particular",
         _block_page(at_home=True), proof=True),
    Rule("http.block_page.product", "http", "own", Outcome.BLOCKED, 4.5,
         "a block page of a filtering product",
         _block_page(at_home=True, product=True)),
    Rule("http.block_page.elsewhere", "http", "own", Outcome.BLOCKED, 2.0,
         "a known block page of another country", _block_page(at_home=False)),
    Rule("http.block_page.redirect", "http", "own", Outcome.BLOCKED, 0.5,
         "a redirect in clear to a known block page", _redirected_to_block_page),
    Rule("http.redirect.forged", "http", "own", Outcome.BLOCKED, 5.0,
         "a redirect in clear to an address published as a false answer", _forged_redirect,
         proof=True),
    Rule("http.block_wording", "http", "reaches", Outcome.BLOCKED, 3.6,
         "the words of a block page where the control gets another page",
         _block_wording(compared=True)),
    Rule("http.block_wording.no_control", "http", "none", Outcome.BLOCKED, 1.0,
         "the words of a block page, and no page to compare", _block_wording(compared=False)),
    Rule("http.page.differs", "http", "reaches", Outcome.BLOCKED, 0.7,
         "a page that is not the control's, with nothing to say whose it is", _differs),
    Rule("http.refusal", "http", "reaches", Outcome.SERVER_SIDE, 4.5,
         "a refusal in clear signed by the server or carrying the site's own headers", _refusal),
    Rule("http.disproved", "http", "own", Outcome.SERVER_SIDE, 1.5,
         "a page known to be mistaken for a block page", _disproved),
    Rule("http.unfollowed.same_site", "http", "own", Outcome.OPEN, 3.0,
         "the chain ends in a redirect within the site", _unfollowed(same_site=True)),
    Rule("http.unfollowed.elsewhere", "http", "own", Outcome.OPEN, 0.3,
         "the chain ends in a redirect in clear to another site", _unfollowed(same_site=False)),
    Rule("http.control_refused", "http", "none", Outcome.OPEN, 1.0,
         "a page here, and an error for the control", _control_refused),
    Rule("http.portal", "http", "own", Outcome.OPEN, 0.0,
         "a captive portal or an organisation's filter answers", _portal,
         masks=Reason.LOCAL_PORTAL),
)  # fmt: skip
