"""An event is paid once, for verified energy only, to the employee and not to company cars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from energy.core.slots import Slot, parse_jst
from energy.core.units import AssetId
from energy.ledger import Journal, TightEvent, TightLevel
from energy.store import Point, SqlStore, open_store
from vpp.consents import record_simulated
from vpp.settlement.settle import event_slots, settle_event
from vpp.simulation.scenario import load_scenario
from vpp.site.recorder import SiteSeries

SCENARIO = load_scenario("kitakata")[0]
SITE = SCENARIO.site
EVENT = TightEvent(
    id="tight-2026-08-05",
    start=Slot(parse_jst("2026-08-05 16:00")),
    end=Slot(parse_jst("2026-08-05 17:30")),
    level=TightLevel.WARNING,
    known_at=parse_jst("2026-08-04 16:00"),
)
AT = EVENT.end.start


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = open_store("sqlite://", durability="process")
    record_simulated(opened, ["driver-1"], at=EVENT.known_at)
    yield opened
    opened.close()


def meter(store: SqlStore, car: str, discharge: list[float | None], charge: float = 0.0) -> None:
    names = SiteSeries(SITE.id)
    for slot, given in zip(event_slots(EVENT), discharge, strict=True):
        for quantity, value in (("discharge_kwh", given), ("charge_kwh", charge)):
            store.append(
                [
                    Point(
                        series=names[car, quantity],
                        at=slot.start,
                        known_at=slot.end,
                        value=value,
                        source="test",
                    )
                ]
            )


def settle(store: SqlStore, *, opted_out: tuple[str, ...] = (), stopped_at: datetime | None = None) -> int:
    assert SCENARIO.coin is not None
    grants = settle_event(
        Journal(store),
        store.as_of(AT),
        SITE,
        SCENARIO.coin,
        EVENT,
        opted_out={AssetId(name) for name in opted_out},
        at=AT,
        store=store,
        stopped_at=stopped_at,
    )
    return sum(grant.points for grant in grants)


def test_points_are_counted_once_on_the_summed_energy(store: SqlStore) -> None:
    meter(store, "commuter", [3.27, 2.93, 0.0])
    assert settle(store) == 124  # RULES-JP T40: floor(6.20 * 20), not 65 + 58
    assert Journal(store).balances() == {"driver/driver-1": 124, "operator/issue": -124}


def test_settling_twice_pays_once(store: SqlStore) -> None:
    meter(store, "commuter", [2.0, 0.0, 0.0])
    assert settle(store) == settle(store) == 40
    assert Journal(store).balance("driver/driver-1") == 40


def test_a_cancel_stops_the_reward_at_once(store: SqlStore) -> None:
    meter(store, "commuter", [2.0, 2.0, 2.0])
    stop = EVENT.start.start + timedelta(minutes=50)
    assert settle(store, stopped_at=stop) == 40  # RULES-JP T41: the half hour that the stop cut is not paid


def test_a_company_car_earns_nobody_personal_points(store: SqlStore) -> None:
    meter(store, "leaf", [2.0, 2.0, 0.0])
    meter(store, "commuter", [1.0, 1.0, 0.0])
    assert settle(store) == 40  # RULES-JP T44


def test_a_missing_sub_meter_reading_counts_nothing(store: SqlStore) -> None:
    meter(store, "commuter", [1.0, None, 1.0])
    assert settle(store) == 40


def test_charging_inside_the_event_is_taken_off(store: SqlStore) -> None:
    meter(store, "commuter", [2.0, 2.0, 2.0], charge=1.0)
    assert settle(store) == 60


def test_who_says_no_is_not_paid_and_not_charged(store: SqlStore) -> None:
    meter(store, "commuter", [2.0, 0.0, 0.0])
    assert settle(store, opted_out=("commuter",)) == 0
    assert Journal(store).balances() == {}


def test_energy_after_the_event_is_not_paid(store: SqlStore) -> None:
    meter(store, "commuter", [0.0, 0.0, 0.0])
    names = SiteSeries(SITE.id)
    late = EVENT.end
    store.append(
        [
            Point(
                series=names["commuter", quantity],
                at=late.start,
                known_at=late.start + timedelta(minutes=30),
                value=value,
                source="test",
            )
            for quantity, value in (("discharge_kwh", 3.0), ("charge_kwh", 0.0))
        ]
    )
    assert settle(store) == 0
