"""Stationary batteries: a set power that reverts by itself when nobody renews it."""

from __future__ import annotations

import logging
from typing import Final

from devices.device import Device
from devices.drivers.base import RECHECK, MeterDriver, Sent, Verdict, not_safe, outcome_of, wrong_order
from energy.core.outcome import ChargerPower, Command, Outcome

__all__ = ["StorageDriver"]

log = logging.getLogger(__name__)

_TAPERS_AT: Final = 0.95  # above it a battery takes less and less: that is no disobedience
_STEP_KW: Final = 0.001  # registers count watts at the finest


class StorageDriver(MeterDriver):
    """A battery behind an inverter: power, what comes after, timer and switch in one write."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._held: Sent | None = None
        self._again = False

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Charge or give back with a power; zero rests."""
        if not isinstance(command.order, ChargerPower) or "set_power_kw" not in self.device.profile.points:
            raise wrong_order(self.device, command, unit)
        await self.device.ensure_control()
        await self._know()
        step = max(_STEP_KW, self.device.resolution("set_power_kw"))
        target, limit = self.clamped("set_power_kw", round(command.order.power_kw / step) * step)
        order = ChargerPower(target)
        shown = self._shown()
        if shown is not None and shown[1] and abs(shown[0] - target) < step / 2.0 and not self._again:
            if self._held is None or self._held.epoch != self.device.epoch:
                self._held = Sent(target, self.device.now() - RECHECK, self.device.epoch)  # refresh it soon
            return outcome_of(command, order, limit, None)
        return outcome_of(command, order, limit, await self._set(target))

    def _shown(self) -> tuple[float, bool] | None:
        power = self.device.fresh("set_power_kw", within=RECHECK)
        enabled = self.device.fresh("set_enabled", within=RECHECK)
        return None if power is None or enabled is None else (power, bool(enabled))

    async def _know(self) -> None:
        if self._shown() is None:
            await self.device.read_points(("set_power_kw", "set_enabled"))

    def _block(self, power_kw: float, *, enabled: bool) -> dict[str, float]:
        """All registers of the set power: ours, and the constants that lie between them."""
        failsafe = self.device.profile.failsafe
        return self.device.image() | {
            "set_power_kw": power_kw,
            "set_enabled": float(enabled),
            "set_revert_s": failsafe.value_s if failsafe is not None and enabled else 0.0,
        }

    async def _set(self, power_kw: float) -> str | None:
        self._held = None
        block = self._block(power_kw, enabled=True)
        await self.device.write(block)
        wrong = await self.confirmed(block)
        if wrong is None:
            self._again = False
            self._held = Sent(power_kw, self.device.now(), self.device.epoch)
        return wrong

    async def _release(self) -> str | None:
        self._held = None
        shown = self._shown()
        if shown is not None and not shown[1]:
            return None
        block = self._block(0.0, enabled=False)
        await self.device.write(block)
        return await self.confirmed(block)

    def verdict(self, unit: int) -> Verdict:  # noqa: ARG002  (a battery has one)
        """Whether the power that flows is what was asked for, or less where the battery is full or empty."""
        held, power, effect = self._held, self.device.reading("power_kw"), self.device.profile.effect
        if held is None or effect is None or power is None or power.value is None or power.read_at <= held.at:
            return Verdict()
        if abs(power.value - held.value) <= effect.tolerance:
            return Verdict(seen=True)
        if not self.effect_due(held.at, power.read_at) or self._decides_itself(held.value, power.value):
            return Verdict()
        return Verdict(False, f"asked for {held.value:g} kW, {power.value:g} kW flow")

    def _decides_itself(self, asked_kw: float, flows_kw: float) -> bool:
        """Whether less than was asked may be the battery's own limit, or giving that of a site's export."""
        soc = self.device.reading("soc")
        less = abs(flows_kw) < abs(asked_kw) and flows_kw * asked_kw >= 0.0
        if not less or soc is None or soc.value is None:
            return less
        return soc.value >= _TAPERS_AT if asked_kw > 0.0 else True

    def forget(self, unit: int) -> None:  # noqa: ARG002  (a battery has one)
        """Write the next order, whatever was written before."""
        self._held, self._again = None, True

    async def refresh(self) -> None:
        """Write the power again before its timer ends."""
        if self._held is None:
            return
        write = self.device.profile.points["set_power_kw"].write
        if write is None or write.refresh_s is None:
            return
        if (self.device.now() - self._held.at).total_seconds() >= write.refresh_s:
            await self.device.ensure_control()
            wrong = await self._set(self._held.value)
            if wrong is not None:
                log.warning("device.refresh_failed id=%s why=%s", self.device.config.id, wrong)

    async def safe_state(self) -> None:
        """End the set power: the battery follows its own rules, as before anybody spoke to it."""
        if "set_power_kw" not in self.device.profile.points:
            return
        await self.device.ensure_control()
        await self._know()
        wrong = await self._release()
        if wrong is not None:
            raise not_safe(self.device, wrong)
