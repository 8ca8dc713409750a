"""The jobs of every service, put together from its sites and settings; nothing about them is said twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from energy.core.errors import ConfigError
from energy.core.site import Site
from energy.core.slots import SLOT_LENGTH
from energy.store import Store
from vpp.forecasts.desk import ForecastDesk
from vpp.forecasts.issued import DAY_AHEAD_HOURS
from vpp.jobs import figures, forecasting, market, money, rooms
from vpp.jobs.book import RunBook
from vpp.jobs.config import JobSettings
from vpp.jobs.due import Every, at_hours, each_month
from vpp.jobs.job import Job, Lane, Misfire, Outcome, Run
from vpp.ops.webhooks import Send, http_send, tell_all
from vpp.settlement.month import MonthTerms
from vpp.site.rooms import LEARN_HOUR

__all__ = ["standard_jobs"]

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)


def standard_jobs(
    store: Store,
    sites: Sequence[Site],
    settings: JobSettings | None = None,
    *,
    terms: Mapping[str, MonthTerms] | None = None,
    desks: Callable[[str], ForecastDesk] | None = None,
    planners: Mapping[str, Callable[[Run], Outcome]] | None = None,
    more: Sequence[Job] = (),
    webhook_hosts: tuple[str, ...] = (),
    send: Send = http_send,
) -> tuple[Job, ...]:
    """What a service does again and again.

    Parameters
    ----------
    terms : mapping of str to MonthTerms
        Points and prices by site, for settlements.
    desks : callable
        Gives the forecast desk of a running site, so that no model is fitted twice; a new one if none.
    planners : mapping of str to callable
        Makes the plan of a site's half hour; where none is given, the job says whether there is a plan.
    more : sequence of Job
        What only this service does; one of the same name takes the place of a standard one.
    webhook_hosts : tuple of str
        Hosts of the own network that webhooks may call.

    Raises
    ------
    ConfigError
        If a job that is to be switched off does not exist.
    """
    told = settings or JobSettings()
    by_id = {site.id: site for site in sites}
    names = tuple(by_id)
    made = [
        *_watching(names, planners or {}),
        *_forecasting(store, by_id, desks),
        *_learning(by_id),
        *_gates(told),
        *_money(by_id, terms or {}, told),
        *_rest(told, webhook_hosts, send),
    ]
    own = {job.name for job in more}
    jobs = [job for job in made if job.name not in own and (names or job.subjects == ("",))]
    jobs += more
    for name in told.off:
        if name not in {job.name for job in (*made, *more)}:
            known = sorted(job.name for job in (*made, *more))
            near = get_close_matches(name, known, n=1)
            raise ConfigError(
                f"no job {name!r}",
                where=f"jobs.off: known are {', '.join(known)}",
                hint=f"did you mean {near[0]!r}?" if near else "take it out",
            )
    return tuple(job for job in jobs if job.name not in told.off)


def _watching(names: tuple[str, ...], planners: Mapping[str, Callable[[Run], Outcome]]) -> list[Job]:
    """Readings and plans of each half hour; both may come a little after it begins."""

    def plan(run: Run) -> Outcome:
        return planners.get(run.subject, forecasting.check_plan)(run)

    soon = (timedelta(seconds=10), timedelta(seconds=30), _MINUTE, 2 * _MINUTE)
    slots = Every(SLOT_LENGTH)
    return [
        Job(name="measure", subjects=names, due=slots, function=forecasting.check_measuring, retries=soon),
        Job(
            name="plan",
            subjects=names,
            due=slots,
            function=plan,
            needs=("forecast",),
            misfire=Misfire.SKIP,
            useful_for=SLOT_LENGTH,
            patience=_MINUTE,
            retries=soon,
        ),
    ]


def _forecasting(
    store: Store, sites: dict[str, Site], make: Callable[[str], ForecastDesk] | None
) -> list[Job]:
    desks, names = forecasting.SiteDesks(store, sites, make), tuple(sites)
    hours = tuple(time(hour) for hour in DAY_AHEAD_HOURS)
    heavy = {"lane": Lane.HEAVY, "longest": timedelta(minutes=20)}
    return [
        Job(
            name="models",
            subjects=names,
            due=at_hours(time(0, 5)),
            function=desks.models,
            needs=("measure",),
            retries=(10 * _MINUTE, timedelta(hours=1)),
            **heavy,  # type: ignore[arg-type]
        ),
        Job(
            name="drift",
            subjects=names,
            due=at_hours(time(0, 10)),
            function=desks.drift,
            needs=("models",),
            **heavy,  # type: ignore[arg-type]
        ),
        Job(
            name="forecast",
            subjects=names,
            due=Every(SLOT_LENGTH),
            function=desks.intraday,
            needs=("measure", "models"),
            misfire=Misfire.SKIP,
            useful_for=SLOT_LENGTH,
            patience=5 * _MINUTE,
            **heavy,  # type: ignore[arg-type]
        ),
        Job(
            name="forecast-day",
            subjects=names,
            due=at_hours(*hours),
            function=desks.day_ahead,
            needs=("measure", "models", "drift"),
            misfire=Misfire.SKIP,
            useful_for=timedelta(hours=12),
            patience=10 * _MINUTE,
            **heavy,  # type: ignore[arg-type]
        ),
    ]


def _learning(sites: dict[str, Site]) -> list[Job]:
    """Rooms that learn, where there are any; a night that was missed is the next night's."""
    names = tuple(site.id for site in sites.values() if any(zone.learn for zone in site.zones))
    if not names:
        return []
    return [
        Job(
            name="rooms",
            subjects=names,
            due=at_hours(time(LEARN_HOUR)),
            function=rooms.learn(sites),
            needs=("measure",),
            longest=timedelta(minutes=20),
            retries=(10 * _MINUTE, timedelta(hours=1)),
            lane=Lane.HEAVY,
        )
    ]


