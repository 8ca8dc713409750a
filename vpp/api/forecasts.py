"""Forecasts: of one's own site, and sums over consenting sites for who may receive them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from vpp.api.common import CSV, Answer, Form, Instant, SiteId, csv_answer, known_now, noun, wants_csv
from vpp.consents import CONTROLLER
from vpp.forecasts.delivery import Order, Withheld, preview
from vpp.forecasts.handover import DeliveryTarget, csv_text
from vpp.forecasts.issued import Horizon, latest_issued, targets_of
from vpp.http.access import access_of, guarded
from vpp.http.problems import Problem
from vpp.people.rights import About

__all__ = ["forecasts"]

forecasts = noun("forecasts")

Target = Annotated[
    str,
    Path(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="`load` or the id of an array.", examples=["load"]
    ),
]
Party = Annotated[
    str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="Recipient, as in the consents.")
]
_COLUMNS: Final = ("start", "p10_kw", "p50_kw", "p90_kw")


class SlotBand(Answer):
    """One half hour."""

    start: datetime
    p10_kw: Annotated[float | None, Field(description="One in ten ends below it. [kW]")]
    p50_kw: Annotated[float | None, Field(description="Half end below it. [kW]")]
    p90_kw: Annotated[float | None, Field(description="Nine in ten end below it. [kW]")]


class Forecast(Answer):
    """One issue."""

    site: str
    target: str
    horizon: Horizon
    issued_at: datetime
    model: str
    slots: list[SlotBand]


class Targets(Answer):
    """What is forecast of a site."""

    site: str
    targets: Annotated[list[str], Field(examples=[["load", "pv"]])]


class SumForecast(Answer):
    """A sum over consenting sites; half hours in which one site would show through are empty."""

    recipient: str
    target: DeliveryTarget
    day: date
    version: int
    issued_at: datetime
    sites: Annotated[int, Field(description="Sites in the sum.")]
    method: str
    slots: list[SlotBand]


@forecasts.get("/forecasts/{site}")
@guarded("forecast", About.SITE)
def get_targets(request: Request, site: SiteId) -> Targets:
    """What is forecast of a site."""
    found = targets_of(known_now(access_of(request)), site)
    if not found:
        raise Problem("not_found")
    return Targets(site=site, targets=found)


@forecasts.get("/forecasts/{site}/{target}/{horizon}", response_model=Forecast, responses=CSV)
@guarded("forecast", About.SITE)
def get_forecast(
    request: Request,
    site: SiteId,
    target: Target,
    horizon: Horizon,
    *,
    as_of: Instant | None = None,
    form: Form = None,
) -> Forecast | Response:
    """The newest issue, or the newest that was known at `as_of`."""
    known = known_now(access_of(request), as_of)
    issue = latest_issued(known, site, target, horizon)
    if issue is None:
        raise Problem("not_found")
    bands = zip(issue.grid.times(), issue.p10, issue.p50, issue.p90, strict=True)
    rows = [{"start": start, "p10_kw": p10, "p50_kw": p50, "p90_kw": p90} for start, p10, p50, p90 in bands]
    if wants_csv(request, form):
        return csv_answer(_COLUMNS, rows, name=f"{site}-{target}-{horizon.value}")
    return Forecast(
        site=site,
        target=target,
        horizon=horizon,
        issued_at=issue.issued_at,
        model=issue.model,
        slots=[SlotBand.model_validate(row) for row in rows],
    )


@forecasts.get("/forecast-sums/{party}/{target}", response_model=SumForecast, responses=CSV)
@guarded("forecast-sum", About.PARTY)
def get_sum(
    request: Request,
    party: Party,
    target: DeliveryTarget,
    day: Annotated[date, Query(description="Day of delivery, Japan.", examples=["2026-11-23"])],
    form: Form = None,
) -> SumForecast | Response:
    """The sum over the sites that consent to this recipient now; withheld where it would show a site."""
    access = access_of(request)
    if not 1990 <= day.year <= 2200:
        raise Problem("not_found")
    order = Order(recipient=party, controller=CONTROLLER, target=target, day=day)
    made = preview(access.service.store, order, at=access.service.clock.now())
    if isinstance(made, Withheld):
        raise Problem("withheld", sites=made.sites, needed=made.needed)
    delivery = made.delivery
    access.audit(
        "forecast.read", f"forecast-delivery/{order.key}", version=delivery.version, sites=delivery.sites
    )
    if wants_csv(request, form):
        return Response("\ufeff" + csv_text(delivery), media_type="text/csv; charset=utf-8")
    return SumForecast(
        recipient=party,
        target=target,
        day=day,
        version=delivery.version,
        issued_at=delivery.issued_at,
        sites=delivery.sites,
        method=delivery.method,
        slots=[
            SlotBand(start=slot.start, p10_kw=slot.p10_kw, p50_kw=slot.p50_kw, p90_kw=slot.p90_kw)
            for slot in delivery.slots
        ],
    )
