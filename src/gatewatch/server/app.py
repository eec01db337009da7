"""The control vantage as one application: test helper, collector, check-in, lists, OONI Run.

Routes and answers are those of OONI's backend, so that its clients need not be changed. No
account is kept, no address of a client is written down, and what is refused is refused in JSON.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gatewatch import __version__
from gatewatch.archive.store import Store
from gatewatch.refdata.snapshot import RefData
from gatewatch.server.asked import Alone, Bounced, InReport, OpenReport
from gatewatch.server.bodies import Receive, Refused, Scope, Send, read_json
from gatewatch.server.checkin import CheckIn, GeoLookup, bouncer, check_in, whereabouts
from gatewatch.server.collector import Collector, CollectorLimits
from gatewatch.server.content import ASN, CC, TEST, Parts, alone, in_report
from gatewatch.server.door import Door, DoorLimits, said
from gatewatch.server.keys import Keys
from gatewatch.server.lists import MOST, Lists, categories, country, tor_targets
from gatewatch.server.meta import Metas
from gatewatch.server.register import Login, Registration, login, register
from gatewatch.server.report_ids import ReportIds
from gatewatch.server.run_links import Conditions, RunLinks

Helper = Callable[[Scope, Receive, Send], Awaitable[None]]
BACKEND_VERSION = "1.3.5"
"As OONI's; some clients look at it."
FORMATS = ["yaml", "json"]
"As OONI's. Clients look for json; yaml has not been taken for years, here never."
HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
GEO_MOST = 100
"Addresses of one geolookup; our choice."


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides."""

    public_url: str | None = None
    "How clients reach this server; by default, as they say in their Host header."
    collector: str | None = None
    "Its name in report ids; by default made from its secret."
    run_links: Path | None = None
    "Folder of OONI Run descriptors."
    tor_targets: Mapping[str, Any] | None = None
    "By id, as OONI's `tor-targets` gives them; by default, those of the reference data."
    helpers: Mapping[str, Sequence[Mapping[str, str]]] = {}
    "Test helpers besides the one here, by kind."
    door: DoorLimits = DoorLimits()
    intake: CollectorLimits = CollectorLimits()


