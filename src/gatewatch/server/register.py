"""Registration as old clients expect it, without accounts: what a client is given is all there is.

A client id is a token that holds a keyed hash of the client's password, so the two can be held
against each other at login and nothing of either is kept. A login gives a token for seven days.
None of it opens anything: every route here is open to all.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

import msgspec

from gatewatch.server.bodies import Refused
from gatewatch.server.keys import Keys, same

TOKEN_DAYS = 7
"As OONI's; clients log in again before."
PASSWORD_MAX = 1024
_HEAD = '{"alg":"HS256","typ":"JWT"}'


class Registration(msgspec.Struct):
    """What is read of a registration; clients send much more about themselves."""

    password: str = ""


class Login(msgspec.Struct):
    username: str | None = None
    password: str | None = None


def register(keys: Keys, asked: Registration, now: datetime) -> dict[str, str]:
    """
    Raises:
        Refused: 400, a password that is too long.
    """
    if len(asked.password) > PASSWORD_MAX:
        raise Refused(400, f"password: longer than {PASSWORD_MAX} characters")
    nonce = token_hex(8)
    claims = {
        "aud": "probe_login",
        "iat": int(now.timestamp()),
        "jti": nonce,
        "password": _password(keys, nonce, asked.password),
    }
    return {"client_id": _token(keys, claims)}


def login(keys: Keys, asked: Login, now: datetime) -> dict[str, str]:
    """
    Raises:
        Refused: 401, the client was not registered here, or with another password.
    """
    if asked.username is None or asked.password is None:
        raise Refused(401, "username and password: wanted are those of a registration")
    claims = _claims(keys, asked.username)
    password = _password(keys, str(claims.get("jti")), asked.password[: PASSWORD_MAX + 1])
    if claims.get("aud") != "probe_login" or not same(str(claims.get("password")), password):
        raise Refused(401, "username or password: not those of a registration here")
    expires = now.astimezone(UTC) + timedelta(days=TOKEN_DAYS)
    token = {
        "aud": "probe_token",
        "registration_time": claims.get("iat"),
        "exp": int(expires.timestamp()),
    }
    return {"token": _token(keys, token), "expire": f"{expires:%Y-%m-%dT%H:%M:%SZ}"}


def _password(keys: Keys, nonce: str, password: str) -> str:
    return keys.sign("password", f"{nonce} {password}").hex()[:32]


def _token(keys: Keys, claims: dict[str, Any]) -> str:
    """A JSON Web Token (RFC 7519), signed with HS256 (RFC 7518, section 3.2)."""
    text = f"{_b64(_HEAD.encode())}.{_b64(msgspec.json.encode(claims))}"
    return f"{text}.{_b64(keys.sign('token', text))}"


def _claims(keys: Keys, token: str) -> dict[str, Any]:
    text, _, signature = token[:4096].rpartition(".")
    if not same(signature, _b64(keys.sign("token", text.encode("utf-8", "replace").decode()))):
        raise Refused(401, "username or password: not those of a registration here")
    try:
        part = text.partition(".")[2]
        return msgspec.json.decode(
            urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=dict[str, Any]
        )
    except (Error, msgspec.MsgspecError):
        raise Refused(401, "username: no token of this server") from None


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
