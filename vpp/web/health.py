"""For machines: alive, ready, figures, the description of the API."""

from __future__ import annotations

import json
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import VppError
from vpp.web.access import service_of
from vpp.web.metrics import METRICS_TYPE
from vpp.web.pages import Page
from vpp.web.problems import Problem

__all__ = ["PAGES"]


async def live(request: Request) -> Response:  # noqa: ARG001 - the framework hands it over
    """The process answers."""
    return Response('{"status":"ok"}', media_type="application/json", headers={"Cache-Control": "no-store"})


async def ready(request: Request) -> Response:
    """The process takes requests: the database answers and nobody told it to stop."""
    service = service_of(request)
    if service.stopping:
        raise Problem("unavailable", headers={"Retry-After": "10"})
    try:
        await run_in_threadpool(service.store.rows.accounts.one, id="")
    except VppError:
        raise Problem("unavailable", headers={"Retry-After": "10"}) from None
    return await live(request)


async def metrics(request: Request) -> Response:
    """What Prometheus reads; it sends a token with the scope ``read:metrics``."""
    return Response(service_of(request).metrics.text(), headers={"Content-Type": METRICS_TYPE})


async def openapi(request: Request) -> Response:
    """The API as OpenAPI 3.1."""
    return Response(json.dumps(request.app.openapi(), ensure_ascii=False), media_type="application/json")


PAGES: Final = (
    Page(path="/health/live", endpoint=live, rule="public"),
    Page(path="/health/ready", endpoint=ready, rule="public"),
    Page(path="/metrics", endpoint=metrics, rule="metrics"),
    Page(path="/openapi.json", endpoint=openapi, rule="public"),
)
