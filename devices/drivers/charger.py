"""Chargers: power setpoint, start and stop, and an idle timeout that any message feeds."""

from __future__ import annotations

import logging
from datetime import timedelta

from devices.device import Device
from devices.drivers.base import RECHECK, MeterDriver, Sent, outcome_of, wrong_order
from devices.natures import ChargerState
from energy.core.errors import RefusedError
from energy.core.outcome import ChargerPower, Command, Outcome

__all__ = ["ChargerDriver"]

log = logging.getLogger(__name__)


class ChargerDriver(MeterDriver):
    """A charger: power setpoint, then the action ``start``; or the action ``stop``, then setpoint zero."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._sent: Sent | None = None

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Charge or discharge with a power; zero stops."""
        if not isinstance(command.order, ChargerPower):
            raise wrong_order(self.device, command, unit)
        await self.device.ensure_control()
        target, limit = self.clamped("set_power_kw", command.order.power_kw)
        order = ChargerPower(target)
        if target:
            self._must_be_ready()
        if await self._already(target):
            return outcome_of(command, order, limit, None)
        return outcome_of(command, order, limit, await self._set(target))

    def _must_be_ready(self) -> None:
        state = self.device.reading("state")
        if state is None or state.value is None:
            return
        if state.value == ChargerState.UNPLUGGED:
            raise RefusedError("no car is plugged", where=self.device.config.id, hint="wait until it is back")
        if state.value == ChargerState.FAULT:
            raise RefusedError(
                "the charger reports a fault", where=self.device.config.id, hint="look at its display"
            )

    async def _already(self, target: float) -> bool:
        sent = self._sent
        if sent is None or sent.epoch != self.device.epoch:
            return False
        write = self.device.profile.points["set_power_kw"].write
        deadband = write.deadband if write is not None else 0.0
        same = sent.value == target or (sent.value * target > 0.0 and abs(sent.value - target) < deadband)
        if self._contradicted(sent):
            self._sent = None
            return False
        if not same:
            return False
        if self.device.now() - sent.at < RECHECK:
            return True
        if await self.confirmed(self._goal(sent.value)) is not None:
            return False
        self._sent = Sent(sent.value, self.device.now(), self.device.epoch)
        return True

    def _contradicted(self, sent: Sent) -> bool:
        """Whether the state speaks against what was sent: the car left, an app or a timer acted."""
        state = self.device.reading("state")
        settled = sent.at + timedelta(seconds=self.device.profile.settle_s)
        if state is None or state.read_at <= settled:
            return state is not None and state.read_at > sent.at and state.value == ChargerState.UNPLUGGED
        running = state.value in (ChargerState.CHARGING, ChargerState.DISCHARGING)
        stopped = state.value in (ChargerState.UNPLUGGED, ChargerState.PAUSED)
        return running if sent.value == 0.0 else stopped

    def _goal(self, target: float) -> dict[str, float]:
        name = "start" if target else "stop"
        goal = {"set_power_kw": target}
        for step in self.device.profile.sequences[name]:
            goal.update(step)
        return goal

    async def _set(self, target: float) -> str | None:
        self._sent = None
        sequences = self.device.profile.sequences
        if target:
            await self.device.write({"set_power_kw": target})
        for step in sequences["start" if target else "stop"]:
            await self.device.write(step)
        wrong = await self.confirmed(self._goal(target))
        if wrong is None:
            self._sent = Sent(target, self.device.now(), self.device.epoch)
        return wrong

    async def refresh(self) -> None:
        """Say something before the idle timeout ends; any message will do."""
        write = self.device.profile.points["set_power_kw"].write
        if write is None or write.refresh_s is None or not self.device.online:
            return
        state = self.device.reading("state")
        if state is None or (self.device.now() - state.read_at).total_seconds() >= write.refresh_s:
            await self.device.poll()

    async def safe_state(self) -> None:
        """Stop."""
        await self.device.ensure_control()
        wrong = await self._set(0.0)
        if wrong is not None:
            log.warning("device.not_safe id=%s why=%s", self.device.config.id, wrong)
