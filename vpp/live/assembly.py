"""From the file of a service to what runs: sites with their equipment, and the jobs beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from devices.assembly import assemble
from devices.service import GatewayService
from devices.site_file import load_site
from devices.transport import Access
from energy.core.clock import Clock, SystemClock
from energy.store import Store
from vpp.forecasts import ForecastDesk
from vpp.jobs.job import Job, Lane
from vpp.jobs.supervisor import Limits, Supervisor, start_supervisor
from vpp.live.known import SiteFiles
from vpp.live.memory import MemoryFile
from vpp.live.pace import RealPace
from vpp.live.plant import ServedPlant
from vpp.live.service import LiveService
from vpp.live.site import LiveSite
from vpp.live.standard import standard_jobs
from vpp.live.watch import SiteWatch
from vpp.loop.operate import SiteOperator
from vpp.ops.jobs import ops_jobs
from vpp.ops.status import Part, PartState
from vpp.settlement.month import MonthTerms
from vpp.setup.sites import KnownSite, SiteAccess
from vpp.site.sitebook import keep_site

if TYPE_CHECKING:
    from vpp.setup.service import ServiceConfig

__all__ = ["Running", "running"]

_ACCESS: Final = {
    SiteAccess.READ_ONLY: Access.READ_ONLY,
    SiteAccess.DRY_RUN: Access.DRY_RUN,
    SiteAccess.CONTROL: Access.CONTROL,
}
_TOLD: Final[dict[SiteAccess, tuple[str, ...]]] = {
    SiteAccess.READ_ONLY: ("read_only",),
    SiteAccess.DRY_RUN: ("dry_run",),
    SiteAccess.CONTROL: (),
}
_JOBS_LATE: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Running:
    """What runs in a process.

    Parameters
    ----------
    watch : SiteWatch or None
        Notices sites that come, change and go; None where there are none but those of the start.
    """

    live: LiveService
    supervisor: Supervisor
    clock: Clock
    watch: SiteWatch | None = None

    def parts(self) -> tuple[Part, ...]:
        """How each part does."""
        sites = self.live.parts()
        return (*(sites if self.watch is None else self.watch.parts(sites)), self._jobs())

    def said(self, site: str) -> str:
        """What is in the way of a site, in words; empty if nothing is."""
        return "" if self.watch is None else self.watch.said(site)

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
    """Run all sites and the jobs, and whatever site comes later; at the end every site is left safe.

    Parameters
    ----------
    sites : sequence of KnownSite
        Those of the service's file; those of the set-up page begin as soon as everything runs.
    dry_run : bool
        Everything but writing to equipment, whatever the file says.

    Raises
    ------
    VppError
        If a site of the service's file cannot be begun.
    """
    clock = clock or SystemClock()
    house = _House(config, store, clock, folder, dry_run, {one.site.id: one for one in sites})
    live = house.live = LiveService({one.site.id: house.maker(one) for one in sites})
    for one in sites:
        keep_site(store, one.site, at=clock.now())
    files = SiteFiles(
        setup_folder=config.web.setup_folder,
        folder=folder,
        named={one.site.id: one.settings for one in sites},
    )
    marks = {one.site.id: files.mark_of(one.site.id) for one in sites}
    live.start()
    supervisor, watch = None, None
    try:
        limits = Limits(lanes={Lane.QUICK: config.jobs.at_once, Lane.HEAVY: config.jobs.heavy_at_once})
        supervisor = house.supervisor = start_supervisor(store, clock, house.jobs(), limits=limits)
        watch = SiteWatch(
            look=files.look,
            hands=house,
            store=store,
            clock=clock,
            running=marks,
        )
        watch.start()
        yield Running(live, supervisor, clock, watch)
    finally:
        if watch is not None:
            watch.stop()
        live.stop()  # before the jobs: equipment does not wait for papers
        if supervisor is not None:
            supervisor.stop()


@dataclass(slots=True)
class _House:
    """Sites by id, and what each needs to run."""

    config: ServiceConfig
    store: Store
    clock: Clock
    folder: Path
    dry_run: bool
    sites: dict[str, KnownSite]
    live: LiveService = field(init=False)
    supervisor: Supervisor = field(init=False)
    _desks: dict[str, ForecastDesk] = field(default_factory=dict)

    def take(self, site: KnownSite) -> None:
        """Run a site from now on, in place of one of the same id."""
        name, before = site.site.id, self.sites.get(site.site.id)
        keep_site(self.store, site.site, at=self.clock.now())
        if before is None or before.site != site.site:
            self._desks.pop(name, None)  # models of what stood there before
        self.sites = {**self.sites, name: site}
        self.live.put(name, self.maker(site))
        self.supervisor.replace(self.jobs())

    def let_go(self, name: str) -> bool:
        """Run a site no more; whether it was left safe in time."""
        safe = self.live.remove(name)
        self._desks.pop(name, None)
        self.sites = {one: known for one, known in self.sites.items() if one != name}
        self.supervisor.replace(self.jobs())
        return safe

    def desk(self, name: str) -> ForecastDesk:
        """The forecast desk of a site, one for its loop and its jobs."""
        if name not in self._desks:
            self._desks[name] = ForecastDesk(self.sites[name].site, self.store)
        return self._desks[name]

    def jobs(self) -> tuple[Job, ...]:
        """What is done again and again for the sites that there are."""
        sites, config = self.sites, self.config
        return standard_jobs(
            self.store,
            [one.site for one in sites.values()],
            config.jobs,
            terms={
                name: MonthTerms(
                    dr_yen_per_kwh=config.jobs.dr_yen_per_kwh or Decimal(0), coin=one.coin, ppa=one.ppa
                )
                for name, one in sites.items()
            },
            more=ops_jobs(config.ops, address=config.store.address, folder=self.folder),
            desks=self.desk,
            webhook_hosts=config.web.webhook_hosts,
        )

    def maker(self, known: KnownSite) -> Callable[[], LiveSite]:
        """Makes a site with its equipment, afresh each time."""
        memory = self.folder / self.config.memory
        access = SiteAccess.DRY_RUN if self.dry_run else known.settings.access
        desk = self.desk(known.site.id)
        return lambda: _live_site(known, self.store, self.clock, memory, desk, access=access)


def _live_site(
    known: KnownSite, store: Store, clock: Clock, memory: Path, desk: ForecastDesk, *, access: SiteAccess
) -> LiveSite:
    gateway = assemble(load_site(known.devices), clock=clock, access=_ACCESS[access])
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
    not_yet = tuple(f"not_commissioned:{name}" for name in gateway.untried)
    return LiveSite(
        operator=operator,
        plant=plant,
        pace=RealPace(clock),
        deadline_s=float(known.settings.plan_deadline_seconds),
        memory=MemoryFile(memory / f"{known.site.id}.json"),
        told=(*_TOLD[access], *not_yet),
    )
