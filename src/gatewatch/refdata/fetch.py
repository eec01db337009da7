"""Bytes from an address: `https://`, `file://` or `npm:<package>`, with limits and a check."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from gatewatch import __version__
from gatewatch.model.errors import GatewatchError, Unreachable

SIZE_MAX = 128 << 20
"Bytes; our choice, some six times the largest source."
TIMEOUT_SECONDS = 60.0
CHUNK = 1 << 20
REGISTRY = "https://registry.npmjs.org"
NPM_NAME = re.compile(r"(@[a-z0-9._~-]+/)?[a-z0-9._~-]+")
CHECK = re.compile(r"(sha256|sha512)=([0-9a-f]+)")


class Fetched(NamedTuple):
    content: bytes
    address: str
    "Where it came from in the end."


class Refused(GatewatchError):
    """An address or an answer that is not taken: scheme, size, or a hash that does not match."""


def fetch(address: str, get: Callable[[str], bytes] | None = None) -> Fetched:
    """What lies at an address, checked against the hash it states.

    Args:
        address: `https://`, `file://` or `npm:<package>`; `#sha256=<hex>` or `#sha512=<hex>` at
            its end is verified and not sent.
        get: fetches one https or file address; for tests and for other ways out.

    Raises:
        Refused: wrong scheme, too large, hash or integrity that does not match.
        Unreachable: the source could not be had.
    """
    get = get or get_bytes
    if address.startswith("npm:"):
        return _from_npm(address.removeprefix("npm:"), get)
    bare, _, check = address.partition("#")
    _scheme_of(bare)
    wanted = CHECK.fullmatch(check)
    if check and wanted is None:
        raise Refused(f"{address}: after # stands {check!r}; wanted sha256=<hex> or sha512=<hex>")
    content = get(bare)
    if len(content) > SIZE_MAX:
        raise Refused(f"{bare}: holds {len(content)} bytes; at most {SIZE_MAX} are taken")
    if wanted is not None:
        digest = hashlib.new(wanted[1], content).hexdigest()
        if digest != wanted[2]:
            raise Refused(f"{bare}: {wanted[1]} is {digest}; wanted {wanted[2]}")
    return Fetched(content, bare)


def get_bytes(address: str) -> bytes:
    """The bytes at an https or file address, at most `SIZE_MAX` and one more.

    Raises:
        Refused, Unreachable: as for `fetch`.
    """
    if _scheme_of(address) == "file":
        path = Path(unquote(urlsplit(address).path))
        if not path.is_file():
            raise Unreachable(f"{address}: no such file")
        with path.open("rb") as file:
            return file.read(SIZE_MAX + 1)
    request = urllib.request.Request(address, headers={"User-Agent": f"gatewatch/{__version__}"})
    try:
        with _opener().open(request, timeout=TIMEOUT_SECONDS) as response:
            return _read(response)
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise Unreachable(f"{address}: {error}") from error


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            raise Refused(f"{req.full_url}: redirects to {newurl[:200]}; only https is followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    import certifi

    trust = ssl.create_default_context(cafile=certifi.where())
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust), _HttpsOnly())


def _read(response: Any) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size <= SIZE_MAX and (part := response.read(CHUNK)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _scheme_of(address: str) -> str:
    scheme = urlsplit(address).scheme
    if scheme not in ("https", "file"):
        raise Refused(f"{address[:200]}: scheme is {scheme!r}; wanted https, file or npm:")
    return scheme


def _from_npm(package: str, get: Callable[[str], bytes]) -> Fetched:
    if not NPM_NAME.fullmatch(package):
        raise Refused(f"npm:{package[:200]}: not a package name")
    about = f"{REGISTRY}/{package.replace('/', '%2f')}/latest"
    try:
        dist = json.loads(get(about))["dist"]
        tarball, integrity = str(dist["tarball"]), str(dist["integrity"])
        kind, _, digest = integrity.partition("-")
        digest = base64.b64decode(digest, validate=True).hex()
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise Refused(f"{about}: {error!r}; wanted dist.tarball and dist.integrity") from error
    if kind != "sha512" or urlsplit(tarball).scheme != "https":
        raise Refused(f"{about}: {integrity[:20]}…, {tarball[:200]}; wanted sha512 and https")
    return fetch(f"{tarball}#sha512={digest}", get)
