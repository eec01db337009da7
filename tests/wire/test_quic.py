"""QUIC Initials, against the vectors of the RFCs and against aioquic, without a socket.

`vectors/` holds the protected client Initials of RFC 9001 and RFC 9369, appendix A.2 of each.
"""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import QuicProtocolVersion
from hypothesis import given
from hypothesis.strategies import binary, integers, lists, randoms, sampled_from

from gatewatch.wire.quic import Initials, NotQuic, client_hello_of, initial_close, is_initial
from tests.wire.test_tls import message, server_name

VECTORS = Path(__file__).parent / "vectors"
V1, V2 = QuicProtocolVersion.VERSION_1, QuicProtocolVersion.VERSION_2
DCID, SCID = bytes(range(8)), b"scid"
HELLO = message(server_name((0, b"blocked.example")), (16, b"\0\3\2h3"), (0xFE0D, bytes(900)))
SERVER = ("192.0.2.1", 443)


def vector(name: str) -> bytes:
    return bytes.fromhex((VECTORS / name).read_text())


def varint(value: int) -> bytes:
    """An integer below 2**30, in the four-byte form."""
    return (value | 2 << 30).to_bytes(4, "big")


def crypto(offset: int, data: bytes) -> bytes:
    """A CRYPTO frame."""
    return b"\6" + varint(offset) + varint(len(data)) + data


def initial(
    frames: bytes, *, number: int = 0, dcid: bytes = DCID, keys_of: bytes = DCID, kind: int = 0
) -> bytes:
    """A client's long-header packet, version 1, protected by aioquic."""
    frames = frames.ljust(4, b"\0")
    pair = CryptoPair()
    pair.setup_initial(keys_of, is_client=True, version=V1)
    header = bytes([0xC1 | kind << 4]) + V1.to_bytes(4, "big")
    header += bytes([len(dcid)]) + dcid + bytes([len(SCID)]) + SCID
    header += b"\3tkn" if kind == 0 else b""
    header += varint(2 + len(frames) + 16) + number.to_bytes(2, "big")
    return pair.encrypt_packet(header, frames, number)


def aioquic_client(name: str, version: int = V1) -> tuple[QuicConnection, bytes]:
    """A client and its first datagram."""
    client = QuicConnection(
        configuration=QuicConfiguration(
            is_client=True,
            server_name=name,
            alpn_protocols=["h3"],
            original_version=version,
            supported_versions=[version],
        )
    )
    client.connect(SERVER, now=0.0)
    (datagram, _), *_ = client.datagrams_to_send(now=0.0)
    return client, datagram


@pytest.mark.parametrize("name", ["rfc9001-a2-client-initial.hex", "rfc9369-a2-client-initial.hex"])
def test_the_server_name_of_the_rfc_is_read_from_its_protected_packet(name):
    hello = client_hello_of([vector(name)])
    assert hello is not None
    assert (hello.sni, hello.alpn) == ("example.com", ("alpn",))


@pytest.mark.parametrize("version", [V1, V2])
def test_the_server_name_of_a_real_client_is_read(version):
    _, datagram = aioquic_client("blocked.example.org", version)
    assert is_initial(datagram)
    hello = client_hello_of([datagram])
    assert hello is not None
    assert (hello.sni, hello.alpn) == ("blocked.example.org", ("h3",))


@given(cuts=lists(integers(0, len(HELLO)), max_size=12), chance=randoms(), per=integers(1, 5))
def test_a_hello_cut_up_and_shuffled_is_put_together_again(cuts, chance, per):
    edges = sorted({0, len(HELLO), *cuts})
    frames = [crypto(a, HELLO[a:b]) for a, b in pairwise(edges)]
    frames += chance.choices(frames, k=2)
    chance.shuffle(frames)
    frames = [chance.choice([b"", b"\0\0", b"\1"]) + frame for frame in frames]
    groups = [b"".join(frames[at : at + per]) for at in range(0, len(frames), per)]
    datagrams = [initial(group, number=number) for number, group in enumerate(groups)]
    hello = client_hello_of(datagrams)
    assert hello is not None
    assert (hello.sni, hello.ech) == ("blocked.example", True)
    assert client_hello_of([b"".join(datagrams)]) == hello, "coalesced in one datagram"


def test_the_hello_is_complete_with_its_last_piece_and_stays():
    initials = Initials()
    assert initials.feed(initial(crypto(500, HELLO[500:]))) is None
    hello = initials.feed(initial(crypto(0, HELLO[:600]), number=1))
    assert hello is not None
    assert initials.feed(b"anything") == hello


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"\2\5\0\1\0\3\4", id="ACK with two ranges"),
        pytest.param(b"\3\5\0\0\0\1\2\3", id="ACK with ECN counts"),
        pytest.param(b"\1\1\0\0\0", id="PING and PADDING"),
    ],
)
def test_other_frames_may_stand_before_the_hello(first):
    assert client_hello_of([initial(first + crypto(0, HELLO))]) is not None


