"""The market's dated numbers by name: looked up with the day of *delivery*, never with today.

For the levy the day is that of the meter reading. Each number keeps its source and whether that was seen
(:class:`~energy.market.rule_table.RuleFact`), so that a bill, a plan or a settlement says what it rests on.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeVar, cast

from pydantic import Field, model_validator

from energy.core.errors import ConfigError
from energy.core.slots import JST
from energy.market.dr_rules import (
    BalancingResponse,
    CoinValue,
    DeliveryTracking,
    EconomicTerms,
    TightTerms,
    UpTerms,
)
from energy.market.rule_table import (
    Area,
    RuleFact,
    RuleRow,
    RuleTable,
    RuleValues,
    parse_rule_table,
    rule_files,
)

__all__ = [
    "RULES",
    "BalancingProducts",
    "BaselineAdjustment",
    "BaselineDays",
    "BaselineError",
    "BaselineShortage",
    "BillPractice",
    "BillRules",
    "CapacityProduct",
    "ConsumptionTax",
    "FipFloor",
    "GamingAlarm",
    "InvoiceRounding",
    "Levy",
    "LossRates",
    "MinimumGroup",
    "PlanDeadlines",
    "PriceThreshold",
    "ScarcityMargins",
    "ScarcityPrice",
    "SpotLot",
    "SpotMarket",
    "Subsidy",
    "ThresholdRelease",
    "TightSupply",
    "bill_practice",
    "bill_rules",
    "facts_on",
    "levy_yen_per_kwh",
    "minimum_group",
    "plan_deadlines",
    "rule_row",
    "rule_table",
    "spot_published_at",
    "subsidy_yen_per_kwh",
]

Share = Annotated[Decimal, Field(ge=0, le=1)]
NotNegative = Annotated[Decimal, Field(ge=0)]
Positive = Annotated[Decimal, Field(gt=0)]


class Levy(RuleValues):
    """Renewable-energy levy. [yen/kWh]"""

    levy_yen_per_kwh: NotNegative


class Subsidy(RuleValues):
    """Government support, taken off every kWh. [yen/kWh]"""

    subsidy_yen_per_kwh: NotNegative


class BillRules(RuleValues):
    """How a high-voltage bill is made.

    Parameters
    ----------
    memory_months : int
        Months whose demand makes the contract power, this month included.
    measured_contract_below_kw : int
        From this contract power on it is negotiated, not measured. [kW]
    """

    memory_months: Annotated[int, Field(ge=1)]
    measured_contract_below_kw: Annotated[int, Field(gt=0)]


class BillPractice(RuleValues):
    """What contracts commonly say about a high-voltage bill.

    Parameters
    ----------
    unused_month_basic_share : Decimal
        Share of the basic charge in a month without any use. [-]
    idle_power_factor_percent : int
        Power factor of a month without daytime energy. [%]
    excess_factor : Decimal
        What demand above an agreed contract costs, in basic charges (超過金). [-]
    """

    unused_month_basic_share: Share
    idle_power_factor_percent: Annotated[int, Field(ge=0, le=100)]
    excess_factor: NotNegative


class PlanDeadlines(RuleValues):
    """Japanese local times on the day before delivery, and our own margin. [min]"""

    next_day_closes: time
    same_day_opens: time
    margin_minutes: Annotated[int, Field(ge=0)]


class SpotMarket(RuleValues):
    """Japanese local times of the day-ahead market on the day before delivery."""

    bidding_closes: time
    prices_published: time


class SpotLot(RuleValues):
    """Smallest amount that is traded in a slot. [kWh]"""

    lot_kwh: Annotated[int, Field(gt=0)]


class MinimumGroup(RuleValues):
    """Smallest group whose sum may leave the house.

    Parameters
    ----------
    min_sites : int
        Sites that a sum must hold at least.
    max_site_share : Decimal
        Largest share that one site may have in a sum. [-]
    """

    min_sites: Annotated[int, Field(ge=2)]
    max_site_share: Annotated[Decimal, Field(gt=0, lt=1)]


class ScarcityPrice(RuleValues):
    """Imbalance price in scarcity: ``C`` at the lowest margins, ``D`` at the knee. [yen/kWh]"""

    c_yen_per_kwh: NotNegative
    d_yen_per_kwh: NotNegative


class ScarcityMargins(RuleValues):
    """Reserve margins between which the scarcity price runs straight: 0, then D, then C. [%]"""

    zero_percent: NotNegative
    knee_percent: NotNegative
    cap_percent: NotNegative

    @model_validator(mode="after")
    def _falls(self) -> ScarcityMargins:
        if not self.zero_percent > self.knee_percent > self.cap_percent:
            msg = "the margins must fall: zero_percent > knee_percent > cap_percent"
            raise ValueError(msg)
        return self


class PriceThreshold(RuleValues):
    """When many slots were dear the scarcity price is capped (累積価格閾値制度).

    Parameters
    ----------
    trigger_yen_per_kwh : Decimal
        A slot whose spot price of the area reaches this counts. [yen/kWh]
    slots, days : int
        So many slots within so many days switch the cap on.
    cap_yen_per_kwh : Decimal or None
        Highest scarcity price while it is on; None where there is no such rule. [yen/kWh]
    """

    trigger_yen_per_kwh: NotNegative
    slots: Annotated[int, Field(ge=1)]
    days: Annotated[int, Field(ge=1)]
    cap_yen_per_kwh: NotNegative | None


class ThresholdRelease(RuleValues):
    """The cap ends after so many days in a row without a slot at this spot price or above. [yen/kWh]"""

    below_yen_per_kwh: NotNegative
    days: Annotated[int, Field(ge=1)]


class LossRates(RuleValues):
    """Losses between sending and receiving end, by voltage. [-]"""

    special_high: Annotated[Decimal, Field(ge=0, lt=1)]
    high: Annotated[Decimal, Field(ge=0, lt=1)]
    low: Annotated[Decimal, Field(ge=0, lt=1)]


class BaselineDays(RuleValues):
    """Days of the standard baseline (High 4 of 5, High 2 of 3).

    Parameters
    ----------
    lookback_days : int
        How far back days are looked for. [d]
    weekday_days, rest_days : int
        Days that are collected; the lowest one is left out.
    min_ratio : Decimal
        A day below this share of the mean is skipped. [-]
    """

    lookback_days: Annotated[int, Field(ge=1)]
    weekday_days: Annotated[int, Field(ge=2)]
    rest_days: Annotated[int, Field(ge=2)]
    min_ratio: Share


class BaselineAdjustment(RuleValues):
    """Same-day adjustment: the window before the start of the event. [h]"""

    window_from_h: Positive
    window_to_h: NotNegative

    @model_validator(mode="after")
    def _window_has_slots(self) -> BaselineAdjustment:
        if self.window_from_h <= self.window_to_h:
            msg = "window_from_h must lie farther before the event than window_to_h"
            raise ValueError(msg)
        return self


class BaselineError(RuleValues):
    """Largest relative error on days without an event with which a site may enrol. [-]"""

    max_rrmse: Positive


class BaselineShortage(RuleValues):
    """Past event days that may complete a baseline with too few days. [d]"""

    event_days: Annotated[int, Field(ge=0)]


class GamingAlarm(RuleValues):
    """When a same-day adjustment is suspicious: share of the window's use, spreads of the days. [-]"""

    min_share: Positive
    spreads: NotNegative


