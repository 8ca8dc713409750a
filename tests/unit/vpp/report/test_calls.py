"""The part of the report about calls for demand response, and the stationary battery beside it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.vpp.report.synthetic import called_document, synthetic_document
from vpp.i18n import LANGUAGES, Lang, Messages
from vpp.report.calls import call_parts, call_sentences
from vpp.report.charts import battery_charts, day_charts
from vpp.report.figures import actions, compare, hardest_day
from vpp.report.html import render_report
from vpp.report.svg import render_svg
from vpp.report.terminal import render_summary
from vpp.simulation.results import CallResult, RunResult

GOLDEN = Path(__file__).parents[3] / "golden" / "report"
DOCUMENT = called_document()
COMPARISON = compare(DOCUMENT)
PRODUCT = COMPARISON.product
EN = Messages("en")


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("VPP_TEST_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} changed; VPP_TEST_UPDATE_GOLDEN=1 writes it"


def changed(**figures: object) -> RunResult:
    call: CallResult = replace(PRODUCT.calls[0], **figures)  # type: ignore[arg-type] # named by the caller
    return replace(PRODUCT, calls=(call,))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_pictures_of_a_call_and_a_battery_are_the_golden_ones(lang: Lang) -> None:
    messages = Messages(lang)
    (part,) = call_parts(COMPARISON, messages)
    (battery,) = battery_charts(DOCUMENT, COMPARISON, messages)
    check_golden(f"call.{lang}.svg", render_svg(part.chart, messages, standalone=True) + "\n")
    check_golden(f"battery.{lang}.svg", render_svg(battery, messages, standalone=True) + "\n")


def test_the_facts_of_a_call_are_told_one_by_one() -> None:
    (part,) = call_parts(COMPARISON, EN)
    facts = dict(part.facts.rows)
    assert facts["Announced"] == "Mon 18 Jan 16:00"
    assert facts["Hours of the call"] == "Tue 19 Jan 17:00-19:00"
    assert facts["Adjustment window"] == "12:00-15:00"
    assert facts["Baseline"] == "High 4 of 5, adjusted by the difference of the day"
    assert facts["Asked for"] == "10.0 kW (20.0 kWh)"
    assert facts["Delivered"] == "14.5 kWh"
    assert facts["Price"] == "60 yen per kWh"
    assert facts["Reward"] == "870 yen"
    assert facts["Coins in these hours"] == "22"
    assert facts["Rebound after it"].startswith("19:00-21:00: 6.0 kWh above the baseline")


def test_every_half_hour_of_a_call_and_after_it_has_its_row() -> None:
    (part,) = call_parts(COMPARISON, EN)
    assert [row[0] for row in part.slots.rows][3:5] == ["18:30-19:00", "after it 19:00-19:30"]
    assert len(part.slots.rows) == 8
    usual, drawn, below = (float(cell) for cell in part.slots.rows[0][1:4])
    assert below == pytest.approx(usual - drawn, abs=0.1)
    assert part.slots.rows[4][3:] == ("−3.0", "−1.5")


def test_a_call_that_costs_by_agreement_is_not_told_as_earned() -> None:
    (sentence,) = call_sentences(EN, changed(delivered_kwh=-2.0, yen=-120))
    assert sentence.endswith("what counts lies above the baseline, 120 yen to pay as agreed.")


def test_a_call_that_could_not_be_measured_says_why() -> None:
    run = changed(
        delivered_kwh=None, yen=0, why="too few days for a baseline", method="", baseline_kw=(), import_kw=(),
        after_baseline_kw=(), after_import_kw=(),
    )  # fmt: skip
    (sentence,) = call_sentences(EN, run)
    assert sentence.endswith("could not be measured (too few days for a baseline).")
    (part,) = call_parts(replace(COMPARISON, product=run), EN)
    assert dict(part.facts.rows)["Rebound after it"] == EN.text("table.nothing")
    assert part.slots.rows == ()
    assert render_svg(part.chart, EN)


def test_what_stays_below_the_baseline_after_a_call_is_no_rebound() -> None:
    run = changed(after_import_kw=(0.0,) * 4, adjustment="none", method="high2of3")
    facts = dict(call_parts(replace(COMPARISON, product=run), EN)[0].facts.rows)
    assert "below the baseline" in facts["Rebound after it"]
    assert facts["Baseline"] == "High 2 of 3, not adjusted"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_page_and_terminal_tell_of_the_call_and_of_the_battery(lang: Lang) -> None:
    messages = Messages(lang)
    (sentence,) = call_sentences(messages, PRODUCT)
    page = render_report(DOCUMENT, lang)
    assert sentence in page
    assert 'id="call-dr-1"' in page
    assert 'id="battery-battery"' in page
    assert messages.text("report_calls.score_note") in page
    told = render_summary(DOCUMENT, lang)
    assert sentence in told
    assert messages.text("report_calls.events") in told


@pytest.mark.parametrize("lang", LANGUAGES)
def test_without_calls_and_batteries_nothing_of_them_is_shown(lang: Lang) -> None:
    page = render_report(synthetic_document(), lang)
    for key in ("report_calls.heading", "report_calls.events", "report_battery.heading"):
        assert Messages(lang).text(key) not in page


def test_what_the_battery_moved_is_a_lane_of_its_own_with_its_reason() -> None:
    moved = day_charts(DOCUMENT, COMPARISON, EN, hardest_day(COMPARISON))[-1]
    assert [one.label for one in moved.series][-2:] == ["Batteries charging", "Batteries giving"]
    first = next(n for n, kw in enumerate(PRODUCT.trace.batteries["battery"].power_kw) if kw)
    told = [one for one in actions(PRODUCT.trace, range(first, first + 4)) if one.asset == "battery"]
    assert [(one.kind, one.power_kw) for one in told] == [("battery", -6.0)]
