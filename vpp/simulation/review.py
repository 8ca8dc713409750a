"""From a store to a result: bill, peaks, comfort, promises, coins and the trace behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from energy.core.assets import Battery, HvacZone, Vehicle
from energy.core.plan import Reason
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.units import series_id
from energy.ledger import Journal
from energy.market.bill import Bill, period_bill
from energy.market.demand import PeakMemory
from energy.store import Snapshot, Store
from forecasting.baselines import Baseline, baseline
from forecasting.metrics import coverage, nmae, pinball
from vpp.forecasts.issued import LOAD, first_values
from vpp.forecasts.lookback import NOON, noon_issues
from vpp.simulation.callreview import reviewed_calls
from vpp.simulation.results import (
    BatteryTrace,
    CarTrace,
    CoinGrant,
    Controller,
    Departure,
    ForecastScore,
    OptionalFloats,
    RunResult,
    RunSummary,
    SlotTrace,
    ZoneTrace,
)
from vpp.simulation.score import Penalties, ScoreKeeper
from vpp.site.climate import comfort_band
from vpp.site.records import SLOT_RECORD, SlotRecord

__all__ = ["Reviewer", "score_yen"]

PENALTIES = Penalties()
_LEVELS = (0.1, 0.5, 0.9)
_FORECASTERS: tuple[Controller, ...] = ("optimal-p50", "optimal")


def score_yen(
    bill_yen: int, *, comfort_degc_h: float, missed: int, stored_kwh_change: float, events_yen: int = 0
) -> int:
    """Bill with penalties, less what is left in the batteries and what events paid; lower is better. [yen]"""
    penalties = PENALTIES.per_degc_h * comfort_degc_h + PENALTIES.per_departure * missed
    return round(bill_yen + penalties - PENALTIES.stored_yen_per_kwh * stored_kwh_change - events_yen)


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Reads a finished run.

    Parameters
    ----------
    grid : Grid
        The simulated slots.
    store : Store
        What the run wrote.
    """

    site: Site
    grid: Grid
    store: Store

    def result(
        self, controller: Controller, score: ScoreKeeper, counts: Mapping[str, int], wall_s: float
    ) -> RunResult:
        """Everything the report shows of one controller."""
        known = self.store.as_of(self.grid.end + timedelta(hours=1))
        records = self._records(known)
        trace = self._trace(known, records, score)
        bill = self.bill(self._series(known, "meter", "import_kwh", Unit.KWH))
        grants = self._grants()
        calls = reviewed_calls(self.store, self.site, self.grid.end, grants)
        paid = sum(call.yen for call in calls)
        stored = self._stored_change(known)
        summary = RunSummary(
            controller=controller,
            bill_yen=bill.total_yen,
            energy_yen=bill.total_yen - round(bill.basic_yen),
            demand_yen=round(bill.basic_yen),
            peak_kw=round(max(trace.import_kw), 2),
            contract_exceeded_slots=sum(1 for kw in trace.import_kw if kw > self.site.contract_kw),
            comfort_degc_h=round(score.comfort_degc_h, 3),
            comfort_worst_degc=round(score.comfort_worst_degc, 3),
            departures=len(score.departures),
            departures_missed=score.missed,
            soc_floor_violations=len(score.floor_slots),
            export_kwh=round(self._total(known, "truth", "export_kwh"), 4),
            discharge_kwh=round(
                sum(self._total(known, v.id, "discharge_kwh") for v in self.site.vehicles), 3
            ),
            coins=sum(grant.coins for grant in grants),
            energy_balance_error_kwh=round(self._balance_error(known), 6),
            plans=Counter(counts)["plans"],
            fallback_plans=Counter(counts)["fallback_plans"],
            unconfirmed_commands=Counter(counts)["unconfirmed"],
            wall_s=round(wall_s, 1),
            score_yen=score_yen(
                bill.total_yen,
                comfort_degc_h=score.comfort_degc_h,
                missed=score.missed,
                stored_kwh_change=stored,
                events_yen=paid,
            ),
            comfort_vs_none_degc=None,
            stored_kwh_change=round(stored, 2),
            guard_actions=Counter(counts)["guard_actions"],
            shortfalls=Counter(counts)["shortfalls"],
            events_yen=paid,
        )
        scores = self._forecast_scores(known) if controller in _FORECASTERS else ()
        return RunResult(
            summary=summary, trace=trace, forecast_scores=scores, coin_grants=grants, calls=calls
        )

    def bill(self, import_kwh: Series) -> Bill:
        """Bill of the simulated days, the basic charge by its share of the month."""
        return period_bill(self.site.tariff, import_kwh, PeakMemory(dict(self.site.peak_memory_kw)))

    def excursions(self) -> FloatArray:
        """Worst excursion from a comfort band in each slot. [K]"""
        known = self.store.as_of(self.grid.end + timedelta(hours=1))
        return self._series(known, "truth", "excursion_k", Unit.CELSIUS).values

    # -- series ----------------------------------------------------------------------------------------

    def _series(self, known: Snapshot, asset: str, quantity: str, unit: Unit) -> Series:
        return known.series(series_id(self.site.id, asset, quantity), self.grid, unit)

    def _total(self, known: Snapshot, asset: str, quantity: str) -> float:
        return float(np.nansum(self._series(known, asset, quantity, Unit.KWH).values))

    def _kw(self, known: Snapshot, asset: str, quantity: str) -> tuple[float, ...]:
        energy = self._series(known, asset, quantity, Unit.KWH).values
        return tuple(float(value) * 2.0 for value in np.nan_to_num(energy))

    def _optional(self, known: Snapshot, asset: str, quantity: str, unit: Unit) -> OptionalFloats:
        return _or_none(self._series(known, asset, quantity, unit).values)

    def _plain(self, known: Snapshot, asset: str, quantity: str, unit: Unit) -> tuple[float, ...]:
        return tuple(float(v) for v in np.nan_to_num(self._series(known, asset, quantity, unit).values))

    # -- figures ---------------------------------------------------------------------------------------

    def _stored_change(self, known: Snapshot) -> float:
        """Battery energy at the end minus at the start. [kWh]"""
        change = 0.0
        for one in self.site.storages:
            energy = self._series(known, one.id, "battery_kwh", Unit.KWH).values
            change += float(energy[-1]) - one.initial_soc * one.capacity_kwh
        return change

    def _balance_error(self, known: Snapshot) -> float:
        """What the meter at the connection counted minus what its parts used, over all days. [kWh]"""
        parts = self._total(known, "truth", "load_kwh") + self._total(known, "truth", "export_kwh")
        for one in self.site.storages:
            parts += self._total(known, one.id, "charge_kwh") - self._total(known, one.id, "discharge_kwh")
        for zone in self.site.zones:
            parts += self._total(known, zone.id, "electric_kwh")
        if self.site.pv is not None:
            parts -= self._total(known, "truth", "pv_kwh")
        return abs(self._total(known, "meter", "import_kwh") - parts)

    def _grants(self) -> tuple[CoinGrant, ...]:
        return tuple(
            CoinGrant(
                at=entry.at,
                asset=str(entry.facts["vehicle"]),
                energy_kwh=float(str(entry.facts["net_kwh"])),
                coins=sum(posting.points for posting in entry.postings if posting.points > 0),
            )
            for entry in Journal(self.store).entries(prefix="grant/")
        )

    # -- trace -----------------------------------------------------------------------------------------

    def _records(self, known: Snapshot) -> dict[datetime, SlotRecord]:
        documents = known.documents(SLOT_RECORD, prefix=f"{self.site.id}/")
        records = (SlotRecord.from_json(document.body) for document in documents)
        return {record.slot: record for record in records}

    def _trace(
        self, known: Snapshot, records: Mapping[datetime, SlotRecord], score: ScoreKeeper
    ) -> SlotTrace:
        pv = self.site.pv
        zero = (0.0,) * self.grid.count
        none = (None,) * self.grid.count
        assets = [v.id for v in self.site.vehicles] + [z.id for z in self.site.zones]
        assets += [pv.id] if pv else []
        assets += [battery.id for battery in self.site.batteries]
        load = first_values(known, self.site.id, LOAD, self.grid)
        return SlotTrace(
            slots=tuple(self.grid.times()),
            import_kw=self._kw(known, "meter", "import_kwh"),
            load_kw=self._plain(known, "load", "demand_kw", Unit.KW),
            pv_kw=self._kw(known, pv.id, "generation_kwh") if pv else zero,
            curtailed_kw=self._kw(known, "truth", "curtailed_kwh"),
            hvac_kw=self._kw(known, "hvac", "energy_kwh") if self.site.zones else zero,
            outdoor_c=self._plain(known, "weather", "outdoor_c", Unit.CELSIUS),
            target_kw=self._optional(known, "guard", "target_kw", Unit.KW),
            load_p10_kw=_or_none(load[0]),
            load_p50_kw=_or_none(load[1]),
            load_p90_kw=_or_none(load[2]),
            pv_p50_kw=_or_none(first_values(known, self.site.id, pv.id, self.grid)[1]) if pv else none,
            cars={vehicle.id: self._car(known, vehicle, score) for vehicle in self.site.vehicles},
            zones={zone.id: self._zone(known, zone) for zone in self.site.zones},
            tight=self._tight(records),
            reasons={asset: self._reasons(records, asset) for asset in assets},
            batteries={battery.id: self._battery(known, battery) for battery in self.site.batteries},
        )

    def _car(self, known: Snapshot, vehicle: Vehicle, score: ScoreKeeper) -> CarTrace:
        charge = self._kw(known, vehicle.id, "charge_kwh")
        discharge = self._kw(known, vehicle.id, "discharge_kwh")
        battery = self._plain(known, vehicle.id, "battery_kwh", Unit.KWH)
        return CarTrace(
            power_kw=tuple(a - b for a, b in zip(charge, discharge, strict=True)),
            soc=tuple(energy / vehicle.capacity_kwh for energy in battery),
            plugged=tuple(v == 1.0 for v in self._plain(known, vehicle.id, "plugged", Unit.RATIO)),
            departures=tuple(
                Departure(at=datetime.fromisoformat(one.at), promised_soc=one.promised_soc, soc=one.soc)
                for one in score.departures
                if one.vehicle == vehicle.id
            ),
        )

    def _battery(self, known: Snapshot, battery: Battery) -> BatteryTrace:
        charge = self._kw(known, battery.id, "charge_kwh")
        discharge = self._kw(known, battery.id, "discharge_kwh")
        energy = self._plain(known, battery.id, "battery_kwh", Unit.KWH)
        return BatteryTrace(
            power_kw=tuple(a - b for a, b in zip(charge, discharge, strict=True)),
            soc=tuple(kwh / battery.capacity_kwh for kwh in energy),
        )

    def _zone(self, known: Snapshot, zone: HvacZone) -> ZoneTrace:
        lows: list[float | None] = []
        highs: list[float | None] = []
        for k in range(self.grid.count):
            band = comfort_band(self.site, zone, self.grid.time(k + 1))
            lows.append(None if band is None else band[0])
            highs.append(None if band is None else band[1])
        return ZoneTrace(
            power_kw=self._kw(known, zone.id, "electric_kwh"),
            temp_c=self._plain(known, zone.id, "temp_c", Unit.CELSIUS),
            low_c=tuple(lows),
            high_c=tuple(highs),
        )

    def _tight(self, records: Mapping[datetime, SlotRecord]) -> tuple[bool, ...]:
        return tuple(at in records and records[at].tight for at in self.grid.times())

    def _reasons(self, records: Mapping[datetime, SlotRecord], asset: str) -> tuple[Reason | None, ...]:
        """Why an asset did what it did: what held in the end, else what was planned."""
        return tuple(_reason(records.get(at), asset) for at in self.grid.times())

    # -- forecasts -------------------------------------------------------------------------------------

    def _forecast_scores(self, known: Snapshot) -> tuple[ForecastScore, ...]:
        """Day-ahead forecasts (issued at noon) against what happened, beside two rules of thumb."""
        targets = [("load", "demand_kw", Unit.KW, 1.0)]
        if self.site.pv is not None:
            targets.append((self.site.pv.id, "generation_kwh", Unit.KWH, 2.0))
        scores = []
        for asset, quantity, unit, factor in targets:
            actual = self._series(known, asset, quantity, unit).values * factor
            issued = noon_issues(known, self.site.id, asset, start=self.grid.start, end=self.grid.end)
            if not issued:
                continue
            quantiles = np.full((3, self.grid.count), np.nan)
            for one in issued:
                first = self.grid.index(one.start)
                quantiles[:, first : first + one.grid.count] = one.values()
            score = self._score_one(known, asset, quantity, unit, factor, actual, quantiles)
            scores.append(replace(score, model=issued[-1].model))
        return tuple(scores)

    def _score_one(
        self,
        known: Snapshot,
        asset: str,
        quantity: str,
        unit: Unit,
        factor: float,
        actual: FloatArray,
        quantiles: FloatArray,
    ) -> ForecastScore:
        name = series_id(self.site.id, asset, quantity)
        covered = known.span(name)
        start = covered[0] if covered else self.grid.start
        history = known.series(name, Grid.between(start, self.grid.end), unit).scaled(factor)
        simple = {
            rule: np.concatenate(
                [
                    baseline(rule, history, Grid(day, 48), issued_at=day + NOON)
                    for day in (self.grid.time(k) for k in range(0, self.grid.count, 48))
                ]
            )
            for rule in (Baseline.YESTERDAY, Baseline.LAST_WEEK)
        }
        scored = ~np.isnan(quantiles).any(axis=0) & ~np.isnan(actual)
        mean = max(1e-9, float(np.mean(actual[scored])))
        point = {rule: values[scored] for rule, values in simple.items()}

        def loss(values: FloatArray) -> float:
            return round(pinball(actual[scored], np.stack([values] * 3), _LEVELS, scale=1.0), 3)

        return ForecastScore(
            target=asset,
            model="",
            nmae=round(nmae(actual[scored], quantiles[1][scored], scale=mean), 4),
            pinball=round(pinball(actual[scored], quantiles[:, scored], _LEVELS, scale=1.0), 3),
            cover80=round(coverage(actual[scored], quantiles[0][scored], quantiles[2][scored]), 3),
            persistence_nmae=round(nmae(actual[scored], point[Baseline.YESTERDAY], scale=mean), 4),
            persistence_pinball=loss(point[Baseline.YESTERDAY]),
            weekday_nmae=round(nmae(actual[scored], point[Baseline.LAST_WEEK], scale=mean), 4),
            weekday_pinball=loss(point[Baseline.LAST_WEEK]),
        )


def _or_none(values: FloatArray) -> OptionalFloats:
    return tuple(None if np.isnan(value) else float(value) for value in values)


def _reason(record: SlotRecord | None, asset: str) -> Reason | None:
    if record is None:
        return None
    if asset in record.last_reasons:
        return record.last_reasons[asset]
    return next((point.reason for point in record.planned if point.asset == asset), None)
