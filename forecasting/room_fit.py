"""Learning a room: time constants and noise by maximum likelihood, everything linear solved inside of it.

Given the time constants, the one-step errors of :class:`forecasting.room_physics.Observer` are linear in the
strength of sun, people, machines and air conditioner. So these are solved (with weak priors, smooth from hour
to hour), and only four to seven numbers are searched for. A thermostat makes the power answer to the
disturbances; one-step errors are not misled by that, errors over a day would be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.signal import lfilter

from energy.core.errors import ForecastError
from energy.core.series import FloatArray
from forecasting.room_physics import Kind, Observer, RoomPhysics
from forecasting.room_record import RoomSeries

__all__ = ["COOL_AT_C", "HEAT_AT_C", "Design", "RoomEstimate", "estimate"]

HOURS: Final = 24
AIR: Final = 0
MASS: Final = 1
DRIFT: Final = 2
ERROR: Final = 3
ODD: Final = 4  # in the air, but no part of a forecast
COOL_AT_C: Final = 35.0  # outdoor temperature of the rating (ISO 15042, T1; JIS B 8616)
HEAT_AT_C: Final = 7.0
# Relative change of the COP with the outdoor temperature where the data do not say otherwise: the slopes of
# energy.core.assets.HvacZone over its ratings.
COOL_SLOPE: Final = -0.08 / 3.3
HEAT_SLOPE: Final = 0.07 / 3.4
SLOPE_DOUBT: Final = 0.008  # 1/K; covers inverter units and old ones
BURN_IN_H: Final = 12.0  # of each stretch, until its unknown first state is forgotten
HUBER: Final = 3.0  # standard deviations from which a reading counts less (Huber 1964)
# How far the heat of people and machines may change from one hour to the next. Wide on purpose: smoother
# hours would hand a part of the people to the air conditioner that removes their heat.
ROUGHNESS_K: Final = 5.0
NIGHT: Final = (21, 5)  # hours in which hardly anybody is in a room with an air conditioner to be planned
WORK_K: Final = np.where((np.arange(24) < NIGHT[1]) | (np.arange(24) >= NIGHT[0]), 0.5, 20.0)
REST_K: Final = np.where((np.arange(24) < NIGHT[1]) | (np.arange(24) >= NIGHT[0]), 0.5, 2.0)
# Weak priors of the searched numbers: middle and standard deviation of their logarithms.
_PRIOR: Final = {
    "sensor": (np.log(0.05), 1.0),  # K
    "slow_h": (np.log(20.0), 1.2),
    "heat_noise": (np.log(3.0), 1.5),
    "disturbance": (np.log(10.0), 1.5),
    "disturbance_h": (np.log(4.0), 0.7),
    "air_share": (np.log(0.15), 0.8),  # tau_a over tau_m
    "extra_coupling": (np.log(3.0), 0.8),  # (k - (1 - w)) / (1 - w)
    "direct": (0.0, 1.0),  # logit of w
}
REACH: Final = 3.0  # standard deviations of its prior that a number is searched in
NO_ROOM: Final = 1e12  # cost where there is no stable predictor
_SEARCHED: Final[dict[Kind, tuple[str, ...]]] = {
    "1R1C": ("sensor", "slow_h", "heat_noise", "disturbance", "disturbance_h"),
    "2R2C": tuple(_PRIOR),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Inputs of a room and how strongly they are expected to act.

    Parameters
    ----------
    names : tuple of str
        One per column.
    columns : ndarray, shape (n_columns, n_steps)
        What acts; a column times its strength is heat in kelvin.
    enters : ndarray of int
        Where a column acts: :data:`AIR`, :data:`MASS`, :data:`DRIFT` (the slow disturbance), :data:`ERROR`
        or :data:`ODD`.
    spread : ndarray, shape (n_columns,)
        Standard deviation of the strengths before any data; 0 for those of an hour, which are smooth.
    """

    names: tuple[str, ...]
    columns: FloatArray
    enters: NDArray[np.int64]
    spread: FloatArray

    @classmethod
    def of(
        cls,
        room: RoomSeries,
        kind: Kind,
        use: NDArray[np.bool_],
        *,
        slopes: tuple[float, float] = (1.0, 1.0),
    ) -> Design:
        """Columns of a room.

        Parameters
        ----------
        use : ndarray of bool, shape (n_steps,)
            Steps that may be learned from.
        slopes : (float, float)
            About how many kelvin a kilowatt of cooling and of heating is worth; scales the doubt of slopes.
        """
        hour = np.clip(room.hour.astype(np.int64), 0, HOURS - 1)
        names: list[str] = []
        columns: list[FloatArray] = []
        spread: list[float] = []
        enters: list[int] = []

        def add(name: str, values: FloatArray, sd: float, enter: int = AIR) -> None:
            names.append(name)
            columns.append(np.nan_to_num(values))
            spread.append(sd)
            enters.append(enter)

        for label, days in (("work", room.works), ("rest", ~room.works)):
            for one in range(HOURS):
                add(f"{label}-{one:02d}", ((hour == one) & days).astype(np.float64), 0.0)
        add("base", np.ones(room.grid.count), 30.0)
        if room.sun_kw_m2 is not None:
            add("sun", room.sun_kw_m2, 30.0)
            add("sun-afternoon", room.sun_kw_m2 * np.clip((room.hour - 12.0) / 6.0, -1.0, 1.0), 3.0)
            if kind == "2R2C":
                add("sun-mass", room.sun_kw_m2, 30.0, MASS)
        for name, kw, at_c, slope, worth in (
            ("cool", -room.cool_kw, COOL_AT_C, COOL_SLOPE, slopes[0]),
            ("heat", room.heat_kw, HEAT_AT_C, HEAT_SLOPE, slopes[1]),
        ):
            if np.nan_to_num(np.abs(kw)).sum() > 0.0:
                warmer = room.outdoor_c - at_c
                add(name, kw * np.clip(1.0 + slope * warmer, 0.3, 2.0), 100.0)
                odd = surprise(room, kw, use)
                add(f"{name}-slope", (kw - odd) * warmer, SLOPE_DOUBT * max(abs(worth), 0.05))
                add(f"{name}-odd-now", np.r_[0.0, odd[:-1]], 1.0, ERROR)
                add(f"{name}-odd", odd, 10.0, ODD)
                add(f"{name}-odd-later", odd, 10.0, DRIFT)
        return cls(
            names=tuple(names),
            columns=np.stack(columns),
            enters=np.array(enters),
            spread=np.array(spread),
        )

    def precision(self) -> FloatArray:
        """Inverse covariance of the strengths before any data."""
        total = np.diag(np.where(self.spread > 0.0, 1.0 / np.maximum(self.spread, 1e-9) ** 2, 0.0))
        step = np.eye(HOURS) - np.roll(np.eye(HOURS), 1, axis=1)
        for first, days in ((0, WORK_K), (HOURS, REST_K)):
            smooth = step.T @ step / ROUGHNESS_K**2 + np.diag(1.0 / days**2)
            total[first : first + HOURS, first : first + HOURS] += smooth
        return np.asarray(total)


