"""A console that answers on a free port of the loopback, at an instant that stands still."""

from __future__ import annotations

import socket
import threading
from datetime import datetime
from pathlib import Path

import uvicorn

from energy.core.clock import ManualClock
from energy.store import open_store
from tests.e2e.console.town import CHEAP
from vpp.http.service import Service
from vpp.people.passwords import Passwords
from vpp.setup.service import WebSettings
from vpp.web.app import create_app

__all__ = ["Console"]


class Console:
    """The service over a database, in a thread.

    Attributes
    ----------
    clock : ManualClock
        What time it is; tests move it.
    service : Service
        Store and people behind the pages.
    url : str
        Where it answers.
    """

    def __init__(self, database: Path, now: datetime) -> None:
        self.clock = ManualClock(now)
        self._store = open_store(f"sqlite:///{database}", durability="process")
        settings = WebSettings(second_factor_for=(), requests_per_minute=1_000_000, logins_per_minute=10_000)
        self.service = Service(
            store=self._store, clock=self.clock, settings=settings, passwords=Passwords(CHEAP)
        )
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                create_app(self.service), log_config=None, access_log=False, timeout_graceful_shutdown=2
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}, name="console"
        )

    def start(self) -> None:
        """Listen; requests that come before it is ready wait in the socket's queue."""
        self._listener.listen(100)
        self._thread.start()

    def stop(self) -> None:
        """Finish what runs, then let go of port and database."""
        self.service.stopping = True
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self._store.close()
