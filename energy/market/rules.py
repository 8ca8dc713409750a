"""Dated rule tables: what a market number is, from when to when, in which area, and who says so.

A number of the market is never a constant in code. It sits in a table below ``energy/rules`` whose rows carry
``valid_from`` and ``valid_to`` (both included), an area and a source, and it is looked up with the day of
*delivery* (for the levy: the day of the meter reading), never with today.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Annotated, Final, Generic, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from energy.core.errors import ConfigError
from energy.core.slots import JST

__all__ = [
    "Area",
    "BillRules",
    "Levy",
    "MinimumGroup",
    "PlanDeadlines",
    "RuleRow",
    "RuleTable",
    "RuleValues",
    "SpotMarket",
    "Subsidy",
    "bill_rules",
    "levy_yen_per_kwh",
    "minimum_group",
    "parse_rule_table",
    "plan_deadlines",
    "rule_files",
    "spot_published_at",
    "subsidy_yen_per_kwh",
]

_OPEN_END: Final = date.max


class Area(StrEnum):
    """Where a rule holds: one of the ten supply areas, or all of them."""

    ALL = "all"
    HOKKAIDO = "hokkaido"
    TOHOKU = "tohoku"
    TOKYO = "tokyo"
    CHUBU = "chubu"
    HOKURIKU = "hokuriku"
    KANSAI = "kansai"
    CHUGOKU = "chugoku"
    SHIKOKU = "shikoku"
    KYUSHU = "kyushu"
    OKINAWA = "okinawa"


class RuleValues(BaseModel):
    """Base of the values of a rule: unknown keys are refused, nothing is changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Levy(RuleValues):
    """Renewable-energy levy. [yen/kWh]"""

    levy_yen_per_kwh: Annotated[Decimal, Field(ge=0)]


class Subsidy(RuleValues):
    """Government support, taken off every kWh. [yen/kWh]"""

    subsidy_yen_per_kwh: Annotated[Decimal, Field(ge=0)]


class BillRules(RuleValues):
    """How a high-voltage bill is made.

    Parameters
    ----------
    memory_months : int
        Months whose demand makes the contract power, this month included.
    measured_contract_below_kw : int
        From this contract power on it is negotiated, not measured. [kW]
    unused_month_basic_share : Decimal
        Share of the basic charge in a month without any use. [-]
    idle_power_factor_percent : int
        Power factor of a month without daytime energy. [%]
    """

    memory_months: Annotated[int, Field(ge=1)]
    measured_contract_below_kw: Annotated[int, Field(gt=0)]
    unused_month_basic_share: Annotated[Decimal, Field(ge=0, le=1)]
    idle_power_factor_percent: Annotated[int, Field(ge=0, le=100)]


class PlanDeadlines(RuleValues):
    """Japanese local times on the day before delivery, and our own margin. [min]"""

    next_day_closes: time
    same_day_opens: time
    margin_minutes: Annotated[int, Field(ge=0)]


class SpotMarket(RuleValues):
    """Japanese local times of the day-ahead market on the day before delivery."""

    bidding_closes: time
    prices_published: time


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


V = TypeVar("V", bound=RuleValues)


