"""What Prometheus reads: counts and times by route, ages and troubles by site, never by person."""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

__all__ = ["METRICS_TYPE", "Metrics"]

METRICS_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (0.005, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Metrics:
    """Counters of one app, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "vpp_http_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "vpp_http_seconds", "Time to answer. [s]", ("route",), buckets=_SECONDS, registry=self.registry
        )
        self.running = Gauge("vpp_http_running", "Requests being answered now.", registry=self.registry)
        self.refused = Counter(
            "vpp_http_refused", "Requests refused by the table of rights.", ("why",), registry=self.registry
        )
        self.webhooks = Counter(
            "vpp_webhook_messages", "Messages to webhooks.", ("outcome",), registry=self.registry
        )

        self._of_the_store()

    def _of_the_store(self) -> None:
        """Figures that are read from the store when they are asked for (:mod:`vpp.ops.figures`)."""

        def gauge(name: str, what: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(name, what, labels, registry=self.registry)

        self.data_age = gauge(
            "vpp_data_age_seconds", "Age of the newest reading of a site's meter. [s]", ("site",)
        )
        self.alerts = gauge("vpp_alerts_open", "Alerts going on.", ("kind", "level"))
        self.unseen = gauge("vpp_alerts_unseen", "Alerts that nobody has acknowledged.")
        self.backup_age = gauge("vpp_backup_age_seconds", "Age of the newest backup. [s]")
        self.jobs_age = gauge("vpp_jobs_age_seconds", "Since a supervisor last looked at the jobs. [s]")
        self.jobs_failed = gauge("vpp_jobs_failed", "Jobs whose last run failed.")
        self.journal = gauge("vpp_journal_entries", "Entries of the journal.")
        self.free = gauge("vpp_store_free_bytes", "Free space beside the database. [B]")

    def described(self) -> list[tuple[str, str, tuple[str, ...], str]]:
        """Name, type, labels and meaning of every figure, by name."""
        found = []
        for metric in vars(self).values():
            if isinstance(metric, Counter | Gauge | Histogram):
                (family,) = metric.describe()
                name = f"{family.name}_total" if family.type == "counter" else family.name
                labels = tuple(str(label) for label in getattr(metric, "_labelnames", ()))
                found.append((name, str(family.type), labels, str(family.documentation)))
        return sorted(found)

    def text(self) -> bytes:
        """Everything, in Prometheus's own form."""
        return generate_latest(self.registry)
