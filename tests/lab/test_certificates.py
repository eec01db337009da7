"""Certificates of the lab."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import verification

from gatewatch.lab.certificates import Issued, Office

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ["www.example.org", "*.cdn.example", "192.0.2.1"]


def accepted(office: Office, kind: Issued, name: str = "www.example.org") -> bool:
    """Does a strict verifier that trusts `ca.pem` accept a server of that kind and name?"""
    trusted = x509.load_pem_x509_certificates(office.ca_file.read_bytes())
    builder = verification.PolicyBuilder().store(verification.Store(trusted)).time(NOW)
    verifier = builder.build_server_verifier(x509.DNSName(name))
    leaf = x509.load_pem_x509_certificate(office.file(kind, NAMES).read_bytes())
    try:
        verifier.verify(leaf, [])
    except verification.VerificationError:
        return False
    return True


@pytest.mark.parametrize("name", ["www.example.org", "a.cdn.example"])
def test_a_strict_verifier_accepts_what_is_valid(tmp_path, name):
    assert accepted(Office(tmp_path), "valid", name)


@pytest.mark.parametrize("name", ["example.org", "a.b.cdn.example", "cdn.example"])
def test_a_certificate_holds_for_its_names_only(tmp_path, name):
    assert not accepted(Office(tmp_path), "valid", name)


@pytest.mark.parametrize(
    "kind", ["expired", "wrong_name", "unknown_issuer", "self_signed", "national"]
)
def test_nobody_accepts_the_others(tmp_path, kind):
    assert not accepted(Office(tmp_path), kind)


def test_every_run_has_an_authority_of_its_own_whose_key_is_nowhere_on_disk(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = Office(tmp_path / "one"), Office(tmp_path / "two")
    assert one.ca_file.read_bytes() != two.ca_file.read_bytes()
    assert b"PRIVATE" not in one.ca_file.read_bytes()
    served = load_pem_private_key(one.file("valid", NAMES).read_bytes(), None)
    assert served.public_key() != one.trusted.certificate.public_key()


def test_what_has_been_issued_is_issued_once(tmp_path):
    office = Office(tmp_path)
    assert office.file("valid", NAMES) == office.file("valid", tuple(NAMES))
    assert office.file("valid", NAMES) != office.file("expired", NAMES)
