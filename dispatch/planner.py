"""The planner: never without a plan. Optimal, else the best found, else the last plan moved on, else rules.

Each step is named in ``plan.source``, logged and counted; no plan leaves before :mod:`dispatch.checks`
passed it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from dispatch.assemble import Origin, assemble
from dispatch.checks import check_plan, require_valid
from dispatch.fill import TieBreaks, structure_of
from dispatch.optimise import Answer, Solver, optimise
from dispatch.rules import rules_plan
from dispatch.shift import shifted_schedule
from dispatch.solve import SolverSettings, solve
from dispatch.templates import TemplateCache
from dispatch.validate import require_sound
from energy.core.plan import Plan, PlanSource, Problem

__all__ = ["Planner", "PlannerOptions"]

log = logging.getLogger(__name__)

_PROMISED = frozenset({"departure", "contract"})  # what a moved plan must not miss


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerOptions:
    """How plans are made.

    Parameters
    ----------
    peak_quantile_share : float
        How far the peak leaves room for forecast errors: 0 trusts the median, 1 leaves room up to P90.
        Chosen on weeks that are not shown anywhere else (docs/explanation/planning.md). [-]
    solver : SolverSettings
        Time limit and gaps.
    ties : TieBreaks
        Very small prices that choose among equals.
    templates : int
        How many compiled site structures are kept.
    """

    peak_quantile_share: float = 0.9
    solver: SolverSettings = field(default_factory=SolverSettings)
    ties: TieBreaks = field(default_factory=TieBreaks)
    templates: int = 16


class Planner:
    """Makes plans; keeps compiled templates and counts where plans came from, and nothing else.

    The same problem gives the same plan, whatever was planned before (but for ``solve_ms``).

    Parameters
    ----------
    options : PlannerOptions
        How plans are made.
    solver : callable
        As :func:`dispatch.solve.solve`; a :class:`dispatch.solve.WarmSolver` is faster and remembers.
    templates : TemplateCache, optional
        Where compiled structures come from; an empty one of ``options.templates`` places unless given.

    Attributes
    ----------
    counts : Counter
        Plans by source, and refused ones by ``refused_<source>``.
    """

    def __init__(
        self,
        options: PlannerOptions | None = None,
        *,
        solver: Solver = solve,
        templates: TemplateCache | None = None,
    ) -> None:
        self.options = options or PlannerOptions()
        self.counts: Counter[str] = Counter()
        self.templates = templates or TemplateCache(self.options.templates)
        self._solver = solver

    def plan(self, problem: Problem, *, previous: Plan | None = None) -> Plan:
        """Plan a problem.

        Parameters
        ----------
        previous : Plan, optional
            Plan in force, moved on if the optimiser has no answer.

        Raises
        ------
        DataError
            If the problem cannot be planned at all: missing numbers, a promise above the ceiling and the
            like.
        InvalidPlanError
            If even the rule-based plan breaks a hard limit.
        """
        require_sound(problem)
        for plan in self._attempts(problem, previous):
            violations = check_plan(problem, plan)
            if not violations:
                self.counts[plan.source] += 1
                log.info(
                    "plan.made site=%s source=%s gap=%s ms=%.0f shortfalls=%d",
                    plan.site, plan.source, plan.gap, plan.solve_ms, len(plan.shortfalls),
                )  # fmt: skip
                return plan
            self.counts[f"refused_{plan.source}"] += 1
            log.warning("plan.refused site=%s source=%s first=%s", plan.site, plan.source, violations[0])
        fallback = rules_plan(
            problem, peak_quantile_share=self.options.peak_quantile_share, note="no optimised plan in time"
        )
        log.warning("plan.fallback site=%s source=%s", fallback.site, fallback.source)
        self.counts[PlanSource.RULES] += 1
        return require_valid(problem, fallback)

    def _attempts(self, problem: Problem, previous: Plan | None) -> Iterator[Plan]:
        answer = self._optimise(problem)
        if answer is not None:
            yield assemble(problem, answer.schedule, self._origin(answer))
        if previous is not None:
            moved = shifted_schedule(problem, previous)
            if moved is not None:
                origin = Origin(
                    source=PlanSource.SHIFTED,
                    peak_quantile_share=self.options.peak_quantile_share,
                    note=f"the plan of {previous.made_at.isoformat()} moved on",
                )
                plan = assemble(problem, moved, origin)
                if not any(short.kind in _PROMISED for short in plan.shortfalls):
                    yield plan

    def _optimise(self, problem: Problem) -> Answer | None:
        return optimise(
            problem,
            self.templates.of(structure_of(problem)),
            self.options.solver,
            peak_quantile_share=self.options.peak_quantile_share,
            ties=self.options.ties,
            solver=self._solver,
            whole=self.templates.of,
        )

    def _origin(self, answer: Answer) -> Origin:
        return Origin(
            source=PlanSource.OPTIMAL if answer.optimal else PlanSource.INCUMBENT,
            peak_quantile_share=self.options.peak_quantile_share,
            gap=answer.gap,
            solve_ms=answer.solve_ms,
            peak_dual=answer.peak_dual,
        )
