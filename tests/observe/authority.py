"""A certificate authority for tests, and chains it did and did not issue, in DER, leaf first."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

NOW = datetime(2024, 5, 6, 7, 8, 9)
DAY = timedelta(days=1)


class Issuer(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _sign(
    subject: str,
    issuer: Issuer | None,
    extensions: list[tuple[x509.ExtensionType, bool]],
    *,
    start: datetime = NOW - 300 * DAY,
    end: datetime = NOW + 300 * DAY,
) -> Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    above = issuer.certificate.subject if issuer else _name(subject)
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Issuer(builder.sign(signer, SHA256()), key)


def authority(name: str, issuer: Issuer | None = None) -> Issuer:
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return _sign(
        name,
        issuer,
        [(x509.BasicConstraints(ca=True, path_length=None), True), (usage, True)],
        start=NOW - 3000 * DAY,
        end=NOW + 3000 * DAY,
    )


@cache
def root() -> Issuer:
    return authority("Test Root")


@cache
def intermediate() -> Issuer:
    return authority("Test Intermediate", root())


def leaf(
    *names: str,
    issuer: Issuer | None = None,
    own: bool = False,
    start: datetime = NOW - 30 * DAY,
    end: datetime = NOW + 30 * DAY,
    more: tuple[x509.ExtensionType, ...] = (),
) -> bytes:
    """A server's certificate for names and addresses, from the intermediate unless told.

    Args:
        own: signed with its own key, under its own name.
    """
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        *((extension, False) for extension in more),
    ]
    if alternatives:
        extensions.append((x509.SubjectAlternativeName(alternatives), False))
    above = None if own else issuer or intermediate()
    made = _sign(names[0] if names else "nobody", above, extensions, start=start, end=end)
    return made.der


def chain(*names: str, start: datetime = NOW - 30 * DAY, end: datetime = NOW + 30 * DAY):
    """A leaf and the intermediate that issued it."""
    return [leaf(*names, start=start, end=end), intermediate().der]


def with_one_extension_twice(*names: str) -> bytes:
    """A certificate that no library would sign: two extensions under one identifier."""
    one, two = (ObjectIdentifier(f"1.3.6.1.4.1.55555.{n}") for n in (1, 2))
    more = tuple(x509.UnrecognizedExtension(oid, b"\x05\x00") for oid in (one, two))
    der = leaf(*names, more=more)
    prefix = bytes.fromhex("06092b0601040183b203")
    assert der.count(prefix) == 2
    return der.replace(prefix + b"\x02", prefix + b"\x01")


def of_version_nine(*names: str) -> bytes:
    der = leaf(*names)
    version_three = bytes.fromhex("a003020102")
    assert der.count(version_three) == 1
    return der.replace(version_three, bytes.fromhex("a003020108"))
