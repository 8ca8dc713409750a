"""A site that is called for an event: what its plan does with it, and what it does not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import get_args, get_type_hints

import numpy as np
import pytest
from pydantic import ValidationError

from dispatch.rules import rules_plan
from energy.core.forecast import QuantileForecast
from energy.core.plan import Problem, ReasonCode
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import DrTerms
from energy.core.slots import SLOT_LENGTH, parse_jst
from energy.core.units import AssetId
from energy.market.baseline import Adjustment as Shift
from energy.market.baseline import Method
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import SqlStore, open_store, points_of
from vpp.loop.called import with_calls
from vpp.loop.operate import HORIZON
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.simulation.rehearsal import RehearsedDesk
from vpp.simulation.scenario import Scenario, load_scenario
from vpp.simulation.simulate import ScenarioRun
from vpp.simulation.simworld import SimulatedWorld
from vpp.site.planning import Outlook, SiteState, build_problem
from vpp.site.recorder import SiteSeries
from vpp.site.records import SLOT_RECORD, SlotRecord

START, END = parse_jst("2026-08-05 11:00"), parse_jst("2026-08-05 19:00")
FIRST, LAST = parse_jst("2026-08-05 16:00"), parse_jst("2026-08-05 18:00")
EARLY = parse_jst("2026-08-04 09:00")
KITAKATA, FOLDER = load_scenario("kitakata")
SCENARIO = replace(
    KITAKATA,
    site=replace(KITAKATA.site, dr=DrTerms(reward_yen_per_kwh=100.0, recovery_slots=2)),
    world=replace(KITAKATA.world, tight=None),
)
EVENT = DrEvent(
    id="dr-aug",
    product=Product.ECONOMIC,
    modification=0,
    start=FIRST,
    end=LAST,
    target_kw=Decimal(60),
    announced_at=EARLY,
)
GRID = Grid.between(START, END)
WINDOW = slice(0, 6)  # 11:00 to 14:00
DURING = slice(10, 14)
AFTER = slice(14, 16)


@cache
def desk() -> RehearsedDesk:
    """Forecasts that come true."""
    world = SimulatedWorld(SCENARIO, FOLDER, START, END + timedelta(days=3))
    outlooks = {}
    for k in range(GRID.count):
        grid = Grid(GRID.time(k), HORIZON)
        load, roof, outdoor, ghi = world.truth(grid)

        def known(values: FloatArray, grid: Grid = grid) -> QuantileForecast:
            return QuantileForecast("x", grid.start, grid, Unit.KW, values, values, values, "truth")

        outlooks[grid.start] = Outlook(load=known(load), pv=known(roof), outdoor_c=outdoor, ghi_w_m2=ghi)
    return RehearsedDesk(outlooks)


def put_past(store: SqlStore, imported_kwh: FloatArray) -> None:
    """Ten days like the one without an event."""
    for back in range(1, 15):
        past = Series(Grid(START - timedelta(days=back), GRID.count), imported_kwh, Unit.KWH)
        name = SiteSeries("kitakata")["meter", "import_kwh"]
        store.append(points_of(name, past, known_at=lambda at: at + SLOT_LENGTH, source="test"))


def call(store: SqlStore) -> EventBook:
    book = EventBook(store)
    book.announce(EVENT, at=EARLY, actor="upstream")
    book.nominate("dr-aug", [Resource(site="kitakata", kw=Decimal(60))], at=EARLY, actor="desk")
    return book


def day(past_kwh: FloatArray | None) -> tuple[FloatArray, list[SlotRecord], Counter[str]]:
    """Import by half-hour [kWh], records and counts of a day; with a past there is an event."""
    with open_store("sqlite://") as store:
        if past_kwh is not None:
            put_past(store, past_kwh)
            call(store)
        run = ScenarioRun(SCENARIO, FOLDER, "optimal", START, END, store, wire=False, desk=desk())
        asyncio.run(run.run())
        known = store.as_of(END + timedelta(days=1))
        records = [SlotRecord.from_json(one.body) for one in known.documents(SLOT_RECORD)]
        series = known.series(SiteSeries("kitakata")["meter", "import_kwh"], GRID, Unit.KWH)
        return series.values, sorted(records, key=lambda one: one.slot), run.operator.counts


@cache
def both() -> tuple[FloatArray, FloatArray, tuple[SlotRecord, ...], Counter[str]]:
    without, _, _ = day(None)
    called, records, counts = day(without)
    return without, called, tuple(records), counts


def test_a_site_that_is_called_draws_less_in_the_event() -> None:
    without, called, _, counts = both()
    for name, hours in (("window", WINDOW), ("event", DURING), ("after", AFTER)):
        print(f"{name}: {without[hours].sum():.1f} kWh without, {called[hours].sum():.1f} kWh called")
    print(
        f"highest after: {2 * without[AFTER].max():.1f} kW without, {2 * called[AFTER].max():.1f} kW called"
    )
    assert called[DURING].sum() < without[DURING].sum() - 100.0  # 60 kW for two hours are 120
    assert counts["calls_not_planned"] == 0


def test_the_window_before_the_event_is_not_loaded() -> None:
    without, called, _, _ = both()
    assert called[WINDOW].sum() <= without[WINDOW].sum() + 0.5


def test_what_was_given_away_comes_back_without_a_new_peak() -> None:
    without, called, _, _ = both()
    assert called[AFTER].max() <= max(without[DURING].max(), without[AFTER].max()) + 0.5


def test_the_reasons_name_the_event() -> None:
    _, _, records, _ = both()
    points = [point for record in records[DURING] for point in record.planned]
    named = {point.reason.facts["event"] for point in points if point.reason.code is ReasonCode.EVENT}
    assert named == {"dr-aug"}


# --- without a day -------------------------------------------------------------------------------------


def planned(store: SqlStore, scenario: Scenario = SCENARIO) -> tuple[int, Counter[str]]:
    """How many events the first plan of the day would see."""
    site = scenario.site
    counts: Counter[str] = Counter()
    return len(with_calls(first_problem(), site, store, plan=rules_plan, counts=counts).events), counts


@cache
def first_problem() -> Problem:
    site = SCENARIO.site
    state = SiteState(
        soc_kwh={AssetId(car.id): 10.0 for car in site.vehicles},
        absent=frozenset(),
        room_c={AssetId(zone.id): zone.initial_c for zone in site.zones},
        peak_memory_kw=230.0,
    )
    outlook = desk().outlook(None, START, Grid(START, HORIZON))  # type: ignore[arg-type]
    return build_problem(site, state, outlook, now=START, trips=(), events=(), coin=None)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        put_past(opened, np.full(GRID.count, 100.0))
        yield opened


def test_a_call_is_an_event_of_the_problem_with_the_settlements_baseline(store: SqlStore) -> None:
    call(store)
    (event,) = with_calls(first_problem(), SCENARIO.site, store, plan=rules_plan, counts=Counter()).events
    assert (event.first, event.last, event.most_kw) == (10, 14, 60.0)
    assert event.baseline_kw == (200.0,) * 4
    assert event.adjustment is not None
    assert (event.adjustment.first, event.adjustment.last, event.adjustment.slots) == (0, 6, 6)


def test_a_cancelled_event_is_gone_at_once(store: SqlStore) -> None:
    call(store).cancel("dr-aug", at=START, actor="upstream")
    assert planned(store) == (0, Counter())


def test_a_cancel_that_is_not_known_yet_changes_nothing(store: SqlStore) -> None:
    call(store).cancel("dr-aug", at=START + timedelta(minutes=1), actor="upstream")
    assert planned(store)[0] == 1


def test_a_site_that_declines_plans_nothing(store: SqlStore) -> None:
    call(store).opt("dr-aug", "kitakata", takes_part=False, at=START, actor="kitakata")
    assert planned(store) == (0, Counter())


def test_an_event_that_was_declined_as_a_whole_is_not_planned(store: SqlStore) -> None:
    call(store).answer("dr-aug", takes_part=False, at=START, actor="desk")
    assert planned(store) == (0, Counter())


def test_a_call_that_no_plan_can_serve_is_counted(store: SqlStore) -> None:
    call(store)
    assert planned(store, KITAKATA) == (0, Counter(calls_not_planned=1))  # the site names no price


def test_too_few_days_for_a_baseline_are_counted() -> None:
    with open_store("sqlite://") as empty:
        call(empty)
        assert planned(empty) == (0, Counter(calls_not_planned=1))


def problem_of(store: SqlStore, **terms: object) -> Problem:
    """The first problem of the day with the call, the site being enrolled as said."""
    call(store)
    dr = replace(SCENARIO.site.dr, **terms)  # type: ignore[type-var] # as a YAML file would say
    site = replace(SCENARIO.site, dr=dr)
    return with_calls(first_problem(), site, store, plan=rules_plan, counts=Counter())


def test_the_names_of_baselines_are_those_of_the_settlement() -> None:
    hints = get_type_hints(DrTerms)
    assert set(get_args(hints["baseline"])) == {one.value for one in Method}
    assert set(get_args(hints["adjustment"])) == {one.value for one in Shift}


def test_a_baseline_without_adjustment_leaves_the_window_alone(store: SqlStore) -> None:
    problem = problem_of(store, adjustment="none")
    (event,) = problem.events
    assert event.baseline_kw == (200.0,) * 4
    assert event.adjustment is None
    assert problem.limits.steps == first_problem().limits.steps


def test_a_ratio_lifts_a_half_hour_by_what_it_is_of_the_usual_window(store: SqlStore) -> None:
    for back in range(1, 15):  # the event's hours draw half of what the window does
        name = SiteSeries("kitakata")["meter", "import_kwh"]
        half = Series(Grid(FIRST - timedelta(days=back), 4), np.full(4, 50.0), Unit.KWH)
        store.append(points_of(name, half, known_at=lambda at: at + 2 * SLOT_LENGTH, source="test"))
    (event,) = problem_of(store, adjustment="ratio").events
    assert event.baseline_kw == (100.0,) * 4
    assert event.adjustment is not None
    assert event.adjustment.weights == (0.5,) * 4


def test_the_baseline_of_the_same_day_is_the_window_itself(store: SqlStore) -> None:
    (event,) = problem_of(store, baseline="same-day").events
    window = event.adjustment
    assert event.baseline_kw == (0.0,) * 4
    assert window is not None
    assert window.usual_kw == (0.0,) * 6
    idle = rules_plan(first_problem()).trajectory.import_kw[WINDOW]
    assert window.most_kw == pytest.approx(np.mean(idle))  # what would be drawn in it is the baseline


def test_the_site_says_what_the_window_and_the_hours_after_cost(store: SqlStore) -> None:
    problem = problem_of(store, window_yen_per_kwh=4.0, recovery_yen_per_kwh=90.0)
    assert {step.yen_per_kw for step in problem.limits.steps if step.last is not None} == {2.0}
    assert problem.events[0].recovery_yen_per_kwh == 90.0


@pytest.mark.parametrize(
    "wrong", [{"baseline": "high5of5"}, {"adjustment": "times"}, {"window_yen_per_kwh": -1.0}]
)
def test_terms_that_nobody_knows_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        DrTerms(reward_yen_per_kwh=60.0, **wrong)  # type: ignore[arg-type] # as a YAML file would say


@pytest.mark.parametrize("yen", [0.0, -1.0, float("nan"), 1e9])
def test_an_impossible_reward_is_refused_by_name(yen: float) -> None:
    with pytest.raises(ValidationError, match="reward_yen_per_kwh"):
        DrTerms(reward_yen_per_kwh=yen)
