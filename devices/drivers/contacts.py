"""Relay contacts for demand control: at most one is closed, and leaves a share of full power."""

from __future__ import annotations

import logging
from datetime import datetime

from devices.device import Device
from devices.drivers.base import RECHECK, MeterDriver, Verdict, not_safe, outcome_of, wrong_order
from energy.core.errors import RefusedError, RegisterError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import Command, DemandStep, Outcome

__all__ = ["ContactsDriver"]

log = logging.getLogger(__name__)


class ContactsDriver(MeterDriver):
    """Closes the contact with the largest share that is not above what was asked; none releases."""

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._told: tuple[dict[str, float], datetime] | None = None
        self._again = False

    def measured(self, name: str, unit: int) -> Measurement:
        """The share that the contacts leave: the least of those that are closed."""
        contacts = [(self.taken(name, unit, point), ratio) for point, ratio in self._steps.items()]
        first = contacts[0][0]
        if unknown := next((contact for contact, _ in contacts if contact.value is None), None):
            return Measurement(name, None, first.unit, unknown.read_at, unknown.quality)
        closed = [ratio for contact, ratio in contacts if contact.value]
        raw = tuple(word for contact, _ in contacts for word in contact.raw)
        return Measurement(name, min(closed, default=1.0), first.unit, first.read_at, Quality.GOOD, raw)

    @property
    def _steps(self) -> dict[str, float]:
        return self.device.profile.demand_steps

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Close one contact, or open all."""
        if not isinstance(command.order, DemandStep):
            raise wrong_order(self.device, command, unit)
        await self.device.ensure_control()
        point, ratio, limit = self._choice(command.order.ratio)
        goal = {name: float(name == point) for name in self._steps}
        await self._set(goal)
        return outcome_of(command, DemandStep(ratio), limit, await self.confirmed(goal))

    def _choice(self, asked: float) -> tuple[str | None, float, str | None]:
        """The contact to close, what it leaves, and the limit that bound."""
        if asked >= 1.0:
            return None, 1.0, None if asked == 1.0 else "profile 1"
        fitting = {name: ratio for name, ratio in self._steps.items() if ratio <= asked}
        least = min(self._steps, key=self._steps.__getitem__)
        point = max(fitting, key=fitting.__getitem__) if fitting else least
        ratio = self._steps[point]
        return point, ratio, None if ratio == asked else f"profile {ratio:g}"

    async def _set(self, goal: dict[str, float]) -> None:
        if not self._shows(goal) or self._again:
            await self.device.write(goal)
            self._told, self._again = (goal, self.device.now()), False
        elif self._told is None or self._told[0] != goal:
            self._told = goal, self.device.now()

    def verdict(self, unit: int) -> Verdict:  # noqa: ARG002  (a block has one)
        """Whether the contacts' own feedback shows what was told."""
        effect, told = self.device.profile.effect, self._told
        if effect is None or told is None or not effect.feedback:
            return Verdict()
        goal, at = told
        for contact, back in effect.feedback.items():
            shown = self.device.reading(back)
            if shown is None or shown.value is None or shown.read_at <= at:
                return Verdict()
            if shown.value != goal[contact]:
                late = self.effect_due(at, shown.read_at)
                return Verdict(False, f"{back} reads {shown.value:g}") if late else Verdict()
        return Verdict(seen=True)

    def forget(self, unit: int) -> None:  # noqa: ARG002  (a block has one)
        """Write the next order, whatever was written before."""
        self._again = True

    def _shows(self, goal: dict[str, float]) -> bool:
        """Whether the contacts are known to stand like that."""
        return all(self.device.fresh(name, within=RECHECK) == value for name, value in goal.items())

    async def safe_state(self) -> None:
        """Open all contacts; also blindly, where the block's answers make no sense."""
        goal = dict.fromkeys(self._steps, 0.0)
        try:
            await self.device.ensure_control()
        except (RefusedError, RegisterError):
            await self.device.write(goal)
            raise
        await self._set(goal)
        wrong = await self.confirmed(goal)
        if wrong is not None:
            raise not_safe(self.device, wrong)