class TightSupply(RuleValues):
    """Reserve margins below which supply is called tight. [%]"""

    advisory_below_percent: NotNegative
    warning_below_percent: NotNegative


class CapacityProduct(RuleValues):
    """Activation product of the capacity market (発動指令電源).

    Parameters
    ----------
    deliver_hours, notice_hours : Decimal
        How long a called resource delivers, and how long before it is called. [h]
    activations_per_year : int
        Most calls in a fiscal year.
    earliest, latest : time
        Japanese hours of weekdays in which calls lie.
    min_kw : int
        Smallest aggregate. [kW]
    """

    deliver_hours: Positive
    notice_hours: Positive
    activations_per_year: Annotated[int, Field(ge=1)]
    earliest: time
    latest: time
    min_kw: Annotated[int, Field(gt=0)]


class BalancingProducts(RuleValues):
    """Products of the balancing market: smallest bid and step. [kW]"""

    min_kw: Annotated[int, Field(gt=0)]
    step_kw: Annotated[int, Field(gt=0)]


class ConsumptionTax(RuleValues):
    """Consumption tax on what is published without it. [-]"""

    rate: Share


class InvoiceRounding(RuleValues):
    """How the lines, the subtotal and the tax of an invoice become whole yen; ``none`` keeps the fraction."""

    line: Literal["none", "down", "half_up"]
    subtotal: Literal["down", "half_up"]
    tax: Literal["down", "half_up"]


class FipFloor(RuleValues):
    """Day-ahead price at and below which a half hour earns no premium under FIP. [yen/kWh]"""

    price_yen_per_kwh: Annotated[Decimal, Field(ge=0)]


