"""The newest plan of a site, whole: what is meant for the hours to come, and why.

The record of a half hour (:class:`~vpp.site.records.SlotRecord`) says what was planned for it; whoever looks
at a site in the evening wants to know about the night. One document a half hour, small: powers and states in
two digits, every reason once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter

from energy.core.plan import Plan, Reason
from energy.core.slots import SLOT_LENGTH, Slot
from energy.store import Snapshot, Store

__all__ = ["AHEAD", "Ahead", "AssetAhead", "ahead_key", "ahead_of", "keep_ahead", "target_of"]

AHEAD: Final = "plan-ahead"
"""Kind of the documents; key ``SITE/START``, the first half hour of the plan."""
_OLDEST: Final = 4  # half hours back at which a plan still says something about the hours to come


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetAhead:
    """One asset in the half hours of a plan.

    Parameters
    ----------
    power_kw : tuple of float
        Positive into the asset. [kW]
    expected : tuple of float or None
        State at the end of each half hour: a car's energy [kWh], a room's temperature [degC].
    why : tuple of int
        Place of each half hour's reason in :attr:`Ahead.reasons`.
    """

    power_kw: tuple[float, ...]
    expected: tuple[float | None, ...]
    why: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """A plan as it is kept.

    Parameters
    ----------
    start : datetime
        Start of the first half hour; the others follow without a gap.
    import_kw, load_kw, pv_kw : tuple of float
        What the plan expects of the site. [kW]
    target_kw : float
        Demand that is held in the first half hour. [kW]
    """

    site: str
    made_at: datetime
    start: datetime
    source: str
    target_kw: float
    import_kw: tuple[float, ...]
    load_kw: tuple[float, ...]
    pv_kw: tuple[float, ...]
    assets: Mapping[str, AssetAhead]
    reasons: tuple[Reason, ...]

    def slots(self) -> tuple[datetime, ...]:
        """Starts of the half hours, in order."""
        return tuple(self.start + k * SLOT_LENGTH for k in range(len(self.import_kw)))

    def reason(self, asset: str, k: int) -> Reason:
        """Why an asset is planned as it is in the k-th half hour."""
        return self.reasons[self.assets[asset].why[k]]


_AHEAD: Final = TypeAdapter(Ahead)


def keep_ahead(store: Store, plan: Plan) -> None:
    """Keep a plan, if it is one of half hours; keeping it again changes nothing."""
    if plan.grid.step != SLOT_LENGTH:
        return
    body = _AHEAD.dump_json(_of(plan)).decode()
    store.put_document(AHEAD, ahead_key(plan.site, plan.grid.start), known_at=plan.made_at, body=body)


def ahead_key(site: str, start: datetime) -> str:
    """Key under which a site's plan from a half hour on stands."""
    return f"{site}/{start.isoformat()}"


def target_of(body: str) -> float:
    """Demand that a kept plan holds in its first half hour; its other fields are not looked at. [kW]"""
    return float(json.loads(body)["target_kw"])


def ahead_of(known: Snapshot, site: str, at: datetime) -> Ahead | None:
    """The plan in force at an instant, or the newest of the two hours before; None if nobody planned."""
    slot = Slot.containing(at).start
    for back in range(_OLDEST + 1):
        document = known.document(AHEAD, ahead_key(site, slot - back * SLOT_LENGTH))
        if document is not None:
            return _AHEAD.validate_json(document.body)
    return None


def _of(plan: Plan) -> Ahead:
    places: dict[str, int] = {}
    reasons: list[Reason] = []
    assets: dict[str, AssetAhead] = {}
    for asset in dict.fromkeys(point.asset for point in plan.setpoints):
        points, why = plan.of(asset), []
        for point in points:
            facts = {
                name: round(fact, 2) if isinstance(fact, float) else fact
                for name, fact in point.reason.facts.items()
            }
            key = repr((point.reason.code, facts))
            if key not in places:
                places[key] = len(reasons)
                reasons.append(Reason(point.reason.code, facts))
            why.append(places[key])
        assets[str(asset)] = AssetAhead(
            power_kw=_rounded(tuple(point.power_kw for point in points)),
            expected=tuple(None if p.expected is None else round(p.expected, 2) for p in points),
            why=tuple(why),
        )
    told = plan.trajectory
    return Ahead(
        site=plan.site,
        made_at=plan.made_at,
        start=plan.grid.start,
        source=plan.source.value,
        target_kw=plan.target_demand_kw,
        import_kw=_rounded(told.import_kw),
        load_kw=_rounded(told.load_kw),
        pv_kw=_rounded(told.pv_kw),
        assets=assets,
        reasons=tuple(reasons),
    )


def _rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(round(value, 2) for value in values)
