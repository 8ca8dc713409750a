"""What is compared with what, and what it is worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from energy.core.errors import AlignmentError, DataError
from energy.core.plan import ReasonCode
from tests.unit.vpp.report.synthetic import START, synthetic_document, synthetic_run
from vpp.i18n import LANGUAGES, Messages
from vpp.report.figures import (
    actions,
    compare,
    hardest_day,
    peak_number,
    relief_at_peak,
    slots_of,
    tight_stretch,
    year_yen,
)
from vpp.report.words import cautions, lead, promises
from vpp.simulation.results import Controller, RunResult, SimulationDocument

JA, EN = Messages("ja"), Messages("en")


def with_figures(run: RunResult, **figures: object) -> RunResult:
    return replace(run, summary=replace(run.summary, **figures))  # type: ignore[arg-type]


def document(*runs: RunResult, memory_kw: float = 100.0) -> SimulationDocument:
    return replace(synthetic_document(), runs=runs, peak_memory_kw=memory_kw)


def pair(before: dict[str, object], after: dict[str, object], memory_kw: float = 100.0) -> SimulationDocument:
    return document(
        with_figures(synthetic_run("none", days=1), **before),
        with_figures(synthetic_run("optimal", days=1), **after),
        memory_kw=memory_kw,
    )


@pytest.mark.parametrize(
    ("controllers", "product", "base", "bound"),
    [
        (("none", "rules", "optimal", "perfect"), "optimal", "none", "perfect"),
        (("rules", "optimal"), "optimal", "rules", None),
        (("rules", "optimal-p50", "optimal"), "optimal", "rules", None),
        (("rules", "optimal-p50"), "optimal-p50", "rules", None),
        (("none", "rules"), "rules", "none", None),
        (("perfect", "none"), "perfect", "none", None),
        (("none",), "none", None, None),
    ],
)
def test_the_best_run_is_held_against_the_plainest(
    controllers: tuple[Controller, ...], product: str, base: str | None, bound: str | None
) -> None:
    found = compare(synthetic_document(days=1, controllers=controllers))
    assert found.product.summary.controller == product
    assert (found.base.summary.controller if found.base else None) == base
    assert (found.bound.summary.controller if found.bound else None) == bound


def test_a_document_without_runs_is_refused() -> None:
    with pytest.raises(DataError, match="no run"):
        compare(document())


def test_runs_over_different_days_are_not_compared() -> None:
    with pytest.raises(DataError, match="same slots"):
        compare(document(synthetic_run("none", days=2), synthetic_run("optimal", days=1)))


def test_one_kilowatt_less_is_worth_twelve_basic_charges() -> None:
    """By hand: (112 - 102) kW * 2000 yen/kW-month * 0.85 * 12 months = 204,000 yen."""
    made = pair({"peak_kw": 112.0}, {"peak_kw": 102.0})
    assert year_yen(made, compare(made)) == (pytest.approx(10.0), pytest.approx(204_000.0))
    assert "204,000円" in lead(made, JA)[2]


def test_only_demand_above_the_highest_of_the_last_year_is_worth_money() -> None:
    made = pair({"peak_kw": 112.0}, {"peak_kw": 90.0})
    cut_kw, yen = year_yen(made, compare(made))
    assert cut_kw == pytest.approx(12.0)
    assert yen == pytest.approx(12.0 * 20_400.0)


def test_peaks_below_the_memory_change_no_basic_charge_and_the_report_says_so() -> None:
    made = pair({"peak_kw": 95.0}, {"peak_kw": 80.0})
    assert year_yen(made, compare(made))[1] == 0.0
    assert "基本料金は変わりません" in lead(made, JA)[2]
    assert "basic charge stays the same" in lead(made, EN)[2]


def test_a_worse_result_is_told_as_worse() -> None:
    made = pair({"peak_kw": 100.0, "bill_yen": 1000}, {"peak_kw": 110.0, "bill_yen": 1500})
    japanese, english = " ".join(lead(made, JA)), " ".join(lead(made, EN))
    for word in ("上がり", "増えました", "負担増"):
        assert word in japanese
    for word in ("rise", "added 500 yen (50.0 %)", "cost about"):
        assert word in english
    assert "減らしました" not in japanese


def test_an_equal_result_is_told_as_equal() -> None:
    made = pair({"peak_kw": 100.0, "bill_yen": 1000}, {"peak_kw": 100.0, "bill_yen": 1000})
    assert "変わらず" in lead(made, JA)[0]
    assert "変わりませんでした" in lead(made, JA)[0]


def test_a_run_alone_is_told_without_comparison() -> None:
    text = lead(document(with_figures(synthetic_run("none", days=1), peak_kw=123.4)), EN)
    assert len(text) == 1
    assert "123.4 kW" in text[0]


def test_a_free_bill_before_does_not_divide_by_zero() -> None:
    made = pair({"bill_yen": 0}, {"bill_yen": 10})
    assert "0.0 %" in lead(made, EN)[0]


def test_a_saving_from_emptied_batteries_is_told_as_what_it_is() -> None:
    """By hand: 1000 yen less on the bill, but only 300 yen better once stored energy is counted."""
    made = pair({"bill_yen": 9000, "score_yen": 9000}, {"bill_yen": 8000, "score_yen": 8700})
    assert "300円の改善" in lead(made, JA)[1]
    assert "300 yen better" in lead(made, EN)[1]
    worse = pair({"bill_yen": 9000, "score_yen": 9000}, {"bill_yen": 8000, "score_yen": 9200})
    assert "200円の悪化" in lead(worse, JA)[1]
    plain = pair({"bill_yen": 9000, "score_yen": 9500}, {"bill_yen": 8000, "score_yen": 8500})
    assert not [text for text in lead(plain, EN) if "stored energy" in text]


def test_how_much_of_the_possible_is_reached() -> None:
    """By hand: of 1000 yen that foresight could save, 800 are saved and 200 are left."""
    made = document(
        with_figures(synthetic_run("none", days=1), score_yen=5000),
        with_figures(synthetic_run("optimal", days=1), score_yen=4200),
        with_figures(synthetic_run("perfect", days=1), score_yen=4000),
    )
    assert compare(made).captured == pytest.approx(0.8)
    assert "80 % of what perfect foresight could save; 200 yen are left" in lead(made, EN)[-1]


def test_a_loss_is_not_called_a_share_of_the_possible() -> None:
    made = document(
        with_figures(synthetic_run("none", days=1), score_yen=5000),
        with_figures(synthetic_run("optimal", days=1), score_yen=5100),
        with_figures(synthetic_run("perfect", days=1), score_yen=4000),
    )
    assert compare(made).captured is None


def test_relief_is_the_difference_in_the_slot_of_the_old_peak() -> None:
    comparison = compare(synthetic_document())
    relief = relief_at_peak(comparison)
    assert relief is not None
    assert comparison.base is not None
    before, after, number = comparison.base.trace, comparison.product.trace, relief.number
    assert before.import_kw[number] == max(before.import_kw)
    taken = before.import_kw[number] - after.import_kw[number]
    assert relief.hvac_kw + relief.cars_kw + relief.pv_kw == pytest.approx(taken)


def test_the_hardest_day_is_the_tight_one_else_that_of_the_peak() -> None:
    comparison = compare(synthetic_document())
    assert hardest_day(comparison) == date(2027, 1, 20)
    calm = compare(synthetic_document(days=2))
    assert tight_stretch(calm.product.trace) is None
    assert calm.base is not None
    number = peak_number(calm.base.trace)
    assert hardest_day(calm) == date(2027, 1, 18 + number // 48)


def test_slots_of_a_day_are_those_of_japan() -> None:
    trace = synthetic_run("none", days=2).trace
    assert slots_of(trace, START) == range(48)
    assert slots_of(trace, date(2027, 1, 19)) == range(48, 96)
    assert slots_of(trace, date(2030, 1, 1)) == range(0)


def test_neighbouring_slots_with_one_story_are_told_once() -> None:
    trace = synthetic_run("optimal").trace
    stretch = tight_stretch(trace)
    assert stretch is not None
    found = actions(trace, stretch)
    leaf = [action for action in found if action.asset == "ev-leaf"]
    assert len(leaf) == 1
    assert leaf[0].reason.code is ReasonCode.EVENT
    assert leaf[0].power_kw == pytest.approx(-3.0)
    assert (leaf[0].end - leaf[0].start).total_seconds() == 2 * 3600
    assert [action.kind for action in found] == sorted(
        (a.kind for a in found), key=["car", "zone", "pv"].index
    )
    for asset in trace.reasons:
        told = sum((a.end - a.start).total_seconds() for a in found if a.asset == asset)
        assert told == len(stretch) * 1800


def test_slots_without_a_reason_are_left_out() -> None:
    trace = synthetic_run("optimal", days=1).trace
    silent = replace(trace, reasons=dict.fromkeys(trace.reasons, (None,) * 48))
    assert actions(silent, range(48)) == ()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_promises_tell_what_was_missed(lang: str) -> None:
    messages = Messages(lang)  # type: ignore[arg-type]
    run = synthetic_run("optimal", days=1).summary
    good = replace(
        run, departures=22, departures_missed=0, comfort_degc_h=0.0, comfort_worst_degc=0.0, coins=0
    )
    bad = replace(good, departures_missed=3, comfort_degc_h=1.5, comfort_worst_degc=0.7, coins=45)
    none = replace(good, departures=0)
    assert len(promises(messages, good)) == 2
    assert "3" in promises(messages, bad)[1]
    assert "19" in promises(messages, bad)[1]
    assert "1.5" in promises(messages, bad)[0]
    assert "45" in promises(messages, bad)[2]
    assert "22" not in promises(messages, none)[1]


def test_everything_that_went_wrong_is_told() -> None:
    clean = replace(
        synthetic_run("optimal", days=1).summary,
        fallback_plans=0,
        guard_actions=0,
        energy_balance_error_kwh=0.0,
    )
    assert cautions(EN, clean) == ()
    counts = (
        *("contract_exceeded_slots", "soc_floor_violations", "fallback_plans"),
        *("unconfirmed_commands", "shortfalls", "guard_actions"),
    )
    for name in counts:
        told = cautions(EN, replace(clean, **{name: 7}))
        assert len(told) == 1
        assert "7" in told[0]
    assert "3.0 kWh" in cautions(EN, replace(clean, export_kwh=3.0))[0]
    assert "0.002000 kWh" in cautions(EN, replace(clean, energy_balance_error_kwh=0.002))[0]


def test_a_trace_with_a_short_column_is_refused_by_name() -> None:
    trace = synthetic_run("optimal", days=1).trace
    with pytest.raises(AlignmentError, match="hvac_kw does not have one entry per slot"):
        replace(trace, hvac_kw=trace.hvac_kw[:-1])
    with pytest.raises(AlignmentError, match=r"ev-leaf\.soc"):
        replace(trace, cars=trace.cars | {"ev-leaf": replace(trace.cars["ev-leaf"], soc=())})  # type: ignore[operator]


def test_the_json_document_has_the_figures_of_every_run_under_english_keys() -> None:
    document = synthetic_document(days=1)
    told = document.to_json()
    assert list(told) == ["scenario", "start", "days", "runs"]
    assert (told["start"], told["days"]) == ("2027-01-18", 1)
    runs = told["runs"]
    assert isinstance(runs, list)
    assert [run["controller"] for run in runs] == ["none", "rules", "optimal", "perfect"]
    assert list(runs[0]) == [
        "controller", "bill_yen", "energy_yen", "demand_yen", "peak_kw", "contract_exceeded_slots",
        "comfort_degc_h", "comfort_worst_degc", "departures", "departures_missed", "soc_floor_violations",
        "export_kwh", "discharge_kwh", "coins", "energy_balance_error_kwh", "plans", "fallback_plans",
        "unconfirmed_commands", "wall_s", "score_yen", "comfort_vs_none_degc", "stored_kwh_change",
        "guard_actions", "shortfalls", "events_yen",
    ]  # fmt: skip
