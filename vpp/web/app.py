"""The app, put together: routes with their rules, problems, limits, static files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from devices.service import notify_systemd
from energy.core.errors import VppError
from vpp.api.routers import add_api
from vpp.http.problems import Problem, answer, of_error
from vpp.http.service import Service
from vpp.http.writes import forget_old
from vpp.ops.alive import alive_every_s, say_alive
from vpp.ops.webhooks import tell_all
from vpp.web import (
    alerts,
    audit,
    doors,
    driver,
    explore,
    factory,
    factory_month,
    factory_target,
    health,
    homes,
    jobs,
    operator,
    operator_plans,
    operator_ppa,
    operator_receipt,
    operator_rooms,
    own,
    people,
    retailer,
    setup,
)
from vpp.web.middleware import Around
from vpp.web.pages import Page, add_pages

__all__ = ["PAGES", "create_app"]

log = logging.getLogger(__name__)

STATIC: Final = Path(__file__).parent / "static"
PAGES: Final[tuple[Page, ...]] = (
    *own.PAGES,
    *operator.PAGES,
    *operator_plans.PAGES,
    *operator_ppa.PAGES,
    *operator_receipt.PAGES,
    *operator_rooms.PAGES,
    *jobs.PAGES,
    *alerts.PAGES,
    *factory.PAGES,
    *factory_month.PAGES,
    *factory_target.PAGES,
    *homes.PAGES,
    *explore.PAGES,
    *driver.PAGES,
    *retailer.PAGES,
    *setup.PAGES,
    *people.PAGES,
    *audit.PAGES,
    *doors.PAGES,
    *health.PAGES,
)
"""Every page. A module with more adds its ``PAGES`` here: route, rule and navigation come from there."""
_TIDY_EVERY_S: Final = 600.0
_TELL_EVERY_S: Final = 5.0


def create_app(service: Service, *, pages: tuple[Page, ...] = PAGES) -> FastAPI:
    """The app of a service.

    Raises
    ------
    ConfigError
        If a route has no rule.
    """
    app = FastAPI(
        title="aizu-vpp",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.service = service
    add_pages(app, pages)
    add_api(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for kind in (Problem, VppError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answered)
    app.add_middleware(Around, service=service)
    return app


async def _answered(request: Request, error: Exception) -> Response:
    return answer(request, of_error(error))


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Small chores beside the requests: what ended is taken away."""
    service: Service = app.state.service
    stop = asyncio.Event()
    chores = [
        asyncio.create_task(_again(stop, _TIDY_EVERY_S, lambda: _tidy(service))),
    ]
    chores.append(asyncio.create_task(_again(stop, alive_every_s(), lambda: _alive(service))))
    if not service.supervised:  # a supervisor tells, once among all processes
        chores.append(asyncio.create_task(_again(stop, _TELL_EVERY_S, lambda: _tell(service))))
    notify_systemd("READY=1")  # the socket listens already
    try:
        yield
    finally:
        service.stopping = True
        notify_systemd("STOPPING=1")
        stop.set()
        await asyncio.gather(*chores)


async def _again(stop: asyncio.Event, every_s: float, chore: Callable[[], object]) -> None:
    """Do a chore now and then, until the service stops; one that fails is tried in the next round."""
    while not stop.is_set():
        try:
            await run_in_threadpool(chore)
        except VppError:
            log.exception("chore.failed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)


def _alive(service: Service) -> None:
    """Feed the watchdog of the service manager, from the loop that answers people."""
    say_alive(service.store, service.parts())


def _tidy(service: Service) -> None:
    service.logins.remove_ended()
    forget_old(service)


def _tell(service: Service) -> None:
    arrived, failed = tell_all(service.store, service.clock, allowed=service.settings.webhook_hosts)
    service.metrics.webhooks.labels("arrived").inc(arrived)
    service.metrics.webhooks.labels("failed").inc(failed)
