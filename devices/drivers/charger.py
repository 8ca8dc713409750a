"""Chargers: power setpoint, start and stop, and an idle timeout that any message feeds."""

from __future__ import annotations

import logging
import math
from datetime import timedelta

from devices.device import Device
from devices.drivers.base import RECHECK, MeterDriver, Sent, outcome_of, wrong_order
from devices.natures import ChargerState
from devices.values import Reading
from energy.core.errors import RefusedError
from energy.core.outcome import ChargerPower, Command, Outcome

__all__ = ["ChargerDriver"]

log = logging.getLogger(__name__)


class ChargerDriver(MeterDriver):
    """A charger: setpoint, then the action ``start``; or the action ``stop``, then setpoint zero.

    The setpoint is a power, or a current where the model knows no other; then the voltage behind it says what
    a power means, and what is below its lowest current is no charging.
    """

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._sent: Sent | None = None
        points = device.profile.points
        self._name = "set_power_kw" if "set_power_kw" in points else "set_current_a"
        mains = device.config.mains or device.profile.mains
        self._kw_per_step = mains.kw_per_a if mains is not None and self._name == "set_current_a" else 1.0

    def _aim(self, power_kw: float) -> tuple[float, str | None]:
        """The setpoint for a power, and the limit that bound."""
        wanted = power_kw / self._kw_per_step
        if self._name == "set_current_a":
            write = self.device.profile.points[self._name].write
            least = write.clamp[0] if write is not None and write.clamp is not None else 0.0
            step = self.device.resolution(self._name)
            wanted = math.floor(wanted / step + 1e-6) * step if step else wanted  # never more than was asked
            if wanted < least:
                return 0.0, f"profile {least:g}" if power_kw else None
        return self.clamped(self._name, wanted)

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Charge or discharge with a power; zero stops."""
        if not isinstance(command.order, ChargerPower):
            raise wrong_order(self.device, command, unit)
        await self.device.ensure_control()
        target, limit = self._aim(command.order.power_kw)
        order = ChargerPower(target * self._kw_per_step)
        if target:
            self._must_be_ready()
        if await self._already(target):
            return outcome_of(command, order, limit, None)
        return outcome_of(command, order, limit, await self._set(target))

    def _must_be_ready(self) -> None:
        state = self.device.reading("state")
        if state is None or state.value is None:
            return
        if self._unplugged(state):
            raise RefusedError("no car is plugged", where=self.device.config.id, hint="wait until it is back")
        if state.value == ChargerState.FAULT:
            raise RefusedError(
                "the charger reports a fault", where=self.device.config.id, hint="look at its display"
            )

    def _unplugged(self, state: Reading) -> bool:
        """Whether no car is there: the state says so, or the plug where the state does not tell."""
        plugged = self.device.reading("plugged")
        return state.value == ChargerState.UNPLUGGED or (plugged is not None and plugged.value == 0.0)

    async def _already(self, target: float) -> bool:
        sent = self._sent
        if sent is None or sent.epoch != self.device.epoch:
            return False
        write = self.device.profile.points[self._name].write
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
            return state is not None and state.read_at > sent.at and self._unplugged(state)
        running = state.value in (ChargerState.CHARGING, ChargerState.DISCHARGING)
        stopped = state.value == ChargerState.PAUSED or self._unplugged(state)
        return running if sent.value == 0.0 else stopped

    def _goal(self, target: float) -> dict[str, float]:
        goal: dict[str, float] = {}
        for step in self._steps(target):
            goal.update(step)
        return goal

    def _steps(self, target: float) -> tuple[dict[str, float], ...]:
        """What is written: the setpoint before the start, the stop before setpoint zero."""
        sequences = self.device.profile.sequences
        if target:
            return ({self._name: target}, *sequences.get("start", ()))
        return sequences.get("stop") or ({self._name: 0.0},)

    async def _set(self, target: float) -> str | None:
        self._sent = None
        for step in self._steps(target):
            await self.device.write(step)
        wrong = await self.confirmed(self._goal(target))
        if wrong is None:
            self._sent = Sent(target, self.device.now(), self.device.epoch)
        return wrong

    async def refresh(self) -> None:
        """Say something before the charger's timer ends: any message, or the setpoint if only that counts."""
        write, failsafe = self.device.profile.points[self._name].write, self.device.profile.failsafe
        if write is None or write.refresh_s is None or not self.device.online:
            return
        if failsafe is not None and failsafe.fed_by == "write":
            sent = self._sent
            if sent is not None and (self.device.now() - sent.at).total_seconds() >= write.refresh_s:
                await self.device.ensure_control()
                wrong = await self._set(sent.value)
                if wrong is not None:
                    log.warning("device.refresh_failed id=%s why=%s", self.device.config.id, wrong)
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
