"""The gateway as a service: who is read when, who delays whom, what is told to whom, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from devices.gateway import Gateway
from devices.service import GatewayService, Paces, notify_systemd
from energy.core.errors import ConfigError, DataError
from energy.core.measurement import Quality
from energy.core.outcome import Applied, ChargerPower, GenerationLimit, Outcome
from energy.core.units import AssetId
from tests.unit.devices.bench import Bench, bench, quasar

QUICK = Paces(fast=0.005, normal=0.02, slow=1000.0)
METER, LEAF = AssetId("meter"), AssetId("leaf")


class Told(list[str]):
    """What the service manager was told."""

    def __call__(self, message: str) -> None:
        self.append(message)


@asynccontextmanager
async def service(made: Bench, **paces: str) -> AsyncIterator[GatewayService]:
    configs = [replace(one, pace=paces.get(one.id.replace("-", "_"), "normal")) for one in made.configs]  # type: ignore[arg-type]
    made.use(configs)
    served = GatewayService(made.gateway, clock=made.clock, paces=QUICK, notify=Told())
    running = asyncio.create_task(served.run())
    async with asyncio.timeout(30.0):
        await served.ready()
        yield served
        served.stop()
        await running


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while not true():
            await asyncio.sleep(0.001)


async def test_each_device_is_read_at_its_pace() -> None:
    async with bench(connect=False) as made, service(made, main_meter="fast", hvac_meter="slow") as served:
        seen = served.metrics.devices
        await until(lambda: seen["inverter"].reads >= 5)
        assert seen["main-meter"].reads > seen["inverter"].reads > seen["hvac-meter"].reads == 1


async def test_a_silent_device_delays_nobody() -> None:
    async with bench(connect=False) as made, service(made) as served:
        seen = served.metrics.devices
        made.twin("main-meter").faults.silent = True
        await until(lambda: made.gateway._devices["main-meter"].lock.locked())
        stuck = seen["main-meter"].reads
        before = {name: device.reads for name, device in seen.items()}
        await until(
            lambda: all(
                device.reads >= before[name] + 10 for name, device in seen.items() if name != "main-meter"
            )
        )
        assert seen["main-meter"].reads <= stuck + 1


async def test_a_device_that_goes_and_returns_is_named_once_each(caplog: pytest.LogCaptureFixture) -> None:
    async with bench(connect=False) as made, service(made) as served:
        seen = served.metrics.devices["main-meter"]
        await made.twin("main-meter").stop()
        with caplog.at_level(logging.INFO):
            await until(lambda: seen.errors >= 8)
            await made.twin("main-meter").start(port=made.config("main-meter").port)
            made.clock.advance(timedelta(seconds=20))  # its back-off is over
            good = seen.reads - seen.errors
            await until(lambda: seen.reads - seen.errors > good)
        said = [line.split(" why=")[0] for line in caplog.messages if "main-meter" in line]
        assert [line for line in said if "offline" in line] == ["device.offline id=main-meter"]
        assert len([line for line in said if "device.online" in line]) == 1


async def test_what_is_too_old_has_no_value() -> None:
    async with bench(connect=False) as made, service(made, main_meter="slow") as served:
        assert (await served.read(["main-meter"]))[METER]["power_kw"].quality is Quality.GOOD
        made.clock.advance(timedelta(hours=1))  # three readings at the slow pace are missed
        point = (await served.read(["main-meter"]))[METER]["power_kw"]
        assert (point.value, point.quality) == (None, Quality.STALE)
        with pytest.raises(ConfigError, match="no device 'main-metre'"):
            await served.read(["main-metre"])


async def test_another_thread_may_command_and_wait() -> None:
    async with bench(connect=False) as made:
        lonely = GatewayService(made.gateway, clock=made.clock, notify=Told())
        with pytest.raises(RuntimeError, match="run comes before submit"):
            lonely.submit(made.command("leaf", ChargerPower(3.0)))
        async with service(made) as served:
            got: list[Outcome] = []
            thread = threading.Thread(
                target=lambda: got.append(served.submit(made.command("leaf", ChargerPower(3.0))).result(30.0))
            )
            thread.start()
            await until(lambda: bool(got))
            thread.join()
            assert isinstance(got[0], Applied)
            made.step()
            assert quasar(made).power_kw == 3.0
            assert served.metrics.outcomes == {"applied": 1}


async def test_orders_end_and_timers_are_fed_without_a_word_from_control(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("devices.service._BEAT_S", 0.01)
    async with bench(connect=False) as made, service(made) as served:
        command = made.command("leaf", ChargerPower(-6.0))
        await served.apply(replace(command, expires_at=made.clock.now() + timedelta(minutes=2)))
        written = made.gateway.writes["charger-leaf"]
        made.clock.advance(timedelta(minutes=2))
        await until(lambda: made.gateway.writes["charger-leaf"] > written)
        await until(lambda: quasar(made).settings[257] == 2)


async def test_at_its_end_the_safe_state_is_written() -> None:
    async with bench(connect=False) as made:
        async with service(made) as served:
            await served.apply(made.command("leaf", ChargerPower(-6.0)))
            await served.apply(made.command("roof", GenerationLimit(5.0)))
        assert quasar(made).settings[257] == 2
        assert made.site.inverter is not None
        assert made.site.inverter.limit[4] == 0
        assert served._notify[0] == "READY=1"  # type: ignore[index]
        assert served._notify[-1] == "STOPPING=1"  # type: ignore[index]


async def test_what_breaks_in_us_ends_the_service_in_the_safe_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(-6.0))
        served = GatewayService(made.gateway, clock=made.clock, paces=QUICK, notify=Told())

        async def broken(self: Gateway, ids: object = None) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(Gateway, "read", broken)
        with pytest.raises(ZeroDivisionError):
            await served.run()
        assert quasar(made).settings[257] == 2


async def test_a_late_loop_is_measured_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async with bench(rooms=0, only=["main-meter"], connect=False) as made, service(made) as served:
        time.sleep(0.35)
        await until(lambda: served.metrics.loop_lag_max_s > 0.2)
        await until(lambda: served.metrics.loop_lag_s < 0.2)
        assert sum("loop.late" in line for line in caplog.messages) == 1


async def test_metrics_are_plain_numbers_with_names() -> None:
    async with bench(connect=False) as made, service(made) as served:
        await served.apply(made.command("leaf", ChargerPower(1.0)))
        made.clock.advance(timedelta(seconds=7))
        samples = {
            (one.name, *one.labels.values()): one.value for one in served.metrics.samples(made.clock.now())
        }
        assert samples["device_reads_total", "main-meter"] >= 1
        assert samples["gateway_commands_total", "applied"] == 1
        assert 0.0 <= samples["device_reading_age_seconds", "inverter"] <= 7.0
        assert ("gateway_loop_lag_seconds",) in samples


async def test_the_watchdog_of_the_service_manager_is_fed_while_every_link_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    async with bench(rooms=0, only=["main-meter"], connect=False) as made, service(made) as served:
        told: list[str] = served._notify  # type: ignore[assignment]
        await until(lambda: told.count("WATCHDOG=1") >= 3)
        monkeypatch.setattr("devices.service._HUNG_S", -1.0)  # as if no link had turned
        await asyncio.sleep(0.03)
        fed = told.count("WATCHDOG=1")
        await asyncio.sleep(0.05)
        assert told.count("WATCHDOG=1") == fed


def test_the_service_manager_hears_us_on_its_socket(tmp_path: Path) -> None:
    assert notify_systemd("READY=1", {}) is False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "notify"))
        assert notify_systemd("WATCHDOG=1", {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert door.recv(100) == b"WATCHDOG=1"


async def test_a_counter_that_restarted_while_the_program_was_off_is_noticed(tmp_path: Path) -> None:
    memory = tmp_path / "counters.json"
    async with bench(connect=False) as made:
        for _ in range(5):
            made.step()
        seen: list[float | None] = []
        for run in range(3):
            made.use(made.configs)
            served = GatewayService(made.gateway, clock=made.clock, paces=QUICK, memory=memory, notify=Told())
            running = asyncio.create_task(served.run())
            async with asyncio.timeout(30.0):
                await served.ready()
                for _ in range(2):
                    made.step()
                    reads = served.metrics.devices["main-meter"].reads
                    await until(
                        lambda served=served, reads=reads: (
                            served.metrics.devices["main-meter"].reads > reads + 1
                        )
                    )  # type: ignore[misc]
                    seen.append((await served.read(["main-meter"]))[METER]["import_kwh"].value)
                served.stop()
                await running
            if run == 0:
                made.site.meter.import_kwh = 0.0  # somebody put in another meter
        before, after = seen[1], seen[3]
        assert before is not None
        assert after is not None
        assert after >= before  # it goes on from where it was, though the new meter began at zero
        assert after - before < 10.0
        assert seen[5] is not None
        assert seen[5] > after  # and so does the next run


async def test_a_memory_that_is_none_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    memory = tmp_path / "counters.json"
    for text in ("", "[]", '{"main-meter": 3'):
        memory.write_text(text, encoding="utf-8")
        async with bench(connect=False) as made:
            served = GatewayService(made.gateway, clock=made.clock, memory=memory, notify=Told())
            with pytest.raises(DataError, match="cannot be read"):
                await served.run()
            assert made.twin("main-meter").requests == 0
