"""What a kWh costs: one place for the prices that the optimiser sees and for the charges that the bill makes.

Energy is counted in whole millionths of a kWh and prices are decimals, so that charges are exact whatever the
order in which slots are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from energy.core.errors import AlignmentError, ConfigError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import JST, Slot
from energy.core.tariff import Tariff, TariffPeriod

__all__ = ["MICRO", "DayCharges", "day_charges", "micro", "slot_prices"]

MICRO: Final = 1_000_000  # parts of a kWh and of a yen that are counted; a meter register resolves 0.001 kWh
IntArray = NDArray[np.int64]


def micro(values: FloatArray) -> IntArray:
    """Values as whole millionths: the float nearest to a reading becomes that reading again."""
    return np.rint(values * MICRO).astype(np.int64)


@dataclass(frozen=True, slots=True)
class DayCharges:
    """Energy of a day and what it costs before the basic charge; nothing rounded.

    Parameters
    ----------
    kwh : Decimal
        Energy. [kWh]
    energy_yen, adjustment_yen, levy_yen : Decimal
        Energy charge; fuel, market and support; levy. [yen]
    """

    day: date
    prices: TariffPeriod
    kwh: Decimal
    energy_yen: Decimal
    adjustment_yen: Decimal
    levy_yen: Decimal


def _kwh(parts: int) -> Decimal:
    return Decimal(parts) / MICRO


def day_charges(
    tariff: Tariff, day: date, kwh: IntArray, *, used_kwh: Decimal, spot: IntArray | None = None
) -> DayCharges:
    """Charges of one Japanese day.

    Parameters
    ----------
    kwh : ndarray of int, shape (48,)
        Imported energy of each slot. [kWh / 1e6]
    used_kwh : Decimal
        Energy of the month before this day, for steps. [kWh]
    spot : ndarray of int, shape (48,), optional
        Market price of each slot, for tariffs that follow it. [yen/kWh / 1e6]

    Raises
    ------
    ConfigError
        If the tariff has no prices for the day, or follows the market and no market price was given.
    """
    prices = tariff.on(day)
    parts = int(kwh.sum())
    total = _kwh(parts)
    if prices.steps:
        energy = _stepped_yen(prices, day, used_kwh, total)
    elif prices.bands:
        slot_prices_yen = _band_prices(prices, day)
        sums: dict[Decimal, int] = {}
        for price, amount in zip(slot_prices_yen, kwh.tolist(), strict=True):
            sums[price] = sums.get(price, 0) + amount
        energy = sum((price * _kwh(amount) for price, amount in sums.items()), Decimal(0))
    else:
        energy = prices.season_yen_per_kwh(day) * total
    adjustment = prices.fixed_adjustment_yen_per_kwh() * total
    if prices.market is not None:
        if spot is None:
            raise _no_market(tariff, day)
        weighted = sum(
            a * b for a, b in zip(kwh.tolist(), spot.tolist(), strict=True)
        )  # exact: Python's integers
        adjustment += prices.market.factor * (
            Decimal(weighted) / MICRO / MICRO - prices.market.base_yen_per_kwh * total
        )
    return DayCharges(day, prices, total, energy, adjustment, prices.levy_yen_per_kwh * total)


@lru_cache(maxsize=8192)
def _band_prices(prices: TariffPeriod, day: date) -> tuple[Decimal, ...]:
    return prices.band_prices(day)


def _no_market(tariff: Tariff, day: date) -> ConfigError:
    return ConfigError(
        f"the prices of {day} follow the market, and no market price is known",
        where=f"tariff {tariff.name_en!r}",
        hint="give the area's spot price of every slot (vpp bill --price FILE)",
    )


def _step_bounds(prices: TariffPeriod, day: date) -> list[tuple[Decimal, Decimal]]:
    """Energy of the month from which each price on holds."""
    steps = [(step.above_kwh, step.yen_per_kwh) for step in prices.steps]
    return [(Decimal(0), prices.season_yen_per_kwh(day)), *steps]


def _stepped_yen(prices: TariffPeriod, day: date, used: Decimal, kwh: Decimal) -> Decimal:
    """Charge of the energy between ``used`` and ``used + kwh`` of the month."""
    bounds = _step_bounds(prices, day)
    uppers = [bound for bound, _ in bounds[1:]] + [max(used + kwh, bounds[-1][0])]
    return sum(
        (
            max(Decimal(0), min(upper, used + kwh) - max(lower, used)) * price
            for (lower, price), upper in zip(bounds, uppers, strict=True)
        ),
        Decimal(0),
    )


def slot_prices(
    tariff: Tariff, grid: Grid, *, spot: Series | None = None, used_kwh: Series | None = None
) -> Series:
    """What one more imported kWh costs in each interval: energy, adjustment and levy. [yen/kWh]

    The basic charge is not in it: that depends on the peak, not on a kWh
    (:func:`energy.market.demand.yen_per_kw_month`).

    Parameters
    ----------
    spot : Series, optional
        Market price on the same grid, for tariffs that follow it. [yen/kWh]
    used_kwh : Series, optional
        Energy of the month before each interval, for tariffs with steps. [kWh]

    Raises
    ------
    ConfigError
        If the tariff has no prices for a day, or needs what was not given.
    AlignmentError
        If a series lies on another grid.
    """
    for name, series in (("spot", spot), ("used_kwh", used_kwh)):
        if series is not None and series.grid != grid:
            raise AlignmentError(f"{name} lies on another grid", hint="cut it with Series.between")
    values = np.empty(grid.count)
    for k, start in enumerate(grid.times()):
        slot = Slot.containing(start)
        day = start.astimezone(JST).date()
        prices = tariff.on(day)
        price = _band_prices(prices, day)[slot.koma - 1]
        if prices.steps:
            if used_kwh is None:
                raise ConfigError(
                    f"the price of {day} depends on the month's energy, which is not known",
                    where=f"tariff {tariff.name_en!r} has steps",
                    hint="give the energy of the month before each slot",
                )
            used = _kwh(int(micro(used_kwh.values[k : k + 1])[0]))
            price = [step for bound, step in _step_bounds(prices, day) if bound <= used][-1]
        price += prices.fixed_adjustment_yen_per_kwh() + prices.levy_yen_per_kwh
        if prices.market is not None:
            if spot is None or np.isnan(spot.values[k]):
                raise _no_market(tariff, day)
            market = _kwh(int(micro(spot.values[k : k + 1])[0]))
            price += prices.market.factor * (market - prices.market.base_yen_per_kwh)
        values[k] = float(price)
    return Series(grid, values, Unit.YEN_PER_KWH)
