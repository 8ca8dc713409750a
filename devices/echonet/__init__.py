"""ECHONET Lite over UDP: V2H chargers, package air conditioners and smart meters as guests of the gateway."""

from devices.echonet.codes import (
    counted_units,
    cumulative_kwh,
    day_readings,
    power_limits_w,
    signed_power_w,
    timed_reading,
)

__all__ = [
    "counted_units",
    "cumulative_kwh",
    "day_readings",
    "power_limits_w",
    "signed_power_w",
    "timed_reading",
]
