"""A region of small sites in one store: forecasts that were issued, and who consented to hand them on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np

from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, jst_midnight, parse_jst
from energy.core.units import series_id
from energy.ledger import Channel, Consent, ConsentRegister
from energy.store import Point, Store, points_of
from vpp.forecasts.delivery import PURPOSE, PURPOSE_VERSION, Order
from vpp.forecasts.handover import DeliveryTarget
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast, keep

DAY = date(2026, 8, 5)
GRANTED = parse_jst("2026-07-01 09:00")
NINE = parse_jst("2026-08-04 09:00")
NOON = parse_jst("2026-08-04 12:00")
ORDER = Order(recipient="retailer-a", controller="aizu-spc", target=DeliveryTarget.DEMAND, day=DAY)


def site_name(number: int) -> str:
    return f"site-{number:02d}"


def add_site(store: Store, site: str, *, pv: bool = False) -> None:
    """A site that has metered once."""
    names = [series_id(site, "load", "demand_kw")]
    if pv:
        names.append(series_id(site, "roof", "generation_kwh"))
    store.append(Point(series=n, at=GRANTED, known_at=GRANTED, value=1.0, source="test") for n in names)


def issue(
    store: Store,
    site: str,
    level_kw: float | Sequence[float],
    *,
    at: datetime = NOON,
    target: str = LOAD,
    horizon: Horizon = Horizon.DAY_AHEAD,
    model: str = "demand-pool",
) -> IssuedForecast:
    """An issue with P50 at a level, P10 a tenth below and P90 a fifth above."""
    grid = Grid(jst_midnight(DAY), 48)
    if horizon is Horizon.WEEK:
        grid = Grid(jst_midnight(at.date() + timedelta(days=1)), 7 * 48)
    p50 = [level_kw] * grid.count if isinstance(level_kw, float) else list(level_kw)
    made = IssuedForecast(
        site=site,
        target=target,
        horizon=horizon,
        issued_at=at,
        start=grid.start,
        p10=tuple(round(0.9 * value, 3) for value in p50),
        p50=tuple(p50),
        p90=tuple(round(1.2 * value, 3) for value in p50),
        model=model,
        card="",
        version="test",
    )
    keep(store, made)
    return made


def past_days(store: Store, site: str, level_kw: float, errors_kw: FloatArray) -> list[IssuedForecast]:
    """Noon issues of the days before the issue day at a level, and loads that missed them by these errors."""
    first = DAY - timedelta(days=1 + len(errors_kw))
    grid = Grid(jst_midnight(first), errors_kw.size)
    load = Series(grid, np.maximum(level_kw + errors_kw.reshape(-1), 0.0), Unit.KW)
    store.append(
        points_of(
            series_id(site, LOAD, "demand_kw"), load, known_at=lambda at: at + SLOT_LENGTH, source="test"
        )
    )
    made = []
    for day in range(len(errors_kw)):
        midnight = jst_midnight(first + timedelta(days=day))
        one = IssuedForecast(
            site=site,
            target=LOAD,
            horizon=Horizon.DAY_AHEAD,
            issued_at=midnight - timedelta(hours=12),
            start=midnight,
            p10=(0.8 * level_kw,) * 48,
            p50=(level_kw,) * 48,
            p90=(1.2 * level_kw,) * 48,
            model="demand-pool",
            card="",
            version="test",
        )
        keep(store, one)
        made.append(one)
    return made


def consent(site: str, *recipients: str, number: int = 1) -> Consent:
    return Consent(
        id=f"{site}-{number}",
        subject=site,
        controller=ORDER.controller,
        purpose=PURPOSE,
        purpose_version=PURPOSE_VERSION,
        categories=("demand-forecast", "pv-forecast"),
        recipients=recipients or (ORDER.recipient,),
        granted_at=GRANTED,
        channel=Channel.PAPER,
        evidence_sha256="ab" * 32,
    )


def fill(store: Store, sites: int, *, level_kw: float = 10.0, issued_at: datetime = NOON) -> None:
    """So many consenting sites, each with an issue of the day."""
    register = ConsentRegister(store)
    for number in range(sites):
        add_site(store, site_name(number))
        register.grant(consent(site_name(number)), recorded_at=GRANTED, actor="desk")
        issue(store, site_name(number), level_kw, at=issued_at)
