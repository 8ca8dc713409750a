"""Offers and calls of a region, from a plan to a document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from dispatch.region.checks import require_region
from dispatch.region.offer import Delivery, OfferPoint, Window, offer_curve
from dispatch.region.outcome import RegionPlan
from dispatch.region.share import Burden, called_plan, fair_share, gini, rebalanced
from energy.core.errors import ConfigError, DataError
from energy.core.series import FloatArray
from vpp.region.plan import Planned
from vpp.wholefile import whole_file

__all__ = ["Call", "call_document", "offer_document", "read_burden", "write_burden"]

HOURS = 0.5


class _Given(BaseModel):
    """What a site has offered and given. [kWh]"""

    model_config = ConfigDict(extra="forbid")

    offered_kwh: float
    given_kwh: float


class _BurdenFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sites: dict[str, _Given]


def read_burden(path: Path | None, names: Sequence[str]) -> Burden:
    """What sites gave in earlier calls; nothing where there is no file yet, or a site is not in it.

    Raises
    ------
    DataError
        If the file is there and is not one.
    """
    burden = Burden.none(len(names))
    if path is None or not path.exists():
        return burden
    try:
        kept = _BurdenFile.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise DataError(
            "the history of calls cannot be read",
            where=f"{path}: {error}",
            hint="give the file of vpp region dispatch --history",
        ) from error
    for row, name in enumerate(names):
        if name in kept.sites:
            burden.offered_kwh[row] = kept.sites[name].offered_kwh
            burden.given_kwh[row] = kept.sites[name].given_kwh
    return burden


def write_burden(path: Path, names: Sequence[str], burden: Burden) -> None:
    """Keep what sites gave; a site that was never asked is left out."""
    sites = {
        name: _Given(offered_kwh=round(float(offered), 4), given_kwh=round(float(given), 4))
        for name, offered, given in zip(names, burden.offered_kwh, burden.given_kwh, strict=True)
        if offered > 0.0
    }
    with whole_file(path) as file:
        file.write(json.dumps(_BurdenFile(sites=sites).model_dump(), indent=1) + "\n")


def offer_document(
    planned: Planned,
    *,
    first: int,
    counts: Sequence[int],
    prices: list[float],
    confidence: float,
    by_site: bool,
) -> dict[str, Any]:
    """What ``vpp region offer --json`` prints: kW less and more, for how long, at what price."""
    points = []
    for down in (True, False):
        for count in counts:
            window = Window(first=first, count=count, down=down)
            points += offer_curve(
                planned.coordinator, planned.plan, window, prices, delivery=Delivery(), confidence=confidence
            )
    return {
        "sites": len(planned.plan.cards),
        "first_slot": first,
        "confidence": confidence,
        "delivery": asdict(Delivery()) | {"source": "assumed"},
        "points": [_point(point, planned.plan, by_site=by_site) for point in points],
    }  # fmt: skip


def _point(point: OfferPoint, plan: RegionPlan, *, by_site: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "direction": "down" if point.window.down else "up",
        "hours": HOURS * point.window.count,
        "price_yen_per_kwh": point.price_yen_per_kwh,
        "expected_kw": round(point.expected_kw, 2),
        "firm_kw": round(point.firm_kw, 2),
        "sites_giving": int((point.site_kw > 0.0).sum()),
        "cost_yen": round(point.cost_yen, 1),
    }
    if by_site:
        given = zip(plan.cards, point.site_kw.tolist(), strict=True)
        told["by_site"] = {card.site: round(kw, 3) for card, kw in given if kw > 0.0}
    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call for power.

    Parameters
    ----------
    kw : float
        Power called. [kW]
    first, count : int
        Half-hours.
    down : bool
        Less from the grid, else more.
    price_yen_per_kwh : float
        Paid for each kWh delivered, to everybody the same.
    failing : float
        Part of the sites that give nothing in the rehearsal, drawn from ``seed``. [-]
    """

    kw: float
    first: int
    count: int
    down: bool
    price_yen_per_kwh: float
    failing: float
    seed: int


def call_document(planned: Planned, call: Call, burden: Burden) -> tuple[dict[str, Any], Burden]:
    """Divide a call among the sites, verify their schedules, and rehearse it with sites that fail.

    Raises
    ------
    ConfigError
        If the call is not above 0.
    """
    if not call.kw > 0.0 or not 0.0 <= call.failing <= 1.0:
        raise ConfigError(
            f"a call of {call.kw} kW", where="--kw, --failing", hint="give kW above 0 and a share from 0 to 1"
        )
    plan, coordinator = planned.plan, planned.coordinator
    window = Window(first=call.first, count=call.count, down=call.down)
    point = offer_curve(
        coordinator, plan, window, [call.price_yen_per_kwh], delivery=Delivery(), confidence=0.9
    )[0]
    hours = HOURS * call.count
    share = fair_share(call.kw, point.site_kw, burden, hours=hours)
    with_call = require_region(called_plan(coordinator, plan, point, share), hours=HOURS)
    sign = 1.0 if call.down else -1.0
    slots = window.slots(plan.power_kw.shape[1])
    given = sign * (plan.power_kw - with_call.power_kw)[:, slots].sum(axis=0)
    told_slots, given_kwh = _rehearsed(share, point.site_kw, burden, call)
    after = burden.after(hours * point.site_kw, given_kwh)
    asked = point.site_kw > 0.0
    reward = call.price_yen_per_kwh * given_kwh
    return {
        "called_kw": call.kw,
        "offered_kw": round(float(point.site_kw.sum()), 2),
        "shared_kw": round(float(share.sum()), 2),
        "missing_kw": round(max(0.0, call.kw - float(share.sum())), 2),
        "planned_kw": [round(float(kw), 2) for kw in given],
        "max_violation": with_call.violation,
        "extra_cost_yen": round(with_call.upper_yen - plan.upper_yen, 1),
        "sites_called": int((share > 0.0).sum()),
        "rule": "equal part of all offers over time",
        "gini_burden_before": round(burden.gini, 4),
        "gini_burden_after": round(after.gini, 4),
        "gini_reward_per_offer": round(gini(reward[asked] / (hours * point.site_kw[asked])), 4),
        "reward_yen": round(float(reward.sum()), 1),
        "rehearsal": told_slots,
        "shares_kw": {
            card.site: round(kw, 3) for card, kw in zip(plan.cards, share.tolist(), strict=True) if kw > 0.0
        },
    }, after  # fmt: skip


def _rehearsed(
    share: FloatArray, can: FloatArray, burden: Burden, call: Call
) -> tuple[list[dict[str, float]], FloatArray]:
    """The call with sites that fail: measured after each half-hour, and shared anew for the rest."""
    rng = np.random.default_rng([call.seed, 11])
    works = rng.random(len(share)) >= call.failing
    told, asked, given_kwh = [], share, np.zeros(len(share))
    for k in range(call.count):
        measured = np.where(works, asked, 0.0)
        given_kwh += HOURS * measured
        told.append(
            {
                "called_kw": round(call.kw, 2),
                "delivered_kw": round(float(measured.sum()), 2),
                "without_rebalancing_kw": round(float(share[works].sum()), 2),
            }
        )
        left = HOURS * (call.count - k - 1)
        if left > 0.0:
            wanted = np.where(works, asked, 0.0)
            asked = rebalanced(asked, wanted, can, burden, hours=left)
    return told, given_kwh
