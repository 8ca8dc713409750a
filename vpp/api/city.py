"""NGSI-LD view for a city's data platform (都市OS): read-only, and only what consents cover.

Entities, ids and errors follow ETSI GS CIM 009 [1]_; what is shown is asked of the consent register at the
moment of the request, with the caller's company as recipient and the purpose ``city-data-platform``.

References
----------
.. [1] ETSI GS CIM 009 V1.8.1, Context Information Management; NGSI-LD API, 4.5 (representation), 6.4 and 6.5.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from energy.ledger import DataUse
from energy.store import Snapshot
from vpp.api.common import noun
from vpp.api.sites import asset_kinds, site_ids
from vpp.consents import CONTROLLER, admitted
from vpp.forecasts.issued import LOAD, Horizon, latest_issued
from vpp.http.access import Access, access_of, guarded
from vpp.http.problems import Problem

__all__ = ["CONTEXT", "PURPOSE", "city"]

city = noun("city", prefix="/ngsi-ld/v1")

CONTEXT: Final = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld"
PURPOSE: Final = "city-data-platform"
_PURPOSE_VERSION: Final = 1
_CATEGORY: Final = {"Site": "site-profile", "Forecast": "demand-forecast", "Device": "device-list"}
Kind = Literal["Site", "Forecast", "Device"]
_LD: Final = "application/ld+json"
_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {_LD: {"schema": {"type": "array", "items": {"type": "object"}}}}}
}
_ENTITY: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {_LD: {"schema": {"type": "object"}}}}}


def _use(kind: str, recipient: str) -> DataUse:
    return DataUse(
        controller=CONTROLLER,
        purpose=PURPOSE,
        purpose_version=_PURPOSE_VERSION,
        categories=(_CATEGORY[kind],),
        recipient=recipient,
    )


def _entities(access: Access, kind: str) -> Iterator[dict[str, Any]]:
    """Entities of one kind, of the sites that consent to it now."""
    now, store = access.service.clock.now(), access.service.store
    known = store.as_of(now)
    sites = site_ids(known)
    allowed = admitted(store, sites, _use(kind, access.who.objects.party), at=now, actor=access.who.id)
    for site in sites:
        if site in allowed:
            yield from _of_site(known, site, kind)


def _of_site(known: Snapshot, site: str, kind: str) -> Iterator[dict[str, Any]]:
    named = asset_kinds(known, site)
    match kind:
        case "Site":
            yield _entity("Site", site, assets={"type": "Property", "value": len(named)})
        case "Device":
            for asset, (ja, en, sort) in sorted(named.items()):
                if sort != "car":  # a car belongs to a person: no site can consent for it
                    name = {"type": "LanguageProperty", "languageMap": {"ja": ja, "en": en}}
                    place = {"type": "Relationship", "object": f"urn:ngsi-ld:Site:{site}"}
                    category = {"type": "Property", "value": sort}
                    yield _entity("Device", f"{site}:{asset}", name=name, category=category, site=place)
        case _:
            issue = latest_issued(known, site, LOAD, Horizon.DAY_AHEAD)
            if issue is not None:
                issued = issue.issued_at.isoformat().replace("+00:00", "Z")
                for band in ("p10", "p50", "p90"):
                    value = list(getattr(issue, band))
                    told = {"type": "Property", "value": value, "unitCode": "KWT", "observedAt": issued}
                    start = {"type": "Property", "value": issue.start.isoformat().replace("+00:00", "Z")}
                    place = {"type": "Relationship", "object": f"urn:ngsi-ld:Site:{site}"}
                    yield _entity("Forecast", f"{site}:load:{band}", demand=told, start=start, site=place)


def _entity(kind: str, entity: str, /, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"@context": CONTEXT, "id": f"urn:ngsi-ld:{kind}:{entity}", "type": kind, **properties}


def _ld(body: object) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), media_type=_LD)


@city.get("/entities", responses=_ANSWER)
@guarded("city-view")
def query_entities(
    request: Request,
    kind: Annotated[Kind, Query(alias="type", description="Kind of entity.")],
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """Entities of a kind that consents cover now."""
    access = access_of(request)
    found = list(_entities(access, kind))[offset : offset + limit]
    access.audit("city.read", f"party/{access.who.objects.party}", kind=kind, entities=len(found))
    return _ld(found)


@city.get("/entities/{entity}", responses=_ENTITY)
@guarded("city-view")
def get_entity(
    request: Request,
    entity: Annotated[str, Path(pattern=r"^urn:ngsi-ld:(Site|Forecast|Device):[a-z0-9:_-]{1,200}$")],
) -> Response:
    """One entity, if a consent covers it now."""
    access = access_of(request)
    kind = entity.split(":")[2]
    found = next((one for one in _entities(access, kind) if one["id"] == entity), None)
    if found is None:
        raise Problem("not_found")
    access.audit("city.read", f"party/{access.who.objects.party}", kind=kind, entities=1)
    return _ld(found)
