"""A recorded session as a device: what was asked then is answered as it was then."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque

from devices.sessions import Session
from energy.core.errors import ConfigError, DataError

__all__ = ["Replay"]

_HEADER = 7  # transaction, protocol, length, unit
_ILLEGAL_ADDRESS = 2


class Replay:
    """Serves a session over Modbus TCP.

    The answers to one question come in their order; the last is repeated. A question that was not asked then
    is answered with "illegal address".

    Parameters
    ----------
    session : Session
        What was recorded, with Modbus TCP frames.

    Raises
    ------
    DataError
        If there is nothing to replay in it.
    """

    def __init__(self, session: Session) -> None:
        self._answers: dict[bytes, deque[bytes]] = defaultdict(deque)
        for asked, answer in session.exchanges():
            if len(asked) > _HEADER and len(answer) > _HEADER:
                self._answers[asked[6:]].append(answer[6:])
        if not self._answers:
            raise DataError(
                "the session holds no exchange",
                where=f"{len(session.said)} lines of bytes",
                hint="record again while the device answers",
            )
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.StreamWriter] = set()
        self.unknown = 0
        self.port = 0

    @property
    def questions(self) -> int:
        """Different questions that it can answer."""
        return len(self._answers)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; port 0 takes a free one.

        Raises
        ------
        ConfigError
            If the port is taken.
        """
        try:
            self._server = await asyncio.start_server(self._serve, host, port)
        except OSError as error:
            raise ConfigError(
                "the replay cannot listen",
                where=f"{host}:{port}: {error.strerror}",
                hint="stop the other program, or choose another port (0 takes a free one)",
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        """Stop listening and drop all connections."""
        if self._server is not None:
            self._server.close()
            for link in tuple(self._links):
                link.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._links.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(6)
                asked = await reader.readexactly(int.from_bytes(head[4:6], "big"))
                answer = self._answer(asked)
                writer.write(head[:4] + len(answer).to_bytes(2, "big") + answer)
                await writer.drain()
        self._links.discard(writer)
        writer.close()

    def _answer(self, asked: bytes) -> bytes:
        """Unit and answer for unit and question."""
        known = self._answers.get(asked)
        if known is None:
            self.unknown += 1
            return bytes([asked[0], asked[1] | 0x80, _ILLEGAL_ADDRESS])
        return known.popleft() if len(known) > 1 else known[0]
