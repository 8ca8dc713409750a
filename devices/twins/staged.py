"""A room whose unit has stages, minimum times or a coil that ices over: the unit keeps its rules itself."""

from __future__ import annotations

from typing import Final

from devices.twins.rooms import Room, Surroundings
from devices.twins.server import State, number
from energy.core.assets import HvacZone
from energy.core.outcome import ClimateMode

__all__ = ["StagedRoom", "room_of"]

_SPEED_PER_H: Final = 20.0  # of the thermostat, as that of other units
_NEED_K: Final = 0.10  # too cold or too warm by this before it starts; beyond its setpoint before it stops
_STEP_S: Final = 60.0  # between two stages
_CYCLE_S: Final = 2400.0  # from one defrosting to the next while it runs


class StagedRoom(Room):
    """A unit that runs at its stages only, or above its least power, and neither starts nor stops at will.

    An order that comes too early is obeyed when the minimum time is over, as real units do.
    """

    def __init__(self, zone: HvacZone) -> None:
        super().__init__(zone)
        unit = zone.unit
        self._shares = [kw / zone.max_electric_kw for kw in unit.stages_kw]
        self._least = self._shares[0] if self._shares else unit.least_kw / zone.max_electric_kw
        self._min_on_s, self._min_off_s = 60.0 * unit.min_on_minutes, 60.0 * unit.min_off_minutes
        self.since_s = 86_400.0  # it has run or rested
        self.stepped_s = _STEP_S
        self.defrost_s = 0.0  # running time since the last defrosting ended
        self.defrosting = False
        self.asked: ClimateMode = self.mode

    def order(self, mode: ClimateMode, setpoint_c: float) -> None:
        """Take mode and setpoint; the mode counts when the unit may stop."""
        self.asked = mode
        self.setpoint_c = setpoint_c
        self._change_mode()

    def _change_mode(self) -> None:
        if self.asked is self.mode or (self.running and self.since_s < self._min_on_s):
            return
        if self.running:
            self._switch(0.0)
        self.integral = 0.0
        self.mode = self.asked

    def _switch(self, share: float) -> None:
        if (share > 0.0) is not self.running:
            self.since_s = 0.0
        self.share, self.stepped_s = share, 0.0

    def step(self, dt_s: float, around: Surroundings) -> float:
        """Let a while pass; gives the electric energy used. [kWh]"""
        self._change_mode()
        return super().step(dt_s, around)

    def _heats(self, dt_s: float, sign: float, outdoor_c: float) -> float:
        """Nothing while it defrosts: in the last part of each cycle of running time."""
        share = self.zone.unit.defrosts(outdoor_c) if sign > 0.0 else 0.0
        if not share or not self.running:
            self.defrosting = False
            return 1.0
        self.defrost_s = (self.defrost_s + dt_s) % _CYCLE_S
        self.defrosting = self.defrost_s > _CYCLE_S * (1.0 - share)
        return 0.0 if self.defrosting else 1.0

    def _control(self, dt_s: float, sign: float, strength: float) -> None:
        """Stage of the next substep: what a PI controller asks for, as far as the unit has it and may."""
        if sign and not (self.running and self.defrosting):  # it stays as it is while the coil thaws
            self._decide(dt_s, sign, strength)
        self.since_s += dt_s
        self.stepped_s += dt_s

    def _decide(self, dt_s: float, sign: float, strength: float) -> None:
        need_k = sign * (self.setpoint_c - self.temp_c)
        if not self.running:
            if need_k >= _NEED_K and self.since_s >= self._min_off_s:
                self.integral = 0.0
                self._switch(self._least)
            return
        if need_k < -_NEED_K and self.share <= self._least and self.since_s >= self._min_on_s:
            self._switch(0.0)
            return
        asked = 2.0 * _SPEED_PER_H / strength * need_k + self.integral
        self.integral += _SPEED_PER_H**2 / strength / 3600.0 * need_k * dt_s
        self.integral = min(max(self.integral, 0.0), 1.0)
        nearest = self._nearest(asked)
        if nearest != self.share and self.stepped_s >= _STEP_S:
            self._switch(nearest)

    def _nearest(self, asked: float) -> float:
        """What the unit has that comes closest to a share of its full power, running."""
        if not self._shares:
            return min(max(asked, self._least), 1.0)
        return min(self._shares, key=lambda share: abs(share - asked))

    def state(self) -> State:
        """Everything that must survive."""
        return {
            **super().state(),
            "since_s": self.since_s,
            "stepped_s": self.stepped_s,
            "defrost_s": self.defrost_s,
            "defrosting": int(self.defrosting),
            "asked": self.asked.value,
        }

    def restore(self, state: State) -> None:
        """Take up a state."""
        super().restore(state)
        self.since_s = number(state, "since_s")
        self.stepped_s = number(state, "stepped_s")
        self.defrost_s = number(state, "defrost_s")
        self.defrosting = bool(number(state, "defrosting"))
        self.asked = ClimateMode(str(state["asked"]))


def room_of(zone: HvacZone) -> Room:
    """The twin of a room: one with stages where its unit has rules of its own."""
    unit = zone.unit
    return StagedRoom(zone) if unit.stages_kw or unit.least_kw or unit.defrost_share else Room(zone)
