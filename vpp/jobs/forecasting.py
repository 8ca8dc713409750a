"""Jobs around forecasts: measuring looked at, models of the day, who speaks, issues at their hours."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from threading import Lock
from typing import Final

import numpy as np

from energy.core.series import Grid, Unit
from energy.core.site import Site
from energy.core.slots import JST, SLOTS_PER_DAY, Slot, jst_midnight
from energy.store import Store
from vpp.forecasts.desk import ForecastDesk
from vpp.forecasts.issued import WEEK_HOUR, Horizon, latest_issued
from vpp.forecasts.watch import standing_of
from vpp.jobs.job import NotYetError, Outcome, Run
from vpp.site.ahead import ahead_of
from vpp.site.recorder import SiteSeries

__all__ = ["SiteDesks", "check_measuring", "check_plan"]

_SOON: Final = timedelta(minutes=3)  # a half hour is closed by then, or something is wrong


class SiteDesks:
    """One forecast desk per site, used by one job at a time: a desk keeps the models of its day.

    Parameters
    ----------
    make : callable
        Gives the desk of a site; a new one unless a running site has its own.
    """

    def __init__(
        self, store: Store, sites: dict[str, Site], make: Callable[[str], ForecastDesk] | None = None
    ) -> None:
        self._make = make or (lambda site: ForecastDesk(sites[site], store))
        self._desks: dict[str, ForecastDesk] = {}
        self._locks = {site: Lock() for site in sites}

    def _held(self, site: str) -> tuple[AbstractContextManager[bool], ForecastDesk]:
        if site not in self._desks:
            self._desks[site] = self._make(site)
        return self._locks[site], self._desks[site]

    def intraday(self, run: Run) -> Outcome:
        """The next hours, once a slot; nothing where the site's own loop has issued them."""
        return self._issue(run, (Horizon.INTRADAY,))

    def day_ahead(self, run: Run) -> Outcome:
        """Tomorrow at its hours, and the week at the first of them."""
        at_nine = run.due_at.astimezone(JST).hour == WEEK_HOUR
        return self._issue(run, (Horizon.DAY_AHEAD, Horizon.WEEK) if at_nine else (Horizon.DAY_AHEAD,))

    def _issue(self, run: Run, horizons: tuple[Horizon, ...]) -> Outcome:
        lock, desk = self._held(run.subject)
        with lock:
            now = run.clock.now()
            since = Slot.containing(run.due_at).start
            known = run.store.as_of(now)
            missing = []
            for target in desk.methods:
                for horizon in horizons:
                    newest = latest_issued(known, run.subject, target, horizon)
                    if newest is None or newest.issued_at < since:
                        missing.append((horizon, target))
            if not missing:
                return Outcome("issued_already", idle=True)
            desk.prepare(now)

            def write() -> Outcome:
                issued = [desk.keep_one(horizon, now, target) for horizon, target in missing]
                methods = sorted({one.model for one in issued})
                return Outcome("issued", {"count": str(len(issued)), "models": ", ".join(methods)})

            return run.once(write)

    def models(self, run: Run) -> Outcome:
        """The models of the day: fitted, held against the gate, released or refused."""
        lock, desk = self._held(run.subject)
        with lock:
            now = run.clock.now()
            due = desk.registry.due(now)
            if not due:  # the running site's own desk has them
                return Outcome("models_stand", idle=True)
            desk.prepare(now)
            known = run.store.as_of(now)
            released = [desk.registry.release(known, one.target) for one in due]
            refused = sum(1 for one in released if one and one.gate and not one.gate.released)
            facts = {"count": str(len(due)), "refused": str(refused)}
            return Outcome("models_refused" if refused else "models", facts)

    def drift(self, run: Run) -> Outcome:
        """Whether the model or the rule of thumb speaks today."""
        lock, desk = self._held(run.subject)
        with lock:
            now = run.clock.now()
            midnight = jst_midnight(now.astimezone(JST).date())
            before = {name: standing_of(run.store.as_of(now), run.subject, name) for name in desk.methods}
            after = {name: desk.watch.of_day(name, midnight, now) for name in desk.methods}
        by_rule = sorted(name for name, one in after.items() if not one.model_in_use)
        if by_rule:
            return Outcome("rule_speaks", {"targets": ", ".join(by_rule)}, attention=True)
        back = any(one is not None and not one.model_in_use for one in before.values())
        return Outcome("models_speak", idle=not back)


def check_measuring(run: Run) -> Outcome:
    """Whether the meter's half hours of the last day are there; the last one may still be on its way."""
    now = run.clock.now()
    end = Slot.containing(now).start
    grid = Grid(end - timedelta(days=1), SLOTS_PER_DAY)
    known = run.store.as_of(now)
    meter = SiteSeries(run.subject)["meter", "import_kwh"]
    span = known.span(meter)
    if span is None:
        return Outcome("never_measured", attention=True)
    values = known.series(meter, grid, Unit.KWH).values
    missing = [k for k in np.flatnonzero(np.isnan(values)).tolist() if grid.time(k) >= span[0]]
    if SLOTS_PER_DAY - 1 in missing and now - end < _SOON:
        raise NotYetError(
            "the last half hour is not there yet", where=f"site {run.subject}", hint="look at the meter"
        )
    if not missing:
        return Outcome("measured", idle=True)
    facts = {"count": str(len(missing)), "since": grid.time(missing[0]).isoformat()}
    return Outcome("gaps", facts, attention=True)


def check_plan(run: Run) -> Outcome:
    """Whether the half hour that runs has a plan; the loop of a running site makes it."""
    now = run.clock.now()
    slot = Slot.containing(now).start
    ahead = ahead_of(run.store.as_of(now), run.subject, now)
    if ahead is not None and ahead.start == slot:
        return Outcome("planned", {"source": ahead.source}, idle=True)
    if now - slot < _SOON:
        raise NotYetError("no plan yet", where=f"site {run.subject}", hint="is the site running?")
    if ahead is None:
        return Outcome("not_planned", attention=True)
    return Outcome("planned_late", {"since": ahead.start.isoformat()}, attention=True)
