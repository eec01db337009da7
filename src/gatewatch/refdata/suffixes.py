"""Under which name could a host have been registered? Public suffixes, private rules included."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from pathlib import Path

from gatewatch.model.errors import MalformedRecord
from gatewatch.model.target import is_address
from gatewatch.refdata.store import Entry, Snapshot, snapshot_of

FILE = "public_suffix_list.dat"
VERSION = re.compile(r"^//\s*VERSION:\s*(\d{4}-\d\d-\d\d)", re.MULTILINE)
SOURCE = "https://publicsuffix.org/list/public_suffix_list.dat"
LICENCE = "MPL-2.0"
RULES_MIN = 5_000
"Our choice; the list has held more than 8,000 rules since 2016. Fewer means a broken file."


class Suffixes:
    """The public suffix list of one day."""

    def __init__(self, text: str) -> None:
        from publicsuffixlist import PublicSuffixList

        self._list = PublicSuffixList(text.splitlines(), accept_unknown=True)

    def domain_of(self, host: str) -> str | None:
        """The registrable domain of a canonical host; None for an address.

        A host that is itself a public suffix (`github.io`) stands for itself.
        """
        if is_address(host):
            return None
        return self._list.privatesuffix(host) or host


def read_suffixes(content: bytes, where: str) -> tuple[date, int, Suffixes]:
    """Date, number of rules, and the list.

    Raises:
        MalformedRecord: when it is not a whole public suffix list with both its parts.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedRecord(where, "text", got=str(error), want="UTF-8") from error
    version = VERSION.search(text)
    if version is None:
        raise MalformedRecord(where, "version", got=text[:80], want="a line `// VERSION: date`")
    for part in ("ICANN", "PRIVATE"):
        if f"===END {part} DOMAINS===" not in text:
            raise MalformedRecord(where, "end", got=text[-80:], want=f"the end of {part} DOMAINS")
    rules = sum(1 for line in text.splitlines() if line.strip() and not line.startswith("//"))
    if rules < RULES_MIN:
        raise MalformedRecord(where, "rules", got=rules, want=f"at least {RULES_MIN}")
    return date.fromisoformat(version[1]), rules, Suffixes(text)


def bundled() -> Snapshot:
    """The list that came with the publicsuffixlist package installed here."""
    import publicsuffixlist

    directory = Path(publicsuffixlist.__file__).parent
    content = (directory / FILE).read_bytes()
    text = content.decode("utf-8", errors="replace")
    version = VERSION.search(text)
    if version is None:
        raise MalformedRecord(str(directory / FILE), "version", got=None, want="a VERSION line")
    entry = Entry(
        name="suffixes",
        date=date.fromisoformat(version[1]),
        source=SOURCE,
        licence=LICENCE,
        note="as bundled with the Python package publicsuffixlist",
        rows=sum(1 for line in text.splitlines() if line.strip() and not line.startswith("//")),
        files={FILE: hashlib.sha256(content).hexdigest()},
    )
    return snapshot_of(entry, directory, "embedded")
