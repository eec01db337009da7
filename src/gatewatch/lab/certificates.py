"""Certificates of the lab: an authority that clients are told to trust, and others they are not.

Everything is made anew for each run. No private key of an authority is ever written to disk, so
nobody who trusts `ca.pem` by mistake can be deceived with it later.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Kind = Literal["valid", "expired", "wrong_name", "unknown_issuer", "self_signed"]
Issued = Kind | Literal["national"]

FROM = datetime(2020, 1, 1, tzinfo=UTC)
UNTIL = datetime(2035, 1, 1, tzinfo=UTC)
"Our choice: no clock that a scenario sets wrong by days falls outside."
EXPIRED = datetime(2021, 1, 1, tzinfo=UTC)

TRUSTED = "gatewatch lab: trusted authority"
UNKNOWN = "gatewatch lab: unknown authority"
NATIONAL = "gatewatch lab: national authority"

SOMEBODY_ELSE = "somebody-else.example"
"The name in a certificate of the wrong name."

MAX_COMMON_NAME = 64
"RFC 5280, appendix A.1: ub-common-name."


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certification authority of one run."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(cls, name: str = TRUSTED) -> Authority:
        key = new_key()
        subject = _subject(name)
        certificate = (
            _builder(subject, subject, key.public_key(), key.public_key(), FROM, UNTIL)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .sign(key, SHA256())
        )
        return cls(certificate=certificate, key=key)

    def write(self, folder: Path, name: str = "ca.pem") -> Path:
        """The certificate for clients to trust, in PEM."""
        path = folder / name
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def issue(
        self, names: Sequence[str], key: ec.EllipticCurvePublicKey, *, until: datetime = UNTIL
    ) -> x509.Certificate:
        """A server certificate for names, `*.` wildcards and addresses."""
        issuer = self.certificate.subject
        builder = _builder(_subject(names[0]), issuer, key, self.key.public_key(), FROM, until)
        return _server(builder, names).sign(self.key, SHA256())


class Office:
    """Issues the certificates of one run, and keeps them with their key as files for servers.

    Args:
        folder: where the files go; `ca.pem` in it is the trusted authority.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = new_key()
        "One for all servers of a run: making keys is most of the work."
        self._made: dict[tuple[Issued, tuple[str, ...]], Path] = {}
        self.trusted = Authority.create(TRUSTED)
        self.ca_file = self.trusted.write(folder)

    @cached_property
    def _unknown(self) -> Authority:
        return Authority.create(UNKNOWN)

    @cached_property
    def _national(self) -> Authority:
        return Authority.create(NATIONAL)

    def file(self, kind: Issued, names: Sequence[str]) -> Path:
        """A PEM file of certificate and key, of one kind, for these names and addresses."""
        key = (kind, tuple(names))
        if key not in self._made:
            path = self._folder / f"server-{len(self._made):03}.pem"
            path.write_bytes(self._leaf(kind, names).public_bytes(Encoding.PEM) + self._key_pem)
            path.chmod(0o600)
            self._made[key] = path
        return self._made[key]

    def context(
        self, kind: Issued, names: Sequence[str], *, alpn: Sequence[str] = ()
    ) -> ssl.SSLContext:
        """For a server that shows a certificate of that kind."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(kind, names))
        context.set_alpn_protocols(list(alpn))
        return context

    def _leaf(self, kind: Issued, names: Sequence[str]) -> x509.Certificate:
        public = self._key.public_key()
        match kind:
            case "valid":
                return self.trusted.issue(names, public)
            case "expired":
                return self.trusted.issue(names, public, until=EXPIRED)
            case "wrong_name":
                return self.trusted.issue([SOMEBODY_ELSE], public)
            case "unknown_issuer":
                return self._unknown.issue(names, public)
            case "national":
                return self._national.issue(names, public)
            case "self_signed":
                return self_signed(names, self._key)

    @cached_property
    def _key_pem(self) -> bytes:
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def self_signed(names: Sequence[str], key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """A server certificate that vouches for itself."""
    subject, public = _subject(names[0]), key.public_key()
    builder = _builder(subject, subject, public, public, FROM, UNTIL)
    return _server(builder, names).sign(key, SHA256())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    start: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )


def _server(builder: x509.CertificateBuilder, names: Sequence[str]) -> x509.CertificateBuilder:
    """The extensions that OpenSSL and browsers want of a server's certificate."""
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:MAX_COMMON_NAME])])


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
