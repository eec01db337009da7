"""A chain proves a name or it does not, whatever its submitter says of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewatch.archive.adapters.lens import Chain
from gatewatch.observe.certificates import ABSENT, ChainReader
from tests.observe.authority import (
    DAY,
    NOW,
    authority,
    chain,
    intermediate,
    leaf,
    of_version_nine,
    root,
    with_one_extension_twice,
)

SITE = "site.example"
WHOLE = cache(lambda: chain(SITE))
STATES = {"valid", "expired", "wrong_name", "self_signed", "untrusted", "unreadable", "absent"}


@pytest.fixture(scope="module")
def reader() -> ChainReader:
    return ChainReader(root().pem)


def test_a_chain_to_a_trusted_root_proves_its_name(reader: ChainReader):
    ders = chain(SITE)
    found = reader.read(ders, SITE, NOW)
    assert found == Chain("valid", sha256(ders[0]).hexdigest(), "CN=Test Intermediate")


@pytest.mark.parametrize(
    ("names", "host", "state"),
    [
        pytest.param([SITE, "www.site.example"], "www.site.example", "valid", id="a second name"),
        pytest.param(["*.site.example"], "www.site.example", "valid", id="a wildcard"),
        pytest.param(["SITE.Example"], SITE, "valid", id="in other letters"),
        pytest.param(["*.site.example"], SITE, "wrong_name", id="no wildcard for itself"),
        pytest.param(["*.site.example"], "a.b.site.example", "wrong_name", id="one label only"),
        pytest.param(["other.example"], SITE, "wrong_name", id="another's"),
        pytest.param(["192.0.2.7"], "192.0.2.7", "valid", id="an address"),
        pytest.param(["2001:db8::7"], "2001:db8::7", "valid", id="an IPv6 address"),
        pytest.param(["192.0.2.7"], "192.0.2.8", "wrong_name", id="another address"),
        pytest.param([SITE], "192.0.2.7", "wrong_name", id="a name for an address"),
        pytest.param([], SITE, "wrong_name", id="no names at all"),
    ],
)
def test_a_certificate_speaks_for_the_names_it_lists(reader, names, host: str, state: str):
    assert reader.read(chain(*names), host, NOW).state == state


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (NOW - 31 * DAY, "expired"),
        (NOW + 31 * DAY, "expired"),
        (NOW - 30 * DAY - timedelta(hours=3), "expired"),
        (NOW - 30 * DAY, "valid"),
        (NOW + 30 * DAY + timedelta(minutes=30), "valid"),
        (NOW + 30 * DAY + timedelta(hours=3), "expired"),
        (datetime(1970, 1, 1), "expired"),
        (datetime(9999, 12, 31), "expired"),
        (datetime.min, "expired"),
        (datetime.max, "expired"),
        (None, "valid"),
    ],
)
def test_a_certificate_speaks_at_its_time_give_or_take_an_hour_or_two(reader, at, state: str):
    assert reader.read(chain(SITE), SITE, at).state == state


def test_a_self_signed_certificate_proves_nothing(reader: ChainReader):
    assert reader.read([leaf(SITE, own=True)], SITE, NOW).state == "self_signed"


def test_nor_does_one_from_an_authority_nobody_trusts(reader: ChainReader):
    stranger = authority("Stranger")
    assert reader.read([leaf(SITE, issuer=stranger), stranger.der], SITE, NOW).state == "untrusted"


def test_an_authority_that_only_calls_itself_like_a_trusted_one_is_a_stranger(reader: ChainReader):
    namesake = authority("Test Root")
    assert reader.read([leaf(SITE, issuer=namesake), namesake.der], SITE, NOW).state == "untrusted"


def test_a_chain_without_its_intermediate_cannot_be_followed(reader: ChainReader):
    assert reader.read([leaf(SITE)], SITE, NOW).state == "untrusted"


def test_a_chain_may_hold_more_than_it_needs_in_any_order(reader: ChainReader):
    ders = [leaf(SITE), root().der, authority("Stranger").der, intermediate().der]
    assert reader.read(ders, SITE, NOW).state == "valid"


def test_only_the_first_certificate_is_the_leaf(reader: ChainReader):
    assert reader.read([intermediate().der, leaf(SITE)], SITE, NOW).state != "valid"


def test_a_server_certificate_cannot_issue_another(reader: ChainReader):
    """A leaf for one site, used as an authority for a second."""
    mine = chain("mine.example")
    fake = authority("mine.example")
    ders = [leaf(SITE, issuer=fake), mine[0], mine[1]]
    assert reader.read(ders, SITE, NOW).state == "untrusted"


def test_without_a_name_there_is_nothing_to_prove(reader: ChainReader):
    assert reader.read(chain(SITE), None, NOW).state == "untrusted"


def test_without_certificates_there_is_nothing_to_read(reader: ChainReader):
    assert reader.read([], SITE, NOW) == ABSENT


@pytest.mark.parametrize("data", [b"", b"\x00", b"not a certificate", b"\x30\x82\xff\xff"])
def test_bytes_that_are_no_certificate_are_unreadable(reader: ChainReader, data: bytes):
    assert reader.read([data], SITE, NOW) == Chain("unreadable", sha256(data).hexdigest(), None)
    assert reader.read([leaf(SITE), data], SITE, NOW).state == "unreadable"


@pytest.mark.parametrize("made", [with_one_extension_twice, of_version_nine])
def test_a_certificate_no_authority_would_sign_is_read_or_unreadable(reader, made):
    assert reader.read([made(SITE), intermediate().der], SITE, NOW).state != "valid"


@pytest.mark.parametrize("host", ["a_b.example", "-a.example", "a-.example", "x" * 64 + ".example"])
def test_a_name_no_certificate_may_prove_is_not_proved(reader: ChainReader, host: str):
    """Names that resolve and are no host names by RFC 5280; some certificates hold them."""
    assert reader.read(chain(host), host, NOW).state in ("untrusted", "wrong_name")


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_no_damage_to_a_certificate_stops_the_reader_or_makes_it_valid(at: int, flip: int):
    ders = WHOLE()
    der = bytearray(ders[0])
    der[at % len(der)] ^= flip
    found = ChainReader(root().pem).read([bytes(der), ders[1]], SITE, NOW)
    assert found.state in STATES - {"valid", "absent"}


def test_equal_chains_are_read_once(monkeypatch: pytest.MonkeyPatch):
    times: list[str | None] = []
    plain = ChainReader._read_uncached

    def counted(self: ChainReader, ders, host, at):
        times.append(host)
        return plain(self, ders, host, at)

    monkeypatch.setattr(ChainReader, "_read_uncached", counted)
    reader, ders = ChainReader(root().pem), chain(SITE)
    for minute in (0, 10, 59):
        reader.read(ders, SITE, NOW.replace(minute=minute))
    assert times == [SITE]
    reader.read(ders, "www.site.example", NOW)
    reader.read(ders, SITE, NOW + DAY)
    assert times == [SITE, "www.site.example", SITE]


def test_the_anchors_are_mozillas_unless_others_are_given():
    assert ChainReader().read(chain(SITE), SITE, NOW).state == "untrusted"
