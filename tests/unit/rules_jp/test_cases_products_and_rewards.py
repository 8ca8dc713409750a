"""RULES-JP T33 to T44: products and alerts, devices, rewards, each with its worked figures."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from devices.echonet import counted_units, cumulative_kwh, power_limits_w, signed_power_w
from energy.core.assets import OwnerType, Vehicle
from energy.core.series import Grid, Series, Unit
from energy.core.slots import Slot, jst_midnight, parse_jst
from energy.ledger import (
    AlreadyPosted,
    Channel,
    CoinRule,
    Consent,
    ConsentRegister,
    DataUse,
    Grant,
    Journal,
    NoGrant,
    SlotEnergy,
    TightEvent,
    TightLevel,
    WhyNot,
    grant_for,
    post_grant,
)
from energy.market.matching import renewable_share
from energy.market.products import (
    Bid,
    CallFault,
    Refused,
    StoredResource,
    SupplyLevel,
    balancing_bid,
    capacity_call_faults,
    supply_level,
    sustained_kw,
)
from energy.store import open_store
from vpp.site.envelope import share_discharge

DAY = date(2026, 11, 24)
EVENING = Slot.of(DAY, 35)
EVENT = TightEvent(
    id="evening",
    start=EVENING,
    end=EVENING.shifted(2),
    level=TightLevel.ADVISORY,
    known_at=parse_jst("2026-11-23 16:00"),
)


def car(name: str, owner: OwnerType) -> Vehicle:
    driver = "hanako" if owner is OwnerType.EMPLOYEE else None
    return Vehicle(
        id=name,
        name_ja=name,
        name_en=name,
        capacity_kwh=20.0,
        charger=f"cp-{name}",
        owner=owner,
        driver=driver,
    )


def granted(
    owner: OwnerType, *kwh: str, rate: str = "20", cancelled_at: datetime | None = None
) -> Grant | NoGrant:
    rule = CoinRule(
        id="tight",
        version=1,
        points_per_kwh=Decimal(rate),
        valid_from=date(2026, 4, 1),
        valid_to=date(2027, 3, 31),
    )
    energies = [SlotEnergy(slot=EVENING.shifted(k), discharge_kwh=Decimal(one)) for k, one in enumerate(kwh)]
    given: dict[str, Any] = {"energies": energies, "opted_in": True, "cancelled_at": cancelled_at}
    return grant_for(
        rule, EVENT, vehicle=car("sakura" if owner is OwnerType.EMPLOYEE else "leaf", owner), **given
    )


def points(found: Grant | NoGrant) -> int:
    return found.points if isinstance(found, Grant) else 0


def test_t33_supply_is_tight_below_the_limits_and_not_at_them() -> None:
    margins = [Decimal(text) for text in ("5.0", "4.9", "3.0", "2.99")]
    levels = [supply_level(margin, DAY) for margin in margins]
    assert levels == [SupplyLevel.NORMAL, SupplyLevel.ADVISORY, SupplyLevel.ADVISORY, SupplyLevel.WARNING]


def test_t34_four_cars_hold_18_1_kw_for_three_hours_and_not_24() -> None:
    cars = [
        StoredResource(
            usable_kwh=Decimal(kwh) * Decimal("0.5"), max_kw=Decimal(6), efficiency=Decimal("0.92")
        )
        for kwh in (66, 40, 20, 20)
    ]
    assert round(sustained_kw(cars, Decimal(3)), 1) == Decimal("18.1")


def test_t35_eighteen_kw_are_refused_and_1000_4_become_1000() -> None:
    refused = balancing_bid(Decimal(18), DAY)
    assert isinstance(refused, Refused)
    assert refused.why.startswith("aggregate of >= 1,000 kW needed")
    assert balancing_bid(Decimal("1000.4"), DAY) == Bid(1000)


def test_t36_a_call_needs_three_hours_notice() -> None:
    start = parse_jst("2026-11-24 17:00")
    assert capacity_call_faults(parse_jst("2026-11-24 13:59"), start) == ()
    late = capacity_call_faults(parse_jst("2026-11-24 14:01"), start)
    assert late == (CallFault.SHORT_NOTICE,)


def test_t37_a_smart_meter_counts_in_its_unit_past_its_end_and_knows_no_value() -> None:
    assert cumulative_kwh((12345).to_bytes(4, "big"), unit=0x01) == Decimal("1234.5")
    assert counted_units(999_998, 3, digits=6) == 5
    assert cumulative_kwh(bytes.fromhex("fffffffe"), unit=0x01) is None


def test_t38_a_negative_power_gives_back_and_limits_are_two_numbers_of_four_bytes() -> None:
    assert signed_power_w(bytes.fromhex("ffffe890")) == -6000
    assert power_limits_w(bytes.fromhex("0000000000001770")) == (0, 6000)
    assert signed_power_w(bytes.fromhex("7ffffffe")) is None


def test_t39_a_car_gives_back_what_load_and_margin_leave_and_never_less_than_nothing() -> None:
    load, margin = 100.0, 10.0
    wanted = {"ev": -60.0}
    assert share_discharge(wanted, load - 60.0 - margin) == {"ev": -30.0}
    assert share_discharge(wanted, load - 95.0 - margin) == {"ev": 0.0}


def test_t40_points_are_rounded_down_once_per_event_in_decimals() -> None:
    assert points(granted(OwnerType.EMPLOYEE, "3.27", "2.93")) == 124
    assert points(granted(OwnerType.EMPLOYEE, "4.35", rate="100")) == 435


def test_t41_the_same_grant_is_booked_once_and_a_cancelled_event_pays_until_the_stop() -> None:
    found = granted(OwnerType.EMPLOYEE, "2.00", "2.00")
    assert isinstance(found, Grant)
    with open_store("sqlite://") as store:
        journal = Journal(store)
        post_grant(journal, found, EVENING.end)
        again = post_grant(journal, found, EVENING.end + timedelta(minutes=5))
        assert isinstance(again, AlreadyPosted)
        assert journal.balance("driver/hanako") == 80
        assert len(list(journal.entries())) == 1
    stopped = EVENING.start + timedelta(minutes=20)
    reading = SlotEnergy(slot=EVENING, discharge_kwh=Decimal("1.00"), until=stopped)
    rest = SlotEnergy(slot=EVENING.shifted(1), discharge_kwh=Decimal("2.00"))
    rule = CoinRule(id="tight", version=1, points_per_kwh=Decimal(20), valid_from=DAY, valid_to=DAY)
    paid = grant_for(
        rule,
        EVENT,
        vehicle=car("sakura", OwnerType.EMPLOYEE),
        energies=[reading, rest],
        opted_in=True,
        cancelled_at=stopped,
    )
    assert points(paid) == 20


def test_t42_a_noon_of_sun_covers_the_year_and_half_of_the_half_hours() -> None:
    grid = Grid(jst_midnight(DAY), 2)
    load, sun = (Series(grid, np.array(values), Unit.KWH) for values in ([10.0, 10.0], [0.0, 20.0]))
    share = renewable_share(load, sun)
    assert (share.annual, share.matched) == (1, Decimal("0.5"))


def test_t43_a_consent_withdrawn_at_ten_is_not_used_five_minutes_later_and_the_past_stays() -> None:
    given = parse_jst("2026-11-01 09:00")
    ten = parse_jst("2026-11-24 10:00")
    use = DataUse(
        controller="aizu-spc",
        purpose="regional-view",
        purpose_version=1,
        categories=("demand-forecast",),
        recipient="city",
    )
    consent = Consent(
        id="c-1",
        subject="factory",
        controller="aizu-spc",
        purpose="regional-view",
        purpose_version=1,
        categories=("demand-forecast",),
        recipients=("city",),
        granted_at=given,
        channel=Channel.PAPER,
        evidence_sha256=sha256(b"signed").hexdigest(),
    )
    with open_store("sqlite://") as store:
        register = ConsentRegister(store)
        register.grant(consent, recorded_at=given, actor="desk")
        register.withdraw("c-1", withdrawn_at=ten, recorded_at=ten, actor="desk", channel=Channel.APP)
        after, _ = register.check(["factory"], use, at=ten + timedelta(minutes=5))
        before, _ = register.check(["factory"], use, at=ten - timedelta(minutes=5))
    assert after == []
    assert [one.subject for one in before] == ["factory"]


def test_t44_the_employee_earns_and_the_company_car_earns_nobody_points() -> None:
    assert points(granted(OwnerType.EMPLOYEE, "2.00")) == 40
    company = granted(OwnerType.COMPANY, "4.00")
    assert isinstance(company, NoGrant)
    assert company.why is WhyNot.COMPANY_CAR


@pytest.mark.parametrize("data", ["00", "0000000000"])
def test_registers_of_the_wrong_length_are_refused(data: str) -> None:
    from energy.core.errors import RegisterError

    for read in (signed_power_w, power_limits_w):
        with pytest.raises(RegisterError):
            read(bytes.fromhex(data))
    with pytest.raises(RegisterError, match="unknown unit"):
        cumulative_kwh(bytes(4), unit=0x05)
    with pytest.raises(RegisterError, match="above the greatest"):
        power_limits_w(bytes.fromhex("0000177000000000"))
