"""Small source files such as the publishers make them, for tests of `update`."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from ipaddress import ip_address

import pytest

from gatewatch.refdata import update as module

FINGERPRINTS = (
    "name,scope,other_names,location_found,pattern_type,pattern,confidence_no_fp,"
    "expected_countries,source,exp_url,notes\n"
    "t.full,isp,,header.location,full,http://block.example/,5,AA,t,,\n"
    "t.prefix,nat,,header.location,prefix,http://stop.example/,5,AA,t,,\n"
    't.lines,inst,,body,contains,"<h1>Page ""stopped""</h1>\r\n<p>by us</p>",5,AA,t,,\n'
    "t.regexp,prod,,body,regexp,<b>Stopped by .*Box [0-9]+</b>,5,,t,,\n"
    "t.fp,fp,,body,contains,kitchen garden,5,,t,,\n"
)
ANSWERS = (
    FINGERPRINTS.splitlines()[0] + "\nt.answer,nat,,dns,full,192.0.2.77,5,AA,t,,\n"
    "t.cname,isp,,dns,full,block.example,5,AA,t,,\n"
)
LIST = "url,category_code\nhttps://news.example/,NEWS\nhttps://vote.example/,POLR\n"


def numbers(*rows: tuple[str, str, str]) -> str:
    """Rows `first,last,rest` with addresses as the numbers the packages hold."""
    return "".join(f"{int(ip_address(a))},{int(ip_address(b))},{rest}\n" for a, b, rest in rows)


def tarball(files: dict[str, str], *, comment: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", pax_headers={"comment": comment}) as archive:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1_767_225_600  # 2026-01-01
            archive.addfile(member, io.BytesIO(content))
    # The same bytes at any time of day: they name the tests they are given to.
    return gzip.compress(packed.getvalue(), mtime=0)


def networks(asn: int = 64500, stamp: str = "2026010203") -> bytes:
    v4 = numbers(
        ("1.0.0.0", "1.0.255.255", f'{asn},"One, Inc."'), ("1.0.4.0", "1.0.4.255", "64501,Two")
    )
    v6 = numbers(("2001:db8::", "2001:db8::ffff", f'{asn},"One, Inc."'))
    about = json.dumps({"version": f"2.3.{stamp}"})
    return tarball(
        {
            "package/package.json": about,
            "package/asn-ipv4-num.csv": v4,
            "package/asn-ipv4.csv": "not read",
            "package/asn-ipv6-num.csv": v6,
        }
    )


def countries() -> bytes:
    return tarball(
        {
            "package/package.json": '{"version": "2.3.2026010203"}',
            "package/asn-country-ipv4-num.csv": numbers(("1.0.0.0", "1.0.0.255", "IR")),
            "package/asn-country-ipv6-num.csv": numbers(("2001:db8::", "2001:db8::f", "TM")),
        }
    )


def ip2asn() -> bytes:
    rows = [
        "1.0.0.0\t1.0.0.255\t64510\tIR\tTEN",
        "1.0.1.0\t1.0.1.255\t0\tNone\tNot routed",
        "2001:db8::\t2001:db8::ffff\t64511\tTM\tELEVEN",
    ]
    return gzip.compress("\n".join(rows).encode() + b"\n", mtime=0)


def suffix_list(day: str = "2026-12-31") -> bytes:
    rules = "\n".join(f"x{n}.example" for n in range(5_200))
    return (
        f"// VERSION: {day}_00-00-00_UTC\n// ===BEGIN ICANN DOMAINS===\norg\n{rules}\n"
        "// ===END ICANN DOMAINS===\n// ===BEGIN PRIVATE DOMAINS===\nhost.example\n"
        "// ===END PRIVATE DOMAINS===\n"
    ).encode()


def sources() -> dict[str, bytes]:
    """Address → what lies there, for every dataset."""
    return {
        "https://t.example/networks.tgz": networks(),
        "https://t.example/countries.tgz": countries(),
        "https://t.example/fingerprints_http.csv": FINGERPRINTS.encode(),
        "https://t.example/fingerprints_dns.csv": ANSWERS.encode(),
        "https://t.example/test_lists.tgz": tarball(
            {"test-lists-main/lists/ir.csv": LIST, "test-lists-main/README.md": "x"}, comment="abc1"
        ),
        "https://t.example/suffixes.dat": suffix_list(),
    }


def addresses() -> dict[str, str]:
    return {url.rpartition("/")[2].partition(".")[0]: url for url in sources()}


@pytest.fixture
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take sets of a few rows: the real ones must not have fewer than thousands."""
    configured = {
        name: module.msgspec.structs.replace(source, rows_min=1)
        for name, source in module.read_sources().items()
    }
    monkeypatch.setattr(module, "read_sources", lambda: configured)
    monkeypatch.setattr(module, "SHRINK_SHARE_MIN", 0.0)
