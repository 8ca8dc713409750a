"""A VTN in another process, and a node of ours that talks to it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from energy.core.clock import Clock
from energy.core.slots import Slot
from energy.store import SqlStore
from tests.arch.rules import ROOT
from vpp.openadr.inbox import Terms
from vpp.openadr.message import local_id
from vpp.openadr.ven import Heard, Link, Lost, Ven

__all__ = ["HOUR", "START", "Vtn", "free_port", "key_of", "stepping"]

HOUR = timedelta(hours=1)
# Far ahead of the machine's clock: the VTN calls its events by that, our node by the clock of the test.
START = Slot.containing(datetime.fromisoformat("2036-11-25T07:00:00+00:00")).start


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def key_of(upstream_id: str) -> str:
    """Our id of an event of this VTN."""
    return local_id("VTN-1", upstream_id)


class Vtn:
    """The process; ``with`` ends it."""

    def __init__(self, **told: object) -> None:
        self.told = {"port": free_port(), **told}

    @property
    def url(self) -> str:
        """Address of its services."""
        scheme = "https" if "cert" in self.told else "http"
        return f"{scheme}://127.0.0.1:{self.told['port']}/OpenADR2/Simple/2.0b"

    def __enter__(self) -> Vtn:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and wait until it listens."""
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/counterparts/openadr_vtn.py"), json.dumps(self.told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert "listening" in self._read()

    def stop(self) -> None:
        """Kill it, as a power cut would."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> Mapping[str, Any]:
        assert self.process.stdout is not None
        found: Mapping[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def does(self, act: str, **told: object) -> list[list[str]]:
        """Do something; gives all answers of the node so far."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"act": act, **told}, default=str) + "\n")
        self.process.stdin.flush()
        told = self._read()
        answers: list[list[str]] = told["reports" if act == "reports" else "answers"]
        return answers

    def event(
        self,
        act: str,
        upstream_id: str,
        *,
        start: datetime = START,
        hours: float = 3,
        kw: float = 30,
        **told: object,
    ) -> list[list[str]]:
        """Add or change an event."""
        end = start + hours * HOUR
        return self.does(act, id=upstream_id, start=start.isoformat(), end=end.isoformat(), kw=kw, **told)


class stepping:  # noqa: N801 - used like a function
    """A node of ours, stepped from ordinary tests; ``with`` closes its connections."""

    def __init__(self, store: SqlStore, link: Link, clock: Clock, terms: Terms | None = None) -> None:
        self._runner = asyncio.Runner()
        self.ven = Ven(store, link, terms or Terms(products={}, most_skew=timedelta(days=9999)), clock)

    def __enter__(self) -> stepping:
        self._runner.run(self.ven.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self.ven.__aexit__(None, None, None))
        self._runner.close()

    def step(self) -> Heard | Lost:
        """One step."""
        return self._runner.run(self.ven.step())

    def heard(self) -> Heard:
        """One step that must reach the VTN."""
        found = self.step()
        assert isinstance(found, Heard), found
        return found


def kw(number: float) -> Decimal:
    """Power as the event book keeps it."""
    return Decimal(str(number))
