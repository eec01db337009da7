"""Certificates read again here: does this chain prove this name at this time, and if not, why.

A submitter's word for a valid certificate is worth nothing; its bytes are. The trust anchors
are Mozilla's, from the certifi package.
"""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from hashlib import sha256
from ipaddress import ip_address

from gatewatch.archive.adapters.lens import Chain
from gatewatch.model.target import is_address

ABSENT = Chain("absent", None, None)


class ChainReader:
    """Reads chains against one set of trust anchors; equal chains are read once."""

    def __init__(self, anchors_pem: bytes | None = None) -> None:
        self._anchors_pem = anchors_pem
        self._read = lru_cache(maxsize=50_000)(self._read_uncached)

    def read(self, ders: list[bytes], host: str | None, at: datetime | None) -> Chain:
        """Args:
            ders: certificates as sent, leaf first, DER.
            host: the name to be proved; None when none was sent.
            at: when, UTC without zone; None asks only for the middle of the leaf's own dates.

        Returns:
            The state of the chain. `untrusted` covers an issuer nobody trusts and a chain
            recorded without its intermediates, which look the same from here.
        """
        if not ders:
            return ABSENT
        hour = at.replace(minute=0, second=0, microsecond=0) if at else None
        return self._read(tuple(ders), host, hour)

    @cached_property
    def _store(self):
        import certifi
        from cryptography import x509
        from cryptography.x509.verification import Store

        pem = self._anchors_pem
        if pem is None:
            with open(certifi.where(), "rb") as file:
                pem = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd serial numbers of old roots are not ours to mend
            return Store(x509.load_pem_x509_certificates(pem))

    def _read_uncached(
        self, ders: tuple[bytes, ...], host: str | None, at: datetime | None
    ) -> Chain:
        from cryptography import x509

        leaf_hash = sha256(ders[0]).hexdigest()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                certificates = [x509.load_der_x509_certificate(der) for der in ders[:12]]
                leaf = certificates[0]
                issuer = leaf.issuer.rfc4514_string()[:500]
                start = leaf.not_valid_before_utc
                end = leaf.not_valid_after_utc
                self_issued = leaf.issuer == leaf.subject
                named = host is None or _names(leaf, host)
        except _unreadable():
            return Chain("unreadable", leaf_hash, None)
        when = at.replace(tzinfo=UTC) if at else start + (end - start) / 2
        if self_issued:
            state = "self_signed"
        elif not named:
            state = "wrong_name"
        elif not start - timedelta(hours=1) <= when <= end + timedelta(hours=1):
            state = "expired"
        else:
            when = min(max(when, start), end)
            trusted = host is not None and self._trusted(certificates, host, when)
            state = "valid" if trusted else "untrusted"
        return Chain(state, leaf_hash, issuer)

    def _trusted(self, certificates: list, host: str, when: datetime) -> bool:
        from cryptography import x509
        from cryptography.x509.verification import PolicyBuilder, VerificationError

        try:
            subject = x509.IPAddress(ip_address(host)) if is_address(host) else x509.DNSName(host)
            policy = PolicyBuilder().store(self._store).time(when)
            policy.build_server_verifier(subject).verify(certificates[0], certificates[1:])
        except (VerificationError, *_unreadable()):
            return False
        return True


def _unreadable() -> tuple[type[Exception], ...]:
    """What the library raises on names and certificates that break their standards."""
    from cryptography import x509

    return (
        ValueError,
        TypeError,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    )


def _names(leaf, host: str) -> bool:
    """Does a subject alternative name of the leaf cover the host (RFC 6125, left-most wildcard)?"""
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    if is_address(host):
        return ip_address(host) in names.get_values_for_type(x509.IPAddress)
    wildcard = "*." + host.partition(".")[2]
    return any(n.lower() in (host, wildcard) for n in names.get_values_for_type(x509.DNSName))
