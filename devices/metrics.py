"""What a gateway knows of its own work, as plain numbers; a page for monitoring only has to print them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["DeviceMetrics", "GatewayMetrics", "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One number with its name (unit at its end) and what it is of."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(slots=True)
class DeviceMetrics:
    """One device: readings, those that failed, how long they took, and when the last good one was."""

    reads: int = 0
    errors: int = 0
    latency_s: float = 0.0
    latency_max_s: float = 0.0
    read_at: datetime | None = None

    def took(self, seconds: float, *, good: bool, at: datetime) -> None:
        """Count a reading."""
        self.reads += 1
        self.errors += not good
        self.latency_s = seconds
        self.latency_max_s = max(self.latency_max_s, seconds)
        if good:
            self.read_at = at


@dataclass(slots=True)
class GatewayMetrics:
    """The whole gateway.

    Parameters
    ----------
    outcomes : Counter
        Commands by what became of them.
    loop_lag_s, loop_lag_max_s : float
        How late our own event loop was last, and at worst. [s]
    """

    devices: dict[str, DeviceMetrics] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    loop_lag_s: float = 0.0
    loop_lag_max_s: float = 0.0

    def samples(self, now: datetime) -> list[Sample]:
        """Everything as samples.

        Examples
        --------
        >>> from datetime import UTC, datetime
        >>> metrics = GatewayMetrics({"meter": DeviceMetrics()})
        >>> [sample.name for sample in metrics.samples(datetime(2026, 1, 1, tzinfo=UTC))][:2]
        ['device_reads_total', 'device_read_errors_total']
        """
        found = []
        for name, device in self.devices.items():
            of = {"device": name}
            found += [
                Sample("device_reads_total", of, device.reads),
                Sample("device_read_errors_total", of, device.errors),
                Sample("device_read_latency_seconds", of, device.latency_s),
                Sample("device_read_latency_max_seconds", of, device.latency_max_s),
            ]
            if device.read_at is not None:
                age_s = (now - device.read_at).total_seconds()
                found.append(Sample("device_reading_age_seconds", of, age_s))
        found += [
            Sample("gateway_commands_total", {"outcome": kind}, count)
            for kind, count in sorted(self.outcomes.items())
        ]
        found.append(Sample("gateway_loop_lag_seconds", {}, self.loop_lag_s))
        found.append(Sample("gateway_loop_lag_max_seconds", {}, self.loop_lag_max_s))
        return found
