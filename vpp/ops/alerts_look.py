"""What is looked for: each condition reads the store and gives the troubles it finds.

No condition asks once per site, device or job: a thousand sites take as many questions as one.

A condition that cannot be looked at is logged and left out: its alerts stay as they are, and the others are
looked at all the same.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from energy.core.errors import BrokenChainError, VppError
from energy.core.slots import JST, SLOT_LENGTH, Slot
from energy.core.units import series_id
from energy.ledger import Journal, VerifyReport
from energy.market.deadlines import PlanWindow, submission
from energy.store import Across, Snapshot, Store
from forecasting.drift import Standing
from vpp.forecasts.watch import STANDING
from vpp.jobs.job import RunState
from vpp.ops.alerts import Kind, Level, Trouble
from vpp.ops.backup import BACKUP
from vpp.settlement.plan_book import PlanBook, PlanState, PlanVersion
from vpp.site.minutes import COUNTER, MINUTE, POWER
from vpp.site.sitebook import ASSETS, SITE, kept_sites, read_site
from vpp.views.monitor import Level as Demand
from vpp.views.monitor import demand_from, targets_at

__all__ = [
    "CONDITIONS",
    "LEDGER_CHECK",
    "DiskSpace",
    "Heard",
    "Limits",
    "check_ledger",
    "heard_sites",
    "look",
    "watched_sites",
]

log = logging.getLogger(__name__)

LEDGER_CHECK: Final = "ledger-check"
"""Kind of the document that says what the last look at the journal found; key ``journal``."""
_LIVE: Final = timedelta(hours=2)
_HALF_HOURS: Final = timedelta(minutes=90)
_DONE: Final = frozenset({PlanState.SUBMITTED, PlanState.ACCEPTED})
_ENDED: Final = frozenset(RunState) - {RunState.WAITING, RunState.RUNNING}
DiskSpace = Callable[[], tuple[int, int]]
"""Free and total space where the store writes. [bytes]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From when on something is wrong.

    Parameters
    ----------
    stale, silent : timedelta
        Age of a site's newest minute that is a warning, and an alarm.
    device : timedelta
        Age of a device's newest minute while its site is heard.
    plan_ahead : timedelta
        A plan that is not handed in so long before its deadline is late.
    jobs : timedelta
        The supervisor has not been seen for so long.
    backup, backup_lost : timedelta
        Age of the newest backup that is a warning, and an alarm.
    disk_low, disk_full : float
        Share of the disk that is free: a warning, and an alarm below it. [-]
    """

    stale: timedelta = timedelta(minutes=5)
    silent: timedelta = timedelta(minutes=30)
    device: timedelta = timedelta(minutes=10)
    plan_ahead: timedelta = timedelta(minutes=60)
    jobs: timedelta = timedelta(minutes=5)
    backup: timedelta = timedelta(hours=26)
    backup_lost: timedelta = timedelta(hours=74)
    disk_low: float = 0.10
    disk_full: float = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What a condition may look at."""

    store: Store
    known: Snapshot
    across: Across
    now: datetime
    limits: Limits
    disk: DiskSpace | None


def look(
    store: Store, now: datetime, *, limits: Limits | None = None, disk: DiskSpace | None = None
) -> tuple[list[Trouble], frozenset[Kind]]:
    """What is wrong now, and what was really looked for."""
    view = _View(
        store=store,
        known=store.as_of(now),
        across=store.across(now),
        now=now,
        limits=limits or Limits(),
        disk=disk,
    )
    troubles: list[Trouble] = []
    looked: set[Kind] = set()
    for kind, condition in CONDITIONS.items():
        if kind is Kind.DISK_LOW and disk is None:
            continue
        try:
            troubles += condition(view)
        except (VppError, OSError, ValueError) as error:
            log.warning(
                "alert.not_looked", extra={"facts": {"kind": kind.value, "why": type(error).__name__}}
            )
            continue
        looked.add(kind)
    return troubles, frozenset(looked)


def check_ledger(store: Store, at: datetime) -> VerifyReport | None:
    """Prove the journal and write down what was found; None if it does not hold.

    The head that an earlier look found must still be in the chain: entries cut off at the end are noticed.
    """
    before = store.as_of(at).document(LEDGER_CHECK, "journal")
    told = {} if before is None else json.loads(before.body)
    since = VerifyReport(told["entries"], told["head"]) if told.get("head") else None
    try:
        report = Journal(store).verify(since=since)
    except BrokenChainError as error:
        log.error("ledger.broken", extra={"facts": {"number": error.details.get("number")}})
        kept = {"entries": told.get("entries", 0), "head": told.get("head", "")}
        body = {**kept, "fault": error.what, "where": error.where}
        store.put_document(LEDGER_CHECK, "journal", known_at=at, body=json.dumps(body))
        return None
    body = {
        "entries": report.entries,
        "head": report.head if report.entries else "",
        "fault": "",
        "where": "",
    }
    store.put_document(LEDGER_CHECK, "journal", known_at=at, body=json.dumps(body))
    return report


