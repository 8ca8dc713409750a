"""A week of a region: it resumes to the same, keeps what can be kept, and tells what cannot be by name."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dispatch.region.messages import Bids, Card, Opened, Prices, Settled, Weights
from dispatch.region.sites import Block
from dispatch.region.work import WorkSettings
from energy.core.errors import ConfigError, DataError
from energy.core.series import Grid
from energy.core.slots import jst_midnight
from vpp.i18n import Messages
from vpp.region.crew import Executor, InlineCrew, open_executor, peak_rss_mb
from vpp.region.draw import Request
from vpp.region.week.blocks import Followed, Played
from vpp.region.week.limits import FeederLimits
from vpp.region.week.report import render_region_report
from vpp.region.week.request import Week, happenings_of
from vpp.region.week.results import _over_feeders, _Part, read_result, week_document
from vpp.region.week.run import Interrupted, Step, read_step, run_week
from vpp.region.week.settle import DrOutcome, settle_evening
from vpp.region.week.truth import forecasts_of, load_of
from vpp.region.week.words import sentences
from vpp.shelf import FolderShelf

FIRST = date(2026, 8, 5)  # a Wednesday
WEEK = Week(
    region=Request(sites=8, seed=5, day=FIRST, failures=0.0), days=1, warm_days=1, offline=1, gap=0.02
)
SPOILT = (
    replace(  # a Monday; the only day before is a Sunday, which says little about what feeders must carry
        WEEK, region=replace(WEEK.region, failures=0.5, seed=2, day=date(2026, 8, 3)), derated=0.3
    )
)


class Watched(InlineCrew):
    """Works in this process and keeps what was said in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: list[Any] = []

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], *, at: Sequence[int]
    ) -> list[Any]:
        answers = super().run(function, calls, at=at)
        self.calls += [(function.__name__, call) for call in calls]
        self.answers += answers
        return answers


@pytest.fixture(scope="module")
def shelf() -> FolderShelf:
    """Models are compiled once for all runs of the tests."""
    return FolderShelf(Path(__file__).parents[4] / ".pytest_cache" / "vpp")


def simulated(week: Week, folder: Path, shelf: FolderShelf, crew: Executor | None = None) -> dict[str, Any]:
    crew = crew or InlineCrew()
    run_week(week, crew, folder, shelf=shelf)
    return week_document(week, folder, crew)


def told(document: dict[str, Any]) -> str:
    """All but seconds and memory."""
    return json.dumps({name: part for name, part in document.items() if name != "spent"}, sort_keys=True)


@pytest.fixture(scope="module")
def lived(
    tmp_path_factory: pytest.TempPathFactory, shelf: FolderShelf
) -> tuple[dict[str, Any], Path, Watched]:
    folder, crew = tmp_path_factory.mktemp("week"), Watched()
    return simulated(WEEK, folder, shelf, crew), folder, crew


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory, shelf: FolderShelf) -> dict[str, Any]:
    return simulated(SPOILT, tmp_path_factory.mktemp("spoilt"), shelf)


def test_a_week_that_was_interrupted_goes_on_and_comes_to_the_same(
    lived: tuple[dict[str, Any], Path, Watched], tmp_path: Path, shelf: FolderShelf
) -> None:
    steps = 0

    def after_three() -> bool:
        nonlocal steps
        steps += 1
        return steps > 3

    for _ in range(2):
        with pytest.raises(Interrupted):
            run_week(WEEK, InlineCrew(), tmp_path, shelf=shelf, stop=after_three)
        steps = 0
    assert told(simulated(WEEK, tmp_path, shelf)) == told(lived[0])


def test_a_finished_week_is_only_told_again(lived: tuple[dict[str, Any], Path, Watched]) -> None:
    document, folder, _ = lived
    crew = Watched()
    run_week(WEEK, crew, folder)
    assert not crew.calls
    assert told(read_result(folder)) == told(document)


def test_other_words_begin_another_week_in_the_same_folder(tmp_path: Path, shelf: FolderShelf) -> None:
    other, asked = replace(WEEK, warm_days=0), iter((False, True))
    with pytest.raises(Interrupted):
        run_week(WEEK, InlineCrew(), tmp_path, shelf=shelf, stop=lambda: next(asked))
    assert list(tmp_path.glob("*/step-*.npz"))
    with pytest.raises(Interrupted):
        run_week(other, InlineCrew(), tmp_path, stop=lambda: True)
    assert not list(tmp_path.glob("*/step-*.npz"))


