"""The equipment of a running site, whatever stands behind it: a gateway service, a gateway, or twins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Protocol

from devices.gateway import Connection
from devices.service import GatewayService
from energy.core.errors import DeviceError
from energy.core.outcome import Command, Outcome
from vpp.loop.control import Equipment, Readings

__all__ = ["Plant", "PlantEndedError", "ServedPlant"]

_FIRST_LOOK_S: Final = 15.0  # longest wait for the first answer of every device


class PlantEndedError(DeviceError):
    """What reads the equipment has ended by itself; it must be started again."""


class Plant(Equipment, Protocol):
    """What a site that runs needs of its equipment, beside reading it and giving orders."""

    @property
    def connections(self) -> Mapping[str, Connection]:
        """How things stand with each device."""
        ...

    async def connect(self) -> None:
        """Reach the equipment and take control."""
        ...

    async def refresh(self) -> None:
        """Send again what would expire."""
        ...

    async def safe_state(self) -> None:
        """Leave everything safe."""
        ...

    async def close(self) -> None:
        """End all links."""
        ...


class ServedPlant:
    """Real equipment: a gateway that reads every link at its pace, in a task of its own.

    Parameters
    ----------
    service : GatewayService
        It begins with :meth:`connect` and ends with :meth:`close`.
    """

    def __init__(self, service: GatewayService) -> None:
        self._service = service
        self._running: asyncio.Task[None] | None = None

    @property
    def connections(self) -> Mapping[str, Connection]:
        """How things stand with each device."""
        return self._service.gateway.connections

    async def connect(self) -> None:
        """Begin, and wait a little until every device was tried once.

        Raises
        ------
        RefusedError
            If another program commands one of the links.
        DataError
            If the memory of the gateway cannot be used.
        """
        running = self._running = asyncio.create_task(self._service.run(), name="gateway")
        ready = asyncio.create_task(self._service.ready())
        await asyncio.wait([running, ready], timeout=_FIRST_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if running.done():
            await running

    async def read(self, ids: Sequence[str] | None = None) -> Readings:
        """Newest readings by asset and point; what is too old has no value.

        Raises
        ------
        PlantEndedError
            If the gateway has ended.
        """
        self._still_runs()
        return await self._service.read(ids)

    async def apply(self, command: Command) -> Outcome:
        """Carry out one command."""
        self._still_runs()
        return await self._service.apply(command)

    def _still_runs(self) -> None:
        if self._running is None or self._running.done():
            error = None
            if self._running is not None and not self._running.cancelled():
                error = self._running.exception()
            raise PlantEndedError("the gateway has ended", where=str(error or "")) from error

    async def refresh(self) -> None:
        """Nothing: the service does it at its own beat."""

    async def safe_state(self) -> None:
        """Leave everything safe."""
        await self._service.gateway.safe_state()

    async def close(self) -> None:
        """End: the service leaves the safe state and ends all links."""
        self._service.stop()
        if self._running is not None:
            with suppress(Exception):  # what ended it was told by whoever asked for something
                await self._running
            self._running = None
