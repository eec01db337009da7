"""Certificates held against names: as OpenSSL does in a handshake, without one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis.strategies import binary

from gatewatch.lab.certificates import Authority, new_key
from gatewatch.probe.certificates import chain_failure, leaf_name_failure

NAME = "www.example.org"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


@pytest.fixture(scope="module")
def ca(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority.write(tmp_path_factory.mktemp("ca"))


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("names", "asked", "failure"),
    [
        pytest.param([NAME], NAME, None, id="the name"),
        pytest.param([NAME], NAME.upper(), None, id="in capitals"),
        pytest.param([NAME], NAME + ".", None, id="with the root"),
        pytest.param(["a.example", NAME], NAME, None, id="the second name"),
        pytest.param(["*.example.org"], NAME, None, id="a wildcard"),
        pytest.param(["*.example.org"], "example.org", "ssl_invalid_hostname", id="its own domain"),
        pytest.param(["*.example.org"], "a.b.example.org", "ssl_invalid_hostname", id="two labels"),
        pytest.param(["*.org"], "example.org", "ssl_invalid_hostname", id="all of a registry"),
        pytest.param(["example.org"], NAME, "ssl_invalid_hostname", id="the parent"),
        pytest.param(["192.0.2.1"], "192.0.2.1", None, id="an address"),
        pytest.param(["2001:db8::1"], "2001:db8:0::1", None, id="an address in other words"),
        pytest.param(["192.0.2.1"], "192.0.2.2", "ssl_invalid_hostname", id="another address"),
        pytest.param([NAME], "192.0.2.1", "ssl_invalid_hostname", id="a name for an address"),
    ],
)
def test_a_certificate_is_for_its_names(names, asked, failure, authority, ca):
    leaf = authority.issue(names, new_key().public_key())
    assert chain_failure((der(leaf),), asked, ca=ca) == failure
    assert leaf_name_failure((der(leaf),), asked) == failure


def made(
    authority: Authority,
    *,
    issuer: x509.Name | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
    subject: ec.EllipticCurvePublicKey | None = None,
    name: str = NAME,
    extensions: tuple[x509.ExtensionType, ...] = (),
    until: datetime = datetime(2035, 1, 1, tzinfo=UTC),
) -> x509.Certificate:
    builder = x509.CertificateBuilder(
        issuer_name=issuer or authority.certificate.subject,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        public_key=subject or new_key().public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime(2020, 1, 1, tzinfo=UTC),
        not_valid_after=until,
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key or authority.key, SHA256())


SAN = x509.SubjectAlternativeName([x509.DNSName(NAME)])


def test_a_common_name_is_no_name(authority, ca):
    assert chain_failure((der(made(authority)),), NAME, ca=ca) == "ssl_invalid_hostname"


@pytest.mark.parametrize(
    ("use", "failure"),
    [
        (ExtendedKeyUsageOID.SERVER_AUTH, None),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, None),
        (ExtendedKeyUsageOID.CODE_SIGNING, "ssl_invalid_certificate"),
    ],
)
def test_a_certificate_for_another_use_is_none_of_a_server(use, failure, authority, ca):
    leaf = made(authority, extensions=(SAN, x509.ExtendedKeyUsage([use])))
    assert chain_failure((der(leaf),), NAME, ca=ca) == failure


def test_a_chain_needs_all_its_links(authority, ca, tmp_path):
    key, middle_key = new_key(), new_key()
    root = made(
        authority, issuer=common("root"), key=key, subject=key.public_key(), name="root",
        extensions=(x509.BasicConstraints(ca=True, path_length=None),),
    )  # fmt: skip
    middle = made(
        authority, issuer=root.subject, key=key, subject=middle_key.public_key(), name="middle",
        extensions=(x509.BasicConstraints(ca=True, path_length=None),),
    )  # fmt: skip
    leaf = made(authority, issuer=middle.subject, key=middle_key, extensions=(SAN,))
    trusted = tmp_path / "root.pem"
    trusted.write_bytes(root.public_bytes(Encoding.PEM))
    whole, cut = (der(leaf), der(middle)), (der(leaf),)
    assert chain_failure(whole, NAME, ca=trusted) is None
    assert chain_failure((*whole, der(root)), NAME, ca=trusted) is None
    assert chain_failure(cut, NAME, ca=trusted) == "ssl_unknown_authority"
    assert chain_failure(whole, NAME, ca=ca) == "ssl_unknown_authority"


def common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.mark.parametrize(
    ("asked", "until", "failure"),
    [
        (NAME, datetime(2021, 1, 1, tzinfo=UTC), "ssl_invalid_certificate"),
        ("other.example", datetime(2021, 1, 1, tzinfo=UTC), "ssl_invalid_hostname"),
    ],
)
def test_of_several_faults_the_name_is_told_before_the_date(asked, until, failure, authority, ca):
    leaf = made(authority, extensions=(SAN,), until=until)
    assert chain_failure((der(leaf),), asked, ca=ca) == failure


@given(junk=binary(max_size=300))
def test_no_bytes_pass_for_a_certificate(junk, authority, ca):
    assert chain_failure((junk,), NAME, ca=ca) == "ssl_invalid_certificate"
    leaf = der(made(authority, extensions=(SAN,)))
    for chain in ((leaf[:-1],), (leaf, junk), (leaf[:40] + junk + leaf[40:],)):
        found = chain_failure(chain, NAME, ca=ca)
        assert found in (None, "ssl_invalid_certificate", "ssl_unknown_authority")


def test_no_certificate_at_all_proves_nothing(ca):
    assert chain_failure((), NAME, ca=ca) == "ssl_invalid_certificate"
    assert leaf_name_failure((), NAME) == "ssl_invalid_certificate"
