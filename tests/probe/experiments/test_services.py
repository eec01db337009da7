"""Messengers and circumvention tools: blocked only where a control gets further, twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gatewatch.lab.certificates import Issued, Office
from gatewatch.probe.experiments import facebook_messenger, psiphon, signal, telegram, tor, whatsapp
from gatewatch.probe.seat import Control
from gatewatch.refdata.snapshot import load
from tests.probe.experiments.street import (
    CONTROL,
    Elsewhere,
    Json,
    measured,
    serve_tls,
    site,
    table,
    with_table,
)
from tests.probe.town import Stream, Town, closes, posts, resets, stays_silent, zone

param = pytest.param

DC = ("149.154.167.51", "149.154.175.50")
WEB, WEB_NAME = "149.154.167.99", "web.telegram.org"
OTHER = "192.0.2.80"


TELEGRAM = table(
    {
        "service": "telegram",
        "id": "data_center",
        "protocol": "http_post",
        "need": "any",
        "hosts": list(DC),
        "ports": [80, 443],
        "path": "/",
    },
    {
        "service": "telegram",
        "id": "web",
        "protocol": "https",
        "hosts": [WEB_NAME],
        "ports": [443],
        "path": "/",
    },
)
DCS = [(address, port) for address in DC for port in (80, 443)]
ALL_DCS = frozenset(f"{address}:{port}" for address, port in DCS)
POSTED = site(404)
OPEN = Elsewhere(
    reaches=ALL_DCS | {f"{WEB}:443"},
    names={WEB_NAME: (WEB,)},
    pages={DC[0]: 404, DC[1]: 404, WEB_NAME: 200},
    shakes={f"{WEB}:443": None},
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A street on which Telegram lives, or does not."""

    centres: Stream | None = POSTED
    "None: nobody answers at their addresses."
    silent: bool = False
    web: Stream | None = field(default_factory=site)
    raw_web: Stream | None = None
    names: dict[str, tuple[str, ...]] = field(default_factory=lambda: {WEB_NAME: (WEB,)})
    elsewhere: Elsewhere | None = OPEN

    async def furnish(self, town: Town, office: Office) -> None:
        for address, port in DCS:
            if self.silent:
                await town.unanswered(address, port)
            elif self.centres is not None:
                await town.tcp(address, port, self.centres)
        if self.raw_web is not None:
            await town.tcp(WEB, 443, self.raw_web)
        elif self.web is not None:
            await serve_tls(town, office, WEB, WEB_NAME, self.web)


GONE = Elsewhere(names={WEB_NAME: (WEB,)}, pages={WEB_NAME: 200}, reaches=frozenset({f"{WEB}:443"}))
DEAD = Elsewhere(names={WEB_NAME: (WEB,)})


@pytest.mark.parametrize(
    ("case", "blocked", "ooni"),
    [
        param(Case(), False, (False, False, "ok"), id="all is well"),
        param(Case(silent=True), True, (True, True, "ok"), id="data centres are silent here only"),
        param(Case(centres=None), True, (True, True, "ok"), id="refused here only"),
        param(Case(centres=resets), True, (True, False, "ok"), id="reset after the request"),
        param(
            Case(centres=None, elsewhere=GONE),
            None,
            (True, True, "ok"),
            id="moved: nobody reaches the data centres any more",
        ),
        param(
            Case(centres=None, elsewhere=None),
            None,
            (True, True, "ok"),
            id="no control, so nothing is known",
        ),
        param(Case(raw_web=resets), True, (False, False, "blocked"), id="the page is reset"),
        param(
            Case(raw_web=resets, elsewhere=None),
            None,
            (False, False, "blocked"),
            id="the page is reset, and no control",
        ),
        param(Case(names={}), True, (False, False, "blocked"), id="the name of the page is denied"),
        param(
            Case(centres=None, web=None, elsewhere=DEAD),
            None,
            (True, True, "blocked"),
            id="all of it is dead for everybody",
        ),
        param(
            Case(centres=None, web=None, elsewhere=None),
            None,
            (True, True, "blocked"),
            id="a probe without network",
        ),
    ],
)
def test_telegram_is_blocked_only_where_the_control_gets_further(case, blocked, ooni, office):
    found = measured(
        with_table(telegram.EXPERIMENT, TELEGRAM),
        case.furnish,
        office,
        names=case.names,
        elsewhere=case.elsewhere,
    )
    keys = found["test_keys"]
    assert keys["x_service"]["blocked"] is blocked, keys["x_service"]
    assert ooni == (
        keys["telegram_http_blocking"],
        keys["telegram_tcp_blocking"],
        keys["telegram_web_status"],
    )
    assert (keys["telegram_web_failure"] is None) == (ooni[2] == "ok")


