"""For machines: alive, ready, figures, the description of the API."""

from __future__ import annotations

import json
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import VppError
from vpp.http.access import service_of
from vpp.http.metrics import METRICS_TYPE
from vpp.http.problems import Problem
from vpp.ops.figures import read_figures
from vpp.ops.status import is_hopeless, worst
from vpp.web.pages import Page

__all__ = ["PAGES"]


async def live(request: Request) -> Response:  # noqa: ARG001 - the framework hands it over
    """The process answers."""
    return Response('{"status":"ok"}', media_type="application/json", headers={"Cache-Control": "no-store"})


async def ready(request: Request) -> Response:
    """The process takes requests: the database answers, not all is lost and nobody told it to stop."""
    service = service_of(request)
    if service.stopping or is_hopeless(service.parts()):
        raise Problem("unavailable", headers={"Retry-After": "10"})
    try:
        await run_in_threadpool(service.store.rows.accounts.one, id="")
    except VppError:
        raise Problem("unavailable", headers={"Retry-After": "10"}) from None
    return await live(request)


async def health(request: Request) -> Response:
    """How each part of the service does: site by site, and the jobs."""
    parts = service_of(request).parts()
    found = {
        "status": worst(parts).value,
        "parts": [
            {
                "name": part.name,
                "status": part.state.value,
                "why": list(part.why),
                "told": list(part.told),
                "since": None if part.since is None else part.since.isoformat(),
            }
            for part in parts
        ],
    }
    return Response(json.dumps(found), media_type="application/json", headers={"Cache-Control": "no-store"})


async def metrics(request: Request) -> Response:
    """What Prometheus reads; it sends a token with the scope ``read:metrics``."""
    service = service_of(request)
    store, now = service.store, service.clock.now()
    await run_in_threadpool(read_figures, store, now, service.metrics, disk=service.disk)
    return Response(service.metrics.text(), headers={"Content-Type": METRICS_TYPE})


async def openapi(request: Request) -> Response:
    """The API as OpenAPI 3.1."""
    return Response(json.dumps(request.app.openapi(), ensure_ascii=False), media_type="application/json")


PAGES: Final = (
    Page(path="/health", endpoint=health, rule="public"),
    Page(path="/health/live", endpoint=live, rule="public"),
    Page(path="/health/ready", endpoint=ready, rule="public"),
    Page(path="/metrics", endpoint=metrics, rule="metrics"),
    Page(path="/openapi.json", endpoint=openapi, rule="public"),
)
