"""A process that runs the sites of a service until it is told to stop."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

from devices.service import notify_systemd
from energy.core.errors import ConfigError, ExitStatus
from energy.store import open_store
from vpp.live.assembly import running
from vpp.live.known import known_sites

if TYPE_CHECKING:
    from vpp.setup.service import ServiceConfig
from vpp.ops.alive import say_alive

__all__ = ["run_sites", "told_to_stop"]

log = logging.getLogger(__name__)

_LOOK_S: Final = 1.0


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; the second one does no more than the first."""
    stop = threading.Event()

    def heard(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, heard) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_sites(
    config: ServiceConfig,
    *,
    folder: Path,
    dry_run: bool = False,
    ready: Callable[[Sequence[str]], None] = lambda _sites: None,
) -> int:
    """Run sites and jobs until SIGTERM or SIGINT; exit status 0 if every site was left safe.

    Parameters
    ----------
    folder : Path
        Of the service's file.
    ready : callable
        Called with the names of the sites when all have taken their first step.

    Raises
    ------
    ConfigError
        If the file names no site, or one that cannot be used.
    VppError
        If a site cannot be begun.
    """
    from vpp.web.serving import log_as_json

    sites = known_sites(config, folder)
    if not sites and not config.web.setup_folder:
        raise ConfigError(
            "the file names no site to run",
            where="sites",
            hint="add sites: [{site: FILE, devices: FILE}], or web.setup_folder; vpp serve needs none",
        )
    log_as_json()
    with (
        told_to_stop() as stop,
        open_store(config.store.address) as store,
        running(config, store, sites, folder=folder, dry_run=dry_run) as made,
    ):
        ready([one.site.id for one in sites])
        log.info("run.ready sites=%s", ",".join(one.site.id for one in sites))
        notify_systemd("READY=1")
        while not stop.wait(_LOOK_S):
            say_alive(store, made.parts())
            if not made.live.runs:
                log.error("run.live_ended")
                return int(ExitStatus.UNHEALTHY)
        notify_systemd("STOPPING=1")
    return int(ExitStatus.OK if not made.live.runs else ExitStatus.UNHEALTHY)
