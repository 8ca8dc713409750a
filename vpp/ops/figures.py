"""Figures of a service that stand in its store: how old data and backups are, what is wrong, what waits."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Protocol

from energy.store import Store
from vpp.jobs.job import RunState
from vpp.ops.alerts import AlertBook
from vpp.ops.alerts_look import DiskSpace, heard_sites, watched_sites
from vpp.ops.backup import BACKUP

__all__ = ["Figures", "Value", "read_figures"]

_SECOND = timedelta(seconds=1)


class Value(Protocol):
    """A figure that can be set, with labels or without."""

    def set(self, value: float) -> None:
        """Set it."""
        ...

    def labels(self, *labels: str) -> Value:
        """The one of these labels."""
        ...

    def clear(self) -> None:
        """Forget all labels."""
        ...


class Figures(Protocol):
    """Where they go (:class:`vpp.http.metrics.Metrics`)."""

    @property
    def data_age(self) -> Value:
        """Age of the newest reading, by site. [s]"""
        ...

    @property
    def alerts(self) -> Value:
        """Open alerts, by kind and level."""
        ...

    @property
    def unseen(self) -> Value:
        """Alerts that nobody has acknowledged."""
        ...

    @property
    def backup_age(self) -> Value:
        """Age of the newest backup. [s]"""
        ...

    @property
    def jobs_age(self) -> Value:
        """Since the jobs were last looked at. [s]"""
        ...

    @property
    def jobs_failed(self) -> Value:
        """Jobs whose last run failed."""
        ...

    @property
    def journal(self) -> Value:
        """Entries of the journal."""
        ...

    @property
    def free(self) -> Value:
        """Free space beside the database. [B]"""
        ...


def read_figures(store: Store, now: datetime, figures: Figures, *, disk: DiskSpace | None = None) -> None:
    """Read all of them; what is not known is NaN, never zero."""
    known = store.as_of(now)
    figures.data_age.clear()
    heard = heard_sites(store.across(now))
    for site in watched_sites(known):
        if site in heard:
            figures.data_age.labels(site).set((now - heard[site].at) / _SECOND)
    alerts = AlertBook(store).alerts()
    figures.alerts.clear()
    for one in alerts:
        same = [other for other in alerts if (other.kind, other.level) == (one.kind, one.level)]
        figures.alerts.labels(one.kind.value, one.level.value).set(len(same))
    figures.unseen.set(sum(one.seen_at is None for one in alerts))
    document = known.document(BACKUP, "store")
    made = None if document is None else datetime.fromisoformat(json.loads(document.body)["made_at"])
    figures.backup_age.set(float("nan") if made is None else (now - made) / _SECOND)
    jobs = store.rows.jobs.find()
    seen = max((job.seen_at for job in jobs), default=None)
    figures.jobs_age.set(float("nan") if seen is None else (now - seen) / _SECOND)
    last = store.across(now).last_runs(tuple(RunState))
    figures.jobs_failed.set(sum(run.state == RunState.FAILED for run in last))
    head = store.journal.head()
    figures.journal.set(0 if head is None else head.number)
    figures.free.set(float("nan") if disk is None else disk()[0])