@dataclass(frozen=True, slots=True)
class Heard:
    """When the meter of a site was last heard, and whether it speaks every minute."""

    at: datetime
    every_minute: bool


def heard_sites(across: Across) -> dict[str, Heard]:
    """By site when its meter was last heard; sites that are not fed live are left out.

    A series whose newest value became known hours after its instant is imported, not measured live: that it
    is old is no news.
    """
    found: dict[str, Heard] = {}
    for name, minutes in ((COUNTER, True), (POWER, True), (("meter", "import_kwh"), False)):
        for series, newest in across.latest("/" + "/".join(name)).items():
            if newest.known_at - newest.at <= _LIVE:
                found.setdefault(str(series).split("/")[0], Heard(newest.known_at, minutes))
    return found


def watched_sites(known: Snapshot) -> list[str]:
    """Sites that are named or configured."""
    named = {document.key for document in known.documents(ASSETS)}
    return sorted(named | set(kept_sites(known)))


def _data_stale(view: _View) -> Iterator[Trouble]:
    heard_by_site = heard_sites(view.across)
    for site in watched_sites(view.known):
        heard = heard_by_site.get(site)
        if heard is None:
            continue
        age, least = view.now - heard.at, view.limits.stale if heard.every_minute else _HALF_HOURS
        if age > least:
            level = Level.ALARM if age > max(least, view.limits.silent) else Level.WARNING
            facts = {"site": site, "since": _clock(heard.at)}
            yield Trouble(kind=Kind.DATA_STALE, subject=site, level=level, facts=facts)


def _device_lost(view: _View) -> Iterator[Trouble]:
    heard_by_site, devices = heard_sites(view.across), _devices(view.across)
    for site in watched_sites(view.known):
        heard = heard_by_site.get(site)
        if heard is None or not heard.every_minute or view.now - heard.at > view.limits.stale:
            continue  # the whole site is silent: that is told once, not for each device
        for asset, last in sorted(devices.get(site, {}).items()):
            if view.now - last > view.limits.device:
                facts = {"site": site, "asset": asset, "since": _clock(last)}
                yield Trouble(kind=Kind.DEVICE_LOST, subject=f"{site}/{asset}", facts=facts)


def _devices(across: Across) -> dict[str, dict[str, datetime]]:
    """By site when each of its devices that speak every minute was last heard."""
    found: dict[str, dict[str, datetime]] = {}
    for quantity in ("power_kw", "generation_kw", "now_c"):
        for name, newest in across.latest(f"/{quantity}").items():
            parts = str(name).split("/")
            if len(parts) == 3 and parts[1] != "meter" and newest.known_at - newest.at <= _LIVE:
                own = found.setdefault(parts[0], {})
                own[parts[1]] = max(newest.known_at, own.get(parts[1], newest.known_at))
    return found


def _target_at_risk(view: _View) -> Iterator[Trouble]:
    sites = [read_site(document.body) for document in view.known.documents(SITE)]
    since, until = Slot.containing(view.now).start - SLOT_LENGTH, view.now + MINUTE
    counter, power = (view.across.values("/" + "/".join(name), since, until) for name in (COUNTER, POWER))
    targets = targets_at(view.across, sites, view.now)
    for site in sites:
        told = demand_from(
            site,
            view.now,
            target_kw=targets[site.id],
            counter=counter.get(series_id(site.id, *COUNTER), ()),
            power=power.get(series_id(site.id, *POWER), ()),
        )
        if told.level in {Demand.ALARM, Demand.OVER} and told.projected_kw is not None:
            facts = {
                "site": str(site.id),
                "projected": f"{told.projected_kw:.1f}",
                "target": f"{told.target_kw:.1f}",
                "minutes": str(math.ceil(told.left_min)),
            }
            over = told.projected_kw > told.contract_kw
            level = Level.ALARM if over else Level.WARNING
            yield Trouble(kind=Kind.TARGET_AT_RISK, subject=str(site.id), level=level, facts=facts)


