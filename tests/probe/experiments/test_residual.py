from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Literal

import pytest

from gatewatch.model.mechanism import Trigger
from gatewatch.probe.experiments.mechanism import Bench, Layer, Suspicion
from gatewatch.probe.experiments.residual import ends_of, trigger_of
from gatewatch.probe.experiments.residual_spot import Glance
from gatewatch.probe.finding import Finding, Trial
from gatewatch.probe.net import Plain, Vantage
from gatewatch.probe.seat import Seat

param = pytest.param
BLOCKED, FREE = Glance(True, 0.0, (0.0, 0.0), "x"), Glance(False, 0.0, (0.0, 0.0), None)
URL, HOST = "http://www.example.org/?q=word", "www.example.org"


@pytest.mark.parametrize(
    ("same", "another_port", "another_service", "ends"),
    [
        param(FREE, FREE, FREE, None, id="nothing"),
        param(BLOCKED, FREE, FREE, "4-tuple", id="the same ports alone"),
        param(BLOCKED, BLOCKED, FREE, "3-tuple", id="that port of the server"),
        param(BLOCKED, BLOCKED, BLOCKED, "2-tuple", id="both addresses"),
        param(BLOCKED, BLOCKED, None, "3-tuple", id="of other ports nothing is known"),
        param(None, FREE, FREE, None, id="over UDP the same ends are the same flow"),
        param(None, BLOCKED, BLOCKED, "2-tuple", id="over UDP, and over TCP as well"),
        param(FREE, FREE, BLOCKED, None, id="another service fails by itself"),
    ],
)
def test_ends_are_what_the_blocked_share_with_the_trigger(
    same, another_port, another_service, ends
):
    assert ends_of(same, another_port, another_service) == ends


def about(trigger: Trigger | None, *, layer: Layer = "tls", answer: str = "blocked", arm: str = ""):
    trials = (
        Trial(arm=arm, step="tls", address="192.0.2.1", port=443, name=None,
              failure="generic_timeout_error", t0=0.0, t=1.0),
    ) if arm else ()  # fmt: skip
    return Finding(
        experiment="some", version=1, question="", layer=layer, depth=0, host=HOST, url=URL,
        answer=answer, words="", trigger=trigger, trials=trials,
    )  # fmt: skip


def suspected(layer: Layer, kind: Literal["failed", "unasked"] = "failed"):
    return Suspicion(
        layer=layer, kind=kind, failure=None, url=URL, host=HOST, address="192.0.2.1", port=443,
        depth=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("suspicion", "findings", "kind"),
    [
        param(suspected("tls"), [], "sni", id="a handshake that failed"),
        param(suspected("http"), [], "request", id="a request that failed"),
        param(suspected("quic"), [], "quic", id="QUIC that failed"),
        param(suspected("tls"), [about("address")], None, id="the address alone is to blame"),
        param(suspected("tls", "unasked"), [], None, id="a handshake that went well"),
        param(suspected("tls", "unasked"), [about(None)], None, id="and nothing was proven"),
        param(
            suspected("tls", "unasked"), [about("protocol", answer="esni")], "esni",
            id="a hidden name is blocked",
        ),
        param(
            suspected("tls", "unasked"), [about("protocol", arm="ech")], "ech",
            id="a name hidden the newer way",
        ),
        param(
            suspected("tls", "unasked"), [about("protocol", layer="tcp", arm="encrypted")],
            "random", id="a first packet that looks like nothing",
        ),
        param(
            suspected("quic", "unasked"), [about("name", layer="quic")], "quic",
            id="QUIC that only an experiment tried",
        ),
        param(
            suspected("http", "unasked"), [about("protocol", answer="esni")], None,
            id="what is proven is about TLS",
        ),
    ],
)  # fmt: skip
def test_what_is_sent_is_what_set_the_censor_off(suspicion, findings, kind):
    async def asked():
        zero = asyncio.get_running_loop().time()
        seat = Seat(
            asn=137, country="IT", network="", addresses=(), resolver=None, ca=Path("ca.pem"),
            reach=Plain(),
        )  # fmt: skip
        bench = Bench(
            seat=seat, vantage=Vantage(reach=Plain(), addresses=(), zero=zero),
            rng=random.Random(0), deadline=60.0, findings=findings,
        )  # fmt: skip
        return trigger_of(bench, suspicion)

    found = asyncio.run(asked())
    assert (found.kind if found else None) == kind
    assert found is None or (found.host, found.url) == (HOST, URL)
