"""What the true DNS of a world says."""

from __future__ import annotations

import pytest

from gatewatch.lab.scenario import Answer, Host, Scenario
from gatewatch.lab.zone import WHOAMI, ByName, Zone

COUNTRIES = {"130.192.0.1": "IT", "77.75.0.1": "CZ"}


def zone(**names: Answer) -> Zone:
    """Two sites and a name with every address of each, besides the names given."""
    hosts = {
        "site": Host(
            addresses=("192.0.2.1", "2001:db8::1"), names=("www.example.org", "*.cdn.example")
        ),
        "twin": Host(addresses=("192.0.2.2",), names=("www.example.org",)),
    }
    keyed = {name.replace("_", "."): answer for name, answer in names.items()}
    scenario = Scenario(title="", words="", kind="innocent", hosts=hosts, names=keyed)
    return Zone(scenario, COUNTRIES.get)


def addresses(found: Zone, name: str, kind: str = "A", asker: str = "77.75.0.1") -> list[str]:
    return [record.value for record in found.reply(name, kind, asker).records]


@pytest.mark.parametrize(
    ("name", "kind", "values"),
    [
        pytest.param(
            "www.example.org", "A", ["192.0.2.1", "192.0.2.2"], id="every host that carries it"
        ),
        pytest.param("WWW.example.org", "AAAA", ["2001:db8::1"], id="in any case"),
        pytest.param("a.b.cdn.example", "A", ["192.0.2.1"], id="below a wildcard"),
        pytest.param("www.example.org", "TXT", [], id="no record of another type"),
    ],
)
def test_a_name_has_the_addresses_of_its_hosts(name, kind, values):
    found = zone()
    assert addresses(found, name, kind) == values
    assert found.reply(name, kind, "77.75.0.1").rcode == "NOERROR"


def test_a_name_that_nobody_carries_does_not_exist():
    assert zone().reply("cdn.example", "A", "77.75.0.1").rcode == "NXDOMAIN"


def test_an_answer_may_depend_on_the_country_of_who_asks():
    found = zone(www_example_org=Answer(by_country={"IT": ("192.0.2.9",)}))
    assert addresses(found, "www.example.org", asker="130.192.0.1") == ["192.0.2.9"]
    assert addresses(found, "www.example.org", asker="77.75.0.1") == ["192.0.2.1", "192.0.2.2"]


def test_rotation_shows_some_addresses_at_a_time_and_all_in_the_end():
    pool = tuple(f"192.0.2.{n}" for n in range(10, 15))
    found = zone(cdn_net=Answer(addresses=pool, rotate=2))
    shown = [addresses(found, "cdn.net") for _ in range(5)]
    assert all(len(answer) == 2 for answer in shown)
    assert shown[0] != shown[1]
    assert {address for answer in shown for address in answer} == set(pool)


def test_an_alias_is_followed_to_its_addresses():
    found = zone(
        alias_net=Answer(cname="second.net"), second_net=Answer(cname="www.example.org", ttl_s=7)
    )
    records = found.reply("alias.net", "A", "77.75.0.1").records
    assert [(r.name, r.type, r.value) for r in records] == [
        ("alias.net", "CNAME", "second.net"),
        ("second.net", "CNAME", "www.example.org"),
        ("www.example.org", "A", "192.0.2.1"),
        ("www.example.org", "A", "192.0.2.2"),
    ]
    assert records[1].ttl_s == 7


@pytest.mark.parametrize(
    ("answer", "rcode", "chain"),
    [
        pytest.param(Answer(cname="nobody.net"), "NXDOMAIN", 1, id="to a name that does not exist"),
        pytest.param(Answer(cname="x.net"), "SERVFAIL", 0, id="to itself"),
    ],
)
def test_an_alias_that_leads_nowhere_says_so(answer, rcode, chain):
    reply = zone(x_net=answer).reply("x.net", "A", "77.75.0.1")
    assert (reply.rcode, len(reply.records)) == (rcode, chain)


def test_an_alias_may_bring_the_addresses_of_its_target():
    found = zone(x_net=Answer(cname="edge.net", addresses=("192.0.2.7",)))
    records = found.reply("x.net", "A", "77.75.0.1").records
    assert [(r.name, r.value) for r in records] == [
        ("x.net", "edge.net"),
        ("edge.net", "192.0.2.7"),
    ]


@pytest.mark.parametrize(
    "answer", [Answer(rcode="SERVFAIL"), Answer(rcode="REFUSED"), Answer(rcode="NXDOMAIN")]
)
def test_a_name_may_be_answered_with_an_error(answer):
    reply = zone(www_example_org=answer).reply("www.example.org", "A", "77.75.0.1")
    assert (reply.rcode, reply.records) == (answer.rcode, ())


def test_a_resolvers_own_word_comes_before_the_truth():
    own = ByName({".example.org": Answer(addresses=("10.10.34.35",))})
    reply = zone().reply("www.example.org", "A", "77.75.0.1", own)
    assert [record.value for record in reply.records] == ["10.10.34.35"]


@pytest.mark.parametrize(
    ("resolver", "kind", "seen"),
    [
        pytest.param("77.75.0.53", "A", ["77.75.0.53"], id="a resolver, whoever asks it"),
        pytest.param(None, "A", ["77.75.0.1"], id="the asker himself, without one"),
        pytest.param("2001:db8::53", "A", [], id="a resolver without IPv4"),
        pytest.param("77.75.0.53", "AAAA", [], id="never over IPv6"),
    ],
)
def test_a_name_tells_who_asks_its_servers(resolver, kind, seen):
    reply = zone().reply(WHOAMI.upper(), kind, "77.75.0.1", resolver=resolver)
    assert (reply.rcode, [record.value for record in reply.records]) == ("NOERROR", seen)


def test_a_world_may_have_another_word_on_that_name():
    found = zone(whoami_v4_powerdns_org=Answer(rcode="SERVFAIL"))
    assert found.reply(WHOAMI, "A", "77.75.0.1").rcode == "SERVFAIL"
