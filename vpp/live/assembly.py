"""From the file of a service to what runs: sites with their equipment, and the jobs beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devices.assembly import assemble
from devices.service import GatewayService
from devices.site_file import load_site
from devices.transport import Access
from energy.core.clock import Clock, SystemClock
from energy.core.errors import ConfigError
from energy.core.site import Site
from energy.store import Store
from vpp.forecasts import ForecastDesk
from vpp.jobs.job import Lane
from vpp.jobs.standard import standard_jobs
from vpp.jobs.supervisor import Limits, Supervisor, start_supervisor
from vpp.live.config import KnownSite, SiteAccess, load_site_file
from vpp.live.memory import MemoryFile
from vpp.live.pace import RealPace
from vpp.live.plant import ServedPlant
from vpp.live.service import LiveService
from vpp.live.site import LiveSite
from vpp.live.status import Part, PartState
from vpp.operate import SiteOperator
from vpp.ops.jobs import ops_jobs
from vpp.settlement.month import MonthTerms
from vpp.sitebook import keep_site

if TYPE_CHECKING:
    from vpp.web.config import ServiceConfig

__all__ = ["Running", "known_sites", "running"]

log = logging.getLogger(__name__)

_ACCESS: Final = {
    SiteAccess.READ_ONLY: Access.READ_ONLY,
    SiteAccess.DRY_RUN: Access.DRY_RUN,
    SiteAccess.CONTROL: Access.CONTROL,
}
_JOBS_LATE: Final = timedelta(minutes=1)


def known_sites(config: ServiceConfig, folder: Path) -> tuple[KnownSite, ...]:
    """The sites of a service, read and checked against their equipment.

    Parameters
    ----------
    folder : Path
        Of the service's file: relative paths begin there.

    Raises
    ------
    ConfigError
        If a file cannot be used, two sites have the same id, or the equipment speaks for nothing of the site.
    """
    found: dict[str, KnownSite] = {}
    for settings in config.sites:
        told = load_site_file(settings.site, folder)
        if told.site.id in found:
            raise ConfigError(
                f"two sites are called {told.site.id!r}",
                where=f"sites: {found[told.site.id].settings.site} and {settings.site}",
                hint="ids of sites are unique in a service",
            )
        devices = folder / settings.devices
        _check_assets(told.site.id, _assets_of(devices), _wanted(told.site), devices)
        found[told.site.id] = KnownSite(settings, told.site, told.coin, devices)
    return tuple(found.values())


def _assets_of(devices: Path) -> set[str]:
    equipment = load_site(devices)
    return {str(name) for name in assemble(equipment, clock=SystemClock(), access=Access.READ_ONLY).assets}


def _wanted(site: Site) -> set[str]:
    names = {vehicle.id for vehicle in site.vehicles} | {zone.id for zone in site.zones}
    return names | ({site.pv.id} if site.pv is not None else set())


def _check_assets(site: str, spoken: set[str], wanted: set[str], devices: Path) -> None:
    """Refuse equipment without the meter, and say which assets nobody speaks for."""
    if "meter" not in spoken:
        raise ConfigError(
            f"no device speaks for the meter of {site}",
            where=f"{devices}: assets are {', '.join(sorted(spoken)) or 'none'}",
            hint="give the main meter assets: [meter]; without it nothing can be controlled safely",
        )
    for asset in sorted(wanted - spoken):
        log.warning("live.nobody_speaks_for site=%s asset=%s", site, asset)


@dataclass(slots=True)
class Running:
    """What runs in a process."""

    live: LiveService
    supervisor: Supervisor
    clock: Clock

    def parts(self) -> tuple[Part, ...]:
        """How each part does."""
        return (*self.live.parts(), self._jobs())

    def _jobs(self) -> Part:
        looked = self.supervisor.looked_at
        if looked is None:
            return Part(name="jobs", state=PartState.STARTING, why=("starting",))
        late = self.clock.now() - looked > _JOBS_LATE
        return Part(
            name="jobs", state=PartState.DEGRADED if late else PartState.OK, why=("late",) if late else ()
        )


@contextmanager
def running(
    config: ServiceConfig,
    store: Store,
    sites: Sequence[KnownSite],
    *,
    folder: Path,
    dry_run: bool = False,
    clock: Clock | None = None,
) -> Iterator[Running]:
    """Run all sites and the jobs; at the end every site is left safe.

    Parameters
    ----------
    dry_run : bool
        Everything but writing to equipment, whatever the file says.

    Raises
    ------
    VppError
        If a site cannot be begun.
    """
    clock = clock or SystemClock()
    memory = folder / config.memory
    for one in sites:
        keep_site(store, one.site, at=clock.now())
    desks = {one.site.id: ForecastDesk(one.site, store) for one in sites}
    live = LiveService(
        {one.site.id: _maker(one, store, clock, memory, desks[one.site.id], dry_run=dry_run) for one in sites}
    )
    live.start()
    supervisor: Supervisor | None = None
    try:
        supervisor = _supervisor(config, store, clock, sites, folder=folder, desks=desks)
        yield Running(live, supervisor, clock)
    finally:
        live.stop()  # first: equipment does not wait for papers
        if supervisor is not None:
            supervisor.stop()


def _supervisor(
    config: ServiceConfig,
    store: Store,
    clock: Clock,
    sites: Sequence[KnownSite],
    *,
    folder: Path,
    desks: Mapping[str, ForecastDesk],
) -> Supervisor:
    jobs = standard_jobs(
        store,
        [one.site for one in sites],
        config.jobs,
        terms={one.site.id: MonthTerms(coin=one.coin) for one in sites},
        more=ops_jobs(config.ops, address=config.store.address, folder=folder),
        desks=desks.__getitem__,
        webhook_hosts=config.web.webhook_hosts,
    )
    lanes = {Lane.QUICK: config.jobs.at_once, Lane.HEAVY: config.jobs.heavy_at_once}
    limits = Limits(lanes=lanes)
    return start_supervisor(store, clock, jobs, limits=limits)


def _maker(
    known: KnownSite, store: Store, clock: Clock, memory: Path, desk: ForecastDesk, *, dry_run: bool
) -> Callable[[], LiveSite]:
    """Makes a site with its equipment, afresh each time."""

    def make() -> LiveSite:
        wanted = SiteAccess.DRY_RUN if dry_run else known.settings.access
        gateway = assemble(load_site(known.devices), clock=clock, access=_ACCESS[wanted])
        memory.mkdir(parents=True, exist_ok=True)
        served = GatewayService(
            gateway,
            clock=clock,
            memory=memory / f"{known.site.id}-counters.json",
            notify=lambda _said: None,  # the service as a whole speaks to the service manager (vpp.ops.alive)
        )
        plant = ServedPlant(served)
        operator = SiteOperator(
            site=known.site,
            mode=known.settings.planning.value,
            store=store,
            clock=clock,
            equipment=plant,
            trips=(),
            coin=known.coin,
            desk=desk,
            step=known.settings.step,
        )
        gateway.envelope = operator.control.allowed
        return LiveSite(
            operator=operator,
            plant=plant,
            pace=RealPace(clock),
            deadline_s=float(known.settings.plan_deadline_seconds),
            memory=MemoryFile(memory / f"{known.site.id}.json"),
        )

    return make
