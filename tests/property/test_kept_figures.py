"""What is kept of a region's past says what working it out again says, whatever was added in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from energy.core.clock import ManualClock
from energy.core.measurement import Quality
from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, jst_midnight, parse_jst
from energy.core.units import series_id
from energy.ledger import Channel, ConsentRegister
from energy.store import Point, SqlStore, open_store
from forecasting.region import region_forecast
from tests.contract.statements import asked
from tests.unit.vpp.forecasts import region
from tests.unit.vpp.forecasts.region import GRANTED, ORDER, consent
from vpp.forecasts import delivery
from vpp.forecasts.delivery import preview
from vpp.forecasts.errormap import ERROR_DAY, errors_by_day
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast, day_ahead_for, keep
from vpp.forecasts.lookback import noon_issues
from vpp.forecasts.sumscore import SPANS, SumScore, sum_scores
from vpp.jobs.figures import work_out
from vpp.jobs.job import Outcome, Run

TODAY = date(2026, 8, 6)
NOW = parse_jst("2026-08-06 14:00")
SITES = ("one", "two", "three")
DAYS = 4
HOUR = timedelta(hours=1)
FEWEST = 2  # sites of a sum

site_and_day = st.tuples(st.sampled_from(SITES), st.integers(0, DAYS - 1))
level = st.floats(1.0, 50.0, width=32)
additions = st.one_of(
    st.tuples(st.just("value"), site_and_day, st.integers(0, SLOTS_PER_DAY - 1), level),
    st.tuples(st.just("invalid"), site_and_day, st.integers(0, SLOTS_PER_DAY - 1), level),
    st.tuples(st.just("day"), site_and_day, st.just(0), level),
    st.tuples(st.just("issue"), site_and_day, st.integers(0, 23), level),
)


@contextmanager
def town(levels: dict[tuple[str, int], float]) -> Iterator[SqlStore]:
    """Sites with a level of load on some days; most days were forecast."""
    with open_store("sqlite://", durability="process") as store:
        for (site, back), kw in levels.items():
            add(store, ("day", (site, back), 0, kw))
            add(store, ("issue", (site, back), 12, kw + 1.0))
        yield store


def add(
    store: SqlStore,
    what: tuple[str, tuple[str, int], int, float],
    *,
    known_at: datetime | None = None,
    late: timedelta = timedelta(0),
) -> None:
    """A value, a value that cannot be used, a whole day or an issue; known from an instant, or so late."""
    kind, (site, back), number, kw = what
    midnight = jst_midnight(TODAY - timedelta(days=back))
    if kind == "issue":
        issued_at = midnight - timedelta(days=1) + number * HOUR + timedelta(microseconds=7)
        flat = (round(kw, 3),) * SLOTS_PER_DAY
        one = IssuedForecast(
            site=site, target=LOAD, horizon=Horizon.DAY_AHEAD, issued_at=issued_at, start=midnight,
            p10=flat, p50=flat, p90=flat, model="test", card="", version="test",
        )  # fmt: skip
        keep(store, one)
        return
    slots = range(SLOTS_PER_DAY) if kind == "day" else (number,)
    starts = [midnight + k * SLOT_LENGTH for k in slots]
    quality = Quality.INVALID if kind == "invalid" else Quality.GOOD
    store.append(
        Point(
            series=series_id(site, LOAD, "demand_kw"),
            at=at,
            known_at=known_at or at + SLOT_LENGTH + late,
            value=kw,
            quality=quality,
            source="test",
        )
        for at in starts
    )


def directly(store: SqlStore, now: datetime) -> list[tuple[date, FloatArray]]:
    """The map of errors as its first words say it: site by site, day by day, nothing kept."""
    known, found = store.as_of(now), []
    for back in range(DAYS - 1, -1, -1):
        day = TODAY - timedelta(days=back)
        grid = Grid(jst_midnight(day), SLOTS_PER_DAY)
        forecast, actual = np.zeros(SLOTS_PER_DAY), np.zeros(SLOTS_PER_DAY)
        counted = 0
        for name in known.ids():
            site = str(name).split("/")[0]
            issue = day_ahead_for(known, site, LOAD, day)
            if issue is not None:
                counted += 1
                forecast += np.array(issue.p50)
                actual += known.series(name, grid, Unit.KW).values
        actual[[at + SLOT_LENGTH > now for at in grid.times()]] = np.nan
        mean = np.nanmean(actual) if counted and np.isfinite(actual).any() else np.nan
        found.append((day, (forecast - actual) / mean if counted else np.full(SLOTS_PER_DAY, np.nan)))
    return found


def same(kept: list[tuple[date, FloatArray]], worked_out: list[tuple[date, FloatArray]]) -> None:
    assert [day for day, _ in kept] == [day for day, _ in worked_out]
    for (_, one), (_, other) in zip(kept, worked_out, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@example(
    levels={("one", 1): 10.0, ("two", 1): 20.0, ("one", 2): 10.0},
    added=[
        (("value", ("one", 1), 5, 40.0), True),
        (("issue", ("one", 2), 13, 30.0), False),
        (("day", ("three", 1), 0, 5.0), False),
        (("issue", ("three", 1), 12, 9.0), False),
        (("invalid", ("two", 1), 7, 1.0), False),
    ],
)
@settings(max_examples=8)
@given(
    levels=st.dictionaries(site_and_day, level, min_size=1, max_size=8),
    added=st.lists(st.tuples(additions, st.booleans()), max_size=3),
)
def test_the_map_of_errors_says_what_working_it_out_says(
    levels: dict[tuple[str, int], float],
    added: list[tuple[tuple[str, tuple[str, int], int, float], bool]],
) -> None:
    with town(levels) as store:
        same(errors_by_day(store, NOW, DAYS), directly(store, NOW))
        now = NOW
        for number, (what, corrects) in enumerate(added, 1):
            now += timedelta(minutes=1)
            if corrects:
                add(store, what, known_at=now)
            else:  # an import says that it was known all the time
                add(store, what, late=timedelta(minutes=number))
            same(errors_by_day(store, now, DAYS), directly(store, now))
        same(errors_by_day(store, NOW, DAYS), directly(store, NOW))  # as it was known before, imports too


def test_a_second_look_makes_nothing_and_asks_as_often_for_many_days_as_for_few() -> None:
    with town({(site, back): 10.0 for site in SITES for back in range(DAYS)}) as store:
        counts = []
        for days in (2, DAYS):
            errors_by_day(store, NOW, days)
            with asked() as said:
                errors_by_day(store, NOW, days)
            counts.append(len(said))
            assert not [one for one, _ in said if not one.startswith(("SELECT", "WITH"))]
        assert counts[0] == counts[1] < 20
        kept = store.as_of(NOW).documents(ERROR_DAY)
        assert [one.key for one in kept] == ["2026-08-03", "2026-08-04", "2026-08-05"]  # today is not over


def test_only_the_day_that_was_corrected_is_made_anew() -> None:
    with town({(site, back): 10.0 for site in SITES for back in range(DAYS)}) as store:
        errors_by_day(store, NOW, DAYS)
        later = NOW + HOUR
        add(store, ("value", ("one", 2), 5, 40.0), known_at=later)
        assert errors_by_day(store, later, DAYS)[1][1][5] != errors_by_day(store, NOW, DAYS)[1][1][5]
        made_anew = [one.key for one in store.as_of(later).documents(ERROR_DAY) if one.known_at == later]
        assert made_anew == ["2026-08-04"]


def test_a_look_that_is_cut_off_leaves_nothing_half_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    with town({(site, back): 10.0 for site in SITES for back in range(DAYS)}) as store:
        put, left = store.put_document, [2]

        def dies(*words: object, **told: object) -> bool:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return put(*words, **told)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "put_document", dies)
        with pytest.raises(KeyboardInterrupt):
            errors_by_day(store, NOW, DAYS)
        monkeypatch.undo()
        assert store.as_of(NOW).documents(ERROR_DAY) == []
        same(errors_by_day(store, NOW, DAYS), directly(store, NOW))


def test_without_any_site_every_cell_is_unknown() -> None:
    with town({}) as store:
        told = errors_by_day(store, NOW, DAYS)
        assert len(told) == DAYS
        assert all(np.isnan(values).all() for _, values in told)


# -- sums for recipients ---------------------------------------------------------------------------------


def scored_directly(store: SqlStore, at: datetime, sites: tuple[str, ...]) -> dict[int, SumScore]:
    """The scores as their module's first words say them: site by site, day by day, nothing kept."""
    known, rows = store.as_of(at), []
    for back in range(30, 0, -1):
        midnight = jst_midnight(TODAY - timedelta(days=back))
        whole = []
        for site in sites:
            issues = noon_issues(known, site, LOAD, start=midnight, end=midnight + 24 * HOUR)
            came, before, week = (
                known.series(
                    series_id(site, LOAD, "demand_kw"),
                    Grid(midnight - timedelta(days=days), SLOTS_PER_DAY),
                    Unit.KW,
                ).values
                for days in (0, 2, 7)
            )
            if issues:
                told = np.stack([came, np.array(issues[-1].p50), before, week])
                if np.isfinite(told).all():
                    whole.append(told)
        rows.append((back, len(whole), np.sum(whole, axis=0)) if len(whole) >= FEWEST else None)
    found = {}
    for span in SPANS:
        days = [one for one in rows if one is not None and one[0] <= span]
        if days:
            kw = np.stack([one[2] for one in days])
            errors = [float(np.abs(kw[:, k] - kw[:, 0]).mean() / kw[:, 0].mean()) for k in (1, 2, 3)]
            miss = (kw[:, 0] - kw[:, 1]) / 2.0
            found[span] = SumScore(
                days=len(days), sites=min(one[1] for one in days),
                ours=errors[0], persistence=errors[1], same_weekday=errors[2],
                short_kwh=float(miss[miss > 0].sum()), long_kwh=float(-miss[miss < 0].sum()),
            )  # fmt: skip
    return found


