"""From a learned room to the one capacity that the planner reckons with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.signal import lfilter

from energy.core.assets import CopCurve, HvacZone
from energy.core.series import FloatArray
from forecasting.room_errors import heat_inputs
from forecasting.room_fit import AIR, COOL_AT_C, COOL_SLOPE, HEAT_AT_C, HEAT_SLOPE, MASS, RoomEstimate
from forecasting.room_record import RoomSeries

__all__ = ["PlannerRoom", "cop_slope", "planner_room"]

LEADS_H: Final = (1.0, 2.0, 4.0, 8.0)  # what a plan moves heat by
SLOWEST_H: Final = 400.0
TOWARDS: Final = (
    0.05  # how firmly one capacity keeps the strengths of two where the data hardly tell them apart
)
SHARES: Final = (0.2, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerRoom:
    """A room of one capacity, over its loss: only ratios can be seen from outside, and only they matter.

    Parameters
    ----------
    time_constant_h : float
        Capacity over loss. [h]
    gain_k : ndarray, shape (2, 24)
        Heat of people and machines by hour of working days and of days of rest, over the loss. [K]
    sun_m2_k_per_kw : float
        Aperture over loss. [K per kW/m2]
    cool_k_per_kw, heat_k_per_kw : float or None
        COP at the rating over loss; None if never seen. [K/kW]
    cool_slope, heat_slope : float
        Change of the COP over the COP at the rating. [1/K]
    """

    time_constant_h: float
    gain_k: FloatArray
    sun_m2_k_per_kw: float
    cool_k_per_kw: float | None
    heat_k_per_kw: float | None
    cool_slope: float
    heat_slope: float

    def zone(self, zone: HvacZone, loss_kw_per_k: float) -> HvacZone:
        """A room of the site with what was learned in the place of what was assumed.

        Parameters
        ----------
        loss_kw_per_k : float
            The scale that all heat hangs on; a plan of powers is the same with any. [kW/K]
        """
        hours = np.arange(24)
        inside = (hours >= zone.comfort.opens.hour) & (hours < max(zone.comfort.closes.hour, 1))
        base = float(np.mean(np.r_[self.gain_k[0][~inside], self.gain_k[1]])) if (~inside).any() else 0.0
        occupied = float(self.gain_k[0][inside].mean()) - base
        return replace(
            zone,
            capacitance_kwh_per_k=self.time_constant_h * loss_kw_per_k,
            loss_kw_per_k=loss_kw_per_k,
            base_gain_kw=max(0.0, base * loss_kw_per_k),
            occupied_gain_kw=max(0.0, occupied * loss_kw_per_k),
            solar_aperture_m2=max(0.0, self.sun_m2_k_per_kw * loss_kw_per_k),
            cooling_cop=self._curve(
                self.cool_k_per_kw, self.cool_slope, COOL_AT_C, zone.cooling_cop, loss_kw_per_k
            ),
            heating_cop=self._curve(
                self.heat_k_per_kw, self.heat_slope, HEAT_AT_C, zone.heating_cop, loss_kw_per_k
            ),
        )

    @staticmethod
    def _curve(
        k_per_kw: float | None, slope: float, at_c: float, assumed: CopCurve, loss_kw_per_k: float
    ) -> CopCurve:
        if k_per_kw is None:
            return assumed
        rated = k_per_kw * loss_kw_per_k
        return CopCurve(
            rated=rated,
            rated_at_c=at_c,
            slope_per_k=slope * rated,
            lowest=min(assumed.lowest, rated),
            highest=max(assumed.highest, rated),
        )


def planner_room(room: RoomSeries, learned: RoomEstimate) -> PlannerRoom:
    """The room of one capacity that answers most like the learned one over the hours of a plan.

    What has one capacity already is only rewritten. Of two, the learned room is let run without noise under
    the weather and power that were, and the one capacity is fitted to it; no disturbance can mislead that.
    """
    gains, sun = _gains(learned), learned.strength("sun") + learned.strength("sun-mass")
    slopes = {name: cop_slope(learned, name) for name in ("cool", "heat")}
    if learned.kind == "1R1C":
        return PlannerRoom(
            time_constant_h=learned.physics.air_h,
            gain_k=gains,
            sun_m2_k_per_kw=sun,
            cool_k_per_kw=_positive(learned.strength("cool")),
            heat_k_per_kw=_positive(learned.strength("heat")),
            cool_slope=slopes["cool"],
            heat_slope=slopes["heat"],
        )
    parts = _parts(learned)
    path = _free_run(room, learned)
    best: tuple[float, float, FloatArray] | None = None
    for tau in np.exp(np.linspace(np.log(1.0), np.log(SLOWEST_H), 60)):
        cost, shares = _one_capacity(room, path, parts, float(tau))
        if best is None or cost < best[0]:
            best = (cost, float(tau), shares)
    assert best is not None
    _, tau, (people, light, cool, heat) = best
    return PlannerRoom(
        time_constant_h=tau,
        gain_k=gains * people,
        sun_m2_k_per_kw=sun * light,
        cool_k_per_kw=_positive(learned.strength("cool") * cool),
        heat_k_per_kw=_positive(learned.strength("heat") * heat),
        cool_slope=slopes["cool"],
        heat_slope=slopes["heat"],
    )


def _gains(learned: RoomEstimate) -> FloatArray:
    base = learned.strength("base")
    return np.array(
        [[base + learned.strength(f"{kind}-{hour:02d}") for hour in range(24)] for kind in ("work", "rest")]
    )


def cop_slope(learned: RoomEstimate, name: str) -> float:
    """Change of the COP per degree outdoors, over the COP at the rating. [1/K]"""
    usual = COOL_SLOPE if name == "cool" else HEAT_SLOPE
    rated, more = learned.strength(name), learned.strength(f"{name}-slope")
    return usual + more / rated if rated > 0.0 else usual


def _positive(value: float) -> float | None:
    return value if value > 0.0 else None


def _parts(learned: RoomEstimate) -> FloatArray:
    """Heat in kelvin by people and machines, sun, cooling, heating, shape (4, n_steps)."""
    total = np.zeros((4, learned.design.columns.shape[1]))
    places = {"sun": 1, "cool": 2, "heat": 3}
    for name, enter, strength, column in zip(
        learned.design.names, learned.design.enters, learned.strengths, learned.design.columns, strict=True
    ):
        if enter in (AIR, MASS):
            total[places.get(name.split("-")[0], 0)] += strength * column
    return total


def _free_run(room: RoomSeries, learned: RoomEstimate) -> FloatArray:
    """Temperature of the learned room under the inputs that were, without any reading. [degC]"""
    observer = learned.physics.observer(room.hours)
    inputs = heat_inputs(room, learned)
    path = np.full(room.grid.count, np.nan)
    for first, end in room.stretches:
        reading = room.room_c[first:end]
        start = np.full(len(observer.phi), reading[~np.isnan(reading)][0])
        start[-1] = 0.0
        nothing = np.full(end - first, np.nan)
        path[first:end] = observer.states(nothing, inputs[first:end], start)[:, 0]
    return path


def _one_capacity(
    room: RoomSeries, path: FloatArray, parts: FloatArray, tau: float
) -> tuple[float, FloatArray]:
    """Squared error of one capacity with a time constant, and what the parts are multiplied by."""
    keep = float(np.exp(-room.hours / tau))
    gram, moment, square, count = np.zeros((4, 4)), np.zeros(4), 0.0, 0
    for first, end in room.stretches:
        part = slice(first, end)
        start_c = path[first]
        heat = lfilter([0.0, 1.0 - keep], [1.0, -keep], parts[:, part])
        air = lfilter([0.0, 1.0 - keep], [1.0, -keep], room.outdoor_c[part] - start_c)
        level = path[part] - start_c
        for lead_h in LEADS_H:
            lead = round(lead_h / room.hours)
            if lead < 1 or lead >= end - first:
                continue
            fade = keep**lead
            x = heat[:, lead:] - fade * heat[:, :-lead]
            y = (level - air)[lead:] - fade * (level - air)[:-lead]
            gram += x @ x.T
            moment += x @ y
            square += float(y @ y)
            count += y.size
    ridge = TOWARDS * np.diag(np.diag(gram)) + 1e-9 * max(count, 1) * np.eye(4)
    shares = np.clip(np.linalg.solve(gram + ridge, moment + ridge @ np.ones(4)), *SHARES)
    return square - 2.0 * float(shares @ moment) + float(shares @ gram @ shares), shares
