"""``vpp serve --demo``: a factory, a city hall and a small region of twins, live and faster than time.

A day and a half of the factory's past is simulated first, so that no page is empty; the others have weeks
that were measured. Then the same product runs all of them live, with people who can log in.
"""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from energy.core.slots import JST, Slot, parse_jst
from energy.ledger import TightEvent, TightLevel
from energy.market.ppa import PpaKind
from energy.store import Store
from vpp.forecasts import ForecastDesk
from vpp.jobs.board import mark_shown
from vpp.jobs.config import ForecastReceiver, JobSettings
from vpp.jobs.supervisor import start_supervisor
from vpp.live.assembly import Running
from vpp.live.demo_neighbours import put_neighbours
from vpp.live.demo_people import PARTY, make_people, share_and_call
from vpp.live.demo_places import FACTORY, Place, places
from vpp.live.demo_world import DemoPace, DemoWorld, WiredTwins
from vpp.live.memory import MemoryFile
from vpp.live.pace import AcceleratedClock
from vpp.live.service import LiveService
from vpp.live.site import LiveSite
from vpp.live.standard import standard_jobs
from vpp.loop.operate import SiteOperator
from vpp.settlement.month import MonthTerms
from vpp.settlement.month_ppa import read_ppa
from vpp.settlement.ppa_record import keep_from_store
from vpp.setup.service import ServiceConfig, StoreSettings, WebSettings
from vpp.simulation.nearby import NearEquipment
from vpp.simulation.scenario import Scenario
from vpp.simulation.simulate import CHECKPOINT, ScenarioRun
from vpp.site.sitebook import keep_site
from vpp.web.serving import Beside, serve

if TYPE_CHECKING:
    from vpp.console import Console

__all__ = ["Demo", "serve_demo"]

LIVE_FROM: Final = parse_jst("2026-08-06 09:00")  # a Thursday: supply was tight the evening before
ENDS: Final = parse_jst("2026-09-19 00:00")  # the load of the scenario has its next gap after that
WIRE_MOST: Final = 120.0  # times real time; above that twins are told without sockets
STEP: Final = timedelta(minutes=1)
EVENT: Final = TightEvent(
    id="tight-2026-08-06",
    start=Slot(parse_jst("2026-08-06 16:00")),
    end=Slot(parse_jst("2026-08-06 19:00")),
    level=TightLevel.ADVISORY,
    known_at=parse_jst("2026-08-05 16:00"),
)


_DR_YEN: Final = Decimal(30)  # an example: what a called kWh is paid where a site has no agreement
_MONTH: Final = "2026-07"  # the last one before the start
_WITH_A_MONTH: Final = timedelta(days=40)


