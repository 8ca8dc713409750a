"""What electricity costs a high-voltage customer; the rows of a contract, looked up by date.

The bill itself (rounding, power factor, levy) is made in :mod:`energy.market.bill`; this is the data.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from energy.core.errors import ConfigError

__all__ = ["Tariff", "TariffPeriod"]

Yen = Annotated[Decimal, Field(ge=0, max_digits=12)]

# RULES-JP 2.2: summer is 1 July to 30 September.
_SUMMER_MONTHS = frozenset({7, 8, 9})


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class TariffPeriod:
    """Prices valid from one day to another, both included.

    Parameters
    ----------
    basic_yen_per_kw_month : Decimal
        Basic charge (基本料金) before the power-factor term. [yen/kW-month]
    summer_yen_per_kwh, other_yen_per_kwh : Decimal
        Energy charge, 1 July to 30 September and otherwise. [yen/kWh]
    adjustment_yen_per_kwh : Decimal
        Fuel and market adjustment, may be negative. [yen/kWh]
    levy_yen_per_kwh : Decimal
        Renewable-energy levy (再エネ賦課金). [yen/kWh]
    """

    valid_from: date
    valid_to: date
    basic_yen_per_kw_month: Yen
    summer_yen_per_kwh: Yen
    other_yen_per_kwh: Yen
    adjustment_yen_per_kwh: Decimal = Decimal(0)
    levy_yen_per_kwh: Yen = Decimal(0)

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> TariffPeriod:
        if self.valid_from > self.valid_to:
            msg = f"valid_from {self.valid_from} is after valid_to {self.valid_to}"
            raise ValueError(msg)
        return self

    def energy_yen_per_kwh(self, day: date) -> Decimal:
        """Everything one more kWh costs on a day: energy, adjustment and levy. [yen/kWh]"""
        season = self.summer_yen_per_kwh if day.month in _SUMMER_MONTHS else self.other_yen_per_kwh
        return season + self.adjustment_yen_per_kwh + self.levy_yen_per_kwh


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Tariff:
    """A contract: its name, its power factor and its dated prices.

    Parameters
    ----------
    power_factor_percent : int
        Power factor in integer percent; 100 gives the full discount of 15 %. [%]
    periods : tuple of TariffPeriod
        In order, without overlap.
    """

    name_ja: str
    name_en: str
    periods: Annotated[tuple[TariffPeriod, ...], Field(min_length=1)]
    power_factor_percent: Annotated[int, Field(ge=0, le=100)] = 100

    @model_validator(mode="after")
    def _periods_do_not_overlap(self) -> Tariff:
        for earlier, later in zip(self.periods, self.periods[1:], strict=False):
            if later.valid_from <= earlier.valid_to:
                msg = f"periods overlap or are out of order: {earlier.valid_to} and {later.valid_from}"
                raise ValueError(msg)
        return self

    def on(self, day: date) -> TariffPeriod:
        """Prices of a day.

        Raises
        ------
        ConfigError
            If no period covers the day.
        """
        for period in self.periods:
            if period.valid_from <= day <= period.valid_to:
                return period
        raise ConfigError(
            f"the tariff has no prices for {day}",
            where=f"tariff {self.name_en!r} covers "
            + ", ".join(f"{p.valid_from}..{p.valid_to}" for p in self.periods),
            hint="add a period that covers this day to tariff.periods",
        )

    def basic_factor(self) -> Decimal:
        """Power-factor term of the basic charge: ``(185 - PF) / 100`` (RULES-JP 2.2). [-]"""
        return (Decimal(185) - self.power_factor_percent) / 100
