"""A bill from a meter file and a contract."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from energy.core.errors import GapError
from energy.core.series import Series, Unit
from energy.core.slots import jst_midnight
from energy.market.bill import Bill, period_bill
from energy.market.demand import PeakMemory, first_day, month_shift, split_by_month
from energy.market.rule_table import RuleFact
from energy.market.rules import bill_rules
from energy.market.tariff_file import TariffFile, month_tariff

__all__ = ["MeteredBill", "metered_bill"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredBill:
    """A bill, the rules it rests on, and months of the peak memory that are not wholly known.

    Parameters
    ----------
    incomplete : dict of str to int
        Half hours that the meter file lacks in an earlier month for which no ``peak_memory_kw`` stands: its
        demand may have been higher.
    """

    bill: Bill
    rules: tuple[RuleFact, ...]
    incomplete: dict[str, int]


def metered_bill(file: TariffFile, meter: Series, month: str, *, spot: Series | None = None) -> MeteredBill:
    """Bill of a calendar month.

    Parameters
    ----------
    meter : Series
        Imported energy per slot; the billed month complete, earlier months as far as they are known. [kWh]
    month : str
        ``YYYY-MM``.
    spot : Series, optional
        Market price per slot, for contracts that follow it. [yen/kWh]

    Raises
    ------
    GapError
        If the meter does not cover the month.
    ConfigError
        If the contract or a rule says nothing about one of its days.
    """
    tariff, facts = month_tariff(file, month)
    start, end = jst_midnight(first_day(month)), jst_midnight(first_day(month_shift(month, 1)))
    if meter.grid.start > start or meter.grid.end < end:
        first, last = meter.grid.start + timedelta(hours=9), meter.grid.end + timedelta(hours=9)
        raise GapError(
            f"the meter file does not cover {month}",
            where=f"it holds {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} Japan",
            hint="pass all half hours of the month, stamped by their end (the last: 24:00 of its last day)",
        )
    memory, incomplete = _memory(file, meter, month)
    if spot is not None and (spot.grid.start > start or spot.grid.end < end):
        raise GapError(
            f"the price file does not cover {month}",
            where=f"it begins {spot.grid.start.isoformat()} and ends {spot.grid.end.isoformat()}",
            hint="pass the price of every half hour of the month",
        )
    bill = period_bill(tariff, meter.between(start, end), memory, spot=spot)
    return MeteredBill(bill=bill, rules=(*facts, *bill.rules), incomplete=incomplete)


def _memory(file: TariffFile, meter: Series, month: str) -> tuple[PeakMemory, dict[str, int]]:
    """Highest demand of the months that are remembered: from the file and from the meter."""
    memory, incomplete = file.memory(), {}
    span = bill_rules(first_day(month)).memory_months
    remembered = {month_shift(month, -back) for back in range(1, span)}
    for earlier, values in split_by_month(Series(meter.grid, meter.values, Unit.KWH)).items():
        known = values.values[~np.isnan(values.values)]
        if earlier not in remembered or not known.size:
            continue
        whole = (first_day(month_shift(earlier, 1)) - first_day(earlier)).days * 48
        if known.size < whole and earlier not in file.peak_memory_kw:
            incomplete[earlier] = int(whole - known.size)
        memory = memory.with_peak(earlier, float(known.max()) * 2)
    return memory, incomplete
