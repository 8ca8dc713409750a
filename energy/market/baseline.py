"""Baselines of demand response: what a site would have used had nobody asked (RULES-JP 3.1).

The standard one is High 4 of 5 on weekdays and High 2 of 3 on days of rest: walk back from the event, skip
event days and days far below the mean, drop the lowest, take the mean slot by slot, and shift it by what the
hours before the event showed. Only days before the event are looked at. Energy is counted in whole millionths
of a kWh, so that ties are ties.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

import numpy as np

from energy.core.calendar import DayType, SiteCalendar
from energy.core.errors import ConfigError, DataError, GapError
from energy.core.series import Series, Unit
from energy.core.slots import SLOT_LENGTH, Slot
from energy.market.prices import MICRO, micro
from energy.market.rules import BaselineAdjustment, BaselineDays, BaselineShortage, rule_row

__all__ = [
    "Adjustment",
    "Baseline",
    "BaselineRequest",
    "BaselineSlot",
    "BaselineUnavailable",
    "ExcludedDay",
    "Method",
    "WhyExcluded",
    "baseline",
]

_MISSING: Final = -1


class Method(StrEnum):
    """How a baseline is found."""

    HIGH_4_OF_5 = "high4of5"  # with High 2 of 3 on days of rest
    SAME_DAY = "same-day"  # the hours of the adjustment window themselves (事前計測)


class Adjustment(StrEnum):
    """What the hours before the event do to the baseline."""

    ADD = "add"
    RATIO = "ratio"
    NONE = "none"


class WhyExcluded(StrEnum):
    """Why a day is not part of a baseline."""

    EVENT = "event"
    OTHER_DAY_TYPE = "other_day_type"
    INCOMPLETE = "incomplete_meter"
    LOW_USE = "below_min_ratio"
    LOWEST = "lowest"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRequest:
    """What to find a baseline for.

    Parameters
    ----------
    start, end : Slot
        First slot of the event and first slot after it.
    event_days : frozenset of date
        Japanese days on which events lay; those from the event's own day on are ignored.
    calendar : SiteCalendar
        Days of rest: weekends, national holidays, and what was agreed.
    method, adjustment : Method, Adjustment
        Strategy.
    ratio_cap : Decimal or None
        Largest change by a ratio, such as 0.2; none in the Japanese standard. [-]
    floor_zero : bool
        Whether the adjusted baseline is at least zero.
    window_h : tuple of Decimal, optional
        Adjustment window in hours before the start; that of the rules if none. [h]

    Raises
    ------
    DataError
        If the event has no slot or is longer than a day.
    """

    start: Slot
    end: Slot
    event_days: frozenset[date] = frozenset()
    calendar: SiteCalendar = field(default_factory=SiteCalendar)
    method: Method = Method.HIGH_4_OF_5
    adjustment: Adjustment = Adjustment.ADD
    ratio_cap: Decimal | None = None
    floor_zero: bool = False
    window_h: tuple[Decimal, Decimal] | None = None

    def __post_init__(self) -> None:
        if not timedelta(0) < self.end.start - self.start.start <= timedelta(days=1):
            raise DataError(
                "an event lasts from one half hour to a day",
                where=f"{self.start.start.isoformat()} to {self.end.start.isoformat()}",
                hint="write START/END, the end later than the start",
            )

    @property
    def day(self) -> date:
        """Japanese day on which the event starts."""
        return self.start.local_date

    def slots(self) -> list[Slot]:
        """Slots of the event."""
        count = (self.end.start - self.start.start) // SLOT_LENGTH
        return [self.start.shifted(k) for k in range(count)]

    def window(self) -> list[Slot]:
        """Slots of the adjustment window.

        Raises
        ------
        ConfigError
            If the window is not made of half hours.
        """
        rule = rule_row(BaselineAdjustment, self.day).values
        first_h, last_h = self.window_h or (rule.window_from_h, rule.window_to_h)
        first, last = first_h * 2, last_h * 2
        if not first > last >= 0 or first % 1 or last % 1:
            raise ConfigError(
                "the adjustment window is made of half hours before the event",
                where=f"{first_h} h to {last_h} h before",
                hint="such as 5 h to 2 h",
            )
        return [self.start.shifted(-k) for k in range(int(first), int(last), -1)]


@dataclass(frozen=True, slots=True)
class ExcludedDay:
    """A day that is not part of a baseline, and why."""

    day: date
    why: WhyExcluded


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineSlot:
    """One slot of an event. [kWh]"""

    slot: Slot
    baseline_kwh: Decimal
    adjustment_kwh: Decimal
    adjusted_kwh: Decimal
    actual_kwh: Decimal

    @property
    def reduction_kwh(self) -> Decimal:
        """Adjusted baseline less what was used; negative where more was used. [kWh]"""
        return self.adjusted_kwh - self.actual_kwh


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A baseline and what follows from it.

    Parameters
    ----------
    method : str
        ``high4of5``, ``high2of3`` or ``same-day``.
    days_used : tuple of date
        Days whose mean it is, newest first.
    days_excluded : tuple of ExcludedDay
        Days that were looked at and left out, newest first.
    completed_by : tuple of date
        Event days among the used ones, taken because there were too few others.
    window_kwh, usual_window_kwh : Decimal
        Mean use per slot of the adjustment window on the day, and on the used days. [kWh]
    window_by_day : tuple of Decimal
        The same for each used day; empty without an adjustment. [kWh]
    """

    method: str
    days_used: tuple[date, ...]
    days_excluded: tuple[ExcludedDay, ...]
    completed_by: tuple[date, ...]
    slots: tuple[BaselineSlot, ...]
    window_kwh: Decimal
    usual_window_kwh: Decimal
    window_by_day: tuple[Decimal, ...] = ()

    @property
    def reduction_kwh(self) -> Decimal:
        """Sum over the event; slots in which more was used count against it. [kWh]"""
        return sum((slot.reduction_kwh for slot in self.slots), Decimal(0))

    @property
    def mean_kw(self) -> Decimal:
        """Mean reduction in power. [kW]"""
        return 2 * self.reduction_kwh / len(self.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineUnavailable:
    """There are too few days: nothing is paid automatically, an operator decides."""

    found: tuple[date, ...]
    needed: int
    days_excluded: tuple[ExcludedDay, ...]


class _Meter:
    """Energies by slot in whole millionths of a kWh, seen only up to the end of an event."""

    def __init__(self, series: Series, end: Slot) -> None:
        if series.unit is not Unit.KWH:
            raise DataError(
                "a baseline is made of energy", unit=series.unit, hint="pass imported kWh per slot"
            )
        self._start = series.grid.start
        self._count = min(series.grid.count, (end.start - self._start) // SLOT_LENGTH)
        known = ~np.isnan(series.values)
        if (series.values[known] < 0).any():
            raise DataError("imported energy is negative", hint="pass the import register only")
        self._values = micro(np.where(known, series.values, _MISSING / MICRO))

    def sum(self, slots: Iterable[Slot]) -> int | None:
        """Energy of some slots; None if one is missing."""
        each = [self.one(slot) for slot in slots]
        known = [value for value in each if value is not None]
        return sum(known) if len(known) == len(each) else None

    def one(self, slot: Slot) -> int | None:
        """Energy of a slot; None if it is missing."""
        k = (slot.start - self._start) // SLOT_LENGTH
        if not 0 <= k < self._count or self._values[k] == _MISSING:
            return None
        return int(self._values[k])


def _on_day(slots: Sequence[Slot], event_day: date, day: date) -> list[Slot]:
    """The same times of another day."""
    shift = day - event_day
    return [Slot(slot.start + shift) for slot in slots]


def _kwh(parts: int, count: int = 1) -> Decimal:
    return Decimal(parts) / MICRO / count


def baseline(request: BaselineRequest, meter: Series) -> Baseline | BaselineUnavailable:
    """Baseline of an event.

    Parameters
    ----------
    meter : Series
        Imported energy per slot; NaN where unknown. Nothing after the event is looked at. [kWh]

    Raises
    ------
    GapError
        If a half hour of the event or of the adjustment window is missing on the day itself.
    """
    energy = _Meter(meter, request.end)
    actual = _required(energy, request.slots(), "the event")
    if request.method is Method.SAME_DAY:
        return _same_day(request, energy, actual)
    rule = rule_row(BaselineDays, request.day).values
    weekday = request.calendar.day_type(request.day) is DayType.WEEKDAY
    wanted = rule.weekday_days if weekday else rule.rest_days
    days, excluded, spare = _walk_back(request, energy, rule, wanted)
    completed: list[date] = []
    shortage = rule_row(BaselineShortage, request.day).values
    if wanted - 1 - shortage.event_days <= len(days) < wanted - 1:
        spare.sort(key=lambda day: (-(_use(request, energy, day) or 0), request.day - day))
        completed = spare[: wanted - 1 - len(days)]
    kept = [*days, *completed]
    if len(kept) < wanted - 1:
        return BaselineUnavailable(
            found=tuple(days), needed=wanted - 1, days_excluded=_newest_first(excluded)
        )
    if len(kept) == wanted:
        lowest = min(kept, key=lambda day: (_use(request, energy, day) or 0, day))
        kept.remove(lowest)
        excluded.append(ExcludedDay(lowest, WhyExcluded.LOWEST))
    excluded = [one for one in excluded if one.day not in completed]
    return _from_days(
        request,
        energy,
        kept,
        name=f"high{wanted - 1}of{wanted}",
        actual=actual,
        excluded=_newest_first(excluded),
        completed=tuple(completed),
    )


def _newest_first(excluded: Iterable[ExcludedDay]) -> tuple[ExcludedDay, ...]:
    return tuple(sorted(excluded, key=lambda one: one.day, reverse=True))


def _required(energy: _Meter, slots: Sequence[Slot], what: str) -> list[int]:
    """Energies of slots that must all be there."""
    found = [energy.one(slot) for slot in slots]
    missing = [slot for slot, value in zip(slots, found, strict=True) if value is None]
    if missing:
        raise GapError(
            f"the meter lacks {len(missing)} of {len(slots)} half hours of {what}",
            where=f"the first is slot {missing[0].koma} of {missing[0].local_date}",
            hint="import the missing readings; an event with a gap is not paid automatically",
        )
    return [value for value in found if value is not None]


def _use(request: BaselineRequest, energy: _Meter, day: date) -> int | None:
    """Energy of a day over the times of the event."""
    return energy.sum(_on_day(request.slots(), request.day, day))


def _walk_back(
    request: BaselineRequest, energy: _Meter, rule: BaselineDays, wanted: int
) -> tuple[list[date], list[ExcludedDay], list[date]]:
    """Days that may be used, newest first; days left out; event days that could complete them."""
    kind = request.calendar.day_type(request.day)
    touched = {slot.local_date - request.day for slot in request.slots()}
    chosen: list[date] = []
    excluded: list[ExcludedDay] = []
    spare: list[date] = []
    window = request.window() if request.adjustment is not Adjustment.NONE else []
    for back in range(1, rule.lookback_days + 1):
        day = request.day - timedelta(days=back)
        complete = energy.sum(_on_day([*request.slots(), *window], request.day, day)) is not None
        if request.calendar.day_type(day) is not kind:
            excluded.append(ExcludedDay(day, WhyExcluded.OTHER_DAY_TYPE))
        elif any(day + offset in request.event_days and day + offset < request.day for offset in touched):
            excluded.append(ExcludedDay(day, WhyExcluded.EVENT))
            if complete:
                spare.append(day)
        elif not complete:
            excluded.append(ExcludedDay(day, WhyExcluded.INCOMPLETE))
        else:
            chosen.append(day)
            if len(chosen) == wanted:
                low = _far_below(request, energy, chosen, rule.min_ratio)
                chosen = [day for day in chosen if day not in low]
                excluded += [ExcludedDay(day, WhyExcluded.LOW_USE) for day in low]
        if len(chosen) == wanted:
            break
    else:
        while low := _far_below(request, energy, chosen, rule.min_ratio):
            chosen = [day for day in chosen if day not in low]
            excluded += [ExcludedDay(day, WhyExcluded.LOW_USE) for day in low]
    return chosen, excluded, spare


def _far_below(
    request: BaselineRequest, energy: _Meter, days: Sequence[date], min_ratio: Decimal
) -> list[date]:
    """Days whose use is below a share of the days' mean."""
    uses = {day: _use(request, energy, day) or 0 for day in days}
    mean = Decimal(sum(uses.values())) / max(1, len(uses))
    return [day for day, use in uses.items() if use < min_ratio * mean]


def _from_days(
    request: BaselineRequest,
    energy: _Meter,
    kept: Sequence[date],
    *,
    name: str,
    actual: Sequence[int],
    excluded: tuple[ExcludedDay, ...],
    completed: tuple[date, ...],
) -> Baseline:
    """Mean of the kept days slot by slot, shifted by what the window before the event shows."""
    count = len(kept)

    def mean(slots: Sequence[Slot]) -> list[Decimal]:
        sums = [[energy.one(slot) or 0 for slot in _on_day(slots, request.day, day)] for day in kept]
        return [_kwh(sum(column), count) for column in zip(*sums, strict=True)]

    plain = mean(request.slots())
    window_kwh = usual_kwh = Decimal(0)
    newest = sorted(kept, reverse=True)
    by_day: tuple[Decimal, ...] = ()
    if request.adjustment is not Adjustment.NONE:
        window = request.window()
        window_kwh = _kwh(sum(_required(energy, window, "the adjustment window")), len(window))
        usual_kwh = sum(mean(window), Decimal(0)) / len(window)
        by_day = tuple(
            _kwh(energy.sum(_on_day(window, request.day, day)) or 0, len(window)) for day in newest
        )
    slots = []
    for slot, base, used in zip(request.slots(), plain, actual, strict=True):
        change = _change(request, base, window_kwh, usual_kwh)
        adjusted = max(Decimal(0), base + change) if request.floor_zero else base + change
        slots.append(
            BaselineSlot(
                slot=slot,
                baseline_kwh=base,
                adjustment_kwh=adjusted - base,
                adjusted_kwh=adjusted,
                actual_kwh=_kwh(used),
            )
        )
    return Baseline(
        method=name,
        days_used=tuple(newest),
        days_excluded=excluded,
        completed_by=completed,
        slots=tuple(slots),
        window_kwh=window_kwh,
        usual_window_kwh=usual_kwh,
        window_by_day=by_day,
    )


def _change(request: BaselineRequest, base: Decimal, window: Decimal, usual: Decimal) -> Decimal:
    """What the window before the event adds to a slot. [kWh]"""
    if request.adjustment is Adjustment.NONE:
        return Decimal(0)
    if request.adjustment is Adjustment.ADD:
        return window - usual
    ratio = window / usual - 1 if usual else Decimal(0)
    if request.ratio_cap is not None:
        ratio = max(-request.ratio_cap, min(request.ratio_cap, ratio))
    return base * ratio


def _same_day(request: BaselineRequest, energy: _Meter, actual: Sequence[int]) -> Baseline:
    """The mean of the window before the event stands for every slot of it."""
    window = request.window()
    flat = _kwh(sum(_required(energy, window, "the window before the event")), len(window))
    slots = [
        BaselineSlot(
            slot=slot,
            baseline_kwh=flat,
            adjustment_kwh=Decimal(0),
            adjusted_kwh=flat,
            actual_kwh=_kwh(used),
        )
        for slot, used in zip(request.slots(), actual, strict=True)
    ]
    return Baseline(
        method=Method.SAME_DAY.value,
        days_used=(request.day,),
        days_excluded=(),
        completed_by=(),
        slots=tuple(slots),
        window_kwh=flat,
        usual_window_kwh=flat,
    )
