"""What a month kept: only what meters prove, from the first reading on."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from energy.core.series import Grid, Series, Unit
from energy.core.slots import parse_jst
from energy.store import Store, open_store, points_of
from vpp.paper.factory_month import factory_month_pdf
from vpp.simulation.scenario import load_scenario
from vpp.site.recorder import SiteSeries
from vpp.views.factory_month import factory_month
from vpp.views.kept import kept_in_month
from vpp.views.targets import target_table

SITE = load_scenario("kitakata")[0].site
FIRST = parse_jst("2026-08-05")  # a Wednesday
NOW = parse_jst("2026-08-07")
CARS = [vehicle.id for vehicle in SITE.vehicles]


def put(store: Store, asset: str, quantity: str, values: np.ndarray, first: datetime = FIRST) -> None:
    series = Series(Grid(first, len(values)), values.astype(float), Unit.RATIO)
    name = SiteSeries("kitakata")[asset, quantity]
    store.append(points_of(name, series, known_at=lambda at: at + timedelta(minutes=30), source="meter"))


def two_days(store: Store) -> None:
    """100 kW; at 15:00 of the first day 220 kW while the Leaf gives back 6 kW."""
    bought = np.full(96, 50.0)
    bought[30] = 110.0
    put(store, "meter", "import_kwh", bought)
    for car in CARS:
        put(store, car, "discharge_kwh", np.where(np.arange(96) == 30, 3.0 if car == "leaf" else 0.0, 0.0))
        put(store, car, "soc", np.full(96, 0.9))
        put(store, car, "plugged", np.ones(96))
    for zone in SITE.zones:
        put(store, zone.id, "room_c", np.full(96, 26.0))


def test_the_peak_without_what_cars_gave_back_is_proved_by_their_meters() -> None:
    with open_store("sqlite://") as store:
        two_days(store)
        kept = kept_in_month(store.as_of(NOW), SITE, "2026-08", NOW)
    assert kept.peak is not None
    assert kept.without is not None
    assert (kept.peak.kw, kept.without.kw, kept.avoided_kw) == (220.0, 226.0, 6.0)
    assert kept.peak.at == FIRST + timedelta(hours=15)
    # 230 kW of December still set the contract: nothing was saved on the bill yet
    assert (kept.memory_kw, kept.avoided_yen_month) == (230.0, Decimal(0))
    assert kept.start == FIRST
    assert kept.began_late
    assert kept.missing == 0


def test_above_the_memory_a_kw_costs_the_basic_charge_of_the_month() -> None:
    with open_store("sqlite://") as store:
        two_days(store)
        put(store, "meter", "import_kwh", np.array([120.0]), NOW)
        put(store, "leaf", "discharge_kwh", np.array([3.0]), NOW)
        late = NOW + timedelta(minutes=30)
        kept = kept_in_month(store.as_of(late), SITE, "2026-08", late)
    assert kept.avoided_yen_month == Decimal(6) * 2000 * Decimal("0.85")


def test_comfort_counts_only_rooms_with_people_and_names_what_was_not_measured() -> None:
    with open_store("sqlite://") as store:
        two_days(store)
        hot = np.full(96, 26.0)
        hot[20] = 28.0  # 10:00-10:30, people are in: half a degree too warm
        hot[2] = 35.0  # 01:00: nobody is
        put(store, "office", "room_c", hot, FIRST + timedelta(days=7))
        late = FIRST + timedelta(days=9)
        kept = kept_in_month(store.as_of(late), SITE, "2026-08", late).comfort
    assert (kept.outside, kept.minutes_outside) == (1, 30)
    assert kept.worst_k == pytest.approx(0.5)
    assert kept.unmeasured > 0


def test_a_departure_is_kept_missed_or_unseen() -> None:
    with open_store("sqlite://") as store:
        two_days(store)
        # the Leaf leaves at 10:00 on both days with 60 % promised; on the second it has 40 %
        soc = np.full(96, 0.9)
        soc[48 + 19] = 0.4
        later = NOW + timedelta(hours=1)
        with store.transaction():
            series = Series(Grid(FIRST, 96), soc, Unit.RATIO)
            name = SiteSeries("kitakata")["leaf", "soc"]
            store.append(points_of(name, series, known_at=lambda _: later, source="corrected"))
            away = Series(Grid(FIRST + timedelta(hours=17), 1), np.zeros(1), Unit.RATIO)
            plug = SiteSeries("kitakata")["commuter", "plugged"]
            store.append(points_of(plug, away, known_at=lambda _: later, source="corrected"))
        told = kept_in_month(store.as_of(later), SITE, "2026-08", NOW).departures
    assert [(one.asset, one.soc, one.promised) for one in told.missed] == [("leaf", 0.4, 0.6)]
    assert told.unmeasured == 1
    assert told.kept == told.measured - 1


def test_a_month_without_a_reading_says_so_on_page_and_paper() -> None:
    with open_store("sqlite://") as store:
        told = factory_month(store, SITE, "2026-07", NOW)
        assert told.empty
        assert told.bill is None
        for lang in ("ja", "en"):
            assert factory_month_pdf(told, lang=lang).startswith(b"%PDF")


def test_the_bill_so_far_is_made_of_whole_days_and_never_guessed() -> None:
    with open_store("sqlite://") as store:
        two_days(store)
        told = factory_month(store, SITE, "2026-08", NOW)
        assert told.bill is not None
        assert told.bill.kwh == Decimal(96 * 50 + 60)
        assert [day.peak_kw for day in told.days] == [220.0, 100.0]
        put(store, "meter", "import_kwh", np.full(20, 50.0), FIRST + timedelta(days=3))
        late = FIRST + timedelta(days=4)
        gap = factory_month(store, SITE, "2026-08", late)
        assert gap.bill is None
        assert gap.missing == 48 + 28
        assert factory_month_pdf(gap, lang="en").startswith(b"%PDF")


def test_a_lower_target_is_held_against_what_was_metered() -> None:
    with open_store("sqlite://") as store:
        two_days(store)
        told = target_table(store.as_of(NOW), SITE, NOW, asked_kw=215.0)
    line = next(one for one in told.lines if one.target_kw == 215.0)
    assert (line.above, line.worst_kw, line.energy_kwh) == (1, 5.0, 2.5)
    # 230 kW are remembered: 15 kW x 2,000 yen x 0.85 x 12 months
    assert line.yen_year == Decimal(15 * 2000 * 12) * Decimal("0.85")
    assert line.ahead is None
    assert (told.metered, told.missing, told.cars_kw) == (96, 0, 24.0)