class Control:
    """The application; use it in `async with`, which opens and closes its collector."""

    def __init__(
        self,
        store: Store,
        refdata: RefData,
        helper: Helper,
        settings: Settings | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """
        Args:
            helper: answers `/`.

        Raises:
            GatewatchError: the secret or a descriptor cannot be read.
        """
        self.settings, self.refdata, self._now = settings or Settings(), refdata, now
        self.collector = Collector(store, limits=self.settings.intake, now=now)
        self.keys = Keys.open(store.root / "incoming" / "secret")
        self.ids = ReportIds(self.keys, self.settings.collector)
        self.lists = Lists(refdata, self.collector.times_measured)
        self.links = RunLinks(self.settings.run_links, self._pages)
        self.metas = Metas(self.collector, refdata)
        self.door = Door(self.settings.door)
        self._helper = helper
        self._app = self._routed()

    async def __aenter__(self) -> Control:
        await self.collector.__aenter__()
        return self

    async def __aexit__(self, *given: object) -> None:
        await self.collector.__aexit__(*given)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["path"] == "/":
            await self._helper(scope, receive, send)
        else:
            await self._app({**scope}, receive, send)

    def _routed(self) -> Starlette:
        routes: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "GET /health": self.health,
            "POST /report": self.open_report,
            "POST /report/{report_id}": self.into_report,
            "POST /report/{report_id}/close": self.close_report,
            "POST /api/v1/submit_measurement": self.submit,
            "POST /api/v1/check-in": self.check_in,
            "POST /api/v1/register": self.register,
            "POST /api/v1/login": self.login,
            "GET /api/v1/test-helpers": self.test_helpers,
            "GET /api/v1/test-list/urls": self.urls,
            "GET /api/v1/test-list/tor-targets": self.tor_targets,
            "POST /api/v1/geolookup": self.geolookup,
            "GET /api/v1/measurement_meta": self.meta,
            "GET /api/v1/manifest": self.no_credentials,
            "POST /api/v1/sign_credential": self.no_credentials,
            "POST /bouncer/net-tests": self.bouncer,
            "GET /api/v2/oonirun/links": self.run_links,
            "POST /api/v2/oonirun/links": self.no_authors,
            "GET /api/v2/oonirun/links/{link}": self.run_link,
            "PUT /api/v2/oonirun/links/{link}": self.no_authors,
            "GET /api/v2/oonirun/links/{link}/full-descriptor/{revision}": self.run_link,
            "POST /api/v2/oonirun/links/{link}/engine-descriptor/{revision}": self.to_run,
        }
        made: list[Route] = []
        for line, handler in routes.items():
            method, path = line.split()
            made.append(Route(path, self.door.guarded(handler), methods=[method]))
        app = Starlette(
            routes=made,
            exception_handlers={
                Refused: _refused,
                HTTPException: _no_route,
                Exception: _our_fault,
            },
        )
        app.router.redirect_slashes = False
        return app

    # The collector.

    async def open_report(self, request: Request) -> Response:
        """A report is an id; nothing is kept until a measurement comes."""
        asked = await self.door.read(request, OpenReport)
        _json_only(asked.format)
        test = asked.test_name.lower()
        if not TEST.fullmatch(test) or not test.replace("_", ""):
            raise Refused(
                400,
                f"Incorrect format: test_name is {asked.test_name[:80]!r}; wanted are 2 to 30"
                " letters, digits and underscores",
            )
        cc, asn = asked.probe_cc.upper(), asked.probe_asn.upper()
        cc = cc if CC.fullmatch(cc) else "ZZ"
        asn = asn if ASN.fullmatch(asn) else "AS0"
        self.collector.counts["reports opened"] += 1
        return said(
            {
                "backend_version": BACKEND_VERSION,
                "report_id": self.ids.open(test, cc, asn.removeprefix("AS"), self._now()),
                "supported_formats": FORMATS,
            }
        )

    async def into_report(self, request: Request) -> Response:
        report = self.ids.read(request.path_params["report_id"])
        async with self.door.body(request, self.settings.door.body_bytes) as body:
            asked = await _read(body, InReport)
            _json_only(asked.format)
            submission = in_report(asked.content, report, self.ids)
            if report.is_nowhere:
                return self._discard({})
            kept = await self.collector.keep(submission)
        return said({"measurement_uid": kept.uid})

    async def close_report(self, request: Request) -> Response:
        """Nothing to do, as at OONI's; an id that is not ours is refused all the same."""
        self.ids.read(request.path_params["report_id"])
        return said({})

    async def submit(self, request: Request) -> Response:
        async with self.door.body(request, self.settings.door.body_bytes) as body:
            asked = await _read(body, Alone)
            _json_only(asked.format)
            parts = asked.content
            if isinstance(parts, str):
                parts = await _read(parts.encode(), Parts, where="content")
            submission, report_id, nowhere = alone(parts, self.ids)
            answer: dict[str, Any] = {
                "measurement_uid": None,
                "verification_status": "unverified",
                "submit_response": None,
                "protocol_version": None,
                "error": None,
                "report_id": report_id,
                "x_note": "this server takes no anonymous credentials; those sent were not read",
            }
            if nowhere:
                return self._discard(answer)
            kept = await self.collector.keep(submission)
        return said({**answer, "measurement_uid": kept.uid})

    def _discard(self, answer: dict[str, Any]) -> Response:
        """Of AS0 or ZZ: nobody knows where it was measured, so it says nothing of any network."""
        self.collector.counts["discarded, of no known network"] += 1
        return said(answer)

    # What probes ask before.

    async def check_in(self, request: Request) -> Response:
        asked = await self.door.read(request, CheckIn)
        return said(
            await check_in(
                asked,
                client=request.client.host if request.client else None,
                refdata=self.refdata,
                lists=self.lists,
                ids=self.ids,
                helpers=self._helpers(request),
                now=self._now(),
            )
        )

    async def test_helpers(self, request: Request) -> Response:
        return said(self._helpers(request))

    async def bouncer(self, request: Request) -> Response:
        asked = await self.door.read(request, Bounced)
        return said(bouncer(asked.net_tests[:100], self._base(request), self._helpers(request)))

    async def urls(self, request: Request) -> Response:
        asked = request.query_params
        given = asked.get("limit") or "-1"
        if not re.fullmatch(r"-?\d{1,6}", given):
            raise Refused(400, f"limit is {given!r}; wanted is a number")
        limit = int(given) if int(given) >= 0 else MOST
        cc = country(asked.get("country_code") or asked.get("probe_cc"))
        codes = categories((asked.get("category_codes") or "").split(",", 200))
        pages = await self.lists.pages(cc, codes, limit)
        metadata: dict[str, Any] = {
            "count": len(pages),
            "current_page": -1,
            "limit": -1,
            "next_url": "",
            "pages": 1,
        }
        if self.lists.reason:
            metadata["reason"] = self.lists.reason
        return said({"metadata": metadata, "results": [page._asdict() for page in pages]})

    async def tor_targets(self, request: Request) -> Response:
        """With a token of ours or without: there is nothing secret among them."""
        given = self.settings.tor_targets
        return said(tor_targets(self.refdata.endpoints()) if given is None else given)

    async def geolookup(self, request: Request) -> Response:
        asked = await self.door.read(request, GeoLookup)
        if len(asked.addresses) > GEO_MOST:
            raise Refused(400, f"addresses: {len(asked.addresses)} of them; at most {GEO_MOST}")
        found = {one: whereabouts(self.refdata, one) for one in asked.addresses}
        return said({"v": 1, "geolocation": found})

    async def register(self, request: Request) -> Response:
        return said(register(self.keys, await self.door.read(request, Registration), self._now()))

    async def login(self, request: Request) -> Response:
        return said(login(self.keys, await self.door.read(request, Login), self._now()))

    async def no_credentials(self, request: Request) -> Response:
        raise Refused(404, "this server issues no anonymous credentials; it takes none either")

    # OONI Run.

    async def run_links(self, request: Request) -> Response:
        return said(self.links.all(self._now()))

    async def run_link(self, request: Request) -> Response:
        given = request.path_params
        revision = given.get("revision", "latest")
        return said(self.links.link(given["link"], revision, self._now()))

    async def to_run(self, request: Request) -> Response:
        asked = await self.door.read(request, Conditions)
        given = request.path_params
        found = await self.links.to_run(given["link"], given["revision"], asked)
        return said(found, headers={"Vary": "X-OONI-Credentials"})

    async def no_authors(self, request: Request) -> Response:
        raise Refused(
            401, "links are made by whoever runs this server: a file in its folder of descriptors"
        )

    async def _pages(self, asked: Conditions) -> list[dict[str, Any]]:
        codes = categories(asked.website_category_codes)
        pages = await self.lists.pages(country(asked.probe_cc), codes, MOST)
        return [page._asdict() for page in pages]

    # What was submitted, and how we are.

    async def meta(self, request: Request) -> Response:
        asked = request.query_params
        full = asked.get("full", "").lower() in ("1", "true", "yes")
        uid, report_id = asked.get("measurement_uid"), asked.get("report_id")
        if uid:
            return said(await self.metas.of_uid(uid, full=full))
        if report_id:
            return said(await self.metas.of_report(report_id, asked.get("input"), full=full))
        raise Refused(400, "wanted is measurement_uid, or report_id and input")

    async def health(self, request: Request) -> Response:
        """Counts since the start, and whether submissions can be stored."""
        counts = dict(self.collector.counts)
        trouble = self.collector.trouble
        return said(
            {
                "status": "ok" if trouble is None else "the disk takes no submissions",
                "software": f"gatewatch {__version__}",
                "submissions": counts,
                "stored_ever": self.collector.records,
                "test_lists": self.lists.reason or "installed",
            },
            status=200 if trouble is None else 503,
        )

    def _base(self, request: Request) -> str:
        """How the client reached us."""
        if self.settings.public_url:
            return self.settings.public_url.rstrip("/")
        host = request.headers.get("host", "")
        if not HOST.fullmatch(host):
            raise Refused(400, f"Host is {host[:80]!r}; wanted is a name or address")
        return f"{request.url.scheme}://{host}"

    def _helpers(self, request: Request) -> dict[str, list[dict[str, str]]]:
        # The type says that no front is needed; clients know no other for it, also of http URLs.
        here = {"address": self._base(request), "type": "https"}
        others = {
            kind: [dict(one) for one in found] for kind, found in self.settings.helpers.items()
        }
        return {"web-connectivity": [here], **others}


def _json_only(format: str) -> None:
    if format != "json":
        raise Refused(400, f"Incorrect format: format is {format[:40]!r}; wanted is 'json'")


async def _read(body: bytes, kind: Any, *, where: str = "body") -> Any:
    """A body of measurements as its parts; long ones off the loop."""
    if len(body) < LONG:
        return read_json(body, kind, where=where)
    return await asyncio.to_thread(lambda: read_json(body, kind, where=where))


LONG = 1 << 20
"Bytes above which reading JSON would keep others waiting; our choice."


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return said({"error": error.error}, status=error.status, headers=error.headers)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = "no such method here" if error.status_code == 405 else "there is nothing here"
    headers = dict(error.headers or {})
    return said({"error": f"{request.method}: {what}"}, status=error.status_code, headers=headers)


async def _our_fault(request: Request, error: Exception) -> Response:
    """A fault of ours, which is logged; the client may try again and lose nothing."""
    return said({"error": "the server met a fault of its own"}, status=500)
