"""Where do the suspected answers lead: to the site, to a block page, or to nobody?"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gatewatch.probe.dns import DNS_PORT, lookup
from gatewatch.probe.experiments.attempts import (
    CONNECT_S,
    SILENT_S,
    Attempt,
    ask_page,
    finding,
    invented,
)
from gatewatch.probe.experiments.common.pages import scopes_of
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.questions import Asked, asked, innocent_name, record_type
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.steps import Exchange, connect, handshake
from gatewatch.wire.address import is_bogon, is_loopback
from gatewatch.wire.html import title_of

MOST = 3
"Of the suspected addresses. Our choice: forgers draw from pools, and three tell the kind."
BLOCKING = ("nat", "isp", "prod", "inst", "vbw")
"Scopes of fingerprints that tell a block page, where a false answer leads to it."
DISPROVING = frozenset({"fp", "server", "portal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """What is at an address."""

    address: str
    proves: bool
    "It holds a certificate for the name, from an authority that is trusted."
    page: Attempt
    "For the name, in clear."
    other: Attempt | None
    "For a name that nobody has."
    trial: Trial
    "Of the handshake."


class DnsAnswers:
    """The suspected addresses, visited over TLS and in clear, beside a true one."""

    name = "dns_answers"
    version = 1
    question = "Where do the suspected answers lead?"
    layers: frozenset[Layer] = frozenset({"dns"})
    deep = False

    async def run(self, bench: Bench, suspicion: Suspicion) -> Finding | None:
        suspected = [a for a in suspicion.answers if a not in suspicion.true_addresses]
        here = [a for a in suspected if bench.can_reach(a) and not is_loopback(a)][:MOST]
        true = [a for a in suspicion.true_addresses if bench.can_reach(a)][:1]
        if not suspected:
            return None
        bench.tell(f"where do the answers for {suspicion.host} lead?")
        visits, beside, innocent = await asyncio.gather(
            asyncio.gather(*(_visit(bench, suspicion, a) for a in here)),
            asyncio.gather(*(_visit(bench, suspicion, a) for a in true)),
            _innocent(bench, suspicion),
        )
        trials = [trial for visit in (*visits, *beside) for trial in _trials(visit)]
        trials += [one.trial for one in innocent]
        answer, words = _read(suspicion, suspected, visits, beside, innocent)
        marks: list[str] = []
        if answer == "elsewhere":
            marks = await asyncio.to_thread(_marks, visits)
            if marks:
                answer = "block_page"
                words = f"{words} The page there is known, or worded, as a block page ({marks[0]})."
        met = ("dns_nobody", "injector", suspicion.host)
        forged = any((one.experiment, one.answer, one.host) == met for one in bench.findings)
        true_works = any(v.proves or v.page.ok for v in beside)
        mechanism = _mechanism(answer, suspected, forged=forged, true_works=true_works)
        return finding(
            self,
            suspicion,
            answer,
            words,
            trials,
            mechanism=mechanism,
            trigger="name" if mechanism else None,
        )


def _mechanism(answer: str, suspected: list[str], *, forged: bool, true_works: bool) -> str | None:
    """What a false answer is, by where it leads.

    Other addresses than a control's are no lie by themselves, and may lead to a dead or a bare
    server of the site's own. So it takes a forger who was met, or addresses or pages that no site
    has for itself while the true ones work.

    >>> _mechanism("nobody_there", ["31.13.94.37"], forged=True, true_works=True)
    'dns.injection.other'
    >>> _mechanism("nobody_there", ["31.13.94.37"], forged=False, true_works=True) is None
    True
    """
    if answer in ("leads_to_site", "all_names", "inconclusive"):
        return None
    if any(is_bogon(a) for a in suspected):
        return "dns.injection.bogon" if forged or true_works else None
    if answer == "block_page":
        return "dns.injection.blockpage" if forged or true_works else None
    if not forged:
        return None
    return "dns.injection" if answer == "refuses" else "dns.injection.other"


async def _innocent(bench: Bench, suspicion: Suspicion) -> list[Asked]:
    """What the same resolver says of an innocent name, and of some that nobody has."""
    own, neutral = bench.seat.resolver, innocent_name(bench)
    if own is None or neutral is None:
        return []
    kind = record_type(suspicion)
    return await asyncio.gather(
        *(
            asked(arm, name, own, DNS_PORT, lookup(bench.vantage, own, name, kind, late_s=0.0))
            for arm, name in (
                ("system_innocent", neutral),
                *(("system_unknown", name) for name in invented(bench)),
            )
        )
    )


async def _visit(bench: Bench, suspicion: Suspicion, address: str) -> Visit:
    host = suspicion.host
    nobody = f"{bench.rng.randbytes(5).hex()}.example"  # RFC 2606
    (proves, trial), page, other = await asyncio.gather(
        _proves(bench, host, address),
        ask_page(bench, address, 80, host, "/", "answer", SILENT_S),
        ask_page(bench, address, 80, nobody, "/", "unknown_name", SILENT_S),
    )
    return Visit(address=address, proves=proves, page=page, other=other, trial=trial)


async def _proves(bench: Bench, host: str, address: str) -> tuple[bool, Trial]:
    """Does the address hold the name's certificate?"""
    reached = await connect(bench.vantage, address, 443, timeout_s=CONNECT_S)
    failure, t, step = reached.failure, reached.t, "tcp"
    if reached.stream is not None:
        shaken = await handshake(reached.stream, host, ca=bench.seat.ca, timeout_s=SILENT_S)
        failure, t, step = shaken.failure, shaken.t, "tls"
        reached.stream.close()
    trial = Trial(
        arm="certificate",
        step=step,
        address=address,
        port=443,
        name=host,
        failure=failure,
        t0=reached.t0,
        t=t,
    )
    return failure is None, trial


