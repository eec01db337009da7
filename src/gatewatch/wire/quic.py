"""QUIC's first packets, which hide nothing: whoever sees an Initial can derive its keys.

Reads the ClientHello out of a client's Initials, and makes the server's Initial that closes the
connection before the server has said a word. RFC 9000 and 9001; version 2 is RFC 9369.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from gatewatch.wire.tls import ClientHello, NotTls, hello_message

_PADDING, _PING, _ACK, _ACK_ECN, _CRYPTO, _CONNECTION_CLOSE = 0x00, 0x01, 0x02, 0x03, 0x06, 0x1C
"Frames that an Initial may hold: RFC 9000, section 12.4."
_TAG = 16
_SAMPLE = 16
_MAX_CID = 20
_MAX_CRYPTO = 2**16
"Our choice: no more is kept of one handshake; see `tls` for what browsers send."


class NotQuic(ValueError):
    """A datagram that does not begin with a client's Initial."""


class _Version(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between versions, as far as Initials go."""

    number: int
    salt: bytes
    label: bytes
    initial: int
    "Type bits of an Initial packet."


_VERSIONS = {
    version.number: version
    for version in (
        # RFC 9001, section 5.2, and RFC 9000, section 17.2
        _Version(
            number=0x00000001,
            salt=bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a"),
            label=b"quic",
            initial=0,
        ),
        # RFC 9369, section 3
        _Version(
            number=0x6B3343CF,
            salt=bytes.fromhex("0dede3def700a6db819381be6e269dcbf9bd2ed9"),
            label=b"quicv2",
            initial=1,
        ),
    )
}


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """A long header up to the packet number, which is protected."""

    version: _Version
    initial: bool
    dcid: bytes
    scid: bytes
    begin: int
    number_at: int
    end: int


class _Keys:
    """What protects the Initials of one side: RFC 9001, sections 5.1 to 5.4."""

    def __init__(self, version: _Version, dcid: bytes, side: bytes) -> None:
        secret = hmac.digest(version.salt, dcid, "sha256")
        secret = _expand(secret, side + b" in", 32)
        self._aead = AESGCM(_expand(secret, version.label + b" key", 16))
        self._iv = int.from_bytes(_expand(secret, version.label + b" iv", 12), "big")
        self._mask = Cipher(AES(_expand(secret, version.label + b" hp", 16)), ECB())

    def _nonce(self, number: int) -> bytes:
        return (self._iv ^ number).to_bytes(12, "big")

    def _protection(self, packet: bytes, number_at: int) -> bytes:
        sample = packet[number_at + 4 : number_at + 4 + _SAMPLE]
        return self._mask.encryptor().update(sample)

    def open(self, datagram: bytes, header: _Header) -> bytes:
        """The frames of a packet.

        The packet number is taken as it stands: it is sent in fewer bytes than it needs only
        once more than a hundred packets are on their way.

        Raises:
            InvalidTag: other keys protect it, or it is damaged.
        """
        mask = self._protection(datagram, header.number_at)
        first = datagram[header.begin] ^ mask[0] & 0x0F
        size = (first & 3) + 1
        sent = datagram[header.number_at : header.number_at + size]
        plain = bytes(a ^ b for a, b in zip(sent, mask[1:], strict=False))
        rest = datagram[header.begin + 1 : header.number_at]
        clear = bytes([first]) + rest + plain
        sealed = datagram[header.number_at + size : header.end]
        return self._aead.decrypt(self._nonce(int.from_bytes(plain, "big")), sealed, clear)

    def seal(self, clear: bytes, frames: bytes) -> bytes:
        """A protected packet from its header, which ends in a one-byte number 0, and its frames."""
        packet = clear + self._aead.encrypt(self._nonce(0), frames, clear)
        number_at = len(clear) - 1
        mask = self._protection(packet, number_at)
        first, number = packet[0] ^ mask[0] & 0x0F, packet[number_at] ^ mask[1]
        return b"%c%b%c%b" % (first, packet[1:number_at], number, packet[number_at + 1 :])


def _expand(secret: bytes, label: bytes, size: int) -> bytes:
    """HKDF-Expand-Label of at most one SHA-256 block: RFC 8446, section 7.1, and RFC 5869."""
    label = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
    return hmac.digest(secret, info + b"\1", "sha256")[:size]


@lru_cache(maxsize=64)
def _client_keys(version: int, dcid: bytes) -> _Keys:
    return _Keys(_VERSIONS[version], dcid, b"client")


def is_initial(datagram: bytes) -> bool:
    """Whether a datagram begins with an Initial of a version known here, by its header alone."""
    header = _header(datagram, 0)
    return header is not None and header.initial


def _header(datagram: bytes, at: int) -> _Header | None:
    """The long header at a place; None where there is none, or it is cut short."""
    fixed = datagram[at : at + 6]
    if len(fixed) < 6 or fixed[0] & 0xC0 != 0xC0:
        return None
    version = _VERSIONS.get(int.from_bytes(fixed[1:5], "big"))
    if version is None:
        return None
    dcid, place = _counted(datagram, at + 5)
    scid, place = _counted(datagram, place)
    initial = fixed[0] >> 4 & 3 == version.initial
    if initial:
        token, place = _varint(datagram, place)
        place += token
    length, place = _varint(datagram, place)
    end = place + length
    # Less than this, and there is nothing to take the header protection's sample from.
    if end > len(datagram) or length < 4 + _SAMPLE or max(len(dcid), len(scid)) > _MAX_CID:
        return None
    return _Header(
        version=version,
        initial=initial,
        dcid=dcid,
        scid=scid,
        begin=at,
        number_at=place,
        end=end,
    )


def _counted(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes that follow their number, which is one byte; fewer where the data ends."""
    end = at + 1 + int.from_bytes(data[at : at + 1], "big")
    return data[at + 1 : end], end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer and where it ends: RFC 9000, section 16.

    Where the data ends before it does, the end lies behind the data.

    >>> _varint(bytes.fromhex("7bbd"), 0)
    (15293, 2)
    """
    if at >= len(data):
        return 0, at + 1
    end = at + (1 << (data[at] >> 6))
    value = int.from_bytes(data[at:end], "big")
    return value & (1 << 8 * (end - at) - 2) - 1, end


def _as_varint(value: int) -> bytes:
    """
    >>> _as_varint(15293).hex(), _as_varint(37).hex()
    ('7bbd', '25')
    """
    for bits, size in enumerate((1, 2, 4, 8)):
        if value < 1 << 8 * size - 2:
            return (value | bits << 8 * size - 2).to_bytes(size, "big")
    raise ValueError(f"{value} is over 62 bits")


class Initials:
    """The client's side of one connection, as far as its ClientHello.

    Give it every datagram of the client's; order and repetition do not matter, nor does what
    they hold besides. Nothing in them can make it fail, or keep more than 64 kB.
    """

    def __init__(self) -> None:
        self.hello: ClientHello | None = None
        self._dcid: bytes | None = None
        self._crypto: dict[int, bytes] = {}
        self._held = 0

    def feed(self, datagram: bytes) -> ClientHello | None:
        """Take a datagram; the ClientHello, once it is complete."""
        if self.hello is None and self._collect(datagram):
            try:
                self.hello = hello_message(self._contiguous())
            except NotTls:
                return None
        return self.hello

    def _collect(self, datagram: bytes) -> bool:
        """Keep what is new in a datagram's Initials; coalesced packets follow each other."""
        before = self._held
        at = 0
        while header := _header(datagram, at):
            if header.initial:
                for offset, piece in _crypto_frames(self._frames(datagram, header)):
                    self._keep(offset, piece)
            at = header.end
        return self._held > before

    def _frames(self, datagram: bytes, header: _Header) -> bytes:
        """A packet's frames, none if it cannot be opened.

        The keys come from the first DCID and outlive it, for the client soon calls the server as
        the server wants to be called; after a Retry they come from the new one.
        """
        for dcid in dict.fromkeys((self._dcid or header.dcid, header.dcid)):
            try:
                frames = _client_keys(header.version.number, dcid).open(datagram, header)
            except InvalidTag:
                continue
            self._dcid = dcid
            return frames
        return b""

    def _keep(self, offset: int, piece: bytes) -> None:
        more = len(piece) - len(self._crypto.get(offset, b""))
        if more > 0 and self._held + more <= _MAX_CRYPTO:
            self._crypto[offset] = piece
            self._held += more

    def _contiguous(self) -> bytes:
        """The handshake stream from its beginning to the first gap."""
        stream = bytearray()
        for offset, piece in sorted(self._crypto.items()):
            if offset > len(stream):
                break
            stream += piece[len(stream) - offset :]
        return bytes(stream)


def _crypto_frames(frames: bytes) -> Iterable[tuple[int, bytes]]:
    """Offset and data of each CRYPTO frame, up to the first frame that no Initial may hold."""
    at = 0
    while at < len(frames):
        kind = frames[at]
        at += 1
        if kind in (_ACK, _ACK_ECN):
            at = _after_ack(frames, at, ecn=kind == _ACK_ECN)
        elif kind == _CRYPTO:
            offset, at = _varint(frames, at)
            length, at = _varint(frames, at)
            if at + length > len(frames):
                return
            yield offset, frames[at : at + length]
            at += length
        elif kind not in (_PADDING, _PING):
            return


def _after_ack(frames: bytes, at: int, *, ecn: bool) -> int:
    """Where an ACK frame ends: RFC 9000, section 19.3."""
    _, at = _varint(frames, at)
    _, at = _varint(frames, at)
    ranges, at = _varint(frames, at)
    for _ in range(1 + 2 * ranges + 3 * ecn):
        if at >= len(frames):
            break
        _, at = _varint(frames, at)
    return at


def client_hello_of(datagrams: Iterable[bytes]) -> ClientHello | None:
    """The ClientHello in a client's datagrams; None if they do not hold all of it."""
    initials = Initials()
    for datagram in datagrams:
        initials.feed(datagram)
    return initials.hello


def initial_close(client_initial: bytes, error: int) -> bytes:
    """A server's first datagram that closes the connection, in answer to the client's first.

    It is not padded: only datagrams that ask for an acknowledgement need to be (RFC 9000,
    section 14.1), and CONNECTION_CLOSE does not.

    Args:
        error: transport error code, below 2**62; RFC 9000, section 20.1.

    Raises:
        NotQuic: the datagram does not begin with an Initial.
    """
    header = _header(client_initial, 0)
    if header is None or not header.initial:
        raise NotQuic(f"no Initial in {len(client_initial)} bytes")
    frames = bytes([_CONNECTION_CLOSE]) + _as_varint(error) + b"\0\0"  # frame type, reason
    # The client takes whatever connection ID the server gives itself; its own choice will do.
    clear = b"%c%b%c%b%c%b%c%b%c" % (
        0xC0 | header.version.initial << 4,
        header.version.number.to_bytes(4, "big"),
        len(header.scid),
        header.scid,
        len(header.dcid),
        header.dcid,
        0,  # no token
        _as_varint(1 + len(frames) + _TAG),
        0,  # packet number, one byte
    )
    return _Keys(header.version, header.dcid, b"server").seal(clear, frames)
