"""The central system: stations call, are let in or refused by name, and become guests of the gateway."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from devices.ocpp.config import CentralConfig, ServerTls, StationConfig, check_central
from devices.ocpp.link import Link
from devices.ocpp.station import Station
from devices.ocpp.v2 import V2
from devices.ocpp.v16 import V16
from devices.ocpp.words import Dialect
from devices.transport import Access
from energy.core.clock import Clock
from energy.core.errors import ConfigError

__all__ = ["CentralSystem"]

log = logging.getLogger(__name__)

_LONGEST_MESSAGE: Final = 256 * 1024
_PING_S: Final = 20.0  # a link that is half open is noticed within two of these


def _dialect(subprotocol: str | None) -> Dialect:
    match subprotocol:
        case "ocpp2.1":
            return V2("2.1")
        case "ocpp2.0.1":
            return V2("2.0.1")
        case _:
            return V16()


class CentralSystem:
    """A WebSocket server for the stations of a site (OCPP-J).

    Parameters
    ----------
    config : CentralConfig
        Who may call, and where.
    clock : Clock
        Time that the stations are given.
    access : Access
        What may be told to stations; enforced at each link.

    Raises
    ------
    ConfigError
        If the configuration contradicts itself, or passwords would travel in the clear.
    """

    def __init__(self, config: CentralConfig, *, clock: Clock, access: Access = Access.CONTROL) -> None:
        check_central(config)
        self.config = config
        self.refused = 0
        self.stations = {
            station.id: Station(station, config, clock=clock, access=access) for station in config.stations
        }
        self._access = access
        self._server: Server | None = None

    @property
    def guests(self) -> tuple[Station, ...]:
        """The stations, for a gateway."""
        return tuple(self.stations.values())

    @property
    def port(self) -> int:
        """Port that it listens on; 0 while it does not."""
        if self._server is None:
            return 0
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        ConfigError
            If the address is taken, or certificates cannot be read.
        """
        if self._server is not None:
            return
        context = None if self.config.tls is None else _context(self.config.tls)
        try:
            self._server = await serve(
                self._serve,
                self.config.host,
                self.config.port,
                subprotocols=[Subprotocol(name) for name in ("ocpp2.1", "ocpp2.0.1", "ocpp1.6")],
                process_request=self._let_in,
                ssl=context,
                max_size=_LONGEST_MESSAGE,
                ping_interval=_PING_S,
                ping_timeout=_PING_S,
                logger=logging.getLogger(f"{__name__}.websockets"),
                server_header=None,
            )
        except OSError as error:
            raise ConfigError(
                "the central system cannot listen",
                where=f"{self.config.host}:{self.config.port}: {error.strerror or error}",
                hint="is another one running? choose another port",
            ) from None
        log.info("ocpp.listening host=%s port=%d", self.config.host, self.port)

    def _let_in(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse who is not known (404, as OCPP-J asks), or cannot prove it (401)."""
        name = unquote(request.path.partition("?")[0].rpartition("/")[2])
        station = self.stations.get(name)
        status = None
        if station is None:
            status = HTTPStatus.NOT_FOUND
        elif not self._is_it(connection, request, station.station):
            status = HTTPStatus.UNAUTHORIZED
        if status is None:
            return None
        self.refused += 1
        log.warning("ocpp.refused status=%d callers=%d", status, self.refused)
        answer = connection.respond(status, f"{status.phrase}\n")
        if status is HTTPStatus.UNAUTHORIZED:
            answer.headers["WWW-Authenticate"] = 'Basic realm="ocpp"'
        return answer

    def _is_it(self, connection: ServerConnection, request: Request, station: StationConfig) -> bool:
        """Whether the caller is the station that it says: by password, certificate, or both."""
        tls = self.config.tls
        shown = connection.transport.get_extra_info("peercert") if tls is not None else None
        if tls is not None and tls.client_ca is not None and _common_name(shown) != station.id:
            return False
        return _password_fits(request.headers.get("Authorization"), station)

    async def _serve(self, connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None  # it was let in
        name = unquote(request.path.partition("?")[0].rpartition("/")[2])
        dialect = _dialect(connection.subprotocol)
        link = Link(
            connection,
            version=dialect.version,
            access=self._access,
            station=name,
            answer_s=self.config.answer_s,
        )
        try:
            await self.stations[name].serve(link, dialect)
        except ConnectionClosed as error:
            log.debug("ocpp.closed station=%s why=%s", name, error)

    async def close(self) -> None:
        """End all connections and stop listening."""
        for station in self.stations.values():
            await station.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None


def _password_fits(header: str | None, station: StationConfig) -> bool:
    """OCPP security whitepaper, profiles 1 and 2: HTTP basic, user is the station's identity."""
    if station.password is None:
        return True
    kind, _, code = (header or "").partition(" ")
    try:
        given = base64.b64decode(code, validate=True)
    except (binascii.Error, ValueError):
        return False
    wanted = f"{station.id}:{station.password}".encode()
    return kind.lower() == "basic" and hmac.compare_digest(given, wanted)


def _common_name(certificate: Mapping[str, Any] | None) -> str | None:
    """Whose certificate it is: by OCPP security profile 3 its common name is the station's identity."""
    subject = (certificate or {}).get("subject", ())
    return next((value for part in subject for key, value in part if key == "commonName"), None)


def _context(tls: ServerTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            "the certificates of the central system cannot be used",
            where=f"{tls.certificate}, {tls.key}: {error}",
            hint="PEM files, readable, key and certificate of one pair",
        ) from None
    return context
