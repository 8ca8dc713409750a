"""A small site with a store of one made-up day or more, for the tests of the month's account."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from energy.core.series import Grid
from energy.core.slots import jst_midnight
from energy.store import Point, SqlStore, open_store
from vpp.settlement.promise import PROMISE, DayPromise, as_json
from vpp.simulation.scenario import load_scenario
from vpp.site.recorder import SiteSeries

SCENARIO = load_scenario("kitakata")[0]
SITE = replace(SCENARIO.site, zones=(), vehicles=SCENARIO.site.vehicles[-1:], trips={})
CAR = SITE.vehicles[0].id
FIRST = date(2026, 8, 3)  # a Monday
PARTS = ("load", "pv", "charge", "discharge")


def day_values(rng: np.random.Generator, days: int, *, gives: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    """Energies of some days, to a register's 0.001 kWh; import closes the balance. [kWh]"""
    count = days * 48
    values = {
        "load": rng.uniform(40, 90, count).round(3),
        "pv": rng.uniform(0, 20, count).round(3),
        "charge": rng.uniform(0, 3, count).round(3),
        "discharge": (rng.uniform(0, 3, count) if gives else np.zeros(count)).round(3),
    }
    values["imported"] = (
        values["load"] - values["pv"] + values["charge"] - values["discharge"] + rng.uniform(0, 0.01, count)
    ).round(3)
    return values


def store_of(
    metered: dict[str, np.ndarray[Any, Any]],
    planned: dict[str, np.ndarray[Any, Any]],
    *,
    promised_days: int,
    missing: tuple[int, ...] = (),
) -> SqlStore:
    """A store in memory with meters of all days and promises of the first ones."""
    store = open_store("sqlite://", durability="process")
    fill(store, metered, planned, promised_days=promised_days, missing=missing)
    return store


def fill(
    store: SqlStore,
    metered: dict[str, np.ndarray[Any, Any]],
    planned: dict[str, np.ndarray[Any, Any]],
    *,
    promised_days: int,
    missing: tuple[int, ...] = (),
) -> None:
    """Meters and promises into a store."""
    names = SiteSeries(SITE.id)
    grid = Grid(jst_midnight(FIRST), len(metered["load"]))
    assert SITE.pv is not None
    series = {
        names["meter", "import_kwh"]: metered["imported"],
        names["load", "demand_kw"]: metered["load"] * 2,
        names[SITE.pv.id, "generation_kwh"]: metered["pv"],
        names[CAR, "charge_kwh"]: metered["charge"],
        names[CAR, "discharge_kwh"]: metered["discharge"],
    }
    store.append(
        Point(series=name, at=at, known_at=at + timedelta(minutes=30), value=float(value), source="test")
        for name, values in series.items()
        for k, (at, value) in enumerate(zip(grid.times(), values, strict=True))
        if not (k in missing and name == names[CAR, "charge_kwh"])
    )
    for offset in range(promised_days):
        at = slice(offset * 48, (offset + 1) * 48)
        day = FIRST + timedelta(days=offset)

        def kwh(name: str, at: slice = at) -> tuple[float, ...]:
            return tuple(planned[name][at].tolist())

        told = DayPromise(
            site=SITE.id,
            day=day,
            made_at=jst_midnight(day) - timedelta(hours=12, minutes=30),
            source="optimal",
            import_kwh=kwh("imported"),
            load_kwh=kwh("load"),
            pv_kwh=kwh("pv"),
            rooms_kwh=(0.0,) * 48,
            charge_kwh=kwh("charge"),
            discharge_kwh=kwh("discharge"),
            discharge_by_car_kwh={CAR: kwh("discharge")},
        )
        store.put_document(PROMISE, f"{SITE.id}/{day.isoformat()}", known_at=told.made_at, body=as_json(told))
