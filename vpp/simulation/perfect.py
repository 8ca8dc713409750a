"""The bound: what the optimiser could have done had it known the days before they came.

One linear program over all days, with the true load, sun, weather and trips, without reserves and without a
thermostat's or a charger's imperfections. Nobody can reach it; it shows how much is left.
"""

from __future__ import annotations

import time

import numpy as np

from dispatch.planner import Planner, PlannerOptions
from dispatch.solve import SolverSettings
from energy.core.clock import require_aware
from energy.core.forecast import QuantileForecast
from energy.core.plan import Plan, Problem
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import JST, Slot
from energy.core.units import AssetId
from energy.ledger import Grant, grant_for
from energy.market.demand import PeakMemory
from vpp.settlement.settle import energy_of_slot
from vpp.simulation.callbound import settled_as_planned, with_known_calls
from vpp.simulation.results import (
    BatteryTrace,
    CarTrace,
    CoinGrant,
    RunResult,
    RunSummary,
    SlotTrace,
    ZoneTrace,
)
from vpp.simulation.review import Reviewer, score_yen
from vpp.simulation.scenario import Scenario
from vpp.simulation.simworld import SimulatedWorld
from vpp.site.changeover import with_changeover
from vpp.site.planning import Outlook, Reserves, SiteState, build_problem

__all__ = ["perfect_foresight"]


def perfect_problem(scenario: Scenario, world: SimulatedWorld) -> Problem:
    """The problem of all simulated days as they will really be."""
    site = scenario.site
    grid = Grid.between(world.start, world.end)
    load, roof, outdoor, ghi = world.truth(grid)

    def certain(target: str, values: FloatArray) -> QuantileForecast:
        return QuantileForecast(
            target, world.start, grid, Unit.KW, values, values, values, "perfect foresight"
        )

    memory = PeakMemory(dict(site.peak_memory_kw))
    month = f"{world.start.astimezone(JST):%Y-%m}"
    away = {trip.vehicle for trip in world.trips if trip.departs < world.start < trip.returns}
    state = SiteState(
        soc_kwh={AssetId(one.id): one.initial_soc * one.capacity_kwh for one in site.storages},
        absent=frozenset(AssetId(name) for name in away),
        room_c={AssetId(zone.id): zone.initial_c for zone in site.zones},
        peak_memory_kw=float(memory.peak_kw(month)),
    )
    problem = build_problem(
        site,
        state,
        Outlook(
            load=certain("load", load),
            pv=certain(site.pv.id, roof) if site.pv is not None else None,
            outdoor_c=outdoor,
            ghi_w_m2=ghi,
        ),
        now=world.start,
        trips=world.trips,
        events=world.events,
        coin=scenario.coin,
        reserves=Reserves(band_k=0.0, promise=0.0),
    )
    return with_changeover(problem, site, band_k=0.0)


def perfect_foresight(scenario: Scenario, reviewer: Reviewer, world: SimulatedWorld) -> RunResult:
    """Plan all days at once and read the figures off the plan."""
    began = time.perf_counter()
    planner = Planner(PlannerOptions(solver=SolverSettings(time_limit_s=120.0)))
    problem = with_known_calls(perfect_problem(scenario, world), scenario, world, planner.plan)
    plan = planner.plan(problem)
    grid = problem.grid
    imported = Series(grid, np.array(plan.trajectory.import_kw) * grid.hours, Unit.KWH)
    bill = reviewer.bill(imported)
    trace = _trace(problem, plan)
    grants = _grants(scenario, world, trace)
    calls = settled_as_planned(reviewer.store, scenario, world, imported, grants)
    paid = sum(call.yen for call in calls)
    missed = sum(1 for shortfall in plan.shortfalls if shortfall.kind == "departure")
    stored = sum(
        trace.cars[car.id].soc[-1] * car.capacity_kwh - car.initial_soc * car.capacity_kwh
        for car in scenario.site.vehicles
    )
    stored += sum(
        (trace.batteries[one.id].soc[-1] - one.initial_soc) * one.capacity_kwh
        for one in scenario.site.batteries
    )
    degc_h, worst = _comfort(problem, plan)
    summary = RunSummary(
        controller="perfect",
        bill_yen=bill.total_yen,
        energy_yen=bill.total_yen - round(bill.basic_yen),
        demand_yen=round(bill.basic_yen),
        peak_kw=round(max(plan.trajectory.import_kw), 2),
        contract_exceeded_slots=sum(1 for kw in plan.trajectory.import_kw if kw > scenario.site.contract_kw),
        comfort_degc_h=round(degc_h, 3),
        comfort_worst_degc=round(worst, 3),
        departures=sum(world.start <= trip.departs < world.end for trip in world.trips),
        departures_missed=missed,
        soc_floor_violations=sum(1 for shortfall in plan.shortfalls if shortfall.kind == "floor"),
        export_kwh=0.0,
        discharge_kwh=round(
            sum(max(0.0, -kw) for car in trace.cars.values() for kw in car.power_kw) * grid.hours, 3
        ),
        coins=sum(grant.coins for grant in grants),
        energy_balance_error_kwh=0.0,
        plans=1,
        fallback_plans=0 if plan.source.value == "optimal" else 1,
        unconfirmed_commands=0,
        wall_s=round(time.perf_counter() - began, 1),
        score_yen=score_yen(
            bill.total_yen,
            comfort_degc_h=degc_h,
            missed=missed,
            stored_kwh_change=stored,
            events_yen=paid,
        ),
        comfort_vs_none_degc=None,
        stored_kwh_change=round(stored, 2),
        guard_actions=0,
        shortfalls=len(plan.shortfalls),
        events_yen=paid,
    )
    return RunResult(summary=summary, trace=trace, calls=calls)


