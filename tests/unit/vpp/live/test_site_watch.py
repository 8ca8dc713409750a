"""Sites that come, change and go while a service runs: in order, and none of them at the cost of another."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from energy.core.clock import ManualClock, SystemClock
from energy.core.errors import ConfigError, RefusedError
from energy.core.slots import parse_jst
from energy.store import SqlStore, open_store
from tests.unit.vpp.live.site_files import SITE, twins, write_service
from vpp.config import read_yaml
from vpp.live.assembly import running
from vpp.live.known import Found, SiteFiles
from vpp.live.service import LiveService
from vpp.live.watch import SiteWatch
from vpp.ops.status import Part, PartState, is_hopeless
from vpp.setup.service import ServiceConfig, StoreSettings, WebSettings
from vpp.setup.sitefolder import SiteFolder
from vpp.setup.sites import KnownSite, SiteAccess, SiteSettings

KNOWN = KnownSite(SiteSettings(site="site.yaml", devices="devices.yaml"), SITE, None, Path("devices.yaml"))


@dataclass
class Hands:
    """Notes what it is told to do."""

    did: list[str] = field(default_factory=list)
    refuses: bool = False

    def take(self, site: KnownSite) -> None:
        if self.refuses:
            raise RefusedError("another program commands it", where="127.0.0.1:502")
        self.did.append(f"take {site.settings.access.value}")

    def let_go(self, name: str) -> bool:
        self.did.append(f"let go {name}")
        return True


@dataclass
class Bench:
    """A watch whose files a test says."""

    store: SqlStore = field(default_factory=lambda: open_store("sqlite://", durability="process"))
    hands: Hands = field(default_factory=Hands)
    files: Mapping[str, Found] | None = None

    def __post_init__(self) -> None:
        clock = ManualClock(parse_jst("2026-11-22 12:00"))
        self.watch = SiteWatch(look=self.look, hands=self.hands, store=self.store, clock=clock, running={})

    def look(self) -> Mapping[str, Found]:
        if self.files is None:
            raise ConfigError("the folder of sites is missing", where="/x")
        return self.files

    def sees(self, *found: Found) -> list[str]:
        self.files = {one.id: one for one in found}
        self.watch.once()
        return self.hands.did

    def acts(self) -> list[str]:
        return [one.act for one in self.store.audit_trail("site/works")]


def whole(mark: str) -> Found:
    return Found(id="works", mark=mark, known=KNOWN)


def broken(mark: str, why: str = "file_unusable") -> Found:
    return Found(id="works", mark=mark, why=why, said="line 3")


def test_a_site_is_begun_once_replaced_when_it_changes_and_let_go_when_it_is_gone() -> None:
    bench = Bench()
    assert bench.sees(whole("a")) == ["take read-only"]
    assert len(bench.sees(whole("a"))) == 1
    assert len(bench.sees(whole("b"))) == 2
    assert len(bench.sees()) == 2  # once is no time: the file may be in the middle of being replaced
    assert bench.sees() == ["take read-only", "take read-only", "let go works"]
    assert bench.sees()[2:] == ["let go works"]
    assert bench.acts() == ["site.started", "site.replaced", "site.stopped"]


def test_a_file_that_cannot_be_used_leaves_what_runs_as_it_is_and_is_said_once() -> None:
    bench = Bench()
    bench.sees(whole("a"))
    bench.sees(broken("b"))
    assert len(bench.sees(broken("b"))) == 1
    assert bench.acts() == ["site.started", "site.unusable"]
    assert bench.watch.said("works") == "line 3"
    fine = Part(name="site:works", state=PartState.OK)
    (shown,) = bench.watch.parts((fine,))
    assert (shown.state, shown.why) == (PartState.DEGRADED, ("file_unusable",))
    bench.sees(whole("a"))
    assert bench.watch.parts((fine,)) == (fine,)


@pytest.mark.parametrize(
    ("why", "state", "acts"),
    [
        ("no_devices", PartState.STARTING, []),
        ("no_meter", PartState.STARTING, []),
        ("file_unusable", PartState.DEGRADED, ["site.unusable"]),
    ],
)
def test_a_site_that_is_not_ready_waits_and_says_for_what(
    why: str, state: PartState, acts: list[str]
) -> None:
    bench = Bench()
    assert bench.sees(broken("a", why)) == []
    assert bench.watch.parts(()) == (Part(name="site:works", state=state, why=(why,)),)
    assert bench.acts() == acts
    bench.sees()
    bench.sees()
    assert bench.watch.parts(()) == ()


def test_a_loop_whose_last_device_is_taken_out_is_let_go_and_waits_for_another() -> None:
    bench = Bench()
    bench.sees(whole("a"))
    assert len(bench.sees(broken("b", "no_devices"))) == 1
    assert bench.sees(broken("b", "no_devices"))[1:] == ["let go works"]
    bench.sees(broken("b", "no_devices"))
    assert [one.why for one in bench.watch.parts(())] == [("no_devices",)]
    assert len(bench.sees(whole("c"))) == 3
    assert bench.acts() == ["site.started", "site.stopped", "site.started"]


def test_a_site_that_cannot_be_begun_is_tried_again_at_every_look() -> None:
    bench = Bench(hands=Hands(refuses=True))
    bench.sees(whole("a"))
    assert [one.why for one in bench.watch.parts(())] == [("cannot_begin",)]
    bench.hands.refuses = False
    assert bench.sees(whole("a")) == ["take read-only"]
    assert bench.watch.parts(()) == ()


def test_a_folder_that_is_not_there_ends_no_site() -> None:
    bench = Bench()
    bench.sees(whole("a"))
    bench.files = None
    for _ in range(5):
        bench.watch.once()
    assert len(bench.hands.did) == 1


def test_one_lost_site_among_others_is_no_reason_to_end_the_service() -> None:
    lost, fine = Part(name="site:a", state=PartState.FAILED), Part(name="site:b", state=PartState.OK)
    assert not is_hopeless((lost, fine))
    assert is_hopeless((lost,))
    assert is_hopeless((fine, Part(name="jobs", state=PartState.FAILED)))
    assert not is_hopeless(())


# -- the thread of sites -----------------------------------------------------------------------------------


class Loop:
    """Stands for a site that runs: notes when it begins and when it has left its safe state."""

    def __init__(self, name: str, notes: list[str], error: Exception | None = None) -> None:
        self.name, self.notes, self.error = name, notes, error
        self.steps = 0
        self.part = Part(name=f"site:{name}", state=PartState.OK)

    async def run(self, stop: asyncio.Event) -> None:
        self.notes.append(f"{self.name} begins")
        if self.error is not None:
            raise self.error
        self.steps = 1
        await stop.wait()
        await asyncio.sleep(0)
        self.notes.append(f"{self.name} safe")


def until(fact: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20.0
    while not fact():
        assert time.monotonic() < ends
        threading.Event().wait(0.01)


def test_a_loop_is_replaced_after_its_safe_state_while_the_others_go_on() -> None:
    notes: list[str] = []

    def make(name: str, error: Exception | None = None) -> Callable[[], Loop]:
        return lambda: Loop(name, notes, error)

    live = LiveService({"a": make("a")})  # type: ignore[dict-item]
    live.start()
    live.put("b", make("b"))  # type: ignore[arg-type]
    until(lambda: "b begins" in notes)
    live.put("b", make("b2"))  # type: ignore[arg-type]
    until(lambda: "b2 begins" in notes)
    with live.apart("b"):
        assert notes[-1] == "b2 safe"
        assert {part.why for part in live.parts()} == {(), ("being_tried",)}
        live.put("b", make("b3"))  # type: ignore[arg-type]
        assert notes[-1] == "b2 safe"
    until(lambda: "b3 begins" in notes)
    live.put("c", make("c", RefusedError("another program commands it", where="x")))  # type: ignore[arg-type]
    until(lambda: ("cannot_begin",) in {part.why for part in live.parts()})
    assert live.remove("c")
    assert live.remove("b")
    assert notes[-1] == "b3 safe"
    assert [part.name for part in live.parts()] == ["site:a"]
    assert live.stop()
    order = [one for one in notes if one[0] in "ab"]
    assert order == [
        "a begins",
        "b begins",
        "b safe",
        "b2 begins",
        "b2 safe",
        "b3 begins",
        "b3 safe",
        "a safe",
    ]


def test_a_site_of_the_start_that_cannot_begin_is_refused() -> None:
    def make() -> Loop:
        return Loop("a", [], RefusedError("no", where="x"))

    live = LiveService({"a": make})  # type: ignore[dict-item]
    with pytest.raises(RefusedError):
        live.start()
    assert not live.runs


# -- files -------------------------------------------------------------------------------------------------


def test_a_site_of_the_set_up_page_runs_read_only_until_it_is_let_control_and_ends_when_it_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vpp.live.watch.EVERY_S", 0.1)
    sites = tmp_path / "sites"
    (sites / "works").mkdir(parents=True)
    config = ServiceConfig(
        store=StoreSettings(url=str(tmp_path / "vpp.db")),
        web=WebSettings(setup_folder=str(sites)),
        memory=str(tmp_path / "memory"),
    )

    async def with_twins(work: Callable[[], None]) -> None:
        made = twins()
        try:
            write_service(sites / "works", await made.start())
            (sites / "works" / "vpp.yaml").unlink()
            await asyncio.to_thread(work)
        finally:
            await made.stop()

    def work() -> None:
        with open_store(config.store.address) as store, running(config, store, (), folder=tmp_path) as made:

            def told() -> dict[str, tuple[str, ...]]:
                return {one.name: one.told for one in made.parts() if one.state is not PartState.STARTING}

            until(lambda: told().get("site:works") == ("read_only",))
            until(lambda: [one.subject for one in store.rows.jobs.find(name="measure")] == ["works"])
            SiteFolder(str(sites)).allow("works", SiteAccess.CONTROL)
            until(lambda: told().get("site:works") == ())
            folder = SiteFolder(str(sites))
            (taken,) = [one.id for one in folder.devices("works") if "pv" in one.assets]
            assert folder.drop("works", taken)
            until(lambda: len(store.audit_trail("site/works")) == 3)
            folder.unequip("works", "pv")
            until(lambda: len(store.audit_trail("site/works")) == 4)
            folder.remove("works", at=SystemClock().now())
            until(lambda: "site:works" not in told())
            until(lambda: len(store.audit_trail("site/works")) == 5)
            acts = [one.act for one in store.audit_trail("site/works")]
            assert acts == ["site.started", *["site.replaced"] * 3, "site.stopped"]
            assert store.rows.jobs.find(name="measure") == []

    asyncio.run(with_twins(work))


def test_files_of_sites_are_told_apart_by_what_is_missing(tmp_path: Path) -> None:
    for name in ("empty", "bad"):
        (tmp_path / name).mkdir()
    path = write_service(tmp_path / "empty", [])
    (tmp_path / "bad" / "site.yaml").write_text("site: {", encoding="utf-8")
    (tmp_path / "bad" / "devices.yaml").write_text("devices: []", encoding="utf-8")
    files = SiteFiles(setup_folder=str(tmp_path), folder=tmp_path, named={})
    text = (tmp_path / "empty" / "site.yaml").read_text(encoding="utf-8").replace('"works"', '"empty"')
    (tmp_path / "empty" / "site.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "empty" / "devices.yaml").unlink()
    assert {name: one.why for name, one in files.look().items()} == {
        "empty": "no_devices",
        "bad": "file_unusable",
    }
    assert read_yaml(path, ServiceConfig).sites  # the service's file in it is not looked at
    yard = 'devices: [{id: m, profile: eastron-sdm630, address: "127.0.0.1:5020", assets: [yard]}]'
    (tmp_path / "empty" / "devices.yaml").write_text(yard, encoding="utf-8")
    assert files.look()["empty"].why == "no_meter"
    (tmp_path / "empty" / "devices.yaml").write_text(yard.replace("yard", "meter"), encoding="utf-8")
    found = files.look()["empty"]
    assert found.known is not None
    assert found.known.settings.access is SiteAccess.READ_ONLY
    (tmp_path / "empty" / "run.yaml").write_text("access: everything", encoding="utf-8")
    assert files.look()["empty"].why == "file_unusable"
    with pytest.raises(ConfigError, match="may be commanded"):
        SiteFolder(str(tmp_path)).allow("empty", SiteAccess.CONTROL)


def test_a_watch_that_cannot_look_or_breaks_is_seen_and_goes_on() -> None:
    def bug(site: KnownSite) -> None:
        raise ZeroDivisionError(site.site.id)

    bench = Bench()
    bench.watch.once()  # the folder is missing
    assert [(one.name, one.why) for one in bench.watch.parts(())] == [("watch", ("sites_not_seen",))]
    take, bench.hands.take = bench.hands.take, bug  # type: ignore[method-assign]
    bench.sees(whole("a"))
    assert [one.state for one in bench.watch.parts(())] == [PartState.DEGRADED]
    bench.hands.take = take  # type: ignore[method-assign]
    assert bench.sees(whole("a")) == ["take read-only"]
    assert bench.watch.parts(()) == ()
