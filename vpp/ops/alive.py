"""What the service manager is told (sd_notify(3)): ready, alive as long as the whole service is, stopping."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final

from devices.service import notify_systemd
from energy.core.errors import VppError
from energy.store import Store
from vpp.ops.status import Part, is_hopeless

__all__ = ["Notify", "alive_every_s", "say_alive"]

_USUAL_S: Final = 10.0
Notify = Callable[[str], object]
"""Tells the service manager something."""


def alive_every_s(environment: Mapping[str, str] = os.environ) -> float:
    """How often it wants to hear: three times in its patience (``WatchdogSec``). [s]"""
    patience_s = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
    return patience_s / 3.0 if patience_s else _USUAL_S


def say_alive(store: Store, parts: tuple[Part, ...], notify: Notify = notify_systemd) -> bool:
    """Say that the service is alive, if its database answers and its sites are not all lost."""
    if is_hopeless(parts):
        return False
    try:
        store.rows.accounts.one(id="")
    except VppError:
        return False
    notify("WATCHDOG=1")
    return True
