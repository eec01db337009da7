"""A field that holds what it may not is refused, and what is at the edge is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec.inspect as kinds
import pytest

from gatewatch.lab.bounds import BOUNDS, KEYS
from gatewatch.lab.load import load
from gatewatch.lab.scenario import Scenario
from tests.lab.files import RESET, SNI, WEB, changed, refusal, written

param = pytest.param

WHOLE = {
    "networks.isp.uplink": ("asn = 137", "asn = 137\nuplink = { @ }"),
    "networks.isp": ("asn = 137\n", "@\n"),
    "hosts.site.web.routes[0]": (WEB, "web = { routes = [{ @ }] }"),
    "hosts.site.middlebox": (WEB, "middlebox = { @ }"),
    "hosts.resolver.resolver": ("resolver = {}", "resolver = { @ }"),
    "hosts.site": (WEB, "@"),
    "names.example.net": ("[[censors]]", '[names]\n"example.net" = { @ }\n\n[[censors]]'),
    "censors.resetter": (RESET, RESET + "\n@"),
    "censors.resetter.trigger": (SNI, SNI + ", @"),
    "censors.resetter.trigger.schedule": (SNI, SNI + ", schedule = { @ }"),
    "censors.resetter.residual": (RESET, RESET + "\nresidual = { @ }"),
    "censors.resetter.action.reset": (RESET, "action = { reset = { @ } }"),
    "censors.resetter.action.drop": (RESET, "action = { drop = { @ } }"),
    "censors.resetter.action.alert": (RESET, "action = { alert = { @ } }"),
    "censors.resetter.action.forge_dns": (RESET, "action = { forge_dns = { @ } }"),
    "censors.resetter.action.close_quic": (RESET, "action = { close_quic = { @ } }"),
    "censors.resetter.action.throttle": (
        RESET, "action = { throttle = { mode = 'shape', @ } }"),
    "censors.resetter.action.redirect": (
        RESET, "action = { redirect = { location = 'http://notice.example/', @ } }"),
    "censors.resetter.action.block_page": (
        RESET, "action = { block_page = { page = 'india', @ } }"),
    "": ("words =", "@\nwords ="),
}  # fmt: skip
"Where a field is → what of the small world to replace, and with what, the field being @."

WAIT = (["nan", "inf", "-inf", "-1", "60000.5", "1e300"], ["0", "60000"])
RATE = (["nan", "inf", "0", "-1", "1e9"], ["0.5", "100_000_000"])
PASSED = (["nan", "inf", "-0.5", "1e7"], ["0.5", "1_000_000"])
TTL = (["-1", "2_147_483_648"], ["0", "2_147_483_647"])
LOCATION = ['"http://a.example/\\r\\nSet-Cookie: x"', '"http://a.example/\\u0000"']
HEADER_TEXT = [
    '{ Via = "a\\r\\nb" }', '{ Via = "a\\nb" }', '{ Via = "a\\u0000b" }', '{ Via = "ż" }',
    '{ Via = " x" }',
]  # fmt: skip
PAGE = (["'nothing'", "''"], ["'iran'", "'site'", "'<p>No.</p>'"])

EDGES: list[tuple[str, str, list[str], list[str]]] = [
    ("", "clock",
     ["'noon'", "'2026-03-01'", "'2026-03-01T12:00:00'", "'9999-12-31T23:59:59Z'"],
     ["'1990-01-01T00:00:00Z'", "'2099-12-31T23:59:59+03:00'"]),
    ("", "clock_skew_days", ["nan", "inf", "-36501", "36501"], ["-36500", "36500"]),
    ("", "rebind_every_s", ["nan", "inf", "0", "-1", "86401"], ["0.5", "86400"]),
    ("", "source", ['["a\\u001b[2J"]'], ["['RFC 793']"]),
    ("networks.isp", "asn", ["0", "-1", "4_294_967_296"], ["1", "4_294_967_295"]),
    ("networks.isp.uplink", "delay_ms", *WAIT),
    ("networks.isp.uplink", "jitter_ms", *WAIT),
    ("networks.isp.uplink", "loss", ["nan", "-0.1", "1.1"], ["0", "1"]),
    ("networks.isp.uplink", "rate_kbps", *RATE),
    ("networks.isp.uplink", "queue_kb", ["nan", "inf", "0", "-1"], ["0.1", "1_000_000"]),
    ("hosts.site.web.routes[0]", "status", ["0", "99", "101", "600"], ["200", "599"]),
    ("hosts.site.web.routes[0]", "delay_ms", *WAIT),
    ("hosts.site.web.routes[0]", "size", ["-1", "268_435_457"], ["0", "268_435_456"]),
    ("hosts.site.web.routes[0]", "location", LOCATION, ["'/start'"]),
    ("hosts.site.web.routes[0]", "page", *PAGE),
    ("hosts.site.web.routes[0]", "path", ["''", '"a\\nb"'], ["'*'"]),
    ("hosts.site.web.routes[0]", "headers", HEADER_TEXT, ['{ Via = "1.1 cache" }', '{ A = "" }']),
    ("hosts.site.web.routes[0]", "headers", ['{ "A B" = "x" }', '{ "" = "x" }',
                                             '{ "A:\\r\\n" = "x" }'], ['{ X-Y = "x" }']),
    ("hosts.site.middlebox", "status", ["0", "199", "600"], ["200", "599"]),
    ("hosts.site.middlebox", "headers", HEADER_TEXT, ['{ Via = "1.1 cache" }']),
    ("hosts.site.middlebox", "page", ["'nothing'"], ["''", "'uk'"]),
    ("hosts.site.middlebox", "names", ["['a b']", "['Example.org']"], ["['*.org']"]),
    ("hosts.site", "tcp",
     ["{ '080' = 'echo' }", "{ '0' = 'echo' }", "{ '65536' = 'echo' }", "{ '-1' = 'echo' }",
      "{ '٨٠' = 'echo' }", "{ ' 80' = 'echo' }", f"{{ '{'1' * 5000}' = 'echo' }}"],
     ["{ '1' = 'echo' }", "{ '65535' = 'echo' }"]),
    ("hosts.resolver.resolver", "delay_ms", *WAIT),
    ("hosts.resolver.resolver", "answers", ["{ 'a b' = {} }"], ["{ '*' = {} }"]),
    ("names.example.net", "rotate", ["-1", "65"], ["0", "64"]),
    ("names.example.net", "ttl_s", *TTL),
    ("names.example.net", "addresses", ["['1.2.3']", "['::0001']", "['fe80::1%eth0']"],
     ["['1.2.3.4', '::1']"]),
    ("names.example.net", "by_country", ["{ italy = ['1.2.3.4'] }"], ["{ IT = ['1.2.3.4'] }"]),
    ("names.example.net", "cname", ["'a..b'", "''"], ["'a.b'"]),
    ("censors.resetter", "react_ms", *WAIT),
    ("censors.resetter.trigger", "port", ["[0]", "[65536]", "[-1]"], ["[1, 65535]"]),
    ("censors.resetter.trigger", "probability", ["nan", "0", "-1", "1.1"], ["0.1", "1"]),
    ("censors.resetter.trigger", "dns_types", ["['aaaa']", "['']"], ["['AAAA']"]),
    ("censors.resetter.trigger", "endpoint",
     ["['1.2.3.4:0443']", "['1.2.3.4:70000']", "['1.2.3.4:443/sctp']"], ["['[::1]:443/udp']"]),
    ("censors.resetter.trigger.schedule", "after_s", ["nan", "-1", "86401"], ["0", "86400"]),
    ("censors.resetter.trigger.schedule", "until_s", ["nan", "inf", "-1", "0"], ["86400"]),
    ("censors.resetter.trigger.schedule", "hours",
     ["['24:00-25:00']", "['8:00-9:00']", "['20:00-20:00']", "['٢٠:00-21:00']"],
     ["['20:00-06:00', '00:00-23:59']"]),
    ("censors.resetter.residual", "seconds", ["nan", "inf", "0", "-1", "86401"], ["0.1", "86400"]),
    ("censors.resetter.action.drop", "after_packets", ["-1", "1_000_001"], ["0", "9"]),
    ("censors.resetter.action.drop", "after_kb", *PASSED),
    ("censors.resetter.action.reset", "ttls", ["[]", "[0]", "[256]", "[-1]"], ["[1, 255]"]),
    ("censors.resetter.action.reset", "windows", ["[]", "[-1]", "[65536]"], ["[0, 65535]"]),
    ("censors.resetter.action.reset", "offsets", ["[]", "[2_147_483_648]", "[-2_147_483_648]"],
     ["[2_147_483_647, -2_147_483_647]"]),
    ("censors.resetter.action.reset", "payload", ["'0'", "'xx'", f"'{'00' * 1401}'"],
     ["''", f"'{'00' * 1400}'"]),
    ("censors.resetter.action.alert", "description", ["-1", "256"], ["0", "255"]),
    ("censors.resetter.action.alert", "garbage", [f"'{'é' * 701}'"], [f"'{'é' * 700}'"]),
    ("censors.resetter.action.forge_dns", "ttl_s", *TTL),
    ("censors.resetter.action.forge_dns", "copies", ["0", "65", "-1"], ["1", "64"]),
    ("censors.resetter.action.forge_dns", "spacing_ms", ["nan", "-1", "10001"], ["0", "10000"]),
    ("censors.resetter.action.forge_dns", "aaaa", ["['1.2.3.4']"], ["['2001::1']"]),
    ("censors.resetter.action.close_quic", "error", ["-1", str(2**62), hex(2**4000)],
     ["0", str(2**62 - 1)]),
    ("censors.resetter.action.throttle", "rate_kbps", *RATE),
    ("censors.resetter.action.throttle", "burst_kb", ["nan", "inf", "0", "-1", "1.4"], []),
    ("censors.resetter.action.throttle", "delay_ms", ["nan", "inf", "-1", "60001"], ["60000"]),
    ("censors.resetter.action.throttle", "loss", ["nan", "-0.1", "1"], ["0.9"]),
    ("censors.resetter.action.throttle", "after_kb", ["nan", "inf", "-1"], []),
    ("censors.resetter.action.redirect", "status", ["200", "299", "400"], ["300", "399"]),
    ("censors.resetter.action.block_page", "status", ["0", "99", "600"], ["100", "599", "'none'"]),
    ("censors.resetter.action.block_page", "headers", HEADER_TEXT, ['{ Server = "x" }']),
]  # fmt: skip
"Where, which field, values that are refused, and values that are just about accepted."


def with_field(where: str, field: str, value: str) -> str:
    old, new = WHOLE[where]
    return changed((old, new.replace("@", f"{field} = {value}")))


@pytest.mark.parametrize(
    ("where", "field", "value"),
    [(where, field, value) for where, field, refused, _ in EDGES for value in refused],
    ids=lambda text: text[-24:],
)
def test_a_value_beyond_the_edge_is_refused(tmp_path: Path, where: str, field: str, value: str):
    said = refusal(tmp_path, with_field(where, field, value))
    assert f"{where}.{field}".removeprefix(".") in said.where
    assert "found" in str(said)
    assert "wants" in str(said)


@pytest.mark.parametrize(
    ("where", "field", "value"),
    [(where, field, value) for where, field, _, accepted in EDGES for value in accepted],
    ids=lambda text: text[-24:],
)
def test_a_value_at_the_edge_is_accepted(tmp_path: Path, where: str, field: str, value: str):
    load(written(tmp_path, with_field(where, field, value)))


@pytest.mark.parametrize(
    "name", ["", "../..", "a/b", ".", "a\\u0000", "-a", "Isp", "a b", "ż", "n" * 64, "n" * 10_000]
)
@pytest.mark.parametrize(
    ("part", "where"),
    [
        param("[networks.isp]\n", "networks", id="a network"),
        param("[hosts.site]\n", "hosts", id="a host"),
        param('id = "resetter"\n', "censors", id="a censor"),
    ],
)
def test_what_cannot_name_a_file_names_nothing(tmp_path: Path, name: str, part: str, where: str):
    old = part.strip("[]\n").removeprefix(f"{where}.").removeprefix("id = ")
    said = refusal(tmp_path, changed((part, part.replace(old, f'"{name}"'))))
    assert said.where.startswith(f"world.toml: {where}")
    assert "a name of a-z, 0-9 and -" in str(said)


def test_no_network_is_called_as_the_capture_of_all_hosts_is(tmp_path: Path):
    said = refusal(tmp_path, changed(("[networks.isp]", "[networks.world]")))
    assert "not `world`" in str(said)


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        param("asn = 137", "asn = 0", "networks.isp.asn", "autonomous", id="no network's number"),
        param('"IT"', '"Italy"', "networks.isp.country", "two capital", id="a country in full"),
        param("130.192.0.0/16", "130.192.0.1/16", "networks.isp.prefixes", "host bits",
              id="a prefix with host bits"),
        param("130.192.0.0/16", "127.0.0.0/8", "networks.isp.prefixes", "public", id="loopback"),
        param("130.192.0.0/16", "169.254.0.0/16", "networks.isp.prefixes", "public",
              id="link-local"),
        param("130.192.0.0/16", "224.0.0.0/8", "networks.isp.prefixes", "public", id="multicast"),
        param("130.192.0.0/16", "0.0.0.0/0", "networks.isp.prefixes", "public", id="everything"),
        param("130.192.0.0/16", "fe80::/10", "networks.isp.prefixes", "public",
              id="IPv6 link-local"),
        param('"130.192.0.0/16"', '"130.192.0.0/16", "2001:db8::/32"', "networks.isp.prefixes",
              "public", id="documentation"),
        param('[["130.192.232.1"]]', "[]", "networks.isp.hops", "at least one hop", id="no hop"),
        param('"www.example.org"]\nweb', '"WWW.example.org"]\nweb', "hosts.site.names",
              "lower case", id="capitals in a name"),
        param("web = {}", 'web = { page = "nothing" }', "hosts.site.web.page", "lab.pages",
              id="a page that does not exist"),
        param(SNI, 'sni = ["Example.org"]', "censors.resetter.trigger.sni", "lower case",
              id="capitals in a pattern"),
        param(SNI, 'ip = ["1.2.3"]', "censors.resetter.trigger.ip", "prefix", id="half an address"),
        param(SNI, 'endpoint = ["1.2.3.4"]', "censors.resetter.trigger.endpoint", "443",
              id="an endpoint without a port"),
        param(SNI, 'keyword = [""]', "censors.resetter.trigger.keyword", "some text",
              id="a word of no letters"),
        param(SNI, f"{SNI}, probability = 0.0", "censors.resetter.trigger.probability", "share",
              id="a chance of none"),
        param(SNI, f'{SNI}, schedule = {{ hours = ["9-17"] }}',
              "censors.resetter.trigger.schedule.hours", "20:00-06:00", id="office hours"),
        param(RESET, 'action = { reset = { payload = "xyz" } }',
              "censors.resetter.action.reset.payload", "hexadecimal", id="bytes that are none"),
        param(RESET, "action = { reset = { ttls = [300] } }",
              "censors.resetter.action.reset.ttls", "255", id="a TTL of two bytes"),
        param(RESET, 'action = { redirect = { location = "/" } }',
              "censors.resetter.action.redirect.location", "URL", id="a redirect to no URL"),
        param(RESET, 'action = { forge_dns = { a = ["::1"] } }',
              "censors.resetter.action.forge_dns.a", "IPv4", id="an A record with an AAAA"),
        param(RESET, 'action = { block_page = { page = "nothing" } }',
              "censors.resetter.action.block_page.page", "lab.pages", id="a block page of none"),
        param(RESET, f"{RESET}\nresidual = {{ seconds = 0.0 }}",
              "censors.resetter.residual.seconds", "more than 0", id="a residue of no time"),
        param(RESET, f'{RESET}\nmechanism = "tls.magic"', "censors.resetter.mechanism",
              "taxonomy", id="a mechanism that nobody knows"),
        param('"https://www.example.org/"', '"www.example.org"', "expect[0] (www.example.org).url",
              "http or https", id="a host for a URL"),
        param('["tls.reset.sni"]', '["tls.magic"]', "expect[0] (https://www.example.org/)",
              "taxonomy", id="an effect that nobody knows"),
        param('"130.192.3.21"\n\n', '"130.192.3.021"\n\n', "networks.isp.resolver", "IP address",
              id="an address with zeros before it"),
        param('at = "isp"', 'at = "isp/01"', "censors.resetter.at", "network/1",
              id="a hop with zeros before it"),
        param("https://www.example.org/", "https://www.example.org/\\r\\n", "expect[0]",
              "http or https", id="a URL that ends a line"),
        param("https://www.example.org/", "https://www.example.org/ x", "expect[0]",
              "http or https", id="a URL with a blank"),
        param(RESET, f"action = {{ redirect = {{ location = {LOCATION[0]} }} }}",
              "censors.resetter.action.redirect.location", "URL", id="a redirect and a header"),
    ],
)  # fmt: skip
def test_a_field_out_of_bounds_says_where_and_what_is_wanted(
    tmp_path: Path, old: str, new: str, where: str, words: str
):
    said = refusal(tmp_path, changed((old, new)))
    assert where in said.where
    assert words in str(said)


# -- the table itself -------------------------------------------------------------------------


def structs(of: kinds.Type, seen: dict[type, kinds.StructType]) -> None:
    """Every struct that one may hold, by its class."""
    if isinstance(of, kinds.StructType) and of.cls not in seen:
        seen[of.cls] = of
        for field in of.fields:
            structs(field.type, seen)
    for inner in parts(of):
        structs(inner, seen)


def parts(of: kinds.Type) -> list[kinds.Type]:
    match of:
        case kinds.UnionType(types=types):
            return list(types)
        case kinds.VarTupleType(item_type=item):
            return [item]
        case kinds.DictType(value_type=value):
            return [value]
    return []


def leaves(of: kinds.Type) -> Iterator[kinds.Type]:
    inner = parts(of)
    if not inner:
        yield of
    for part in inner:
        yield from leaves(part)


def all_structs() -> dict[type, kinds.StructType]:
    seen: dict[type, kinds.StructType] = {}
    structs(kinds.type_info(Scenario), seen)
    return seen


FREE = (kinds.IntType, kinds.FloatType, kinds.StrType)
"What a type alone does not bound."


def test_every_number_and_text_of_a_scenario_has_a_bound():
    wanted = {
        (cls, field.name)
        for cls, struct in all_structs().items()
        for field in struct.fields
        if any(isinstance(leaf, FREE) for leaf in leaves(field.type))
    }
    assert wanted == {(cls, field) for cls, fields in BOUNDS.items() for field in fields}


def test_every_key_of_a_scenario_has_a_bound():
    wanted = {
        (cls, field.name)
        for cls, struct in all_structs().items()
        for field in struct.fields
        if isinstance(field.type, kinds.DictType)
    }
    assert wanted == {(cls, field) for cls, fields in KEYS.items() for field in fields}
