"""Prices of imbalances that were imported into the store, for whoever settles a month without files.

``imbalance/AREA/price_yen_per_kwh`` is the price before scarcity and ``imbalance/AREA/margin_percent`` the
reserve margin, half hour by half hour. A price of another quality than good counts as preliminary: the final
one is imported over it and the month settled again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal

from energy.core.measurement import Quality
from energy.core.slots import Slot, jst_midnight, slots_of_day
from energy.core.units import SeriesId
from energy.market.rule_table import Area
from energy.market.rules import facts_on
from energy.store import Snapshot, StoredValue
from vpp.settlement.month import ImbalancePrices

__all__ = ["StoredPrices", "Voltage", "stored_imbalance"]

Voltage = Literal["special_high", "high", "low"]
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrices:
    """What the store has of the prices of a stretch of days.

    Parameters
    ----------
    prices : ImbalancePrices or None
        None unless every half hour has a price and a margin: nothing is guessed.
    missing : int
        Half hours that lack one of the two.
    any : bool
        Whether there is anything at all.
    """

    prices: ImbalancePrices | None
    missing: int
    any: bool


def stored_imbalance(
    known: Snapshot, first: date, last: date, *, area: Area, voltage: Voltage
) -> StoredPrices:
    """The stored prices of the days from ``first`` to ``last``.

    Parameters
    ----------
    area : Area
        Supply area, which names the series.
    voltage : str
        Voltage whose loss rate holds.
    """
    price = _read(known, area, "price_yen_per_kwh", first, last)
    margin = _read(known, area, "margin_percent", first, last)
    days = (first + k * _ONE_DAY for k in range((last - first).days + 1))
    wanted = [slot for day in days for slot in slots_of_day(day)]
    missing = sum(1 for slot in wanted if slot not in price or slot not in margin)
    if missing:
        return StoredPrices(prices=None, missing=missing, any=bool(price or margin))
    loss = facts_on(f"loss_rates.{voltage}", first, area)[0]
    found = ImbalancePrices(
        price={slot: _exact(one) for slot, one in price.items()},
        margin={slot: _exact(one) for slot, one in margin.items()},
        area=area,
        loss_rate=Decimal(loss.value),
        preliminary=frozenset(slot for slot, one in price.items() if one.quality is not Quality.GOOD),
    )
    return StoredPrices(prices=found, missing=0, any=True)


def _read(known: Snapshot, area: Area, quantity: str, first: date, last: date) -> dict[Slot, StoredValue]:
    name = SeriesId(f"imbalance/{area.value}/{quantity}")
    found = known.values(name, jst_midnight(first), jst_midnight(last + _ONE_DAY))
    return {Slot.containing(one.at): one for one in found if one.value is not None}


def _exact(one: StoredValue) -> Decimal:
    """The number as it was published: that is the shortest form of the stored float."""
    return Decimal(repr(one.value))
