"""Ways to earn points without a car: saving at home, and a room that is let go a little.

Not everybody drives. A household whose energy management saves in an event earns by the kWh that its meter
shows against its baseline; whoever lets a room drift inside the wider band for an event earns by the hour
that it was kept. As with cars nobody ever loses points: saying no, or taking it back in mid-event, costs
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from energy.core.errors import ConfigError
from energy.core.slots import SLOT_LENGTH, Slot
from energy.core.units import floor_int
from energy.ledger.coin import CoinRule, Grant, NoGrant, RewardTerms, TightEvent, WhyNot, expiry_day

__all__ = [
    "ComfortRule",
    "Rule",
    "SavingRule",
    "comfort_grant",
    "counted_slots",
    "require_no_overlap",
    "rule_on",
    "saving_grant",
]

_HOURS: Final = Decimal(int(SLOT_LENGTH.total_seconds())) / 3600
_RoomC = Annotated[Decimal, Field(ge=0, le=40, decimal_places=1)]
_CENT: Final = Decimal("0.01")  # RULES-JP 3.1: a campaign's saving is cut to two decimals


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class SavingRule(RewardTerms):
    """How saved kWh of a home become points. [points/kWh]"""

    points_per_kwh: Annotated[Decimal, Field(gt=0, max_digits=9, decimal_places=4)]
    way: Literal["saving"] = "saving"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class ComfortRule(RewardTerms):
    """How hours in which a room was let go become points, and from which temperature on it was.

    A rule holds for one season: its days say when, one of the two limits says what counts.

    Parameters
    ----------
    points_per_hour : Decimal
        [points/h]
    above_c : Decimal or None
        In the cooling season: a room at this temperature or warmer was let go. [degC]
    below_c : Decimal or None
        In the heating season: a room at this temperature or colder was let go. [degC]
    """

    points_per_hour: Annotated[Decimal, Field(gt=0, max_digits=9, decimal_places=4)]
    above_c: _RoomC | None = None
    below_c: _RoomC | None = None
    way: Literal["comfort"] = "comfort"

    @model_validator(mode="after")
    def _is_of_one_season(self) -> ComfortRule:
        if (self.above_c is None) == (self.below_c is None):
            msg = "give above_c (cooling season) or below_c (heating season), one of them"
            raise ValueError(msg)
        return self

    def let_go(self, room_c: Decimal) -> bool:
        """Whether a room of this temperature counts as let go."""
        if self.above_c is not None:
            return room_c >= self.above_c
        return self.below_c is not None and room_c <= self.below_c


Rule = CoinRule | SavingRule | ComfortRule


def require_no_overlap(rules: Sequence[Rule]) -> None:
    """Refuse rules of one way to earn whose days overlap, or one version that says two things.

    Days without a rule are allowed: then nobody earns that way.

    Raises
    ------
    ConfigError
        Names both rules and the day.
    """
    ordered = sorted(rules, key=lambda one: (type(one).__name__, one.valid_from))
    for before, after in pairwise(ordered):
        if type(before) is type(after) and after.valid_from <= before.valid_to:
            raise ConfigError(
                "two rules reward the same event",
                where=f"{before.id}@{before.version} and {after.id}@{after.version} on {after.valid_from}",
                hint="end the older one on the day before; each event is rewarded by one rule of a kind",
            )
    seen: set[tuple[str, int]] = set()
    for one in rules:
        if (one.id, one.version) in seen:
            raise ConfigError(
                f"version {one.version} of rule {one.id!r} is there twice",
                where=f"valid from {one.valid_from}",
                hint="a changed rule has a higher version: grants are kept by rule and version",
            )
        seen.add((one.id, one.version))


def rule_on(rules: Sequence[Rule], kind: type[Rule], event: TightEvent) -> Rule | None:
    """The rule of a kind that holds on the day of an event; None if there is none."""
    day = event.start.local_date
    return next((one for one in rules if type(one) is kind and one.valid_from <= day <= one.valid_to), None)


def saving_grant(
    rule: SavingRule, event: TightEvent, *, person: str, site: str, saved_kwh: Decimal | None, opted_in: bool
) -> Grant | NoGrant:
    """Points of one home in one event, computed once on the event's saving.

    ``points = floor(truncate(saved_kwh, 0.01) * points_per_kwh)``; a saving below zero counts nothing.

    Parameters
    ----------
    saved_kwh : Decimal or None
        What the event's settlement measured against the baseline; None if it could not. [kWh]
    opted_in : bool
        Whether the home agreed to this event.
    """
    if saved_kwh is None:
        saved = Decimal(0)
    else:
        saved = max(Decimal(0), saved_kwh).quantize(_CENT, rounding=ROUND_DOWN)
    why = WhyNot.NOTHING_METERED if saved_kwh is None else WhyNot.NOTHING_SAVED
    return _granted(
        rule,
        event,
        person=person,
        asset=site,
        opted_in=opted_in,
        amount=saved,
        rate=rule.points_per_kwh,
        nothing=why,
    )


def counted_slots(event: TightEvent, slots: Sequence[Slot]) -> list[Slot]:
    """Those of some half hours that an event rewards: inside it, and begun after its announcement."""
    return sorted(
        {slot for slot in slots if event.start <= slot < event.end and slot.start >= event.known_at}
    )


def comfort_grant(
    rule: ComfortRule,
    event: TightEvent,
    *,
    person: str,
    zone: str,
    kept: Sequence[Slot],
    opted_in: bool,
    site: str = "",
) -> Grant | NoGrant:
    """Points for a room that was let go, by the half hours that its readings prove.

    Parameters
    ----------
    kept : sequence of Slot
        Half hours in which it was; those that do not count (:func:`counted_slots`) are left out.
    site : str
        Where the room is; ids of rooms are unique on a site only.
    """
    slots = counted_slots(event, kept)
    return _granted(
        rule,
        event,
        person=person,
        asset=zone,
        opted_in=opted_in,
        amount=len(slots) * _HOURS,
        rate=rule.points_per_hour,
        nothing=WhyNot.NOT_KEPT,
        place=site,
    )


def _granted(
    rule: SavingRule | ComfortRule,
    event: TightEvent,
    *,
    person: str,
    asset: str,
    opted_in: bool,
    amount: Decimal,
    rate: Decimal,
    nothing: WhyNot,
    place: str = "",
) -> Grant | NoGrant:
    day = event.start.local_date
    points = floor_int(amount * rate)
    why = None
    if not rule.valid_from <= day <= rule.valid_to:
        why = WhyNot.RULE_NOT_IN_FORCE
    elif event.level.rank < rule.min_level.rank:
        why = WhyNot.LEVEL_TOO_LOW
    elif not opted_in:
        why = WhyNot.DECLINED
    elif not amount:
        why = nothing
    elif not points:
        why = WhyNot.LESS_THAN_ONE_POINT
    if why is not None:
        return NoGrant(event=event.id, vehicle=asset, why=why, detail=f"{amount} at {rate}")
    saving = isinstance(rule, SavingRule)
    return Grant(
        event=event.id,
        level=event.level,
        day=day,
        vehicle=asset,
        account=f"person/{person}",
        rule=rule.id,
        rule_version=rule.version,
        points_per_kwh=rate if saving else Decimal(0),
        discharge_kwh=Decimal(0),
        charge_kwh=Decimal(0),
        net_kwh=amount if saving else Decimal(0),
        earned_points=points,
        points=points,
        point_class=rule.point_class,
        expires_on=expiry_day(day, rule.expires_days),
        way=rule.way,
        kept_hours=None if saving else amount,
        site=place,
    )
