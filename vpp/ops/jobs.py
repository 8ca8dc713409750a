"""What keeps a service well, as jobs: alerts every minute, proof of the journal, backups, retention."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import time, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from vpp.jobs.due import Every, at_hours
from vpp.jobs.job import Job, Lane, Outcome, Run
from vpp.ops.alerts import Act, AlertBook
from vpp.ops.alerts_look import DiskSpace, Limits, check_ledger, look
from vpp.ops.alerts_tell import Post, smtp_post, tell_by_mail
from vpp.ops.backup import Rotation, dated_backup
from vpp.ops.config import AlertSettings, OpsSettings
from vpp.ops.retention import apply_rules, load_rules

__all__ = ["disk_of", "limits_of", "ops_jobs"]

_MINUTE: Final = timedelta(minutes=1)
_LEDGER_AT: Final = time(3, 30)


def ops_jobs(
    settings: OpsSettings, *, address: str, folder: Path | None = None, post: Post = smtp_post
) -> tuple[Job, ...]:
    """Jobs of a service, beside those of its sites.

    Parameters
    ----------
    address : str
        Of the store, for its copies and the free space beside it.
    folder : Path, optional
        Of the service's file: relative paths begin there.

    Raises
    ------
    ConfigError
        If the rules of retention cannot be used.
    """
    here = Path() if folder is None else folder
    jobs = [
        Job(
            name="alerts",
            due=Every(_MINUTE),
            function=_alerts(settings.alerts, disk_of(address), post),
            look_back=timedelta(minutes=5),
            longest=timedelta(minutes=5),
        ),
        Job(
            name="ledger-check",
            due=at_hours(_LEDGER_AT),
            function=_ledger,
            lane=Lane.HEAVY,
            longest=timedelta(hours=1),
        ),
    ]
    if settings.backup.folder:
        jobs.append(
            Job(
                name="backup",
                due=at_hours(settings.backup.at),
                function=_backup(settings, address, here / settings.backup.folder),
                lane=Lane.HEAVY,
                longest=timedelta(hours=2),
                retries=(10 * _MINUTE, timedelta(hours=1)),
            )
        )
    if settings.retention.apply:
        jobs.append(
            Job(
                name="retention",
                due=at_hours(settings.retention.at),
                function=_retention(settings, here),
                needs=("backup",),
                lane=Lane.HEAVY,
                longest=timedelta(hours=2),
            )
        )
    return tuple(jobs)


def limits_of(settings: AlertSettings) -> Limits:
    """From when on something is wrong, as the service's file says."""
    return Limits(
        stale=timedelta(minutes=settings.stale_minutes),
        silent=timedelta(minutes=settings.silent_minutes),
        device=timedelta(minutes=settings.device_minutes),
        plan_ahead=timedelta(minutes=settings.plan_minutes),
        backup=timedelta(hours=settings.backup_hours),
        backup_lost=timedelta(hours=settings.backup_hours + 48),
        disk_low=settings.disk_percent / 100,
        disk_full=settings.disk_percent / 300,
    )


def disk_of(address: str) -> DiskSpace | None:
    """Free and total space beside a SQLite file; None for a server, which has a disk of its own."""
    parts = urlsplit(address)
    if parts.scheme != "sqlite" or not parts.path.strip("/"):
        return None
    place = Path(parts.path.removeprefix("/")).absolute().parent

    def space() -> tuple[int, int]:
        found = shutil.disk_usage(place)
        return found.free, found.total

    return space


def _alerts(settings: AlertSettings, disk: DiskSpace | None, post: Post) -> Callable[[Run], Outcome]:
    limits = limits_of(settings)

    def check(run: Run) -> Outcome:
        now = run.clock.now()
        troubles, looked = look(run.store, now, limits=limits, disk=disk)
        events = AlertBook(run.store).review(troubles, now, looked_for=looked)
        mailed = 0 if settings.mail is None else tell_by_mail(run.store, settings.mail, now, post=post)
        counts = {
            "opened": sum(one.act in {Act.OPENED, Act.RAISED} for one in events),
            "cleared": sum(one.act is Act.CLEARED for one in events),
            "mailed": mailed,
        }
        facts = {name: str(count) for name, count in counts.items()}
        return Outcome("alerts", facts, idle=not any(counts.values()))

    return check


def _ledger(run: Run) -> Outcome:
    report = check_ledger(run.store, run.clock.now())
    if report is None:
        return Outcome("ledger_broken")
    return Outcome("ledger_holds", {"entries": str(report.entries), "head": report.head[:12]})


def _backup(settings: OpsSettings, address: str, folder: Path) -> Callable[[Run], Outcome]:
    told = settings.backup
    rotation = Rotation(daily=told.daily, weekly=told.weekly, monthly=told.monthly)

    def make(run: Run) -> Outcome:
        file, dropped = dated_backup(
            run.store, address, folder, clock=run.clock, rotation=rotation, scratch=told.scratch
        )
        facts = {"file": file.name, "dropped": str(len(dropped)), "mb": f"{file.stat().st_size / 1e6:.1f}"}
        return Outcome("backed_up", facts)

    return make


def _retention(settings: OpsSettings, here: Path) -> Callable[[Run], Outcome]:
    own = settings.retention.rules
    rules = load_rules(here / own if own else None)

    def keep(run: Run) -> Outcome:
        went = apply_rules(
            run.store, rules, run.clock.now(), actor=run.actor, go_on=lambda: not run.stopping.is_set()
        )
        count, held = sum(one.count for one in went), sum(bool(one.held) for one in went)
        return Outcome("retained", {"count": str(count), "held": str(held)}, idle=not went)

    return keep
