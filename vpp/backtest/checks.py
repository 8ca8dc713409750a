"""What a series must not be: each kind of bad data is refused by name before anything is forecast."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from energy.core.errors import DataError, ForecastError, GapError
from energy.core.series import FloatArray, Grid
from forecasting.pv_physics import sun_position

__all__ = [
    "refuse_constant",
    "refuse_foresight",
    "refuse_late_issue",
    "refuse_mixed_units",
    "refuse_night_sun",
    "refuse_short_history",
    "refuse_weather_gaps",
    "without_negative",
]

LEAST_HOURS: Final = 48  # two days: with less there is no shape of a day to learn
STANDBY_SHARE: Final = 0.02  # an inverter asleep draws less than this share of its nameplate
NIGHT_SHARE: Final = 0.01  # of the nameplate: stray light, rounding
NIGHT_ZENITH_DEG: Final = 96.0  # 6 degrees below the horizon: the end of civil twilight
LEAST_DARK: Final = 0.2  # share of a day's slots that are dark nearly everywhere people live
THOUSAND: Final = (500.0, 2000.0)  # ratio of two levels that are likely a factor of 1000 apart
ABOVE_CONTRACT: Final = 1.5  # a value above contract power times this is no measurement
FORESIGHT_HOURS: Final = 48
FORESIGHT_SHARE: Final = 0.98
LEAST_CHANGES: Final = 50


def refuse_constant(values: FloatArray, name: str) -> None:
    """Refuse a series that never changes, or holds nothing.

    Raises
    ------
    DataError
        It says which.
    """
    known = values[~np.isnan(values)]
    if known.size == 0:
        raise DataError(f"column {name!r} holds no value", hint="choose another column")
    if known.min() == known.max():
        raise DataError(
            f"column {name!r} never changes",
            where=f"all {known.size} values are {known[0]:g}",
            hint="a meter that stands still teaches nothing: choose another column or another stretch",
        )


def without_negative(
    values: FloatArray, name: str, *, kind: str, policy: str, capacity: float | None
) -> tuple[FloatArray, int]:
    """The values with negative ones refused, missing or zero, and how many there were.

    A sleeping inverter draws a little; that counts as zero whatever the policy.

    Raises
    ------
    DataError
        If a load is negative and the policy is ``refuse``, or a PV plant consumes more than it may asleep.
    """
    below = values < 0.0
    count = int(below.sum())
    if not count:
        return values, 0
    top = capacity if capacity is not None else float(np.nanmax(values))
    if kind == "pv" and -float(np.nanmin(values)) <= STANDBY_SHARE * top:
        policy = "zero"
    if policy == "refuse":
        what = "generation" if kind == "pv" else "load"
        raise DataError(
            f"negative {what} in column {name!r}",
            where=f"{count} of {values.size} values, the lowest {np.nanmin(values):g}",
            hint="is it a net flow with feed-in, or signed the other way round (--unit-factor -1)? "
            "--negative missing or zero says what they mean",
        )
    return np.where(below, np.nan if policy == "missing" else 0.0, values), count


def refuse_mixed_units(days: FloatArray, name: str, first_day: date, *, capacity: float | None) -> None:
    """Refuse values that are about 1000 times too large or too small for the rest, or above the capacity.

    Parameters
    ----------
    days : ndarray, shape (n_days, slots_per_day)
        The series.

    Raises
    ------
    DataError
        It names the first day.
    """
    known = days[~np.isnan(days)]
    top = float(known.max())
    if capacity is not None and top > ABOVE_CONTRACT * capacity:
        row = int(np.argwhere(days == top)[0][0])
        factor = " (a factor of 1000: W for kW?)" if THOUSAND[0] < top / capacity < THOUSAND[1] else ""
        raise DataError(
            f"column {name!r} exceeds the capacity{factor}",
            where=f"{top:g} on {first_day + timedelta(days=row)}, capacity {capacity:g}",
            hint="give --unit-factor or the right --capacity",
        )
    with_any = np.flatnonzero((days > 0.0).any(axis=1))
    levels = np.array([np.nanmax(days[row]) for row in with_any])
    if levels.size < 2:
        return
    order = np.sort(np.log10(levels))
    jump = int(np.argmax(np.diff(order)))
    low, high = float(np.median(order[: jump + 1])), float(np.median(order[jump + 1 :]))
    if THOUSAND[0] < 10.0 ** (high - low) < THOUSAND[1] and order[jump + 1] - order[jump] > 2.0:
        few_high = order.size - jump - 1 <= jump + 1
        odd = np.log10(levels) > order[jump] if few_high else np.log10(levels) <= order[jump]
        row = int(with_any[np.flatnonzero(odd)[0]])
        raise DataError(
            f"column {name!r} changes its unit",
            where=f"the days reach {10.0**low:.4g} or {10.0**high:.4g}; on {int(odd.sum())} days, first on "
            f"{first_day + timedelta(days=row)}, they are off by about 1000",
            hint="bring all rows to one unit",
        )


def refuse_night_sun(
    days: FloatArray,
    name: str,
    start: datetime,
    *,
    capacity: float,
    latitude: float | None,
    longitude: float | None,
) -> None:
    """Refuse a PV series that generates at night: then its zone or its stamps are wrong, or it is no PV.

    Raises
    ------
    DataError
        It names the first such instant, or the share of dark slots.
    """
    bright = days > NIGHT_SHARE * capacity
    step = timedelta(days=1) / days.shape[1]
    if latitude is not None and longitude is not None:
        grid = Grid(start, days.size, step)
        zenith_deg = sun_position(grid, latitude=latitude, longitude=longitude).zenith_deg
        night = (zenith_deg > NIGHT_ZENITH_DEG).reshape(days.shape) & bright
        if night.any():
            first = grid.time(int(np.flatnonzero(night.reshape(-1))[0]))
            raise DataError(
                f"column {name!r} generates at night",
                where=f"{int(night.sum())} slots with the sun more than 6 degrees below the horizon, first "
                f"{first.isoformat()}",
                hint="check --tz, --time-stamps, --latitude and --longitude",
            )
        return
    usual = np.array([np.nanmean(slot) if not np.isnan(slot).all() else 0.0 for slot in days.T])
    dark = float((usual <= NIGHT_SHARE * capacity).mean())
    if dark < LEAST_DARK:
        raise DataError(
            f"column {name!r} generates at night",
            where=f"only {dark:.0%} of the slots of a day are dark",
            hint="is it PV? give --kind load, or the plant's own column",
        )


def refuse_short_history(days: FloatArray, row: int, issue_slot: int, lead: int = 1) -> None:
    """Refuse a first forecast before which fewer than 48 hours are known.

    Raises
    ------
    ForecastError
        It says how many there are.
    """
    known = np.array(days[: max(0, row - lead + 1)])
    if len(known):
        known[-1, issue_slot:] = np.nan
    hours = float((~np.isnan(known)).sum()) * 24.0 / days.shape[1]
    if hours < LEAST_HOURS:
        raise ForecastError(
            "fewer than 48 hours are known before the first forecast",
            where=f"{hours:g} h",
            hint="let the window begin later (--from), or give a longer file",
        )


def refuse_late_issue(name: str, late: int, first: datetime, issue: datetime) -> None:
    """Refuse weather forecasts that were issued after the forecast that would use them.

    Raises
    ------
    DataError
        If there are any.
    """
    if late:
        raise DataError(
            "weather forecasts that did not exist yet",
            where=f"{name}: for {late} slots every run was issued after the forecast; the first is for "
            f"{first.isoformat()}, whose forecast is made at {issue.isoformat()}",
            hint="issue later (--issue), give earlier runs, or take it as measured (--weather-known none)",
        )


def refuse_weather_gaps(
    weather: Mapping[str, FloatArray], rows: range, start: datetime, *, zone_shift: timedelta
) -> None:
    """Refuse forecast weather that is missing on days that are to be forecast; above all, that ends early.

    Raises
    ------
    GapError
        It names the field and the first slot without a value.
    """
    for name, values in weather.items():
        gap = np.isnan(values[rows.start : rows.stop])
        if not gap.any():
            continue
        step = timedelta(days=1) / values.shape[1]
        first = int(np.flatnonzero(gap.reshape(-1))[0]) + rows.start * values.shape[1]
        known = np.flatnonzero(~np.isnan(values.reshape(-1)))
        last = int(known[-1]) if known.size else -1
        how = "ends early" if last < first else "has a gap"
        at = start + first * step + zone_shift
        raise GapError(
            f"the weather {how}",
            where=f"{name}: no value for {at:%Y-%m-%d %H:%M} local standard time, nor for "
            f"{int(gap.sum()) - 1} more slots of the window",
            hint="shorten the window (--from, --to), or give the missing weather",
        )


def refuse_foresight(
    forecasts: Mapping[str, FloatArray], others: Mapping[str, FloatArray], step: timedelta
) -> None:
    """Refuse a weather column that is another column of the file, now or hours later: perfect foresight.

    Raises
    ------
    DataError
        It names both columns and the hours between them.
    """
    longest = int(timedelta(hours=FORESIGHT_HOURS) / step)
    for name, values in forecasts.items():
        changes = np.r_[False, np.diff(values) != 0.0] & ~np.isnan(values)
        places = np.flatnonzero(changes)
        if places.size < LEAST_CHANGES:
            continue
        for other, measured in others.items():
            for shift in range(min(longest, values.size - 1) + 1):
                at = places[places + shift < values.size]
                there = measured[at + shift]
                known = ~np.isnan(there)
                if known.sum() < LEAST_CHANGES:
                    continue
                if np.isclose(values[at][known], there[known], rtol=1e-6).mean() > FORESIGHT_SHARE:
                    hours = shift * step / timedelta(hours=1)
                    raise DataError(
                        f"column {name!r} is no forecast: it is what {other!r} shows "
                        + (f"{hours:g} h later" if shift else "at the same time"),
                        where=f"equal in {FORESIGHT_SHARE:.0%} or more of {int(known.sum())} rows",
                        hint="perfect weather is a bound: say so with --weather-known perfect, or use none",
                    )
