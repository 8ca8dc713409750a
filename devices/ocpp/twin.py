"""A charging station for tests and for trying: it dials in, and keeps to the profiles that it was given.

It shares no code with the dialects and nothing with the package ``ocpp``, so that one mistake cannot cancel
the other: messages are written out here once more, by the texts of the standard.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from datetime import datetime, timedelta
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from energy.core.clock import Clock

__all__ = ["DIAL_ERRORS", "StationTwin"]

DIAL_ERRORS: Final = (OSError, WebSocketException, TimeoutError)  # what a connection may end with

_MAX: Final = {"ChargePointMaxProfile", "ChargingStationMaxProfile"}
Json = dict[str, Any]


class StationTwin:
    """A station with one connector and a car that takes what it may.

    Parameters
    ----------
    url : str
        Where the central system is: ``ws://127.0.0.1:9000``.
    identity : str
        Its name there.
    version : {'1.6', '2.0.1', '2.1'}
        What it speaks.
    clock : Clock
        Its own clock.
    """

    def __init__(
        self, url: str, identity: str, *, version: str, clock: Clock, password: str | None = None
    ) -> None:
        self.url, self.identity, self.version, self.password = url, identity, version, password
        self.car_kw = 7.0  # most the car takes, and gives where it may
        self.soc = 0.5
        self.plugged = False
        self.transaction: str | int | None = None
        self.profiles: dict[int, Json] = {}
        self.heard: list[tuple[str, Json]] = []
        self.refuses: set[str] = set()
        self.mute = False
        self.shows_w: float | None = None  # what it says that it does, whatever it was told
        self.noise: str | None = None  # said before each answer
        self.queue: list[tuple[str, Json]] = []
        self.import_wh = 10_000.0
        self.told = asyncio.Event()
        self._clock = clock
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._answers: dict[str, asyncio.Future[Json]] = {}
        self._count = 0
        self._sequence = 0
        self._work: set[asyncio.Task[None]] = set()

    # Connection

    async def dial(self, *, context: ssl.SSLContext | None = None, boot: bool = True) -> None:
        """Connect, say what it is if it has restarted, and send what waited."""
        headers = {}
        if self.password is not None:
            code = base64.b64encode(f"{self.identity}:{self.password}".encode()).decode()
            headers["Authorization"] = f"Basic {code}"
        self._socket = await connect(
            f"{self.url}/{self.identity}",
            subprotocols=[Subprotocol(f"ocpp{self.version}")],
            additional_headers=headers,
            ssl=context,
        )
        self._task = asyncio.get_running_loop().create_task(self._listen(self._socket))
        if boot:
            await self.call("BootNotification", self._boot())
            await self.status()
        while self.queue:
            await self.call(*self.queue.pop(0))

    def _boot(self) -> Json:
        if self.version == "1.6":
            return {"chargePointVendor": "Twin", "chargePointModel": "One"}
        return {"chargingStation": {"vendorName": "Twin", "model": "Two"}, "reason": "PowerUp"}

    async def hang_up(self) -> None:
        """End the connection; what happens now waits in the queue."""
        if self._socket is not None:
            await self._socket.close()
        if self._task is not None:
            await self._task
        self._socket = None

    async def _listen(self, socket: ClientConnection) -> None:
        try:
            async for raw in socket:
                message = json.loads(raw)
                if message[0] == 2:
                    await self._answer(socket, message)
                elif (future := self._answers.pop(message[1], None)) is not None:
                    future.set_result({"error": message[2]} if message[0] == 4 else message[2])
        except ConnectionClosed:
            pass
        for future in self._answers.values():
            future.cancel()

    async def call(self, action: str, payload: Json, *, unique: str | None = None) -> Json:
        """Say something and wait for the answer; ``{"error": code}`` if it is refused."""
        self._count += 1
        name = unique or f"{self.identity}-{self._count}"
        self._answers[name] = asyncio.get_running_loop().create_future()
        await self.send(json.dumps([2, name, action, payload]))
        return await self._answers[name]

    async def send(self, text: str) -> None:
        """Send a text as it is."""
        assert self._socket is not None  # dialled
        await self._socket.send(text)

    async def _answer(self, socket: ClientConnection, message: list[Any]) -> None:
        _, name, action, payload = message
        self.heard.append((action, payload))
        self.told.set()
        if self.mute:
            return
        if self.noise is not None:
            await socket.send(self.noise)
        if action in self.refuses:
            await socket.send(json.dumps([4, name, "NotSupported", "", {}]))
            return
        await socket.send(json.dumps([3, name, self._reply(action, payload)]))

    def _reply(self, action: str, payload: Json) -> Json:
        match action:
            case "SetChargingProfile":
                profile = payload.get("csChargingProfiles") or payload["chargingProfile"]
                number = payload["connectorId" if "connectorId" in payload else "evseId"]
                self._keep(number, profile)
            case "ClearChargingProfile":
                gone = self.profiles.pop(payload["id" if "id" in payload else "chargingProfileId"], None)
                return {"status": "Unknown" if gone is None else "Accepted"}
            case "GetCompositeSchedule":
                return self._composite(payload)
            case "RemoteStartTransaction" | "RequestStartTransaction":
                token = payload["idTag"] if self.version == "1.6" else payload["idToken"]["idToken"]
                self._later(token)
            case "RemoteStopTransaction" | "RequestStopTransaction":
                self._later(None)
            case "SetVariables":
                return {
                    "setVariableResult": [
                        {
                            "attributeStatus": "Accepted",
                            "component": one["component"],
                            "variable": one["variable"],
                        }
                        for one in payload["setVariableData"]
                    ]
                }
        return {"status": "Accepted"}

    def _later(self, token: str | None) -> None:
        work = self.stop("Remote") if token is None else self.start(token)
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _keep(self, number: int, profile: Json) -> None:
        key = profile["id" if "id" in profile else "chargingProfileId"]
        self.profiles[key] = {**profile, "number": number}

    # Profiles

    def _limit_of(self, profile: Json) -> float | None:
        """What a profile says now; None if its time is over. [W]"""
        written = profile["chargingSchedule"]
        schedule = written[0] if isinstance(written, list) else written
        period = schedule["chargingSchedulePeriod"][0]
        value = float(period.get("setpoint", period.get("limit")))
        if schedule["chargingRateUnit"] == "A":
            value *= 600.0  # three phases of 200 V
        if "startSchedule" in schedule:
            begun = datetime.fromisoformat(schedule["startSchedule"])
            now = self._clock.now()
            if not begun <= now < begun + timedelta(seconds=schedule.get("duration", 10**9)):
                return None
        return value

    def allowed_w(self) -> float:
        """What may flow now: the order while it lasts, else the default, never above the station's limit."""
        if self.shows_w is not None:
            return self.shows_w
        by: dict[str, float] = {}
        for profile in self.profiles.values():
            mine = profile.get("transactionId") in (None, self.transaction)
            value = self._limit_of(profile) if mine else None
            if value is not None:
                by[profile["chargingProfilePurpose"]] = value
        chosen = by.get("TxProfile", by.get("TxDefaultProfile", 22_000.0))
        return min([chosen, *(value for purpose, value in by.items() if purpose in _MAX)])

    def _composite(self, payload: Json) -> Json:
        watts = self.allowed_w()
        unit = payload.get("chargingRateUnit", "W")
        value = round(watts if unit == "W" else watts / 600.0, 1)
        period: Json = {"startPeriod": 0, "limit": value}
        if value < 0:
            period = {"startPeriod": 0, "operationMode": "CentralSetpoint", "setpoint": value}
        schedule: Json = {"chargingRateUnit": unit, "chargingSchedulePeriod": [period]}
        start = self._stamp()
        if self.version == "1.6":
            return {"status": "Accepted", "connectorId": payload["connectorId"], "scheduleStart": start,
                    "chargingSchedule": schedule}  # fmt: skip
        schedule |= {"evseId": payload["evseId"], "duration": payload["duration"], "scheduleStart": start}
        return {"status": "Accepted", "schedule": schedule}

    @property
    def power_w(self) -> float:
        """What flows: nothing without a charge."""
        if self.transaction is None or not self.plugged:
            return 0.0
        return max(-1000.0 * self.car_kw, min(1000.0 * self.car_kw, self.allowed_w()))

    # What it says by itself

    def _stamp(self) -> str:
        return self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    async def _say(self, action: str, payload: Json) -> Json:
        if self._socket is None:
            self.queue.append((action, payload))
            return {}
        return await self.call(action, payload)

    async def status(self) -> None:
        """Say the state of the connector."""
        if self.version == "1.6":
            state = "Available" if not self.plugged else "Preparing"
            if self.transaction is not None:
                state = "Charging" if self.power_w else "SuspendedEVSE"
            said: Json = {"connectorId": 1, "errorCode": "NoError", "status": state}
        else:
            state = "Occupied" if self.plugged else "Available"
            said = {"evseId": 1, "connectorId": 1, "connectorStatus": state}
        await self._say("StatusNotification", {**said, "timestamp": self._stamp()})

    async def plug(self, *, modes: tuple[str, ...] = ()) -> None:
        """A car comes; ``modes`` are the energy transfers that it offers (OCPP 2)."""
        self.plugged = True
        await self.status()
        if modes:
            needs = {"requestedEnergyTransfer": modes[0]}
            await self._say("NotifyEVChargingNeeds", {"evseId": 1, "chargingNeeds": needs})

    async def unplug(self) -> None:
        """The car goes."""
        if self.transaction is not None:
            await self.stop("EVDisconnected")
        self.plugged = False
        await self.status()

    async def start(self, tag: str = "card-1") -> None:
        """A charge begins."""
        if self.version == "1.6":
            said: Json = {"connectorId": 1, "idTag": tag, "meterStart": int(self.import_wh)}
            answer = await self._say("StartTransaction", {**said, "timestamp": self._stamp()})
            self.transaction = answer.get("transactionId", -1)
        else:
            self._sequence = 0
            self.transaction = f"{self.identity}-t{self._count}"
            await self._event("Started", token=tag)
        await self.status()

    async def stop(self, reason: str = "Local") -> None:
        """The charge ends."""
        if self.version == "1.6":
            said = {"transactionId": self.transaction, "meterStop": int(self.import_wh), "reason": reason}
            await self._say("StopTransaction", {**said, "timestamp": self._stamp()})
        else:
            await self._event("Ended")
        self.transaction = None
        await self.status()

    async def meter(self) -> None:
        """Report power, energy and state of charge."""
        if self.version != "1.6":
            await self._event("Updated")
            return
        values = [
            {"measurand": "Power.Active.Import", "unit": "kW", "value": f"{self.power_w / 1000:.3f}"},
            {"measurand": "Energy.Active.Import.Register", "unit": "Wh", "value": f"{self.import_wh:.0f}"},
            {"measurand": "SoC", "unit": "Percent", "value": f"{100 * self.soc:.0f}"},
        ]
        said: Json = {"connectorId": 1, "meterValue": [{"timestamp": self._stamp(), "sampledValue": values}]}
        if self.transaction is not None:
            said["transactionId"] = self.transaction
        await self._say("MeterValues", said)

    async def _event(self, kind: str, *, token: str | None = None) -> None:
        watts = self.power_w
        state = "Charging" if watts else "SuspendedEVSE"
        way = "Power.Active.Export" if watts < 0 else "Power.Active.Import"
        values = [
            {"measurand": way, "value": abs(watts), "unitOfMeasure": {"unit": "W"}},
            {
                "measurand": "Energy.Active.Import.Register",
                "value": self.import_wh / 1000.0,
                "unitOfMeasure": {"unit": "Wh", "multiplier": 3},
            },
            {"measurand": "SoC", "value": 100 * self.soc},
        ]
        trigger = {"Started": "Authorized", "Updated": "MeterValuePeriodic", "Ended": "StopAuthorized"}
        said: Json = {
            "eventType": kind,
            "timestamp": self._stamp(),
            "triggerReason": trigger[kind],
            "seqNo": self._sequence,
            "transactionInfo": {"transactionId": self.transaction, "chargingState": state},
            "evse": {"id": 1, "connectorId": 1},
            "meterValue": [{"timestamp": self._stamp(), "sampledValue": values}],
        }
        if token is not None:
            said["idToken"] = {"idToken": token, "type": "ISO14443"}
        if self._socket is None:
            said["offline"] = True
        self._sequence += 1
        await self._say("TransactionEvent", said)

    def flow(self, seconds: float) -> None:
        """Let energy flow for a while."""
        wh = self.power_w * seconds / 3600.0
        self.import_wh += max(0.0, wh)
        self.soc = min(1.0, max(0.0, self.soc + wh / 40_000.0))
