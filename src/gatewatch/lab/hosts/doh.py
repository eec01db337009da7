"""DNS over HTTPS (RFC 8484): a resolver behind a path of a web server."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from gatewatch.lab.hosts.premises import Peer
from gatewatch.lab.hosts.site import App, Receive, Response, Scope, Send, body_of, respond

PATH = "/dns-query"
"RFC 8484 leaves it to a template; this is the one that everybody uses."
MAX_MESSAGE = 65_535
MEDIA_TYPE = "application/dns-message"


def with_resolver(app: App, answer: Callable[[bytes, Peer], Awaitable[bytes | None]]) -> App:
    """An application whose `/dns-query` is a resolver.

    Args:
        answer: called with a query and the client's socket address; None is silence, which
            leaves the client waiting until it goes away.
    """

    async def resolver(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != PATH:
            await app(scope, receive, send)
            return
        query = await query_of(scope, receive)
        if query is None:
            await respond(scope, send, Response(400, {}, []))
            return
        said = await answer(query, scope["client"])
        if said is None:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(said))}
        await respond(scope, send, Response(200, headers, [said]))

    return resolver


async def query_of(scope: Scope, receive: Receive) -> bytes | None:
    """The DNS message of a GET or POST; None if there is none."""
    if scope["method"] == "POST":
        return await body_of(receive, MAX_MESSAGE)
    text = parse_qs(scope["query_string"].decode("latin-1")).get("dns", [""])[0]
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) or None
    except binascii.Error:
        return None
