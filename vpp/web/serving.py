"""The server process: listens, answers, and stops when it is told to, with what it has begun finished."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from types import FrameType
from typing import Final

import uvicorn

from energy.core.clock import SystemClock
from energy.core.errors import ConfigError, ExitStatus
from energy.store import open_store
from vpp.web.app import create_app
from vpp.web.config import ServiceConfig, WebSettings
from vpp.web.middleware import JsonLines
from vpp.web.service import Service

__all__ = ["serve"]

log = logging.getLogger(__name__)

_FINISH_S: Final = 20  # longest wait for requests in flight
_AT_ONCE: Final = 1_000  # connections; more wait in the system's queue


def serve(config: ServiceConfig) -> int:
    """Serve until SIGTERM or SIGINT; the number of people who may come in is logged at start.

    Raises
    ------
    ConfigError
        If the address is taken or the database cannot be opened.
    """
    _log_as_json()
    with _listening(config.web) as listener, open_store(config.store.address) as store:
        log.info("serve.listening", extra={"facts": {"port": listener.getsockname()[1]}})
        service = Service(store=store, clock=SystemClock(), settings=config.web)
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(service),
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(config.web.proxies),
                forwarded_allow_ips=list(config.web.proxies),
                timeout_graceful_shutdown=_FINISH_S,
                limit_concurrency=_AT_ONCE,
                h11_max_incomplete_event_size=64_000,
                ws="none",
            )
        )
        before = {kind: signal.signal(kind, _ignore) for kind in (signal.SIGTERM, signal.SIGINT)}
        try:
            server.run(sockets=[listener])
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)
        return int(ExitStatus.OK if server.started else ExitStatus.UNHEALTHY)


def _listening(web: WebSettings) -> socket.socket:
    """A socket on the wanted address.

    Raises
    ------
    ConfigError
        If another program has it, or it is none of this machine.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in web.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((web.host, web.port))
        listener.listen(_AT_ONCE)
    except OSError as error:
        listener.close()
        raise ConfigError(
            "cannot listen there",
            where=f"{web.host}:{web.port}: {error.strerror or error}",
            hint="end the other program, or choose another --port",
        ) from error
    return listener


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    """The server raises the signal once more when it has stopped; by then all is done."""


def _log_as_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
