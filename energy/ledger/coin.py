"""From metered kWh of a tight evening to points of the community coin (会津コイン); RULES-JP 5.

A driver who declines loses nothing: there is no negative grant, no penalty and no streak to break.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from energy.core.assets import OwnerType, Vehicle, strict
from energy.core.clock import require_aware
from energy.core.errors import DataError
from energy.core.slots import Slot
from energy.core.units import floor_int

__all__ = [
    "KWH_RESOLUTION",
    "CoinRule",
    "Grant",
    "NoGrant",
    "RewardTerms",
    "SlotEnergy",
    "TightEvent",
    "TightLevel",
    "WhyNot",
    "expiry_day",
    "grant_for",
    "metered_kwh",
]

KWH_RESOLUTION: Final = Decimal("0.001")  # one count of the chargers' energy register (1 Wh)
_MOST_DAYS: Final = 183  # RULES-JP 5: points exempt from the payment-services act live six months at most


class TightLevel(StrEnum):
    """How tight supply is, as announced the day before (RULES-JP 3.4)."""

    ADVISORY = "注意報"
    WARNING = "警報"

    @property
    def rank(self) -> int:
        """Higher is tighter."""
        return list(TightLevel).index(self)


class WhyNot(StrEnum):
    """Why a car earned nothing in an event."""

    RULE_NOT_IN_FORCE = "rule_not_in_force"
    LEVEL_TOO_LOW = "level_too_low"
    DECLINED = "declined"
    NO_CONSENT = "no_consent"
    COMPANY_CAR = "company_car"
    COMPANY_SITE = "company_site"
    NOTHING_METERED = "nothing_metered"
    NO_NET_DISCHARGE = "no_net_discharge"
    NOTHING_SAVED = "nothing_saved"
    NOT_KEPT = "not_kept"
    NOT_PROVED = "not_proved"
    LESS_THAN_ONE_POINT = "less_than_one_point"
    DAY_CAP = "day_cap"
    MONTH_CAP = "month_cap"
    EVENT_BUDGET = "event_budget"
    EVENT_MONEY = "event_money"


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class RewardTerms:
    """What every way to earn points has in common: when it holds, what the points are, and their caps.

    Parameters
    ----------
    version : int
        Raised with every change of the rule; part of the key of each grant.
    valid_from, valid_to : date
        First and last Japanese day of events that are rewarded by it.
    point_class : str
        Where the points can be spent: ``local_only`` or ``all_shops``.
    expires_days : int
        Days from the event to the last day of use, at most 183; never more than six months. [d]
    min_level : TightLevel
        Only events of this level and tighter earn points.
    max_points_per_person_day, max_points_per_person_month, event_budget_points : int or None
        Caps; see :func:`energy.ledger.caps.apply_caps`. [points]
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
    version: Annotated[int, Field(ge=1)]
    valid_from: date
    valid_to: date
    point_class: Literal["local_only", "all_shops"] = "local_only"
    expires_days: Annotated[int, Field(ge=1, le=_MOST_DAYS)] = _MOST_DAYS
    min_level: TightLevel = TightLevel.ADVISORY
    max_points_per_person_day: Annotated[int, Field(ge=0)] | None = None
    max_points_per_person_month: Annotated[int, Field(ge=0)] | None = None
    event_budget_points: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> RewardTerms:
        if self.valid_from > self.valid_to:
            msg = f"valid_from {self.valid_from} is after valid_to {self.valid_to}"
            raise ValueError(msg)
        return self


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class CoinRule(RewardTerms):
    """How the kWh that a car gives become points, from one day to another, both included.

    Parameters
    ----------
    points_per_kwh : Decimal
        Rate on the net energy of an event. [points/kWh]
    company_cars : str
        ``none``: a company car earns nothing; ``company_account``: it earns for ``company_account``
        (RULES-JP T44).
    """

    points_per_kwh: Annotated[Decimal, Field(gt=0, max_digits=9, decimal_places=4)]
    company_cars: Literal["none", "company_account"] = "none"
    company_account: Annotated[str, Field(pattern=r"^company/[a-z0-9-]+$")] = "company/fleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class TightEvent:
    """A stretch of slots in which supply is tight.

    Parameters
    ----------
    start, end : Slot
        First slot of the event, and first slot after it.
    known_at : datetime
        When the announcement was known here; slots that had begun by then earn nothing.

    Raises
    ------
    DataError
        If the event has no slot.
    """

    id: str
    start: Slot
    end: Slot
    level: TightLevel
    known_at: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "known_at", require_aware(self.known_at))
        if not self.start < self.end:
            raise DataError(
                f"event {self.id!r} has no slot",
                where=f"{self.start.start.isoformat()} to {self.end.start.isoformat()}",
                hint="end is the first slot after the event",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotEnergy:
    """What the meter of one charger counted in one slot.

    Parameters
    ----------
    discharge_kwh, charge_kwh : Decimal
        AC energy out of and into the car, >= 0. [kWh]
    until : datetime or None
        End of the metering, if it ends inside the slot: the reading taken when an event was stopped.

    Raises
    ------
    DataError
        If an energy is negative or not finite, or ``until`` lies outside the slot.
    """

    slot: Slot
    discharge_kwh: Decimal
    charge_kwh: Decimal = Decimal(0)
    until: datetime | None = None

    def __post_init__(self) -> None:
        for name, energy in (("discharge_kwh", self.discharge_kwh), ("charge_kwh", self.charge_kwh)):
            if not energy.is_finite() or energy < 0:
                raise DataError(f"{name} must be 0 or more", where=f"slot {self.slot.start}: {energy}")
        if self.until is not None and not self.slot.start < self.until <= self.slot.end:
            raise DataError("the metering ends outside its slot", where=f"{self.slot.start}: {self.until}")

    @property
    def measured_until(self) -> datetime:
        """End of the metering, UTC."""
        return self.slot.end if self.until is None else require_aware(self.until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Points that one car, home or room earned in one event.

    Parameters
    ----------
    vehicle : str
        What earned them: the car, or the site or zone of a way to earn without one.
    account : str
        Who gets them: ``driver/<id>``, ``person/<id>`` or the company's account.
    day : date
        Japanese date of the event.
    discharge_kwh, charge_kwh, net_kwh : Decimal
        Counted energy; ``net_kwh`` is what was paid for. [kWh]
    earned_points : int
        ``floor(net_kwh * points_per_kwh)``, before caps.
    points : int
        What is granted, after caps.
    left_out : tuple of Slot
        Slots of the event with a reading that does not count: begun before the announcement, or not metered
        up to the stop.
    way : str
        How they were earned: ``car``, ``saving`` or ``comfort``.
    kept_hours : Decimal or None
        How long comfort was given up, for that way to earn. [h]
    site : str
        Where the vehicle stands: ids of cars are unique on a site only. Empty where nobody said so.
    """

    event: str
    level: TightLevel
    day: date
    vehicle: str
    account: str
    rule: str
    rule_version: int
    points_per_kwh: Decimal
    discharge_kwh: Decimal
    charge_kwh: Decimal
    net_kwh: Decimal
    earned_points: int
    points: int
    point_class: str
    expires_on: date
    left_out: tuple[Slot, ...] = ()
    way: str = "car"
    kept_hours: Decimal | None = None
    site: str = ""

    @property
    def person(self) -> str:
        """Whose account it is, however it was earned."""
        return self.account.partition("/")[2]

    @property
    def personal(self) -> bool:
        """Whether a person gets them; a company's account is no person and has no caps of its own."""
        return self.account.startswith(("driver/", "person/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NoGrant:
    """One car, one event, no points, and why."""

    event: str
    vehicle: str
    why: WhyNot
    detail: str = ""


def metered_kwh(energy_kwh: float) -> Decimal:
    """Energy as the meter's register says it: the nearest 0.001 kWh, halves up.

    A float such as 4.35 is the nearest binary fraction to what the register showed; its shortest decimal text
    is that reading, so the conversion gives back the register exactly.

    Examples
    --------
    >>> metered_kwh(4.35) * 100
    Decimal('435.000')
    """
    return Decimal(repr(float(energy_kwh))).quantize(KWH_RESOLUTION, rounding=ROUND_HALF_UP)


def expiry_day(day: date, expires_days: int) -> date:
    """Last day of use: so many days on, but always inside six months of a day.

    Six months end on the day before the one with the same number, or on the last day but one of a shorter
    month: the earliest reading of the term, so that no way of counting puts points beyond it (RULES-JP 5).
    """
    years, month = divmod(day.month - 1 + 6, 12)
    year, month = day.year + years, month + 1
    same_number = date(year, month, min(day.day, monthrange(year, month)[1]))
    return min(day + timedelta(days=expires_days), same_number - timedelta(days=1))


def grant_for(
    rule: CoinRule,
    event: TightEvent,
    *,
    vehicle: Vehicle,
    energies: Iterable[SlotEnergy],
    opted_in: bool,
    cancelled_at: datetime | None = None,
) -> Grant | NoGrant:
    """Points of one car in one event, computed once on the summed energy, in decimals.

    ``points = floor(max(0, sum(discharge_kwh) - sum(charge_kwh)) * points_per_kwh)`` over the slots of the
    event that had not begun when it was announced and were metered completely before it was cancelled. A slot
    into which the stop falls counts with a reading taken by then (``SlotEnergy.until``); without one it is
    left out.

    Parameters
    ----------
    energies : iterable of SlotEnergy
        Readings of this car's charger; those outside the event are ignored.
    opted_in : bool
        Whether the driver agreed to this event.
    cancelled_at : datetime, optional
        When the event was stopped.

    Raises
    ------
    DataError
        If two readings are of one slot.

    References
    ----------
    .. [1] RULES-JP 5 and the cases T40 (once per event), T41 (cancelled), T44 (company cars).
    """
    account = _account(rule, vehicle)
    counted, left_out = _eligible(event, energies, cancelled_at)
    discharge = sum((energy.discharge_kwh for energy in counted), Decimal(0))
    charge = sum((energy.charge_kwh for energy in counted), Decimal(0))
    net = max(Decimal(0), discharge - charge)
    points = floor_int(net * rule.points_per_kwh)
    day = event.start.local_date

    def nothing(why: WhyNot, detail: str = "") -> NoGrant:
        return NoGrant(event=event.id, vehicle=vehicle.id, why=why, detail=detail)

    if not rule.valid_from <= day <= rule.valid_to:
        return nothing(WhyNot.RULE_NOT_IN_FORCE, f"{day} is not in {rule.valid_from}..{rule.valid_to}")
    if event.level.rank < rule.min_level.rank:
        return nothing(WhyNot.LEVEL_TOO_LOW, f"{event.level} is below {rule.min_level}")
    if not opted_in:
        return nothing(WhyNot.DECLINED)
    if account is None:
        return nothing(WhyNot.COMPANY_CAR)
    if not counted:
        return nothing(WhyNot.NOTHING_METERED, f"{len(left_out)} readings left out")
    if not net:
        return nothing(WhyNot.NO_NET_DISCHARGE, f"{discharge} kWh given, {charge} kWh taken")
    if not points:
        return nothing(WhyNot.LESS_THAN_ONE_POINT, f"{net} kWh at {rule.points_per_kwh} points/kWh")
    return Grant(
        event=event.id,
        level=event.level,
        day=day,
        vehicle=vehicle.id,
        account=account,
        rule=rule.id,
        rule_version=rule.version,
        points_per_kwh=rule.points_per_kwh,
        discharge_kwh=discharge,
        charge_kwh=charge,
        net_kwh=net,
        earned_points=points,
        points=points,
        point_class=rule.point_class,
        expires_on=expiry_day(day, rule.expires_days),
        left_out=left_out,
    )


def _account(rule: CoinRule, vehicle: Vehicle) -> str | None:
    """Who earns what a car gives; None for a company car under a rule that pays none."""
    if vehicle.owner is OwnerType.EMPLOYEE:
        return f"driver/{vehicle.driver}"
    return rule.company_account if rule.company_cars == "company_account" else None


def _eligible(
    event: TightEvent, energies: Iterable[SlotEnergy], cancelled_at: datetime | None
) -> tuple[list[SlotEnergy], tuple[Slot, ...]]:
    """Readings of the event that count, and the slots of those that do not."""
    inside: dict[Slot, SlotEnergy] = {}
    for energy in energies:
        if energy.slot in inside:
            raise DataError(
                "two readings of one slot",
                where=f"event {event.id!r}, slot {energy.slot.start.isoformat()}",
                hint="sum the readings of a charger per slot first",
            )
        if event.start <= energy.slot < event.end:
            inside[energy.slot] = energy
    stop = None if cancelled_at is None else require_aware(cancelled_at)
    counted, left_out = [], []
    for slot, energy in sorted(inside.items()):
        if slot.start >= event.known_at and (stop is None or energy.measured_until <= stop):
            counted.append(energy)
        else:
            left_out.append(slot)
    return counted, tuple(left_out)