def surprise(room: RoomSeries, power_kw: FloatArray, use: NDArray[np.bool_]) -> FloatArray:
    """What of the air conditioner's power neither weather nor clock explain; 0 where it is off. [kW]

    A thermostat answers at once to what disturbs the room, so its power is no free input: people who come
    make it cool more, and nothing seems to change. Only what weather and clock foretell is free of that.
    The rest gets strengths of its own (a control function; Wooldridge, Econometric Analysis of Cross Section
    and Panel Data, 2010, 6.2).
    """
    power = np.nan_to_num(power_kw)
    bins = np.eye(HOURS)[np.clip(room.hour.astype(np.int64), 0, HOURS - 1)]
    weekday = np.eye(7)[room.day % 7]
    outdoor = np.nan_to_num(room.outdoor_c, nan=float(np.nanmean(room.outdoor_c)))
    sun = np.zeros(room.grid.count) if room.sun_kw_m2 is None else np.nan_to_num(room.sun_kw_m2)
    past = np.column_stack(
        [
            *(_late(outdoor, hours / room.hours) for hours in (0.0, 3.0, 12.0, 36.0)),
            *(_late(sun, hours / room.hours) for hours in (0.0, 3.0, 12.0, 36.0)),
            bins * room.works[:, None],
            bins * ~room.works[:, None],
            weekday,
        ]
    )
    on = (power != 0.0) & use
    gram = past[on].T @ past[on] + 1e-6 * on.sum() * np.eye(past.shape[1])
    line = np.linalg.solve(gram, past[on].T @ power[on])
    return np.where(power != 0.0, power - past @ line, 0.0)


