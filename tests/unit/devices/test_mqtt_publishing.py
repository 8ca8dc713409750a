"""Publishing to a mosquitto that the test starts, looked at with mosquitto's own client."""

from __future__ import annotations

import asyncio
import gc
import getpass
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiomqtt", reason="the extra mqtt is not installed")

from devices.backoff import Connection
from devices.guests import MixedGateway
from devices.mqtt import MqttConfig, MqttTls, PublishedEquipment, Publisher
from energy.core.clock import ManualClock, SystemClock
from energy.core.errors import ConfigError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    Command,
    CommandSource,
    DemandStep,
    GenerationLimit,
    Order,
    Outcome,
    RoomClimate,
)
from energy.core.plan import Reason, ReasonCode
from energy.core.series import Unit
from energy.core.units import AssetId

# paho leaves the sockets of a connection that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
START = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
METER, CAR = AssetId("meter"), AssetId("employee-car")
needs_mosquitto = pytest.mark.skipif(
    shutil.which("mosquitto") is None or shutil.which("mosquitto_sub") is None,
    reason="mosquitto is not installed (Debian: mosquitto mosquitto-clients)",
)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What paho has left is collected here, not in somebody else's test."""
    yield
    gc.collect()


class Broker:
    """A mosquitto."""

    def __init__(self, folder: Path, *settings: str) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port: int = one.getsockname()[1]
        self._file = folder / "mosquitto.conf"
        anonymous = [] if any("password_file" in line for line in settings) else ["allow_anonymous true"]
        own = [f"listener {self.port} 127.0.0.1", "persistence false", f"user {getpass.getuser()}"]
        lines = [*own, *anonymous, *settings]
        self._file.write_text("\n".join(lines) + "\n")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            "mosquitto", "-c", str(self._file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(10.0):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def listen(self, count: int, *words: str) -> list[tuple[str, str, str, str]]:
        """Retained, quality of service, topic and text of the next messages."""
        client = await asyncio.create_subprocess_exec(
            *("mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-q", "1", "-W", "10"),
            *("-C", str(count), "-F", "%r %q %t %p", *(words or ("-t", "vpp/#"))),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        output, _ = await client.communicate()
        rows = [line.split(" ", 3) for line in output.decode().splitlines()]
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    async def kept(self, count: int) -> dict[str, Any]:
        """What a stranger finds who comes later."""
        rows = await self.listen(count)
        assert {(retained, quality) for retained, quality, _, _ in rows} == {("1", "1")}
        return {topic: text if topic.endswith("status") else json.loads(text) for _, _, topic, text in rows}


@asynccontextmanager
async def broker(folder: Path, *settings: str) -> AsyncIterator[Broker]:
    made = Broker(folder, *settings)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.get_running_loop().create_task(publisher.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def publisher(port: int = 1, **changes: Any) -> Publisher:
    config = MqttConfig("works", frozenset({METER}), port=port, **changes)
    return Publisher(config, clock=SystemClock())


async def until_empty(one: Publisher) -> None:
    async with asyncio.timeout(10.0):
        while one._waiting or one.connection is not Connection.ONLINE:
            await asyncio.sleep(0.01)


def measured(value: float | None, *, name: str = "power_kw", at: datetime = START) -> dict[str, Measurement]:
    quality = Quality.STALE if value is None else Quality.GOOD
    return {name: Measurement(name, value, Unit.KW, at, quality)}


def told(asset: AssetId, order: Order) -> Outcome:
    return Applied(
        Command(
            asset=asset,
            order=order,
            source=CommandSource.GUARD,
            reason=Reason(ReasonCode.PEAK),
            issued_at=START,
            expires_at=START + timedelta(minutes=31),
            issuer="taro.aizu",
        )
    )


@needs_mosquitto
async def test_who_comes_later_finds_the_newest_values(tmp_path: Path) -> None:
    async with broker(tmp_path) as there:
        one = publisher(there.port)
        async with running(one):
            one.readings({METER: measured(12.5)})
            one.outcome(told(METER, ChargerPower(-3.0)))
            await until_empty(one)
            kept = await there.kept(3)
        assert kept == {
            "vpp/works/status": "online",
            "vpp/works/meter/power_kw": {
                "value": 12.5,
                "unit": "kW",
                "quality": "good",
                "at": "2026-07-01T00:00:00Z",
            },
            "vpp/works/meter/order": {
                "order": {"power_kw": -3.0},
                "source": "guard",
                "reason": "peak",
                "outcome": "applied",
                "at": "2026-07-01T00:00:00Z",
                "until": "2026-07-01T00:31:00Z",
            },
        }
        assert (await there.kept(3))["vpp/works/status"] == "offline"  # it said goodbye


@asynccontextmanager
async def breakable(port: int) -> AsyncIterator[tuple[int, list[asyncio.StreamWriter]]]:
    """A wire to a port that can be cut: its own port, and the ends that lead to it."""
    ends: list[asyncio.StreamWriter] = []

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(4096):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_connection("127.0.0.1", port)
        ends.append(writer)
        await asyncio.gather(pump(reader, down), pump(up, writer))

    wire = await asyncio.start_server(relay, "127.0.0.1", 0)
    async with wire:
        yield wire.sockets[0].getsockname()[1], ends


@needs_mosquitto
async def test_the_broker_says_that_we_are_gone_when_the_connection_breaks(tmp_path: Path) -> None:
    async with broker(tmp_path) as there, breakable(there.port) as (port, ends):
        one = publisher(port)
        async with running(one):
            await until_empty(one)
            listener = await asyncio.create_subprocess_exec(
                *("mosquitto_sub", "-h", "127.0.0.1", "-p", str(there.port), "-t", "vpp/works/status"),
                stdout=subprocess.PIPE,
            )
            assert listener.stdout is not None
            try:
                async with asyncio.timeout(10.0):
                    assert await listener.stdout.readline() == b"online\n"
                    ends[0].transport.abort()
                    assert await listener.stdout.readline() == b"offline\n"  # the will
                    assert await listener.stdout.readline() == b"online\n"
            finally:
                listener.terminate()
                await listener.communicate()


@needs_mosquitto
async def test_without_a_broker_the_newest_waits_and_is_sent_when_it_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there = Broker(tmp_path)
    one = publisher(there.port)
    async with running(one):
        for value in range(50):
            one.readings({METER: measured(float(value))})
        async with asyncio.timeout(10.0):
            while one._back_off.failures < 2:
                await asyncio.sleep(0.02)
        assert [record.message for record in caplog.records if "mqtt.offline" in record.message][1:] == []
        await there.start()
        try:
            await until_empty(one)
            kept = await there.kept(2)
            assert kept["vpp/works/meter/power_kw"]["value"] == 49.0
            assert one.sent == 1
        finally:
            await there.stop()


@needs_mosquitto
async def test_a_broker_that_forgot_everything_is_told_again(tmp_path: Path) -> None:
    async with broker(tmp_path) as there:
        one = publisher(there.port)
        async with running(one):
            one.readings({METER: measured(7.0)})
            await until_empty(one)
            await there.stop()
            async with asyncio.timeout(10.0):
                while one.connection is Connection.ONLINE:
                    await asyncio.sleep(0.01)
            await there.start()
            await until_empty(one)
            assert (await there.kept(2))["vpp/works/meter/power_kw"]["value"] == 7.0


@needs_mosquitto
async def test_a_password_is_given_and_a_wrong_one_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", str(file), "vpp", "right"], check=True, capture_output=True
    )
    async with broker(tmp_path, f"password_file {file}") as there:
        good = publisher(there.port, user="vpp", password="right")
        async with running(good):
            await until_empty(good)
        bad = publisher(there.port, user="vpp", password="wrong")
        async with running(bad):
            async with asyncio.timeout(10.0):
                while bad.connection is not Connection.OFFLINE:
                    await asyncio.sleep(0.01)
        assert "right" not in repr(good.config)


@needs_mosquitto
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_tls_is_spoken_and_a_strangers_certificate_is_not_trusted(tmp_path: Path) -> None:
    certificate, key = tmp_path / "broker.pem", tmp_path / "broker.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    async with broker(tmp_path, f"certfile {certificate}", f"keyfile {key}") as there:
        good = publisher(there.port, tls=MqttTls(ca=certificate))
        async with running(good):
            good.readings({METER: measured(1.0)})
            await until_empty(good)
        stranger = publisher(there.port, tls=MqttTls())
        async with running(stranger):
            async with asyncio.timeout(10.0):
                while stranger.connection is not Connection.OFFLINE:
                    await asyncio.sleep(0.01)
    with pytest.raises(ConfigError, match="cannot be used"):
        await publisher(tls=MqttTls(ca=tmp_path / "nothing.pem")).run()


# What is taken


async def test_what_waits_is_bounded_and_the_oldest_makes_room() -> None:
    one = publisher(queue=3)
    for number in range(10):
        one.readings({METER: measured(1.0, name=f"point_{number}")})
    assert list(one._waiting) == [f"vpp/works/meter/point_{number}" for number in (7, 8, 9)]
    assert one.dropped == 7


async def test_nothing_leaves_that_is_not_listed_and_nobody_is_named() -> None:
    one = publisher()
    one.readings({CAR: measured(3.0), METER: measured(1.0)})
    one.outcome(told(CAR, ChargerPower(3.0)))
    one.outcome(told(METER, ChargerPower(3.0)))
    assert set(one._waiting) == {"vpp/works/meter/power_kw", "vpp/works/meter/order"}
    assert "taro" not in "".join(one._waiting.values())


async def test_what_does_not_change_is_told_once_in_a_while_and_what_changes_at_once() -> None:
    clock = ManualClock(START)
    one = Publisher(MqttConfig("works", frozenset({METER})), clock=clock)
    told_at = []
    for second in range(0, 130, 10):
        one.readings({METER: measured(1.0 if second < 100 else None, at=clock.now())})
        if one._waiting:
            told_at.append((second, json.loads(one._waiting.popitem()[1])["quality"]))
        clock.advance(timedelta(seconds=10))
    assert told_at == [(0, "good"), (60, "good"), (100, "stale")]


async def test_every_order_has_words() -> None:
    one = publisher()
    for order, words in (
        (RoomClimate(ClimateMode.COOL, 27.0), {"mode": "cool", "setpoint_c": 27.0}),
        (GenerationLimit(None), {"limit_kw": None}),
        (DemandStep(0.4), {"ratio": 0.4}),
    ):
        one.outcome(told(METER, order))
        assert json.loads(one._waiting["vpp/works/meter/order"])["order"] == words


async def test_a_gateway_is_published_on_the_way_up() -> None:
    from devices.ocpp.central import CentralSystem
    from devices.ocpp.config import CentralConfig, Connector, StationConfig

    clock = ManualClock(START)
    station = StationConfig("cp-1", {1: Connector(METER, 7.0)})
    gateway = MixedGateway([], clock=clock)
    gateway.attach(CentralSystem(CentralConfig([station], port=0), clock=clock))
    one = publisher()
    through = PublishedEquipment(gateway, one)
    assert METER in await through.read()
    outcome = await through.apply(told(METER, ChargerPower(1.0)).command)
    assert type(outcome).__name__ == "Unreachable"
    assert json.loads(one._waiting["vpp/works/meter/order"])["outcome"] == "unreachable"
    assert json.loads(one._waiting["vpp/works/meter/connection"]) == {"state": "never"}
    assert json.loads(one._waiting["vpp/works/meter/power_kw"])["value"] is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"site": "a/b"}, "cannot be part of a topic"),
        ({"site": "#"}, "cannot be part of a topic"),
        ({"prefix": ""}, "cannot be part of a topic"),
        ({"assets": frozenset({AssetId("+")})}, "cannot be part of a topic"),
        ({"host": "broker.example"}, "in the clear"),
        ({"queue": 0}, "below 1"),
    ],
)
async def test_a_configuration_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Publisher(
            MqttConfig(**{"site": "works", "assets": frozenset({METER}), **changes}), clock=SystemClock()
        )
