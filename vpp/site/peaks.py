"""The highest demand of each month: what a contract remembers for twelve of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from energy.core.site import Site
from energy.core.slots import JST
from energy.market.demand import PeakMemory, month_shift
from energy.store import Snapshot
from vpp.site.recorder import SiteSeries

__all__ = ["MonthPeaks"]


@dataclass(slots=True)
class MonthPeaks:
    """Highest half-hourly demand by month (``2026-08``) as it was measured. [kW]"""

    by_month: dict[str, float] = field(default_factory=dict)

    def note(self, start: datetime, imported_kwh: float | None) -> None:
        """Take note of the energy of a half-hour; None if nobody knows it. [kWh]"""
        if imported_kwh is not None:
            month = f"{start.astimezone(JST):%Y-%m}"
            self.by_month[month] = max(self.by_month.get(month, 0.0), 2.0 * imported_kwh)

    def learn(self, known: Snapshot, site: str, now: datetime) -> None:
        """Take note of all that is stored of the last thirteen months."""
        name = SiteSeries(site)["meter", "import_kwh"]
        for one in known.values(name, now - timedelta(days=400), now):
            self.note(one.at, one.value)

    def remembered_kw(self, site: Site, now: datetime, *, months_later: int = 0) -> float:
        """Highest demand that the contract remembers in the month of an instant, or a later one. [kW]"""
        memory = PeakMemory(dict(site.peak_memory_kw))
        for month, peak in self.by_month.items():
            memory = memory.with_peak(month, peak)
        return float(memory.peak_kw(month_shift(f"{now.astimezone(JST):%Y-%m}", months_later)))
