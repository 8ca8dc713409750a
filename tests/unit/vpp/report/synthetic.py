"""TEST DATA, made up: a week of a small factory under four controllers, shaped like a real run.

Nothing here was simulated or measured. The numbers are plausible so that pages can be looked at, and they are
the same on every machine (no randomness, no clock).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from energy.core.plan import Reason, ReasonCode
from energy.core.slots import JST, jst_midnight
from vpp.simulation.results import (
    BatteryTrace,
    CallResult,
    CarTrace,
    CoinGrant,
    Controller,
    Departure,
    ForecastScore,
    Note,
    RunResult,
    RunSummary,
    SimulationDocument,
    SlotTrace,
    ZoneTrace,
)

__all__ = ["START", "called_document", "synthetic_document", "synthetic_run"]

START = date(2027, 1, 18)
_TIGHT = {(2, hour, minute) for hour in (18, 19) for minute in (0, 30)}  # Wednesday 18:00-20:00
_CARS = {"ev-ariya": 87.0, "ev-leaf": 55.0, "ev-sakura": 18.0, "ev-commuter": 18.0}  # test capacities [kWh]
_ZONES = {"zone-office": 9.0, "zone-machining": 22.0, "zone-assembly": 14.0}  # test units [kW]
_NAMES = {
    "ev-ariya": ("アリア(社用)", "Ariya (company)"),
    "ev-leaf": ("リーフ(社用)", "Leaf (company)"),
    "ev-sakura": ("サクラ(社用)", "Sakura (company)"),
    "ev-commuter": ("サクラ(従業員)", "Sakura (employee)"),
    "zone-office": ("事務所", "Office"),
    "zone-machining": ("加工場", "Machining hall"),
    "zone-assembly": ("組立室", "Assembly room"),
    "pv-roof": ("屋根の太陽光", "Rooftop PV"),
}


def synthetic_document(
    days: int = 7, controllers: tuple[Controller, ...] | None = None
) -> SimulationDocument:
    """A document with the runs of the given controllers, all four by default."""
    chosen = controllers if controllers is not None else ("none", "rules", "optimal", "perfect")
    return SimulationDocument(
        scenario="test-data",
        title_ja="試験用の作り物データ",
        title_en="Made-up test data",
        start=START,
        days=days,
        peak_memory_kw=104.0,
        contract_kw=150.0,
        target_demand_kw=104.0,
        basic_yen_per_kw_month=2000.0,
        names=_NAMES,
        runs=tuple(synthetic_run(controller, days=days) for controller in chosen),
        assumptions=(
            Note(
                ja="この文書は画面を確かめるための作り物。",
                en="This document is made up to look at the page.",
            ),
        ),
    )


@dataclass
class _Site:
    """What the made-up controllers fill, slot by slot."""

    columns: dict[str, list[float]] = field(default_factory=dict)
    reasons: dict[str, list[Reason | None]] = field(default_factory=dict)

    def put(self, name: str, value: float) -> None:
        self.columns.setdefault(name, []).append(value)

    def why(self, asset: str, code: ReasonCode | None, **facts: float | str) -> None:
        self.reasons.setdefault(asset, []).append(Reason(code, dict(facts)) if code is not None else None)


def synthetic_run(controller: Controller, *, days: int = 7) -> RunResult:
    """One made-up run; smarter controllers shave the morning and evening peaks."""
    cut_kw = {"none": 0.0, "rules": 9.0, "optimal-p50": 15.0, "optimal": 19.0, "perfect": 22.0}.get(
        controller, 5.0
    )
    slots = tuple(jst_midnight(START) + k * timedelta(minutes=30) for k in range(48 * days))
    site, socs = _Site(), dict.fromkeys(_CARS, 0.6)
    for number, slot in enumerate(slots):
        _one_slot(site, socs, slot=slot, number=number, cut_kw=cut_kw)
    trace = _trace(site, slots, forecasts=controller not in ("none", "rules"))
    return RunResult(
        summary=_summary(controller, trace, days=days),
        trace=trace,
        notes=(Note(ja="作り物の注記。", en="A made-up note."),) if controller == "optimal" else (),
        forecast_scores=_scores() if controller == "optimal" else (),
        coin_grants=tuple(
            CoinGrant(at=slot, asset="ev-commuter", energy_kwh=1.5, coins=22)
            for slot, tight in zip(slots, trace.tight, strict=True)
            if tight and cut_kw > 0
        ),
    )


def _one_slot(site: _Site, socs: dict[str, float], *, slot: datetime, number: int, cut_kw: float) -> None:
    local = slot.astimezone(JST)
    day, hour = number // 48, local.hour + local.minute / 60
    works = local.weekday() < 5
    busy = works and 8.0 <= hour < 18.0
    tight = (day, local.hour, local.minute) in _TIGHT
    load = 38.0 + (41.0 + 5.0 * math.sin(number / 3.1) if busy else 2.0 * math.sin(number / 5.0))
    sun = max(0.0, 26.0 * math.sin(math.pi * (hour - 7.0) / 10.0)) * (0.4 + 0.6 * abs(math.cos(day * 1.3)))
    outdoor = -1.5 + 3.5 * math.sin(math.pi * (hour - 8.0) / 12.0) - 0.6 * day
    peak_hour = works and (8.0 <= hour < 9.5 or 13.0 <= hour < 14.5)
    hvac = _zones(site, hour=hour, busy=busy, cut_kw=cut_kw, peak_hour=peak_hour, outdoor=outdoor)
    cars = _cars(site, socs, slot=slot, works=works, tight=tight, cut_kw=cut_kw, peak_hour=peak_hour)
    curtailed = 4.0 if not works and sun > 18.0 else 0.0
    pv = sun - curtailed
    site.put("import_kw", max(0.0, load + hvac + cars - pv))
    for name, value in (("load_kw", load), ("pv_kw", pv), ("curtailed_kw", curtailed), ("hvac_kw", hvac)):
        site.put(name, value)
    site.put("outdoor_c", outdoor)
    site.put("tight", float(tight))
    site.put("p50", load + 1.5 * math.sin(number / 2.0))
    site.put("pv_p50", max(0.0, sun * (1.0 + 0.1 * math.cos(number))))
    if curtailed:
        site.why("pv-roof", ReasonCode.EXPORT, margin_kw=2.0)
    else:
        site.why("pv-roof", ReasonCode.SURPLUS if sun > 0 else ReasonCode.IDLE)


def _zones(site: _Site, *, hour: float, busy: bool, cut_kw: float, peak_hour: bool, outdoor: float) -> float:
    total = 0.0
    for zone, top in _ZONES.items():
        power = top * (0.72 if hour < 9.5 else 0.45) if busy else (top * 0.2 if hour >= 5.0 else 0.0)
        temp = 20.4 + 0.7 * math.sin(hour / 3.0) if busy else 17.5 + 0.1 * outdoor
        if cut_kw and peak_hour:
            power, temp = power - cut_kw * 0.45 * top / 45.0, temp - 0.03 * cut_kw
            site.why(zone, ReasonCode.PEAK, demand_kw=103.2, limit_kw=104.0)
        elif cut_kw and 6.0 <= hour < 8.0:
            power, temp = power + cut_kw * 0.3 * top / 45.0, temp + 0.05 * cut_kw
            site.why(zone, ReasonCode.PRE_CONDITION, until="2027-01-18T00:30:00+00:00", saves_kw=6.4)
        elif power > 0:
            site.why(zone, ReasonCode.COMFORT, room_c=round(temp, 1), limit_c=18.0)
        else:
            site.why(zone, ReasonCode.IDLE)
        site.put(f"{zone}.power", power)
        site.put(f"{zone}.temp", temp)
        site.put(f"{zone}.low", 18.0 if busy else math.nan)
        site.put(f"{zone}.high", 23.0 if busy else math.nan)
        total += power
    return total


def _cars(
    site: _Site,
    socs: dict[str, float],
    *,
    slot: datetime,
    works: bool,
    tight: bool,
    cut_kw: float,
    peak_hour: bool,
) -> float:
    local, total = slot.astimezone(JST), 0.0
    hour = local.hour + local.minute / 60
    for number, (car, capacity) in enumerate(_CARS.items()):
        commuter = car == "ev-commuter"
        here = (
            (works and 8.0 <= hour < 20.5)
            if commuter
            else not (works and 9.5 + number <= hour < 12.0 + number)
        )
        power = 0.0
        if not here:
            socs[car] = max(0.35, socs[car] - 0.02)
            site.why(car, ReasonCode.AWAY)
        elif cut_kw and tight and socs[car] > 0.4:
            power = -3.0
            site.why(car, ReasonCode.EVENT, coins_per_kwh=15.0)
        elif cut_kw and peak_hour and socs[car] > 0.5:
            power = -cut_kw / 8.0
            site.why(car, ReasonCode.PEAK, demand_kw=103.2, limit_kw=104.0)
        elif socs[car] < 0.9 and (not cut_kw or hour < 6.0 or hour >= 20.0 or 10.0 <= hour < 12.0):
            power = 3.0 if cut_kw else 6.0
            site.why(car, ReasonCode.PROMISE, soc_percent=80.0, at="2027-01-19T22:30:00+00:00", price=18.2)
        else:
            site.why(car, ReasonCode.IDLE)
        socs[car] = min(0.95, socs[car] + 0.5 * power * 0.92 / capacity)
        site.put(f"{car}.power", power)
        site.put(f"{car}.soc", socs[car])
        site.put(f"{car}.plugged", float(here))
        total += power
    return total


def _trace(site: _Site, slots: tuple[datetime, ...], *, forecasts: bool) -> SlotTrace:
    columns = {name: tuple(values) for name, values in site.columns.items()}
    nothing: tuple[float | None, ...] = (None,) * len(slots)

    def band(zone: str, side: str) -> tuple[float | None, ...]:
        return tuple(None if math.isnan(value) else value for value in columns[f"{zone}.{side}"])

    return SlotTrace(
        slots=slots,
        **{
            name: columns[name]
            for name in ("import_kw", "load_kw", "pv_kw", "curtailed_kw", "hvac_kw", "outdoor_c")
        },
        target_kw=(104.0,) * len(slots) if forecasts else nothing,
        load_p10_kw=tuple(value - 5.0 for value in columns["p50"]) if forecasts else nothing,
        load_p50_kw=columns["p50"] if forecasts else nothing,
        load_p90_kw=tuple(value + 6.0 for value in columns["p50"]) if forecasts else nothing,
        pv_p50_kw=columns["pv_p50"] if forecasts else nothing,
        cars={
            car: CarTrace(
                power_kw=columns[f"{car}.power"],
                soc=columns[f"{car}.soc"],
                plugged=tuple(value > 0 for value in columns[f"{car}.plugged"]),
                departures=_departures(columns, slots, car),
            )
            for car in _CARS
        },
        zones={
            zone: ZoneTrace(
                power_kw=columns[f"{zone}.power"],
                temp_c=columns[f"{zone}.temp"],
                low_c=band(zone, "low"),
                high_c=band(zone, "high"),
            )
            for zone in _ZONES
        },
        tight=tuple(value > 0 for value in columns["tight"]),
        reasons={asset: tuple(reasons) for asset, reasons in site.reasons.items()},
    )


def _departures(
    columns: dict[str, tuple[float, ...]], slots: tuple[datetime, ...], car: str
) -> tuple[Departure, ...]:
    plugged, soc = columns[f"{car}.plugged"], columns[f"{car}.soc"]
    return tuple(
        Departure(at=slots[k].astimezone(UTC), promised_soc=0.5, soc=soc[k - 1])
        for k in range(1, len(slots))
        if plugged[k - 1] and not plugged[k]
    )


def _summary(controller: Controller, trace: SlotTrace, *, days: int) -> RunSummary:
    peak = max(trace.import_kw)
    energy = round(sum(trace.import_kw) * 0.5 * 22.0)
    demand = round(max(104.0, peak) * 2000 * 0.85 * days / 31)
    gave = sum(-power * 0.5 for car in trace.cars.values() for power in car.power_kw if power < 0)
    departures = [departure for car in trace.cars.values() for departure in car.departures]
    planned = controller in ("optimal-p50", "optimal", "perfect")
    coins = 0 if controller == "none" else 22 * sum(trace.tight)
    return RunSummary(
        controller=controller,
        bill_yen=energy + demand,
        energy_yen=energy,
        demand_yen=demand,
        peak_kw=peak,
        contract_exceeded_slots=0,
        comfort_degc_h=0.0,
        comfort_worst_degc=0.0,
        departures=len(departures),
        departures_missed=sum(departure.soc < departure.promised_soc for departure in departures),
        soc_floor_violations=0,
        export_kwh=0.0,
        discharge_kwh=gave,
        coins=coins,
        energy_balance_error_kwh=1e-12,
        plans=48 * days if planned else 0,
        fallback_plans=2 if controller == "optimal" else 0,
        unconfirmed_commands=0,
        wall_s=12.5,
        score_yen=energy + demand + 800,
        comfort_vs_none_degc=None if controller == "none" else 0.1,
        stored_kwh_change=-3.2,
        guard_actions=5 if controller == "optimal" else 0,
        shortfalls=0,
    )


def _scores() -> tuple[ForecastScore, ...]:
    return (
        ForecastScore(
            target="load",
            model="test model",
            nmae=0.051,
            pinball=1.21,
            cover80=0.79,
            persistence_nmae=0.083,
            persistence_pinball=2.10,
            weekday_nmae=0.071,
            weekday_pinball=1.80,
        ),
        ForecastScore(
            target="pv",
            model="test model",
            nmae=0.22,
            pinball=0.93,
            cover80=0.82,
            persistence_nmae=0.35,
            persistence_pinball=1.61,
        ),
    )


def called_document() -> SimulationDocument:
    """The same week with a stationary battery, and a call on its second evening."""
    document = synthetic_document(controllers=("none", "optimal"))
    base, product = document.runs
    first = product.trace.slots.index(jst_midnight(START) + timedelta(days=1, hours=17))
    slots, drawn = product.trace.slots, product.trace.import_kw
    usual = tuple(kw + 7.25 for kw in drawn[first : first + 4])
    after = first + 4
    powers = tuple(-6.0 if first <= number < after else 0.0 for number in range(len(slots)))
    call = CallResult(
        id="dr-1",
        announced=slots[first] - timedelta(hours=25),
        start=slots[first],
        end=slots[after],
        asked_kw=10.0,
        reward_yen_per_kwh=60.0,
        method="high4of5",
        adjustment="add",
        window_start=slots[first - 10],
        window_end=slots[first - 4],
        baseline_kw=usual,
        import_kw=drawn[first:after],
        after_baseline_kw=tuple(kw - 3.0 for kw in drawn[after : after + 4]),
        after_import_kw=drawn[after : after + 4],
        delivered_kwh=14.5,
        yen=870,
        points=22,
    )
    trace = replace(
        product.trace,
        batteries={
            "battery": BatteryTrace(
                power_kw=powers, soc=tuple(0.4 if number >= after else 0.8 for number in range(len(slots)))
            )
        },
        reasons=dict(product.trace.reasons)
        | {"battery": tuple(Reason(ReasonCode.EVENT, {"event": "dr-1"}) if kw else None for kw in powers)},
    )
    runs = (base, replace(product, trace=trace, calls=(call,)))
    names = dict(_NAMES) | {"battery": ("蓄電池", "Battery")}
    return replace(document, runs=runs, names=names)
