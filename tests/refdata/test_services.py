"""The table of services holds together."""

from __future__ import annotations

from collections import Counter

import pytest

from gatewatch.model.errors import MalformedRecord, NotFound
from gatewatch.model.target import canonical_host
from gatewatch.refdata.services import COMBINE, Services, read_services
from gatewatch.refdata.snapshot import load
from gatewatch.refdata.store import EMBEDDED

CONTENT = (EMBEDDED / "services.toml").read_bytes()
SERVICES = read_services(CONTENT, "services.toml")[1].all()
WANTED = """
facebook instagram x whatsapp telegram signal youtube google wikipedia bbc tor psiphon tiktok
linkedin reddit medium github new-york-times guardian dw voa rferl al-jazeera cnn reuters meduza
iran-international radio-farda current-time nordvpn expressvpn protonvpn mullvad tunnelbear lantern
outline discord threads snapchat viber skype twitch vimeo soundcloud internet-archive change-org
human-rights-watch amnesty pornhub
""".split()


def row(**changes: object) -> bytes:
    fields = {"id": "a", "name": "A", "kind": "news", "core": ["a.org"], "combine": "any_core"}
    fields |= {"source": "https://a.org/"} | changes
    lines = "\n".join(f"{key} = {value!r}" for key, value in fields.items())
    return f"date = 2026-01-31\n[[service]]\n{lines}\n".encode()


def test_the_services_people_ask_about_are_there():
    assert set(WANTED) <= {service.id for service in SERVICES}


def test_ids_and_names_are_used_once():
    for field in ("id", "name"):
        counted = Counter(getattr(service, field) for service in SERVICES)
        assert [name for name, times in counted.items() if times > 1] == []


def test_no_host_is_in_two_services_or_twice_in_one():
    counted = Counter(host for service in SERVICES for host in service.core + service.other)
    assert [host for host, times in counted.items() if times > 1] == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.id)
def test_every_service_has_core_hosts_that_are_its_own(service):
    assert service.core
    assert service.combine in COMBINE
    assert service.source.startswith("https://")
    refdata = load()
    for pattern in service.core + service.other:
        host = pattern.removeprefix(".")
        assert canonical_host(host) == host
        target = refdata.target_of(host)
        assert target is not None
        assert target.service == service.id


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("www.facebook.com", "facebook"),
        ("deep.below.facebook.com", "facebook"),
        ("edge-mqtt.facebook.com", "messenger"),
        ("notfacebook.com", None),
        ("facebook.com.example.org", None),
        ("youtubei.googleapis.com", "youtube"),
        ("maps.google.com", None),
        ("en.wikipedia.org", "wikipedia"),
        ("149.154.167.51", "telegram"),
    ],
)
def test_the_most_specific_pattern_owns_a_host(host, owner):
    assert read_services(CONTENT, "x")[1].of_host(host) == owner


def test_an_unknown_service_is_named_with_those_there_are():
    with pytest.raises(NotFound, match=r"no service .gopher.*facebook"):
        load().service("gopher")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (row(core=[]), "core"),
        (row(combine="most"), "any_core or all_core"),
        (row(core=["A.org"]), "canonical host"),
        (row(core=["a b"]), "canonical host"),
        (row() + row().split(b"\n", 1)[1], "id used once"),
        (row() + row(id="b", name="B").split(b"\n", 1)[1], "one owner, not a, b"),
        (b"date = 2026-01-31\n[[service]]\nid = 'a'\n", "service"),
        (b"[[service]]\n", "date"),
        (b"date = ", "TOML"),
        (b"\xff", "TOML in UTF-8"),
    ],
)
def test_a_table_that_does_not_hold_together_is_refused(content, words):
    with pytest.raises(MalformedRecord, match=words):
        read_services(content, "services.toml")


def test_no_services_is_a_sound_table():
    assert Services([]).of_host("a.org") is None
