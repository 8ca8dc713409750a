"""Every noun of API v1; a new one is added here and nowhere else."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from vpp.api.alerts import alerts
from vpp.api.city import city
from vpp.api.common import ProblemBody
from vpp.api.consents import consents
from vpp.api.events import events
from vpp.api.forecasts import forecasts
from vpp.api.hooks import hooks
from vpp.api.jobs import jobs
from vpp.api.ledger import ledger
from vpp.api.measurements import measurements
from vpp.api.plans import plans
from vpp.api.settlements import settlements
from vpp.api.sites import assets, sites
from vpp.api.wishes import wishes

__all__ = ["ROUTERS", "add_api"]

ROUTERS: Final = (
    *(sites, assets, measurements, forecasts, plans, events),
    *(settlements, consents, ledger, jobs, alerts, hooks, city, wishes),
)
_ABOUT: Final = """\
Read and write with `Authorization: Bearer TOKEN`; tokens are made on the account page and end.

* Instants carry an offset; powers are in kW, positive into the asset; energies in kWh.
* Lists come in pages: send `next` of an answer as `cursor`.
* Answers carry an `ETag`; send it as `If-None-Match` and get 304 if nothing changed.
* Writes need an `Idempotency-Key`; the same request under the same key is done once.
* Problems are `application/problem+json` in Japanese or English, by `Accept-Language`.
"""


def add_api(app: FastAPI) -> None:
    """Put every noun into the app, with its description."""
    for router in ROUTERS:
        app.include_router(router)

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    setattr(app, "openapi", described)  # noqa: B010 - the framework's documented way, in spite of its types


def _described(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title="aizu-vpp", version="1", description=_ABOUT, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["ProblemBody"] = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for path in document["paths"].values():
        for method, operation in path.items():
            if method in {"post", "put", "patch", "delete"}:
                operation.setdefault("parameters", []).append(_KEY)
            problem = operation["responses"].get("404", {}).get("content")
            if problem:  # the framework's own form of 422 is not ours
                operation["responses"]["422"] = {**operation["responses"]["422"], "content": problem}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return document


_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Names this write: sent again under the same key it is done once.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,80}$"},
    "example": "9f1c2d3e-2026-11-22",
}
