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
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, Slot
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


@dataclass(frozen=True, slots=True)
class _Span:
    """Slots in a row, by their place in the meter's series."""

    first: int
    count: int


class _Readings:
    """Energies in whole millionths of a kWh around an event, seen only up to its end."""

    def __init__(self, request: BaselineRequest, series: Series) -> None:
        if series.unit is not Unit.KWH:
            raise DataError(
                "a baseline is made of energy", unit=series.unit, hint="pass imported kWh per slot"
            )
        self.request = request
        self._start = series.grid.start
        self.event = self._span(request.slots())
        with_window = request.adjustment is not Adjustment.NONE or request.method is Method.SAME_DAY
        self.window = self._span(request.window()) if with_window else _Span(self.event.first, 0)
        # what is looked at lies between the first day that may be used and the end of the event
        rule = rule_row(BaselineDays, request.day).values
        self._from = max(0, min(self.event.first, self.window.first) - rule.lookback_days * SLOTS_PER_DAY)
        part = series.values[self._from : max(self._from, self.event.first + self.event.count)]
        known = ~np.isnan(part)
        if (part[known] < 0).any():
            raise DataError("imported energy is negative", hint="pass the import register only")
        self._values = micro(np.where(known, part, _MISSING / MICRO))
        self._uses: dict[date, int] = {}

    def _span(self, slots: Sequence[Slot]) -> _Span:
        return _Span((slots[0].start - self._start) // SLOT_LENGTH, len(slots))

    def block(self, span: _Span, day: date) -> list[int] | None:
        """Energies of the times of a span on a day; None if one is missing."""
        if not span.count:
            return []
        first = span.first + (day - self.request.day).days * SLOTS_PER_DAY - self._from
        values: list[int] = self._values[max(0, first) : max(0, first + span.count)].tolist()
        return None if len(values) < span.count or first < 0 or _MISSING in values else values

    def use(self, day: date) -> int:
        """Energy of a day over the times of the event; 0 if one is missing."""
        if day not in self._uses:
            self._uses[day] = sum(self.block(self.event, day) or ())
        return self._uses[day]

    def complete(self, day: date) -> bool:
        """Whether a day has every reading that a baseline needs of it."""
        return all(self.block(span, day) is not None for span in (self.event, self.window))

    def required(self, span: _Span, slots: Sequence[Slot], what: str) -> list[int]:
        """Energies of the day itself, which must all be there."""
        found = self.block(span, self.request.day)
        if found is not None:
            return found
        missing = [
            slot
            for k, slot in enumerate(slots)
            if self.block(_Span(span.first + k, 1), self.request.day) is None
        ]
        raise GapError(
            f"the meter lacks {len(missing)} of {len(slots)} half hours of {what}",
            where=f"the first is slot {missing[0].koma} of {missing[0].local_date}",
            hint="import the missing readings; an event with a gap is not paid automatically",
        )


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
    energy = _Readings(request, meter)
    actual = energy.required(energy.event, request.slots(), "the event")
    if request.method is Method.SAME_DAY:
        return _same_day(energy, actual)
    rule = rule_row(BaselineDays, request.day).values
    weekday = request.calendar.day_type(request.day) is DayType.WEEKDAY
    wanted = rule.weekday_days if weekday else rule.rest_days
    days, excluded, spare = _walk_back(energy, rule, wanted)
    completed: list[date] = []
    shortage = rule_row(BaselineShortage, request.day).values
    if wanted - 1 - shortage.event_days <= len(days) < wanted - 1:
        spare.sort(key=lambda day: (-energy.use(day), request.day - day))
        completed = spare[: wanted - 1 - len(days)]
    kept = [*days, *completed]
    if len(kept) < wanted - 1:
        return BaselineUnavailable(
            found=tuple(days), needed=wanted - 1, days_excluded=_newest_first(excluded)
        )
    if len(kept) == wanted:
        lowest = min(kept, key=lambda day: (energy.use(day), day))
        kept.remove(lowest)
        excluded.append(ExcludedDay(lowest, WhyExcluded.LOWEST))
    excluded = [one for one in excluded if one.day not in completed]
    return _from_days(
        energy,
        kept,
        name=f"high{wanted - 1}of{wanted}",
        actual=actual,
        excluded=_newest_first(excluded),
        completed=tuple(completed),
    )


def _newest_first(excluded: Iterable[ExcludedDay]) -> tuple[ExcludedDay, ...]:
    return tuple(sorted(excluded, key=lambda one: one.day, reverse=True))


def _walk_back(
    energy: _Readings, rule: BaselineDays, wanted: int
) -> tuple[list[date], list[ExcludedDay], list[date]]:
    """Days that may be used, newest first; days left out; event days that could complete them."""
    request = energy.request
    kind = request.calendar.day_type(request.day)
    touched = {timedelta(0), request.end.shifted(-1).local_date - request.day}
    chosen: list[date] = []
    excluded: list[ExcludedDay] = []
    spare: list[date] = []
    for back in range(1, rule.lookback_days + 1):
        day = request.day - timedelta(days=back)
        if request.calendar.day_type(day) is not kind:
            excluded.append(ExcludedDay(day, WhyExcluded.OTHER_DAY_TYPE))
        elif any(day + offset in request.event_days and day + offset < request.day for offset in touched):
            excluded.append(ExcludedDay(day, WhyExcluded.EVENT))
            if energy.complete(day):
                spare.append(day)
        elif not energy.complete(day):
            excluded.append(ExcludedDay(day, WhyExcluded.INCOMPLETE))
        else:
            chosen.append(day)
            if len(chosen) == wanted:
                chosen = _without_low(energy, chosen, rule.min_ratio, excluded)
        if len(chosen) == wanted:
            break
    else:
        before: list[date] = []
        while before != chosen:
            before, chosen = chosen, _without_low(energy, chosen, rule.min_ratio, excluded)
    return chosen, excluded, spare


def _without_low(
    energy: _Readings, days: list[date], min_ratio: Decimal, excluded: list[ExcludedDay]
) -> list[date]:
    """Days whose use is not below a share of the days' mean; the others are noted as left out."""
    least = min_ratio * sum(energy.use(day) for day in days) / max(1, len(days))
    excluded += [ExcludedDay(day, WhyExcluded.LOW_USE) for day in days if energy.use(day) < least]
    return [day for day in days if energy.use(day) >= least]


def _from_days(
    energy: _Readings,
    kept: Sequence[date],
    *,
    name: str,
    actual: Sequence[int],
    excluded: tuple[ExcludedDay, ...],
    completed: tuple[date, ...],
) -> Baseline:
    """Mean of the kept days slot by slot, shifted by what the window before the event shows."""
    request, newest = energy.request, sorted(kept, reverse=True)
    columns = zip(*(energy.block(energy.event, day) or () for day in kept), strict=True)
    plain = [_kwh(sum(column), len(kept)) for column in columns]
    window_kwh = usual_kwh = Decimal(0)
    by_day: tuple[Decimal, ...] = ()
    if request.adjustment is not Adjustment.NONE:
        count = energy.window.count
        today = energy.required(energy.window, request.window(), "the adjustment window")
        sums = [sum(energy.block(energy.window, day) or ()) for day in newest]
        window_kwh = _kwh(sum(today), count)
        usual_kwh = _kwh(sum(sums), count * len(kept))
        by_day = tuple(_kwh(one, count) for one in sums)
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


def _same_day(energy: _Readings, actual: Sequence[int]) -> Baseline:
    """The mean of the window before the event stands for every slot of it."""
    request = energy.request
    window = energy.required(energy.window, request.window(), "the window before the event")
    flat = _kwh(sum(window), len(window))
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