class RuleRow(BaseModel, Generic[V]):
    """One row: the values, the days they hold (both included), the area and the source.

    ``status`` says how far the source was checked: ``verified`` (seen), ``quoted`` (seen in a file that
    quotes it) or ``unverified``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid_from: date
    valid_to: date | None
    area: Area = Area.ALL
    values: V
    source: Annotated[str, Field(min_length=1)]
    status: Literal["verified", "quoted", "unverified"]

    @property
    def last_day(self) -> date:
        """Last day on which the row holds; the end of time if it is open."""
        return self.valid_to or _OPEN_END

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> RuleRow[V]:
        if self.valid_from > self.last_day:
            msg = f"valid_from {self.valid_from} is after valid_to {self.valid_to}"
            raise ValueError(msg)
        return self


class RuleTable(BaseModel, Generic[V]):
    """A rule by date and area. A row of one area beats a row of all areas; rows of one area never overlap."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule_id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title_ja: str
    title_en: str
    rows: Annotated[tuple[RuleRow[V], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rows_do_not_overlap(self) -> RuleTable[V]:
        ordered = sorted(self.rows, key=lambda row: (row.area, row.valid_from))
        for earlier, later in pairwise(ordered):
            if earlier.area == later.area and later.valid_from <= earlier.last_day:
                msg = (
                    f"rows of area {earlier.area} overlap: {earlier.valid_from}..{earlier.valid_to} "
                    f"and {later.valid_from}..{later.valid_to}"
                )
                raise ValueError(msg)
        return self

    def on(self, day: date, area: Area = Area.ALL) -> RuleRow[V]:
        """Row that holds on a day of delivery in an area.

        Raises
        ------
        ConfigError
            If no row holds on that day.
        """
        for wanted in (area, Area.ALL):
            for row in self.rows:
                if row.area is wanted and row.valid_from <= day <= row.last_day:
                    return row
        spans = ", ".join(f"{row.area} {row.valid_from}..{row.valid_to or 'open'}" for row in self.rows)
        raise ConfigError(
            f"rule {self.rule_id} says nothing about {day}",
            where=f"area {area}; the table holds {spans}",
            hint=f"add a row with its source to energy/rules/{self.rule_id}.yaml",
        )


def parse_rule_table(text: str, values: type[V], *, name: str) -> RuleTable[V]:
    """Read a rule table from YAML.

    Parameters
    ----------
    text : str
        The YAML document.
    values : type
        Class of the values of each row.
    name : str
        What to call the table in an error, usually its file name.

    Raises
    ------
    ConfigError
        If it is no YAML, has unknown or missing keys, impossible values or overlapping rows.
    """
    hint = "each row needs valid_from, valid_to, values, source and status; rows of one area must not overlap"
    try:
        return RuleTable[values].model_validate(yaml.safe_load(text))  # type: ignore[valid-type]
    except yaml.YAMLError as error:
        raise ConfigError(f"rule table {name} is not YAML", where=str(error), hint=hint) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "table"
        raise ConfigError(
            f"rule table {name} cannot be used", where=f"{where}: {first['msg']}", hint=hint
        ) from error


def rule_files() -> dict[str, str]:
    """Every shipped rule table as text, by rule id."""
    folder = resources.files("energy").joinpath("rules")
    return {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".yaml")
    }


def _shipped(rule_id: str, values: type[V]) -> RuleTable[V]:
    text = resources.files("energy").joinpath("rules", f"{rule_id}.yaml").read_text(encoding="utf-8")
    return parse_rule_table(text, values, name=f"{rule_id}.yaml")


@lru_cache(maxsize=1)
def _levies() -> RuleTable[Levy]:
    return _shipped("renewable_levy", Levy)


@lru_cache(maxsize=1)
def _subsidies() -> RuleTable[Subsidy]:
    return _shipped("high_voltage_subsidy", Subsidy)


@lru_cache(maxsize=1)
def _bill_rules() -> RuleTable[BillRules]:
    return _shipped("high_voltage_bill", BillRules)


@lru_cache(maxsize=1)
def _deadlines() -> RuleTable[PlanDeadlines]:
    return _shipped("plan_deadlines", PlanDeadlines)


@lru_cache(maxsize=1)
def _spot_market() -> RuleTable[SpotMarket]:
    return _shipped("spot_market", SpotMarket)


@lru_cache(maxsize=1)
def _minimum_groups() -> RuleTable[MinimumGroup]:
    return _shipped("minimum_group", MinimumGroup)


def levy_yen_per_kwh(reading_day: date) -> Decimal:
    """Renewable-energy levy of a bill, by the day of its meter reading. [yen/kWh]

    Raises
    ------
    ConfigError
        If no levy is known for that reading.
    """
    return _levies().on(reading_day).values.levy_yen_per_kwh


def subsidy_yen_per_kwh(day: date) -> Decimal:
    """Government support per kWh on a day of delivery, zero when there is none. [yen/kWh]

    Notes
    -----
    A contract brings it in as a negative part of ``TariffPeriod.adjustment_yen_per_kwh``.
    """
    rows = (row for row in _subsidies().rows if row.valid_from <= day <= row.last_day)
    return next((row.values.subsidy_yen_per_kwh for row in rows), Decimal(0))


def bill_rules(day: date) -> BillRules:
    """How a bill is made for a day of delivery."""
    return _bill_rules().on(day).values


def plan_deadlines(day: date) -> PlanDeadlines:
    """When plans for a day of delivery are taken."""
    return _deadlines().on(day).values


def spot_published_at(day: date) -> datetime:
    """When the day-ahead prices of a day of delivery are published, UTC."""
    published = _spot_market().on(day).values.prices_published
    return datetime.combine(day - timedelta(days=1), published, tzinfo=JST).astimezone(UTC)


def minimum_group(day: date) -> MinimumGroup:
    """Smallest group that may be shown for a day of delivery."""
    return _minimum_groups().on(day).values
