"""The acts of people, as values."""

from __future__ import annotations

from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import Identifier, Ratio, Weekday, strict

__all__ = [
    "Act",
    "ChargeNow",
    "Departure",
    "Ended",
    "EndedWhy",
    "HoldPower",
    "HoldRoom",
    "NoDischarge",
    "PersonsWish",
    "wish_from_json",
    "wish_to_json",
]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Departure:
    """A car shall be ready at a time of one day, or of certain days of every week.

    Parameters
    ----------
    at : time
        Local time of departure (Asia/Tokyo).
    day : date or None
        The day; None if it holds every week.
    days : tuple of Weekday
        The days of the week; empty if it is one day.
    charge : float
        State of charge at departure, at least. [-]
    """

    kind: Literal["departure"] = "departure"
    at: time
    day: date | None = None
    days: tuple[Weekday, ...] = ()
    charge: Ratio

    @model_validator(mode="after")
    def _one_day_or_weekdays(self) -> Departure:
        if (self.day is None) == (not self.days):
            msg = "a departure is on one day, or on days of the week"
            raise ValueError(msg)
        if self.at.tzinfo is not None or self.at.second or self.at.microsecond:
            msg = "a departure is at a full minute, Japanese time, without offset"
            raise ValueError(msg)
        return self

    def holds_on(self, day: date) -> bool:
        """Whether it is about a day."""
        if self.day is not None:
            return self.day == day
        return day.weekday() in {one.number for one in self.days}


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class ChargeNow:
    """A car charges at once, at full power, as far as its connection allows, until it is full enough.

    Parameters
    ----------
    charge : float or None
        State of charge at which it is enough; None for the owner's highest. [-]
    """

    kind: Literal["charge-now"] = "charge-now"
    charge: Ratio | None = None


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class NoDischarge:
    """A car gives nothing back; always free."""

    kind: Literal["no-discharge"] = "no-discharge"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class HoldPower:
    """A car's charger holds a power; 0 is a pause. [kW]"""

    kind: Literal["hold-power"] = "hold-power"
    power_kw: Annotated[float, Field(ge=0.0, le=1_000.0)]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class HoldRoom:
    """A room is held at a temperature. [degC]"""

    kind: Literal["hold-room"] = "hold-room"
    room_c: Annotated[float, Field(ge=10.0, le=32.0)]


Act = Annotated[Departure | ChargeNow | NoDischarge | HoldPower | HoldRoom, Field(discriminator="kind")]


class EndedWhy(StrEnum):
    """How a wish ended before its time."""

    CANCELLED = "cancelled"
    REPLACED = "replaced"
    DONE = "done"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Ended:
    """That a wish ended, who ended it, and how."""

    at: datetime
    by: str
    why: EndedWhy


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class PersonsWish:
    """What somebody asked of an asset.

    Parameters
    ----------
    id : str
        Names it on its site.
    made_at : datetime
        From when it holds, UTC.
    made_by : str
        Account that asked.
    until : datetime or None
        When it ends by itself; None for every week. UTC.
    """

    id: str
    site: Identifier
    asset: Identifier
    act: Act
    made_at: datetime
    made_by: str
    until: datetime | None = None
    ended: Ended | None = None

    def holds_at(self, when: datetime) -> bool:
        """Whether it is in force at an instant."""
        over = self.ended is not None and self.ended.at <= when
        return self.made_at <= when and not over and (self.until is None or when < self.until)


_WISH = TypeAdapter(PersonsWish)


def wish_to_json(wish: PersonsWish) -> str:
    """A wish as one JSON document."""
    return _WISH.dump_json(wish).decode()


def wish_from_json(text: str) -> PersonsWish:
    """A wish from its document."""
    return _WISH.validate_json(text)
