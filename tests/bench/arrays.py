"""The reference: an instance as sparse arrays straight into HiGHS, by hand, without Pyomo or dispatch.

Columns: import, export; charge, discharge and stored energy of each car in the steps in which it is plugged;
the peak; with ``whole`` a direction for each car and step. Rows: balance, stored energy, peak, directions.
"""

from __future__ import annotations

import time
from typing import Any

import highspy
import numpy as np


class Arrays:
    """The reference model of an instance on a HiGHS object of its own; solving again starts warm."""

    def __init__(self, *, whole: bool = False, gap: float = 1e-4, time_limit_s: float = 600.0) -> None:
        self.whole = whole
        self.highs = highspy.Highs()
        for name, value in (
            ("output_flag", False),
            ("threads", 1),
            ("mip_rel_gap", gap),
            ("time_limit", time_limit_s),
        ):
            self.highs.setOptionValue(name, value)

    def solve(self, instance: dict[str, Any], *, warm: bool = False) -> tuple[float, float, float]:
        """Objective [yen], time from the instance to it [s], of which HiGHS' run [s]."""
        begun = time.perf_counter()
        arrays = build(instance, whole=self.whole)
        basis = self.highs.getBasis() if warm else None
        self.highs.passModel(*arrays)
        if basis is not None:
            self.highs.setBasis(basis)
        started = time.perf_counter()
        self.highs.run()
        run_s = time.perf_counter() - started
        if self.highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise RuntimeError(f"the reference ended as {self.highs.getModelStatus()}")
        return self.highs.getInfo().objective_function_value, time.perf_counter() - begun, run_s

    def best_and_bound(self, instance: dict[str, Any]) -> tuple[float, float]:
        """Objective of the best solution and the bound that is proven, in the time that is given. [yen]"""
        self.highs.passModel(*build(instance, whole=self.whole))
        self.highs.run()
        ended = self.highs.getModelStatus()
        if ended not in {highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kTimeLimit}:
            raise RuntimeError(f"the reference ended as {ended}")
        info = self.highs.getInfo()
        found = info.objective_function_value
        return found, info.mip_dual_bound if self.whole else found


def build(instance: dict[str, Any], *, whole: bool) -> tuple[Any, ...]:
    """Arguments of ``Highs.passModel``."""
    n, h, cars = instance["horizon"], instance["step_minutes"] / 60.0, instance["evs"]
    arrival = np.array([car["arrival"] for car in cars], dtype=int)
    stay = np.array([car["departure"] for car in cars], dtype=int) - arrival
    ends = np.cumsum(stay)
    size = int(stay.sum())
    owner = np.repeat(np.arange(len(cars)), stay)
    k = np.arange(size)
    step = k - (ends - stay)[owner] + arrival[owner]

    def of(field: str) -> np.ndarray:
        return np.array([car[field] for car in cars], dtype=float)[owner]

    charge, discharge, stored, peak = 2 * n, 2 * n + size, 2 * n + 2 * size, 2 * n + 3 * size
    columns = peak + 1 + (size if whole else 0)
    lower, upper, cost = np.zeros(columns), np.full(columns, np.inf), np.zeros(columns)
    upper[:n] = instance["import_cap_kw"]
    cost[:n], cost[n : 2 * n] = h * np.array(instance["price_buy"]), -h * np.array(instance["price_sell"])
    upper[charge:discharge], upper[discharge:stored] = of("p_charge_kw"), of("p_discharge_kw")
    upper[stored:peak] = of("capacity_kwh")
    lower[stored + ends - 1] = [car["soc_target"] for car in cars]
    cost[peak] = instance["demand_charge_per_kw"]
    net, t = np.array(instance["load_kw"]) - np.array(instance["pv_kw"]), np.arange(n)
    follows = np.flatnonzero(owner[1:] == owner[:-1]) + 1
    first = np.zeros(size)
    first[ends - stay] = [car["soc_arrival"] for car in cars]
    entries = [
        (t, t, 1.0), (t, n + t, -1.0), (step, charge + k, -1.0), (step, discharge + k, 1.0),
        (n + k, stored + k, 1.0), (n + follows, stored + follows - 1, -1.0),
        (n + k, charge + k, -h * of("eff_charge")), (n + k, discharge + k, h / of("eff_discharge")),
        (n + size + t, np.full(n, peak), 1.0), (n + size + t, t, -1.0), (n + size + t, n + t, 1.0),
    ]  # fmt: skip
    low, high = [net, first, np.zeros(n)], [net, first, np.full(n, np.inf)]
    if whole:
        row = 2 * n + size + k
        upper[peak + 1 :] = 1.0
        entries += [(row, charge + k, 1.0), (row, peak + 1 + k, -of("p_charge_kw"))]
        entries += [(row + size, discharge + k, 1.0), (row + size, peak + 1 + k, of("p_discharge_kw"))]
        low += [np.full(2 * size, -np.inf)]
        high += [np.zeros(size), of("p_discharge_kw")]
    rows = np.concatenate([np.broadcast_to(row, np.shape(column)) for row, column, _ in entries])
    index = np.concatenate([column for _, column, _ in entries])
    value = np.concatenate([np.broadcast_to(np.asarray(v, float), np.shape(c)) for _, c, v in entries])
    order = np.argsort(rows, kind="stable")
    limits = np.concatenate(low), np.concatenate(high)
    starts = np.r_[0, np.cumsum(np.bincount(rows, minlength=len(limits[0])))]
    kinds = np.zeros(columns, dtype=np.int32)
    kinds[peak + 1 :] = 1
    return (
        columns, len(limits[0]), len(index), int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize), 0.0, cost, lower, upper, *limits,
        starts.astype(np.int32), index[order].astype(np.int32), value[order], kinds,
    )  # fmt: skip
