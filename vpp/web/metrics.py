"""What Prometheus reads: counts and times by route, never by person."""

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

    def text(self) -> bytes:
        """Everything, in Prometheus's own form."""
        return generate_latest(self.registry)