def _plan_late(view: _View) -> Iterator[Trouble]:
    book = PlanBook(view.store)
    today = view.now.astimezone(JST).date()
    usual: dict[str, PlanVersion] = {}
    for back in range(8):
        for one in book.day((today - timedelta(days=back)).isoformat()):
            if one.state in _DONE:
                usual[one.plan.key.split("/", 1)[1]] = one
    for day in (today, today + timedelta(days=1)):
        made = {one.plan.key.split("/", 1)[1]: one for one in book.day(day.isoformat())}
        window = submission(day, view.now)
        for key in sorted({*usual, *made}):
            version = made.get(key)
            if version is not None and version.state in _DONE:
                continue
            missed = window.window is not PlanWindow.NEXT_DAY
            due = window.finish_by
            if window.window is PlanWindow.OVER or (
                not missed and due is not None and view.now < due - view.limits.plan_ahead
            ):
                continue
            facts = {
                "plan": key,
                "day": f"{day:%m-%d}",
                "state": "missing" if version is None else version.state.value,
                "due": "" if missed or due is None else _clock(due),
            }
            level = Level.ALARM if missed else Level.WARNING
            yield Trouble(kind=Kind.PLAN_LATE, subject=f"{day.isoformat()}/{key}", level=level, facts=facts)


def _forecast_demoted(view: _View) -> Iterator[Trouble]:
    for document in view.known.documents(STANDING):
        standing = Standing.from_json(document.body)
        if not standing.model_in_use:
            site, _, target = document.key.partition("/")
            facts = {"site": site, "target": target, "since": _clock(standing.since)}
            yield Trouble(kind=Kind.FORECAST_DEMOTED, subject=document.key, facts=facts)


def _ledger_broken(view: _View) -> Iterator[Trouble]:
    document = view.known.document(LEDGER_CHECK, "journal")
    told = {} if document is None else json.loads(document.body)
    if told.get("fault"):
        yield Trouble(kind=Kind.LEDGER_BROKEN, level=Level.ALARM, facts={"fault": told["fault"]})


def _job_failed(view: _View) -> Iterator[Trouble]:
    for newest in view.across.last_runs(_ENDED):
        if newest.state == RunState.FAILED:
            facts = {"job": f"{newest.job} {newest.subject}".strip(), "at": _clock(newest.due_at)}
            yield Trouble(kind=Kind.JOB_FAILED, subject=f"{newest.job}/{newest.subject}", facts=facts)


def _jobs_stopped(view: _View) -> Iterator[Trouble]:
    seen = max((job.seen_at for job in view.store.rows.jobs.find()), default=None)
    if seen is not None and view.now - seen > view.limits.jobs:
        yield Trouble(kind=Kind.JOBS_STOPPED, level=Level.ALARM, facts={"since": _clock(seen)})


def _backup_old(view: _View) -> Iterator[Trouble]:
    document = view.known.document(BACKUP, "store")
    if document is None:  # a new service gets as long as a backup may be old
        facts = {"since": "-"}
        yield Trouble(kind=Kind.BACKUP_OLD, facts=facts, raise_after=view.limits.backup)
        return
    made_at = datetime.fromisoformat(json.loads(document.body)["made_at"])
    age = view.now - made_at
    if age > view.limits.backup:
        level = Level.ALARM if age > view.limits.backup_lost else Level.WARNING
        yield Trouble(kind=Kind.BACKUP_OLD, level=level, facts={"since": _clock(made_at)})


def _disk_low(view: _View) -> Iterator[Trouble]:
    if view.disk is None:
        return
    free, total = view.disk()
    share = free / total if total else 0.0
    if share < view.limits.disk_low:
        level = Level.ALARM if share < view.limits.disk_full else Level.WARNING
        facts = {"percent": f"{100 * share:.0f}", "gb": f"{free / 1e9:.1f}"}
        yield Trouble(kind=Kind.DISK_LOW, level=level, facts=facts)


def _clock(at: datetime) -> str:
    """An instant as people here read it."""
    return f"{at.astimezone(JST):%m-%d %H:%M}"


CONDITIONS: Final[Mapping[Kind, Callable[[_View], Iterator[Trouble]]]] = MappingProxyType(
    {
        Kind.DATA_STALE: _data_stale,
        Kind.DEVICE_LOST: _device_lost,
        Kind.TARGET_AT_RISK: _target_at_risk,
        Kind.PLAN_LATE: _plan_late,
        Kind.FORECAST_DEMOTED: _forecast_demoted,
        Kind.LEDGER_BROKEN: _ledger_broken,
        Kind.JOB_FAILED: _job_failed,
        Kind.JOBS_STOPPED: _jobs_stopped,
        Kind.BACKUP_OLD: _backup_old,
        Kind.DISK_LOW: _disk_low,
    }
)
"""What is looked for, by kind."""
