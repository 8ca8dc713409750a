"""The server process: listens, answers, and stops when it is told to, with what it has begun finished."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

import uvicorn

from energy.core.clock import Clock, SystemClock
from energy.core.errors import ConfigError, ExitStatus
from energy.store import Store, open_store
from vpp.http.service import Service
from vpp.ops.jobs import disk_of
from vpp.ops.status import Part
from vpp.setup.service import ServiceConfig, WebSettings
from vpp.web.app import create_app
from vpp.web.middleware import JsonLines

__all__ = ["Beside", "listening", "log_as_json", "serve"]

log = logging.getLogger(__name__)

_FINISH_S: Final = 20  # longest wait for requests in flight
_AT_ONCE: Final = 1_000  # connections; more wait in the system's queue
_SWITCH_S: Final = 0.000_5
"""A thread that computes lets others go on after this long. [s]

A reading waits for it after every row that the database hands over: next to a thread that computes, as the
look for alerts does, Python's own 5 ms make a quarter of a second of the 48 rows of a day.
"""


@dataclass(frozen=True, slots=True)
class Beside:
    """What runs in the same process as the server.

    Parameters
    ----------
    parts : callable
        How each part of it does.
    clock : Clock
        Its time; that of the machine but in a demonstration.
    demo_speed : float
        How much faster than real time it runs; 0 if it is real.
    said : callable
        What is in the way of a site, in words.
    apart : callable
        Leaves the equipment of a site alone, safe, while somebody tries it.
    """

    parts: Callable[[], tuple[Part, ...]] = tuple
    clock: Clock = field(default_factory=SystemClock)
    supervised: bool = False
    demo_speed: float = 0.0
    said: Callable[[str], str] = lambda _site: ""
    apart: Callable[[str], AbstractContextManager[None]] = lambda _site: nullcontext()


Start = Callable[[Store], AbstractContextManager[Beside]]


@contextmanager
def _nothing(_store: Store) -> Iterator[Beside]:
    yield Beside()


def serve(config: ServiceConfig, start: Start = _nothing) -> int:
    """Serve until SIGTERM or SIGINT; the number of people who may come in is logged at start.

    Parameters
    ----------
    start : callable
        Starts what runs beside the server, once the address is ours; it ends after the last answer.

    Raises
    ------
    ConfigError
        If the address is taken or the database cannot be opened.
    VppError
        If what should run beside it cannot be begun.
    """
    log_as_json()
    with (
        listening(config.web) as listener,
        open_store(config.store.address) as store,
        start(store) as beside,
    ):
        log.info("serve.listening", extra={"facts": {"port": listener.getsockname()[1]}})
        service = Service(
            disk=disk_of(config.store.address),
            store=store,
            clock=beside.clock,
            settings=config.web,
            supervised=beside.supervised,
            parts=beside.parts,
            demo_speed=beside.demo_speed,
            said=beside.said,
            apart=beside.apart,
            door_clock=SystemClock(),
        )
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
        switch_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        before = {kind: signal.signal(kind, _ignore) for kind in (signal.SIGTERM, signal.SIGINT)}
        try:
            server.run(sockets=[listener])
        finally:
            sys.setswitchinterval(switch_s)
            for kind, handler in before.items():
                signal.signal(kind, handler)
        return int(ExitStatus.OK if server.started else ExitStatus.UNHEALTHY)


def listening(web: WebSettings) -> socket.socket:
    """A socket on the wanted address.

    Its protocol is named, for asyncio sends small pieces at once (TCP_NODELAY) only where it reads TCP there;
    else the body of an answer waits some 40 ms until the reader has acknowledged the head.

    Raises
    ------
    ConfigError
        If another program has it, or it is none of this machine.
    """
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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


def log_as_json() -> None:
    """Log as lines of JSON on stderr from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for chatty in ("apscheduler", "alembic.runtime.plugins"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