@pytest.mark.parametrize(
    ("speaks", "blocked"),
    [
        param(False, None, id="a resolver that says nothing at all is out of order"),
        param(True, True, id="one that is silent on this name alone hides it"),
    ],
)
def test_silence_accuses_only_a_resolver_that_speaks(speaks, blocked, office):
    answers = zone({"whoami.v4.powerdns.org": ("130.192.3.22",)})

    def replies(question: bytes):
        return answers(question) if speaks and b"whoami" in question else ()

    case = Case()
    keys = measured(
        with_table(telegram.EXPERIMENT, TELEGRAM),
        case.furnish,
        office,
        names=replies,
        elsewhere=OPEN,
    )["test_keys"]
    assert keys["telegram_web_status"] == "blocked"
    assert keys["x_service"]["blocked"] is blocked, keys["x_service"]


def test_what_nobody_reaches_is_called_moved(office):
    keys = _keys(Case(centres=None, elsewhere=GONE), office)
    assert sorted(keys["x_moved"]) == sorted(
        f"http://{a}{':443' if p == 443 else ''}/" for a, p in DCS
    )
    assert {one["state"] for one in keys["x_service"]["endpoints"]} == {"moved", "open"}


def test_a_line_that_failed_once_is_no_censor(office):
    """The first attempt at each data centre is lost, the second is answered."""
    lost = set[tuple[str, int]]()

    def flaky(place: tuple[str, int]) -> Stream:
        async def serve(reader, writer):
            if place not in lost:
                lost.add(place)
                return await resets(reader, writer)
            return await POSTED(reader, writer)

        return serve

    async def furnish(town: Town, office: Office) -> None:
        for place in DCS:
            await town.tcp(*place, flaky(place))
        await serve_tls(town, office, WEB, WEB_NAME, site())

    keys = measured(
        with_table(telegram.EXPERIMENT, TELEGRAM),
        furnish,
        office,
        names={WEB_NAME: (WEB,)},
        elsewhere=OPEN,
    )["test_keys"]
    assert keys["telegram_http_blocking"] is True, "OONI's key is of the first attempt"
    assert keys["x_service"]["blocked"] is False
    assert len(keys["x_again"]["requests"]) == len(DCS)
    assert len(keys["tcp_connect"]) == len(DCS) + 1, "the standard lists hold the first pass"


def test_a_block_page_from_a_data_centre_is_no_answer_of_telegram(office):
    page = (
        b"<html><head><title>M5-2</title></head><body><iframe src='http://10.10.34.34?type=Invalid"
    )
    page += b" Site&policy=MainPolicy '></iframe></body></html>"
    keys = _keys(Case(centres=site(403, page)), office)
    assert keys["telegram_http_blocking"] is False, "as OONI says it"
    assert keys["x_service"]["blocked"] is True
    assert "a page in its place" in keys["x_service"]["endpoints"][0]["why"]


def _keys(case: Case, office: Office, **about: Any) -> Json:
    return measured(
        with_table(telegram.EXPERIMENT, TELEGRAM),
        case.furnish,
        office,
        names=case.names,
        elsewhere=case.elsewhere,
        **about,
    )["test_keys"]


# -- the others ------------------------------------------------------------------------------

