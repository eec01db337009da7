"""OONI Run: links that tell a client what to measure, from a folder of files.

    <id>.json          a descriptor, id all digits
    <id>.<rev>.json    an earlier or later revision of it, when there are several

Who can write to the folder makes links; nobody can over the network. A client keeps what it last
accepted and asks its user about a change, so a file is never altered: a new revision is added.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gatewatch.model.errors import GatewatchError
from gatewatch.server.bodies import Refused

_FILE = re.compile(r"(\d{1,18})(?:\.(\d{1,9}))?\.json")
DESCRIPTOR_MAX = 1 << 20

DYNAMIC = "websites_list_prioritized"
"The one dynamic list that a descriptor may name: the URLs that a check-in would give."


class Nettest(msgspec.Struct, omit_defaults=False):
    """One test of a descriptor."""

    test_name: str
    inputs: list[str] | None = None
    inputs_extra: list[dict[str, Any]] | None = None
    options: dict[str, Any] = {}
    targets_name: str | None = None
    is_background_run_enabled_default: bool = False
    is_manual_run_enabled_default: bool = False
    is_background_run_enabled: bool = False
    is_manual_run_enabled: bool = False


class Descriptor(msgspec.Struct):
    """A link's descriptor, with the fields of OONI's API."""

    name: str
    nettests: list[Nettest]
    name_intl: dict[str, str] | None = None
    short_description: str = ""
    short_description_intl: dict[str, str] | None = None
    description: str = ""
    description_intl: dict[str, str] | None = None
    icon: str = ""
    color: str = ""
    author: str = ""
    expiration_date: datetime | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None


class Conditions(msgspec.Struct):
    """What a client says of itself when it asks what to run."""

    probe_cc: str = "ZZ"
    probe_asn: str = "AS0"
    run_type: str = "manual"
    is_charging: bool = True
    website_category_codes: list[str] | None = None


Dynamic = Callable[[Conditions], Awaitable[list[dict[str, Any]]]]
"The pages of the dynamic list."


class RunLinks:
    """The links of one folder, read when the server starts."""

    def __init__(self, folder: Path | None, dynamic: Dynamic) -> None:
        """
        Raises:
            GatewatchError: a file is not a descriptor.
        """
        self._dynamic = dynamic
        self._links: dict[str, dict[int, Descriptor]] = {}
        for path in sorted(folder.iterdir()) if folder else ():
            found = _FILE.fullmatch(path.name)
            if found is None:
                continue
            revision = int(found[2] or 1)
            if revision in self._links.get(found[1], {}):
                raise GatewatchError(f"{path}: revision {revision} is there twice")
            self._links.setdefault(found[1], {})[revision] = _read(path)

    def all(self, now: datetime) -> dict[str, Any]:
        """Every link in its newest revision."""
        shown = [self.link(link, "latest", now) for link in sorted(self._links, key=int)]
        return {"oonirun_links": shown}

    def link(self, link: str, revision: str, now: datetime) -> dict[str, Any]:
        """A link with its whole descriptor.

        Raises:
            Refused: 404.
        """
        number, descriptor = self._find(link, revision)
        fields = msgspec.to_builtins(descriptor)
        expires = descriptor.expiration_date
        return {
            **fields,
            "oonirun_link_id": link,
            "revision": str(number),
            "is_expired": expires is not None and expires <= now,
            "is_mine": False,
        }

    async def to_run(self, link: str, revision: str, asked: Conditions) -> dict[str, Any]:
        """What an engine is to run now: the tests, a dynamic list filled in.

        Raises:
            Refused: 404.
        """
        number, descriptor = self._find(link, revision)
        nettests: list[dict[str, Any]] = []
        for nettest in descriptor.nettests:
            fields: dict[str, Any] = msgspec.to_builtins(nettest)
            if nettest.targets_name == DYNAMIC:
                pages = await self._dynamic(asked)
                fields["inputs"] = [page["url"] for page in pages]
                fields["inputs_extra"] = [
                    {key: value for key, value in page.items() if key != "url"} for page in pages
                ]
            nettests.append(fields)
        created = msgspec.to_builtins(descriptor)["date_created"]
        return {"revision": str(number), "date_created": created, "nettests": nettests}

    def _find(self, link: str, revision: str) -> tuple[int, Descriptor]:
        revisions: Mapping[int, Descriptor] = self._links.get(link, {})
        if revisions and revision == "latest":
            number = max(revisions)
            return number, revisions[number]
        number = int(revision) if re.fullmatch(r"\d{1,9}", revision) else -1
        if number not in revisions:
            raise Refused(
                404, f"there is no OONI Run link {link[:40]!r}, revision {revision[:20]!r}"
            )
        return number, revisions[number]


def _read(path: Path) -> Descriptor:
    try:
        if path.stat().st_size > DESCRIPTOR_MAX:
            raise GatewatchError(f"{path}: longer than {DESCRIPTOR_MAX} bytes")
        found = msgspec.json.decode(path.read_bytes(), type=Descriptor)
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0)
    except msgspec.MsgspecError as error:
        raise GatewatchError(f"{path}: {error}; wanted an OONI Run descriptor") from error
    for nettest in found.nettests:
        if nettest.targets_name and (nettest.inputs or nettest.targets_name != DYNAMIC):
            raise GatewatchError(
                f"{path}: targets_name is {nettest.targets_name!r}; wanted is {DYNAMIC!r}, and no"
                " inputs beside it"
            )
    times = (found.expiration_date, found.date_created, found.date_updated)
    if any(time is not None and time.tzinfo is None for time in times):
        raise GatewatchError(f"{path}: a time without its zone; wanted is 2026-01-31T00:00:00Z")
    found.date_created = found.date_created or changed
    found.date_updated = found.date_updated or found.date_created
    return found
