"""A few hundred of the ten thousand half hours of ``make soak``; the bound knows nothing of the guard."""

from __future__ import annotations

from tests.soak.guard_soak import jain, run


def test_the_target_is_missed_only_where_nothing_could_have_held_it() -> None:
    report = run(150)
    assert report.uncontrolled > 15  # there was something to do
    assert report.missed < 0.2 * report.uncontrolled
    assert report.avoidable == []
    assert report.overshoot_kw < 0.5
    assert report.wakes_together == 0
    assert report.short_rests == 0
    assert jain(report.coasted_min) > 0.9
    assert jain(report.withheld_kwh) > 0.95
