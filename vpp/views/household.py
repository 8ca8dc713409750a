"""What a home used, against its own week before and against similar homes, and tips from its own readings.

Similar homes are those that agreed to be compared (:data:`vpp.consents.COMPARISON`) and whose week is whole.
Fewer than the dated rule of the smallest group, or one that weighs too much, and nothing is said. Every tip
is reckoned from the home's own readings and its own prices; what is assumed stands in the tip.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from energy.core.errors import ConfigError
from energy.core.series import FloatArray, Grid, Unit
from energy.core.site import Site
from energy.core.slots import JST, SLOT_HOURS, SLOTS_PER_DAY, jst_midnight
from energy.market.prices import slot_prices
from energy.market.rules import minimum_group
from energy.store import Snapshot, Store
from vpp.consents import COMPARISON, admitted, on_record
from vpp.site.recorder import SiteSeries

__all__ = ["HomeWeek", "Similar", "Tip", "Use", "home_week"]

DAYS: Final = 7
_NIGHT: Final = slice(4, 8)  # 02:00-04:00: what runs then runs always
_SHARE: Final = 0.3  # of the standby use that can usually be switched off; an assumption, named in the tip
_MIDDAY: Final = slice(18, 32)
_EVENING: Final = slice(34, 44)
_MONTH_DAYS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A week of a home. [kWh]

    Parameters
    ----------
    bought, sold, sun : ndarray, shape (7, 48)
        Per half hour; NaN where it was not metered. ``sun`` is None without an array.
    """

    first: date
    bought: FloatArray
    sold: FloatArray
    sun: FloatArray | None

    @property
    def used(self) -> FloatArray:
        """What the home used: bought, and its own sun less what was sold."""
        own = 0.0 if self.sun is None else np.nan_to_num(self.sun) - np.nan_to_num(self.sold)
        return np.asarray(self.bought + own)

    @property
    def missing(self) -> int:
        """Half hours that were not metered."""
        return int(np.isnan(self.bought).sum())


@dataclass(frozen=True, slots=True)
class Similar:
    """The mean of similar homes; ``kwh`` is None where the group is too small to be shown."""

    kwh: float | None
    sites: int
    least: int


@dataclass(frozen=True, slots=True)
class Tip:
    """Something to do: its words (``homes.tip.NAME``), and what it would change in a month."""

    name: str
    kwh: float
    yen: float
    facts: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeWeek:
    """The last seven whole days of a home.

    Parameters
    ----------
    compared_kwh, before_kwh : float
        Used in the half hours that both weeks have. [kWh]
    compared_slots : int
        How many these are.
    yen : float or None
        What was bought at the home's prices; None where the tariff has none. [yen]
    """

    site: Site
    this: Use
    before: Use
    compared_kwh: float
    before_kwh: float
    compared_slots: int
    yen: float | None
    similar: Similar
    tips: tuple[Tip, ...]

    @property
    def used_kwh(self) -> float:
        """Used in the week, as far as it was metered. [kWh]"""
        return float(np.nansum(self.this.used))

    @property
    def empty(self) -> bool:
        """Whether nothing was metered in the week."""
        return bool(np.isnan(self.this.bought).all())

    def days(self) -> list[float | None]:
        """Use by day; None for a day without a reading. [kWh]"""
        used = self.this.used
        return [None if np.isnan(day).all() else float(np.nansum(day)) for day in used]


def home_week(store: Store, site: Site, now: datetime, *, actor: str) -> HomeWeek:
    """The last seven whole days of a home as an instant knows them."""
    known = store.as_of(now)
    today = now.astimezone(JST).date()
    this, before = (_use(known, site, today - timedelta(days=back)) for back in (DAYS, 2 * DAYS))
    both = np.isfinite(this.used) & np.isfinite(before.used)
    prices = _prices(site, this.first)
    yen = None if prices is None else float(np.nansum(this.bought * prices))
    return HomeWeek(
        site=site,
        this=this,
        before=before,
        compared_kwh=float(this.used[both].sum()),
        before_kwh=float(before.used[both].sum()),
        compared_slots=int(both.sum()),
        yen=yen,
        similar=_similar(store, known, site, this.first, now=now, actor=actor),
        tips=tuple(_tips(this, prices)),
    )


