"""The app, put together: routes with their rules, problems, limits, static files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from energy.core.errors import VppError
from vpp.web import doors, health, own
from vpp.web.middleware import Around
from vpp.web.pages import Page, add_pages
from vpp.web.problems import Problem, answer, of_error
from vpp.web.service import Service
from vpp.web.writes import forget_old

__all__ = ["PAGES", "create_app"]

log = logging.getLogger(__name__)

STATIC: Final = Path(__file__).parent / "static"
PAGES: Final[tuple[Page, ...]] = (*own.PAGES, *doors.PAGES, *health.PAGES)
"""Every page. A module with more adds its ``PAGES`` here: route, rule and navigation come from there."""
_TIDY_EVERY_S: Final = 600.0


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
    chores = asyncio.create_task(_chores(service, stop))
    try:
        yield
    finally:
        service.stopping = True
        stop.set()
        await chores


async def _chores(service: Service, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await run_in_threadpool(service.logins.remove_ended)
            await run_in_threadpool(forget_old, service)
        except VppError:
            log.exception("chores.failed")  # the next round tries again
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _TIDY_EVERY_S)
