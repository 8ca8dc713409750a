"""Cards say what a model was made from; what is due, what passes the gate, and what cannot be made again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from energy.core.forecast import QuantileForecast
from energy.core.series import Grid, Series, Unit
from energy.core.slots import parse_jst
from forecasting.card import (
    Due,
    InputUsed,
    ModelCard,
    Reason,
    Recipe,
    differences,
    digest_of_forecast,
    digest_of_series,
    due,
    gate,
)

MIDNIGHT = parse_jst("2026-08-05 00:00")
RECIPE = Recipe(configuration="c", code="d", versions=(("numpy", "2.4.6"), ("pvlib", "0.16.1")))


def series(*values: float, start: datetime = MIDNIGHT) -> Series:
    return Series(Grid(start, len(values)), np.array(values), Unit.KW)


def card(*, fitted_at: datetime = MIDNIGHT, scored_at: datetime | None = MIDNIGHT) -> ModelCard:
    return ModelCard(
        site="kitakata",
        target="load",
        model="demand-pool",
        fitted_at=fitted_at,
        inputs=(InputUsed.of("kitakata/load/demand_kw", series(1.0, 2.0), "end of slot"),),
        facts=(("usable_days", "200"),),
        recipe=RECIPE,
        result="r",
        scored_at=scored_at,
    )


def test_a_card_comes_back_from_its_document_as_it_was() -> None:
    one = card()
    assert ModelCard.from_json(one.to_json()) == one
    assert ModelCard.from_json(one.to_json()).digest == one.digest


def test_a_series_keeps_its_digest_when_nothing_but_its_known_at_changes() -> None:
    one = series(1.0, np.nan, 3.0)
    assert digest_of_series(one) == digest_of_series(replace(one, known_at=datetime(2027, 1, 1, tzinfo=UTC)))
    assert digest_of_series(one) != digest_of_series(series(1.0, 0.0, 3.0))
    assert digest_of_series(one) != digest_of_series(
        series(1.0, np.nan, 3.0, start=MIDNIGHT + timedelta(hours=1))
    )


def test_results_are_compared_to_the_watt() -> None:
    def forecast(p50: float) -> QuantileForecast:
        low, middle, high = np.array([0.0]), np.array([p50]), np.array([9.0])
        return QuantileForecast(
            "load", MIDNIGHT, Grid(MIDNIGHT, 1), Unit.KW, low, middle, high, "demand-pool"
        )

    assert digest_of_forecast(forecast(5.0)) == digest_of_forecast(forecast(5.0 + 1e-9))
    assert digest_of_forecast(forecast(5.0)) != digest_of_forecast(forecast(5.002))


def test_whatever_differs_is_named() -> None:
    old = card()
    other = (InputUsed.of("kitakata/load/demand_kw", series(1.0, 2.5), "end of slot"),)
    assert differences(old, old) == ()
    assert differences(old, replace(old, inputs=other)) == ("data of kitakata/load/demand_kw",)
    newer = replace(RECIPE, versions=(("numpy", "2.5.0"), ("pvlib", "0.16.1")))
    assert differences(old, replace(old, recipe=newer, result="s")) == ("numpy 2.4.6 -> 2.5.0", "result")
    changed = replace(RECIPE, code="e", configuration="f")
    assert differences(old, replace(old, recipe=changed)) == ("configuration of the site", "forecasting code")
    assert differences(replace(old, inputs=()), old) == ("data of kitakata/load/demand_kw",)


@pytest.mark.parametrize(
    ("candidate", "issued", "days", "released", "ratio"),
    [
        (10.0, 10.0, 14.0, True, 1.0),
        (11.5, 10.0, 14.0, True, 1.15),
        (11.6, 10.0, 14.0, False, 1.16),
        (5.0, 10.0, 7.0, True, 0.5),
        (99.0, 10.0, 6.0, True, None),  # too few days decide nothing
        (99.0, None, 14.0, True, None),
        (None, 10.0, 14.0, True, None),
    ],
)
def test_a_fit_passes_the_gate_unless_it_is_clearly_worse_than_what_was_issued(
    candidate: float | None, issued: float | None, days: float, released: bool, ratio: float | None
) -> None:
    verdict = gate(candidate_loss=candidate, issued_loss=issued, days=days)
    assert verdict.released is released
    assert verdict.ratio == (None if ratio is None else pytest.approx(ratio))


NOW = MIDNIGHT + timedelta(hours=9)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("in_use", "expected"),
    [
        (None, Due(target="load", reason=Reason.NO_MODEL, gated=True)),
        (card(), None),
        (card(fitted_at=MIDNIGHT - DAY), Due(target="load", reason=Reason.NEW_DAY, gated=False)),
        (
            card(fitted_at=MIDNIGHT - DAY, scored_at=MIDNIGHT - 7 * DAY),
            Due(target="load", reason=Reason.NOT_TRIED, gated=True),
        ),
        (
            card(fitted_at=MIDNIGHT - DAY, scored_at=None),
            Due(target="load", reason=Reason.NOT_TRIED, gated=True),
        ),
        (card(fitted_at=MIDNIGHT - 2 * DAY), Due(target="load", reason=Reason.OVERDUE, gated=True)),
    ],
)
def test_models_are_due_once_a_day_and_tested_once_a_week(
    in_use: ModelCard | None, expected: Due | None
) -> None:
    assert due({"load": in_use}, NOW) == (() if expected is None else (expected,))


def test_another_program_or_a_corrected_past_makes_a_model_due_at_once() -> None:
    other = replace(RECIPE, code="e")
    (one,) = due({"load": card()}, NOW, recipes={"load": other})
    assert (one.reason, one.gated) == (Reason.NEW_RECIPE, True)
    (one,) = due({"load": card()}, NOW, recipes={"load": RECIPE}, changed=["load"])
    assert (one.reason, one.gated) == (Reason.CHANGED_DATA, True)