def agreed(kept: dict[int, SumScore], worked_out: dict[int, SumScore]) -> None:
    assert kept.keys() == worked_out.keys()
    for span, one in kept.items():
        np.testing.assert_allclose(astuple(one), astuple(worked_out[span]), rtol=1e-9, atol=1e-9)


@contextmanager
def consenting(levels: dict[tuple[str, int], float]) -> Iterator[SqlStore]:
    """Sites with ten days of load that all share with a retailer."""
    with town({}) as store, patch("vpp.forecasts.sumscore.minimum_group") as rule:
        rule.return_value.min_sites = FEWEST
        register = ConsentRegister(store)
        for site in SITES:
            register.grant(consent(site), recorded_at=GRANTED, actor="desk")
            for back in range(1, 11):
                kw = levels.get((site, back), 10.0)
                add(store, ("day", (site, back), 0, kw))
                if back <= DAYS:
                    add(store, ("issue", (site, back), 12, 12.0))
        yield store


@settings(max_examples=5)
@given(
    levels=st.dictionaries(st.tuples(st.sampled_from(SITES), st.integers(1, 10)), level, max_size=8),
    added=st.lists(st.tuples(additions, st.booleans()), max_size=3),
    gone=st.sampled_from(SITES),
)
def test_the_scores_of_sums_say_what_working_them_out_says(
    levels: dict[tuple[str, int], float],
    added: list[tuple[tuple[str, tuple[str, int], int, float], bool]],
    gone: str,
) -> None:
    with consenting(levels) as store:
        agreed(sum_scores(store, ORDER, at=NOW), scored_directly(store, NOW, SITES))
        now = NOW
        for number, (what, corrects) in enumerate(added, 1):
            now += timedelta(minutes=1)
            add(store, what, known_at=now if corrects else None, late=timedelta(minutes=number))
            agreed(sum_scores(store, ORDER, at=now), scored_directly(store, now, SITES))
        # Who withdraws is out of the very next look, of every day of it.
        now += timedelta(minutes=1)
        told = {"withdrawn_at": now, "recorded_at": now, "actor": "desk", "channel": Channel.APP}
        ConsentRegister(store).withdraw(consent(gone).id, **told)  # type: ignore[arg-type]
        rest = tuple(site for site in SITES if site != gone)
        agreed(sum_scores(store, ORDER, at=now), scored_directly(store, now, rest))


