"""HTTP/2 over a channel: h2 does the protocol, and we hold the server to limits.

What a server says within TLS is its own word, resets of streams included: they are no resets of
the path, and have failures of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from gatewatch.probe.exchanges import (
    AROUND_LIMIT,
    HEADER_LIMIT,
    MALFORMED,
    UNWRITABLE,
    Exchange,
    Request,
)
from gatewatch.probe.net import EOF, TIMEOUT, Channel, Failed

STREAM = 1
"The only stream there is."
FRAME_HEADER, SETTINGS, GOAWAY_FRAME = 9, 4, 7
"RFC 9113, sections 4.1, 6.5 and 6.8."
STREAM_ERROR = "unknown_failure: stream error"
GOAWAY = "unknown_failure: GOAWAY"


async def fetch(channel: Channel, found: Exchange, deadline: float, most: int) -> None:
    """Send the request of an exchange, and put into it what comes back.

    Raises:
        Failed: by name; what came before stays.
    """
    try:
        await _Client(channel, found, deadline, most).run()
    except H2Error:
        raise Failed(MALFORMED) from None


class _Client:
    def __init__(self, channel: Channel, found: Exchange, deadline: float, most: int) -> None:
        self._channel, self._found, self._deadline, self._most = channel, found, deadline, most
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._pending, self._begun = bytearray(), False
        self._body = bytearray()
        self._unsent = memoryview(found.request.body)

    async def run(self) -> None:
        self._begin(self._found.request)
        total = 0
        try:
            while True:
                self._send_body()
                await self._flush()
                data = await self._channel.read(self._deadline)
                if not data:
                    raise Failed(EOF)
                total += len(data)
                if total > len(self._body) + AROUND_LIMIT:
                    raise Failed(MALFORMED)
                if any(self._takes(frame) for frame in self._frames(data)):
                    break
        except Failed as failed:
            if failed.failure == TIMEOUT:
                await self._cancel()
            raise
        finally:
            self._found.body = bytes(self._body[: self._most])
        if self._found.truncated:
            await self._cancel()

    def _begin(self, request: Request) -> None:
        h2 = self._h2
        h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEADER_LIMIT,
            },
        )
        h2.decoder.max_header_list_size = HEADER_LIMIT
        try:
            pairs = request.pseudo_headers()
        except UnicodeEncodeError:
            raise Failed(UNWRITABLE) from None
        h2.initiate_connection()
        h2.send_headers(STREAM, pairs, end_stream=not request.body)

    def _send_body(self) -> None:
        """As much as the server has room for."""
        h2 = self._h2
        while self._unsent:
            room = min(h2.local_flow_control_window(STREAM), h2.max_outbound_frame_size)
            if room <= 0:
                return
            part, self._unsent = self._unsent[:room], self._unsent[room:]
            h2.send_data(STREAM, bytes(part), end_stream=not self._unsent)

    async def _cancel(self) -> None:
        """Tell the server that we wait no longer; nobody may be there to hear it."""
        try:
            self._h2.reset_stream(STREAM, ErrorCodes.CANCEL)
            await self._flush()
        except (H2Error, Failed):
            return

    async def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            await self._channel.write(data, self._deadline)

    def _frames(self, data: bytes) -> Iterator[bytes]:
        """The whole frames so far; the first must be the server's settings (section 3.4)."""
        self._pending += data
        while len(self._pending) >= FRAME_HEADER:
            size = int.from_bytes(self._pending[:3], "big")
            settings = self._begun or self._pending[3] == SETTINGS
            if size > self._h2.max_inbound_frame_size or not settings:
                raise Failed(MALFORMED)
            self._begun = True
            if len(self._pending) < FRAME_HEADER + size:
                return
            frame = bytes(self._pending[: FRAME_HEADER + size])
            del self._pending[: FRAME_HEADER + size]
            yield frame

    def _takes(self, frame: bytes) -> bool:
        """Whether there is nothing more to wait for.

        A GOAWAY is read here: after one, h2 reads nothing, not even the answer to what the server
        says it has taken.
        """
        if frame[3] != GOAWAY_FRAME:
            return any(self._ends(event) for event in self._h2.receive_data(frame))
        payload = frame[FRAME_HEADER:]
        last, error = int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big")
        if len(payload) < 8:
            raise Failed(MALFORMED)
        if error or last & 0x7FFF_FFFF < STREAM:
            raise Failed(f"{GOAWAY} {error_name(error)}")
        return False

    def _ends(self, event: Event) -> bool:
        """Whether there is nothing more to wait for.

        Raises:
            Failed: there is nothing more to hope for.
        """
        found = self._found
        match event:
            case ResponseReceived():
                found.answered(event.headers or [])
            case DataReceived():
                self._body += event.data or b""
                if len(self._body) >= self._most:
                    found.truncated = True
                    return True
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, STREAM)
            case StreamEnded():
                self._unsent = memoryview(b"")
                return True
            case StreamReset():
                raise Failed(f"{STREAM_ERROR} {error_name(event.error_code)}")
            case _:
                pass
        return False


def error_name(code: int | None) -> str:
    """RFC 9113, section 7.

    >>> error_name(7), error_name(0x123)
    ('REFUSED_STREAM', '0x123')
    """
    try:
        return ErrorCodes(code or 0).name
    except ValueError:
        return hex(code or 0)
