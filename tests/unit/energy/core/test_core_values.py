"""Clock, units, tariff rows, measurements and forecasts: what they refuse and what they promise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from pydantic import ValidationError

from energy.core.clock import ManualClock, SystemClock, require_aware
from energy.core.errors import AlignmentError, ConfigError, ForecastError, StaleDataError
from energy.core.forecast import QuantileForecast
from energy.core.measurement import Measurement, Quality
from energy.core.series import Grid, Unit
from energy.core.tariff import Tariff, TariffPeriod
from energy.core.units import floor_int, kw_of_kwh, kwh_of_kw, round_half_up, series_id

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


def test_a_manual_clock_moves_only_when_told_and_never_back() -> None:
    clock = ManualClock(NOW)
    assert clock.now() == clock.now() == NOW
    assert clock.advance(timedelta(minutes=30)) == NOW + timedelta(minutes=30) == clock.now()
    with pytest.raises(ValueError, match="does not run back"):
        clock.advance(timedelta(seconds=-1))


def test_the_machines_clock_is_aware_and_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


def test_a_naive_instant_is_refused_everywhere() -> None:
    with pytest.raises(ValueError, match="attach a time zone"):
        require_aware(NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="attach a time zone"):
        ManualClock(NOW.replace(tzinfo=None))


def test_power_and_energy_of_a_slot_are_a_factor_of_two_apart() -> None:
    assert kw_of_kwh(150.0) == 300.0
    assert kwh_of_kw(300.0) == 150.0
    assert kwh_of_kw(kw_of_kwh(7.0, 0.25), 0.25) == 7.0


@pytest.mark.parametrize(
    ("value", "nearest", "below"),
    [("0.5", 1, 0), ("1.5", 2, 1), ("2.5", 3, 2), ("2.4999", 2, 2), ("-0.5", -1, -1), ("-1.2", -1, -2)],
)
def test_rounding_rules_are_half_up_and_floor(value: str, nearest: int, below: int) -> None:
    assert round_half_up(Decimal(value)) == nearest
    assert floor_int(Decimal(value)) == below


def test_a_series_name_has_three_parts() -> None:
    assert series_id("kitakata", "meter", "import_kwh") == "kitakata/meter/import_kwh"
    for parts in (("", "meter", "x"), ("a", "b/c", "d"), ("a", "b", "")):
        with pytest.raises(ValueError, match="bad part"):
            series_id(*parts)


def period(first: str, last: str, **changes: object) -> TariffPeriod:
    facts: dict[str, object] = {
        "valid_from": first,
        "valid_to": last,
        "basic_yen_per_kw_month": "2000",
        "summer_yen_per_kwh": "19.00",
        "other_yen_per_kwh": "18.00",
        "adjustment_yen_per_kwh": "-1.23",
        "levy_yen_per_kwh": "4.18",
    }
    return TariffPeriod(**{**facts, **changes})  # type: ignore[arg-type]


def tariff(*periods: TariffPeriod, power_factor: int = 100) -> Tariff:
    return Tariff(name_ja="例", name_en="example", periods=periods, power_factor_percent=power_factor)


def test_the_energy_charge_of_a_day_is_that_of_its_season() -> None:
    row = period("2026-05-01", "2027-04-30")
    charges = {month: row.season_yen_per_kwh(date(2026, month, 15)) for month in (6, 7, 9, 10)}
    assert charges == {6: Decimal(18), 7: Decimal(19), 9: Decimal(19), 10: Decimal(18)}
    assert row.fixed_adjustment_yen_per_kwh() == Decimal("-1.23")


def test_hours_with_a_charge_of_their_own_pass_midnight_and_know_days_of_rest() -> None:
    night = {"starts": "22:00", "ends": "08:00", "yen_per_kwh": "12"}
    rest = {"starts": "00:00", "ends": "00:00", "yen_per_kwh": "15", "days": "rest"}
    row = period("2026-05-01", "2027-04-30", bands=(night, rest))
    tuesday, holiday = row.band_prices(date(2026, 11, 24)), row.band_prices(date(2026, 11, 23))
    assert [tuesday[slot] for slot in (0, 15, 16, 43, 44, 47)] == [12, 12, 18, 18, 12, 12]
    assert [holiday[slot] for slot in (0, 15, 16, 43, 44, 47)] == [12, 12, 15, 15, 12, 12]


@pytest.mark.parametrize(
    "wrong",
    [
        {"bands": ({"starts": "22:10", "ends": "08:00", "yen_per_kwh": "12"},)},
        {"steps": ({"above_kwh": "300", "yen_per_kwh": "30"}, {"above_kwh": "120", "yen_per_kwh": "25"})},
        {
            "steps": ({"above_kwh": "300", "yen_per_kwh": "30"},),
            "bands": ({"starts": "22:00", "ends": "08:00", "yen_per_kwh": "12"},),
        },
    ],
)
def test_bands_off_the_half_hour_and_steps_that_do_not_rise_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        period("2026-05-01", "2027-04-30", **wrong)


def test_a_tariff_is_looked_up_by_the_day_and_says_what_it_covers() -> None:
    both = tariff(period("2026-05-01", "2026-10-31"), period("2026-11-01", "2027-04-30"))
    assert both.on(date(2026, 10, 31)) is both.periods[0]
    assert both.on(date(2026, 11, 1)) is both.periods[1]
    with pytest.raises(ConfigError, match="no prices for 2027-05-01") as caught:
        both.on(date(2027, 5, 1))
    assert "2026-11-01..2027-04-30" in caught.value.where


def test_power_factor_changes_the_basic_charge_by_one_percent_each() -> None:
    row = period("2026-05-01", "2027-04-30")
    factors = [tariff(row, power_factor=percent).basic_factor() for percent in (100, 97, 85, 80)]
    assert factors == [Decimal("0.85"), Decimal("0.88"), Decimal(1), Decimal("1.05")]


def test_a_tariff_with_overlaps_or_impossible_prices_cannot_be_made() -> None:
    with pytest.raises(ValidationError, match="overlap"):
        tariff(period("2026-05-01", "2026-11-01"), period("2026-11-01", "2027-04-30"))
    with pytest.raises(ValidationError, match="is after"):
        period("2026-05-02", "2026-05-01")
    for name in ("basic_yen_per_kw_month", "summer_yen_per_kwh", "levy_yen_per_kwh"):
        with pytest.raises(ValidationError):
            period("2026-05-01", "2027-04-30", **{name: "-0.01"})
    with pytest.raises(ValidationError):
        tariff()


def reading(value: float | None = 5.0, quality: Quality = Quality.GOOD) -> Measurement:
    return Measurement("active_power_kw", value, Unit.KW, NOW, quality)


@pytest.mark.parametrize("quality", [Quality.GOOD, Quality.ESTIMATED])
def test_a_good_value_is_acted_on_up_to_its_age_limit(quality: Quality) -> None:
    limit = timedelta(seconds=60)
    assert reading(quality=quality).fresh(NOW + limit, limit=limit) == 5.0


@pytest.mark.parametrize(
    ("measurement", "age_s"),
    [
        (reading(), 61),
        (reading(None), 0),
        (reading(quality=Quality.STALE), 0),
        (reading(quality=Quality.INVALID), 0),
        (reading(quality=Quality.CLAMPED), 0),
    ],
)
def test_nothing_is_acted_on_that_is_old_absent_or_doubtful(measurement: Measurement, age_s: int) -> None:
    with pytest.raises(StaleDataError, match="active_power_kw cannot be acted on") as caught:
        measurement.fresh(NOW + timedelta(seconds=age_s), limit=timedelta(seconds=60))
    assert caught.value.details["age_s"] == age_s


def forecast(p10: list[float], p50: list[float], p90: list[float]) -> QuantileForecast:
    return QuantileForecast(
        target="kitakata/load/demand_kw",
        issued_at=NOW,
        grid=Grid(NOW, 2),
        unit=Unit.KW,
        p10=np.array(p10),
        p50=np.array(p50),
        p90=np.array(p90),
        model="seasonal",
    )


def test_a_forecast_has_ordered_quantiles_that_cannot_be_changed() -> None:
    made = forecast([1, 2], [2, 2], [3, 2])
    with pytest.raises(ValueError, match="read-only"):
        made.p50[0] = 9.0


def test_a_forecast_without_its_spread_keeps_its_median_and_says_so() -> None:
    made = forecast([1, 2], [2, 5], [3, 9])
    bare = made.median_only()
    assert bare.p10.tolist() == bare.p50.tolist() == bare.p90.tolist() == [2, 5]
    assert (bare.model, bare.issued_at) == ("seasonal, median only", made.issued_at)
    assert made.p90.tolist() == [3, 9]


def test_a_forecast_never_crosses_misses_or_misfits() -> None:
    with pytest.raises(ForecastError, match="cross"):
        forecast([1, 3], [2, 2], [3, 4])
    with pytest.raises(ForecastError, match="missing values"):
        forecast([1, 2], [2, float("nan")], [3, 4])
    with pytest.raises(AlignmentError, match="does not fit"):
        forecast([1], [2], [3])