CHAT = {f"e{i}.whatsapp.net": (f"157.240.22.{i}",) for i in (1, 2)}
WA_NAMES = {**CHAT, "v.whatsapp.net": ("157.240.22.90",), "web.whatsapp.com": ("157.240.22.60",)}
WA = table(
    {
        "service": "whatsapp",
        "id": "endpoint",
        "protocol": "tcp",
        "need": "any",
        "hosts": [*CHAT],
        "ports": [443, 5222],
        "networks": [32934],
    },
    {
        "service": "whatsapp",
        "id": "registration",
        "protocol": "https",
        "need": "none",
        "hosts": ["v.whatsapp.net"],
        "ports": [443],
        "path": "/v2/register",
    },
    {
        "service": "whatsapp",
        "id": "web",
        "protocol": "https",
        "hosts": ["web.whatsapp.com"],
        "ports": [443],
        "path": "/",
    },
)
WA_PLACES = [(a, p) for addresses in CHAT.values() for a in addresses for p in (443, 5222)]
WA_OPEN = Elsewhere(
    reaches=frozenset(
        {f"{a}:{p}" for a, p in WA_PLACES} | {"157.240.22.90:443", "157.240.22.60:443"}
    ),
    names=WA_NAMES,
    pages={"v.whatsapp.net": 400, "web.whatsapp.com": 200},
    asn=32934,
)


def meta(address: str) -> int | None:
    return 32934 if address.startswith("157.240.") else 64500


@pytest.mark.parametrize(
    ("dead", "names", "elsewhere", "blocked", "status", "listed"),
    [
        param((), WA_NAMES, WA_OPEN, False, "ok", [], id="all is well"),
        param(
            ("157.240.22.1",),
            WA_NAMES,
            WA_OPEN,
            False,
            "ok",
            ["e1.whatsapp.net"],
            id="one endpoint of two is enough",
        ),
        param(
            ("157.240.22.1", "157.240.22.2"),
            WA_NAMES,
            WA_OPEN,
            True,
            "blocked",
            [*CHAT],
            id="no endpoint connects, and they do elsewhere",
        ),
        param(
            ("157.240.22.1", "157.240.22.2"),
            WA_NAMES,
            Elsewhere(names=WA_NAMES, pages={"web.whatsapp.com": 200, "v.whatsapp.net": 200}),
            None,
            "blocked",
            [*CHAT],
            id="no endpoint connects anywhere",
        ),
        param(
            (),
            {**WA_NAMES, **dict.fromkeys(CHAT, ("10.10.34.34",))},
            WA_OPEN,
            True,
            "ok",
            [],
            id="their names lead into a private network, where something answers",
        ),
        param(
            (),
            {**WA_NAMES, **dict.fromkeys(CHAT, ("198.51.100.34",))},
            WA_OPEN,
            True,
            "ok",
            [],
            id="their names lead to a bogon",
        ),
        param(
            (),
            {**WA_NAMES, **dict.fromkeys(CHAT, ("130.192.9.9",))},
            WA_OPEN,
            None,
            "ok",
            [],
            id="their names lead elsewhere, and something answers",
        ),
    ],
)
def test_whatsapp(dead, names, elsewhere, blocked, status, listed, office):
    async def furnish(town: Town, office: Office) -> None:
        for address, port in [*WA_PLACES, *_astray()]:
            if address not in dead:
                await town.tcp(address, port, stays_silent)
        await serve_tls(town, office, "157.240.22.90", "v.whatsapp.net", site(400))
        await serve_tls(town, office, "157.240.22.60", "web.whatsapp.com", site())

    keys = measured(
        with_table(whatsapp.EXPERIMENT, WA),
        furnish,
        office,
        names=names,
        elsewhere=elsewhere,
        asn_of=meta,
    )["test_keys"]
    assert keys["x_service"]["blocked"] is blocked, keys["x_service"]
    assert keys["whatsapp_endpoints_status"] == status
    assert keys["whatsapp_endpoints_blocked"] == listed
    assert keys["whatsapp_web_status"] == "ok"
    assert keys["registration_server_status"] == "ok", "any status will do"


