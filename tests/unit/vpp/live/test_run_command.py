"""``vpp run``: a process of its own that commands twins over real Modbus, and ends in order."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devices.twins.site import TwinSite
from energy.core.clock import SystemClock
from energy.store import open_store
from tests.unit.vpp.cli.calling import vpp
from tests.unit.vpp.live.site_files import twins, write_service
from vpp.site.sitebook import kept_sites

COMMAND = (sys.executable, "-m", "vpp.cli.main", "--lang", "en", "run", "--config")


async def _until(fact: Callable[[], bool], made: TwinSite, process: asyncio.subprocess.Process) -> None:
    """Let the twins live until something is so; the process must not end before."""
    while not fact():
        assert process.returncode is None
        made.step(0.05, load_kw=60.0, pv_available_kw=0.0, outdoor_c=30.0, ghi_w_m2=0.0, occupied=True)
        await asyncio.sleep(0.01)


async def _run(folder: Path, during: Callable[[TwinSite], bool], *more: str) -> tuple[int, TwinSite, str]:
    """Run the command until something was seen at the twins, then SIGTERM."""
    made = twins()
    path = write_service(folder, await made.start())
    process = await asyncio.create_subprocess_exec(
        *COMMAND, str(path), *more, stderr=asyncio.subprocess.PIPE, env=_environment(folder)
    )
    try:
        await asyncio.wait_for(_until(lambda: during(made), made, process), 60)
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await made.stop()
    assert process.returncode is not None
    return process.returncode, made, err.decode()


def _environment(folder: Path) -> dict[str, str]:
    import os

    return {**os.environ, "VPP_LOCK_DIR": str(folder)}


def test_it_charges_the_car_by_rules_and_leaves_the_safe_state_at_sigterm(tmp_path: Path) -> None:
    status, made, err = asyncio.run(_run(tmp_path, lambda made: made.truth().cars["leaf"].power_kw > 5.0))
    assert status == 0, err
    made.step(1.0, load_kw=60.0, pv_available_kw=0.0, outdoor_c=30.0, ghi_w_m2=0.0, occupied=True)
    assert made.truth().cars["leaf"].power_kw == 0.0
    assert made.chargers["leaf"].writes > 0
    with open_store(f"sqlite:///{tmp_path}/vpp.db", read_only=True) as store:
        known = store.as_of(SystemClock().now())
        assert kept_sites(known) == ["works"]
        assert known.latest("works/meter/power_kw") is not None  # type: ignore[arg-type]
    assert (tmp_path / "memory" / "works.json").exists()
    assert "planner.failed" in err  # there is no past to forecast from, and that is said


def test_a_dry_run_does_everything_but_write(tmp_path: Path) -> None:
    seen = tmp_path / "memory" / "works.json"
    status, made, err = asyncio.run(_run(tmp_path, lambda _made: seen.exists(), "--dry-run"))
    assert status == 0, err
    assert {name: twin.writes for name, twin in made.twins.items() if twin.writes} == {}
    assert "command.refused" in err


def test_a_file_without_sites_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "vpp.yaml"
    path.write_text("store: {url: vpp.db}", encoding="utf-8")
    status, _, err = vpp("run", "--config", str(path))
    assert status == 2
    assert "names no site" in err


@pytest.mark.parametrize(
    ("service", "fault"),
    [
        ("sites: [{site: nowhere, devices: devices.yaml}]", "no site 'nowhere'"),
        ("sites: [{site: kitakata, devices: none.yaml}]", "none.yaml"),
        ("sites: [{site: kitakata, device: x.yaml}]", "did you mean 'devices'"),
        ("sites: [{site: kitakata, devices: devices.yaml, access: full}]", "access"),
        (
            "sites: [{site: kitakata, devices: devices.yaml, control_seconds: 0}]",
            "greater than or equal to 1",
        ),
        ("sites: [{site: kitakata, devices: no-meter.yaml}]", "no device speaks for the meter"),
        (
            "sites: [{site: kitakata, devices: devices.yaml}, {site: kitakata, devices: devices.yaml}]",
            "two sites are called",
        ),
    ],
)
def test_a_set_up_that_cannot_be_is_refused_in_words(tmp_path: Path, service: str, fault: str) -> None:
    meter = '{id: m, profile: eastron-sdm630, address: "127.0.0.1:5020", assets: [ASSET]}'
    for name, asset in (("devices.yaml", "meter"), ("no-meter.yaml", "yard")):
        text = f"devices: [{meter.replace('ASSET', asset)}]"
        (tmp_path / name).write_text(text, encoding="utf-8")
    path = tmp_path / "vpp.yaml"
    path.write_text(service, encoding="utf-8")
    status, _, err = vpp("run", "--config", str(path))
    assert status == 2
    assert fault in err


def test_a_link_that_another_program_commands_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    async def both() -> tuple[int, str]:
        from devices.hold import hold, place_of

        made = twins()
        configs = await made.start()
        path = write_service(tmp_path, configs)
        try:
            with hold([place_of(configs[0].host, configs[0].port)], folder=tmp_path):
                done = await asyncio.to_thread(
                    subprocess.run,
                    [*COMMAND, str(path)],
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=60,
                    env=_environment(tmp_path),
                )
        finally:
            await made.stop()
        return done.returncode, done.stderr

    status, err = asyncio.run(both())
    assert status == 5
    assert "another program commands" in err
