"""Make the snapshot in the package: `python -m gatewatch.refdata.embed [tarballs]`.

With a directory that holds the tarballs named in `TARBALLS`, as `npm pack` leaves them, the
address files are rebuilt from these; without, they stay. Either way MANIFEST.json is written anew,
with the date, rows and hash of every embedded dataset, so run it after a change to a table.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from gatewatch.model.errors import GatewatchError
from gatewatch.refdata.bogons import read_bogons
from gatewatch.refdata.endpoints import read_endpoints
from gatewatch.refdata.fingerprints import read_own
from gatewatch.refdata.matcher import Matcher
from gatewatch.refdata.recipes import RECIPES
from gatewatch.refdata.services import read_services
from gatewatch.refdata.store import EMBEDDED, MANIFEST, Entry, embedded
from gatewatch.refdata.update import read_sources

OURS = "gatewatch"
OUR_LICENCE = "Apache-2.0"


class Tarball(NamedTuple):
    dataset: str
    package: str
    """As `npm pack` wants it. The names of its files follow from it."""
    sha512: str
    "As the registry states it, base64."

    @property
    def file(self) -> str:
        name, _, version = self.package.rpartition("@")
        return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


TARBALLS = (
    Tarball(
        "networks",
        "@ip-location-db/asn@2.3.2026061719",
        "PpqYi7wyEyWwunXBtl+y3Vi403SvNywotWwvmiYCOUtE0SVol/Sf492Ee+eErEznmGapxEQB2SAfrpXuZ9a+vQ==",
    ),
    Tarball(
        "countries",
        "@ip-location-db/asn-country@2.3.2026061719",
        "KN/mUGqf/nwkI0RDvv4knOc5xGXxbooU1MlTXThEJcJVyWxHoCx6oRed8p7NguGKZRpQPmZWdWw/zslHZsUC6Q==",
    ),
)


def address_sets(tarballs: Path, into: Path) -> list[Entry]:
    """Write the address files of `TARBALLS` into `into`; what the manifest is to say of them.

    Raises:
        GatewatchError: when a tarball is missing or is not the one named.
    """
    entries: list[Entry] = []
    sources = read_sources()
    for tarball in TARBALLS:
        path = tarballs / tarball.file
        if not path.is_file():
            raise GatewatchError(
                f"{path}: not there; run `npm pack {tarball.package}` in {tarballs}"
            )
        content = path.read_bytes()
        digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
        if digest != tarball.sha512:
            raise GatewatchError(f"{path}: SHA-512 is {digest}; wanted {tarball.sha512}")
        made = RECIPES[tarball.dataset](content, tarball.file)
        assert made.date is not None
        (into / tarball.dataset).mkdir(parents=True, exist_ok=True)
        for name, data in made.files.items():
            (into / tarball.dataset / name).write_bytes(data)
        source = sources[tarball.dataset]
        entries.append(
            Entry(
                name=tarball.dataset,
                date=made.date,
                source=f"https://www.npmjs.com/package/{tarball.package.replace('@2.', '/v/2.')}",
                licence=source.licence,
                attribution=source.attribution,
                note=source.note,
                rows=made.rows,
                files=_hashes(into, [f"{tarball.dataset}/{name}" for name in made.files]),
            )
        )
    return entries


def own_sets(directory: Path) -> list[Entry]:
    """What the manifest is to say of our own tables.

    Raises:
        GatewatchError: when a table is not sound, or a pattern does not compile.
    """

    def entry(name: str, file: str, dated, rows: int, note: str) -> Entry:
        return Entry(
            name=name,
            date=dated,
            source=OURS,
            licence=OUR_LICENCE,
            note=note,
            rows=rows,
            files=_hashes(directory, [file]),
        )

    dated, rows = read_own((directory / "fingerprints.tsv").read_bytes(), "fingerprints.tsv")
    skipped = Matcher(rows).skipped
    if skipped:
        raise GatewatchError(f"fingerprints.tsv: {skipped[0].id}: {skipped[0].why}")
    bogons, _ = read_bogons((directory / "bogons.tsv").read_bytes(), "bogons.tsv")
    day, services = read_services((directory / "services.toml").read_bytes(), "services.toml")
    as_of, endpoints = read_endpoints((directory / "endpoints.toml").read_bytes(), "endpoints.toml")
    return [
        entry("fingerprints", "fingerprints.tsv", dated, len(rows), "each row names its source"),
        entry("bogons", "bogons.tsv", bogons.date, len(bogons.rows), "from the IANA registries"),
        entry("services", "services.toml", day, len(services.all()), ""),
        entry("endpoints", "endpoints.toml", as_of, len(endpoints.all()), "each names its source"),
    ]


def main(arguments: list[str]) -> None:
    kept = [entry for entry in _old_entries() if entry.name in ("networks", "countries")]
    entries = address_sets(Path(arguments[0]), EMBEDDED) if arguments else kept
    entries += own_sets(EMBEDDED)
    manifest = msgspec.json.format(msgspec.json.encode(entries), indent=1)
    (EMBEDDED / MANIFEST).write_bytes(manifest + b"\n")
    for name, snapshot in embedded().items():
        size = sum((EMBEDDED / file).stat().st_size for file in snapshot.files)
        print(f"{name:13} {snapshot.dataset.date} {snapshot.dataset.rows:>8} rows {size:>9} bytes")


def _old_entries() -> list[Entry]:
    path = EMBEDDED / MANIFEST
    return msgspec.json.decode(path.read_bytes(), type=list[Entry]) if path.exists() else []


def _hashes(directory: Path, names: list[str]) -> dict[str, str]:
    return {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in names}


if __name__ == "__main__":
    main(sys.argv[1:])