def _astray() -> list[tuple[str, int]]:
    return [(a, p) for a in ("10.10.34.34", "198.51.100.34", "130.192.9.9") for p in (443, 5222)]


SIGNAL_NAMES = {"chat.signal.org": ("76.223.92.165",), "storage.signal.org": ("142.250.186.83",)}
SIGNAL = table(
    {
        "service": "signal",
        "id": "backend",
        "protocol": "https",
        "hosts": [*SIGNAL_NAMES],
        "ports": [443],
        "path": "/",
    }
)
SIGNAL_PLACES = [f"{a}:443" for (a,) in SIGNAL_NAMES.values()]
UNVERIFIED = Elsewhere(
    reaches=frozenset(SIGNAL_PLACES),
    names=SIGNAL_NAMES,
    shakes=dict.fromkeys(SIGNAL_PLACES, "ssl_unknown_authority"),
)
"A control that does not know Signal's authority, as most do not."


@pytest.mark.parametrize(
    ("chat", "elsewhere", "blocked", "status"),
    [
        param("valid", UNVERIFIED, False, "ok", id="all is well"),
        param(resets, UNVERIFIED, True, "blocked", id="one server of two is reset"),
        param(stays_silent, UNVERIFIED, True, "blocked", id="handshakes are dropped"),
        param("unknown_issuer", UNVERIFIED, None, "blocked", id="neither can check it"),
        param(
            "unknown_issuer",
            Elsewhere(
                reaches=frozenset(SIGNAL_PLACES),
                names=SIGNAL_NAMES,
                shakes=dict.fromkeys(SIGNAL_PLACES),
                pages=dict.fromkeys(SIGNAL_NAMES, 404),
            ),
            True,
            "blocked",
            id="the control's certificate is in order",
        ),
        param("expired", UNVERIFIED, None, "blocked", id="out of date: a clock, or neglect"),
        param(None, Elsewhere(names=SIGNAL_NAMES), None, "blocked", id="gone for everybody"),
        param(resets, None, None, "blocked", id="no control"),
    ],
)
def test_signal(chat, elsewhere, blocked, status, office):
    async def furnish(town: Town, office: Office) -> None:
        await serve_tls(town, office, "142.250.186.83", "storage.signal.org", site(404))
        if isinstance(chat, str):
            context = office.context(cast("Issued", chat), ["chat.signal.org"], alpn=["http/1.1"])
            await town.tcp("76.223.92.165", 443, site(404), context)
        elif chat is not None:
            await town.tcp("76.223.92.165", 443, chat)

    keys = measured(
        with_table(signal.EXPERIMENT, SIGNAL),
        furnish,
        office,
        names=SIGNAL_NAMES,
        elsewhere=elsewhere,
    )["test_keys"]
    assert keys["x_service"]["blocked"] is blocked, keys["x_service"]
    assert keys["signal_backend_status"] == status


FB_NAMES = {
    "b-api.facebook.com": ("157.240.22.35",),
    "scontent.xx.fbcdn.net": ("157.240.22.36",),
    "stun.fbsbx.com": ("157.240.22.37",),
}
FB = table(
    *(
        {
            "service": "messenger",
            "id": kind,
            "protocol": protocol,
            "hosts": [host],
            "ports": [443],
            "networks": [32934],
            "need": need,
        }
        for kind, protocol, host, need in (
            ("api", "tcp", "b-api.facebook.com", "all"),
            ("cdn", "tcp", "scontent.xx.fbcdn.net", "all"),
            ("stun", "dns", "stun.fbsbx.com", "none"),
        )
    )
)
FB_OPEN = Elsewhere(
    reaches=frozenset(f"{a}:443" for (a,) in FB_NAMES.values()), names=FB_NAMES, asn=32934
)


