"""What is kept of a region's past says what working it out again says, whatever was added in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.measurement import Quality
from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, jst_midnight, parse_jst
from energy.core.units import series_id
from energy.store import Point, SqlStore, open_store
from tests.contract.statements import asked
from vpp.forecasts.errormap import ERROR_DAY, errors_by_day
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast, day_ahead_for, keep

TODAY = date(2026, 8, 6)
NOW = parse_jst("2026-08-06 14:00")
SITES = ("one", "two", "three")
DAYS = 4
HOUR = timedelta(hours=1)

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


@settings(max_examples=12)
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
