"""Running one site, half-hour after half-hour: plan, control, record, settle.

The same code runs a real site and a simulated one; what differs is the clock, the equipment and who calls it.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol

from dispatch.guard import DemandGuard
from dispatch.planner import Planner
from dispatch.rules import rules_plan
from dispatch.templates import TemplateCache
from energy.core.assets import Trip
from energy.core.clock import Clock
from energy.core.outcome import GenerationLimit
from energy.core.plan import PlanSource, Problem, Shortfall
from energy.core.series import Grid
from energy.core.site import Site
from energy.core.slots import Slot
from energy.core.units import AssetId
from energy.ledger import CoinRule, Journal, TightEvent
from energy.store import Point, Snapshot, Store
from vpp.forecasts import ForecastDesk
from vpp.loop.agreements import agreements_of
from vpp.loop.called import with_calls
from vpp.loop.control import Equipment, Readings, SiteController, Tick, Window
from vpp.loop.halfhour import Closed, HalfHour, PlanOrder, window_of, window_state
from vpp.settlement.promise import keep_promise
from vpp.settlement.settle import settle_event
from vpp.shelf import FolderShelf, cache_folder
from vpp.site.ahead import keep_ahead
from vpp.site.changeover import cooling_now, with_changeover
from vpp.site.peaks import MonthPeaks
from vpp.site.planning import Agreements, Outlook, Reserves, SiteState, build_problem, in_steps
from vpp.site.recorder import SiteSeries, counters_of, slot_points
from vpp.site.records import SLOT_RECORD, announced
from vpp.site.rooms import site_as_learned
from vpp.site.setpoints import expected_kw
from vpp.site.unitwatch import UnitWatch
from vpp.wishes import asked_now, end_reached, problem_with_wishes, told_why, trips_with, wishes_at

log = logging.getLogger(__name__)

__all__ = ["Desk", "Mode", "SiteOperator"]

Mode = Literal["none", "valley", "rules", "mpc", "optimal-p50", "optimal"]
_NO_PLAN: Final[frozenset[Mode]] = frozenset({"none"})
_NO_GUARD: Final[frozenset[Mode]] = frozenset({"none", "valley", "mpc"})
_ONLY_CHARGES: Final[frozenset[Mode]] = frozenset({"none", "valley"})
_RULES: Final[frozenset[Mode]] = frozenset({"valley", "rules"})
_MEDIANS: Final[frozenset[Mode]] = frozenset({"mpc", "optimal-p50"})
HORIZON = 96  # slots: two days, so that tomorrow's departures and peaks are seen


class Desk(Protocol):
    """Who forecasts: :class:`~vpp.forecasts.ForecastDesk`, or forecasts that were made before."""

    def outlook(self, known: Snapshot, now: datetime, grid: Grid) -> Outlook:
        """Forecasts on a grid from what is known at an instant."""
        ...

    def keep(self, outlook: Outlook, now: datetime) -> object:
        """Keep what is due at the slot of an instant."""
        ...


@dataclass(slots=True)
class SiteOperator:
    """Operates a site.

    Parameters
    ----------
    mode : str
        ``optimal`` plans with the optimiser, ``rules`` without; both are watched by the demand guard.
        ``none`` leaves cars and rooms alone: cars charge on arrival, thermostats hold. ``valley`` is the same
        with cars that charge in the valleys of the load. ``mpc`` is the optimiser on the medians of load and
        PV with nobody to watch the half hour: its plan is carried out as it is. ``optimal-p50`` is
        ``optimal`` on the medians; it shows what the quantiles are worth.
    trips : sequence of Trip
        The calendar, sorted by departure.
    desk : Desk, optional
        Who forecasts; the site's own desk unless given.
    planner : Planner, optional
        Who plans; one with the compiled structures of this machine unless given.
    step : timedelta
        Time between two calls of :meth:`minute`.
    """

    site: Site
    mode: Mode
    store: Store
    clock: Clock
    equipment: Equipment
    trips: Sequence[Trip]
    coin: CoinRule | None = None
    desk: Desk | None = None
    planner: Planner | None = None
    step: timedelta = timedelta(minutes=1)
    counts: Counter[str] = field(default_factory=Counter)
    control: SiteController = field(init=False)
    _desk: Desk = field(init=False)
    _planner: Planner = field(init=False)
    _guard: DemandGuard = field(init=False)
    _peaks: MonthPeaks = field(default_factory=MonthPeaks)
    _soc_kwh: dict[str, float] = field(default_factory=dict)
    _units: UnitWatch = field(init=False)
    _in_force: Window | None = None
    _limited: bool = False
    _open: HalfHour | None = None

    def __post_init__(self) -> None:
        self._desk, self._planner = self._new_desk(), self._new_planner()
        self._guard = DemandGuard(minutes_per_call=self.step / timedelta(minutes=1))
        self.control = SiteController(
            site=self.site,
            equipment=self.equipment,
            clock=self.clock,
            trips=self.trips,
            guard=None if self.mode in _NO_GUARD else self._guard,
            gives_back=self.mode not in _ONLY_CHARGES,
            counts=self.counts,
        )
        self._units = UnitWatch(self.site)
        for vehicle in self.site.vehicles:
            self._soc_kwh[vehicle.id] = vehicle.initial_soc * vehicle.capacity_kwh

    def _new_desk(self) -> Desk:
        return self.desk or ForecastDesk(self.site, self.store)

    def _new_planner(self) -> Planner:
        return self.planner or Planner(templates=TemplateCache(shelf=FolderShelf(cache_folder())))

    # -- one slot --------------------------------------------------------------------------------------

    def begin(self, slot: Slot, readings: Readings) -> None:
        """Open a slot: forecast, plan, hand over to control."""
        self.open(slot, readings)
        self.hear()
        self.adopt(self.plan(self.order(slot, readings)))
        self.hear()  # planning ends what has been reached

    def open(self, slot: Slot, readings: Readings) -> None:
        """Open a slot; :meth:`adopt` or :meth:`carry_on` then says what control does."""
        self._follow_cars(readings)
        self._open = HalfHour(Window(slot=slot), counters_of(readings, slot.start))

    def order(self, slot: Slot, readings: Readings) -> PlanOrder:
        """What to ask :meth:`plan` for a slot, from the site as it stands."""
        now = self.clock.now()
        previous = None if self._in_force is None else self._in_force.plan
        measured = {
            v.id: soc for v in self.site.vehicles if (soc := _good(readings, v.id, "soc")) is not None
        }
        return PlanOrder(
            slot=slot, now=now, state=self._state(readings, now), measured_soc=measured, previous=previous
        )

    def adopt(self, window: Window) -> None:
        """Let control follow a plan from now on."""
        self._current().window = window
        self.control.begin_slot(window)
        if window.plan is not None:
            self._in_force = window

    def carry_on(self, slot: Slot) -> None:
        """Go on without a new plan: with what the one in force says of the slot, else by rules alone.

        The rules: the guard holds the site's target, cars charge when they come, thermostats hold the rooms.
        """
        known = self._in_force
        if known is not None and known.plan is not None and known.plan.at(slot):
            plan = replace(known.plan, source=PlanSource.SHIFTED)
            self._current().window = replace(known, slot=slot, plan=plan, expected_kw=None)
        else:
            target = None if self.mode in _NO_GUARD else self.site.target_demand_kw
            self._current().window = Window(slot=slot, target_kw=target)
        self.control.begin_slot(self._current().window)

    def take_late(self, window: Window, slot: Slot) -> None:
        """Go on with a plan that was asked for an earlier slot and came only now."""
        self._in_force = window if window.plan is not None else self._in_force
        self.carry_on(slot)

    def hear(self) -> None:
        """Take in what people ask for: control obeys at once, the plan when it is made anew.

        While the store cannot be read, what was heard before stands.
        """
        now = self.clock.now()
        try:
            wishes = wishes_at(self.store.as_of(now), self.site.id, now)
        except Exception as error:  # noqa: BLE001 - whatever a database says: the guard goes on without it
            self.counts["unheard"] += 1
            log.warning("operate.cannot_hear site=%s %s", self.site.id, error)
            return
        self.control.asked = asked_now(wishes)
        self.control.trips = trips_with(self.trips, wishes, now=now)

    def renew(self) -> None:
        """Put a new desk and a new planner in the place of those that a lost thread still holds."""
        self.desk = self.planner = None
        self._desk, self._planner = self._new_desk(), self._new_planner()

    @property
    def is_planned(self) -> bool:
        """Whether control follows a plan in the slot that runs."""
        return self._open is not None and self._open.window.plan is not None

    async def minute(self) -> Tick:
        """One step of control."""
        current = self._current()
        self.hear()
        tick = await self.control.tick()
        for outcome in tick.outcomes:
            if isinstance(outcome.command.order, GenerationLimit):
                self._limited = outcome.command.order.limit_kw is not None
        if tick.decision is not None and (tick.decision.cars or tick.decision.shed):
            current.guarded += self.step
        current.reasons = tick.reasons
        shed = tick.decision.shed if tick.decision is not None else ()
        self._units.note(current.window.plan, self.clock.now(), shed=shed)
        return tick

    def finish(self, readings: Readings) -> None:
        """Close the slot and keep it.

        Belongs inside a transaction of the store, together with whatever else must not be half-written.
        """
        self.keep(self.close(readings))

    def close(self, readings: Readings) -> Closed:
        """End the slot: energies from counters."""
        current = self._current()
        slot = current.slot
        names = SiteSeries(self.site.id)
        points = list(slot_points(self.site, slot, current.before, counters_of(readings, slot.end), readings))
        facts = {("guard", "target_kw"): current.window.target_kw}
        if self.site.pv is not None:
            facts[self.site.pv.id, "limited"] = 1.0 if self._limited else 0.0
        points += [
            Point(series=names[key], at=slot.start, known_at=slot.end, value=value, source="control")
            for key, value in facts.items()
            if value is not None
        ]
        name = SiteSeries(self.site.id)["meter", "import_kwh"]
        self._peaks.note(slot.start, next(point.value for point in points if point.series == name))
        self._open = None
        return Closed(current, tuple(points))

    def keep(self, closed: Closed) -> None:
        """Store what a slot left, and settle what became due; twice is once."""
        slot = closed.slot
        self.store.append(closed.points)
        tight = any(event.start <= slot < event.end for event in self._events(slot.start))
        self.store.put_document(
            SLOT_RECORD,
            f"{self.site.id}/{slot.start.isoformat()}",
            known_at=slot.end,
            body=closed.half_hour.record(tight=tight).to_json(),
        )
        self._settle(slot)

    def _current(self) -> HalfHour:
        if self._open is None:
            msg = "begin comes before minute and finish"
            raise RuntimeError(msg)
        return self._open

    # -- planning --------------------------------------------------------------------------------------

    def plan(self, order: PlanOrder) -> Window:
        """The slot with its plan, target demand and expected draw; nothing of it where nobody plans.

        It takes seconds, and reads and writes only the store: a live site calls it in a thread of its own.
        """
        slot, now, desk, planner = order.slot, order.now, self._desk, self._planner
        end_reached(self.store, self.site, order.measured_soc, at=now)
        if self.mode in _NO_PLAN:
            return Window(slot=slot)
        known = self.store.as_of(now)
        site = site_as_learned(self.site, known)
        outlook = desk.outlook(known, now, Grid(slot.start, HORIZON))
        desk.keep(outlook, now)
        events = self._events(now)
        wishes = wishes_at(known, self.site.id, now)
        agreed = Agreements()
        if self.mode not in _RULES:
            grid = outlook.load.grid
            agreed = agreements_of(self.site, known, grid, in_force=order.previous)
        problem = build_problem(
            site,
            order.state,
            outlook.medians() if self.mode in _MEDIANS else outlook,
            now=now,
            trips=trips_with(self.trips, wishes, now=now),
            events=events,
            coin=self.coin,
            agreed=agreed,
        )
        problem = with_changeover(problem, site, band_k=Reserves().band_k)
        problem = problem_with_wishes(problem, asked_now(wishes))
        self.counts["plans"] += 1
        if self.mode == "rules":
            problem = with_calls(problem, self.site, self.store, plan=rules_plan, counts=self.counts)
            plan, target, expected = rules_plan(problem), self.site.target_demand_kw, None
        elif self.mode == "valley":
            plan, target, expected = rules_plan(_cars_only(problem)), None, None
        else:
            problem = with_calls(problem, self.site, self.store, plan=planner.plan, counts=self.counts)
            problem = in_steps(problem, agreed)
            plan = planner.plan(problem, previous=order.previous)
            target = plan.target_demand_kw
            expected = expected_kw(problem, plan)
            self.counts["fallback_plans"] += plan.source is not PlanSource.OPTIMAL
        soon = [one for one in plan.shortfalls if problem.slot_of(one.index) <= 1]
        self.counts["shortfalls"] += sum(1 for one in soon if _is_broken(one))
        keep_promise(self.store, problem, plan)
        plan = told_why(plan, asked_now(wishes))
        keep_ahead(self.store, plan)
        return Window(
            slot=slot, plan=plan, target_kw=target, expected_kw=expected, cooling=cooling_now(problem)
        )

    def _events(self, at: datetime) -> list[TightEvent]:
        """Tight-supply events that are known at an instant."""
        return announced(self.store.as_of(at))

    def _state(self, readings: Readings, now: datetime) -> SiteState:
        rooms = {}
        for zone in self.site.zones:
            measured = _good(readings, zone.id, "room_c")
            rooms[AssetId(zone.id)] = zone.initial_c if measured is None else measured
        absent = frozenset(
            AssetId(vehicle.id)
            for vehicle in self.site.vehicles
            if _good(readings, vehicle.id, "plugged") != 1.0
        )
        expected = self._expected_soc(absent, now)
        stored = {one.id: (one, _good(readings, one.id, "soc")) for one in self.site.batteries}
        expected |= {name: soc * one.capacity_kwh for name, (one, soc) in stored.items() if soc is not None}
        return SiteState(
            soc_kwh={AssetId(name): energy for name, energy in expected.items()},
            absent=absent | self.control.standing.not_applied.keys(),
            room_c=rooms,
            peak_memory_kw=self._peaks.remembered_kw(self.site, now),
            next_memory_kw=self._peaks.remembered_kw(self.site, now, months_later=1),
            opted_out=frozenset(self.control.opted_out | self.control.asked.no_discharge),
            units=self._units.states(now),
        )

    def _follow_cars(self, readings: Readings) -> None:
        """Remember the last measured charge of every car."""
        for vehicle in self.site.vehicles:
            soc = _good(readings, vehicle.id, "soc")
            if soc is not None and _good(readings, vehicle.id, "plugged") == 1.0:
                self._soc_kwh[vehicle.id] = soc * vehicle.capacity_kwh

    def _expected_soc(self, absent: frozenset[AssetId], now: datetime) -> dict[str, float]:
        """Energy by car: measured at the plug; on the road the last reading less the trip's share. [kWh]"""
        energy = dict(self._soc_kwh)
        for vehicle in self.site.vehicles:
            if AssetId(vehicle.id) not in absent:
                continue
            trip = next(
                (t for t in reversed(self.control.trips) if t.vehicle == vehicle.id and t.departs <= now),
                None,
            )
            if trip is not None and now - trip.returns < timedelta(hours=12):
                share = min(1.0, (now - trip.departs) / (trip.returns - trip.departs))
                energy[vehicle.id] = max(0.0, energy[vehicle.id] - share * trip.energy_kwh)
        return energy

    # -- settlement ------------------------------------------------------------------------------------

    def _settle(self, slot: Slot) -> None:
        """Pay for events that ended with this slot; paying twice changes nothing."""
        if self.coin is None or self.mode == "none":
            return
        known = self.store.as_of(slot.end)
        for event in self._events(slot.end):
            if event.end.start == slot.end:
                settle_event(
                    Journal(self.store),
                    known,
                    self.site,
                    self.coin,
                    event,
                    opted_out=self.control.opted_out | self.control.asked.no_discharge,
                    at=slot.end,
                    store=self.store,
                )

    # -- restart ---------------------------------------------------------------------------------------

    def state(self) -> dict[str, object]:
        """What must survive a restart, as plain values; everything else is in the store."""
        return {
            "counts": dict(self.counts),
            "guard": self._guard.state(),
            "month_peaks": self._peaks.by_month,
            "soc_kwh": self._soc_kwh,
            "limited": self._limited,
            "units": self._units.state(),
            # a plan that is left only for what it is worth binds the next one
            "in_force": window_state(self._in_force) if self._in_force and self._is_steady else None,
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Go on from :meth:`state`."""
        saved = json.loads(json.dumps(state))
        self.counts.clear()
        self.counts.update(saved["counts"])
        self._guard.restore(saved["guard"])
        self._peaks = MonthPeaks(saved["month_peaks"])
        self._soc_kwh = saved["soc_kwh"]
        self._limited = saved["limited"]
        self._units.restore(saved.get("units", {}))
        self._in_force = window_of(saved["in_force"]) if saved.get("in_force") else None

    @property
    def _is_steady(self) -> bool:
        return self.site.planning.change_yen_per_kwh > 0.0

    def memory(self) -> dict[str, object]:
        """What a program that dies within a slot needs to go on in it: :meth:`state`, and what runs."""
        return {
            **self.state(),
            "open": None if self._open is None else self._open.state(),
            "in_force": None if self._in_force is None else window_state(self._in_force),
            "meter": self.control.meter.state(),
            "standing": self.control.standing.state(),
        }

    def remember(self, memory: Mapping[str, Any], slot: Slot) -> bool:
        """Go on from :meth:`memory`; whether the slot that ran then is the one that runs now.

        If it is, control goes on in it with its plan and its counters. If not, that half hour is lost: what
        happened at its end nobody has seen.
        """
        self.restore(memory)
        self.control.meter.restore(memory["meter"])
        self.control.standing.restore(memory["standing"])
        self._in_force = None if memory["in_force"] is None else window_of(memory["in_force"])
        found = None if memory["open"] is None else HalfHour.of_state(memory["open"])
        if found is None or found.slot != slot:
            return False
        self._open = found
        self.control.begin_slot(found.window)
        return True

    def learn_peaks(self, now: datetime) -> None:
        """Take the highest demand of each of the last twelve months from the store."""
        self._peaks.learn(self.store.as_of(now), self.site.id, now)


def _is_broken(shortfall: Shortfall) -> bool:
    """Whether a shortfall breaks a promise, or only uses up what the plan keeps away from a comfort band."""
    return shortfall.kind != "comfort" or shortfall.amount > Reserves().band_k


def _cars_only(problem: Problem) -> Problem:
    """The problem of cars that only charge; rooms are left to their thermostats."""
    barred = (False,) * problem.grid.count
    return replace(problem, zones=(), cars=tuple(replace(car, may_discharge=barred) for car in problem.cars))


def _good(readings: Readings, asset: str, point: str) -> float | None:
    measurement = readings.get(AssetId(asset), {}).get(point)
    if measurement is None or measurement.quality.value != "good":
        return None
    return measurement.value
