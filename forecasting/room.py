"""A room learned from its own history: what its walls hold, what its air conditioner gives, what people add.

Temperatures and electric power fix ratios only: if loss, capacity, gains and COP were all twice as large,
every temperature would be the same, and so would every plan. So the ratios are learned, and one COP at its
rating (the name plate's) sets the scale of what is told in kilowatts of heat. It is named, and its doubt is
part of every interval that hangs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from energy.core.assets import HvacZone
from energy.core.errors import ForecastError
from forecasting.room_days import with_learned_days
from forecasting.room_doubt import LEVEL, WIDER, Draws, draw
from forecasting.room_errors import RoomErrors, held_out_days, measure
from forecasting.room_fit import RoomEstimate, estimate
from forecasting.room_physics import Kind
from forecasting.room_record import RoomRecord, RoomSeries, ready
from forecasting.room_zone import PlannerRoom, cop_slope, planner_room

__all__ = ["Interval", "NotIdentified", "Rating", "RoomFit", "fit_room", "fit_widths"]

FEWEST_DAYS: Final = 5  # whole days; two are kept away from learning
FEWEST_RUNNING_H: Final = 10.0
MOVES_K: Final = 0.3  # a room that moves less than that (5 % to 95 %) shows no inertia
TWO_BETTER: Final = 10.0  # in minus twice the log likelihood: two capacities have to earn their four numbers
NARROW: Final = 3.0  # highest over lowest of an interval that counts as known
LABELS: Final = (0.0, 0.5, 1.0)  # see RoomSeries.shifted
LABELS_MATTER_H: Final = 0.4  # of finer steps it makes little difference


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the interval that holds the truth in nine cases of ten."""

    value: float
    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class NotIdentified:
    """What the data cannot tell, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """COP of the unit at its rating (cooling at 35 degC, heating at 7 degC outdoors), which sets the scale.

    Parameters
    ----------
    doubt : float
        Standard deviation of its logarithm: units in the field differ from their plate. [-]
    """

    cooling: float = 3.3
    heating: float = 3.4
    doubt: float = 0.12

    def __post_init__(self) -> None:
        if not (0.5 <= self.cooling <= 10.0 and 0.5 <= self.heating <= 10.0 and 0.0 <= self.doubt <= 1.0):
            raise ForecastError(
                "no air conditioner has such a COP",
                where=f"cooling {self.cooling}, heating {self.heating}",
                hint="a COP at its rating lies between 2 and 6",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFit:
    """What was learned, how sure it is, and how well it predicts.

    Parameters
    ----------
    parameters : dict
        What the data tell, by name.
    identified : bool
        Whether a plan may use it: time constant, and heating or cooling, are known.
    not_identified : tuple of NotIdentified
        What the data cannot tell.
    errors : RoomErrors or None
        On days that were not learned from.
    planner : PlannerRoom or None
        The room as a plan reckons with it.
    gains_kw : dict
        Heat of people and machines by hour, on ``work`` and ``rest`` days. [kW]
    kind : str
        ``1R1C`` or ``2R2C``; empty if nothing was learned.
    label : float
        To which step the inputs of a row belong (:meth:`RoomSeries.shifted`).
    odd_days : tuple of int
        Days that people spent otherwise than their weekday says, counted from the first.
    """

    parameters: dict[str, Interval]
    identified: bool
    not_identified: tuple[NotIdentified, ...]
    days_used: int
    days_held_out: int
    set_aside: dict[str, int]
    errors: RoomErrors | None = None
    planner: PlannerRoom | None = None
    gains_kw: dict[str, list[float]] = field(default_factory=dict)
    kind: str = ""
    label: float = 0.0
    odd_days: tuple[int, ...] = ()

    def zone(self, zone: HvacZone) -> HvacZone:
        """A room of the site with what was learned.

        Raises
        ------
        ForecastError
            If too little was learned to plan with.
        """
        if not self.identified or self.planner is None:
            first = self.not_identified[0]
            raise ForecastError(
                "the room cannot be planned with what was learned",
                where=f"{first.name}: {first.why}",
                hint="record days on which the unit runs and rests",
            )
        return self.planner.zone(zone, self.parameters["loss_kw_per_k"].value)


def fit_room(
    record: RoomRecord, *, rating: Rating = Rating(), kinds: tuple[Kind, ...] = ("1R1C", "2R2C")
) -> RoomFit:
    """Learn a room from its history.

    Parameters
    ----------
    kinds : tuple of str
        Forms to choose from; the likelier one is taken, the simpler unless the other earns its numbers.

    Raises
    ------
    DataError
        If the record cannot be what it says.

    Notes
    -----
    Two days in every eight are kept away from everything but the errors.
    """
    return fit_widths(record, (WIDER,), rating=rating, kinds=kinds)[0]


def fit_widths(
    record: RoomRecord,
    widths: Sequence[float],
    *,
    rating: Rating = Rating(),
    kinds: tuple[Kind, ...] = ("1R1C", "2R2C"),
) -> list[RoomFit]:
    """A room learned once and told with intervals of several widths; see :func:`fit_room`."""
    room = ready(record)
    held = held_out_days(room)
    missing = _blockers(room)
    used = np.unique(room.day[~held & _inside(room)]).size
    apart = np.unique(room.day[held & _inside(room)]).size
    if missing:
        nothing = RoomFit(
            parameters={},
            identified=False,
            not_identified=tuple(missing),
            days_used=0,
            days_held_out=0,
            set_aside=room.set_aside,
        )
        return [nothing] * len(widths)
    room, label = _labelled(room, ~held, record.label)
    room, best, odd = _likeliest(room, held, kinds)
    planner, errors = planner_room(room, best), measure(room, best, held)
    fits = []
    for wider in widths:
        told = _Telling(room, best, draw(room, best, wider=wider), rating)
        parameters, unknown = told.all(record)
        fits.append(
            RoomFit(
                parameters=parameters,
                identified="time_constant_h" in parameters
                and ("cooling_k_per_kw" in parameters or "heating_k_per_kw" in parameters),
                not_identified=tuple(unknown),
                days_used=used,
                days_held_out=apart,
                set_aside=room.set_aside,
                errors=errors,
                planner=planner,
                gains_kw=told.gains(),
                kind=best.kind,
                label=label,
                odd_days=odd,
            )
        )
    return fits


def _likeliest(
    room: RoomSeries, held: NDArray[np.bool_], kinds: tuple[Kind, ...]
) -> tuple[RoomSeries, RoomEstimate, tuple[int, ...]]:
    """The form that explains the room best, and the days that it moves to the other kind."""
    fits = [estimate(room, kind, ~held) for kind in kinds]
    best = fits[0]
    for other in fits[1:]:
        best = other if other.cost < best.cost - TWO_BETTER else best
    moved, odd = with_learned_days(room, best, ~held)
    if (moved.works != room.works).any():
        again = estimate(moved, best.kind, ~held)
        return (moved, again, odd) if again.cost < best.cost else (room, best, ())
    return room, best, odd


def _inside(room: RoomSeries) -> NDArray[np.bool_]:
    inside = np.zeros(room.grid.count, dtype=bool)
    for first, end in room.stretches:
        inside[first:end] = True
    return inside & ~np.isnan(room.room_c)


def _blockers(room: RoomSeries) -> list[NotIdentified]:
    """Why nothing at all can be learned; empty if something can."""
    inside = _inside(room)
    days = float(inside.sum()) * room.hours / 24.0
    if days < FEWEST_DAYS:
        longest = max(((end - first) * room.hours for first, end in room.stretches), default=0.0)
        why = (
            f"{days:.1f} days in stretches of {longest:.0f} h or less without a long gap; "
            f"{FEWEST_DAYS} days are needed"
        )
        return [NotIdentified("everything", why)]
    readings = room.room_c[inside]
    moves = float(np.quantile(readings, 0.95) - np.quantile(readings, 0.05))
    if moves < MOVES_K:
        why = f"the room stays within {moves:.2f} K; let it drift for a few hours, or move its setpoint"
        return [NotIdentified("everything", why)]
    return []


def _labelled(room: RoomSeries, use: NDArray[np.bool_], known: float | None) -> tuple[RoomSeries, float]:
    """The room with its inputs on the steps where they belong, or that they fit best."""
    if known is not None:
        return room.shifted(known), known
    if room.hours < LABELS_MATTER_H:
        return room, 0.0
    tried = [(estimate(room.shifted(late), "1R1C", use, rounds=1).cost, late) for late in LABELS]
    _, late = min(tried)
    return room.shifted(late), late


class _Telling:
    """Parameters with their intervals, from an estimate and draws around it."""

    def __init__(self, room: RoomSeries, learned: RoomEstimate, draws: Draws, rating: Rating) -> None:
        self._room = room
        self._learned = learned
        self._draws = draws
        self._rating = rating
        rng = np.random.default_rng(1)
        count = len(draws.days)
        self._off = np.exp(rating.doubt * rng.standard_normal(count))

    def all(self, record: RoomRecord) -> tuple[dict[str, Interval], list[NotIdentified]]:
        """What is known, and what is not."""
        told: dict[str, Interval] = {}
        unknown: list[NotIdentified] = []
        slow = self._interval(lambda one: one.physics.time_constants_h[0], "h")
        if slow.high / max(slow.low, 1e-9) > NARROW:
            why = f"anything from {slow.low:.1f} to {slow.high:.1f} h would do; let the room drift"
            unknown.append(NotIdentified("time_constant_h", why))
        else:
            told["time_constant_h"] = slow
        if self._learned.kind == "2R2C":
            told["fast_time_constant_h"] = self._interval(lambda one: one.physics.time_constants_h[1], "h")
        for name, word in (("cool", "cooling"), ("heat", "heating")):
            unknown += self._power(name, word, told)
        if record.ghi_w_m2 is None:
            unknown.append(NotIdentified("solar_aperture_m2", "there is no column ghi_w_m2"))
        anchor = "cool" if "cooling_k_per_kw" in told else "heat" if "heating_k_per_kw" in told else ""
        if not anchor:
            unknown.append(NotIdentified("loss_kw_per_k", "no known COP gives heat its scale"))
            return told, unknown
        self._scaled(anchor, record, told)
        return told, unknown

    def _power(self, name: str, word: str, told: dict[str, Interval]) -> list[NotIdentified]:
        """Cooling or heating: kelvin in the end, at the rating's outdoor temperature, per electric kW."""
        power = self._room.cool_kw if name == "cool" else self._room.heat_kw
        running_h = float((np.nan_to_num(power) > 0.0).sum()) * self._room.hours
        if running_h < FEWEST_RUNNING_H:
            what = "never" if running_h == 0.0 else f"only {running_h:.0f} h"
            return [NotIdentified(f"{word}_cop", f"the unit was {what} on for {word}")]
        worth = self._interval(lambda one: one.strength(name), "K/kW")
        if worth.value <= 0.0:
            why = f"{word} seems to move the room the wrong way: check mode, and which unit serves the room"
            return [NotIdentified(f"{word}_cop", why)]
        if worth.low <= 0.0 or worth.high / worth.low > NARROW**2:
            why = f"anything from {worth.low:.2f} to {worth.high:.2f} K/kW would do"
            return [NotIdentified(f"{word}_cop", why)]
        told[f"{word}_k_per_kw"] = worth
        return []

    def _scaled(self, anchor: str, record: RoomRecord, told: dict[str, Interval]) -> None:
        """What hangs on the rated COP: everything in kW of heat."""
        rated = self._rating.cooling if anchor == "cool" else self._rating.heating

        def loss(one: RoomEstimate) -> float:
            return rated / max(one.strength(anchor), 1e-6)

        def tell(name: str, of: Callable[[RoomEstimate], float], unit: str) -> None:
            told[name] = self._interval(of, unit, scaled=True)

        tell("loss_kw_per_k", loss, "kW/K")
        tell(
            "capacitance_kwh_per_k", lambda one: loss(one) * (one.physics.air_h + one.physics.mass_h), "kWh/K"
        )
        if self._learned.kind == "2R2C":
            tell("air_capacitance_kwh_per_k", lambda one: loss(one) * one.physics.air_h, "kWh/K")
        for name, word in (("cool", "cooling"), ("heat", "heating")):
            if f"{word}_k_per_kw" in told:
                tell(f"{word}_cop", lambda one, name=name: loss(one) * one.strength(name), "1")  # type: ignore[misc]
                slope = self._interval(lambda one, name=name: cop_slope(one, name), "1/K")  # type: ignore[misc]
                told[f"{word}_cop_slope"] = slope
        tell("base_gain_kw", lambda one: loss(one) * _base(one), "kW")
        tell("occupied_gain_kw", lambda one: loss(one) * (_busy(one) - _base(one)), "kW")
        if record.ghi_w_m2 is not None:
            tell(
                "solar_aperture_m2",
                lambda one: loss(one) * (one.strength("sun") + one.strength("sun-mass")),
                "m2",
            )

    def _interval(self, of: Callable[[RoomEstimate], float], unit: str, *, scaled: bool = False) -> Interval:
        tail = 0.5 * (1.0 - LEVEL)
        lows, highs = [], []
        for draws in (self._draws.likelihood, self._draws.days):
            values = np.array([of(one) for one in draws]) * (self._off if scaled else 1.0)
            lows.append(float(np.quantile(values, tail)))
            highs.append(float(np.quantile(values, 1.0 - tail)))
        value = of(self._learned)
        return Interval(float(value), min(*lows, float(value)), max(*highs, float(value)), unit)

    def gains(self) -> dict[str, list[float]]:
        """Heat of people and machines by hour; empty without a scale. [kW]"""
        anchor = self._learned.strength("cool") or self._learned.strength("heat")
        if anchor <= 0.0:
            return {}
        rated = self._rating.cooling if self._learned.strength("cool") else self._rating.heating
        base = self._learned.strength("base")
        return {
            kind: [
                round(rated / anchor * (base + self._learned.strength(f"{kind}-{hour:02d}")), 3)
                for hour in range(24)
            ]
            for kind in ("work", "rest")
        }


def _base(one: RoomEstimate) -> float:
    """Heat that is always there: the middle of the night. [K]"""
    hours = [
        one.strength(f"{kind}-{hour:02d}")
        for kind in ("work", "rest")
        for hour in (0, 1, 2, 3, 4, 21, 22, 23)
    ]
    return one.strength("base") + float(np.mean(hours))


def _busy(one: RoomEstimate) -> float:
    """Heat on working days from nine to five. [K]"""
    return one.strength("base") + float(np.mean([one.strength(f"work-{hour:02d}") for hour in range(9, 17)]))
