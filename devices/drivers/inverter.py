"""Inverters: a power limit that reverts by itself when nobody renews it."""

from __future__ import annotations

import logging
import math
from typing import Final

from devices.device import Device
from devices.drivers.base import RECHECK, MeterDriver, Sent, Verdict, not_safe, outcome_of, wrong_order
from energy.core.errors import RefusedError
from energy.core.measurement import Measurement
from energy.core.outcome import Command, GenerationLimit, Outcome

__all__ = ["InverterDriver"]

log = logging.getLogger(__name__)

_ACCURACY: Final = 0.02  # of the rating: what an inverter may err by when it follows a limit


class InverterDriver(MeterDriver):
    """An inverter with a limit that reverts by itself: percentage, timer and switch in one write."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._held: Sent | None = None
        self._again = False

    @property
    def _switched(self) -> bool:
        """Whether the limit has a switch; else 100 % is no limit."""
        return "limit_enabled" in self.device.profile.points

    def measured(self, name: str, unit: int) -> Measurement:
        """One of the nature's points; the ratio is 1 while the limit is switched off."""
        if name != "limit_ratio":
            return self.taken(name, unit, name)
        percent = self.taken(name, unit, "limit_percent")
        if not self._switched:
            ratio = None if percent.value is None else percent.value / 100.0
            return Measurement(name, ratio, percent.unit, percent.read_at, percent.quality, percent.raw)
        enabled = self.taken(name, unit, "limit_enabled")
        if enabled.value is None or percent.value is None:
            return percent if percent.value is None else enabled
        ratio = percent.value / 100.0 if enabled.value else 1.0
        return Measurement(
            name, ratio, percent.unit, percent.read_at, percent.quality, percent.raw + enabled.raw
        )

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Limit the generation, or release it."""
        if not isinstance(command.order, GenerationLimit):
            raise wrong_order(self.device, command, unit)
        await self.device.ensure_control()
        await self._know()
        wanted_kw = command.order.limit_kw
        if wanted_kw is None:
            return outcome_of(command, command.order, None, await self._release())
        rated = self.device.reading("rated_kw")
        if rated is None or not rated.value:
            raise RefusedError("the rating of the inverter is not known", where=self.device.config.id)
        step = self.device.resolution("limit_percent")
        percent = math.floor(wanted_kw / rated.value * 100.0 / step + 1e-6) * step  # never above the limit
        percent, limit = self.clamped("limit_percent", min(percent, 100.0))
        order = GenerationLimit(max(0.0, percent / 100.0 * rated.value))
        if self._shown() == (percent, True) and not self._again:
            if self._held is None or self._held.epoch != self.device.epoch:
                self._held = Sent(percent, self.device.now() - RECHECK, self.device.epoch)  # refresh it soon
            return outcome_of(command, order, limit, None)
        return outcome_of(command, order, limit, await self._limit(percent))

    def _shown(self) -> tuple[float, bool] | None:
        percent = self.device.fresh("limit_percent", within=RECHECK)
        enabled = self.device.fresh("limit_enabled", within=RECHECK) if self._switched else 1.0
        if percent is None or enabled is None:
            return None
        step = self.device.resolution("limit_percent")
        return round(percent / step) * step, bool(enabled)

    async def _know(self) -> None:
        if self._shown() is None:
            await self.device.read_points(("limit_percent", "limit_enabled")[: 1 + self._switched])

    def _block(self, percent: float, *, enabled: bool) -> dict[str, float]:
        """All registers of the limit: ours, and the constants that lie between them."""
        failsafe = self.device.profile.failsafe
        block = self.device.image()
        block["limit_percent"] = percent
        if not self._switched:
            return block
        block["limit_enabled"] = float(enabled)
        block["limit_revert_s"] = failsafe.value_s if failsafe is not None and enabled else 0.0
        return block

    async def _limit(self, percent: float) -> str | None:
        self._held = None
        block = self._block(percent, enabled=True)
        await self.device.write(block)
        wrong = await self.confirmed(block)
        if wrong is None:
            self._again = False
            self._held = Sent(percent, self.device.now(), self.device.epoch)
        return wrong

    async def _release(self) -> str | None:
        self._held = None
        shown = self._shown()
        if shown is not None and not (shown[1] if self._switched else shown[0] < 100.0):
            return None
        block = self._block(100.0, enabled=False)
        await self.device.write(block)
        return await self.confirmed(block)

    def verdict(self, unit: int) -> Verdict:  # noqa: ARG002  (an inverter has one)
        """Whether it generates no more than its limit."""
        held, power, rated = (
            self._held,
            *(self.device.reading(name) for name in ("generation_kw", "rated_kw")),
        )
        effect = self.device.profile.effect
        if held is None or effect is None or power is None or power.value is None:
            return Verdict()
        if rated is None or not rated.value or power.read_at <= held.at:
            return Verdict()
        limit_kw = held.value / 100.0 * rated.value
        if power.value <= limit_kw + effect.tolerance + _ACCURACY * rated.value:
            return Verdict(seen=True)
        if not self.effect_due(held.at, power.read_at):
            return Verdict()
        return Verdict(False, f"limited to {limit_kw:g} kW, it generates {power.value:g} kW")

    def forget(self, unit: int) -> None:  # noqa: ARG002  (an inverter has one)
        """Write the next limit, whatever was written before."""
        self._held, self._again = None, True

    async def refresh(self) -> None:
        """Write the limit again before its timer ends."""
        write = self.device.profile.points["limit_percent"].write
        if self._held is None or write is None or write.refresh_s is None:
            return
        if (self.device.now() - self._held.at).total_seconds() >= write.refresh_s:
            await self.device.ensure_control()
            wrong = await self._limit(self._held.value)
            if wrong is not None:
                log.warning("device.refresh_failed id=%s why=%s", self.device.config.id, wrong)

    async def safe_state(self) -> None:
        """Release the limit."""
        await self.device.ensure_control()
        await self._know()
        wrong = await self._release()
        if wrong is not None:
            raise not_safe(self.device, wrong)
