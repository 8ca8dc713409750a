"""Sites and their assets."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request

from energy.store import Snapshot
from vpp.api.common import Answer, AssetId, Cursor, Limit, SiteId, known_now, noun, page_of
from vpp.http.access import access_of, guarded
from vpp.http.problems import Problem
from vpp.people.rights import About
from vpp.people.roles import Role
from vpp.site.sitebook import ASSETS

__all__ = ["asset_kinds", "assets", "only_here", "site_ids", "sites"]

sites, assets = noun("sites"), noun("assets")


class Site(Answer):
    """A place with a meter."""

    id: Annotated[str, Field(examples=["kitakata"])]
    assets: Annotated[int, Field(description="Assets that are named.", examples=[12])]


class SitePage(Answer):
    """Sites that the caller may see."""

    items: list[Site]
    next: str | None = None


class Asset(Answer):
    """Something on a site that is measured or controlled."""

    site: Annotated[str, Field(examples=["kitakata"])]
    id: Annotated[str, Field(examples=["leaf"])]
    kind: Annotated[Literal["car", "zone", "pv", "other"], Field(examples=["car"])]
    name_ja: str
    name_en: str
    quantities: Annotated[list[str], Field(examples=[["charge_kwh", "soc"]])]


class AssetPage(Answer):
    """Assets of a site."""

    items: list[Asset]
    next: str | None = None


def site_ids(known: Snapshot) -> list[str]:
    """Every site that is named or measured."""
    named = {document.key for document in known.documents(ASSETS)}
    return sorted(named | {str(name).split("/")[0] for name in known.ids() if str(name).count("/") == 2})


def asset_kinds(known: Snapshot, site: str) -> dict[str, tuple[str, str, str]]:
    """Names in Japanese and English and kind of a site's named assets."""
    document = known.document(ASSETS, site)
    told = {} if document is None else json.loads(document.body)
    return {asset: (ja, en, kind) for asset, (ja, en, kind) in told.items()}


def only_here(known: Snapshot, asset: str) -> bool:
    """Whether no two sites have an asset of this id, so that the id alone names it."""
    return sum(asset in json.loads(document.body) for document in known.documents(ASSETS)) <= 1


def _assets(known: Snapshot, site: str) -> list[Asset]:
    quantities: dict[str, list[str]] = {}
    for name in known.ids(f"{site}/"):
        _, asset, quantity = str(name).split("/", 2)
        quantities.setdefault(asset, []).append(quantity)
    named = asset_kinds(known, site)
    found = []
    for asset in sorted({*quantities, *named}):
        ja, en, kind = named.get(asset, (asset, asset, "other"))
        told = kind if kind in {"car", "zone", "pv"} else "other"
        has = sorted(quantities.get(asset, []))
        row = {"site": site, "id": asset, "kind": told, "name_ja": ja, "name_en": en, "quantities": has}
        found.append(Asset.model_validate(row))
    return found


@sites.get("/sites")
@guarded("own-sites")
def list_sites(request: Request, cursor: Cursor = None, limit: Limit = 100) -> SitePage:
    """Sites that the caller may see."""
    access = access_of(request)
    known = known_now(access)
    seen = [site for site in site_ids(known) if access.sees_site(site)]
    shown, more = page_of(seen, cursor, limit, key=str)
    return SitePage(items=[Site(id=site, assets=len(asset_kinds(known, site))) for site in shown], next=more)


@sites.get("/sites/{site}")
@guarded("site", About.SITE)
def get_site(request: Request, site: SiteId) -> Site:
    """One site."""
    known = known_now(access_of(request))
    if site not in site_ids(known):
        raise Problem("not_found")
    return Site(id=site, assets=len(asset_kinds(known, site)))


@assets.get("/assets/{site}")
@guarded("asset-list", About.SITE)
def list_assets(request: Request, site: SiteId, cursor: Cursor = None, limit: Limit = 100) -> AssetPage:
    """Assets of a site."""
    found = _assets(known_now(access_of(request)), site)
    if not found:
        raise Problem("not_found")
    shown, more = page_of(found, cursor, limit, key=lambda one: one.id)
    return AssetPage(items=shown, next=more)


@assets.get("/assets/{site}/{asset}")
@guarded("asset", About.ASSET)
def get_asset(request: Request, site: SiteId, asset: AssetId) -> Asset:
    """One asset; a driver sees his own car."""
    access = access_of(request)
    found = next((one for one in _assets(known_now(access), site) if one.id == asset), None)
    if found is None or (access.who.role is Role.DRIVER and found.kind != "car"):
        raise Problem("not_found")
    return found
