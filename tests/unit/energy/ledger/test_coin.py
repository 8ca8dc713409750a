"""Points of the community coin: RULES-JP cases T40, T41, T44 and what surrounds them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from energy.core.assets import OwnerType, Vehicle
from energy.core.errors import DataError
from energy.core.slots import Slot
from energy.ledger import (
    CoinRule,
    Grant,
    NoGrant,
    SlotEnergy,
    TightEvent,
    TightLevel,
    WhyNot,
    expiry_day,
    grant_for,
    metered_kwh,
)

EVENING = Slot.of(date(2026, 11, 24), 35)  # 17:00 in Japan
ANNOUNCED = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)  # 16:00 of the day before


def rule(rate: str = "20", **changes: Any) -> CoinRule:
    facts: dict[str, Any] = {
        "id": "tight-evening",
        "version": 1,
        "points_per_kwh": Decimal(rate),
        "valid_from": date(2026, 4, 1),
        "valid_to": date(2027, 3, 31),
    }
    return CoinRule(**(facts | changes))


def event(slots: int = 2, level: TightLevel = TightLevel.ADVISORY) -> TightEvent:
    return TightEvent(
        id="2026-11-24-evening",
        start=EVENING,
        end=EVENING.shifted(slots),
        level=level,
        known_at=ANNOUNCED,
    )


def car(name: str, owner: OwnerType) -> Vehicle:
    return Vehicle(
        id=name,
        name_ja=name,
        name_en=name,
        capacity_kwh=20.0,
        charger=f"charger-{name}",
        owner=owner,
        driver="hanako" if owner is OwnerType.EMPLOYEE else None,
    )


SAKURA = car("sakura", OwnerType.EMPLOYEE)
LEAF = car("leaf", OwnerType.COMPANY)


def energies(*discharge: str, charge: tuple[str, ...] = ()) -> list[SlotEnergy]:
    """Readings of the first slots of the event."""
    taken = charge + ("0",) * (len(discharge) - len(charge))
    return [
        SlotEnergy(slot=EVENING.shifted(k), discharge_kwh=Decimal(out), charge_kwh=Decimal(into))
        for k, (out, into) in enumerate(zip(discharge, taken, strict=True))
    ]


def grant(readings: list[SlotEnergy], coin_rule: CoinRule | None = None, **changes: Any) -> Grant:
    found = outcome(readings, coin_rule, **changes)
    assert isinstance(found, Grant)
    return found


def outcome(readings: list[SlotEnergy], coin_rule: CoinRule | None = None, **changes: Any) -> Grant | NoGrant:
    asked: dict[str, Any] = {"event": event(), "vehicle": SAKURA, "opted_in": True} | changes
    return grant_for(coin_rule or rule(), asked.pop("event"), energies=readings, **asked)


def why_not(readings: list[SlotEnergy], coin_rule: CoinRule | None = None, **changes: Any) -> WhyNot:
    found = outcome(readings, coin_rule, **changes)
    assert isinstance(found, NoGrant)
    return found.why


# T40: once per event, in decimals


def test_points_are_rounded_down_once_per_event_not_per_slot() -> None:
    earned = grant(energies("3.27", "2.93"))
    assert earned.points == 124  # slot by slot it would be 65 + 58 = 123
    assert earned.net_kwh == Decimal("6.20")


def test_points_are_exact_where_floats_are_not() -> None:
    assert grant(energies("4.35"), rule("100")).points == 435
    assert int(4.35 * 100) == 434


@pytest.mark.parametrize(
    ("reading", "register"),
    [(4.35, "4.350"), (0.1 + 0.2, "0.300"), (2.0005, "2.001"), (1e-9, "0.000"), (12345.6789, "12345.679")],
)
def test_a_float_becomes_what_the_register_showed(reading: float, register: str) -> None:
    assert str(metered_kwh(reading)) == register


def test_charging_inside_the_event_is_taken_off() -> None:
    earned = grant(energies("3.000", "0.000", charge=("0.000", "1.250")))
    assert (earned.discharge_kwh, earned.charge_kwh, earned.net_kwh) == (
        Decimal(3),
        Decimal("1.25"),
        Decimal("1.75"),
    )
    assert earned.points == 35


def test_a_car_that_only_charged_earns_nothing_and_owes_nothing() -> None:
    assert why_not(energies("0.5", charge=("2.0",))) is WhyNot.NO_NET_DISCHARGE


def test_less_than_a_point_is_no_grant() -> None:
    assert why_not(energies("0.049")) is WhyNot.LESS_THAN_ONE_POINT
    assert grant(energies("0.050")).points == 1


def test_only_the_slots_of_the_event_count() -> None:
    outside = [
        SlotEnergy(slot=EVENING.shifted(-1), discharge_kwh=Decimal(9)),
        SlotEnergy(slot=EVENING.shifted(2), discharge_kwh=Decimal(9)),
    ]
    assert grant([*outside, *energies("1", "1")]).points == 40
    assert why_not(outside) is WhyNot.NOTHING_METERED


def test_two_readings_of_one_slot_are_refused() -> None:
    with pytest.raises(DataError, match="two readings"):
        outcome([*energies("1"), *energies("1")])


# T41: cancelled


def test_after_a_cancellation_only_energy_before_the_stop_counts() -> None:
    stop = EVENING.start + timedelta(minutes=20)
    read_at_stop = SlotEnergy(slot=EVENING, discharge_kwh=Decimal("1.9"), until=stop)
    after = SlotEnergy(slot=EVENING.shifted(1), discharge_kwh=Decimal("2.8"))
    earned = grant([read_at_stop, after], cancelled_at=stop)
    assert earned.points == 38
    assert earned.left_out == (EVENING.shifted(1),)


def test_a_slot_read_only_at_its_end_does_not_count_if_the_event_stopped_inside_it() -> None:
    stop = EVENING.shifted(1).start + timedelta(minutes=20)
    earned = grant(energies("2", "2"), cancelled_at=stop)
    assert (earned.points, earned.left_out) == (40, (EVENING.shifted(1),))


def test_an_event_stopped_at_the_end_of_a_slot_pays_that_slot() -> None:
    assert grant(energies("2", "2"), cancelled_at=EVENING.end).points == 40


def test_an_event_cancelled_before_it_began_pays_nothing() -> None:
    assert why_not(energies("2", "2"), cancelled_at=EVENING.start) is WhyNot.NOTHING_METERED


def test_slots_that_had_begun_when_the_event_was_announced_earn_nothing() -> None:
    late = replace(event(), known_at=EVENING.start + timedelta(seconds=1))
    earned = grant(energies("2", "2"), event=late)
    assert (earned.points, earned.left_out) == (40, (EVENING,))
    assert grant(energies("2", "2"), event=replace(event(), known_at=EVENING.start)).points == 80


# T44: whose car


def test_a_company_car_earns_no_personal_points() -> None:
    employee, company = outcome(energies("2.00")), outcome(energies("4.00"), vehicle=LEAF)
    assert isinstance(employee, Grant)
    assert (employee.points, employee.account) == (40, "driver/hanako")
    assert isinstance(company, NoGrant)
    assert company.why is WhyNot.COMPANY_CAR


def test_a_rule_may_pay_a_company_car_to_the_company() -> None:
    to_company = rule(company_cars="company_account", company_account="company/kitakata")
    earned = grant(energies("4.00"), to_company, vehicle=LEAF)
    assert (earned.points, earned.account) == (80, "company/kitakata")


def test_a_company_car_with_a_driver_still_earns_nothing_for_the_driver() -> None:
    driven = Vehicle(
        id="ariya",
        name_ja="a",
        name_en="a",
        capacity_kwh=60.0,
        charger="c",
        owner=OwnerType.COMPANY,
        driver="hanako",
    )
    assert why_not(energies("4.00"), vehicle=driven) is WhyNot.COMPANY_CAR


# Who, when, under which rule


def test_who_declines_gets_nothing_and_loses_nothing() -> None:
    assert why_not(energies("0"), opted_in=False) is WhyNot.DECLINED
    assert why_not(energies("5"), opted_in=False) is WhyNot.DECLINED


@pytest.mark.parametrize(
    ("level", "needed", "pays"),
    [
        (TightLevel.ADVISORY, TightLevel.ADVISORY, True),
        (TightLevel.ADVISORY, TightLevel.WARNING, False),
        (TightLevel.WARNING, TightLevel.ADVISORY, True),
        (TightLevel.WARNING, TightLevel.WARNING, True),
    ],
)
def test_an_event_pays_from_the_level_of_the_rule(level: TightLevel, needed: TightLevel, pays: bool) -> None:
    found = outcome(energies("2"), rule(min_level=needed), event=event(level=level))
    assert isinstance(found, Grant) == pays
    if isinstance(found, NoGrant):
        assert found.why is WhyNot.LEVEL_TOO_LOW


def test_a_rule_holds_on_its_first_and_its_last_day_in_japan() -> None:
    day = date(2026, 11, 24)
    assert grant(energies("2"), rule(valid_from=day, valid_to=day)).points == 40
    for other in (day - timedelta(days=1), day + timedelta(days=1)):
        found = why_not(energies("2"), rule(valid_from=other, valid_to=other))
        assert found is WhyNot.RULE_NOT_IN_FORCE


def test_an_event_of_the_small_hours_belongs_to_its_japanese_day() -> None:
    start = Slot.of(date(2026, 11, 25), 1)
    night = TightEvent(
        id="night", start=start, end=start.shifted(1), level=TightLevel.ADVISORY, known_at=ANNOUNCED
    )
    earned = grant([SlotEnergy(slot=start, discharge_kwh=Decimal(1))], event=night)
    assert start.start.date() == date(2026, 11, 24)
    assert earned.day == date(2026, 11, 25)


@pytest.mark.parametrize(
    ("day", "days", "last"),
    [
        (date(2026, 11, 24), 30, date(2026, 12, 24)),
        (date(2026, 11, 24), 183, date(2027, 5, 23)),  # 183 days would be 26 May: past six months
        (date(2026, 2, 1), 183, date(2026, 7, 31)),
        (date(2026, 8, 31), 183, date(2027, 2, 27)),
        (date(2027, 8, 31), 183, date(2028, 2, 28)),  # leap year
        (date(2026, 6, 30), 183, date(2026, 12, 29)),
        (date(2026, 12, 31), 183, date(2027, 6, 29)),
    ],
)
def test_points_never_live_longer_than_six_months(day: date, days: int, last: date) -> None:
    assert expiry_day(day, days) == last


@pytest.mark.parametrize(
    "changes",
    [
        {"expires_days": 184},
        {"expires_days": 0},
        {"points_per_kwh": Decimal(0)},
        {"valid_to": date(2026, 3, 31)},
        {"company_cars": "driver"},
        {"version": 0},
        {"event_budget_points": -1},
        {"surprise": 1},
    ],
)
def test_an_impossible_rule_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**changes)


def test_an_event_needs_a_slot_and_a_reading_a_sensible_energy() -> None:
    with pytest.raises(DataError, match="no slot"):
        event(slots=0)
    with pytest.raises(DataError, match="0 or more"):
        SlotEnergy(slot=EVENING, discharge_kwh=Decimal("-0.001"))
    with pytest.raises(DataError, match="0 or more"):
        SlotEnergy(slot=EVENING, discharge_kwh=Decimal(1), charge_kwh=Decimal("NaN"))
    with pytest.raises(DataError, match="outside its slot"):
        SlotEnergy(slot=EVENING, discharge_kwh=Decimal(1), until=EVENING.start)
