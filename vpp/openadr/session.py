"""The connections of a node: opened with its papers, and gone when it says they are.

aiohttp forgets a connection over TLS as soon as it says goodbye, and goodbyes take a round trip: whoever ends
its event loop at once leaves sockets open behind it
(https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown). Here they are waited for.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import weakref
from pathlib import Path
from typing import Any, Final

__all__ = ["Session"]

log = logging.getLogger(__name__)

_CONNECT_S: Final = 5.0
_READ_S: Final = 10.0
_GOODBYE_S: Final = 5.0  # an upstream that does not answer ours must not keep us longer
_LOOK_S: Final = 0.01


class Session:
    """A client session of aiohttp that knows its sockets.

    Parameters
    ----------
    cert, key, ca : Path or None
        Our certificate, its key and the upstream's authority, PEM: all or none.
    passphrase : str or None
        Of the key.
    """

    def __init__(
        self, *, cert: Path | None, key: Path | None, ca: Path | None, passphrase: str | None = None
    ) -> None:
        import aiohttp

        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        trust: ssl.SSLContext | bool = True
        if cert is not None:
            trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # its authority alone, not the machine's
            trust.minimum_version = ssl.TLSVersion.TLSv1_2  # what OpenADR 2.0b asks for
            trust.load_verify_locations(ca)
            trust.load_cert_chain(cert, key, passphrase)
        self.client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, socket_factory=self._open),
            headers={"content-type": "application/xml"},
            timeout=aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=_READ_S),
        )

    def _open(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol = address[:3]
        opened = socket.socket(family=family, type=kind, proto=protocol)
        self._sockets.add(opened)
        return opened

    async def close(self) -> None:
        """Say goodbye and wait until every socket is closed."""
        await self.client.close()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                while any(one.fileno() >= 0 for one in self._sockets):
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            log.warning("openadr.goodbye not answered in %.0f s", _GOODBYE_S)
