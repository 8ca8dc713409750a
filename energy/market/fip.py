"""The premium of a plant under FIP (feed-in premium), from the prices of a month that were published.

::

    reference = average of the year before + (average of the month - of that month a year before)
                + non-fossil value - balancing cost
    premium   = max(0, base - reference) * factor        in half hours above the floor price, else 0

The averages are weighted by the area's generation of the plant's kind, and the factor is the area's
generation of the month over that in half hours above the floor: both need data of the whole area, so they are
inputs of a contract file, not computed here.

References
----------
.. [1] Act on renewable energy, in force since 2022-04: premium is the base price less the reference price
   (RULES-JP 1.7, medium confidence).
.. [2] docs.tensorenergy.jp, "FIP calculation", for the parts of the reference price and the factor.
   Secondary: the ministry's text was not seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from energy.core.assets import Identifier, strict
from energy.core.errors import ConfigError, DataError
from energy.core.series import Series
from energy.core.slots import Slot, jst_midnight
from energy.market.demand import first_day, month_shift
from energy.market.prices import MICRO, micro
from energy.market.rule_table import Area, RuleFact
from energy.market.rules import FipFloor, facts_on, rule_row

__all__ = ["FipMonth", "FipPremium", "FipTerms", "fip_premium"]

Yen = Annotated[Decimal, Field(ge=0, max_digits=8)]
_ONE_DAY: Final = timedelta(days=1)


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class FipMonth:
    """What was published for one month of delivery. [yen/kWh]

    Parameters
    ----------
    year_before, month_before : Decimal
        Market averages of the fiscal year before, and of the same month in it.
    month : Decimal
        Market average of the month.
    non_fossil, balancing : Decimal
        Non-fossil value, and the cost of balancing that is taken off.
    factor : Decimal
        By how much half hours above the floor are raised for those at it, >= 1. [-]
    """

    year_before: Yen
    month_before: Yen
    month: Yen
    non_fossil: Yen
    balancing: Yen
    factor: Annotated[Decimal, Field(ge=1, le=10)] = Decimal(1)

    @property
    def reference_yen_per_kwh(self) -> Decimal:
        """Reference price; may be negative where the market collapsed. [yen/kWh]"""
        return self.year_before + (self.month - self.month_before) + self.non_fossil - self.balancing


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class FipTerms:
    """A plant under FIP.

    Parameters
    ----------
    base_yen_per_kwh : Decimal
        Its base price (基準価格), by its certificate. [yen/kWh]
    months : dict of str to FipMonth
        By month of delivery ``YYYY-MM``.
    source, status : str
        Who says these figures, and whether that was seen.
    """

    plant: Identifier
    base_yen_per_kwh: Yen
    months: dict[str, FipMonth]
    source: Annotated[str, Field(min_length=1)] = "the contract file, which names no source"
    status: Literal["verified", "unverified"] = "unverified"


@dataclass(frozen=True, slots=True, kw_only=True)
class FipPremium:
    """What a plant gets for a month.

    Parameters
    ----------
    kwh, floor_kwh : Decimal
        Generated energy, and the part of it in half hours without a premium. [kWh]
    yen : int
        Premium for the rest, rounded down once. [yen]
    rules : tuple of RuleFact
        The floor, and the published figures as facts.
    """

    plant: str
    month: str
    kwh: Decimal
    floor_kwh: Decimal
    floor_slots: int
    reference_yen_per_kwh: Decimal
    premium_yen_per_kwh: Decimal
    yen: int
    rules: tuple[RuleFact, ...]


def fip_premium(
    terms: FipTerms, month: str, generation_kwh: Series, spot: Mapping[Slot, Decimal]
) -> FipPremium:
    """The premium of a month.

    Parameters
    ----------
    generation_kwh : Series
        What the plant sold, by half hour; the month complete. [kWh]
    spot : mapping of Slot to Decimal
        Day-ahead price of the plant's area. [yen/kWh]

    Raises
    ------
    ConfigError
        If nothing was published for the month.
    DataError
        If a price of a half hour is missing, or an energy is missing or negative.
    """
    told = terms.months.get(month)
    if told is None:
        raise ConfigError(
            f"nothing is written for {month}",
            where=f"plant {terms.plant}: {', '.join(sorted(terms.months)) or 'no month'}",
            hint="add the month's published prices to the contract file",
        )
    first, after = first_day(month), first_day(month_shift(month, 1))
    inside = generation_kwh.between(jst_midnight(first), jst_midnight(after)).require_complete(
        f"generation of {terms.plant}"
    )
    parts = micro(inside.values)
    floor = rule_row(FipFloor, first).values.price_yen_per_kwh
    kept, all_parts, floor_slots = 0, 0, 0
    for slot, value in zip(inside.grid.slots(), parts.tolist(), strict=True):
        if value < 0:
            raise DataError(
                "a plant generated less than nothing",
                where=f"{terms.plant} at {slot.start.isoformat()}",
                hint="check the file: an energy is 0 or more",
            )
        if slot not in spot:
            raise DataError(
                "the area's price of a half hour is missing",
                where=slot.start.isoformat(),
                hint="pass the day-ahead prices of the whole month",
            )
        all_parts += value
        if spot[slot] > floor:
            kept += value
        else:
            floor_slots += 1
    reference = told.reference_yen_per_kwh
    premium = max(Decimal(0), terms.base_yen_per_kwh - reference) * told.factor
    yen = int((Decimal(kept) / MICRO * premium).to_integral_value(rounding=ROUND_FLOOR))
    return FipPremium(
        plant=terms.plant,
        month=month,
        kwh=Decimal(all_parts) / MICRO,
        floor_kwh=Decimal(all_parts - kept) / MICRO,
        floor_slots=floor_slots,
        reference_yen_per_kwh=reference,
        premium_yen_per_kwh=premium,
        yen=yen,
        rules=(*facts_on("fip_floor", first), *_facts(terms, month, told)),
    )


def _facts(terms: FipTerms, month: str, told: FipMonth) -> list[RuleFact]:
    """The contract's figures of a month as facts with their source."""
    first, last = first_day(month), first_day(month_shift(month, 1)) - _ONE_DAY
    values = {
        "base": terms.base_yen_per_kwh,
        **{
            name: getattr(told, name)
            for name in ("year_before", "month_before", "month", "non_fossil", "balancing")
        },
    }
    facts = {f"fip.{terms.plant}.{name}": (value, "yen/kWh") for name, value in values.items()}
    facts[f"fip.{terms.plant}.factor"] = (told.factor, "1")
    return [
        RuleFact(
            rule=name,
            area=Area.ALL,
            valid_from=first,
            valid_to=last,
            value=str(value),
            unit=unit,
            source=terms.source,
            status=terms.status,
        )
        for name, (value, unit) in facts.items()
    ]