def test_the_hello_is_found_behind_a_coalesced_packet_of_another_kind():
    early_data = initial(b"opaque", kind=1)
    assert client_hello_of([early_data + initial(crypto(0, HELLO))]) is not None


def test_the_keys_stay_when_the_client_takes_up_the_servers_id():
    half = initial(crypto(0, HELLO[:500]))
    rest = initial(crypto(500, HELLO[500:]), number=1, dcid=b"servers")
    assert client_hello_of([half, rest]) is not None


def test_the_keys_change_with_a_retry():
    half = initial(crypto(0, HELLO[:500]))
    again = initial(crypto(0, HELLO), number=1, dcid=b"retried", keys_of=b"retried")
    assert client_hello_of([half, again]) is not None


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(initial(b"\2\5\0\xff" + bytes(20)), id="an ACK that never ends"),
        pytest.param(
            initial(b"\6\0" + varint(len(HELLO) + 1) + HELLO), id="a frame out of its packet"
        ),
        pytest.param(initial(b"\x08stream" + crypto(0, HELLO)), id="a frame no Initial may hold"),
        pytest.param(initial(crypto(0, b"\2" + HELLO[1:])), id="a ServerHello"),
        pytest.param(initial(crypto(0, HELLO[:-1])), id="a hello without its end"),
        pytest.param(initial(crypto(1, HELLO[1:])), id="a hello without its beginning"),
        pytest.param(initial(crypto(2**29, HELLO)), id="an offset no handshake has"),
        pytest.param(initial(crypto(0, HELLO), keys_of=b"other"), id="other keys"),
        pytest.param(
            initial(crypto(0, HELLO), dcid=bytes(21), keys_of=bytes(21)), id="a DCID of 21"
        ),
        pytest.param(initial(b"")[:23] + b"\x13" + bytes(19), id="too short for a sample"),
        pytest.param(b"\x40" + bytes(1199), id="a short header"),
        pytest.param(b"\xc0\xfa\xce\xb0\x02" + bytes(1195), id="another version"),
        pytest.param(initial(crypto(0, HELLO), kind=3), id="a Retry, which has no keys"),
    ],
)
def test_what_shows_no_hello_gives_none(datagram):
    assert client_hello_of([datagram]) is None


@given(junk=lists(binary(max_size=80), max_size=3), size=integers(0, 30))
def test_nothing_a_client_sends_makes_reading_fail(junk, size):
    start = initial(b"")[:size]
    assert client_hello_of([start + piece for piece in junk]) is None


@given(at=integers(0, 60), byte=integers(1, 255))
def test_a_damaged_initial_does_not_authenticate(at, byte):
    datagram = bytearray(initial(crypto(0, HELLO)))
    datagram[at] ^= byte
    assert client_hello_of([bytes(datagram)]) is None


def test_a_flood_of_pieces_is_not_kept():
    initials = Initials()
    for number in range(80):
        initials.feed(initial(crypto(1 + number, b"x" * 1000), number=number))
    assert initials.feed(initial(crypto(0, HELLO), number=99)) is None


@pytest.mark.parametrize("version", [V1, V2])
@pytest.mark.parametrize("error", [0x2, 0x128, 0xFFFF, 2**62 - 1])
def test_a_real_client_believes_the_forged_close(version, error):
    client, datagram = aioquic_client("blocked.example.org", version)
    client.receive_datagram(initial_close(datagram, error), SERVER, now=0.01)
    client.handle_timer(now=client.get_timer() or 9.0)
    events = iter(client.next_event, None)
    (closed,) = [event for event in events if isinstance(event, ConnectionTerminated)]
    assert (closed.error_code, closed.reason_phrase) == (error, "")


@given(dcid=binary(max_size=20), error=sampled_from([0, 2]))
def test_the_forged_close_is_made_for_any_connection_id(dcid, error):
    close = initial_close(initial(crypto(0, HELLO), dcid=dcid, keys_of=dcid), error)
    pair = CryptoPair()
    pair.setup_initial(dcid, is_client=True, version=V1)
    number_at = 5 + 1 + len(SCID) + 1 + len(dcid) + 1 + 1
    _, frames, number = pair.decrypt_packet(close, number_at, 0)
    assert (frames, number) == (bytes([0x1C, error, 0, 0]), 0)
    assert close[6 : 6 + len(SCID)] == SCID


@pytest.mark.parametrize("datagram", [b"", b"\x40" + bytes(1199), initial(b"", kind=2)])
def test_a_close_needs_an_initial_to_answer(datagram):
    assert not is_initial(datagram)
    with pytest.raises(NotQuic):
        initial_close(datagram, 2)


def test_a_hello_sent_byte_by_byte_is_read():
    order = list(range(len(HELLO)))
    random.Random(1).shuffle(order)
    frames = [crypto(at, HELLO[at : at + 1]) for at in order]
    groups = [b"".join(frames[at : at + 300]) for at in range(0, len(frames), 300)]
    hello = client_hello_of(initial(group, number=n) for n, group in enumerate(groups))
    assert hello is not None
