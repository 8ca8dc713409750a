"""What a store knows of a site itself: its configuration, so that pages and checks need no file beside it."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final

from pydantic import TypeAdapter

from energy.core.site import Site
from energy.store import Snapshot, Store
from vpp.explain import ASSETS, names_document

__all__ = ["SITE", "keep_site", "kept_sites", "read_site", "site_of"]

SITE: Final = "site"
"""Kind of the documents that hold a site as it was configured; key is the site."""

_SITE: Final = TypeAdapter(Site)


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


@lru_cache(maxsize=4096)
def read_site(body: str) -> Site:
    """A configuration as it is kept; pages and checks ask for the same again and again."""
    return _SITE.validate_json(body)


def kept_sites(known: Snapshot) -> list[str]:
    """Ids of the sites whose configuration is kept."""
    return [document.key for document in known.documents(SITE)]
