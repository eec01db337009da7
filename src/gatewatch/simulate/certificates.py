"""X.509 certificates such as interceptors present, the same bytes on every run.

Keys are derived from names and signatures are Ed25519, which is deterministic; they protect
nothing. Genuine chains cannot be made here, so genuine handshakes carry none.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

FROM = datetime(2010, 1, 1, tzinfo=UTC)
UNTIL = datetime(2040, 1, 1, tzinfo=UTC)


@cache
def self_signed(host: str, organisation: str) -> tuple[bytes, ...]:
    """A chain of one: a certificate for `host` whose issuer is itself, in DER."""
    return (_build(_name(host, organisation), _name(host, organisation), host, authority=False),)


@cache
def issued(
    host: str, authority: str, *, organisation: str = "", until: datetime = UNTIL
) -> tuple[bytes, ...]:
    """A leaf for `host` and the unknown authority that issued it, in DER."""
    issuer = _name(authority, organisation)
    leaf = _build(_name(host), issuer, host, authority=False, until=until)
    return leaf, _build(issuer, issuer, None, authority=True)


def _build(
    subject: x509.Name,
    issuer: x509.Name,
    host: str | None,
    *,
    authority: bool,
    until: datetime = UNTIL,
) -> bytes:
    serial = int.from_bytes(_digest(subject, issuer)[:15], "big")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(_key(subject).public_key())
        .serial_number(serial)
        .not_valid_before(FROM)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if host is not None:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
    return builder.sign(_key(issuer), None).public_bytes(Encoding.DER)


def _name(common: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _key(name: x509.Name) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_digest(name))


def _digest(*names: x509.Name) -> bytes:
    return hashlib.sha256("|".join(n.rfc4514_string() for n in names).encode()).digest()