@pytest.mark.parametrize(
    ("names", "dead", "dns", "tcp", "blocked"),
    [
        param(FB_NAMES, (), False, False, False, id="all is well"),
        param(FB_NAMES, ("157.240.22.35",), False, True, True, id="an address is refused"),
        param(
            {**FB_NAMES, "b-api.facebook.com": ("10.0.0.1",)},
            (),
            True,
            False,
            True,
            id="a name leads into a private network",
        ),
        param(
            {k: v for k, v in FB_NAMES.items() if k != "b-api.facebook.com"},
            (),
            True,
            False,
            True,
            id="a name is denied",
        ),
        param(
            {**FB_NAMES, "b-api.facebook.com": ("130.192.9.9",)},
            (),
            True,
            False,
            None,
            id="a name is answered from a cache in another network: nobody knows",
        ),
    ],
)
def test_facebook_messenger(names, dead, dns, tcp, blocked, office):
    async def furnish(town: Town, office: Office) -> None:
        for address in ("157.240.22.35", "157.240.22.36", "10.0.0.1", "130.192.9.9"):
            if address not in dead:
                await town.tcp(address, 443, closes)

    keys = measured(
        with_table(facebook_messenger.EXPERIMENT, FB),
        furnish,
        office,
        names=names,
        elsewhere=FB_OPEN,
        asn_of=meta,
    )["test_keys"]
    assert keys["facebook_dns_blocking"] is dns
    assert keys["facebook_tcp_blocking"] is tcp
    assert keys["x_service"]["blocked"] is blocked, keys["x_service"]
    assert keys["facebook_b_api_reachable"] is (None if dns else not tcp)
    assert keys["facebook_stun_reachable"] is None, "it is looked up, and no more"


def test_where_networks_are_not_known_consistency_is_not_known_either(office):
    async def furnish(town: Town, office: Office) -> None:
        for (address,) in FB_NAMES.values():
            await town.tcp(address, 443, closes)

    keys = measured(
        with_table(facebook_messenger.EXPERIMENT, FB),
        furnish,
        office,
        names=FB_NAMES,
        elsewhere=FB_OPEN,
    )["test_keys"]
    assert keys["facebook_b_api_dns_consistent"] is None
    assert keys["facebook_dns_blocking"] is None
    assert keys["x_service"]["blocked"] is False


RELAYS = ("128.31.0.39", "193.23.244.244")
TOR = table(
    {
        "service": "tor",
        "id": "dir_port",
        "protocol": "http",
        "need": "any",
        "at": [f"{a}:9131" for a in RELAYS],
        "path": "/tor/status-vote/current/consensus.z",
    },
    {
        "service": "tor",
        "id": "or_port_dirauth",
        "protocol": "tls",
        "need": "any",
        "at": [f"{a}:9101" for a in RELAYS],
    },
    {
        "service": "tor",
        "id": "obfs4",
        "protocol": "tcp",
        "need": "any",
        "at": ["193.11.166.194:27015"],
    },
)
TOR_OPEN = Elsewhere(
    reaches=frozenset(
        [f"{a}:{p}" for a in RELAYS for p in (9131, 9101)] + ["193.11.166.194:27015"]
    ),
    pages=dict.fromkeys(RELAYS, 200),
    shakes={f"{a}:9101": "ssl_unknown_authority" for a in RELAYS},
)


