"""When a silent device is asked again: soon at first, then less often, never all at the same moment."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from energy.core.errors import DeviceError

__all__ = ["BackOff", "Connection"]

_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 10.0  # with a reading every 5 s, a device is back 15 s after it healed
_JITTER: Final = 0.25  # so that devices that fell together do not come back together
_NO_PATH: Final = 10  # a gateway without a path to its unit is set up wrongly: time alone does not mend it
_NO_PATH_WAIT_S: Final = 30.0


class Connection(StrEnum):
    """How things stand with a device."""

    NEVER = "never"  # not tried yet
    ONLINE = "online"
    OFFLINE = "offline"


class BackOff:
    """Waiting times of one device.

    Parameters
    ----------
    name : str
        Its id, from which its jitter comes.
    """

    def __init__(self, name: str) -> None:
        self._share = zlib.crc32(name.encode()) / 2**32
        self.failures = 0
        self.retry_at: datetime | None = None

    def waits(self, now: datetime) -> bool:
        """Whether it is still to be left alone."""
        return self.retry_at is not None and now < self.retry_at

    def failed(self, now: datetime, error: DeviceError) -> None:
        """Wait longer than last time."""
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(self.failures, 10))
        wait_s *= 1.0 - _JITTER * self._share
        if error.details.get("exception") == _NO_PATH:
            wait_s = _NO_PATH_WAIT_S
        self.retry_at = now + timedelta(seconds=wait_s)
        self.failures += 1

    def succeeded(self) -> None:
        """Begin anew."""
        self.failures = 0
        self.retry_at = None
