"""A charging station on npm's ocpp-rpc, in strict mode and another process, calls our central system."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ocpp", reason="the extra ocpp is not installed")

from devices.guests import MixedGateway
from devices.ocpp.central import CentralSystem
from devices.ocpp.config import CentralConfig, ServerTls, StationConfig
from energy.core.clock import SystemClock
from energy.core.errors import ConfigError
from energy.core.outcome import Applied, ChargerPower, Command, CommandSource, Outcome
from energy.core.plan import Reason, ReasonCode
from tests.unit.devices.npm import NodeProgram, needs_npm, node
from tests.unit.devices.ocpp_bench import CONNECTOR, LEAF

# Which of our models a program of others speaks with its own schemas.
KNOWN_BY_OTHERS = {"ocpp-16": "ocpp-rpc", "ocpp-201": "ocpp-rpc", "ocpp-21": "ocpp-rpc"}

pytestmark = needs_npm


async def order(gateway: MixedGateway, power_kw: float) -> Outcome:
    now = SystemClock().now()
    return await gateway.apply(
        Command(
            asset=LEAF,
            order=ChargerPower(power_kw),
            source=CommandSource.PLAN,
            reason=Reason(ReasonCode.PRICE),
            issued_at=now,
            expires_at=now + timedelta(minutes=31),
        )
    )


async def central(station: StationConfig, tls: ServerTls | None = None) -> tuple[CentralSystem, MixedGateway]:
    made = CentralSystem(CentralConfig([station], port=0, tls=tls), clock=SystemClock())
    gateway = MixedGateway([], clock=SystemClock())
    gateway.attach(made)
    await gateway.connect()
    return made, gateway


async def ask(other: NodeProgram, action: str, params: dict[str, Any]) -> Any:
    await other.tell({"call": action, "params": params})
    return await other.until("answer")


def place(made: CentralSystem) -> str:
    return f"ws://127.0.0.1:{made.port}"


def stamp() -> str:
    return SystemClock().now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def ready(made: CentralSystem) -> None:
    station = made.stations["cp-1"]
    async with asyncio.timeout(10.0):
        while station._tasks or not station._ready:
            await asyncio.sleep(0.01)


def no_fault(other: NodeProgram) -> None:
    """Neither side has said anything that the other's schemas do not allow."""
    assert [line for line in other.lines if {"bad", "invalid", "error"} & set(line)] == []


async def test_a_1_6_station_of_others_is_charged_with_and_falls_back() -> None:
    made, gateway = await central(StationConfig("cp-1", {1: CONNECTOR}, password="right"))
    try:
        async with node(
            "ocpp_station.js", f"ws://127.0.0.1:{made.port}", "cp-1", "ocpp1.6", "right"
        ) as other:
            assert await other.until("connected") == "ocpp1.6"
            boot = {"chargePointVendor": "Other", "chargePointModel": "One"}
            assert (await ask(other, "BootNotification", boot))["status"] == "Accepted"
            await ready(made)
            at = stamp()
            status = {"connectorId": 1, "errorCode": "NoError", "status": "Preparing", "timestamp": at}
            await ask(other, "StatusNotification", status)
            begin = {"connectorId": 1, "idTag": "card", "meterStart": 100, "timestamp": at}
            number = (await ask(other, "StartTransaction", begin))["transactionId"]
            await ask(other, "StatusNotification", {**status, "status": "Charging"})
            assert isinstance(await order(gateway, 4.2), Applied)
            await other.tell({"limit": True})
            assert (await other.until("limit"))["limit"] == 4200
            values = [
                {"value": "4.1", "measurand": "Power.Active.Import", "unit": "kW"},
                {"value": "50", "measurand": "SoC", "unit": "Percent"},
            ]
            taken = {"timestamp": stamp(), "sampledValue": values}
            await ask(
                other, "MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [taken]}
            )
            points = (await gateway.read())[LEAF]
            assert points["power_kw"].value == pytest.approx(4.1)
            assert points["soc"].value == pytest.approx(0.5)
            await gateway.safe_state()
            await other.tell({"limit": True})
            assert (await other.until("limit"))["limit"] == 1500
            stop = {"transactionId": number, "meterStop": 3100, "timestamp": stamp()}
            await ask(other, "StopTransaction", stop)
            assert made.stations["cp-1"].finished[-1].import_kwh == pytest.approx(3.0)
            no_fault(other)
    finally:
        await gateway.close()


@pytest.mark.parametrize(("version", "power_kw"), [("2.0.1", 4.2), ("2.1", 4.2), ("2.1", -3.0)])
async def test_a_station_of_others_with_ocpp_2_is_charged_with(version: str, power_kw: float) -> None:
    made, gateway = await central(StationConfig("cp-1", {1: CONNECTOR}))
    try:
        async with node("ocpp_station.js", place(made), "cp-1", f"ocpp{version}") as other:
            assert await other.until("connected") == f"ocpp{version}"
            boot = {"chargingStation": {"vendorName": "Other", "model": "Two"}, "reason": "PowerUp"}
            assert (await ask(other, "BootNotification", boot))["status"] == "Accepted"
            await ready(made)
            status = {"timestamp": stamp(), "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}
            await ask(other, "StatusNotification", status)
            began: dict[str, Any] = {
                "eventType": "Started",
                "timestamp": stamp(),
                "triggerReason": "Authorized",
                "seqNo": 0,
                "transactionInfo": {"transactionId": "t-1", "chargingState": "Charging"},
                "evse": {"id": 1, "connectorId": 1},
                "idToken": {"idToken": "card", "type": "ISO14443"},
            }
            answer = await ask(other, "TransactionEvent", began)
            assert answer["idTokenInfo"]["status"] == "Accepted"
            assert isinstance(await order(gateway, power_kw), Applied)
            await other.tell({"limit": True})
            period = await other.until("limit")
            assert period.get("setpoint", period.get("limit")) == 1000.0 * power_kw
            no_fault(other)
    finally:
        await gateway.close()


async def test_a_wrong_password_is_refused() -> None:
    made, gateway = await central(StationConfig("cp-1", {1: CONNECTOR}, password="right"))
    try:
        async with node(
            "ocpp_station.js", f"ws://127.0.0.1:{made.port}", "cp-1", "ocpp1.6", "wrong"
        ) as other:
            assert "401" in str(await other.until("refused"))
        assert made.refused == 1
    finally:
        await gateway.close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_a_station_of_others_calls_over_tls(tmp_path: Path) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ServerTls(certificate, key)
    made, gateway = await central(StationConfig("cp-1", {1: CONNECTOR}, password="right"), tls)
    try:
        secure = f"wss://127.0.0.1:{made.port}"
        async with node("ocpp_station.js", secure, "cp-1", "ocpp1.6", "right", str(certificate)) as other:
            assert await other.until("connected") == "ocpp1.6"
        async with node("ocpp_station.js", secure, "cp-1", "ocpp1.6", "right") as stranger:
            await stranger.until("refused")  # it does not trust our certificate
        broken = CentralSystem(
            replace(made.config, tls=ServerTls(key, certificate), port=0), clock=SystemClock()
        )
        with pytest.raises(ConfigError, match="cannot be used"):
            await broken.start()
    finally:
        await gateway.close()