RULES: Final[dict[str, type[RuleValues]]] = {
    "balancing_products": BalancingProducts,
    "balancing_response": BalancingResponse,
    "bill_practice": BillPractice,
    "capacity_product": CapacityProduct,
    "coin_value": CoinValue,
    "consumption_tax": ConsumptionTax,
    "dr_baseline_adjustment": BaselineAdjustment,
    "dr_baseline_days": BaselineDays,
    "dr_baseline_error": BaselineError,
    "dr_baseline_shortage": BaselineShortage,
    "dr_economic": EconomicTerms,
    "dr_gaming": GamingAlarm,
    "dr_tight": TightTerms,
    "dr_tracking": DeliveryTracking,
    "dr_up": UpTerms,
    "fip_floor": FipFloor,
    "high_voltage_bill": BillRules,
    "high_voltage_subsidy": Subsidy,
    "imbalance_scarcity_margins": ScarcityMargins,
    "imbalance_scarcity_price": ScarcityPrice,
    "imbalance_threshold": PriceThreshold,
    "imbalance_threshold_release": ThresholdRelease,
    "invoice_rounding": InvoiceRounding,
    "loss_rates": LossRates,
    "minimum_group": MinimumGroup,
    "plan_deadlines": PlanDeadlines,
    "renewable_levy": Levy,
    "spot_lot": SpotLot,
    "spot_market": SpotMarket,
    "tight_supply": TightSupply,
}
"""Every rule by its id; a table of that name lies in ``energy/rules``."""

V = TypeVar("V", bound=RuleValues)


@lru_cache(maxsize=64)
def rule_table(rule_id: str) -> RuleTable[RuleValues]:
    """A shipped table by its id.

    Raises
    ------
    ConfigError
        If there is no such rule.
    """
    if rule_id not in RULES:
        raise ConfigError(
            f"no rule {rule_id!r}", where=f"known: {', '.join(RULES)}", hint="vpp rules show lists them"
        )
    return parse_rule_table(rule_files()[rule_id], RULES[rule_id], name=f"{rule_id}.yaml")


def rule_row(values: type[V], day: date, area: Area = Area.ALL) -> RuleRow[V]:
    """Row of the rule with these values that holds on a day of delivery in an area.

    Raises
    ------
    ConfigError
        If no row holds on that day.
    """
    return cast("RuleRow[V]", _row(values, day, area))


@lru_cache(maxsize=8192)
def _row(values: type[RuleValues], day: date, area: Area) -> RuleRow[RuleValues]:
    return rule_table(next(rule_id for rule_id, kind in RULES.items() if kind is values)).on(day, area)


def facts_on(rule_id: str, day: date, area: Area = Area.ALL) -> list[RuleFact]:
    """The numbers of a rule on a day of delivery, with source and status.

    ``rule_id`` may name one number of a table: ``imbalance_scarcity_price.c_yen_per_kwh``.

    Raises
    ------
    ConfigError
        If there is no such rule, or none that holds on that day.
    """
    return list(_facts(rule_id, day, area))


@lru_cache(maxsize=8192)
def _facts(rule_id: str, day: date, area: Area) -> tuple[RuleFact, ...]:
    table_id, _, key = rule_id.partition(".")
    table = rule_table(table_id)
    found = tuple(fact for fact in table.facts(table.on(day, area)) if not key or fact.rule == rule_id)
    if not found:
        raise ConfigError(
            f"no number {key!r} in rule {table_id}",
            where=f"it holds {', '.join(table.units)}",
            hint=f"vpp rules show {table_id}",
        )
    return found


def levy_yen_per_kwh(reading_day: date) -> Decimal:
    """Renewable-energy levy of a bill, by the day of its meter reading. [yen/kWh]

    Raises
    ------
    ConfigError
        If no levy is known for that reading.
    """
    return rule_row(Levy, reading_day).values.levy_yen_per_kwh


def subsidy_yen_per_kwh(day: date) -> Decimal:
    """Government support per kWh on a day of delivery. [yen/kWh]

    Raises
    ------
    ConfigError
        If nothing is known about that day: that there was no support is a row of zero.
    """
    return rule_row(Subsidy, day).values.subsidy_yen_per_kwh


def bill_rules(day: date) -> BillRules:
    """How a bill is made for a day of delivery."""
    return rule_row(BillRules, day).values


def bill_practice(day: date) -> BillPractice:
    """What contracts say about the bill of a day of delivery."""
    return rule_row(BillPractice, day).values


def plan_deadlines(day: date) -> PlanDeadlines:
    """When plans for a day of delivery are taken."""
    return rule_row(PlanDeadlines, day).values


def spot_published_at(day: date) -> datetime:
    """When the day-ahead prices of a day of delivery are published, UTC."""
    published = rule_row(SpotMarket, day).values.prices_published
    return datetime.combine(day - timedelta(days=1), published, tzinfo=JST).astimezone(UTC)


def minimum_group(day: date) -> MinimumGroup:
    """Smallest group that may be shown for a day of delivery."""
    return rule_row(MinimumGroup, day).values
