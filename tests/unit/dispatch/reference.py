"""The planning problem written a second time, as plain dense arrays for scipy: no Pyomo, no code of dispatch.

Only for sites whose cars stay above their floors (every promise covers its trip), so that the floor can be a
plain bound. Contract, promises and comfort are soft with the prices handed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from energy.core.plan import CarProblem, Problem, StorageProblem


@dataclass
class Rows:
    """Columns and rows of a linear program, by name."""

    cost: list[float] = field(default_factory=list)
    bounds: list[tuple[float | None, float | None]] = field(default_factory=list)
    equal: list[tuple[dict[int, float], float]] = field(default_factory=list)
    most: list[tuple[dict[int, float], float]] = field(default_factory=list)

    def column(self, cost: float = 0.0, low: float | None = 0.0, high: float | None = None) -> int:
        self.cost.append(cost)
        self.bounds.append((low, high))
        return len(self.cost) - 1

    def solve(self) -> float:
        def dense(rows: list[tuple[dict[int, float], float]]) -> tuple[np.ndarray, np.ndarray]:
            matrix = np.zeros((len(rows), len(self.cost)))
            for i, (row, _) in enumerate(rows):
                for j, value in row.items():
                    matrix[i, j] += value
            return matrix, np.array([limit for _, limit in rows])

        (a_eq, b_eq), (a_ub, b_ub) = dense(self.equal), dense(self.most)
        found = linprog(
            self.cost, A_ub=a_ub, b_ub=b_ub, A_eq=a_eq, b_eq=b_eq, bounds=self.bounds, method="highs"
        )
        assert found.status == 0, found.message
        return float(found.fun)


def least_cost(
    problem: Problem, *, share: float, contract_yen_per_kw: float, departure_yen_per_kwh: float
) -> float:
    """Optimal cost of a problem. [yen]"""
    n, h, rows, limits = problem.grid.count, problem.grid.hours, Rows(), problem.limits
    balance: list[dict[int, float]] = []
    excess = rows.column(limits.peak_yen_per_kw)
    for t in range(n):
        least = min(limits.import_margin_kw, problem.load_p50_kw[t])
        bought = rows.column(h * problem.price_yen_per_kwh[t], least)
        over = rows.column(contract_yen_per_kw)
        errors = [problem.load_p90_kw[t] - problem.load_p50_kw[t]]
        errors.append(sum(array.p50_kw[t] - array.p10_kw[t] for array in problem.pv))
        margin = share * math.hypot(*errors)
        rows.most.append(({bought: 1.0, excess: -1.0}, limits.peak_memory_kw - margin))
        rows.most.append(({bought: 1.0, over: -1.0}, limits.contract_kw - margin))
        balance.append({bought: 1.0})
        for array in problem.pv:
            balance[t][rows.column(0.0, 0.0, array.p50_kw[t])] = 1.0
    for storage in (*problem.cars, *problem.batteries):
        _storage(rows, balance, problem, storage, departure_yen_per_kwh)
    for zone in problem.zones:
        previous: int | None = None
        decay = math.exp(-zone.loss_kw_per_k * h / zone.capacitance_kwh_per_k)
        for t in range(n):
            price = h * problem.discomfort_yen_per_degc_h
            power = rows.column(0.0, 0.0, zone.max_electric_kw if zone.mode_sign[t] else 0.0)
            room, hot, cold = rows.column(0.0, None), rows.column(price), rows.column(price)
            balance[t][power] = -1.0
            heat = (1.0 - decay) / zone.loss_kw_per_k
            row = {room: 1.0, power: -heat * zone.mode_sign[t] * zone.cop[t]}
            rest = (1.0 - decay) * problem.outdoor_c[t] + heat * zone.gain_kw[t]
            if previous is None:
                rest += decay * zone.temp0_c
            else:
                row[previous] = -decay
            rows.equal.append((row, rest))
            rows.most.append(({room: 1.0, hot: -1.0}, zone.high_c[t]))
            rows.most.append(({room: -1.0, cold: -1.0}, -zone.low_c[t]))
            previous = room
    rows.equal += list(zip(balance, problem.load_p50_kw, strict=True))
    return rows.solve()


def _storage(
    rows: Rows,
    balance: list[dict[int, float]],
    problem: Problem,
    storage: CarProblem | StorageProblem,
    departure_yen_per_kwh: float,
) -> None:
    n, h = problem.grid.count, problem.grid.hours
    car = storage if isinstance(storage, CarProblem) else None
    floor = storage.floor_kwh if isinstance(storage, CarProblem) else storage.reserve_kwh
    top = storage.ceiling_kwh if isinstance(storage, CarProblem) else storage.capacity_kwh
    socs: list[int] = []
    for t in range(n):
        here = car is None or car.plugged[t]
        gives = here and (car is None or car.may_discharge[t])
        reward = car.discharge_value_yen_per_kwh[t] if car else 0.0
        charge = rows.column(h * max(0.0, reward), 0.0, storage.max_charge_kw if here else 0.0)
        wear = storage.wear_yen_per_kwh
        give = rows.column(h * (wear - reward), 0.0, storage.max_discharge_kw if gives else 0.0)
        soc = rows.column(0.0, floor, top)
        balance[t][charge], balance[t][give] = -1.0, 1.0
        row = {soc: 1.0, charge: -h * storage.charge_efficiency, give: h / storage.discharge_efficiency}
        if socs:
            row[socs[-1]] = -1.0
        drive = car.drive_kwh[t] if car else 0.0
        rows.equal.append((row, (0.0 if socs else storage.soc0_kwh) - drive))
        socs.append(soc)
    for promise in car.promises if car else ():
        lacking = rows.column(departure_yen_per_kwh)
        rows.most.append(({socs[promise.index - 1]: -1.0, lacking: -1.0}, -promise.soc_kwh))
    quartile = max(0.0, float(np.quantile(problem.price_yen_per_kwh, 0.25)))
    lost = rows.column(1.02 * quartile / storage.charge_efficiency)
    rows.most.append(({socs[-1]: -1.0, lost: -1.0}, -storage.soc0_kwh))