def _grid(first: date) -> Grid:
    return Grid(jst_midnight(first), DAYS * SLOTS_PER_DAY)


def _use(known: Snapshot, site: Site, first: date) -> Use:
    names = SiteSeries(site.id)

    def read(asset: str, quantity: str) -> FloatArray:
        values = known.series(names[asset, quantity], _grid(first), Unit.KWH).values
        return np.asarray(values.reshape(DAYS, SLOTS_PER_DAY))

    bought = read("meter", "import_kwh")

    def beside(values: FloatArray) -> FloatArray:
        """Only where the meter was read, too: else energies of different hours would be subtracted."""
        return np.where(np.isnan(bought), np.nan, values)

    sun = None if site.pv is None else beside(read(site.pv.id, "generation_kwh"))
    return Use(first=first, bought=bought, sold=beside(read("meter", "export_kwh")), sun=sun)


def _prices(site: Site, first: date) -> FloatArray | None:
    """What a bought kWh costs, per half hour of the week. [yen/kWh]"""
    try:
        return np.asarray(slot_prices(site.tariff, _grid(first)).values.reshape(DAYS, SLOTS_PER_DAY))
    except ConfigError:  # no price for these days: nothing is said about money
        return None


def _similar(store: Store, known: Snapshot, site: Site, first: date, *, now: datetime, actor: str) -> Similar:
    """Mean use of the homes that agreed, the home itself left out; only of whole weeks. [kWh]"""
    rule = minimum_group(first)
    # Only who once agreed is asked about: a home that never did is no refusal to be written down.
    asked = {one.subject for one in on_record(store, now) if one.purpose == COMPARISON.purpose}
    others = sorted(asked - {site.id})
    agreed = admitted(store, others, COMPARISON, at=now, actor=actor)
    weeks = []
    for one in sorted(agreed):
        bought = known.series(SiteSeries(one)["meter", "import_kwh"], _grid(first), Unit.KWH).values
        if not np.isnan(bought).any():
            weeks.append(float(bought.sum()))
    total = sum(weeks)
    shown = len(weeks) >= rule.min_sites and total > 0.0
    shown = shown and Decimal(repr(max(weeks) / total)) <= rule.max_site_share
    return Similar(total / len(weeks) if shown else None, len(weeks), rule.min_sites)


def _tips(week: Use, prices: FloatArray | None) -> list[Tip]:
    """What the readings of the week suggest, the dearest first; nothing without prices or readings."""
    if prices is None or np.isnan(week.bought).all():
        return []
    used, price = week.used, float(np.nanmean(prices))
    found = []
    night = used[:, _NIGHT]
    if np.isfinite(night).any():
        standby_kw = float(np.nanmin(night)) / SLOT_HOURS
        kwh = _SHARE * standby_kw * 24.0 * _MONTH_DAYS
        facts = {"kw": standby_kw, "share": _SHARE}
        found.append(Tip("standby", kwh, kwh * price, facts))
    if week.sun is not None:
        per_day = np.minimum(
            np.nansum(week.sold[:, _MIDDAY], axis=1), np.nansum(week.bought[:, _EVENING], axis=1)
        )
        kwh = float(per_day.sum()) * _MONTH_DAYS / DAYS
        found.append(Tip("midday", kwh, kwh * price, {"days": float((per_day > 0.0).sum())}))
    whole = np.array([np.nan if np.isnan(day).any() else day.sum() for day in used])
    if np.isfinite(whole).sum() > 1:
        most = int(np.nanargmax(whole))
        others = float(np.nanmean(np.delete(whole, most)))
        more = float(whole[most]) - others
        kwh = more * _MONTH_DAYS / DAYS
        found.append(Tip("highest", kwh, kwh * price, {"day": float(most), "more": more}))
    return sorted((tip for tip in found if tip.kwh >= 1.0), key=lambda tip: -tip.yen)
