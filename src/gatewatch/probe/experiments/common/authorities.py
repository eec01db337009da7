"""Certificates of services that sign their own: checked against the authority that we know of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cryptography import x509
from OpenSSL import crypto

from gatewatch.probe.certificates import (
    INVALID,
    UNKNOWN_AUTHORITY,
    UNTRUSTED,
    WRONG_NAME,
    names_match,
)


def signed_failure(chain: Sequence[bytes], name: str, authorities: tuple[str, ...]) -> str | None:
    """The failure of a chain that is to prove a name by one of these authorities, in PEM."""
    if not chain:
        return INVALID
    try:
        leaf, *others = (crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in chain)
        named = names_match(x509.load_der_x509_certificate(chain[0]), name)
    except (ValueError, crypto.Error):
        return INVALID
    try:
        crypto.X509StoreContext(_store(authorities), leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        return UNKNOWN_AUTHORITY if error.errors[0] in UNTRUSTED else INVALID
    return None if named else WRONG_NAME


@lru_cache(8)
def _store(authorities: tuple[str, ...]) -> crypto.X509Store:
    store = crypto.X509Store()
    for pem in authorities:
        store.add_cert(crypto.load_certificate(crypto.FILETYPE_PEM, pem.encode("ascii")))
    return store
