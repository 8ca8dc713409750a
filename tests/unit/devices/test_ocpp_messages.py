"""What stations repeat, queue and invent, and who may call."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("ocpp", reason="the extra ocpp is not installed")
from websockets.exceptions import InvalidMessage, InvalidStatus

from devices.guests import MixedGateway
from devices.natures import ChargerState
from devices.ocpp.central import CentralSystem
from devices.ocpp.config import CentralConfig, Connector, ServerTls, StationConfig
from devices.ocpp.twin import StationTwin
from devices.service import GatewayService, Paces
from energy.core.clock import ManualClock
from energy.core.errors import ConfigError, UnreachableError
from energy.core.outcome import (
    Applied,
    ChargerPower,
)
from tests.unit.devices.ocpp_bench import CONNECTOR, LEAF, START, VERSIONS, Made, made


async def test_a_charge_told_from_a_queue_is_booked_once_and_is_no_live_value() -> None:
    async with made() as one:
        await one.charging()
        await one.twin.hang_up()
        await one.gone()
        one.twin.flow(3600.0)
        await one.twin.meter()  # into the queue
        await one.twin.stop("Local")
        queued = list(one.twin.queue)
        one.clock.advance(timedelta(hours=1))
        await one.dial(boot=False)
        (session,) = one.station.finished
        assert session.import_kwh == pytest.approx(1.5)
        assert session.ended == START
        assert (await one.points())["power_kw"].value != pytest.approx(1.5)
        for message in queued:  # the answer was lost: it says it all again
            await one.twin.call(*message)
        assert len(one.station.finished) == 1


async def test_a_begin_that_is_told_twice_is_one_charge() -> None:
    async with made() as one:
        await one.dial()
        await one.twin.plug()
        begin = {"connectorId": 1, "idTag": "card-1", "meterStart": 100, "timestamp": one.twin._stamp()}
        first = await one.twin.call("StartTransaction", begin)
        again = await one.twin.call("StartTransaction", begin)
        other = await one.twin.call("StartTransaction", {**begin, "meterStart": 101})
        assert first["transactionId"] == again["transactionId"] != other["transactionId"]


async def test_the_same_message_twice_has_the_same_answer_and_happens_once() -> None:
    async with made() as one:
        await one.dial()
        await one.twin.plug()
        begin = {"connectorId": 1, "idTag": "a", "meterStart": 1, "timestamp": "2026-07-01T00:00:00Z"}
        first = await one.twin.call("StartTransaction", begin, unique="same")
        one.clock.advance(timedelta(seconds=5))
        assert await one.twin.call("StartTransaction", begin, unique="same") == first


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_events_out_of_order_do_not_turn_the_state_back(version: str) -> None:
    async with made(version) as one:
        await one.charging()
        await one.apply(ChargerPower(3.0))
        await one.twin.meter()
        late = {
            "eventType": "Updated",
            "timestamp": one.twin._stamp(),
            "triggerReason": "ChargingStateChanged",
            "seqNo": 0,
            "transactionInfo": {"transactionId": one.twin.transaction, "chargingState": "SuspendedEV"},
        }
        assert await one.twin.call("TransactionEvent", late) == {}
        assert (await one.points())["state"].value == float(ChargerState.CHARGING)


async def test_a_charge_that_began_before_we_did_is_taken_over() -> None:
    async with made() as one:
        await one.dial()
        one.twin.plugged, one.twin.transaction = True, 4711
        await one.twin.status()
        await one.twin.meter()
        assert isinstance(await one.apply(ChargerPower(2.0)), Applied)
        assert one.said("SetChargingProfile")[-1]["csChargingProfiles"]["transactionId"] == 4711  # type: ignore[index]


async def test_a_meter_that_starts_anew_books_nothing_rather_than_a_negative_amount() -> None:
    async with made() as one:
        await one.charging()
        one.twin.import_wh = 0.0
        await one.twin.stop()
        assert one.station.finished[-1].import_kwh is None


async def test_unknown_drivers_are_not_let_in_and_nobody_is_named() -> None:
    async with made(tokens=frozenset({"card-1"})) as one:
        await one.dial()
        assert await one.twin.call("Authorize", {"idTag": "card-1"}) == {"idTagInfo": {"status": "Accepted"}}
        assert await one.twin.call("Authorize", {"idTag": "card-2"}) == {"idTagInfo": {"status": "Invalid"}}
        assert "card" not in repr(one.central.config)


@pytest.mark.parametrize("version", VERSIONS)
async def test_messages_against_the_schema_are_refused_by_code_and_do_no_harm(version: str) -> None:
    async with made(version) as one:
        await one.dial()
        wrong = await one.twin.call("StatusNotification", {"connectorId": "one"})
        assert wrong["error"] in ("ProtocolError", "TypeConstraintViolation", "FormationViolation",
                                  "FormatViolation", "OccurrenceConstraintViolation")  # fmt: skip
        assert await one.twin.call("MakeCoffee", {}) == {"error": "NotImplemented"}
        for text in (
            "",
            "nonsense",
            "[]",
            "[2]",
            "{}",
            "[9,1,2]",
            '[3,"x"]',
            "[2,{},[],{}]",
            '[2,"a",[],{}]',
        ):
            await one.twin.send(text)
        assert "currentTime" in await one.twin.call("Heartbeat", {})


async def test_a_caller_that_sends_only_garbage_is_hung_up_on() -> None:
    async with made() as one:
        await one.dial()
        for _ in range(10):
            await one.twin.send("nonsense")
        await one.gone()


# Who may call


async def test_unknown_stations_and_wrong_passwords_are_refused() -> None:
    async with made(password="right") as one:

        async def status(name: str, password: str | None) -> int:
            twin = StationTwin(one.twin.url, name, version="1.6", clock=one.clock, password=password)
            with pytest.raises(InvalidStatus) as refused:
                await twin.dial()
            return refused.value.response.status_code

        assert await status("cp-9", "right") == 404
        assert await status("cp-1", None) == 401
        assert await status("cp-1", "wrong") == 401
        assert one.central.refused == 3
        one.twin.password = "right"
        await one.dial()


async def test_a_station_that_speaks_no_ocpp_is_refused() -> None:
    async with made() as one:
        one.twin.version = "1.5"
        with pytest.raises(InvalidStatus):
            await one.twin.dial()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (CentralConfig([], host="0.0.0.0"), "without TLS"),
        (CentralConfig([], lease_s=20), "shorter than three meter reports"),
        (CentralConfig([StationConfig("a", {1: CONNECTOR}), StationConfig("a", {1: CONNECTOR})]), "unique"),
        (CentralConfig([StationConfig("a/b", {1: CONNECTOR})]), "slash"),
        (CentralConfig([StationConfig("a", {})]), "no connector"),
        (CentralConfig([StationConfig("a", {0: CONNECTOR})]), "counted from 1"),
        (CentralConfig([StationConfig("a", {1: CONNECTOR, 2: CONNECTOR})]), "two connectors speak for"),
        (CentralConfig([StationConfig("a", {1: Connector(LEAF, 7.0, safe_kw=8.0)})]), "safe_kw 8"),
        (CentralConfig([StationConfig("a", {1: Connector(LEAF, 0.0)})]), "impossible limit"),
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(config: CentralConfig, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        CentralSystem(config, clock=ManualClock(START))
    assert words in str(refused.value)


async def test_a_port_that_is_taken_is_named() -> None:
    async with made() as one:
        other = CentralSystem(replace(one.central.config, port=one.central.port), clock=one.clock)
        with pytest.raises(ConfigError, match="cannot listen"):
            await other.start()


async def test_an_asset_of_two_protocols_is_refused() -> None:
    async with made() as one:
        again = CentralSystem(replace(one.central.config, port=0), clock=one.clock)
        with pytest.raises(ConfigError, match="two devices are called"):
            one.gateway.attach(again)


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)


def certificates(folder: Path) -> ServerTls:
    """Of a server, of an authority, and of two stations by it."""
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "server"):
        own = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN={name}", "-days", "2")
        openssl(folder, "req", "-x509", *curve, *own, "-addext", "subjectAltName=IP:127.0.0.1")
    for name in ("cp-1", "cp-2"):
        own = ("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(folder, "req", *curve, *own)
        by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *by)
    return ServerTls(folder / "server.pem", folder / "server.key", folder / "ca.pem")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_a_certificate_lets_in_whom_it_names_and_nobody_else(tmp_path: Path) -> None:
    def shown(name: str | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=tmp_path / "server.pem")
        if name is not None:
            context.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        return context

    async with made(tls=certificates(tmp_path)) as one:
        one.twin.url = one.twin.url.replace("ws://", "wss://")
        with pytest.raises(InvalidStatus) as refused:
            await one.twin.dial(context=shown("cp-2"))
        assert refused.value.response.status_code == 401
        with pytest.raises((OSError, InvalidMessage)):
            await one.twin.dial(context=shown(None))
        await one.twin.dial(context=shown("cp-1"))
        await one.settled()
        assert one.twin.allowed_w() == 1500.0


async def test_values_of_a_clock_that_is_late_are_history_and_it_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with made() as one:
        await one.charging()
        await one.apply(ChargerPower(3.0))
        await one.twin.status()
        one.twin._clock = ManualClock(START - timedelta(minutes=4))
        for _ in range(150):
            await one.twin.meter()
        assert (await one.points())["power_kw"].value is None
        assert len([record for record in caplog.records if "ocpp.late_values" in record.message]) == 1
        await one.twin.unplug()  # a state is the newest that was heard, whatever its stamp
        assert (await one.points())["plugged"].value == 0.0


async def test_a_service_listens_by_itself_and_gives_a_restarted_station_its_order_again() -> None:
    clock = ManualClock(START)
    central = CentralSystem(CentralConfig([StationConfig("cp-1", {1: CONNECTOR})], port=0), clock=clock)
    gateway = MixedGateway([], clock=clock)
    gateway.attach(central)
    service = GatewayService(gateway, clock=clock, paces=Paces(0.02, 0.02, 0.02), notify=lambda _: None)
    running = asyncio.get_running_loop().create_task(service.run())
    async with asyncio.timeout(20.0):
        await service.ready()
        one = Made(central, gateway, clock, "1.6")
        await one.charging()
        assert isinstance(await one.apply(ChargerPower(3.0)), Applied)
        await one.twin.hang_up()
        one.twin.profiles.clear()
        await one.dial()
        while one.twin.power_w != 3000.0:  # nobody has ordered anything again
            await asyncio.sleep(0.01)
        await one.twin.meter()
        while (await service.read())[LEAF]["power_kw"].value != 3.0:
            await asyncio.sleep(0.01)
        service.stop()
        await running
    assert one.twin.power_w == 1500.0
    await one.twin.hang_up()


async def test_an_order_of_a_station_that_is_away_is_not_called_safe() -> None:
    async with made() as one:
        await one.charging()
        await one.apply(ChargerPower(3.0))
        await one.twin.hang_up()
        await one.gone()
        with pytest.raises(UnreachableError, match="not connected"):
            await one.station.safe_state()


async def test_reading_does_not_wait_for_a_station_that_answers_nothing() -> None:
    async with made(answer_s=30.0) as one:
        one.twin.mute = True
        await one.twin.dial()
        async with asyncio.timeout(5.0):
            assert (await one.points())["plugged"].value == 0.0
        one.twin.mute = False
        await one.twin.hang_up()


async def test_a_set_up_that_failed_is_tried_again() -> None:
    async with made(answer_s=0.05) as one:
        one.twin.mute = True
        await one.twin.dial()
        while one.station._tasks:
            await asyncio.sleep(0.01)
        assert one.twin.allowed_w() == 22_000.0
        one.twin.mute = False
        await one.points()
        await one.settled()
        assert one.twin.allowed_w() == 1500.0
