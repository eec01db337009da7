"""Clients register and log in as they are used to, and nothing is kept of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatewatch.server.bodies import Refused
from gatewatch.server.keys import Keys
from gatewatch.server.register import Login, Registration, login, register

NOW = datetime(2026, 3, 11, 12, 0, tzinfo=UTC)
KEYS = Keys(b"k" * 32)
ID = register(KEYS, Registration("secret"), NOW)["client_id"]


def test_who_registered_gets_a_token_for_a_week():
    told = login(KEYS, Login(ID, "secret"), NOW)
    assert told["expire"] == "2026-03-18T12:00:00Z"
    assert told["token"].count(".") == 2


def test_the_password_is_not_in_the_client_id():
    from base64 import urlsafe_b64decode

    claims = ID.split(".")[1]
    assert b"secret" not in urlsafe_b64decode(claims + "=" * (-len(claims) % 4))


TOKEN = login(KEYS, Login(ID, "secret"), NOW)["token"]


@pytest.mark.parametrize(
    ("username", "password"),
    [
        pytest.param(None, "secret", id="no name"),
        pytest.param(ID, None, id="no password"),
        pytest.param(ID, "other", id="another password"),
        pytest.param(ID[:-2] + "AA", "secret", id="another signature"),
        pytest.param(ID.replace(".", ".A", 1), "secret", id="other claims"),
        pytest.param(TOKEN, "secret", id="a token in place of an id"),
        pytest.param("", "", id="nothing"),
        pytest.param("ж" * 9000, "secret", id="long, and not ASCII"),
        pytest.param(
            register(Keys(b"x" * 32), Registration("secret"), NOW)["client_id"],
            "secret",
            id="registered elsewhere",
        ),
    ],
)
def test_anybody_else_is_refused(username, password):
    with pytest.raises(Refused) as refused:
        login(KEYS, Login(username, password), NOW)
    assert refused.value.status == 401
