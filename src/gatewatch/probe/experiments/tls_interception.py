"""tls_interception: does somebody on the way hold the keys of everybody's TLS?

Well-known names of owners who have nothing to do with each other are asked for their certificates.
One authority that this machine does not trust, and that signs for several of them while the control
gets others, belongs to whoever is on the way. An authority that this machine does trust, and that
signs here what another signs elsewhere, is shown as well and accuses nobody: sites have several.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from gatewatch.probe.certificates import INVALID
from gatewatch.probe.experiments.common.inputs import Asked, InputTest
from gatewatch.probe.experiments.common.opinions import Opinions, ask
from gatewatch.probe.experiments.common.reached import Depth, Reached
from gatewatch.probe.ooni import Json
from gatewatch.refdata.endpoints import Endpoint

FEW = 2
"Names that one unknown authority signs, from which on it is interception of all and not of one."


async def work(asked: Asked) -> Json:
    session = asked.session
    targets = [
        Endpoint(service="well_known", kind="tls", protocol="https", host=host, port=443, path="/")
        for host in asked.input.split()
    ] or asked.table.of("well_known", "tls")
    reached = await session.reach_all(targets)
    heard = await ask(session, [one for one in reached if not one.well])
    return {
        **session.keys(),
        "failure": next((one.failure for one in reached if one.failure), None),
        "x_control": heard.connects,
        "x_control_failure": heard.failures[0] if heard.failures else None,
        **verdict(reached, heard),
    }


def verdict(reached: Sequence[Reached], heard: Opinions) -> Json:
    """`intercepted`: True, False, or None where it cannot be told."""
    names = [_entry(one, heard) for one in reached]
    refused = [entry for entry in names if entry["intercepted"]]
    sound = [entry for entry in names if entry["failure"] is None]
    issuers: dict[str, list[str]] = {}
    for entry in refused:
        issuers.setdefault(entry["issuer"] or "", []).append(entry["name"])
    widest = max(issuers.items(), key=lambda pair: len(pair[1]), default=("", []))
    if refused:
        everywhere = len(widest[1]) >= FEW
        scope = "all" if everywhere and not sound else "some" if everywhere else "one"
        why = f"{widest[0] or 'an unnamed authority'} signs for {', '.join(widest[1])}"
        return {
            "intercepted": True,
            "scope": scope,
            "issuer": widest[0],
            "names": names,
            "why": why,
        }
    known = bool(sound)
    why = (
        f"{len(sound)} of {len(names)} names show certificates that are in order"
        if known
        else "no name shows a certificate that could be compared"
    )
    return {
        "intercepted": False if known else None,
        "scope": None,
        "issuer": None,
        "names": names,
        "why": why,
    }


def _entry(one: Reached, heard: Opinions) -> Json:
    """One name. Refused here and in order for the control: somebody else answered."""
    seen = heard.views.get(one.endpoint.url)
    refused = one.depth is Depth.CERTIFICATE and one.failure != INVALID
    elsewhere = seen is not None and seen.depth >= Depth.SECURE
    return {
        "name": one.endpoint.host,
        "failure": one.failure,
        "issuer": issuer_of(one.chain),
        "intercepted": True if refused and elsewhere else False if one.well else None,
    }


def issuer_of(chain: Sequence[bytes]) -> str | None:
    """Who signed the leaf, as the certificate says it; None without one that can be read."""
    if not chain:
        return None
    try:
        return x509.load_der_x509_certificate(chain[0]).issuer.rfc4514_string()
    except ValueError:
        return None


EXPERIMENT = InputTest(
    name="tls_interception",
    version="0.1.0",
    question="Does somebody on the way answer TLS in the place of everybody?",
    work=work,
    besides=(("well_known", "tls"),),
    takes="nothing",
)
