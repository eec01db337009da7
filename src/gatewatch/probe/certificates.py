"""What checking a peer's certificates would have ended with, after a handshake that did not check.

The chain is verified by OpenSSL, as in a handshake that does; only the name is compared here,
after RFC 9525 as browsers and OONI's probe do: alternative names alone, no common name.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

UNTRUSTED = frozenset({18, 19, 20, 21})
"X509_V_ERR_*: self-signed leaf or root, issuer not found, leaf signature not verified."
MISNAMED = frozenset({62, 64})
"X509_V_ERR_HOSTNAME_MISMATCH and _IP_ADDRESS_MISMATCH."

UNKNOWN_AUTHORITY = "ssl_unknown_authority"
WRONG_NAME = "ssl_invalid_hostname"
INVALID = "ssl_invalid_certificate"
CERTIFICATE_FAILURES = frozenset({UNKNOWN_AUTHORITY, WRONG_NAME, INVALID})


def chain_failure(chain: tuple[bytes, ...], server_name: str, *, ca: Path) -> str | None:
    """The failure of a chain that claims to be of a server; None when it is.

    Args:
        chain: as the peer sent it, leaf first, DER.
        ca: PEM file of the authorities to trust.

    Of several faults the one is named that OpenSSL finds first: the authority, the name, the rest.
    """
    if not chain:
        return INVALID
    try:
        leaf = x509.load_der_x509_certificate(chain[0])
        code = _verify_code(chain, ca)
        named = names_match(leaf, server_name)
        serves = _serves(leaf)
    except (ValueError, crypto.Error):  # not a certificate, or with parts that are none
        return INVALID
    if code in UNTRUSTED:
        return UNKNOWN_AUTHORITY
    if not named:
        return WRONG_NAME
    return INVALID if code or not serves else None


def verify_failure(code: int) -> str:
    """The failure behind an X509_V_ERR_* of OpenSSL.

    >>> verify_failure(18), verify_failure(62), verify_failure(10)
    ('ssl_unknown_authority', 'ssl_invalid_hostname', 'ssl_invalid_certificate')
    """
    if code in UNTRUSTED:
        return UNKNOWN_AUTHORITY
    return WRONG_NAME if code in MISNAMED else INVALID


def leaf_name_failure(chain: tuple[bytes, ...], server_name: str) -> str | None:
    """The failure of the name alone, of a chain whose authority has been checked."""
    if not chain:
        return INVALID
    try:
        leaf = x509.load_der_x509_certificate(chain[0])
        return None if names_match(leaf, server_name) else WRONG_NAME
    except ValueError:
        return INVALID


def names_match(leaf: x509.Certificate, server_name: str) -> bool:
    """Whether a certificate is for a name in A-labels, or for an address.

    Raises:
        ValueError: its extensions cannot be read.
    """
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ip_address(server_name) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        wanted = server_name.rstrip(".").lower()
        return any(name_matches(p, wanted) for p in names.get_values_for_type(x509.DNSName))


def name_matches(pattern: str, name: str) -> bool:
    """RFC 9525, section 6.3: a wildcard stands for the whole of the first label.

    >>> names = ("a.example.org", "example.org", "a.b.example.org")
    >>> [name_matches("*.example.org", name) for name in names]
    [True, False, False]
    """
    pattern = pattern.rstrip(".").lower()
    if not pattern.startswith("*."):
        return pattern == name
    label, _, rest = name.partition(".")
    return bool(label) and rest == pattern[2:] and "." in rest


def _verify_code(chain: tuple[bytes, ...], ca: Path) -> int:
    """The first X509_V_ERR_*; 0 for a chain that verifies."""
    leaf, *others = (crypto.load_certificate(crypto.FILETYPE_ASN1, der) for der in chain)
    try:
        crypto.X509StoreContext(_store(str(ca)), leaf, others).verify_certificate()
    except crypto.X509StoreContextError as error:
        return int(error.errors[0])
    return 0


@lru_cache(16)
def _store(ca: str) -> crypto.X509Store:
    """Reading a whole list of authorities takes milliseconds."""
    store = crypto.X509Store()
    store.load_locations(ca)
    return store


def _serves(leaf: x509.Certificate) -> bool:
    """Whether the certificate may be a server's, as OpenSSL asks in handshakes."""
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    may = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    return any(use in may for use in uses)
