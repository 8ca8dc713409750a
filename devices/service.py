"""The gateway as a service: every link read at its pace by a task of its own, commands taken at any time.

A slow device delays those that share its link, and nobody else. What is asked of the service is answered from
what was read last, with its age; only commands go to the wire at once.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from devices.config import Pace
from devices.gateway import Connection, Gateway
from devices.hold import hold
from devices.metrics import DeviceMetrics, GatewayMetrics
from devices.transport import Access
from energy.core.clock import Clock
from energy.core.errors import DataError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import Command, NotApplied, Outcome
from energy.core.units import AssetId

__all__ = ["GatewayService", "Paces", "notify_systemd"]

log = logging.getLogger(__name__)

_SAVE_EVERY_S: Final = 60.0
_BEAT_S: Final = 2.0  # timers of ours and of devices are looked after this often
_LAG_EVERY_S: Final = 0.1
_LAG_S: Final = 0.2  # a loop that is later than this delays everybody
_STALE_AFTER: Final = 3  # readings missed
_STALE_LEAST_S: Final = 15.0
_HUNG_S: Final = 60.0  # a link that has not turned for so long hangs: longer than any deadline with its tries

Table = dict[AssetId, dict[str, Measurement]]


@dataclass(frozen=True, slots=True)
class Paces:
    """Time from one reading to the next. [s]"""

    fast: float = 1.0
    normal: float = 5.0
    slow: float = 60.0

    def of(self, pace: Pace) -> float:
        """Of a device with a pace. [s]"""
        return {"fast": self.fast, "normal": self.normal, "slow": self.slow}[pace]


def notify_systemd(message: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell the service manager something (sd_notify(3)); False if there is none that listens."""
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.sendto(message.encode(), address)
    return True


