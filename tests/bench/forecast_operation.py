"""Print how the forecasts of months fare in operation: gate, drift watch, and what was issued in the end.

python tests/bench/forecast_operation.py --steel Steel_industry_data.csv --household fr_household.parquet

Every noon the desk of a site makes the day-ahead forecast from a store, as ``vpp forecast run`` does. The
loss is the mean pinball loss of P10, P50 and P90 over the mean of the load, x 100.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from energy.core.series import Grid, Series, Unit
from energy.core.site import CalendarRules, Site
from energy.core.slots import SLOT_LENGTH, jst_midnight
from energy.core.units import series_id
from energy.store import SqlStore, open_store, points_of
from forecasting.drift import DriftRule, Standing, judge
from tests.bench.forecast_scores import read_steel
from vpp.forecasts.desk import ForecastDesk
from vpp.forecasts.issued import LOAD, Horizon
from vpp.forecasts.lookback import NOON, DayAhead, by_rule, issued_by_model, noon_issues
from vpp.forecasts.methods import View
from vpp.simulation.scenario import load_scenario


def read_household(path: Path) -> Series:
    """Load of a French household in kW, read as if its hours were Japan's."""
    table = pd.read_parquet(path)
    index = pd.DatetimeIndex(table.index if isinstance(table.index, pd.DatetimeIndex) else table.iloc[:, 0])
    values = pd.Series(table["load_w"].to_numpy(dtype=float) / 1000.0, index=index.tz_localize(None))
    values = values[~values.index.duplicated()].resample("30min").mean()
    first = values.index[0].to_pydatetime()
    start = jst_midnight(first.date()) + timedelta(hours=first.hour, minutes=first.minute)
    return Series(Grid(start, len(values)), values.to_numpy(), Unit.KW)


def site() -> Site:
    """A site without roof that rests at weekends only: our calendar knows no other country's holidays."""
    shipped = load_scenario("kitakata")[0].site
    return replace(shipped, pv=None, calendar=CalendarRules(national_holidays=False))


def operate(load: Series, first: date, last: date) -> tuple[SqlStore, Site]:
    """Let the desk forecast at every noon from the day before ``first`` to that before ``last``."""
    place = site()
    store = open_store("sqlite://")
    name = series_id(place.id, LOAD, "demand_kw")
    store.append(points_of(name, load, known_at=lambda at: at + SLOT_LENGTH, source="bench"))
    desk = ForecastDesk(place, store)
    day = first
    while day <= last:
        with store.transaction():
            desk.keep_one(Horizon.DAY_AHEAD, jst_midnight(day) + NOON, LOAD)
        day += timedelta(days=1)
    return store, place


def loss(days: list[DayAhead]) -> float:
    """Mean loss over the mean of the load, x 100."""
    found = [one.loss_kw() for one in days]
    level = np.nanmean(np.concatenate([one.actual for one in days]))
    return 100.0 * float(np.mean([one for one in found if one is not None])) / float(level)


def watched(model: list[DayAhead], rule: list[DayAhead], drift: DriftRule) -> list[DayAhead]:
    """What would have been issued under another drift rule."""
    chosen: list[DayAhead] = []
    standing: Standing | None = None
    for k, (mine, other) in enumerate(zip(model, rule, strict=True)):
        first = max(0, k - drift.window_days)
        # At the noon at which a day is issued, the one before it is not over.
        pairs = zip(model[first : max(0, k - 1)], rule[first : max(0, k - 1)], strict=True)
        losses = [(a.loss_kw(also=b), b.loss_kw(also=a)) for a, b in pairs]
        known = [(a, b) for a, b in losses if a is not None and b is not None]
        means = np.mean(known, axis=0) if known else (None, None)
        standing = judge(
            standing,
            at=mine.grid.start + NOON,
            scored_days=len(known),
            model_loss=means[0],
            rule_loss=means[1],
            rule=drift,
        )
        chosen.append(mine if standing.model_in_use else other)
    return chosen


def show_rules(model: list[DayAhead], rule: list[DayAhead]) -> None:
    """The first half of the days to choose by, the second to check."""
    half = len(model) // 2
    for above, below in ((1.0, 0.95), (1.05, 1.0), (1.1, 1.0), (1.2, 1.0)):
        chosen = watched(model, rule, DriftRule(demote_above=above, promote_below=below))
        by_rule_days = sum(one is other for one, other in zip(chosen, rule, strict=True))
        print(
            f"    out above {above:.2f}, back below {below:.2f}: first half {loss(chosen[:half]):.2f}, "
            f"second half {loss(chosen[half:]):.2f}, {by_rule_days} days by the rule"
        )
    print(f"    never: {loss(model[:half]):.2f}, {loss(model[half:]):.2f}")


def show(title: str, load: Series, first: date, last: date) -> None:
    began = time.perf_counter()
    store, place = operate(load, first, last)
    seconds = time.perf_counter() - began
    start, end = jst_midnight(first), jst_midnight(last + timedelta(days=1))
    known = store.as_of(end + timedelta(days=1))
    desk = ForecastDesk(place, store)
    method = desk.methods[LOAD]
    model = issued_by_model(known, place.id, method, start=start, end=end)
    rule = by_rule(method, known, [View.of(store, one.grid.start + NOON) for one in model])
    issued = [
        DayAhead(one.grid, method.actual(known, one.grid).values, one.values())
        for one in noon_issues(known, place.id, LOAD, start=start, end=end)
    ]
    print(f"\n{title}: {first} to {last}, {len(issued)} days")
    print(f"  loss: model {loss(model):.2f}, rule {loss(rule):.2f}, what was issued {loss(issued):.2f}")
    days = Counter(one.model for one in noon_issues(known, place.id, LOAD, start=start, end=end))
    print(f"  days by method: {dict(days)}; {1e3 * seconds / len(issued):.0f} ms a day")
    acts = Counter(record.act for record in store.audit_trail())
    print(f"  on record: {dict(acts)}")
    for record in store.audit_trail():
        if record.actor == "forecast-watch" or record.act == "model.refused":
            print(f"  {_day(record.at)} {record.act} ratio {record.facts['loss_ratio']}")
    show_rules(model, rule)
    store.close()


def _day(instant: datetime) -> str:
    return f"{(instant + timedelta(hours=9)):%Y-%m-%d}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steel", type=Path, help="UCI steel works, 15 min")
    parser.add_argument("--household", type=Path, help="French household, 30 min, parquet with load_w")
    given = parser.parse_args()
    if given.steel:
        show("steel works", read_steel(given.steel), date(2018, 4, 1), date(2018, 9, 29))
    if given.household:
        show("household", read_household(given.household), date(2024, 5, 1), date(2024, 11, 29))


if __name__ == "__main__":
    main()
