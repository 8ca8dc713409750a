"""Coins under any readings and caps: never negative, never more than earned, never over a cap."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from energy.core.assets import OwnerType, Vehicle
from energy.core.slots import Slot, jst_midnight
from energy.ledger import (
    CoinRule,
    Grant,
    NoGrant,
    SlotEnergy,
    TightEvent,
    TightLevel,
    apply_caps,
    expiry_day,
    grant_for,
    metered_kwh,
)

DAY = date(2026, 11, 24)
START = Slot.of(DAY, 33)
kwh = st.integers(0, 6000).map(lambda wh: Decimal(wh).scaleb(-3))


def rule(rate: Decimal, **caps: int | None) -> CoinRule:
    return CoinRule(
        id="r",
        version=1,
        points_per_kwh=rate,
        valid_from=DAY,
        valid_to=DAY,
        max_points_per_person_day=caps.get("person"),
        event_budget_points=caps.get("budget"),
    )


def event(slots: int, known_at: datetime) -> TightEvent:
    return TightEvent(
        id="e", start=START, end=START.shifted(slots), level=TightLevel.WARNING, known_at=known_at
    )


CAR = Vehicle(
    id="sakura",
    name_ja="s",
    name_en="s",
    capacity_kwh=20.0,
    charger="c",
    owner=OwnerType.EMPLOYEE,
    driver="hanako",
)


@given(
    readings=st.lists(st.tuples(kwh, kwh), min_size=1, max_size=10),
    rate=st.integers(1, 10**6).map(lambda n: Decimal(n).scaleb(-2)),
    stop_minute=st.none() | st.integers(-60, 360),
)
def test_a_grant_is_the_floor_of_the_exact_product(
    readings: list[tuple[Decimal, Decimal]], rate: Decimal, stop_minute: int | None
) -> None:
    energies = [
        SlotEnergy(slot=START.shifted(k), discharge_kwh=out, charge_kwh=into)
        for k, (out, into) in enumerate(readings)
    ]
    stop = None if stop_minute is None else START.start + timedelta(minutes=stop_minute)
    found = grant_for(
        rule(rate),
        event(8, jst_midnight(DAY)),
        vehicle=CAR,
        energies=reversed(energies),
        opted_in=True,
        cancelled_at=stop,
    )
    counted = [
        reading
        for k, reading in enumerate(readings)
        if k < 8 and (stop_minute is None or 30 * (k + 1) <= stop_minute)
    ]
    net = max(Fraction(0), sum((Fraction(out) - Fraction(into) for out, into in counted), Fraction(0)))
    points = floor(net * Fraction(rate))
    if points:
        assert isinstance(found, Grant)
        assert found.points == points
        assert found.points >= sum(floor(Fraction(out - into) * Fraction(rate)) for out, into in counted)
    else:
        assert isinstance(found, NoGrant)


@given(
    earned=st.lists(
        st.tuples(st.sampled_from(("hanako", "taro", "jiro")), st.integers(1, 10**6)), min_size=1, max_size=9
    ),
    person=st.none() | st.integers(0, 10**6),
    budget=st.none() | st.integers(0, 10**6),
    booked=st.dictionaries(st.sampled_from(("driver/hanako", "driver/taro")), st.integers(0, 10**6)),
    data=st.data(),
)
def test_caps_hold_waste_nothing_and_do_not_depend_on_order(
    earned: list[tuple[str, int]],
    person: int | None,
    budget: int | None,
    booked: dict[str, int],
    data: st.DataObject,
) -> None:
    grants = [grant(f"car-{k}", driver, points) for k, (driver, points) in enumerate(earned)]
    caps = rule(Decimal(1), person=person, budget=budget)
    found = apply_caps(caps, grants, booked_points=booked)
    granted = {each.vehicle: each.points if isinstance(each, Grant) else 0 for each in found}
    assert all(0 <= granted[each.vehicle] <= each.points for each in grants)

    claims: dict[str, int] = {}
    given_to: dict[str, int] = {}
    for each in grants:
        claims[each.account] = claims.get(each.account, 0) + each.points
        given_to[each.account] = given_to.get(each.account, 0) + granted[each.vehicle]
    allowed = {
        account: claim if person is None else min(claim, max(0, person - booked.get(account, 0)))
        for account, claim in claims.items()
    }
    assert all(given_to[account] <= allowed[account] for account in claims)
    total = sum(allowed.values())
    assert sum(granted.values()) == (total if budget is None else min(total, budget))

    shuffled = apply_caps(caps, data.draw(st.permutations(grants)), booked_points=booked)
    assert {each.vehicle: each for each in shuffled} == {each.vehicle: each for each in found}


def grant(vehicle: str, driver: str, points: int) -> Grant:
    return Grant(
        event="e",
        level=TightLevel.WARNING,
        day=DAY,
        vehicle=vehicle,
        account=f"driver/{driver}",
        rule="r",
        rule_version=1,
        points_per_kwh=Decimal(1),
        discharge_kwh=Decimal(points),
        charge_kwh=Decimal(0),
        net_kwh=Decimal(points),
        earned_points=points,
        points=points,
        point_class="local_only",
        expires_on=DAY,
    )


@given(wh=st.integers(0, 10**9))
def test_every_register_reading_survives_a_float(wh: int) -> None:
    assert metered_kwh(wh / 1000) == Decimal(wh).scaleb(-3)


@given(day=st.dates(date(2020, 1, 1), date(2090, 1, 1)), days=st.integers(1, 183))
def test_points_expire_after_the_event_and_inside_six_months(day: date, days: int) -> None:
    last = expiry_day(day, days)
    assert day < last <= day + timedelta(days=days)
    months = (last.year - day.year) * 12 + last.month - day.month
    assert months < 6 or (months == 6 and last.day < day.day)
