"""What was measured and what it shows: one measurement, and one typed record per attempt in it.

Records state facts only. The control vantage's attempts are the same nouns with
`vantage="control"`, so that the two sides of a comparison have the same columns. They are
msgspec structs: immutable, typed, and several times cheaper to make than dataclasses.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from gatewatch.model.columns import Column


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where the bytes of a record are."""

    file: str
    "The path as given, or `store:<sha256>`; a member of a tar archive follows after `!`."
    line: int
    "1-based line on which the record starts."
    offset: int
    "Byte offset of its first byte, after decompression of the file or member."
    length: int
    "Bytes, without the line end."


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one test against one input, as its submitter describes it."""

    record_id: Annotated[
        str,
        Column("string", "BLAKE2b-128 of the record's bytes, in hex; the key that joins tables"),
    ]
    measurement_id: Annotated[
        str,
        Column("string", "the archive's own id, or `gw-` and the record id where it has none"),
    ]
    source_file: Annotated[str, Column("string", "SHA-256 of the raw file; or its path, unstored")]
    source_member: Annotated[str | None, Column("string", "member of a tar archive")]
    source_line: Annotated[int, Column("int64", "line on which the record starts", "1-based")]
    source_offset: Annotated[
        int, Column("int64", "first byte of the record in the decompressed file", "bytes")
    ]
    source_length: Annotated[int, Column("int64", "length of the record", "bytes")]
    test_name: Annotated[str, Column("string", "nettest, snake case")]
    test_version: Annotated[str | None, Column("string", "version of the nettest")]
    software: Annotated[str | None, Column("string", "probe software and version")]
    report_id: Annotated[
        str, Column("string", "the submission this belongs to; empty where unknown")
    ]
    input: Annotated[str | None, Column("string", "what was tested, as submitted")]
    target: Annotated[
        str | None, Column("string", "canonical host of the input: lower case, A-labels")
    ]
    domain: Annotated[str | None, Column("string", "registrable domain of the target")]
    service: Annotated[str | None, Column("string", "service the target belongs to, if any")]
    probe_cc: Annotated[
        str | None, Column("string", "country of the probe, ISO 3166; null when unknown")
    ]
    probe_asn: Annotated[
        int | None, Column("int64", "network of the probe; null when unknown or withheld")
    ]
    probe_network: Annotated[str | None, Column("string", "name of that network, as submitted")]
    resolver_asn: Annotated[int | None, Column("int64", "network of the probe's system resolver")]
    resolver_ip: Annotated[
        str | None, Column("string", "address the system resolver is seen under, as submitted")
    ]
    measured_at: Annotated[
        datetime | None,
        Column("timestamp[us]", "start of the measurement by the probe's clock", "UTC"),
    ]
    received_at: Annotated[
        datetime | None,
        Column("timestamp[us]", "when the archive received it, by the archive's clock", "UTC"),
    ]
    control_failure: Annotated[
        str | None, Column("string", "failure of the control itself; null when it answered")
    ]
    probe_failure: Annotated[
        str | None, Column("string", "failure the probe states for the whole test, as found")
    ]
    probe_id: Annotated[
        str | None, Column("string", "pseudonym of the probe, where the archive carries one")
    ] = None
    flaws: Annotated[
        list[str],
        Column("list<string>", "fields that were not as the format wants and were read as null"),
    ]


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What every attempt has in common."""

    record_id: Annotated[str, Column("string", "the measurement it belongs to")]
    vantage: Annotated[str, Column("string", "who tried: `probe` or `control`")]
    hop: Annotated[int, Column("int32", "redirects followed before this attempt", "count")]
    transaction_id: Annotated[
        int | None, Column("int64", "links the attempts of one endpoint, where recorded")
    ]
    elapsed_ms: Annotated[
        float | None, Column("double", "end of the attempt since the measurement began", "ms")
    ]
    failure: Annotated[
        str | None, Column("string", "failure code; null means the attempt succeeded")
    ]
    failure_words: Annotated[
        str | None, Column("string", "the failure as the probe wrote it, where it differs")
    ]


class Lookup(Observation, frozen=True, kw_only=True):
    """One question to one resolver."""

    hostname: Annotated[str, Column("string", "name asked for: lower case, A-labels")]
    query_type: Annotated[str, Column("string", "A, AAAA, CNAME or ANY")]
    resolver: Annotated[
        str, Column("string", "`system`, or the address or URL of the resolver asked")
    ]
    transport: Annotated[
        str, Column("string", "`system`, `udp`, `tcp`, `dot`, `doh`, or `unknown`")
    ]
    addresses: Annotated[list[str], Column("list<string>", "addresses answered")]
    asns: Annotated[
        list[int | None], Column("list<int64>", "network of each address, as of the measurement")
    ]
    late_addresses: Annotated[
        list[str], Column("list<string>", "addresses in duplicate answers that came later")
    ]


