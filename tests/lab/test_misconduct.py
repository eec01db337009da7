"""A censor that could never act, or would act otherwise than it says, is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewatch.lab.load import load
from tests.lab.files import RESET, SNI, changed, refusal, written

param = pytest.param

MILL = '[hosts.mill]\naddresses = ["130.192.7.7"]\nmiddlebox = {}\n\n[[censors]]'
DIVERT = (RESET, 'action = { divert = { to = "mill" } }')
TWO_HOPS = ('[["130.192.232.1"]]', '[["130.192.232.1"], []]')
INNER = ('at = "isp"', 'at = "isp/1"')


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        param('at = "isp"', 'at = "isp/7"', "censors.resetter.at", "isp/7", id="no such hop"),
        param('at = "isp"', 'at = "moon"', "censors.resetter.at", "moon", id="no such network"),
        param(SNI, "bidirectional = true", "censors.resetter.trigger", "set it off",
              id="a trigger that nothing sets off"),
        param(SNI, f'{SNI}, networks = ["moon"]', "censors.resetter.trigger.networks", "moon",
              id="clients of nowhere"),
        param(f"{{ {SNI} }}\n{RESET}",
              '{ port = [443] }\naction = { divert = { to = "site" } }',
              "censors.resetter.action.divert.to", "middlebox", id="diverted to a site"),
        param(RESET, "action = { throttle = {} }", "censors.resetter.action.throttle", "a rate",
              id="a throttle that lets everything through"),
        param(SNI, f'{SNI}, quic_sni = [".example.org"]', "censors.resetter.trigger", "one flow",
              id="a name in TCP and in QUIC at once"),
        param(SNI, f'{SNI}, transport = "udp"', "censors.resetter.trigger", "one flow",
              id="TLS over UDP"),
        param(SNI, 'quic = true, transport = "tcp"', "censors.resetter.trigger", "one flow",
              id="QUIC over TCP"),
        param(SNI, 'host = ["example.org"], quic = true', "censors.resetter.trigger", "one flow",
              id="HTTP in clear in QUIC"),
        param(SNI, f"{SNI}, schedule = {{ after_s = 5, until_s = 5 }}",
              "censors.resetter.trigger.schedule.until_s", "after the beginning",
              id="a time that is over as it begins"),
        param(RESET, f"{RESET}\nresidual = {{ seconds = 9, action = {{ throttle = {{}} }} }}",
              "censors.resetter.residual.action.throttle", "a rate",
              id="a residue that does nothing"),
    ],
)  # fmt: skip
def test_a_censor_that_contradicts_itself_says_where_and_what_is_wanted(
    tmp_path: Path, old: str, new: str, where: str, words: str
):
    said = refusal(tmp_path, changed((old, new)))
    assert where in said.where
    assert words in str(said)


# -- diverted flows ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trigger",
    [
        'sni = ["example.org"]',
        'host = ["example.org"]',
        'keyword = ["word"]',
        'look = ["tor"]',
        "quic = true",
        "ech = true",
        'ip = ["1.2.3.4"], url = ["*"]',
        'dns = ["example.org"]',
        'dns = ["example.org"], transport = "tcp"',
    ],
)
def test_what_a_first_packet_does_not_tell_cannot_divert_a_flow(tmp_path: Path, trigger: str):
    said = refusal(tmp_path, changed(("[[censors]]", MILL), DIVERT, (SNI, trigger)))
    assert said.where.endswith("censors.resetter.trigger")
    assert "first packet" in str(said)


@pytest.mark.parametrize(
    "trigger",
    [
        "everything = true",
        'port = [443], transport = "tcp", networks = ["isp"], probability = 0.5',
        'ip = ["1.2.3.4"], schedule = { hours = ["20:00-06:00"] }',
        'endpoint = ["1.2.3.4:443"]',
        'dns = ["example.org"], dns_types = ["A"], transport = "udp"',
    ],
)
def test_what_a_first_packet_tells_can_divert_a_flow(tmp_path: Path, trigger: str):
    load(written(tmp_path, changed(("[[censors]]", MILL), DIVERT, (SNI, trigger))))


def test_a_middlebox_beyond_the_box_could_not_be_answered_through_it(tmp_path: Path):
    beyond = [("[[censors]]", MILL), DIVERT, TWO_HOPS, (SNI, "port = [443]")]
    assert "leads past isp/2" in str(refusal(tmp_path, changed(*beyond)))
    load(written(tmp_path, changed(*beyond, INNER)))


# -- errors of routers ------------------------------------------------------------------------


def icmp(code: str) -> tuple[str, str]:
    return (RESET, f'action = {{ icmp = {{ code = "{code}" }} }}')


@pytest.mark.parametrize("code", ["net", "host", "admin"])
def test_a_silent_hop_sends_no_icmp_error(tmp_path: Path, code: str):
    said = refusal(tmp_path, changed(TWO_HOPS, icmp(code)))
    assert said.where.endswith("censors.resetter.action.icmp")
    assert "isp/2" in str(said)
    load(written(tmp_path, changed(TWO_HOPS, icmp(code), INNER)))


def test_a_closed_port_is_said_by_the_machine_so_its_hop_may_be_silent(tmp_path: Path):
    load(written(tmp_path, changed(TWO_HOPS, icmp("port"))))


def test_a_hop_sends_icmp_errors_of_the_ip_versions_that_it_has(tmp_path: Path):
    v6 = [
        ('prefixes = ["130.192.0.0/16"]', 'prefixes = ["130.192.0.0/16", "2001:760::/32"]'),
        ('["130.192.91.211"]', '["130.192.91.211", "2001:760::211"]'),
        icmp("admin"),
    ]
    assert "a hop with an IPv6 address" in str(refusal(tmp_path, changed(*v6)))
    load(written(tmp_path, changed(*v6, (SNI, 'ip = ["1.2.3.4"]'))))
    load(written(tmp_path, changed(*v6, (SNI, 'endpoint = ["1.2.3.4:443"]'))))
    load(written(tmp_path, changed(*v6, ('["130.192.232.1"]', '["130.192.232.1", "2001:760::1"]'))))
