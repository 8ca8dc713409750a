"""Thirty-minute demand (デマンド), the memory of its peaks, power factor, and what a kW is worth.

Demand belongs to clock-aligned windows (:00-:30 and :30-:60), not to a rolling mean. The contract power of
a customer below 500 kW is the highest demand of this month and the eleven before (RULES-JP 2.1), so one bad
half hour costs a year, and shaving below a peak that is still remembered earns nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import numpy as np

from energy.core.errors import AlignmentError, DataError
from energy.core.series import Series, Unit
from energy.core.slots import JST, SLOT_LENGTH
from energy.core.tariff import Tariff
from energy.core.units import round_half_up
from energy.market.rules import bill_practice, bill_rules

__all__ = [
    "PeakMemory",
    "demand_kw",
    "exact",
    "first_day",
    "month_of",
    "month_shift",
    "monthly_maxima",
    "power_factor_percent",
    "shaved_value_yen",
    "yen_per_kw_month",
]

_RESOLUTION: Final = 6  # decimals of kW and kWh; a meter register resolves 0.001 kWh


def exact(value: float) -> Decimal:
    """A measured float as a decimal, to a millionth; ``300.49999999999994`` is meant as ``300.5``."""
    return Decimal(repr(round(float(value), _RESOLUTION)))


def month_of(day: date) -> str:
    """Month of a Japanese day, ``YYYY-MM``."""
    return f"{day:%Y-%m}"


def first_day(month: str) -> date:
    """First day of a month ``YYYY-MM``.

    Raises
    ------
    DataError
        If the text is no month.
    """
    try:
        if len(month) != len("2026-07"):
            raise ValueError(month)
        return date.fromisoformat(f"{month}-01")
    except ValueError as error:
        raise DataError(
            f"{month!r} is not a month", hint="write it as year and month, for instance 2026-07"
        ) from error


def month_shift(month: str, count: int) -> str:
    """Month that lies ``count`` months later (earlier if negative).

    Examples
    --------
    >>> month_shift("2026-11", 3)
    '2027-02'
    """
    day = first_day(month)
    years, index = divmod(day.year * 12 + day.month - 1 + count, 12)
    return f"{years:04d}-{index + 1:02d}"


def demand_kw(imported: Series) -> Series:
    """Demand of each clock-aligned half hour. [kW]

    Parameters
    ----------
    imported : Series
        Imported energy in kWh or imported power in kW, in steps of at most thirty minutes, >= 0.

    Returns
    -------
    Series
        ``2 * kWh`` of each slot; missing where any part of the slot is missing.

    Raises
    ------
    AlignmentError
        If the steps are longer than a slot (an hour hides its own peak), or do not fit into slots.
    DataError
        If a value is negative or the unit is neither kW nor kWh.
    """
    if imported.unit not in (Unit.KW, Unit.KWH):
        raise DataError("demand is made of energy or power", unit=imported.unit, hint="pass kWh or kW")
    if imported.grid.step > SLOT_LENGTH:
        raise AlignmentError(
            "demand needs steps of at most thirty minutes",
            step=imported.grid.step,
            hint="an hour's mean hides the peak of its half hours: use the meter's 30-minute file",
        )
    negative = np.flatnonzero(imported.values < 0)
    if negative.size:
        at = imported.grid.time(int(negative[0]))
        raise DataError(
            "imported energy is negative",
            where=f"{float(imported.values[negative[0]])} {imported.unit} at {at.isoformat()}",
            hint="pass the import register only; exported energy is another series",
        )
    per_slot = imported.to_slots()
    factor = 2.0 if imported.unit is Unit.KWH else 1.0
    return Series(per_slot.grid, per_slot.values * factor, Unit.KW, per_slot.known_at)


def monthly_maxima(demand: Series) -> dict[str, Decimal]:
    """Highest demand of each Japanese month that a series of demand touches. [kW]

    Raises
    ------
    GapError
        If a value is missing: a peak may hide in the gap.
    """
    complete = demand.require_complete("demand")
    maxima: dict[str, Decimal] = {}
    for month, values in split_by_month(complete).items():
        maxima[month] = exact(float(values.values.max()))
    return maxima


def split_by_month(series: Series) -> dict[str, Series]:
    """Parts of a series by Japanese month, in order."""
    parts: dict[str, Series] = {}
    start = series.grid.start
    while start < series.grid.end:
        month = month_of(start.astimezone(JST).date())
        midnight = datetime.combine(first_day(month_shift(month, 1)), datetime.min.time(), tzinfo=JST)
        end = min(midnight, series.grid.end)
        parts[month] = series.between(start, end)
        start = parts[month].grid.end
    return parts


@dataclass(frozen=True, slots=True)
class PeakMemory:
    """Highest demand by month, and the contract power that follows from it.

    Parameters
    ----------
    maxima : mapping of str to Decimal
        Highest demand of each month ``YYYY-MM``, >= 0. Months before the meter came are simply absent. [kW]

    Raises
    ------
    DataError
        If a key is no month or a demand is negative.

    Examples
    --------
    >>> memory = PeakMemory({"2026-02": Decimal(340), "2027-02": Decimal(305)})
    >>> memory.contract_kw("2027-01"), memory.contract_kw("2027-02")
    (340, 305)
    """

    maxima: Mapping[str, Decimal]

    def __post_init__(self) -> None:
        for month, kw in self.maxima.items():
            first_day(month)
            if kw < 0:
                raise DataError("a month's demand is negative", month=month, demand_kw=kw)
        ordered = {month: Decimal(kw) for month, kw in sorted(self.maxima.items())}
        object.__setattr__(self, "maxima", MappingProxyType(ordered))

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way to and from a worker process."""
        return PeakMemory, (dict(self.maxima),)

    def with_peak(self, month: str, kw: Decimal | float) -> PeakMemory:
        """Memory that also knows a demand of ``kw`` in a month; a lower one changes nothing."""
        value = exact(kw) if isinstance(kw, float) else Decimal(kw)
        known = self.maxima.get(month, Decimal(0))
        return PeakMemory({**self.maxima, month: max(known, value)})

    def peak_kw(self, month: str) -> Decimal:
        """Highest demand of this month and the eleven before; zero if none is known. [kW]

        Shaving below it is worth nothing in this month (RULES-JP 2.3).
        """
        span = bill_rules(first_day(month)).memory_months
        months = (month_shift(month, -back) for back in range(span))
        return max((self.maxima[each] for each in months if each in self.maxima), default=Decimal(0))

    def contract_kw(self, month: str) -> int:
        """Contract power (契約電力) of a month: its peak memory, rounded half up. [kW]

        Raises
        ------
        DataError
            If no demand of these twelve months is known.
        """
        span = bill_rules(first_day(month)).memory_months
        if not any(month_shift(month, -back) in self.maxima for back in range(span)):
            raise DataError(
                f"no demand is known for the contract power of {month}",
                where=f"months {month_shift(month, 1 - span)} to {month}",
                hint="add the months' highest demand to peak_memory_kw of the site",
            )
        return round_half_up(self.peak_kw(month))


