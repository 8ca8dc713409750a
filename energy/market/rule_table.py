"""Tables of market numbers: what holds from when to when, in which area, in which unit, and who says so.

A number of the market is never a constant in code. It sits in a table below ``energy/rules`` whose rows carry
``valid_from`` and ``valid_to`` (both included), an area, a source and whether the source was seen. Within an
area rows neither overlap nor leave a gap between them; a day outside all rows is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from importlib import resources
from itertools import pairwise
from typing import Annotated, Final, Generic, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from energy.core.errors import ConfigError

__all__ = ["Area", "RuleFact", "RuleRow", "RuleTable", "RuleValues", "parse_rule_table", "rule_files"]

_OPEN_END: Final = date.max
_ONE_DAY: Final = timedelta(days=1)
Status = Literal["verified", "unverified"]


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


V = TypeVar("V", bound=RuleValues)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFact:
    """One number of a rule as it enters a bill, a plan or a settlement.

    Parameters
    ----------
    rule : str
        Id of the table, with ``.key`` if it holds several numbers.
    area : Area
        Area of the row that was used.
    valid_from, valid_to : date
        First and last day of the row; None if it is open.
    value : str
        The number as text, exact.
    unit : str
        Its unit.
    source : str
        Who says so.
    status : str
        ``verified``: the source was seen; ``unverified``: it was not, and whatever it enters is marked.
    """

    rule: str
    area: Area
    valid_from: date
    valid_to: date | None
    value: str
    unit: str
    source: str
    status: Status

    def as_json(self) -> dict[str, str | None]:
        """The fact with dates as text."""
        return {
            "rule": self.rule,
            "area": self.area.value,
            "valid_from": self.valid_from.isoformat(),
            "valid_to": None if self.valid_to is None else self.valid_to.isoformat(),
            "value": self.value,
            "unit": self.unit,
            "source": self.source,
            "status": self.status,
        }


class RuleRow(BaseModel, Generic[V]):
    """One row: values, the days they hold (both included), the area, the source and whether it was seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    valid_from: date
    valid_to: date | None
    area: Area = Area.ALL
    values: V
    source: Annotated[str, Field(min_length=1)]
    status: Status

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
    """A rule by date and area. A row of one area beats a row of all areas.

    ``units`` names the unit of every value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule_id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title_ja: str
    title_en: str
    units: dict[str, str]
    rows: Annotated[tuple[RuleRow[V], ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _rows_follow_each_other(self) -> RuleTable[V]:
        ordered = sorted(self.rows, key=lambda row: (row.area, row.valid_from))
        for earlier, later in pairwise(ordered):
            if earlier.area != later.area:
                continue
            fault = ""
            if later.valid_from <= earlier.last_day:
                fault = "overlap"
            elif later.valid_from > earlier.last_day + _ONE_DAY:
                fault = "leave a gap"
            if fault:
                msg = (
                    f"rows of area {earlier.area} {fault}: {earlier.valid_from}.."
                    f"{earlier.valid_to or 'open'} and {later.valid_from}..{later.valid_to or 'open'}"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _every_value_has_a_unit(self) -> RuleTable[V]:
        named = set(type(self.rows[0].values).model_fields)
        if named != set(self.units):
            msg = f"units must name exactly {', '.join(sorted(named))}, not {', '.join(sorted(self.units))}"
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

    def facts(self, row: RuleRow[V]) -> Iterator[RuleFact]:
        """The numbers of a row, one by one."""
        values = row.values.model_dump(mode="json")
        for key, value in values.items():
            yield RuleFact(
                rule=self.rule_id if len(values) == 1 else f"{self.rule_id}.{key}",
                area=row.area,
                valid_from=row.valid_from,
                valid_to=row.valid_to,
                value="none" if value is None else str(value),
                unit=self.units[key],
                source=row.source,
                status=row.status,
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
        If it is no YAML, has unknown or missing keys, impossible values, or rows that overlap or leave a gap.
    """
    hint = "each row needs valid_from, valid_to, values, source and status; rows of an area follow each other"
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
