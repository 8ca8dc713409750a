"""What a week came to: figures of every site for itself beside those of the region as one plant."""

from __future__ import annotations

import json
import math
from calendar import monthrange
from dataclasses import asdict, dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from energy.core.errors import DataError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import jst_midnight
from energy.core.units import round_half_up
from energy.market.co2 import Co2Factor, Co2Factors, emissions
from energy.market.matching import renewable_share
from vpp.region.crew import Executor
from vpp.region.draw import BASIC_YEN_PER_KW_MONTH
from vpp.region.pools import SLOTS
from vpp.region.week.limits import FeederLimits
from vpp.region.week.request import Mode, Week, happenings_of
from vpp.region.week.run import Step, feeder_limits, read_step
from vpp.region.week.settle import DrOutcome, imbalance_bill, prices_of, settle_evening
from vpp.wholefile import whole_file

__all__ = ["RESULT", "read_result", "week_document"]

RESULT: Final = "result.json"
_FORM: Final = 4  # of what is kept there; raised when a page needs what older results do not hold
_WATT = 1e-3
CO2: Final = Co2Factor(
    supplier="retailer", menu="residual", reporting_year=2026, kind="adjusted", kg_per_kwh=Decimal("0.457"),
    source="RULES-JP 6: another area's residual menu of FY2024, as an example", status="unverified",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the week as tables over all its half-hours."""

    steps: list[Step]
    power_kw: FloatArray
    plan_kw: FloatArray
    sun_kw: FloatArray
    load_kw: FloatArray

    @classmethod
    def read(cls, week: Week, folder: Path, mode: Mode) -> _Part:
        """All steps of a part."""
        steps = [read_step(folder, mode, step) for step in range(week.steps(mode))]
        window = week.window(mode)
        submitted = [one.tables["planned_kw"] for k, one in enumerate(steps) if k * window % SLOTS == 0]

        def joined(name: str) -> FloatArray:
            return _joined(steps, name)

        return cls(steps, joined("power_kw"), np.concatenate(submitted), joined("sun_kw"), joined("load_kw"))

    def joined(self, name: str) -> FloatArray:
        """A table over all half-hours."""
        return _joined(self.steps, name)

    def total(self, name: str) -> FloatArray:
        """Sum over the steps, by site."""
        return np.asarray(sum(one.tables[name] for one in self.steps), dtype=float)


def _joined(steps: list[Step], name: str) -> FloatArray:
    return np.concatenate([one.tables[name] for one in steps], axis=-1)


def _basic_yen(week: Week, part: _Part) -> FloatArray:
    """Each site's share of its monthly basic charges, for the days that were compared. [yen]

    ``sum over days of rate * contract / days of the month``, the contract as billed for the month: the
    highest demand by the last of its days that was simulated, in whole kW (energy.market.bill).
    """
    days = [week.region.day + timedelta(days=k) for k in range(week.days)]
    per_day = SLOTS // week.window("together")
    total = np.zeros(week.region.sites)
    for month in sorted({(day.year, day.month) for day in days}):
        mine = [k for k, day in enumerate(days) if (day.year, day.month) == month]
        contract = part.steps[(mine[-1] + 1) * per_day - 1].tables["contract_kw"]
        whole_kw = np.array([round_half_up(Decimal(repr(kw))) for kw in contract.tolist()], dtype=float)
        total += BASIC_YEN_PER_KW_MONTH * whole_kw * len(mine) / monthrange(*month)[1]
    return total


def week_document(week: Week, folder: Path, crew: Executor) -> dict[str, Any]:
    """Settle a week that was run, and put all its figures together; kept as ``result.json``."""
    happen = happenings_of(week)
    parts = {mode: _Part.read(week, folder, mode) for mode in ("alone", "together")}
    warm = _Part.read(week, folder, "warm") if week.warm_days else None
    cards = parts["together"].steps[0].told["cards"]
    sites = [card["site"] for card in cards]
    prices = prices_of(week, happen)
    limits = feeder_limits(week, folder, [card["feeder"] for card in cards])
    basic = {mode: _basic_yen(week, part) for mode, part in parts.items()}
    figures = {
        mode: _figures(week, part, cards, limits)
        | {"basic_yen": round(float(basic[mode].sum()), 0)}
        | {"imbalance": asdict(imbalance_bill(part.plan_kw, part.power_kw.sum(axis=0), week.grid, prices))}
        for mode, part in parts.items()
    }
    together = parts["together"]
    called = next(
        (one.tables["dr_called_site_kw"] for one in together.steps if "dr_called_site_kw" in one.tables), None
    )
    power = together.power_kw if warm is None else np.concatenate([warm.power_kw, together.power_kw], axis=1)
    grid = Grid(jst_midnight(week.first("warm")), power.shape[1])
    outcome = DrOutcome(None, {}, {}, 0, 0)
    if called is not None:
        outcome = settle_evening(
            week, happen, folder, crew, sites=sites, called_kw=called, grid=grid, power_kw=power,
            fleet_kw=together.joined("fleet_kw")[:, happen.dr.start : happen.dr.stop],
        )  # fmt: skip
    document = {
        "form": _FORM,
        "sites": week.region.sites,
        "seed": week.region.seed,
        "first_day": week.region.day.isoformat(),
        "days": week.days,
        "warm_days": week.warm_days,
        "fingerprint": week.fingerprint(),
        "parts": figures,
        "dr": _dr(week, parts, called, outcome, cards),
        "parties": _parties(parts, basic, figures, outcome, sites),
        "feeders": _feeders(parts, limits, cards),
        "promises": _promises(parts, sites),
        "silent": [sites[k] for k in happen.silent],
        "silent_in": [happen.silent_in.start, happen.silent_in.stop],
        "derated": {
            "feeder": limits.derated_feeder,
            "kw": round(limits.derated_kw, 1),
            "slots": [happen.derated_in.start, happen.derated_in.stop],
        },
        "plans": _plans(together),
        "left_out": together.steps[0].told["left_out"],
        "series": {mode: _series(part) for mode, part in parts.items()},
        "spent": _spent(week, folder),
    }  # fmt: skip
    with whole_file(folder / RESULT) as file:
        file.write(json.dumps(document, indent=1) + "\n")
    return document


def _series(part: _Part) -> dict[str, list[float]]:
    """Curves of a part by half-hour. [kW]"""
    curves = {"power_kw": part.power_kw.sum(axis=0), "plan_kw": part.plan_kw, "sun_kw": part.sun_kw}
    return {name: np.round(curve, 2).tolist() for name, curve in curves.items()}


def read_result(folder: Path) -> dict[str, Any]:
    """What a simulation left.

    Raises
    ------
    DataError
        If there is none, it cannot be read, or another version of the program left it.
    """
    try:
        told: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            "no simulated week of a region is stored here",
            where=f"{folder / RESULT}: {error}",
            hint="run vpp region simulate first, or name its folder with --state",
        ) from None
    if told.get("form") != _FORM:
        raise DataError(
            "another version of the program simulated this week of a region",
            where=f"{folder / RESULT}: form {told.get('form', 1)}, not {_FORM}",
            hint="run vpp region simulate again",
        )
    return told


def _figures(week: Week, part: _Part, cards: list[dict[str, Any]], limits: FeederLimits) -> dict[str, Any]:
    """Key figures of one part."""
    total = part.power_kw.sum(axis=0)
    used = Series(week.grid, part.load_kw / 2.0, Unit.KWH)
    made = Series(week.grid, part.sun_kw / 2.0, Unit.KWH)
    share = renewable_share(used, made)
    bought = Decimal(repr(round(float(np.maximum(0.0, total).sum()) / 2.0, 3)))
    co2 = emissions({(CO2.supplier, CO2.menu): bought}, Co2Factors(factors=(CO2,)), year=CO2.reporting_year)
    over = _over_feeders(part, limits, cards)
    return {
        "energy_yen": round(float(part.total("yen").sum()), 0),
        "peak_yen": round(float(part.total("peak_yen").sum()), 0),
        "wear_yen": round(float(part.total("wear_yen").sum()), 0),
        "used_kwh": round(float(share.load_kwh), 1),
        "sun_kwh": round(float(share.renewable_kwh), 1),
        "matched_kwh": round(float(share.matched_kwh), 1),
        "matched_share": _share(share.matched),
        "local_share": round(float(share.matched_kwh / share.renewable_kwh), 4)
        if share.renewable_kwh
        else None,
        "bought_kwh": float(bought),
        "co2_kg": round(float(sum((one.kg for one in co2), Decimal(0))), 1),
        "peak_kw": round(float(total.max()), 1),
        "off_plan_rms_kw": round(float(np.sqrt(np.mean((total - part.plan_kw) ** 2))), 2),
        "discomfort_kh": round(float(part.total("discomfort_kh").sum()), 1),
        "unheld_kh": round(float(part.total("unheld_kh").sum()), 1),
        "gave_kwh": round(float(part.total("gave_kwh").sum()), 1),
        "departures": int(sum(part.total(name).sum() for name in ("kept", "missed", "hopeless"))),
        "departures_missed": int(part.total("missed").sum()),
        "departures_hopeless": int(part.total("hopeless").sum()),
        "over_contract_kw": round(float(max(one.tables["over_contract_kw"].max() for one in part.steps)), 2),
        "feeder_slots_over": int((over.kw > _WATT).sum()),
        "feeder_slots_short": int(over.short.sum()),
        "feeder_slots_blind": int(over.blind.sum()),
        "feeder_most_over_kw": round(float(over.kw.max(initial=0.0)), 2),
        "exporting_slots": int((total < 0.0).sum()),
    }


def _share(value: Decimal | None) -> float | None:
    return None if value is None else round(float(value), 4)


@dataclass(frozen=True, slots=True)
class _Over:
    """Where feeders carried too much; all of shape (feeders, slots).

    Parameters
    ----------
    kw : ndarray
        By how much a feeder was above what it carries; 0 where one of the following tells why. [kW]
    short : ndarray of bool
        Where all its sites that answer did without whatever they could and it still was too much.
    blind : ndarray of bool
        The same, but without its sites that nobody forecasts it would not have been too much: no plan knows
        of them, and neither does what feeders are assumed to carry if no days before were lived.
    """

    kw: FloatArray
    short: np.ndarray
    blind: np.ndarray


def _over_feeders(part: _Part, limits: FeederLimits, cards: list[dict[str, Any]]) -> _Over:
    names = sorted({card["feeder"] for card in cards})
    sums = part.joined("feeder_kw")
    unknown = np.array([bool(card["fault"]) for card in cards])
    unforeseen = [
        part.power_kw[unknown & np.array([card["feeder"] == name for card in cards])].sum(axis=0)
        for name in names
    ]
    levels = np.array([limits.level_kw(name, range(sums.shape[1])) for name in names])
    kw: FloatArray = np.maximum(0.0, sums - levels)
    nothing_left: np.ndarray = (part.joined("feeder_short") > 0.0) & (kw > _WATT)
    blind: np.ndarray = nothing_left & (kw <= np.array(unforeseen))
    kw[nothing_left] = 0.0
    return _Over(kw, nothing_left & ~blind, blind)


def _feeders(
    parts: dict[str, _Part], limits: FeederLimits, cards: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Each feeder's limit and highest load of both parts, by name. [kW]"""
    names = sorted({card["feeder"] for card in cards})
    sums = {
        mode: np.concatenate([one.tables["feeder_kw"] for one in part.steps], axis=1)
        for mode, part in parts.items()
    }
    over = {mode: _over_feeders(part, limits, cards) for mode, part in parts.items()}
    return [
        {"feeder": name, "carries_kw": round(limits.top_kw[name], 1)}
        | {f"{mode}_kw": round(float(sums[mode][k].max()), 1) for mode in parts}
        | {f"{mode}_over_kw": round(float(over[mode].kw[k].max()), 2) for mode in parts}
        | {f"{mode}_short_slots": int(over[mode].short[k].sum()) for mode in parts}
        | {f"{mode}_blind_slots": int(over[mode].blind[k].sum()) for mode in parts}
        | {"unforeseen": [card["site"] for card in cards if card["fault"] and card["feeder"] == name]}
        for k, name in enumerate(names)
    ]


def _promises(parts: dict[str, _Part], sites: list[str]) -> dict[str, Any]:
    """Departures that were missed, by site: what could have been kept apart from what nobody could have."""
    told: dict[str, Any] = {}
    for mode, part in parts.items():
        told[mode] = {
            name: {
                site: int(count)
                for site, count in zip(sites, part.total(name).tolist(), strict=True)
                if count
            }
            for name in ("missed", "hopeless")
        }
    return told


def _dr(
    week: Week,
    parts: dict[str, _Part],
    called: FloatArray | None,
    outcome: DrOutcome,
    cards: list[dict[str, Any]],
) -> dict[str, Any] | None:
    """The tight evening: called, delivered against the baseline, and against the week without a call."""
    if called is None:
        return None
    happen = happenings_of(week)
    rows = slice(happen.dr.start, happen.dr.stop)
    hours = 0.5 * len(happen.dr)
    asked = called > 0.01
    joined = np.array([card["joins_dr"] and not card["fault"] for card in cards], dtype=bool)
    less = (parts["alone"].power_kw - parts["together"].power_kw)[joined][:, rows]
    told = next(one.told for one in parts["together"].steps if "dr_called_site_kw" in one.tables)
    settled = outcome.settlement
    return {
        "first_slot": happen.dr.start,
        "slots": len(happen.dr),
        "target_kw": round(float(told["dr_called_kw"]), 2),
        "called_kwh": round(hours * float(called[asked].sum()), 2),
        "sites_called": int(asked.sum()) - outcome.refused,
        "without_consent": outcome.refused,
        "really_kwh": round(0.5 * float(less.sum()), 2),
        "settled_called_kwh": _sum(one.called_kwh for one in settled.sites) if settled else 0.0,
        "settled_kwh": float(settled.delivered_kwh) if settled else 0.0,
        "settled_yen": round(float(settled.yen), 0) if settled else 0.0,
        "unmeasured": {one.site: one.why for one in settled.sites if one.why} if settled else {},
        "points": sum(outcome.points.values()),
        "persons_with_points": sum(points > 0 for points in outcome.points.values()),
        "fleet_points": sum(outcome.fleet_points.values()),
        "fleets_with_points": len(outcome.fleet_points),
        "journal_entries": outcome.journal_entries,
    }


def _sum(values: Any) -> float:  # Any: decimals, or nothing
    return round(float(sum((one or Decimal(0) for one in values), Decimal(0))), 2)


def _parties(
    parts: dict[str, _Part], basic: dict[str, FloatArray], figures: dict[str, Any],
    outcome: DrOutcome, sites: list[str],
) -> list[dict[str, Any]]:  # fmt: skip
    """Yen by party, both parts side by side; what is paid is positive.

    ``{part}_yen`` is energy and what a higher contract costs in the months to come; ``{part}_energy_yen`` and
    ``{part}_basic_yen`` are what the bills of the simulated days say.
    """
    kinds = np.array([site.rsplit("-", 1)[1] for site in sites])
    by_person = {f"person-{site.split('-')[1]}": site for site in sites}
    given = outcome.fleet_points | {by_person[who]: points for who, points in outcome.points.items()}
    points = np.array([given.get(site, 0) for site in sites])
    earned = {one.site: float(one.yen) for one in outcome.settlement.sites} if outcome.settlement else {}
    got = np.array([earned.get(site, 0.0) for site in sites])
    rows: list[dict[str, Any]] = []
    for kind in dict.fromkeys(kinds.tolist()):
        mine = kinds == kind
        row: dict[str, Any] = {
            "party": kind,
            "sites": int(mine.sum()),
            "dr_yen": round(float(got[mine].sum()), 0),
            "points": int(points[mine].sum()),
        }
        for mode, part in parts.items():
            paid = part.total("yen") + part.total("peak_yen")
            row[f"{mode}_yen"] = round(float(paid[mine].sum()), 0)
            row[f"{mode}_energy_yen"] = round(float(part.total("yen")[mine].sum()), 0)
            row[f"{mode}_basic_yen"] = round(float(basic[mode][mine].sum()), 0)
        rows.append(row)
    paid_out = round(float(sum(earned.values())), 0)
    row = {"party": "balancing-group", "sites": 0, "dr_yen": -paid_out}
    row |= {f"{mode}_yen": round(figures[mode]["imbalance"]["beyond_spot_yen"], 0) for mode in parts}
    return [*rows, row]


def _plans(part: _Part) -> dict[str, Any]:
    """How good the region's plans were, and what they could not keep."""
    gaps = [one.told["gap"] for one in part.steps if one.told["gap"] is not None]
    broken: dict[str, list[str]] = {}
    shortfalls: dict[str, dict[str, float]] = {}
    for one in part.steps:
        for site, kinds in one.told["broken"].items():
            broken[site] = sorted({*broken.get(site, []), *kinds})
        for name, _, _, amount in one.told["shortfalls"]:
            row = shortfalls.setdefault(name, {"slots": 0, "most_kw": 0.0})
            row["slots"] += 1
            row["most_kw"] = max(row["most_kw"], amount)
    return {
        "plans": len(part.steps),
        "gap_mean": round(float(np.mean(gaps)), 6) if gaps else None,
        "gap_worst": round(max(gaps), 6) if gaps else None,
        "rounds_mean": round(float(np.mean([one.told["rounds"] for one in part.steps])), 1),
        "violation": max(one.told["violation"] for one in part.steps),
        "softened": broken,
        "shortfalls": shortfalls,
    }


def _spent(week: Week, folder: Path) -> dict[str, Any]:
    """Seconds and memory."""
    steps = {
        mode: [read_step(folder, mode, k).told for k in range(week.steps(mode))]
        for mode in ("warm", "alone", "together")
    }
    every = [one for rows in steps.values() for one in rows]
    return {
        **{f"{mode}_s": round(math.fsum(one["total_s"] for one in rows), 1) for mode, rows in steps.items()},
        "peak_rss_mb": max((one["peak_rss_mb"] for one in every), default=0.0),
        "workers_lost": max((one["workers_lost"] for one in every), default=0),
    }
