"""web_connectivity, 0.1 to 0.5, as observations of two vantages: the probe and its test helper.

0.5 tags every attempt with its redirect depth and links the attempts of one endpoint by a
transaction id. Before that the depth is told from the chain of requests, which all versions
write newest first. The test helper's view has no redirect chain of its own: its one request is
the end of whatever chain it followed, and stands here at hop 0.
"""

from __future__ import annotations

from html import unescape

from gatewatch.archive.adapters.findings import findings
from gatewatch.archive.adapters.lenient import Fields, binary_data
from gatewatch.archive.adapters.lens import Lens
from gatewatch.archive.adapters.ooni_entries import (
    address_of,
    control_failure,
    depth_of,
    header_lines,
    headers_of,
    listed,
    place_of,
    status_of,
    transport_of,
)
from gatewatch.archive.adapters.ooni_envelope import TestKeys
from gatewatch.archive.adapters.ooni_failures import failure_of
from gatewatch.model.records import (
    Connect,
    Exchange,
    Handshake,
    Lookup,
    Measurement,
    Observed,
)
from gatewatch.model.target import canonical_host, endpoint_of, is_address

_SYSTEM_ENGINES = {None, "", "system", "getaddrinfo", "golang_net_resolver", "go"}


def observe(measurement: Measurement, keys: TestKeys, lens: Lens, flaws: list[str]) -> Observed:
    """Everything the probe and its test helper tried, in the order recorded.

    `flaws` grows by the fields that were of the wrong type and were read as null.
    """
    reader = _Reader(measurement, keys, lens, flaws)
    return Observed(
        measurement=measurement,
        lookups=reader.lookups() + reader.control_lookups(),
        connects=reader.connects() + reader.control_connects(),
        handshakes=reader.handshakes() + reader.control_handshakes(),
        exchanges=reader.exchanges + reader.control_exchanges(),
        findings=findings(reader.keys, measurement.record_id),
    )