def _late(values: FloatArray, steps: float) -> FloatArray:
    """Values that follow with a time constant. [same unit]"""
    if not steps:
        return values
    keep = float(np.exp(-1.0 / steps))
    return np.asarray(lfilter([1.0 - keep], [1.0, -keep], values - values[0]) + values[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEstimate:
    """What was learned of a room.

    Parameters
    ----------
    searched : ndarray
        The numbers searched for, on their logarithmic scales, in the order of ``searched_names``.
    strengths : ndarray
        Of the design's columns. [K per unit of the column]
    sensor_k : float
        Standard deviation of the sensor's noise. [K]
    weights : ndarray, shape (n_steps,)
        With which each reading was used, 0 to 1.
    cost : float
        Minus twice the logarithm of the likelihood and the priors. [-]
    """

    kind: Kind
    design: Design
    searched: FloatArray
    strengths: FloatArray
    weights: FloatArray
    cost: float

    @property
    def searched_names(self) -> tuple[str, ...]:
        """Names of the numbers searched for."""
        return _SEARCHED[self.kind]

    @property
    def sensor_k(self) -> float:
        """Standard deviation of the sensor's noise. [K]"""
        return float(np.exp(self.searched[0]))

    @property
    def physics(self) -> RoomPhysics:
        """Time constants and couplings."""
        return physics_of(self.kind, self.searched)

    def strength(self, name: str) -> float:
        """Strength of a column by its name; 0 if there is none. [K per unit of the column]"""
        return float(self.strengths[self.design.names.index(name)]) if name in self.design.names else 0.0


def physics_of(kind: Kind, searched: FloatArray) -> RoomPhysics:
    """The room that the searched numbers stand for."""
    said = dict(zip(_SEARCHED[kind], searched, strict=True))
    noise = {name: float(np.exp(said[name])) for name in ("heat_noise", "disturbance", "disturbance_h")}
    slow = float(np.exp(said["slow_h"]))
    if kind == "1R1C":
        return RoomPhysics(kind=kind, air_h=slow, **noise)
    direct = float(1.0 / (1.0 + np.exp(-said["direct"])))
    return RoomPhysics(
        kind=kind,
        air_h=slow * float(np.exp(said["air_share"])),
        mass_h=slow,
        coupling=(1.0 - direct) * (1.0 + float(np.exp(said["extra_coupling"]))),
        direct=direct,
        **noise,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A room, its inputs, and the readings to learn from.

    Parameters
    ----------
    use : ndarray of bool, shape (n_steps,)
        Readings that may be learned from.
    """

    room: RoomSeries
    kind: Kind
    design: Design
    use: NDArray[np.bool_]

    def errors(self, searched: FloatArray) -> tuple[FloatArray, FloatArray, Observer]:
        """One-step errors without the columns, and how the columns change them.

        Returns
        -------
        errors : ndarray, shape (n_steps,)
            Reading less prediction; NaN where there is no reading or no stretch. [K]
        answers : ndarray, shape (n_columns, n_steps)
            ``errors - strengths @ answers`` are the errors with them.
        """
        observer = physics_of(self.kind, searched).observer(self.room.hours)
        errors = np.full(self.room.grid.count, np.nan)
        answers = np.zeros(self.design.columns.shape)
        for first, end in self.room.stretches:
            part = slice(first, end)
            reading = self.room.room_c[part]
            good = np.flatnonzero(~np.isnan(reading))
            filled = np.interp(np.arange(end - first), good, reading[good])
            start_c = filled[0]  # all states begin there: the equations know differences only
            own = observer.answers((filled - start_c)[None], observer.gain)[0]
            air = observer.answers((self.room.outdoor_c[part] - start_c)[None], observer.inputs[:, 0])[0]
            errors[part] = np.where(np.isnan(reading), np.nan, filled - start_c - own - air)
            columns = self.design.columns[:, part]
            for place, into in (
                (AIR, observer.inputs[:, 1]),
                (MASS, observer.inputs[:, 2]),
                (ODD, observer.inputs[:, 1]),
                (DRIFT, np.eye(len(observer.phi))[-1]),
            ):
                here = self.design.enters == place
                if here.any():
                    answers[here, part] = observer.answers(columns[here], into)
            here = self.design.enters == ERROR
            answers[here, part] = columns[here]
        return errors, answers, observer

    def base_weights(self) -> FloatArray:
        """1 for each reading that may be learned from, 0 for the others."""
        weights = (self.use & ~np.isnan(self.room.room_c)).astype(np.float64)
        burn = round(BURN_IN_H / self.room.hours)
        inside = np.zeros(weights.size)
        for first, end in self.room.stretches:
            inside[first + burn : end] = 1.0
        return weights * inside

    def solve(self, searched: FloatArray, weights: FloatArray) -> tuple[FloatArray, float, FloatArray]:
        """Strengths at given searched numbers, the cost, and the errors that remain."""
        errors, answers, observer = self.errors(searched)
        scale = float(np.exp(2.0 * searched[0])) * observer.variance
        e, x = np.nan_to_num(errors), answers * weights
        said = dict(zip(_SEARCHED[self.kind], searched, strict=True))
        prior = self.design.precision()
        precision = x @ answers.T / scale + prior
        factor = np.linalg.cholesky(precision)
        moment = x @ e / scale
        strengths = np.asarray(np.linalg.solve(precision, moment), dtype=np.float64)
        left = e - strengths @ answers
        fit = float((weights * left**2).sum()) / scale + float(strengths @ prior @ strengths)
        spread = 2.0 * float(np.log(np.diag(factor)).sum()) - float(np.linalg.slogdet(prior)[1])
        cost = fit + spread + float((weights > 0.0).sum()) * float(np.log(scale)) + _prior_cost(said)
        return strengths, cost, np.asarray(np.where(np.isnan(errors), np.nan, left))


def _prior_cost(said: dict[str, float]) -> float:
    return float(sum(((value - _PRIOR[name][0]) / _PRIOR[name][1]) ** 2 for name, value in said.items()))


def estimate(
    room: RoomSeries,
    kind: Kind,
    use: NDArray[np.bool_],
    *,
    rounds: int = 2,
) -> RoomEstimate:
    """Learn a room.

    Parameters
    ----------
    use : ndarray of bool, shape (room.grid.count,)
        Readings that may be learned from; the others are only looked at to know the state of the room.
    rounds : int
        How often readings far from what was expected are found and taken less seriously.

    Raises
    ------
    ForecastError
        If there is nothing to learn from.
    """
    task = Task(room=room, kind=kind, design=Design.of(room, kind, use), use=use)
    weights = task.base_weights()
    if weights.sum() < 2.0 * HOURS:
        raise ForecastError(
            "too little to learn a room from",
            where=f"{int(weights.sum())} readings in {len(room.stretches)} stretches without a long gap",
            hint="record a week or more",
        )
    at = np.array([_PRIOR[name][0] for name in _SEARCHED[kind]])
    for _ in range(rounds):
        found = minimize(
            _cost,
            at,
            args=(task, weights),
            method="L-BFGS-B",
            bounds=_bounds(kind),
            options={"maxiter": 30, "ftol": 1e-7},
        )
        at = np.asarray(found.x, dtype=np.float64)
        strengths, _, left = task.solve(at, weights)
        worth = dict(zip(task.design.names, strengths, strict=True))
        slopes = (float(worth.get("cool", 1.0)), float(worth.get("heat", 1.0)))
        task = replace(task, design=Design.of(room, kind, use, slopes=slopes))
        weights = task.base_weights() * _huber(left, weights)
    strengths, cost, _ = task.solve(at, weights)
    return RoomEstimate(
        kind=kind, design=task.design, searched=at, strengths=strengths, weights=weights, cost=cost
    )


def _bounds(kind: Kind) -> list[tuple[float, float]]:
    """As far as the search may go: beyond lies no room."""
    return [
        (middle - REACH * sd, middle + REACH * sd)
        for middle, sd in (_PRIOR[name] for name in _SEARCHED[kind])
    ]


def _cost(at: FloatArray, task: Task, weights: FloatArray) -> float:
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # the search turns back there
            cost = task.solve(at, weights)[1]
    except (np.linalg.LinAlgError, ValueError):
        return NO_ROOM
    return cost if np.isfinite(cost) else NO_ROOM


def _huber(left: FloatArray, weights: FloatArray) -> FloatArray:
    known = left[(weights > 0.0) & ~np.isnan(left)]
    usual = 1.4826 * float(np.median(np.abs(known)))  # of a normal distribution
    far = np.abs(np.nan_to_num(left)) / max(HUBER * usual, 1e-6)
    return np.asarray(1.0 / np.maximum(far, 1.0))
