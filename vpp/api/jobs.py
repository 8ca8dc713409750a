"""Routine work: when each was last done, as the store itself shows it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request

from energy.core.units import series_id
from energy.store import Snapshot
from vpp.api.common import Answer, known_now, noun
from vpp.api.sites import site_ids
from vpp.forecasts.issued import Horizon, latest_issued, targets_of
from vpp.web.access import access_of, guarded

__all__ = ["jobs"]

jobs = noun("jobs")


class Job(Answer):
    """Work that comes again and again."""

    name: Annotated[Literal["measure", "forecast"], Field(examples=["forecast"])]
    subject: Annotated[str, Field(examples=["kitakata/load/day-ahead"])]
    last_at: Annotated[datetime, Field(description="When its newest result became known.")]
    age_s: Annotated[float, Field(description="How long ago that is. [s]")]


class Jobs(Answer):
    """All of it, by name and subject."""

    items: list[Job]


def _last(known: Snapshot) -> Iterator[tuple[Literal["measure", "forecast"], str, datetime]]:
    for site in site_ids(known):
        measured = known.latest(series_id(site, "meter", "import_kwh"), before=known.known_until)
        if measured is not None:
            yield "measure", f"{site}/meter", measured.known_at
        for target in targets_of(known, site):
            for horizon in Horizon:
                issue = latest_issued(known, site, target, horizon)
                if issue is not None:
                    yield "forecast", f"{site}/{target}/{horizon.value}", issue.issued_at


@jobs.get("/jobs")
@guarded("job")
def list_jobs(request: Request) -> Jobs:
    """When measuring and forecasting were last done, for every site."""
    known = known_now(access_of(request))
    items = [
        Job(name=name, subject=subject, last_at=at, age_s=_age(known.known_until - at))
        for name, subject, at in _last(known)
    ]
    return Jobs(items=sorted(items, key=lambda one: (one.name, one.subject)))


def _age(since: timedelta) -> float:
    return round(since.total_seconds(), 1)
