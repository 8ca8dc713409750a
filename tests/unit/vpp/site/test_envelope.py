"""What a car may do, whatever anyone wants: floors, promises, missing readings, no export."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from energy.core.assets import Charger, OwnerType, Vehicle
from energy.core.plan import Reason, ReasonCode
from vpp.site.envelope import CarState, PowerRange, car_range, share_discharge

NOW = datetime(2026, 8, 5, 3, 0, tzinfo=UTC)
CHARGER = Charger(id="cp-1", max_charge_kw=6, max_discharge_kw=6, charge_efficiency=1.0)
LEAF = Vehicle(
    id="leaf", name_ja="リーフ", name_en="Leaf", capacity_kwh=40, charger="cp-1", owner=OwnerType.COMPANY
)


def allowed(*, meter_ok: bool = True, **state: object) -> PowerRange:
    known: dict[str, object] = {"plugged": True, "soc": 0.6} | state
    return car_range(LEAF, CHARGER, CarState(**known), now=NOW, meter_ok=meter_ok)  # type: ignore[arg-type]


def limits(bounds: PowerRange) -> tuple[float, float]:
    return bounds.low_kw, bounds.high_kw


def test_a_plugged_car_with_enough_charge_may_do_everything() -> None:
    assert limits(allowed()) == (-6, 6)


def test_an_absent_car_does_nothing() -> None:
    bounds = allowed(plugged=False)
    assert limits(bounds) == (0, 0)
    assert bounds.low_reason.code is ReasonCode.AWAY


def test_a_car_whose_charge_is_unknown_is_left_alone() -> None:
    bounds = allowed(soc=None)
    assert limits(bounds) == (0, 0)
    assert bounds.low_reason.code is ReasonCode.SAFE_STATE


def test_without_a_site_meter_nothing_is_given_back_and_nothing_taken() -> None:
    assert limits(allowed(meter_ok=False)) == (0, 0)


def test_without_a_site_meter_a_promise_is_still_kept() -> None:
    bounds = allowed(soc=0.5, departs=NOW + timedelta(hours=1), promise_soc=0.8, meter_ok=False)
    assert limits(bounds) == (6, 6)


def test_a_car_is_never_discharged_at_its_floor() -> None:
    assert limits(allowed(soc=0.31)) == (0, 6)
    assert limits(allowed(soc=0.32)) == (-6, 6)


def test_a_full_car_is_not_charged() -> None:
    assert limits(allowed(soc=0.95)) == (-6, 0)


def test_a_driver_who_says_no_is_not_asked() -> None:
    bounds = allowed(opted_out=True)
    assert limits(bounds) == (0, 6)
    assert bounds.low_reason.code is ReasonCode.OPTED_OUT


def test_charging_is_forced_when_the_promise_would_be_too_late() -> None:
    # 8 kWh are missing, and the register's half percent: 1.37 h at 6 kW, and 20 minutes of reserve.
    late = allowed(departs=NOW + timedelta(hours=1.6), promise_soc=0.8)
    assert limits(late) == (6, 6)
    assert late.low_reason.code is ReasonCode.PROMISE
    assert limits(allowed(departs=NOW + timedelta(hours=1.8), promise_soc=0.8)) == (-6, 6)


def test_clipping_gives_the_reason_that_holds() -> None:
    wish = Reason(ReasonCode.PRICE)
    bounds = allowed(soc=0.31)
    assert bounds.clip(3.0, wish) == (3.0, wish)
    power, reason = bounds.clip(-6.0, wish)
    assert power == 0.0
    assert reason.facts == {"soc_min_percent": 30.0}


@given(
    soc=st.floats(0, 1),
    hours=st.floats(0.1, 12),
    promise=st.floats(0.3, 0.95),
)
def test_following_the_lowest_allowed_power_still_keeps_a_promise_that_can_be_kept(
    soc: float, hours: float, promise: float
) -> None:
    """Whoever always takes the least the envelope allows leaves as promised, if that was possible at all."""
    departs = NOW + timedelta(hours=hours)
    possible = soc + hours * CHARGER.max_charge_kw / LEAF.capacity_kwh
    now, energy = NOW, soc * LEAF.capacity_kwh
    while now < departs:
        state = CarState(plugged=True, soc=energy / LEAF.capacity_kwh, departs=departs, promise_soc=promise)
        power = car_range(LEAF, CHARGER, state, now=now, meter_ok=True).low_kw
        assert power >= 0 or energy / LEAF.capacity_kwh > LEAF.soc_min
        energy += power / 60.0
        now += timedelta(minutes=1)
    minute = CHARGER.max_charge_kw / 60 / LEAF.capacity_kwh
    assert energy / LEAF.capacity_kwh >= min(promise, possible - minute) - 1e-9


def test_discharging_is_shared_out_of_the_load_that_is_left() -> None:
    # RULES-JP T39: load 100, PV 60, margin 10: at most 30 may be given back.
    assert share_discharge({"a": -30.0, "b": -30.0, "c": 6.0}, 30.0) == {"a": -15.0, "b": -15.0, "c": 6.0}
    # The sun jumps to 95: the budget is negative, nothing is given back.
    assert share_discharge({"a": -6.0}, -5.0) == {"a": 0.0}
    assert share_discharge({"a": -6.0}, 50.0) == {"a": -6.0}


@given(powers=st.lists(st.floats(-6, 6), max_size=6), budget=st.floats(-50, 50))
def test_shared_discharge_never_exceeds_its_budget(powers: list[float], budget: float) -> None:
    wanted = {f"ev-{k}": power for k, power in enumerate(powers)}
    limited = share_discharge(wanted, budget)
    assert -sum(min(0.0, power) for power in limited.values()) <= max(0.0, budget) + 1e-9
    assert all(limited[name] == wanted[name] for name in wanted if wanted[name] >= 0)
