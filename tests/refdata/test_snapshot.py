"""The snapshot in the package answers offline, and says what it is."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from gatewatch.model.errors import NotFound
from gatewatch.model.target import Target
from gatewatch.refdata.snapshot import DATASETS, load
from gatewatch.refdata.store import EMBEDDED, embedded


@pytest.fixture(scope="module")
def refdata():
    return load()


def test_every_file_in_the_package_is_what_the_manifest_says():
    for snapshot in embedded().values():
        for name in snapshot.files:
            assert snapshot.read(name)
    held = {path.relative_to(EMBEDDED).as_posix() for path in EMBEDDED.rglob("*") if path.is_file()}
    told = {name for snapshot in embedded().values() for name in snapshot.files}
    assert held - told == {"MANIFEST.json", "LICENCES.md", "sources.toml"}


def test_the_package_stays_small():
    assert sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()) < 5_000_000


def test_every_dataset_says_whose_it_is_and_how_old(refdata):
    told = refdata.datasets()
    names = [dataset.name for dataset in told]
    assert names == [name for name in DATASETS if name in {*embedded(), "suffixes"}]
    for dataset in told:
        assert dataset.licence
        assert dataset.source
        assert dataset.rows > 20
        assert dataset.origin == "embedded"
        assert date(2026, 1, 1) < dataset.date
        assert re.fullmatch("[0-9a-f]{64}", dataset.sha256)


def test_the_version_is_a_date_and_a_digest(refdata):
    assert re.fullmatch(r"\d{4}-\d\d-\d\d\.[0-9a-f]{8}", refdata.version)
    assert load().version == refdata.version == load(Path("/nowhere/at/all")).version


@pytest.mark.parametrize(
    ("address", "asn", "country"),
    [
        ("8.8.8.8", 15169, "US"),
        ("2001:4860:4860::8888", 15169, "US"),
        ("149.154.167.51", 62041, "AG"),
        ("195.175.254.2", 9121, "TR"),
        ("10.0.0.1", None, None),
        ("::1", None, None),
        ("fe80::1%eth0", None, None),
        ("nonsense", None, None),
        ("", None, None),
    ],
)
def test_an_address_has_its_network_and_country_of_registration(refdata, address, asn, country):
    assert refdata.asn_of(address) == asn
    assert refdata.country_of(address) == country


def test_many_addresses_are_answered_in_order(refdata):
    asked = ["8.8.8.8", "nonsense", "1.1.1.1", "8.8.8.8"]
    assert refdata.asns_of(asked) == [15169, None, 13335, 15169]
    assert refdata.asns_of([]) == []


def test_a_network_has_a_name(refdata):
    assert refdata.network_name(15169) == "Google LLC"
    assert refdata.network_name(4_294_967_295) is None


@pytest.mark.parametrize(
    ("given", "target"),
    [
        (
            "http://WWW.BBC.co.uk:80/Persian?a=B#c",
            ("http://www.bbc.co.uk:80/Persian?a=B#c", "www.bbc.co.uk", "bbc.co.uk", "bbc"),
        ),
        ("Signal.org.", (None, "signal.org", "signal.org", "signal")),
        ("signal.org:443", (None, "signal.org", "signal.org", "signal")),
        ("example.org/path", (None, "example.org", "example.org", None)),
        ("a.b.github.io", (None, "a.b.github.io", "b.github.io", None)),
        ("github.io", (None, "github.io", "github.io", None)),
        ("https://1.2.3.4/x", ("https://1.2.3.4/x", "1.2.3.4", None, None)),
        ("1.2.3.4:443", (None, "1.2.3.4", None, None)),
        ("[2001:DB8::1]:443", (None, "2001:db8::1", None, None)),
        ("2001:db8::1", (None, "2001:db8::1", None, None)),
        (
            "https://[2001:DB8:0::1]:8443/",
            ("https://[2001:db8::1]:8443/", "2001:db8::1", None, None),
        ),
        (
            "https://Яндекс.рф/",
            ("https://xn--d1acpjx3f.xn--p1ai/", *["xn--d1acpjx3f.xn--p1ai"] * 2, None),
        ),
        ("stun://Stun.example.org:3478", ("stun://stun.example.org:3478", "stun.example.org",
                                          "example.org", None)),
    ],
)  # fmt: skip
def test_a_target_has_one_spelling(refdata, given, target):
    assert refdata.target_of(given) == Target(*target)


@pytest.mark.parametrize(
    "given",
    ["", " ", "http://", "http://a b/", "a b", "http://[::1", "http://a:99999/", "//", "\0"],
)
def test_what_names_no_host_is_no_target(refdata, given):
    assert refdata.target_of(given) is None


def test_without_test_lists_there_is_no_category(refdata):
    assert refdata.category_of("https://www.bbc.com/") is None


def test_an_unknown_fingerprint_is_named_with_the_version_it_is_not_in(refdata):
    with pytest.raises(NotFound, match=re.escape(f"'x.y' in reference data {refdata.version}")):
        refdata.fingerprint("x.y")


def test_it_travels_to_another_process_small_and_the_same(refdata):
    refdata.asn_of("8.8.8.8")
    sent = pickle.dumps(refdata)
    assert len(sent) < 1000
    assert pickle.loads(sent).version == refdata.version


def test_naming_what_is_in_force_loads_no_heavy_library():
    code = (
        "import sys; from gatewatch.refdata.snapshot import load; r = load(); r.version; "
        "r.datasets(); print(*{'pyarrow', 'hyperscan', 'duckdb'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
