"""How right sums were: of the sum, of enough consenting sites, against what anybody could have said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pytest

from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, jst_midnight, parse_jst
from energy.core.units import series_id
from energy.ledger import Channel, Consent, ConsentRegister
from energy.store import Store, open_store, points_of
from tests.unit.vpp.forecasts.region import GRANTED, ORDER
from vpp.forecasts.delivery import PURPOSE, PURPOSE_VERSION
from vpp.forecasts.handover import slot_forecasts
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast, keep
from vpp.forecasts.sumscore import expected_miss_kwh, sum_scores

NOW = parse_jst("2026-08-06 14:00")
TODAY = date(2026, 8, 6)
SITES = 10


def issue(store: Store, site: str, day: date, kw: float) -> None:
    noon = jst_midnight(day) - timedelta(hours=12)
    flat = (kw,) * 48
    keep(
        store,
        IssuedForecast(
            site=site,
            target=LOAD,
            horizon=Horizon.DAY_AHEAD,
            issued_at=noon,
            start=jst_midnight(day),
            p10=flat,
            p50=flat,
            p90=flat,
            model="test",
            card="",
            version="test",
        ),
    )


def meter(store: Store, site: str, levels: list[float]) -> None:
    """Whole days up to yesterday, each at a level. [kW]"""
    grid = Grid(jst_midnight(TODAY - timedelta(days=len(levels))), 48 * len(levels))
    values = Series(grid, np.repeat(levels, 48), Unit.KW)
    name = series_id(site, LOAD, "demand_kw")
    store.append(points_of(name, values, known_at=lambda at: at + SLOT_LENGTH, source="test"))


def agree(store: Store, site: str) -> None:
    ConsentRegister(store).grant(
        Consent(
            id=f"c-{site}",
            subject=site,
            controller=ORDER.controller,
            purpose=PURPOSE,
            purpose_version=PURPOSE_VERSION,
            categories=("demand-forecast",),
            recipients=(ORDER.recipient,),
            granted_at=GRANTED,
            channel=Channel.PAPER,
            evidence_sha256="0" * 64,
        ),
        recorded_at=GRANTED,
        actor="test",
    )


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store("sqlite://") as one:
        yield one


def fill(store: Store, sites: int = SITES) -> None:
    for number in range(sites):
        site = f"site-{number:02d}"
        agree(store, site)
        # Ten days; yesterday was 12 kW, everything before 10 kW.
        meter(store, site, [*([10.0] * 9), 12.0])
        issue(store, site, TODAY - timedelta(days=1), 11.0)


def test_errors_are_those_of_the_sum_over_its_mean(store: Store) -> None:
    fill(store)
    score = sum_scores(store, ORDER, at=NOW).get(7)
    assert score is not None
    assert (score.days, score.sites) == (1, SITES)
    assert score.ours == pytest.approx(1 / 12)
    assert score.persistence == score.same_weekday == pytest.approx(2 / 12)
    assert score.short_kwh == pytest.approx(SITES * 24.0)
    assert score.long_kwh == 0.0


def test_sites_that_go_wrong_in_opposite_directions_help_each_other(store: Store) -> None:
    fill(store)
    for number in range(SITES):
        shift = 1.0 if number % 2 else -1.0
        site = f"site-{number:02d}"
        meter(store, f"{site}-b", [10.0] * 10)
        agree(store, f"{site}-b")
        issue(store, f"{site}-b", TODAY - timedelta(days=1), 10.0 + shift)
    score = sum_scores(store, ORDER, at=NOW).get(7)
    assert score is not None
    assert score.ours == pytest.approx(SITES / (SITES * 22.0))


def test_too_few_sites_say_nothing(store: Store) -> None:
    fill(store, sites=2)
    assert sum_scores(store, ORDER, at=NOW).get(7) is None


def test_a_site_that_did_not_agree_is_not_looked_at(store: Store) -> None:
    fill(store)
    meter(store, "silent", [1000.0] * 10)
    issue(store, "silent", TODAY - timedelta(days=1), 0.0)
    score = sum_scores(store, ORDER, at=NOW).get(7)
    assert score is not None
    assert score.sites == SITES


def test_a_day_with_a_hole_does_not_count(store: Store) -> None:
    for number in range(SITES):
        site = f"site-{number:02d}"
        agree(store, site)
        meter(store, site, [10.0] * 5)  # no value of a week before
        issue(store, site, TODAY - timedelta(days=1), 11.0)
    assert sum_scores(store, ORDER, at=NOW).get(7) is None


def test_the_expected_miss_is_that_of_a_normal_error() -> None:
    sigma = 10.0
    half = 1.281_551_6 * sigma
    slots = slot_forecasts(TODAY, [(100.0 - half, 100.0, 100.0 + half)] * 48)
    assert expected_miss_kwh(slots) == pytest.approx(24 * np.sqrt(2 / np.pi) * sigma, rel=1e-4)
    assert expected_miss_kwh(slot_forecasts(TODAY, [None] * 48)) == 0.0
