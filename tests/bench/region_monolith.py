"""The region as one linear program: every site's whole model and all shared limits, written without the
coordinator's tables, columns or reductions. It is what the coordinated plan is compared with.

    python tests/bench/region_monolith.py --sites 50,100 --seed 1 --gap 0.005 --executor process

prints for each size the optimum and the time of HiGHS' interior point and simplex, the coordinated plan's
bounds and time, and the ratios. Both are counted from a request to a result, with everything imported,
compiled models on disk and the workers up (what that took is ``start_s``): drawing the sites, building the
data and solving. The one program is given the shared limits, which the coordination makes on the way, and its
result is neither trimmed nor verified; the plan of the coordination is both, site by site.
"""

from __future__ import annotations

import argparse
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
from dispatch.region.sites import SiteInput
from dispatch.templates import TemplateCache
from energy.core.series import FloatArray


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


def _picked(template: object, n: int, size: int, terms: tuple[tuple[str, str, int], ...]) -> sp.csr_matrix:
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


def _main() -> None:
    from dispatch.region.outcome import CoordinatorSettings
    from vpp.region.crew import open_executor
    from vpp.region.draw import DrawnSites, Request
    from vpp.region.plan import RegionFile, plan_region, prepare
    from vpp.region.shared import RegionRules
    from vpp.shelf import FolderShelf, cache_folder

    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sites", default="50,100")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--gap", type=float, default=0.005)
    asked.add_argument("--executor", default="process")
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--time-limit", type=float, default=600.0)
    asked.add_argument("--exchangeable", action="store_true")
    said = asked.parse_args()
    shelf = FolderShelf(cache_folder())
    for size in map(int, said.sites.split(",")):
        request = Request(sites=size, seed=said.seed, exchangeable=said.exchangeable)
        region = RegionFile(request=request, rules=RegionRules(seed=said.seed))
        begun = time.perf_counter()
        with open_executor(said.executor, said.workers) as crew:
            crew.run(prepare, [()] * crew.workers, at=range(crew.workers))
            start = time.perf_counter() - begun
            planned = plan_region(region, crew, CoordinatorSettings(gap=said.gap), shelf=shelf)
        plan, begun = planned.plan, time.perf_counter()
        coordinator = planned.coordinator
        program = monolith(
            DrawnSites(request, 0, size).sites(), np.array([card.flexible for card in plan.cards]),
            plan.limits,
            TemplateCache(256, shelf=shelf), alone_kw=coordinator.alone_kw,
            alone_drop_kw=coordinator.alone_droppable_kw, alone_yen=coordinator.alone_yen,
        )  # fmt: skip
        built = time.perf_counter() - begun
        row: dict[str, object] = {
            "sites": size, "columns": len(program.cost), "build_s": round(built, 2),
            "start_s": round(start, 2), "workers": said.workers,
            "coordinated_s": round(planned.total_s, 2), "lower_yen": round(plan.lower_yen, 1),
            "upper_yen": round(plan.upper_yen, 1), "gap": round(plan.gap, 5),
        }  # fmt: skip
        for method in ("ipm", "simplex"):
            best, spent = solved(program, method, said.time_limit)
            row[method] = {
                "yen": round(best, 1), "s": round(spent, 2),
                "times_slower": round((built + spent) / planned.total_s, 2),
                "times_slower_without_building": round(spent / planned.total_s, 2),
                "above": round((plan.upper_yen - best) / abs(best), 6),
                "bound_below": round((best - plan.lower_yen) / abs(best), 6),
            }  # fmt: skip
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    _main()