class _Reader:
    def __init__(
        self, measurement: Measurement, keys: TestKeys, lens: Lens, flaws: list[str]
    ) -> None:
        self.m, self.lens = measurement, lens
        self.keys = Fields(
            {name: getattr(keys, name) for name in keys.__struct_fields__}, "test_keys", flaws
        )
        self.control = self.keys.object("control")
        self.when = measurement.received_at or measurement.measured_at
        self.late = self._late_answers()
        self.asn_given: dict[str, int] = {}
        self.endpoint_of_transaction = {
            entry.integer("transaction_id"): address_of(entry.text("ip"))
            for entry in self.keys.objects("tcp_connect")
            if entry.integer("transaction_id")
        }
        requests = self.keys.objects("requests")
        self.exchanges = self._exchanges(requests)
        self.hop_of_host: dict[str, int] = {}
        for exchange in self.exchanges:
            endpoint = endpoint_of(exchange.url)
            if endpoint:
                self.hop_of_host.setdefault(endpoint.host, exchange.hop)

    # -- the probe ---------------------------------------------------------------------------

    def lookups(self) -> list[Lookup]:
        found = [self._lookup(entry) for entry in self.keys.objects("queries")]
        if not found and self.m.target and not is_address(self.m.target):
            failure, words = failure_of(self.keys.raw("dns_experiment_failure"))
            if failure is not None:  # the oldest reports state it and record no query
                found = [self._stated_lookup(self.m.target, failure, words)]
        return found

    def _lookup(self, entry: Fields) -> Lookup:
        failure, words = failure_of(entry.raw("failure"))
        hostname = entry.text("hostname") or ""
        host = canonical_host(hostname) or hostname.lower()
        engine = entry.text("engine")
        resolver = entry.text("resolver_address") or ""
        system = engine in _SYSTEM_ENGINES and not resolver
        addresses: list[str] = []
        for answer in entry.objects("answers"):
            address = address_of(answer.text("ipv4") or answer.text("ipv6"))
            if address is None:
                continue
            addresses.append(address)
            asn = answer.integer("asn")
            if asn:
                self.asn_given[address] = asn
        return Lookup(
            **self._common(entry, failure, words, self._hop(entry, host)),
            hostname=host,
            query_type=entry.text("query_type") or "A",
            resolver="system" if system else resolver or engine or "unknown",
            transport="system" if system else transport_of(engine, resolver),
            addresses=addresses,
            asns=self._asns(addresses),
            late_addresses=self.late.get((host, resolver), []),
        )

    def _stated_lookup(self, host: str, failure: str, words: str | None) -> Lookup:
        return Lookup(
            **self._bare("probe", failure, words, 0),
            hostname=host,
            query_type="ANY",
            resolver="system",
            transport="system",
            addresses=[],
            asns=[],
            late_addresses=[],
        )

    def _late_answers(self) -> dict[tuple[str, str], list[str]]:
        """Answers that came after the first one to the same query, by name and resolver."""
        late: dict[tuple[str, str], list[str]] = {}
        for entry in self.keys.objects("x_dns_duplicate_responses"):
            host = canonical_host(entry.text("hostname") or "") or ""
            key = (host, entry.text("resolver_address") or "")
            for answer in entry.objects("answers"):
                address = address_of(answer.text("ipv4") or answer.text("ipv6"))
                if address:
                    late.setdefault(key, []).append(address)
        return late

    def connects(self) -> list[Connect]:
        found: list[Connect] = []
        for entry in self.keys.objects("tcp_connect"):
            address, port = address_of(entry.text("ip")), entry.integer("port", 1, 65535)
            if address is None or port is None:
                continue
            status = entry.object("status")
            failure, words = failure_of(status.raw("failure"))
            if failure is None and status.raw("success") is False:
                failure, words = "connect_error", "success is false and no failure is named"
            common = self._common(entry, failure, words, self._hop(entry, None))
            found.append(Connect(**common, address=address, port=port))
        return found

    def handshakes(self) -> list[Handshake]:
        found: list[Handshake] = []
        entries = self.keys.objects("tls_handshakes") + self.keys.objects("quic_handshakes")
        for entry in entries:
            failure, words = failure_of(entry.raw("failure"))
            name = entry.text("server_name")
            sni = canonical_host(name) if name else None
            ders = [d for c in listed(entry.raw("peer_certificates")) if (d := binary_data(c))]
            chain = self.lens.chain(ders, sni, self.when)
            address, port = place_of(entry.text("address"))
            found.append(
                Handshake(
                    **self._common(entry, failure, words, self._hop(entry, sni)),
                    address=address,
                    port=port,
                    transport="udp" if entry.text("network") in ("udp", "quic") else "tcp",
                    sni=sni,
                    tls_version=entry.text("tls_version") or None,
                    chain_state=chain.state,
                    leaf_sha256=chain.leaf_sha256,
                    leaf_issuer=chain.leaf_issuer,
                )
            )
        return found

    def _exchanges(self, entries: list[Fields]) -> list[Exchange]:
        entries = entries[::-1]  # newest first in every version
        found = [self._exchange(entry, position) for position, entry in enumerate(entries)]
        if not found and self.m.input:
            failure, words = failure_of(self.keys.raw("http_experiment_failure"))
            if failure is not None:
                found = [self._stated_exchange(self.m.input, failure, words)]
        return found

    def _exchange(self, entry: Fields, position: int) -> Exchange:
        failure, words = failure_of(entry.raw("failure"))
        request, response = entry.object("request"), entry.object("response")
        url = request.text("url") or self.m.input or ""
        endpoint = endpoint_of(url)
        address, port = place_of(entry.text("address"))
        address = address or self.endpoint_of_transaction.get(entry.integer("transaction_id"))
        status = status_of(response, "code")
        headers = headers_of(response)
        answered = status is not None
        body = response.raw("body")
        body = body if isinstance(body, str) else binary_data(body)
        page = self.lens.page(body if answered else None, headers)
        depth = depth_of(entry)
        return Exchange(
            **self._common(entry, failure, words, position if depth is None else depth),
            transport="udp" if entry.text("network") == "udp" else "tcp",
            url=url,
            address=address,
            port=port if port is not None else (endpoint.port if endpoint else None),
            encrypted=url.lower().startswith("https:"),
            status=status,
            location=next((value for name, value in headers if name == "location"), None),
            headers=[f"{name}: {value}" for name, value in headers] if answered else None,
            title=page.title,
            body_length=page.length,
            body_complete=answered
            and response.raw("body_is_truncated") is not True
            and not (page.length == 0 and failure is not None),
            body_sha256=page.sha256,
            fingerprints=page.fingerprints,
        )

    def _stated_exchange(self, url: str, failure: str, words: str | None) -> Exchange:
        return Exchange(
            **self._bare("probe", failure, words, 0),
            transport="tcp",
            url=url,
            address=None,
            port=None,
            encrypted=url.lower().startswith("https:"),
            status=None,
            location=None,
            headers=None,
            title=None,
            body_length=None,
            body_complete=False,
            body_sha256=None,
            fingerprints=[],
        )

    # -- the test helper ---------------------------------------------------------------------

    def control_lookups(self) -> list[Lookup]:
        """The helper's answer, under the canonical name whatever spelling it was asked by."""
        if not self.control.holds("dns", dict) or not self.m.target:
            return []
        dns = self.control.object("dns")
        failure, words = failure_of(dns.raw("failure"))
        answers = dns.texts("addrs")
        if failure is None and (not dns.holds("addrs", list) or len(answers) < dns.size("addrs")):
            return []  # answers we cannot read are not an answer without addresses
        addresses = [a for text in answers if (a := address_of(text))]
        for name, info in self.control.items("ip_info"):
            asn, address = info.integer("asn"), address_of(name)
            if asn and address:
                self.asn_given.setdefault(address, asn)
        return [
            Lookup(
                **self._bare("control", failure, words, 0),
                hostname=self.m.target,
                query_type="ANY",
                resolver="control",
                transport="unknown",
                addresses=addresses,
                asns=self._asns(addresses),
                late_addresses=[],
            )
        ]

    def control_connects(self) -> list[Connect]:
        found: list[Connect] = []
        for name, entry in self.control.items("tcp_connect"):
            address, port = place_of(name)
            if address is None or port is None:
                continue
            failure, words = control_failure(entry)
            found.append(
                Connect(**self._bare("control", failure, words, 0), address=address, port=port)
            )
        return found

    def control_handshakes(self) -> list[Handshake]:
        found: list[Handshake] = []
        for transport, key in (("tcp", "tls_handshake"), ("udp", "quic_handshake")):
            for name, entry in self.control.items(key):
                address, port = place_of(name)
                failure, words = control_failure(entry)
                sni = entry.text("server_name")
                found.append(
                    Handshake(
                        **self._bare("control", failure, words, 0),
                        address=address,
                        port=port,
                        transport=transport,
                        sni=canonical_host(sni) if sni else None,
                        tls_version=None,
                        chain_state="absent",
                        leaf_sha256=None,
                        leaf_issuer=None,
                    )
                )
        return found

    def control_exchanges(self) -> list[Exchange]:
        if not self.control.holds("http_request", dict):
            return []
        entry = self.control.object("http_request")
        failure, words = failure_of(entry.raw("failure"))
        status = status_of(entry, "status_code")
        length = entry.integer("body_length")
        answered = status is not None
        url = self.m.input or ""
        title = entry.text("title")
        return [
            Exchange(
                **self._bare("control", failure, words, 0),
                transport="tcp",
                url=url,
                address=None,
                port=None,
                encrypted=url.lower().startswith("https:"),
                status=status,
                location=None,
                headers=header_lines(entry.items_of_text("headers")) if answered else None,
                title=" ".join(unescape(title).split()) if title is not None else None,
                body_length=length if length is not None and length >= 0 else None,
                body_complete=answered,
                body_sha256=None,
                fingerprints=[],
            )
        ]

    # -- shared ------------------------------------------------------------------------------

    def _common(self, entry: Fields, failure: str | None, words: str | None, hop: int) -> dict:
        t = entry.number("t")
        return {
            "record_id": self.m.record_id,
            "vantage": "probe",
            "hop": hop,
            "transaction_id": entry.integer("transaction_id"),
            "elapsed_ms": None if t is None else round(t * 1000.0, 3),
            "failure": failure,
            "failure_words": words,
        }

    def _bare(self, vantage: str, failure: str | None, words: str | None, hop: int) -> dict:
        return {
            "record_id": self.m.record_id,
            "vantage": vantage,
            "hop": hop,
            "transaction_id": None,
            "elapsed_ms": None,
            "failure": failure,
            "failure_words": words,
        }

    def _hop(self, entry: Fields, host: str | None) -> int:
        depth = depth_of(entry)
        if depth is not None:
            return depth
        return self.hop_of_host.get(host, 0) if host else 0

    def _asns(self, addresses: list[str]) -> list[int | None]:
        """Networks as the record states them, as of its own time; ours where it is silent."""
        ours = self.lens.asns_of(addresses, self.when.date() if self.when else None)
        return [self.asn_given.get(a) or asn for a, asn in zip(addresses, ours, strict=True)]