def _comfort(problem: Problem, plan: Plan) -> tuple[float, float]:
    """Degree-hours and worst excursion that even perfect foresight cannot avoid."""
    amounts = [shortfall.amount for shortfall in plan.shortfalls if shortfall.kind == "comfort"]
    return sum(amounts) * problem.grid.hours, max(amounts, default=0.0)


def _grants(scenario: Scenario, world: SimulatedWorld, trace: SlotTrace) -> list[CoinGrant]:
    if scenario.coin is None:
        return []
    grants = []
    for event in world.events:
        for vehicle in scenario.site.vehicles:
            powers = trace.cars[vehicle.id].power_kw
            energies = [
                energy_of_slot(Slot(at), max(0.0, -kw) / 2.0, max(0.0, kw) / 2.0)
                for at, kw in zip(trace.slots, powers, strict=True)
                if event.start <= Slot(at) < event.end
            ]
            grant = grant_for(scenario.coin, event, vehicle=vehicle, energies=energies, opted_in=True)
            if isinstance(grant, Grant):
                net_kwh = float(grant.net_kwh)
                grants.append(
                    CoinGrant(at=event.end.start, asset=vehicle.id, energy_kwh=net_kwh, coins=grant.points)
                )
    return grants


def _trace(problem: Problem, plan: Plan) -> SlotTrace:
    count = problem.grid.count
    by_asset = {asset: plan.of(asset) for asset in {point.asset for point in plan.setpoints}}
    cars, zones = {}, {}
    for car in problem.cars:
        points = by_asset[car.id]
        cars[str(car.id)] = CarTrace(
            power_kw=tuple(point.power_kw for point in points),
            soc=tuple((point.expected or 0.0) / car.capacity_kwh for point in points),
            plugged=car.plugged,
        )
    batteries = {
        str(one.id): BatteryTrace(
            power_kw=tuple(point.power_kw for point in by_asset[one.id]),
            soc=tuple((point.expected or 0.0) / one.capacity_kwh for point in by_asset[one.id]),
        )
        for one in problem.batteries
    }
    for zone in problem.zones:
        points = by_asset[zone.id]
        zones[str(zone.id)] = ZoneTrace(
            power_kw=tuple(point.power_kw for point in points),
            temp_c=tuple(point.expected or 0.0 for point in points),
            low_c=zone.low_c,
            high_c=zone.high_c,
        )
    nobody = (None,) * count
    path = plan.trajectory
    hvac = [sum(zone.power_kw[k] for zone in zones.values()) for k in range(count)]
    return SlotTrace(
        slots=tuple(require_aware(at) for at in problem.grid.times()),
        import_kw=path.import_kw,
        load_kw=path.load_kw,
        pv_kw=path.pv_kw,
        curtailed_kw=path.curtailed_kw,
        hvac_kw=tuple(hvac),
        outdoor_c=problem.outdoor_c,
        target_kw=nobody,
        load_p10_kw=nobody,
        load_p50_kw=nobody,
        load_p90_kw=nobody,
        pv_p50_kw=nobody,
        cars=cars,
        zones=zones,
        tight=problem.tight,
        reasons={str(asset): tuple(point.reason for point in points) for asset, points in by_asset.items()},
        batteries=batteries,
    )