class Connect(Observation, frozen=True, kw_only=True):
    """One attempt to open a TCP connection."""

    address: Annotated[str, Column("string", "IP address")]
    port: Annotated[int, Column("int32", "TCP port")]


class Handshake(Observation, frozen=True, kw_only=True):
    """One attempt to start TLS (or QUIC)."""

    address: Annotated[str | None, Column("string", "IP address")]
    port: Annotated[int | None, Column("int32", "port")]
    transport: Annotated[str, Column("string", "`tcp` or `udp`")]
    sni: Annotated[str | None, Column("string", "name sent in clear: lower case, A-labels")]
    tls_version: Annotated[str | None, Column("string", "version agreed on")]
    chain_state: Annotated[
        str,
        Column(
            "string",
            "our own reading of the chain: `valid`, `expired`, `wrong_name`, `self_signed`, "
            "`untrusted`, `unreadable`, `absent`",
        ),
    ]
    leaf_sha256: Annotated[str | None, Column("string", "SHA-256 of the leaf certificate, hex")]
    leaf_issuer: Annotated[str | None, Column("string", "issuer of the leaf certificate")]


class Exchange(Observation, frozen=True, kw_only=True):
    """One HTTP request and what came back."""

    transport: Annotated[str, Column("string", "`tcp`, or `udp` for HTTP/3")]
    url: Annotated[str, Column("string", "URL requested")]
    address: Annotated[str | None, Column("string", "IP address, where recorded")]
    port: Annotated[int | None, Column("int32", "port, where recorded")]
    encrypted: Annotated[bool, Column("bool", "went over TLS")]
    status: Annotated[int | None, Column("int32", "status code; null when no answer came")]
    location: Annotated[str | None, Column("string", "redirect target, as sent")]
    headers: Annotated[
        list[str] | None, Column("list<string>", "`name: value`, names in lower case; null unknown")
    ]
    title: Annotated[str | None, Column("string", "title of the page")]
    body_length: Annotated[int | None, Column("int64", "length of the body as recorded", "bytes")]
    body_complete: Annotated[bool, Column("bool", "false when the record holds only a part")]
    body_sha256: Annotated[str | None, Column("string", "SHA-256 of the body as recorded, hex")]
    fingerprints: Annotated[
        list[str], Column("list<string>", "ids of the fingerprints found in body and headers")
    ]


class Finding(Observation, frozen=True, kw_only=True):
    """What an experiment of the probe found out by changing one thing at a time."""

    experiment: Annotated[str, Column("string", "which experiment: `sni_swap`, `hop`, …")]
    layer: Annotated[str, Column("string", "what it was suspected of: `dns`, `tcp`, `tls`, …")]
    host: Annotated[str, Column("string", "name whose blocking was suspected")]
    answer: Annotated[str, Column("string", "the experiment's answer, of its own closed set")]
    mechanism: Annotated[
        str | None, Column("string", "deepest node of the taxonomy that it proves by itself")
    ]
    trigger: Annotated[
        str | None,
        Column("string", "what sets it off: `name`, `address`, `keyword`, `protocol`, `port`"),
    ]
    placement: Annotated[
        str | None, Column("string", "`on_path`, `in_path`, `endpoint`, or `unknown`")
    ]
    hop_address: Annotated[str | None, Column("string", "address of the hop at which it happens")]
    hop_ttl: Annotated[int | None, Column("int32", "distance of that hop", "hops")]
    residual_s: Annotated[
        float | None, Column("double", "how long innocent traffic stays blocked after it", "s")
    ]
    effect: Annotated[
        float | None, Column("double", "throughput over that of a neutral name on the same path")
    ]
    effect_low: Annotated[float | None, Column("double", "lower end of its 95 % interval")]
    effect_high: Annotated[float | None, Column("double", "upper end of its 95 % interval")]
    trials: Annotated[int, Column("int32", "attempts behind the answer", "count")]
    words: Annotated[str, Column("string", "why, as the probe puts it")]


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement with everything observed in it, in the order recorded."""

    measurement: Measurement
    lookups: list[Lookup]
    connects: list[Connect]
    handshakes: list[Handshake]
    exchanges: list[Exchange]
    "Oldest first: redirects in the order they were followed."
    findings: list[Finding] = []
    "Of the probe's own experiments, where it made any."


class SetAside(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be read, and why."""

    source_file: Annotated[str, Column("string", "SHA-256 of the raw file; or its path, unstored")]
    source_member: Annotated[str | None, Column("string", "member of a tar archive")]
    source_line: Annotated[int, Column("int64", "line on which it starts", "1-based")]
    source_offset: Annotated[int, Column("int64", "first byte in the decompressed file", "bytes")]
    source_length: Annotated[int, Column("int64", "length", "bytes")]
    field: Annotated[str, Column("string", "what in it could not be read")]
    got: Annotated[str, Column("string", "what was found there, shortened")]
    want: Annotated[str, Column("string", "what the format wants")]
