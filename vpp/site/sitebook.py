"""What a store knows of a site itself: its configuration, so that pages and checks need no file beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Final

from pydantic import TypeAdapter

from energy.core.site import Site
from energy.store import Snapshot, Store
from vpp.i18n import AssetKind, Lang

__all__ = [
    "ASSETS",
    "SITE",
    "Names",
    "asset_names",
    "car_names",
    "keep_site",
    "kept_sites",
    "named_assets",
    "names_document",
    "read_site",
    "site_names",
    "site_of",
]

SITE: Final = "site"
"""Kind of the documents that hold a site as it was configured; key is the site."""

_SITE: Final = TypeAdapter(Site)

ASSETS = "assets"
"""Kind of the document that holds a site's assets: id to name in Japanese, name in English, kind."""

Names = dict[str, tuple[str, str, AssetKind]]


def named_assets(site: Site) -> Names:
    """Names and kinds of a site's assets."""
    names: Names = {vehicle.id: (vehicle.name_ja, vehicle.name_en, "car") for vehicle in site.vehicles}
    names |= {zone.id: (zone.name_ja, zone.name_en, "zone") for zone in site.zones}
    names |= {battery.id: ("蓄電池", "Battery", "battery") for battery in site.batteries}
    if site.pv is not None:
        names[site.pv.id] = ("太陽光発電", "PV", "pv")
    return names


def names_document(site: Site) -> str:
    """Names and kinds of a site's assets as one JSON document."""
    return json.dumps(named_assets(site), ensure_ascii=False)


def asset_names(known: Snapshot) -> Names:
    """Names and kinds of the assets that a store knows."""
    documents = known.documents(ASSETS)
    return {
        asset: (ja, en, kind)
        for document in documents
        for asset, (ja, en, kind) in json.loads(document.body).items()
    }


def keep_site(store: Store, site: Site, *, at: datetime) -> bool:
    """Make a site and the names of its assets known; False if nothing about it has changed."""
    known, body = store.as_of(at), _SITE.dump_json(site).decode()
    names = names_document(site)
    changed = False
    for kind, text in ((SITE, body), (ASSETS, names)):
        before = known.document(kind, site.id)
        if before is None or before.body != text:
            changed |= store.put_document(kind, site.id, known_at=at, body=text)
    return changed


def site_of(known: Snapshot, site: str) -> Site | None:
    """A site as it was configured; None if the store was never told."""
    document = known.document(SITE, site)
    return None if document is None else read_site(document.body)


def site_names(store: Store, now: datetime, sites: Iterable[str], lang: Lang) -> dict[str, str]:
    """What sites are called, asked for at once; the id of whoever the store was never told of."""
    wanted = sorted(set(sites))
    found = store.across(now).documents(SITE, wanted)
    told = {one: read_site(found[one].body) for one in wanted if one in found}
    names = {one: site.name_ja if lang == "ja" else site.name_en for one, site in told.items()}
    return {one: names.get(one, one) for one in wanted}


def car_names(store: Store, now: datetime, cars: Iterable[str], lang: Lang) -> dict[str, str]:
    """What cars, named as ``SITE/CAR``, and their sites are called; ids where the store was never told."""
    wanted = [car.partition("/")[::2] for car in cars]
    found = store.across(now).documents(SITE, sorted({site for site, _ in wanted}))
    names: dict[str, str] = {}
    for site, car in wanted:
        told = read_site(found[site].body) if site in found else None
        one = next((one for one in told.vehicles if one.id == car), None) if told else None
        both = (told, one) if told and one else ()
        shown = " ".join(each.name_ja if lang == "ja" else each.name_en for each in both)
        names[f"{site}/{car}"] = shown or f"{site}/{car}"
    return names


@lru_cache(maxsize=4096)
def read_site(body: str) -> Site:
    """A configuration as it is kept; pages and checks ask for the same again and again."""
    return _SITE.validate_json(body)


def kept_sites(known: Snapshot) -> list[str]:
    """Ids of the sites whose configuration is kept."""
    return [document.key for document in known.documents(SITE)]