def _gates(told: JobSettings) -> list[Job]:
    warn = timedelta(minutes=told.warn_minutes)
    drafts = Path(told.folder) / "plan-drafts" if told.folder else None
    return [
        Job(
            name="gate-next-day",
            due=market.next_day_gate_due(warn),
            function=market.next_day_gate(told.drafts, drafts),
            needs=("plan", "forecast-day"),
            misfire=Misfire.SKIP,
            useful_for=warn,
            patience=_MINUTE,
        ),
        Job(
            name="gate-same-day",
            due=market.same_day_gate_due(),
            function=market.same_day_gate,
            misfire=Misfire.SKIP,
            useful_for=5 * _MINUTE,
        ),
    ]


def _money(sites: dict[str, Site], terms: Mapping[str, MonthTerms], told: JobSettings) -> list[Job]:
    folder = Path(told.folder) if told.folder else None
    names = tuple(sites)
    days = (timedelta(hours=1), timedelta(hours=6), _DAY, 2 * _DAY)  # readings may come late
    jobs = [
        Job(
            name="settle-points",
            subjects=names,
            due=Every(SLOT_LENGTH, offset=5 * _MINUTE),
            function=money.settle_tight_events(sites, terms),
            needs=("measure", "plan"),
        ),
        Job(
            name="settle-events",
            due=Every(SLOT_LENGTH, offset=5 * _MINUTE),
            function=money.settle_dr_events(sites, told.dr_yen_per_kwh),
            needs=("measure", "plan"),
        ),
        Job(
            name="settle-month",
            subjects=names,
            due=each_month(1, time(5, 0)),
            function=money.settle_month(sites, terms, area=told.area, voltage=told.voltage),
            needs=("measure", "settle-points", "settle-events"),
            misfire=Misfire.LATE,
            look_back=100 * _DAY,
            retries=days,
            lane=Lane.HEAVY,
        ),
        Job(
            name="expire-points",
            due=at_hours(time(0, 20)),
            function=money.expire,
            needs=("settle-points", "settle-events"),
        ),
        Job(
            name="points-batch",
            due=at_hours(told.batch_at),
            function=money.points_batch(None if folder is None else folder / "points"),
            needs=("settle-points", "settle-events"),
        ),
    ]
    if folder is not None and told.forecasts:
        jobs.append(
            Job(
                name="deliver-forecasts",
                due=at_hours(*(time(hour) for hour in DAY_AHEAD_HOURS)),
                function=market.deliver_forecasts(told.forecasts, folder / "forecasts"),
                needs=("forecast-day",),
                misfire=Misfire.SKIP,
                useful_for=timedelta(hours=12),
                patience=timedelta(minutes=30),
                lane=Lane.HEAVY,
            )
        )
    return jobs


def _rest(told: JobSettings, hosts: tuple[str, ...], send: Send) -> list[Job]:
    def tell(run: Run) -> Outcome:
        arrived, failed = tell_all(run.store, run.clock, send=send, allowed=hosts)
        facts = {"arrived": str(arrived), "failed": str(failed)}
        return Outcome("told", facts) if arrived or failed else Outcome("told_nothing", idle=True)

    def forget(run: Run) -> Outcome:
        book = RunBook(run.store, run.clock, run.actor)
        before = run.clock.now() - timedelta(days=told.keep_history_days)
        count = book.forget(before)
        return Outcome("forgotten" if count else "forgotten_nothing", {"count": str(count)}, idle=not count)

    return [
        Job(name="webhooks", due=Every(timedelta(seconds=15)), function=tell, look_back=timedelta(hours=1)),
        Job(name="history", due=at_hours(time(3, 40)), function=forget),
        Job(
            name="figures",
            due=Every(SLOT_LENGTH, offset=12 * _MINUTE),
            function=figures.work_out,
            needs=("forecast-day",),
            longest=timedelta(minutes=20),
            lane=Lane.HEAVY,
        ),
    ]