@pytest.mark.parametrize(
    ("relays", "bridge", "elsewhere", "accessible", "blocked"),
    [
        param("self_signed", True, TOR_OPEN, (2, 2, 1), False, id="all is well"),
        param(None, True, TOR_OPEN, (0, 0, 1), True, id="the relays refuse, the bridge works"),
        param("self_signed", False, TOR_OPEN, (2, 2, 0), True, id="the bridge alone"),
        param(resets, True, TOR_OPEN, (2, 0, 1), True, id="handshakes with relays are reset"),
        param(None, False, Elsewhere(), (0, 0, 0), None, id="all of them moved"),
        param(None, False, None, (0, 0, 0), None, id="no control"),
    ],
)
def test_tor(relays, bridge, elsewhere, accessible, blocked, office):
    async def furnish(town: Town, office: Office) -> None:
        for address in RELAYS:
            if relays is None:
                continue
            await town.tcp(address, 9131, site(200, b"consensus" * 400))
            if isinstance(relays, str):
                context = office.context(cast("Issued", relays), ["www.k2a3.net"])
                await town.tcp(address, 9101, closes, context)
            else:
                await town.tcp(address, 9101, relays)
        if bridge:
            await town.tcp("193.11.166.194", 27015, closes)

    keys = measured(with_table(tor.EXPERIMENT, TOR), furnish, office, elsewhere=elsewhere)[
        "test_keys"
    ]
    kinds = ("dir_port", "or_port_dirauth", "obfs4")
    assert tuple(keys[f"{kind}_accessible"] for kind in kinds) == accessible
    assert [keys[f"{kind}_total"] for kind in kinds] == [2, 2, 1]
    assert keys["or_port_total"] == 0
    assert keys["x_service"]["blocked"] is blocked, keys["x_service"]
    assert len(keys["targets"]) == 5
    for target in keys["targets"].values():
        assert target["summary"].keys() >= {"connect"}
        for request in target["requests"]:
            assert len(request["response"]["body"]) <= 256


PSIPHON = table(
    {
        "service": "psiphon",
        "id": "server_list",
        "protocol": "https",
        "need": "any",
        "hosts": ["s3.amazonaws.com"],
        "ports": [443],
        "path": "/list",
    }
)


@pytest.mark.parametrize(
    ("stream", "elsewhere", "blocked"),
    [
        param(site(), True, False, id="the list can be had"),
        param(None, True, True, id="not here"),
        param(None, False, None, id="not here, and no control"),
    ],
)
def test_psiphon(stream, elsewhere, blocked, office):
    async def furnish(town: Town, office: Office) -> None:
        if stream is not None:
            await serve_tls(town, office, "52.32.1.1", "s3.amazonaws.com", stream)

    names = {"s3.amazonaws.com": ("52.32.1.1",)}
    seen = Elsewhere(
        reaches=frozenset({"52.32.1.1:443"}), names=names, pages={"s3.amazonaws.com": 200}
    )
    found = measured(
        with_table(psiphon.EXPERIMENT, PSIPHON),
        furnish,
        office,
        names=names,
        elsewhere=seen if elsewhere else None,
    )
    assert found["test_keys"]["x_service"]["blocked"] is blocked
    assert found["test_name"] == "psiphon_fronts", "it does not start Psiphon, as OONI's does"


# -- Signal's own authority ------------------------------------------------------------------


def test_signals_authority_is_in_the_reference_data():
    (authority,) = load().endpoints().authorities("signal")
    assert authority.pem.strip().startswith("-----BEGIN CERTIFICATE-----")


# -- hostile controls ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        param(b"", id="nothing"),
        param(b"<html>", id="a page"),
        param(b"[]", id="a list"),
        param(b'{"dns": null, "http_request": null}', id="nulls"),
        param(b'{"dns": {"addrs": 7}, "http_request": {"status_code": "x"}}', id="wrong types"),
        param(
            b'{"dns": [], "http_request": [], "tcp_connect": [], "tls_handshake": 3, "ip_info": 1}',
            id="more wrong types",
        ),
        param(
            b'{"dns":{},"http_request":{},"tcp_connect":{"149.154.167.51:443":{"status":{}}}}',
            id="a status that is none",
        ),
        param(b'{"dns":{"addrs":[null,{}]},"http_request":{"failure":{}}}', id="odd members"),
    ],
)
def test_a_control_that_answers_nonsense_makes_nothing_blocked(said, office):
    async def furnish(town: Town, office: Office) -> None:
        context = office.context("valid", ["control.example"], alpn=["http/1.1"])
        await town.tcp(CONTROL, 443, posts(lambda _: ("application/json", said)), context)

    keys = measured(
        with_table(telegram.EXPERIMENT, TELEGRAM),
        furnish,
        office,
        controls=(Control(name="control.example", address=CONTROL),),
    )["test_keys"]
    assert keys["x_service"]["blocked"] is None, keys["x_service"]
