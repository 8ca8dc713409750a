"""How closely sites follow their plans: imported energy beside what the plan in force expected of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from energy.core.series import Grid, Unit
from energy.core.slots import SLOT_HOURS, SLOT_LENGTH, Slot
from energy.store import Document, Store
from vpp.site.ahead import AHEAD
from vpp.site.recorder import SiteSeries

__all__ = ["BACK", "LEAST", "Following", "plan_following"]

BACK: Final = 8
"""Half hours that are looked at: the last four hours that are over."""
LEAST: Final = 2
"""Half hours that must be both planned and metered before anything is said."""
_FIELD: Final = '"import_kw":'


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How a site followed its plans.

    ``share = max(0, 1 - sum |metered - planned| / sum planned)`` over the half hours among the last
    :data:`BACK` that are over, planned and metered. The plan of a half hour is the one made for it as
    its first: what control set out with.

    Parameters
    ----------
    share : float
        In [0, 1]; 1 is as planned. [-]
    slots : int
        Half hours that went into it.
    """

    share: float
    slots: int


def plan_following(store: Store, sites: Sequence[str], now: datetime) -> dict[str, Following]:
    """By site; sites without plans, without readings or with nothing planned are left out."""
    done = Slot.containing(now).start
    grid = Grid(done - BACK * SLOT_LENGTH, BACK)
    keys = {f"{site}/{at.isoformat()}": (site, k) for site in sites for k, at in enumerate(grid.times())}
    planned: dict[str, np.ndarray] = {}
    for key, document in store.across(now).documents(AHEAD, list(keys)).items():
        site, k = keys[key]
        planned.setdefault(site, np.full(BACK, np.nan))[k] = _first_import_kwh(document)
    known, found = store.as_of(now), {}
    for site, expected in planned.items():
        metered = known.series(SiteSeries(site)["meter", "import_kwh"], grid, Unit.KWH).values
        both = np.isfinite(expected) & np.isfinite(metered)
        total = float(expected[both].sum())
        if int(both.sum()) >= LEAST and total > 0.0:
            off = float(np.abs(metered[both] - expected[both]).sum())
            found[site] = Following(share=max(0.0, 1.0 - off / total), slots=int(both.sum()))
    return found


def _first_import_kwh(document: Document) -> float:
    """What a plan expects of its first half hour. [kWh]

    Only the one list is read: a plan is some tens of kilobytes, and a page asks for hundreds of them.
    """
    place = document.body.index(_FIELD) + len(_FIELD)
    values = json.JSONDecoder().raw_decode(document.body, place)[0]
    return float(values[0]) * SLOT_HOURS
