"""Offers and calls: more price gives more, what is firm is less than the sum, burden evens out over time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.region.checks import shared_yen
from dispatch.region.coordinate import Coordinator
from dispatch.region.offer import Delivery, OfferPoint, Window, firm_kw, offer_curve
from dispatch.region.outcome import CoordinatorSettings, RegionPlan
from dispatch.region.share import Burden, called_plan, fair_share, gini, rebalanced
from energy.core.errors import ConfigError, DataError
from tests.unit.dispatch.region.region_helpers import coordinator, drawn, region_request

EVENING = Window(first=36, count=2)


@pytest.fixture(scope="module")
def planned() -> tuple[Coordinator, RegionPlan]:
    request = region_request(10)
    worked = coordinator(drawn(request), request.grid)
    return worked, worked.plan(CoordinatorSettings(gap=0.005, rounds=20))


def curve(planned: tuple[Coordinator, RegionPlan], window: Window) -> list[OfferPoint]:
    return offer_curve(*planned, window, [5.0, 30.0, 150.0], delivery=Delivery(), confidence=0.9)


@pytest.mark.parametrize("down", [True, False])
def test_a_higher_price_offers_more_and_costs_the_sites_no_more_than_it_pays(
    planned: tuple[Coordinator, RegionPlan], down: bool
) -> None:
    points = curve(planned, replace(EVENING, down=down))
    sums = [float(point.site_kw.sum()) for point in points]
    assert sums[-1] > 0.0
    assert all(later >= sooner - 1e-9 for sooner, later in pairwise(sums))
    for point in points:
        assert 0.0 <= point.firm_kw < point.expected_kw or point.expected_kw == 0.0
    assert points[0].cost_yen <= points[-1].cost_yen + 1e-6


def test_a_longer_window_offers_no_more_power(planned: tuple[Coordinator, RegionPlan]) -> None:
    short, long = curve(planned, EVENING)[-1], curve(planned, replace(EVENING, count=8))[-1]
    assert long.site_kw.sum() <= short.site_kw.sum() * 1.02


def test_a_call_is_delivered_by_schedules_that_every_site_keeps(
    planned: tuple[Coordinator, RegionPlan],
) -> None:
    worked, plan = planned
    point = curve(planned, EVENING)[-1]
    called = 0.6 * float(point.site_kw.sum())
    share = fair_share(called, point.site_kw, Burden.none(10), hours=1.0)
    with_call = called_plan(worked, plan, point, share)
    given_kw = (plan.power_kw - with_call.power_kw)[:, 36:38].sum(axis=0)
    assert share.sum() == pytest.approx(called)
    assert (given_kw >= 0.98 * called).all()
    assert with_call.violation == 0.0
    assert with_call.upper_yen == pytest.approx(
        with_call.site_yen.sum() + shared_yen(with_call, hours=0.5)[0]
    )
    unmoved = share == 0.0
    np.testing.assert_allclose(with_call.power_kw[unmoved], plan.power_kw[unmoved], atol=1e-6)


def test_a_window_outside_of_the_plan_and_a_confidence_of_none_are_refused(
    planned: tuple[Coordinator, RegionPlan],
) -> None:
    with pytest.raises(ConfigError, match="window"):
        curve(planned, Window(first=47, count=2))
    with pytest.raises(ConfigError, match="confidence"):
        offer_curve(*planned, EVENING, [5.0], delivery=Delivery(), confidence=0.3)


def test_what_is_firm_holds_in_as_many_of_drawn_deliveries_as_it_says() -> None:
    rng, delivery = np.random.default_rng(4), Delivery()
    site_kw = rng.uniform(0.5, 5.0, 200)
    firm = firm_kw(site_kw, delivery, 0.9)
    there = rng.random((4000, 200)) >= delivery.failing
    own = 1.0 + delivery.own_error * rng.standard_normal((4000, 200))
    common = 1.0 + delivery.common_error * rng.standard_normal((4000, 1))
    kept = ((there * own * common * site_kw).sum(axis=1) >= firm).mean()
    assert kept == pytest.approx(0.9, abs=0.03)
    few, many = (firm_kw(np.full(n, 1.0), delivery, 0.9) / n for n in (5, 500))
    assert few < many  # a crowd is surer than a few


kws = st.lists(st.floats(0.0, 50.0), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(kws, st.floats(0.0, 1.5), st.integers(0, 2**31))
def test_shares_sum_to_the_call_as_far_as_there_is_something_and_nobody_exceeds_its_offer(
    can: list[float], part: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    can_kw = np.array(can)
    offered = rng.uniform(0.0, 100.0, len(can))
    burden = Burden(offered, offered * rng.random(len(can)))
    wanted = part * float(can_kw.sum())
    share = fair_share(wanted, can_kw, burden, hours=0.5)
    assert (share >= 0.0).all()
    assert (share <= can_kw + 1e-9).all()
    assert share.sum() == pytest.approx(min(wanted, can_kw.sum()), abs=1e-6)


def test_over_many_calls_the_rule_evens_out_what_taking_the_first_ones_does_not() -> None:
    rng = np.random.default_rng(2)
    fair, greedy = Burden.none(30), Burden.none(30)
    for _ in range(20):
        can = rng.uniform(0.0, 6.0, 30) * (rng.random(30) < 0.8)
        call = 0.3 * can.sum()
        fair = fair.after(can, fair_share(call, can, fair, hours=1.0))
        first = np.minimum(can, np.maximum(0.0, call - np.concatenate([[0.0], np.cumsum(can)[:-1]])))
        greedy = greedy.after(can, first)
    assert fair.gini < 0.05
    assert greedy.gini > 0.5
    assert fair.given_kwh.sum() == pytest.approx(greedy.given_kwh.sum())


def test_who_was_called_less_so_far_gives_first() -> None:
    burden = Burden(np.array([10.0, 10.0]), np.array([8.0, 0.0]))
    np.testing.assert_allclose(
        fair_share(4.0, np.array([5.0, 5.0]), burden, hours=1.0), [0.0, 4.0], atol=1e-6
    )


def test_what_a_failing_site_does_not_give_is_taken_over_by_the_others() -> None:
    can = np.array([5.0, 5.0, 5.0])
    share = fair_share(9.0, can, Burden.none(3), hours=1.0)
    rest = rebalanced(share, np.array([0.5, 3.0, 3.0]), can, Burden.none(3), hours=0.5)
    np.testing.assert_allclose(rest, [0.5, 4.25, 4.25], atol=1e-6)
    hopeless = rebalanced(share, np.zeros(3), can, Burden.none(3), hours=0.5)
    assert hopeless.sum() == 0.0


def test_gini_of_known_distributions() -> None:
    assert gini(np.ones(7)) == pytest.approx(0.0)
    assert gini(np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx(0.75)
    assert gini(np.zeros(3)) == 0.0
    with pytest.raises(DataError):
        fair_share(-1.0, np.ones(2), Burden.none(2), hours=1.0)