def _terms(place: Place) -> MonthTerms:
    """How a month of a place is settled."""
    ppa = None if place.supply is None else read_ppa(place.supply)
    return MonthTerms(coin=place.scenario.coin, dr_yen_per_kwh=_DR_YEN, ppa=ppa)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What a demonstration is asked for.

    Parameters
    ----------
    speed : float
        Times real time.
    state : Path or None
        Folder that keeps it; a temporary one, gone at its end, if None.
    past_hours : int
        How much of the factory is simulated before it runs live. [h]
    sites : tuple of str
        Which sites; the factory, the city hall and the region's if empty.
    """

    web: WebSettings
    speed: float = 60.0
    state: Path | None = None
    past_hours: int = 33
    sites: tuple[str, ...] = ()

    @property
    def past_from(self) -> datetime:
        """From when on there is a past. UTC."""
        return LIVE_FROM - timedelta(hours=self.past_hours)


def serve_demo(demo: Demo, console: Console) -> int:
    """Make or wake a demonstration, and serve it until SIGTERM or Ctrl-C.

    Raises
    ------
    ConfigError
        If the port is taken, or the folder holds something else.
    """
    with ExitStack() as rooms:
        folder = demo.state
        if folder is None:
            folder = Path(rooms.enter_context(tempfile.TemporaryDirectory(prefix="vpp-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        web = replace(demo.web, second_factor_for=(), idle_minutes=720, session_hours=24)
        config = ServiceConfig(
            store=StoreSettings(url=str(folder / "demo.db")),
            web=web,
            jobs=JobSettings(
                folder=str(folder / "out"),
                forecasts=(ForecastReceiver(recipient=PARTY),),
                dr_yen_per_kwh=_DR_YEN,
            ),
        )

        @contextmanager
        def start(store: Store) -> Iterator[Beside]:
            logging.getLogger().setLevel(logging.WARNING)  # people read this terminal
            with _Show(demo, folder, store, config, console).running() as beside:
                yield beside

        return serve(config, start)


@dataclass(slots=True)
class _Show:
    """One life of a demonstration."""

    demo: Demo
    folder: Path
    store: Store
    config: ServiceConfig
    console: Console

    @contextmanager
    def running(self) -> Iterator[Beside]:
        """Everything but the web server."""
        console = self.console
        wanted = places(self.demo.sites)
        worlds = {one.id: self._world(one) for one in wanted}
        passwords: dict[str, tuple[str, str]] = {}
        asleep = [one for one in wanted if not worlds[one.id].wake()]
        if len(asleep) < len(wanted):
            console.say(console.text("demo.kept", folder=str(self.folder)))
        else:
            console.say(console.text("demo.begins", sites=len(wanted)))
        for one in asleep:
            self._begin(one, worlds[one.id])
        now = max(world.now for world in worlds.values())
        if asleep:
            passwords = make_people(self.store, lang=console.lang)
            if len(asleep) == len(wanted):
                # A part of the demonstration is asked for to be small: then nobody is around it.
                around = () if self.demo.sites else put_neighbours(self.store, now, ENDS)
                share_and_call(self.store, [*(one.scenario.site for one in wanted), *around], at=now)
            mark_shown(self.store, at=now)
            for world in worlds.values():
                world.keep()
        desks = {one.id: ForecastDesk(one.scenario.site, self.store) for one in wanted}
        for desk in desks.values():
            desk.prepare(now)  # before the clock runs: learning takes a while
        clock = AcceleratedClock(now, self.demo.speed, until=ENDS)
        live = LiveService({one.id: self._maker(one, worlds[one.id], clock, desks[one.id]) for one in wanted})
        live.start()
        supervisor = None
        try:
            jobs = standard_jobs(
                self.store,
                [one.scenario.site for one in wanted],
                self.config.jobs,
                terms={one.id: _terms(one) for one in wanted},
                desks=desks.__getitem__,
            )
            supervisor = start_supervisor(self.store, clock, jobs)
            self._say(passwords, clock.now())
            made = Running(live, supervisor, clock)
            yield Beside(
                parts=made.parts,
                clock=clock,
                supervised=True,
                demo_speed=self.demo.speed,
                apart=live.apart,
            )
        finally:
            live.stop()
            for world in worlds.values():
                world.keep()
            if supervisor is not None:
                supervisor.stop(grace_s=5.0)

    def _world(self, place: Place) -> DemoWorld:
        name = "world.json" if place.id == FACTORY else f"world-{place.id}.json"
        return DemoWorld(
            place.scenario,
            place.folder,
            self.demo.past_from if place.lived else LIVE_FROM,
            ENDS,
            store=self.store,
            kept=MemoryFile(self.folder / name),
            events=(EVENT,),
        )

    def _begin(self, place: Place, world: DemoWorld) -> None:
        """What came before the start: simulated days, or measured weeks."""
        if place.lived:
            world.begin(*self._past(place.scenario, place.folder))
            return
        site = place.scenario.site
        if place.supply is None:
            world.settle(LIVE_FROM)
        else:  # a whole month of readings, so that there is an invoice to look at
            terms = read_ppa(place.supply)
            world.settle(LIVE_FROM, past=_WITH_A_MONTH)
            for one in terms.supply.contracts:
                if one.kind is PpaKind.OFFSITE:
                    world.supply(one.plant, LIVE_FROM, _WITH_A_MONTH)
            keep_from_store(self.store, site, _MONTH, terms, at=LIVE_FROM, actor="demo")
        keep_site(self.store, site, at=LIVE_FROM)

    def _past(self, scenario: Scenario, data: Path) -> tuple[datetime, dict[str, object]]:
        """Simulate what came before; when it ends, and how the twins stand then."""
        progress = self.console.progress()
        run = ScenarioRun(
            scenario,
            data,
            "optimal",
            self.demo.past_from,
            LIVE_FROM,
            self.store,
            progress=lambda done, total: progress(scenario.scenario, done, total),
            wire=False,
            minutes=True,
        )
        asyncio.run(run.run())
        progress.close()
        keep_site(self.store, scenario.site, at=LIVE_FROM)
        [checkpoint] = self.store.as_of(LIVE_FROM).documents(CHECKPOINT)
        return LIVE_FROM, json.loads(checkpoint.body)["twins"]

    def _maker(
        self, place: Place, world: DemoWorld, clock: AcceleratedClock, desk: ForecastDesk
    ) -> Callable[[], LiveSite]:
        return lambda: self._site(place, world, clock, desk)

    def _site(self, place: Place, world: DemoWorld, clock: AcceleratedClock, desk: ForecastDesk) -> LiveSite:
        """The product, on twins; those of the factory stand behind Modbus."""
        scenario = place.scenario
        wired = place.id == FACTORY and self.demo.speed <= WIRE_MOST
        plant = WiredTwins(world.twins, clock) if wired else NearEquipment(scenario.site, world.twins, clock)
        operator = SiteOperator(
            site=scenario.site,
            mode=place.mode,
            store=self.store,
            clock=clock,
            equipment=plant,
            trips=(),
            coin=scenario.coin,
            desk=desk,
            step=STEP,
        )
        if isinstance(plant, WiredTwins):
            plant.envelope = operator.control.allowed
        world.changed = operator.control.forget
        return LiveSite(
            operator=operator,
            plant=plant,
            pace=DemoPace(clock, world, speed=self.demo.speed),
            deadline_s=0.8 * 1800.0 / self.demo.speed,
            memory=MemoryFile(self.folder / f"{place.id}.json"),
        )

    def _say(self, passwords: dict[str, tuple[str, str]], now: datetime) -> None:
        """Where to look, and as whom."""
        say, text = self.console.say, self.console.text
        shown = f"{now.astimezone(JST):%Y-%m-%d %H:%M}"
        say(text("demo.clock", now=shown, speed=f"{self.demo.speed:g}"))
        if passwords:
            say(text("demo.people"))
        for name, (role, password) in passwords.items():
            say(text("demo.person", id=f"{name:10}", password=password, role=text(f"role.{role}")))
        say(text("demo.ready", url=f"http://{self.config.web.host}:{self.config.web.port}/login"))