class GatewayService:
    """Reads all devices of a gateway until it is stopped, and leaves the safe state behind.

    Parameters
    ----------
    gateway : Gateway
        The devices.
    clock : Clock
        Age of readings.
    paces : Paces
        How often what is read.
    memory : Path or None
        File that keeps where counters were over restarts of the program; none is kept without it.
    notify : callable
        Tells the service manager that we are ready, alive, and stopping.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        clock: Clock,
        paces: Paces | None = None,
        memory: Path | None = None,
        notify: Callable[[str], object] = notify_systemd,
    ) -> None:
        self.gateway = gateway
        self.metrics = GatewayMetrics({name: DeviceMetrics() for link in gateway.links for name in link})
        self._clock = clock
        self._paces = paces or Paces()
        self._memory = memory
        self._notify = notify
        self._every = {name: self._paces.of(gateway.pace(name)) for name in self.metrics.devices}
        self._assets: dict[str, list[AssetId]] = {}
        for asset, name in gateway.assets.items():
            self._assets.setdefault(name, []).append(asset)
        self._table: Table = {}
        self._turned: dict[int, float] = {}
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    # Running

    async def run(self) -> None:
        """Serve until :meth:`stop`, or until something of ours breaks; then safe state, and the links end.

        Raises
        ------
        DataError
            If the memory cannot be used; nothing was started then.
        RefusedError
            If another program commands one of the links; nothing was started then.
        """
        if self.gateway.access is not Access.CONTROL:
            await self._run()
            return
        with hold(self.gateway.places):  # let go when the safe state is left
            await self._run()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._remember()
        tasks: list[asyncio.Task[None]] = []
        try:
            links = enumerate(self.gateway.links)
            tasks = [asyncio.create_task(self._serve(n, link), name=f"link-{n}") for n, link in links]
            ours = (self._watch_loop(), self._stay_alive(), self._keep_memory())
            tasks += [asyncio.create_task(one) for one in ours]
            stopped = asyncio.create_task(self._stop.wait())
            done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            for task in done - {stopped}:
                task.result()  # ours never end by themselves: whatever it was is raised here
        finally:
            self._notify("STOPPING=1")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._save()
            await self.gateway.close()
            log.info("gateway.stopped")

    def stop(self) -> None:
        """End :meth:`run`; to be called in its loop."""
        self._stop.set()

    def stop_on_signals(self) -> None:
        """End :meth:`run` in order at SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def ready(self) -> None:
        """Wait until every device was tried once."""
        await self._ready.wait()

    async def _serve(self, number: int, link: tuple[str, ...]) -> None:
        """Read and refresh the devices of one link, each in its time."""
        loop = asyncio.get_running_loop()
        due: dict[tuple[str, str], float] = {("read", name): loop.time() for name in link}
        due |= {("refresh", name): loop.time() + _BEAT_S for name in link}
        late = (number + 1) / len(self.gateway.links)  # so that not all links are read at the same instant
        while True:
            (what, name), at = min(due.items(), key=lambda item: item[1])
            self._turned[number] = loop.time()
            if at > loop.time():
                await asyncio.sleep(min(at - loop.time(), _HUNG_S / 3.0))
                continue
            if what == "read":
                await self._read(name)
            else:
                await self.gateway.refresh([name])
            every = self._every[name] if what == "read" else _BEAT_S
            due[what, name] = max(
                at + every * late, loop.time() - every
            )  # what was missed is not made up for
            late = 1.0
            self._say_ready()

    async def _read(self, name: str) -> None:
        begun = asyncio.get_running_loop().time()
        table = await self.gateway.read([name])
        seconds = asyncio.get_running_loop().time() - begun
        good = self.gateway.connections[name] is Connection.ONLINE
        self.metrics.devices[name].took(seconds, good=good, at=self._clock.now())
        self._table.update(table)

    def _say_ready(self) -> None:
        if not self._ready.is_set() and all(device.reads for device in self.metrics.devices.values()):
            self._ready.set()
            self._notify("READY=1")

    def _remember(self) -> None:
        if self._memory is None or not self._memory.exists():
            return
        try:
            self.gateway.restore(json.loads(self._memory.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError) as error:
            raise DataError(
                "the memory of the gateway cannot be read",
                where=f"{self._memory}: {error}",
                hint="delete it; counters that restarted meanwhile are then not noticed",
            ) from None

    def _save(self) -> None:
        if self._memory is None:
            return
        fresh = self._memory.with_name(f"{self._memory.name}.new")
        fresh.write_text(json.dumps(self.gateway.state(), indent=1), encoding="utf-8")
        fresh.replace(self._memory)  # whole, or as it was

    async def _keep_memory(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_EVERY_S)
            self._save()

    async def _watch_loop(self) -> None:
        """Measure how late the loop is."""
        loop = asyncio.get_running_loop()
        late = False
        while True:
            begun = loop.time()
            await asyncio.sleep(_LAG_EVERY_S)
            lag_s = self.metrics.loop_lag_s = max(0.0, loop.time() - begun - _LAG_EVERY_S)
            self.metrics.loop_lag_max_s = max(self.metrics.loop_lag_max_s, lag_s)
            if lag_s > _LAG_S and not late:
                log.warning("loop.late ms=%.0f", lag_s * 1000.0)
            late = lag_s > _LAG_S

    async def _stay_alive(self) -> None:
        """Feed the watchdog of the service manager, as long as every link turns."""
        timeout_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 1e6
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(timeout_s / 3.0 if timeout_s else 10.0)
            hung = [number for number, turned in self._turned.items() if loop.time() - turned > _HUNG_S]
            if hung:
                log.error("gateway.hung links=%s", ",".join(str(number) for number in hung))
            else:
                self._notify("WATCHDOG=1")

    # What control needs

    async def read(self, ids: Collection[str] | None = None) -> Table:
        """Newest readings by asset and point, as they were read; what is too old has no value.

        Raises
        ------
        ConfigError
            If there is no such device.
        """
        wanted = self._every if ids is None else [self.gateway.known(name) for name in ids]
        now, table = self._clock.now(), Table()
        for name in wanted:
            limit_s = max(_STALE_AFTER * self._every[name], _STALE_LEAST_S)
            for asset in self._assets[name]:
                points = self._table.get(asset, {})
                table[asset] = {
                    point: one
                    if one.age(now) <= timedelta(seconds=limit_s)
                    else replace(one, value=None, quality=Quality.STALE)
                    for point, one in points.items()
                }
        return table

    async def apply(self, command: Command) -> Outcome:
        """Carry out one command now; see :meth:`devices.gateway.Gateway.apply`."""
        outcome = await self.gateway.apply(command)
        self.metrics.outcomes[type(outcome).__name__.lower()] += 1
        return outcome

    def submit(self, command: Command) -> concurrent.futures.Future[Outcome]:
        """The same for a caller in another thread, who may wait for the result.

        Raises
        ------
        RuntimeError
            If the service does not run.
        """
        if self._loop is None:
            msg = "run comes before submit"
            raise RuntimeError(msg)
        return asyncio.run_coroutine_threadsafe(self.apply(command), self._loop)

    @property
    def not_applied(self) -> dict[AssetId, NotApplied]:
        """Assets that do not do what they were told."""
        return self.gateway.not_applied
