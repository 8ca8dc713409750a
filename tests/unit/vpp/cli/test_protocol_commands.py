"""``vpp ocpp`` and ``vpp echonet``: what a person who tries such equipment does and sees."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

pytest.importorskip("ocpp", reason="the extra ocpp is not installed")

from devices.echonet.twin import EchonetTwin, charger_properties, meter_properties
from devices.ocpp.twin import StationTwin
from energy.core.clock import ManualClock, SystemClock
from energy.core.errors import ConfigError, ExitStatus, UnreachableError
from tests.unit.devices.test_echonet_devices import OURS, THEIRS, free_port
from vpp.cli import echonet, ocpp
from vpp.console import Console


def call(app: typer.Typer, *words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], obj=Console("en"), standalone_mode=False)


def refused(app: typer.Typer, *words: object) -> str:
    error = call(app, *words).exception
    assert isinstance(error, ConfigError), error
    return str(error)


async def let_go(twin: EchonetTwin) -> None:
    twin.stop()
    await asyncio.sleep(0)  # sockets close in the next turn of the loop


@contextmanager
def nodes() -> Iterator[int]:
    """A node in a thread of its own: commands bring their own event loop."""
    loop, port = asyncio.new_event_loop(), free_port()
    twin = EchonetTwin({"027e01": charger_properties(), "028801": meter_properties(), "029001": ({}, set())})
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(twin.start(THEIRS, port), loop).result(10.0)
    try:
        yield port
    finally:
        asyncio.run_coroutine_threadsafe(let_go(twin), loop).result(10.0)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10.0)
        loop.close()


def test_nodes_are_found_with_what_they_hold() -> None:
    with nodes() as port:
        found = call(echonet.app, "find", THEIRS, "--interface", OURS, "--port", port, "--json")
        assert json.loads(found.stdout) == {
            "nodes": [
                {
                    "host": THEIRS,
                    "objects": [
                        {"object": "027e01", "kind": "v2h", "instance": 1},
                        {"object": "028801", "kind": "meter", "instance": 1},
                        {"object": "029001", "kind": None, "instance": 1},
                    ],
                }
            ]
        }
        shown = call(echonet.app, "find", THEIRS, "--interface", OURS, "--port", port).stdout
        assert f"{THEIRS} 027e01: v2h 1\n" in shown
        assert "029001: a class that is not read here" in shown


def test_nobody_is_said_with_what_to_look_at() -> None:
    nobody = call(
        echonet.app, "find", "127.0.0.9", "--interface", OURS, "--port", free_port(), "--seconds", "0.1"
    )
    assert nobody.return_value == ExitStatus.DEVICE
    assert "is 127.0.0.3 the interface" in nobody.stderr


def test_an_object_is_read_with_what_may_be_set() -> None:
    with nodes() as port:
        read = call(echonet.app, "read", "v2h", THEIRS, "--interface", OURS, "--port", port, "--json")
        document = json.loads(read.stdout)
        assert {one["point"]: one["value"] for one in document["points"]}["soc"] == 0.5
        assert document["settable"] == [0x81, 0xDA, 0xEB, 0xEC]
        assert read.return_value == ExitStatus.OK
        shown = call(echonet.app, "read", "meter", THEIRS, "--interface", OURS, "--port", port)
        assert "meter import_kwh: 1234.5 kWh (good)\n" in shown.stdout
        silent = call(echonet.app, "read", "v2h", "127.0.0.9", "--interface", OURS, "--port", port)
        assert isinstance(silent.exception, UnreachableError)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--power", "3"), "an order needs --yes"),
        (("--certificate", "a.pem"), "TLS needs a certificate and its key"),
        (("--password-env", "NOBODY_SET_THIS"), "the environment has no NOBODY_SET_THIS"),
        (("--host", "0.0.0.0"), "without TLS"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anybody_calls(words: tuple[str, ...], expected: str) -> None:
    assert expected in refused(ocpp.app, "serve", "--station", "cp-1", *words)


def test_a_number_of_connectors_that_is_none_is_refused() -> None:
    assert "not a number of connectors" in refused(ocpp.app, "serve", "--station", "cp-1:x")


def test_a_package_that_is_missing_is_named_with_its_extra() -> None:
    with pytest.raises(ConfigError, match=re.escape("pip install 'aizu-vpp[ocpp]'")):
        ocpp.require_extra("ocpp", "no_such_package")


def test_a_twin_without_central_system_says_so() -> None:
    assert "lets nobody in" in refused(ocpp.app, "twin", "cp-1", "--url", "ws://127.0.0.1:1")


def vpp(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "from vpp.cli.main import run; run()", "--lang", "en", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "STATION_PASSWORD": "right"},
    )


def served_at(serving: subprocess.Popen[str]) -> str:
    assert serving.stderr is not None
    found = re.search(r"ws://\S+\d", serving.stderr.readline())
    assert found is not None
    return found.group()


async def test_killed_while_a_car_gives_back_the_station_ends_it_by_its_own_clock() -> None:
    serving = vpp("ocpp", "serve", "--station", "cp-1", "--port", "0", "--power", "-3", "--yes")
    clock = ManualClock(SystemClock().now())
    try:
        twin = StationTwin(await asyncio.to_thread(served_at, serving), "cp-1", version="2.1", clock=clock)
        await twin.dial()
        await twin.plug(modes=("DC_BPT",))
        await twin.start()
        async with asyncio.timeout(20.0):
            while twin.power_w != -3000.0:
                await asyncio.sleep(0.02)
        serving.kill()  # -9: it says nothing any more
        await asyncio.to_thread(serving.wait)
        clock.advance(timedelta(seconds=90))
        assert twin.power_w == -3000.0
        clock.advance(timedelta(seconds=60))
        assert twin.power_w == 0.0
        await twin.hang_up()
    finally:
        serving.kill()
        serving.communicate()


def test_a_central_system_and_a_station_in_two_processes_charge_a_car() -> None:
    secret = ("--password-env", "STATION_PASSWORD")
    serve = ("ocpp", "serve", "--station", "cp-1", "--port", "0", "--json")
    serving = vpp(*serve, "--power", "3.5", "--yes", *secret)
    station: subprocess.Popen[str] | None = None
    try:
        assert serving.stdout is not None
        station = vpp("ocpp", "twin", "cp-1", "--url", served_at(serving), "--version", "2.0.1", *secret)
        for line in serving.stdout:
            row: dict[str, Any] = json.loads(line)
            if row["point"] == "power_kw" and row["value"] == 3.5:
                break
        else:
            pytest.fail("it never charged")
    finally:
        for one in (serving, station):
            if one is not None:
                one.terminate()
                one.communicate()
