"""The region as one linear program: every site's whole model and all shared limits, written without the
coordinator's tables, columns or reductions. It is what the coordinated plan is compared with.

    python tests/bench/region_monolith.py --sites 50,100 --seed 1 --gap 0.005 --executor process

prints for each size the optimum and the time of HiGHS' interior point and simplex, the coordinated plan's
bounds and time, and the ratios. Everything is imported and the workers are up (``start_s`` is what that
took). They take turns, and the least of ``--repeats`` counts, of seconds and of processor seconds of all
processes, with compiled models in memory for both. What is in a time decides the ratio, so it is told in
three ways, in processor time and, but for solving, by the clock (the one program uses one core, the
coordination as many as there are workers):

``whole``
    From a request to a result: drawing the sites, building the data and solving. The one program is given
    the shared limits, which the coordination makes on the way, and its result is neither trimmed nor
    verified; the plan of the coordination is both, site by site.
``like_for_like``
    The same, and the one program pays for what it was given and spared too: what sites do alone, from which
    the limits follow, and the trimming and verifying of every site's schedule.
``solving``
    Neither draws, builds or verifies anything: the one solve against rounds and master problems, and what
    sites do alone, which is the first round.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highspy
import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dispatch.fill import TieBreaks, structure_of, values_of
from dispatch.region.limits import SharedLimit
from dispatch.region.outcome import CoordinatorSettings
from dispatch.region.priced import PricedSite, site_solver
from dispatch.region.sites import SiteInput
from dispatch.region.work import forget
from dispatch.template import Template
from dispatch.templates import TemplateCache
from energy.core.errors import DataError
from energy.core.series import FloatArray
from vpp.region.crew import Executor, cpu_s_of, open_executor
from vpp.region.draw import DrawnSites, Request
from vpp.region.plan import RegionFile, plan_region, prepare
from vpp.region.shared import RegionRules
from vpp.shelf import FolderShelf, cache_folder


@dataclass(frozen=True, slots=True)
class Monolith:
    """The one program: ``min cost x + constant``."""

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    matrix: sp.csr_matrix
    constant_yen: float


def monolith(
    sites: Sequence[SiteInput],
    moved: np.ndarray,
    limits: Sequence[SharedLimit],
    templates: TemplateCache,
    *,
    alone_kw: FloatArray,
    alone_drop_kw: FloatArray,
    alone_yen: FloatArray,
) -> Monolith:
    """All sites and limits in one program; sites that are not moved enter with what they do alone."""
    hours = sites[0].problem.grid.hours
    blocks, parts = [], []
    powers: dict[int, sp.csr_matrix] = {}
    drops: dict[int, sp.csr_matrix] = {}
    width = 0
    for k in np.flatnonzero(moved).tolist():
        problem = sites[k].problem
        template = templates.of(structure_of(problem))
        ties = TieBreaks(early_yen_per_kwh=0.0, smooth_yen_per_kw=0.0)
        data = template.vector(values_of(problem, peak_quantile_share=0.9, ties=ties))
        used = ~template.lazy
        matrix = sp.csr_matrix(
            (template.value.at(data), template.index, template.starts), (len(used), len(template.binary))
        )
        blocks.append(matrix[used])
        parts.append(
            (
                template.cost.at(data), template.column_lower.at(data), template.column_upper.at(data),
                template.row_lower.at(data)[used], template.row_upper.at(data)[used],
            )
        )  # fmt: skip
        size, n = len(template.binary), problem.count
        powers[k] = _picked(
            template, n, size, (("", "within_kw", 1), ("", "over_kw", 1), ("", "export_kw", -1))
        )
        drops[k] = _picked(
            template, n, size,
            (("car", "charge_kw", 1), ("car", "discharge_kw", -1), ("battery", "charge_kw", 1),
             ("battery", "discharge_kw", -1), ("zone", "hvac_kw", 1)),
        )  # fmt: skip
        width += size
    cost, lower, upper, row_lower, row_upper = (np.concatenate(each) for each in zip(*parts, strict=True))
    own = sp.block_diag(blocks, format="csr")
    rows, slack_cost, right = [], [], []
    for limit in limits:
        table = drops if limit.droppable else powers
        empty = {k: sp.csr_matrix((len(limit.slots), table[k].shape[1])) for k in table}
        rows.append(sp.hstack([table[k][limit.slots] if limit.members[k] else empty[k] for k in table]))
        alone = alone_drop_kw if limit.droppable else alone_kw
        still = alone[limit.members & ~moved].sum(axis=0)[limit.slots]
        right.append(limit.level_kw - still)
        slack_cost.append((hours * limit.above_yen, hours * limit.below_yen))
    shared = sp.vstack(rows)
    count = shared.shape[0]
    slacks = sp.hstack([-sp.identity(count), sp.identity(count)])
    extra = np.concatenate(
        [np.concatenate([a for a, _ in slack_cost]), np.concatenate([b for _, b in slack_cost])]
    )
    level = np.concatenate(right)
    return Monolith(
        cost=np.concatenate([cost, extra]),
        lower=np.concatenate([lower, np.zeros(2 * count)]),
        upper=np.concatenate([upper, np.full(2 * count, np.inf)]),
        row_lower=np.concatenate([row_lower, level]),
        row_upper=np.concatenate([row_upper, level]),
        matrix=sp.bmat([[own, None], [shared, slacks]], format="csr"),
        constant_yen=float(np.nansum(alone_yen[~moved])),
    )


def _picked(template: Template, n: int, size: int, terms: tuple[tuple[str, str, int], ...]) -> sp.csr_matrix:
    picked = sp.lil_matrix((n, size))
    for kind, name, sign in terms:
        table = template.columns.tables.get(kind)
        if table is None or not table.count or name not in table.parts:
            continue
        for row in template.columns.block(kind, name):
            picked[np.arange(n), row] = sign
    return picked.tocsr()


def solved(program: Monolith, method: str, time_limit_s: float = 600.0) -> tuple[float, float]:
    """Optimum and seconds; infinite if it ran out of time. [yen, s]"""
    solver = highspy.Highs()
    for name, value in (("output_flag", False), ("solver", method), ("time_limit", time_limit_s)):
        solver.setOptionValue(name, value)
    begun = time.perf_counter()
    matrix = program.matrix
    solver.passModel(
        len(program.cost), len(program.row_lower), matrix.nnz,
        int(highspy.MatrixFormat.kRowwise), int(highspy.ObjSense.kMinimize), 0.0,
        program.cost, program.lower, program.upper, program.row_lower, program.row_upper,
        matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data,
        np.zeros(len(program.cost), dtype=np.int32),
    )  # fmt: skip
    solver.run()
    spent = time.perf_counter() - begun
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return float("inf"), spent
    return float(solver.getInfo().objective_function_value) + program.constant_yen, spent


@dataclass(slots=True)
class _Least:
    """The least of what was measured, by name: what others did at the time adds and never takes. [s]"""

    values: dict[str, float]

    def add(self, name: str, value: float) -> None:
        self.values[name] = min(value, self.values.get(name, np.inf))


def _alone(drawn: DrawnSites, templates: TemplateCache, least: _Least) -> None:
    """What it takes to draw and prepare all sites for prices, and to ask them what they do alone."""
    begun, solver, ready = time.process_time(), site_solver(), []
    for site in drawn.sites():
        with contextlib.suppress(DataError):
            ready.append(PricedSite(site, templates, share=0.9, solver=solver))
    least.add("prepared_cpu_s", time.process_time() - begun)
    begun, zero = time.process_time(), np.zeros(drawn.request.slots)
    for one in ready:
        one.ask(zero, zero)
    least.add("alone_cpu_s", time.process_time() - begun)


def _compared(size: int, said: argparse.Namespace, crew: Executor) -> dict[str, object]:
    """Both ways in turns; each turn draws and prepares all sites anew."""
    request = Request(sites=size, seed=said.seed, exchangeable=said.exchangeable)
    region = RegionFile(request=request, rules=RegionRules(seed=said.seed))
    shelf, least = FolderShelf(cache_folder()), _Least({})
    templates = TemplateCache(256, shelf=shelf)
    found: dict[str, float] = {}
    for _ in range(said.repeats):
        crew.run(forget, [()] * crew.workers, at=range(crew.workers))
        cpu = cpu_s_of(crew)
        planned = plan_region(region, crew, CoordinatorSettings(gap=said.gap), shelf=shelf)
        least.add("coordinated_cpu_s", cpu_s_of(crew) - cpu)
        least.add("coordinated_s", planned.total_s)
        plan, worked = planned.plan, planned.coordinator
        cpu = cpu_s_of(crew)
        worked.settle(worked.share)
        least.add("verified_cpu_s", cpu_s_of(crew) - cpu)
        _alone(DrawnSites(request, 0, size), templates, least)
        begun, cpu = time.perf_counter(), time.process_time()
        program = monolith(
            DrawnSites(request, 0, size).sites(), np.array([card.flexible for card in plan.cards]),
            plan.limits, templates, alone_kw=worked.alone_kw, alone_drop_kw=worked.alone_droppable_kw,
            alone_yen=worked.alone_yen,
        )  # fmt: skip
        least.add("build_s", time.perf_counter() - begun)
        least.add("build_cpu_s", time.process_time() - cpu)
        for method in said.methods.split(","):
            cpu = time.process_time()
            found[method], spent = solved(program, method, said.time_limit)
            least.add(f"{method}_s", spent)
            least.add(f"{method}_cpu_s", time.process_time() - cpu)
    s = least.values
    spared = s["alone_cpu_s"] + s["verified_cpu_s"]  # one after the other in one process: seconds as well
    solving = max(0.0, s["coordinated_cpu_s"] - s["verified_cpu_s"] - s["prepared_cpu_s"])
    row: dict[str, object] = {
        "sites": size, "columns": len(program.cost), "workers": crew.workers, "rounds": plan.rounds,
        "lower_yen": round(plan.lower_yen, 1), "upper_yen": round(plan.upper_yen, 1),
        "gap": round(plan.gap, 5), **{name: round(value, 2) for name, value in least.values.items()},
    }  # fmt: skip
    for method, best in found.items():
        cpu = s[f"{method}_cpu_s"]
        row[method] = {
            "yen": round(best, 1) if np.isfinite(best) else None,  # ended by its limit: ratios are the least
            "times_by_the_clock": {
                "whole": round((s["build_s"] + s[f"{method}_s"]) / s["coordinated_s"], 2),
                "like_for_like": round(
                    (s["build_s"] + spared + s[f"{method}_s"]) / s["coordinated_s"], 2
                ),
            },
            "times_the_cpu": {
                "whole": round((s["build_cpu_s"] + cpu) / s["coordinated_cpu_s"], 2),
                "like_for_like": round((s["build_cpu_s"] + spared + cpu) / s["coordinated_cpu_s"], 2),
                "solving": round(cpu / solving, 2) if solving else None,
            },
            "above": round((plan.upper_yen - best) / abs(best), 6) if np.isfinite(best) else None,
            "bound_below": round((best - plan.lower_yen) / abs(best), 6) if np.isfinite(best) else None,
        }  # fmt: skip
    return row


def _main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sites", default="50,100")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--gap", type=float, default=0.005)
    asked.add_argument("--executor", default="process")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--time-limit", type=float, default=600.0)
    asked.add_argument("--exchangeable", action="store_true")
    asked.add_argument("--methods", default="ipm,simplex")
    asked.add_argument("--repeats", type=int, default=3)
    said = asked.parse_args()
    begun = time.perf_counter()
    with open_executor(said.executor, said.workers) as crew:
        crew.run(prepare, [()] * crew.workers, at=range(crew.workers))
        start = time.perf_counter() - begun
        for size in map(int, said.sites.split(",")):
            print(json.dumps(_compared(size, said, crew) | {"start_s": round(start, 2)}), flush=True)


if __name__ == "__main__":
    _main()