def _trials(visit: Visit) -> list[Trial]:
    other = [] if visit.other is None else [visit.other.trial]
    return [visit.trial, visit.page.trial, *other]


def _read(
    suspicion: Suspicion,
    suspected: list[str],
    visits: list[Visit],
    beside: list[Visit],
    innocent: list[Asked],
) -> tuple[str, str]:
    """The answer, and why."""
    named = ", ".join(suspected[:MOST])
    if {a for one in innocent for a in one.addresses} & {*suspected}:
        return "all_names", f"An innocent name is answered with {named} too: it is not this name."
    proving = next((v for v in visits if v.proves), None)
    if proving is not None:
        return "leads_to_site", f"{proving.address} holds the site's certificate."
    truth = next((v.page.page for v in beside if v.page.page is not None), None)
    pages = [v for v in visits if v.page.page is not None and v.page.page.status is not None]
    if any(_alike(v.page.page, truth) for v in pages):
        return "leads_to_site", f"{named} serves the same page as the true address."
    true = "The true address holds it. " if any(v.proves for v in beside) else ""
    without = f"{named} holds no certificate for {suspicion.host}. {true}"
    if pages:
        same = [v for v in pages if v.other is not None and v.other.shown == v.page.shown]
        status = pages[0].page.page.status if pages[0].page.page else None
        any_name = " It serves the same to a name that nobody has." if same else ""
        return "elsewhere", f"{without}In clear it serves a page (status {status}).{any_name}"
    if not visits:
        bogon = all(is_bogon(a) for a in suspected)
        why = "is no address on the Internet" if bogon else "is out of our reach"
        return "nobody_there" if bogon else "inconclusive", f"{named} {why}."
    if all(_silent(v) for v in visits):
        return "nobody_there", f"{without}Nobody answers there, over TLS or in clear."
    return "refuses", f"{without}It serves no page in clear either."


def _silent(visit: Visit) -> bool:
    return all(t.failure == "generic_timeout_error" and t.step == "tcp" for t in _trials(visit))


def _alike(one: Exchange | None, other: Exchange | None) -> bool:
    """Two pages with the same status and title, or the same redirect."""
    if one is None or other is None or one.status != other.status:
        return False
    if one.body == other.body:
        return True
    titles = [title_of(page.body.decode("utf-8", "replace")) for page in (one, other)]
    return titles[0] is not None and titles[0] == titles[1]


def _marks(visits: list[Visit]) -> list[str]:
    """Ids of the fingerprints of block pages among what is served, where nothing disproves them."""
    found: list[str] = []
    for visit in visits:
        page = visit.page.page
        if page is not None and page.status is not None:
            scopes = scopes_of(page.body, page.headers)
            if not scopes.keys() & DISPROVING:
                found += [scopes[one] for one in BLOCKING if one in scopes]
    return found


EXPERIMENT = DnsAnswers()
