"""A room and its air conditioner: first-order heat balance, an inverter compressor and its thermostat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from devices.twins.server import State, number
from energy.core.assets import HvacZone
from energy.core.outcome import ClimateMode

__all__ = ["Room", "Surroundings"]

_SUBSTEP_S: Final = 10.0
_LOWEST_SHARE: Final = 0.10  # of full electric power; below it an inverter compressor stops and starts
_RAMP_PER_S: Final = 0.25 / 60.0  # 25 % of full power a minute
_SPEED_PER_H: Final = 20.0  # closed loop of the thermostat: a time constant of 3 minutes
_START_AT_K: Final = 0.10  # needed before the compressor starts again
_STOP_AT_K: Final = 0.10  # too far beyond the setpoint at lowest power: stop
_REST_S: Final = 120.0  # oil and pressure need it before the next start


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What acts on a room: air outside [degC], global horizontal irradiance [W/m2], people.

    Parameters
    ----------
    people : float
        How many there are while there are any, over the usual number. [-]
    """

    outdoor_c: float
    ghi_w_m2: float
    occupied: bool
    people: float = 1.0


class Room:
    """``C dT/dt = U (T_out - T) + g_base + g_occupied + a * ghi / 1000 + s * cop * p``, exact per substep.

    The unit holds its setpoint with a PI controller on the compressor's speed, limited in range and ramp.

    Parameters
    ----------
    zone : HvacZone
        Room and unit.
    """

    def __init__(self, zone: HvacZone) -> None:
        self.zone = zone
        self.temp_c = zone.initial_c
        self.mode = ClimateMode.OFF
        self.setpoint_c = zone.comfort.cooling_setpoint_c
        self.share = 0.0  # of full electric power
        self.integral = 0.0
        self.rest_s = _REST_S
        self.power_kw = 0.0
        self.electric_kwh = 0.0

    @property
    def running(self) -> bool:
        """Whether the compressor turns."""
        return self.share > 0.0

    def order(self, mode: ClimateMode, setpoint_c: float) -> None:
        """Take mode and setpoint; another mode starts the thermostat anew."""
        if mode is not self.mode:
            self.rest_s = 0.0 if self.running else self.rest_s
            self.share = self.integral = 0.0
        self.mode = mode
        self.setpoint_c = setpoint_c

    def step(self, dt_s: float, around: Surroundings) -> float:
        """Let a while pass.

        Returns
        -------
        float
            Electric energy used. [kWh]
        """
        zone = self.zone
        sign = {ClimateMode.HEAT: 1.0, ClimateMode.COOL: -1.0, ClimateMode.OFF: 0.0}[self.mode]
        curve = zone.heating_cop if sign > 0.0 else zone.cooling_cop
        full_kw = sign * curve.at(around.outdoor_c) * zone.max_electric_kw
        gain_kw = zone.base_gain_kw + zone.solar_aperture_m2 * around.ghi_w_m2 / 1000.0
        gain_kw += zone.occupied_gain_kw * around.people if around.occupied else 0.0
        count = max(1, math.ceil(dt_s / _SUBSTEP_S))
        slice_s = dt_s / count
        decay = math.exp(-zone.loss_kw_per_k / zone.capacitance_kwh_per_k * slice_s / 3600.0)
        strength = abs(full_kw) / zone.capacitance_kwh_per_k  # K/h at full power
        shares = 0.0
        for _ in range(count):
            self._control(slice_s, sign, strength)
            heat_kw = self.share * full_kw * self._heats(slice_s, sign, around.outdoor_c)
            self._move(slice_s, decay, around, gain_kw + heat_kw)
            shares += self.share
        energy = shares * zone.max_electric_kw * slice_s / 3600.0
        self.power_kw = energy * 3600.0 / dt_s
        self.electric_kwh += energy
        return energy

    def _move(self, dt_s: float, decay: float, around: Surroundings, heat_kw: float) -> None:  # noqa: ARG002
        """Temperature after a substep with some heat, its own sun included; some rooms have walls as well."""
        target_c = around.outdoor_c + heat_kw / self.zone.loss_kw_per_k
        self.temp_c = target_c + (self.temp_c - target_c) * decay

    def _heats(self, dt_s: float, sign: float, outdoor_c: float) -> float:  # noqa: ARG002  (some defrost)
        """Part of the unit's heat that reaches the room now. [-]"""
        return 1.0

    def _control(self, dt_s: float, sign: float, strength: float) -> None:
        """Compressor speed of the next substep: PI, then range and ramp, the integral following."""
        if not self.running:
            self.rest_s = min(_REST_S, self.rest_s + dt_s)
        if not sign:
            return
        need_k = sign * (self.setpoint_c - self.temp_c)
        if not self.running:
            if need_k < _START_AT_K or self.rest_s < _REST_S:
                return
            self.integral = 0.0
        elif need_k < -_STOP_AT_K and self.share <= _LOWEST_SHARE:
            self.share = self.rest_s = 0.0
            return
        proportional = 2.0 * _SPEED_PER_H / strength
        integral_per_s = _SPEED_PER_H**2 / strength / 3600.0
        asked = proportional * need_k + self.integral
        ramp = _RAMP_PER_S * dt_s
        possible = min(max(asked, self.share - ramp), self.share + ramp)
        self.share = min(max(possible, _LOWEST_SHARE), 1.0)
        if asked == self.share:
            self.integral += integral_per_s * need_k * dt_s
        else:  # anti-windup: the integral drifts to what would ask for the present speed
            pull = min(1.0, _SPEED_PER_H * dt_s / 3600.0)
            self.integral += pull * (self.share - asked)
        self.integral = min(max(self.integral, 0.0), 1.0)

    def state(self) -> State:
        """Everything that must survive."""
        return {
            "temp_c": self.temp_c,
            "mode": self.mode.value,
            "setpoint_c": self.setpoint_c,
            "share": self.share,
            "integral": self.integral,
            "rest_s": self.rest_s,
            "power_kw": self.power_kw,
            "electric_kwh": self.electric_kwh,
        }

    def restore(self, state: State) -> None:
        """Take up a state."""
        self.mode = ClimateMode(str(state["mode"]))
        self.temp_c = number(state, "temp_c")
        self.setpoint_c = number(state, "setpoint_c")
        self.share = number(state, "share")
        self.integral = number(state, "integral")
        self.rest_s = number(state, "rest_s")
        self.power_kw = number(state, "power_kw")
        self.electric_kwh = number(state, "electric_kwh")