def test_scores_are_kept_and_asked_for_as_often_for_a_month_as_for_a_week() -> None:
    with consenting({}) as store:
        counts = []
        for spans in ((7,), (7, 30)):
            first = sum_scores(store, ORDER, at=NOW, spans=spans)
            with asked() as said:
                assert sum_scores(store, ORDER, at=NOW, spans=spans) == first
            counts.append(len(said))
            assert not [one for one, _ in said if not one.startswith(("SELECT", "WITH"))]
        assert counts[0] == counts[1] < 12


def test_a_sum_that_was_kept_is_left_when_an_issue_or_a_consent_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def counted(parts: Any, **told: Any) -> Any:
        made.append(len(parts))
        return region_forecast(parts, **told)

    monkeypatch.setattr("vpp.forecasts.delivery.region_forecast", counted)
    with open_store("sqlite://", durability="process") as store:
        region.fill(store, 11)
        first, again = (preview(store, ORDER, at=NOW - timedelta(days=2)) for _ in range(2))
        assert (first, made) == (again, [11])
        region.issue(store, "site-03", 30.0, at=region.NOON + HOUR)  # a newer issue
        newer = preview(store, ORDER, at=NOW - timedelta(days=2))
        at = NOW - timedelta(days=1)
        told = {"withdrawn_at": at, "recorded_at": at, "actor": "desk", "channel": Channel.PAPER}
        ConsentRegister(store).withdraw(consent("site-03").id, **told)  # type: ignore[arg-type]
        without = preview(store, ORDER, at=at)
    assert made == [11, 11, 10]
    assert [one.delivery.slots[0].p50_kw for one in (first, newer, without)] == [110.0, 130.0, 100.0]  # type: ignore[union-attr]


def test_a_store_for_reading_only_says_the_same_and_keeps_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with open_store(url, durability="process") as store:
        region.fill(store, 10)
    with open_store(url, read_only=True) as sealed:
        looked = preview(sealed, ORDER, at=NOW)
        assert sealed.as_of(NOW).documents(delivery.SUM_FORECAST) == []
    with open_store(url) as store:
        assert preview(store, ORDER, at=NOW) == looked
        assert len(store.as_of(NOW).documents(delivery.SUM_FORECAST)) == 1


def test_the_job_makes_what_is_missing_once_and_stops_when_it_is_told(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'store.db'}", durability="process") as store:
        region.fill(store, 10)
        stopping = Event()

        def run() -> Outcome:
            return work_out(cast("Run", SimpleNamespace(store=store, clock=clock, stopping=stopping)))

        clock = ManualClock(parse_jst("2026-08-04 15:00"))
        stopping.set()
        assert run().key == "figures"  # the map of errors, no more
        stopping.clear()
        clock.advance(timedelta(minutes=1))
        assert run() == Outcome("figures", {"count": str(2 * 30 + 1)})  # two targets' scores, one forecast
        clock.advance(timedelta(minutes=1))
        assert run() == Outcome("figures_stand", idle=True)
