"""A server that does on the wire whatever a broken device or gateway does; no library frames its answers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Frames = list[bytes]


@dataclass
class Request:
    """One request as it came."""

    tid: int
    unit: int
    function: int
    address: int
    count: int

    def reply(
        self,
        *,
        words: list[int] | None = None,
        tid: int | None = None,
        unit: int | None = None,
    ) -> bytes:
        """A good answer to a read, or one with something changed."""
        words = [7] * self.count if words is None else words
        pdu = struct.pack(f">BB{len(words)}H", self.function, 2 * len(words), *words)
        head = (
            self.tid if tid is None else tid,
            0,
            len(pdu) + 1,
            self.unit if unit is None else unit,
        )
        return struct.pack(">HHHB", *head) + pdu


@dataclass
class WireServer:
    """Answers each read with what ``behave`` gives for it: pieces to send, or none.

    After each piece it waits for ``pace``, so that pieces do not melt into one on their way.
    """

    behave: Callable[[Request], Frames] = field(default=lambda request: [request.reply()])
    requests: list[Request] = field(default_factory=list)
    links: int = 0
    port: int = 0
    pace: Callable[[], Awaitable[None]] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.links += 1
        try:
            while True:
                frame = await reader.readexactly(12)
                request = Request(*struct.unpack(">HxxxxBBHH", frame))
                self.requests.append(request)
                for piece in self.behave(request):
                    writer.write(piece)
                    await writer.drain()
                    if self.pace is not None:
                        await self.pace()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def wire_server(behave: Callable[[Request], Frames] | None = None) -> AsyncIterator[WireServer]:
    """A running server."""
    made = WireServer() if behave is None else WireServer(behave)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
        for _ in range(5):  # links that were dropped at the end are seen some turns later
            await asyncio.sleep(0)
