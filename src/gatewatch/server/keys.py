"""The secret of this server: what it once gave out, it knows again by it, and keeps no list."""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from hashlib import sha256
from hmac import compare_digest, digest
from pathlib import Path

from gatewatch.archive import durable
from gatewatch.model.errors import GatewatchError

SECRET_BYTES = 32


class Keys:
    """Signatures that only this server can make; each purpose has a key of its own."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def open(cls, path: Path) -> Keys:
        """The secret in a file, made when there is none; nobody but its owner may read it.

        Raises:
            GatewatchError: what is there is no secret of this kind.
        """
        if not path.exists():
            durable.make_folder(path.parent)
            part = path.with_name(f".{path.name}.{os.getpid()}")
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
            durable.sync_folder(path.parent)
        secret = path.read_bytes()
        if len(secret) != SECRET_BYTES:
            raise GatewatchError(f"{path}: {len(secret)} bytes; wanted {SECRET_BYTES} random ones")
        return cls(secret)

    def sign(self, purpose: str, text: str) -> bytes:
        """32 bytes that prove that this server has seen a text for a purpose."""
        return digest(digest(self._secret, purpose.encode(), sha256), text.encode(), sha256)

    def name(self) -> str:
        """A short name of this server, four hex digits; it tells nothing of the secret."""
        return self.sign("name", "").hex()[:4]


def letters(data: bytes, length: int) -> str:
    """Bytes as letters and digits, 6 bits each but for two that share a spelling.

    >>> letters(bytes(12), 16), letters(b"\\xff" * 12, 4)
    ('AAAAAAAAAAAAAAAA', 'oooo')
    """
    return b64encode(data, altchars=b"Oo").decode()[:length]


def same(one: str, other: str) -> bool:
    """Are two texts equal? Takes as long wherever they differ."""
    return compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
