"""A database as a region of many sites fills it, for the measurement of the service's speed.

Every site has a year of metered half hours; a configuration, some minutes of its meter and a job; five weeks
of load with the noon forecast of each day; and a consent for one retailer. The first site also has an air
conditioner by the minute, for the page that zooms.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from energy.core.site import Site
from energy.core.slots import JST, SLOT_LENGTH, SLOTS_PER_DAY, Slot, jst_midnight
from energy.core.units import SeriesId, series_id
from energy.ledger import Channel, Consent
from energy.store import JobRow, JobRunRow, Point, Store
from vpp.consents import CONTROLLER, put_on_record
from vpp.forecasts.delivery import PURPOSE, PURPOSE_VERSION
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast, keep
from vpp.simulation.scenario import load_scenario
from vpp.site.minutes import COUNTER, MINUTE, POWER
from vpp.site.sitebook import ASSETS, keep_site

RETAILER = "retailer-a"
HISTORY = 38  # days of load: a month of scores, and the week before that the simplest forecast copies


def name_of(number: int) -> str:
    """Id of a site."""
    return f"site-{number:04}"


def fill_year(store: Store, sites: int, days: int, now: datetime) -> int:
    """Metered half hours of every site up to now, and the names of their assets; how many values."""
    last, count = Slot.containing(now).start, 0
    for number in range(sites):
        site = name_of(number)
        names = {"meter": ["受電点", "Meter", "other"], "car": ["社用車", "Car", "car"]}
        store.put_document(ASSETS, site, known_at=last - timedelta(days=days + 1), body=json.dumps(names))
        series = series_id(site, "meter", "import_kwh")
        count += store.append(_half_hours(series, last, days, 20.0 + number % 7)).written
        if (number + 1) % 100 == 0:
            print(f"filled {number + 1} sites", file=sys.stderr)
    return count


def _half_hours(series: SeriesId, end: datetime, days: int, level: float) -> Iterator[Point]:
    for k in range(days * SLOTS_PER_DAY, 0, -1):
        at = end - k * SLOT_LENGTH
        value = level + 10.0 * math.sin(2 * math.pi * (at.hour * 60 + at.minute) / 1440)
        yield Point(series=series, at=at, known_at=at + SLOT_LENGTH, value=value, source="counter")


def fill_region(store: Store, sites: int, now: datetime) -> None:
    """What the pages of operators and retailers read, and what the check for alerts reads."""
    pattern, end = load_scenario("kitakata")[0].site, Slot.containing(now).start
    for number in range(sites):
        site = replace(pattern, id=name_of(number))
        with store.transaction():
            keep_site(store, site, at=now - timedelta(days=HISTORY))
            store.append(_half_hours(series_id(site.id, LOAD, "demand_kw"), end, HISTORY, 40.0 + number % 7))
            store.append(_minutes(site, now))
            for ahead in range(2 - HISTORY, 2):
                _issue(store, site.id, now, ahead)
            consent = _consent(site.id, now - timedelta(days=HISTORY))
            put_on_record(store, consent, at=consent.granted_at, actor="bench")
            _job(store, site.id, end)
        if (number + 1) % 100 == 0:
            print(f"told of {number + 1} sites", file=sys.stderr)


def _minutes(site: Site, now: datetime) -> Iterator[Point]:
    """The last three quarters of an hour of a meter that is read every minute. [kWh, kW]"""
    newest = now.replace(second=0, microsecond=0)
    for k in range(45, -1, -1):
        at = newest - k * MINUTE
        for name, value in ((COUNTER, 5000.0 - k), (POWER, 60.0)):
            yield Point(series=series_id(site.id, *name), at=at, known_at=at, value=value, source="meter")


def _issue(store: Store, site: str, now: datetime, ahead: int) -> None:
    midnight = jst_midnight(now.astimezone(JST).date() + timedelta(days=ahead))
    made_at = midnight - timedelta(hours=12)
    if made_at > now:
        return
    p10, p50, p90 = ((level,) * SLOTS_PER_DAY for level in (32.0, 40.0, 48.0))
    one = IssuedForecast(
        site=site, target=LOAD, horizon=Horizon.DAY_AHEAD, issued_at=made_at, start=midnight,
        p10=p10, p50=p50, p90=p90, model="demand-pool", card="", version="bench",
    )  # fmt: skip
    keep(store, one)


def _consent(site: str, granted_at: datetime) -> Consent:
    return Consent(
        id=f"c-{site}", subject=site, controller=CONTROLLER, purpose=PURPOSE, purpose_version=PURPOSE_VERSION,
        categories=("demand-forecast", "pv-forecast"), recipients=(RETAILER,), granted_at=granted_at,
        channel=Channel.PAPER, evidence_sha256="ab" * 32,
    )  # fmt: skip


def _job(store: Store, site: str, due_at: datetime) -> None:
    about = '{"due":{"count":"30","key":"every_minutes"},"misfire":"once","needs":[]}'
    store.rows.jobs.add(JobRow(name="measure", subject=site, about=about, next_at=None, seen_at=due_at))
    key = f"{due_at.isoformat()}/measure/{site}"
    run = JobRunRow(key=key, job="measure", subject=site, due_at=due_at, state="done", started_at=due_at,
                    ended_at=due_at + timedelta(seconds=2))  # fmt: skip
    store.rows.runs.add(run)


def fill_minutes(store: Store, days: int, now: datetime) -> None:
    """The power of the first site's air conditioner, minute by minute. [kW]"""
    series, end = series_id(name_of(0), "room", "power_kw"), now.replace(second=0, microsecond=0)
    for day in range(days, 0, -1):
        store.append(
            Point(series=series, at=at, known_at=at + MINUTE, value=3.0 + k % 7, source="meter")
            for k in range(1440)
            if (at := end - timedelta(days=day) + k * MINUTE) < end
        )