def test_two_processes_and_one_that_is_killed_live_the_same_week(
    lived: tuple[dict[str, Any], Path, Watched], tmp_path: Path, shelf: FolderShelf
) -> None:
    with open_executor("process", 2) as crew:
        run_week(WEEK, crew, tmp_path, shelf=shelf, stop=_killing(crew))
        assert crew.lost == 1
        document = week_document(WEEK, tmp_path, crew)
    assert told(document) == told(lived[0])


def _killing(crew: Executor) -> Callable[[], bool]:
    """Kills a worker before the third step."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            os.kill(crew.run(peak_rss_mb, [()], at=[0])[0][0], signal.SIGKILL)
        return False

    return stop


def test_every_departure_is_kept_missed_or_hopeless_and_none_is_missed(
    lived: tuple[dict[str, Any], Path, Watched],
) -> None:
    parts = lived[0]["parts"]
    for part in parts.values():
        assert part["departures"] > 0
        assert part["departures_missed"] == 0
    assert parts["alone"]["departures"] == parts["together"]["departures"]


def test_a_promise_that_nobody_can_keep_is_named_and_counted_apart(spoilt: dict[str, Any]) -> None:
    together = spoilt["parts"]["together"]
    assert together["departures_hopeless"] > 0
    assert together["departures_missed"] == 0
    assert sum(spoilt["promises"]["together"]["hopeless"].values()) == together["departures_hopeless"]


def test_a_site_without_forecast_is_named_and_the_others_are_planned(spoilt: dict[str, Any]) -> None:
    assert spoilt["left_out"]
    assert len(spoilt["left_out"]) < SPOILT.region.sites
    assert spoilt["plans"]["gap_worst"] is not None


def test_a_feeder_that_nobody_foresaw_to_be_full_is_kept_by_its_sites_within_the_half_hour(
    spoilt: dict[str, Any],
) -> None:
    full = next(one for one in spoilt["feeders"] if one["feeder"] != spoilt["derated"]["feeder"])
    assert full["alone_over_kw"] > 1.0
    assert full["together_over_kw"] == full["together_short_slots"] == 0
    assert full["together_kw"] == full["carries_kw"]


def test_a_feeder_that_cannot_be_kept_is_a_shortfall_by_name_and_counted_apart(
    spoilt: dict[str, Any],
) -> None:
    weak = next(one for one in spoilt["feeders"] if one["feeder"] == spoilt["derated"]["feeder"])
    together = spoilt["parts"]["together"]
    assert together["feeder_slots_over"] == 0
    assert together["feeder_slots_short"] == weak["together_short_slots"] > 0
    assert spoilt["parts"]["alone"]["feeder_slots_over"] > 0  # nobody asks anybody
    assert spoilt["parts"]["alone"]["feeder_slots_short"] == 0
    said = [line for line in sentences(spoilt, Messages("en")) if "although every site" in line]
    assert len(said) == 1
    assert weak["feeder"] in said[0]


def test_a_feeder_that_is_full_because_of_a_site_without_a_forecast_is_told_apart() -> None:
    def over(own_kw: float) -> tuple[int, int]:
        power = np.array([[own_kw, 5.0], [30.0, 5.0]])
        tables = {"feeder_kw": power.sum(axis=0)[None], "feeder_short": np.array([[1.0, 0.0]])}
        part = _Part([Step(tables, {})], power, np.zeros(2), np.zeros(2), np.zeros(2))
        limits = FeederLimits(
            top_kw={"f": 20.0}, margin_kw={}, derated_feeder="", derated_kw=0.0, derated_in=range(0)
        )
        cards = [{"feeder": "f", "fault": ""}, {"feeder": "f", "fault": "load"}]
        found = _over_feeders(part, limits, cards)
        assert found.kw.max() == 0.0
        return int(found.short.sum()), int(found.blind.sum())

    assert over(15.0) == (0, 1)
    assert over(25.0) == (1, 0)  # too much even without it


def test_both_parts_see_the_same_loads_and_energies_balance(
    lived: tuple[dict[str, Any], Path, Watched],
) -> None:
    _, folder, _ = lived
    for mode in ("alone", "together"):
        for step in range(WEEK.steps(mode)):
            tables = read_step(folder, mode, step).tables
            balance = tables["power_kw"].sum(axis=0) + tables["sun_kw"] - tables["load_kw"]
            np.testing.assert_allclose(balance, 0.0, atol=1e-9)


def test_a_forecast_sees_nothing_after_its_issue(tmp_path: Path) -> None:
    known = forecasts_of(WEEK, 0, 2, FIRST, folder=tmp_path)
    assert known.p50.shape == (2, 96)
    assert (known.p10 <= known.p50).all()
    assert (known.p50 <= known.p90).all()
    come = load_of(WEEK.region, 0)
    assert not np.allclose(known.p50[0, :48], come, rtol=0.01)


def test_the_tight_evening_is_called_settled_and_told_against_the_week_without_it(
    lived: tuple[dict[str, Any], Path, Watched],
) -> None:
    dr = lived[0]["dr"]
    assert dr["target_kw"] > 0.0
    assert dr["called_kwh"] <= dr["target_kw"] * 2.0 + 0.01
    assert set(dr["unmeasured"].values()) <= {"too few days for a baseline"}  # one day before is too few
    happen = happenings_of(WEEK)
    assert dr["first_slot"] == happen.dr.start == 34


def test_only_powers_yen_and_counts_cross_the_border(lived: tuple[dict[str, Any], Path, Watched]) -> None:
    _, _, crew = lived
    messages = {Bids, Card, Opened, Prices, Settled, Weights, Played, Followed}
    names = {
        "power_kw", "sun_kw", "load_kw", "yen", "peak_yen", "wear_yen", "discomfort_kh", "unheld_kh",
        "gave_kwh", "over_contract_kw", "kept", "missed", "hopeless", "contract_kw", "fleet_kw",
    }  # fmt: skip
    assert {part.name for part in fields(Played)} == names
    played = [answer for answer in crew.answers if isinstance(answer, Played)]
    assert played
    for one in played:
        sites = len(one.yen)
        for part in fields(Played):
            value = getattr(one, part.name)
            assert value.ndim == (2 if part.name in ("power_kw", "fleet_kw") else 1)
            assert len(value) in {sites, one.power_kw.shape[1]}
    for answer in crew.answers:
        plain = answer is None or isinstance(answer, np.ndarray | tuple | list)
        assert plain or type(answer) in messages, f"{type(answer).__name__} crosses the border"
    for name, call in crew.calls:
        for one in call:
            flat = one if isinstance(one, tuple | list) else (one,)
            for part in flat:
                allowed = isinstance(part, Block | WorkSettings | Week | int | date | str)
                settling = name == "_settled_chunk"  # the aggregator's own meters of sites that consented
                asked = name in ("follow_block", "play_block") and isinstance(part, float | np.ndarray)
                assert allowed or settling or asked or type(part) in messages, (
                    f"{type(part).__name__} is sent"
                )


def test_chargers_are_seen_at_companies_and_while_the_call_runs_only(
    lived: tuple[dict[str, Any], Path, Watched],
) -> None:
    _, folder, _ = lived
    steps = [read_step(folder, "together", step) for step in range(6)]
    sites = [card["site"] for card in steps[0].told["cards"]]
    fleets = np.concatenate([one.tables["fleet_kw"] for one in steps], axis=1)
    dr = happenings_of(WEEK).dr
    assert fleets[:, dr.start : dr.stop].any()
    assert not np.delete(fleets, np.arange(dr.start, dr.stop), axis=1).any()
    people = [k for k, site in enumerate(sites) if site.endswith(("-home", "-quarter"))]
    assert people
    assert not fleets[people].any()


def test_bills_are_the_days_share_of_the_month_and_add_up_to_the_figures(
    lived: tuple[dict[str, Any], Path, Watched],
) -> None:
    document, folder, _ = lived
    for mode in ("alone", "together"):
        contract = read_step(folder, mode, 5).tables["contract_kw"]
        whole_kw = sum(int(kw + 0.5) for kw in contract.tolist())
        basic = document["parts"][mode]["basic_yen"]
        assert basic == pytest.approx(1800.0 * whole_kw / 31.0, abs=0.5)  # one day of August
        for figure in ("basic_yen", "energy_yen"):
            total = sum(one.get(f"{mode}_{figure}", 0.0) for one in document["parties"])
            assert total == pytest.approx(document["parts"][mode][figure], abs=5.0)
    homes = next(one for one in document["parties"] if one["party"] == "home")
    assert homes["alone_basic_yen"] == homes["together_basic_yen"] == 0.0
    told_points = sum(one.get("points", 0) for one in document["parties"])
    assert told_points == document["dr"]["points"] + document["dr"]["fleet_points"]


def test_what_a_companys_cars_gave_in_the_evening_earns_points_from_the_same_money(tmp_path: Path) -> None:
    week = replace(WEEK, warm_days=12)
    happen, sites = happenings_of(week), ["site-00001-works", "site-00002-home", "site-00003-office"]
    grid = Grid(jst_midnight(week.first("warm")), 48 * 13)
    power = np.full((3, grid.count), 20.0)
    evening = slice(48 * 12 + happen.dr.start, 48 * 12 + happen.dr.stop)
    power[:2, evening] -= 8.0
    fleet = np.zeros((3, len(happen.dr)))
    fleet[0] = [-6.0, -6.0, 1.0, 0.0]  # two half-hours given, one taken: 5.5 kWh
    fleet[2] = 3.0  # its cars charged

    def settled(fleet_kw: np.ndarray) -> DrOutcome:
        return settle_evening(
            week, happen, tmp_path, InlineCrew(), sites=sites, called_kw=np.array([8.0, 0.0, 2.0]),
            grid=grid, power_kw=power, fleet_kw=fleet_kw,
        )  # fmt: skip

    outcome = settled(fleet)
    assert outcome.settlement is not None
    assert outcome.settlement.delivered_kwh == pytest.approx(Decimal(16), abs=Decimal("0.1"))
    assert outcome.fleet_points == {"site-00001-works": 110}
    assert outcome.journal_entries == 1
    dear = settled(10.0 * fleet)
    assert dear.settlement is not None
    assert 0 < dear.fleet_points["site-00001-works"] <= dear.settlement.yen


def test_while_the_call_runs_sites_tell_how_much_less_they_could_take_and_nothing_else(
    lived: tuple[dict[str, Any], Path, Watched],
) -> None:
    _, folder, crew = lived
    followed = [answer for answer in crew.answers if isinstance(answer, Followed)]
    assert followed
    assert {part.name for part in fields(Followed)} == {"power_kw", "room_kw"}
    for one in followed:
        assert one.room_kw.shape == (len(one.power_kw),)
        assert (one.room_kw >= 0.0).all()
    evening = happenings_of(WEEK).dr.start // WEEK.window("together")
    asked = [read_step(folder, "together", step).told["asked_back_kwh"] for step in range(6)]
    assert all(kwh == 0.0 for step, kwh in enumerate(asked) if step != evening)


def test_what_workers_tell_names_no_car_no_room_and_no_state(
    lived: tuple[dict[str, Any], Path, Watched],
) -> None:
    _, _, crew = lived
    spoken = " ".join(repr(answer) for answer in crew.answers)
    for word in ("car-1", "room-1", "soc", "temp0", "drive"):
        assert word not in spoken


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_page_says_the_result_and_has_every_chart_and_table(
    lived: tuple[dict[str, Any], Path, Watched], lang: Any
) -> None:
    page = render_region_report(lived[0], lang)
    assert page.count("<svg") == 8  # four charts, wide and narrow
    for name in ("region-power", "region-off-plan", "region-feeders", "region-parties"):
        assert f'id="{name}"' in page
    assert "<script" not in page
    assert "vpp region simulate --sites 8 --days 1 --seed 5" in page


def test_an_impossible_week_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="0 days"):
        replace(WEEK, days=0)
    with pytest.raises(ConfigError, match="share"):
        replace(WEEK, dr_share=1.5)
    with pytest.raises(ConfigError, match="half-hours"):
        replace(WEEK, region=replace(WEEK.region, slots=96))


def test_a_result_of_another_version_is_refused_and_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"sites": 8}', encoding="utf-8")
    with pytest.raises(DataError, match=r"another version.*form 1, not 4.*simulate again"):
        read_result(tmp_path)


def test_a_report_without_a_simulation_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no simulated week"):
        read_result(tmp_path)