def power_factor_percent(
    active_kwh: Decimal, reactive_kvarh: Decimal, *, month: str, leading: bool = False
) -> int:
    """Power factor of a month as the bill takes it. [%]

    ``PF = P / sqrt(P^2 + Q^2)``, rounded half up to whole percent (RULES-JP 2.2).

    Parameters
    ----------
    active_kwh, reactive_kvarh : Decimal
        Energy of the daytime (08:00-22:00) of the month, >= 0. [kWh, kvarh]
    month : str
        The month, ``YYYY-MM``; one without daytime energy counts as the rules of its date say.
    leading : bool
        Whether the reactive energy leads; then the factor counts as 100 %.

    Raises
    ------
    DataError
        If an energy is negative.

    Examples
    --------
    >>> power_factor_percent(Decimal(60000), Decimal(15000), month="2026-11")
    97
    """
    if active_kwh < 0 or reactive_kvarh < 0:
        raise DataError(
            "daytime energies of the power factor are >= 0",
            active_kwh=active_kwh,
            reactive_kvarh=reactive_kvarh,
            hint="pass the difference of the month's two readings; say leading=True for leading energy",
        )
    if leading:
        return 100
    if active_kwh == 0:
        return bill_practice(first_day(month)).idle_power_factor_percent
    ratio = active_kwh / (active_kwh**2 + reactive_kvarh**2).sqrt()
    return round_half_up(ratio * 100)


def yen_per_kw_month(tariff: Tariff, month: str) -> Decimal:
    """What one kW of contract power costs in a month, power factor included. [yen/kW]

    The price is that of the month's first day.
    """
    return tariff.on(first_day(month)).basic_yen_per_kw_month * tariff.basic_factor()


def shaved_value_yen(
    tariff: Tariff,
    memory: PeakMemory,
    month: str,
    *,
    from_kw: Decimal,
    to_kw: Decimal,
    months: int = 12,
) -> Decimal:
    """What it is worth to hold a month's demand at ``to_kw`` instead of ``from_kw``. [yen]

    ``sum over m of (contract(m | from) - contract(m | to)) * unit(m) * (185 - PF) / 100``

    Parameters
    ----------
    memory : PeakMemory
        Demand of the other months. Months after ``month`` count only as far as they are in it, so the value
        is an upper bound when a later month may set a higher peak of its own.
    month : str
        The month of the peak, ``YYYY-MM``; its own entry in the memory is a peak already set.
    from_kw, to_kw : Decimal
        Demand without and with shaving. [kW]
    months : int
        How many billing months count, from ``month`` on. A peak is remembered for twelve.

    Raises
    ------
    DataError
        If ``to_kw`` is above ``from_kw``.
    """
    if to_kw > from_kw:
        raise DataError("shaving cannot raise the demand", from_kw=from_kw, to_kw=to_kw)
    without, shaved = memory.with_peak(month, from_kw), memory.with_peak(month, to_kw)
    total = Decimal(0)
    for ahead in range(months):
        billed = month_shift(month, ahead)
        kw = round_half_up(without.peak_kw(billed)) - round_half_up(shaved.peak_kw(billed))
        total += kw * yen_per_kw_month(tariff, billed) if kw else 0
    return total
