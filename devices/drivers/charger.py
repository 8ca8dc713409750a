"""Chargers: power setpoint, start and stop, and an idle timeout that any message feeds."""

from __future__ import annotations

import logging
import math
from datetime import datetime, timedelta
from typing import Final

from devices.device import Device
from devices.drivers.base import (
    OVERRIDE,
    RECHECK,
    MeterDriver,
    Sent,
    Verdict,
    not_safe,
    outcome_of,
    wrong_order,
)
from devices.natures import ChargerState
from devices.values import Reading
from energy.core.errors import RefusedError, RegisterError
from energy.core.outcome import ChargerPower, Clipped, Command, CommandSource, Outcome, Unconfirmed

__all__ = ["ChargerDriver"]

log = logging.getLogger(__name__)

# A battery takes less and less above the one, and gives nothing below the other: no power is no disobedience.
_TAPERS_AT: Final = 0.9
_EMPTY_AT: Final = 0.15


class ChargerDriver(MeterDriver):
    """A charger: setpoint, then the action ``start``; or the action ``stop``, then setpoint zero.

    The setpoint is a power, or a current where the model knows no other; then the voltage behind it says what
    a power means, and what is below its lowest current is no charging.
    """

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._sent: Sent | None = None
        self._ran = False
        self._stopped_at: datetime | None = None
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
        if target and command.source is not CommandSource.EMERGENCY and (until := self._left_alone()):
            return Unconfirmed(command, f"somebody stopped it there; left so until {until:%H:%M:%S} UTC")
        if await self._already(target):
            return outcome_of(command, order, limit, None)
        if command.source is not CommandSource.EMERGENCY and (due := self._changes_again(target)):
            stands = ChargerPower(self._sent.value * self._kw_per_step if self._sent is not None else 0.0)
            return Clipped(command, stands, f"{self._name} changes again at {due:%H:%M:%S} UTC", due)
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

    def _changes_again(self, target: float) -> datetime | None:
        """When the setpoint may be changed to this, if not yet; less of the same direction always may."""
        sent, write = self._sent, self.device.profile.points[self._name].write
        if sent is None or sent.epoch != self.device.epoch or write is None:
            return None
        if target == 0.0 or (sent.value * target > 0.0 and abs(target) < abs(sent.value)):
            return None
        due = sent.at + timedelta(seconds=write.min_interval_s)
        return due if self.device.now() < due else None

    def _left_alone(self) -> datetime | None:
        """Until when somebody's choice to stop a running charge, at the charger or in an app, is respected.

        That it stopped because nobody spoke to it, or because it restarted, is nobody's choice.
        """
        sent, state = self._sent, self.device.reading("state")
        paused = state is not None and state.value == ChargerState.PAUSED
        if sent is None or sent.value == 0.0 or sent.epoch != self.device.epoch or not paused:
            self._stopped_at = None
            return None
        assert state is not None  # it is paused
        if self._stopped_at is None and self._ran and state.read_at > sent.at:
            self._stopped_at = state.read_at
            log.info("device.overridden id=%s wanted=%g", self.device.config.id, sent.value)
        if self._stopped_at is None or self.device.now() >= self._stopped_at + OVERRIDE:
            return None
        return self._stopped_at + OVERRIDE

    def verdict(self, unit: int) -> Verdict:  # noqa: ARG002  (a charger has one)
        """Whether the power that flows is what was asked for, or less where the car decides."""
        sent, power = self._sent, self.device.reading("power_kw")
        if sent is None or sent.epoch != self.device.epoch or power is None or power.value is None:
            return Verdict()
        state = self.device.reading("state")
        if state is not None and state.read_at > sent.at:
            self._ran |= state.value in (ChargerState.CHARGING, ChargerState.DISCHARGING)
        if self._left_alone() or power.read_at <= sent.at:
            return Verdict()
        wanted_kw = sent.value * self._kw_per_step
        effect = self.device.profile.effect
        slack_kw = effect.tolerance if effect is not None else 0.0
        along_kw = power.value if wanted_kw >= 0.0 else -power.value  # positive in the direction asked for
        if -slack_kw <= along_kw <= abs(wanted_kw) + slack_kw and (
            along_kw > slack_kw or abs(wanted_kw) <= slack_kw
        ):
            return Verdict(seen=True)
        if not self.effect_due(sent.at, power.read_at):
            return Verdict()
        if abs(along_kw) <= slack_kw and self._the_car_decides(wanted_kw, state):
            return Verdict()
        return Verdict(False, f"asked for {wanted_kw:g} kW, {power.value:g} kW flow")

    def _the_car_decides(self, wanted_kw: float, state: Reading | None) -> bool:
        """Whether no power may be the will of the car: it is full, empty, away, or does not tell."""
        soc = self.device.reading("soc") if "soc" in self.device.profile.points else None
        if soc is None or soc.value is None or (state is not None and self._unplugged(state)):
            return True
        return soc.value >= _TAPERS_AT if wanted_kw > 0.0 else soc.value <= _EMPTY_AT

    def forget(self, unit: int) -> None:  # noqa: ARG002  (a charger has one)
        """Write the next order, whatever was written before."""
        self._sent = None

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
        self._sent, self._ran, self._stopped_at = None, False, None
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
        """Stop; also blindly: our asking feeds the timer of a charger whose answers make no sense."""
        try:
            await self.device.ensure_control()
        except (RefusedError, RegisterError):
            for step in self._steps(0.0):
                await self.device.write(step)
            raise
        wrong = await self._set(0.0)
        if wrong is not None:
            raise not_safe(self.device, wrong)
