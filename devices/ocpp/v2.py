"""OCPP 2.0.1 and 2.1: messages to and from what the house says. Only 2.1 knows setpoints that give back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from devices.natures import ChargerState
from devices.ocpp.words import (
    Booted,
    Desk,
    Event,
    Goal,
    Metered,
    NeedsSaid,
    Payload,
    Purpose,
    StatusSaid,
    TransactionSaid,
    instant,
    kilo,
    stamp,
    totals,
)

__all__ = ["V2"]

_PURPOSE: Final = {
    Purpose.STATION: "ChargingStationMaxProfile",
    Purpose.SAFE: "TxDefaultProfile",
    Purpose.ORDER: "TxProfile",
}
# OCPP 2.0.1 part 2, 3.29 ConnectorStatusEnumType.
_STATUS: Final[dict[str, tuple[ChargerState | None, bool | None]]] = {
    "Available": (ChargerState.UNPLUGGED, False),
    "Occupied": (None, True),  # the transaction says more
    "Reserved": (ChargerState.UNPLUGGED, False),
    "Unavailable": (ChargerState.FAULT, None),
    "Faulted": (ChargerState.FAULT, None),
}
# OCPP 2.0.1 part 2, 3.18 ChargingStateEnumType.
_CHARGING: Final = {
    "Charging": ChargerState.CHARGING,
    "EVConnected": ChargerState.WAITING,
    "SuspendedEV": ChargerState.WAITING,
    "SuspendedEVSE": ChargerState.PAUSED,
    "Idle": ChargerState.UNPLUGGED,
}
_KINDS: Final = {"Started": "started", "Updated": "updated", "Ended": "ended"}
# OCPP 2.1 part 2, EnergyTransferModeEnumType: modes in which a car gives back.
_BIDIRECTIONAL: Final = frozenset({"AC_BPT", "AC_BPT_DER", "DC_BPT", "DC_ACDP_BPT"})
_RECEIPTS: Final = {
    "ClearedChargingLimit": {},
    "FirmwareStatusNotification": {},
    "LogStatusNotification": {},
    "NotifyChargingLimit": {},
    "NotifyEvent": {},
    "NotifyMonitoringReport": {},
    "NotifyReport": {},
    "ReportChargingProfiles": {},
    "SecurityEventNotification": {},
    "NotifyEVChargingSchedule": {"status": "Accepted"},
    "DataTransfer": {"status": "UnknownVendorId"},
    "SignCertificate": {"status": "Rejected"},
}
_SAMPLED: Final = (
    "Power.Active.Import,Power.Active.Export,Energy.Active.Import.Register,Energy.Active.Export.Register,SoC"
)


class V2:
    """OCPP 2.0.1, or 2.1 with setpoints of both signs.

    Parameters
    ----------
    version : {'2.0.1', '2.1'}
        Which.
    """

    def __init__(self, version: str) -> None:
        self.version = version
        self.gives_back = version == "2.1"
        self._answers: dict[str, Callable[[Payload, Desk], tuple[Payload, tuple[Event, ...]]]] = {
            "BootNotification": _booted,
            "Heartbeat": lambda _, desk: ({"currentTime": stamp(desk.now)}, ()),
            "Authorize": lambda said, desk: ({"idTokenInfo": _token(said["idToken"], desk)}, ()),
            "StatusNotification": _status,
            "MeterValues": lambda said, desk: ({}, _metered(said["meterValue"], said["evseId"], None, desk)),
            "TransactionEvent": _transaction,
            "NotifyEVChargingNeeds": _needs,
        }

    def heard(self, action: str, payload: Payload, desk: Desk) -> tuple[Payload, tuple[Event, ...]] | None:
        """The answer to a station's message and what it says; None if we do not know it."""
        answer = self._answers.get(action)
        if answer is not None:
            return answer(payload, desk)
        receipt = _RECEIPTS.get(action)
        return None if receipt is None else (dict(receipt), ())

    def set_profile(self, goal: Goal) -> tuple[str, Payload]:
        """The message that installs a limit or setpoint."""
        return "SetChargingProfile", {"evseId": goal.number, "chargingProfile": self._profile(goal)}

    def _profile(self, goal: Goal) -> Payload:
        period: Payload = {"startPeriod": 0}
        if goal.value < 0.0:
            period |= {"operationMode": "CentralSetpoint", "setpoint": round(goal.value, 1)}
        else:
            period["limit"] = round(goal.value, 1)
        schedule: Payload = {
            "id": goal.profile_id,
            "chargingRateUnit": goal.unit,
            "chargingSchedulePeriod": [period],
        }
        profile: Payload = {
            "id": goal.profile_id,
            "stackLevel": 0,
            "chargingProfilePurpose": _PURPOSE[goal.purpose],
            "chargingProfileKind": "Relative" if goal.begins is None else "Absolute",
            "chargingSchedule": [schedule],
        }
        if goal.begins is not None:
            schedule["startSchedule"] = stamp(goal.begins)
        if goal.lasts_s is not None:
            schedule["duration"] = goal.lasts_s
        if goal.transaction is not None:
            profile["transactionId"] = goal.transaction
        if self.gives_back and goal.lasts_s is not None:
            # A link that is lost ends it even where the station's clock is wrong.
            profile |= {"maxOfflineDuration": goal.lasts_s, "invalidAfterOfflineDuration": True}
        return profile

    def clear_profile(self, goal: Goal) -> tuple[str, Payload]:
        """The message that removes it."""
        return "ClearChargingProfile", {"chargingProfileId": goal.profile_id}

    def ask_limit(self, goal: Goal) -> tuple[str, Payload]:
        """The message that asks what holds now."""
        question = {"evseId": goal.number, "duration": 1, "chargingRateUnit": goal.unit}
        return "GetCompositeSchedule", question

    def limit_in(self, answer: Payload) -> tuple[float, str] | None:
        """What holds now and its unit, from the answer; None if the station does not say."""
        schedule = answer.get("schedule")
        if answer["status"] != "Accepted" or not schedule:
            return None
        period = schedule["chargingSchedulePeriod"][0]
        value = period.get("setpoint", period.get("limit"))
        return None if value is None else (float(value), schedule["chargingRateUnit"])

    def start(self, goal: Goal, token: str) -> tuple[str, Payload]:
        """The message that starts a charge."""
        question: Payload = {
            "evseId": goal.number,
            "idToken": {"idToken": token, "type": "Central"},
            "remoteStartId": goal.profile_id,
            "chargingProfile": self._profile(goal),
        }
        return "RequestStartTransaction", question

    def stop(self, transaction: str) -> tuple[str, Payload]:
        """The message that ends a charge."""
        return "RequestStopTransaction", {"transactionId": transaction}

    def settings(self, *, meter_s: int, heartbeat_s: int) -> list[tuple[str, Payload]]:
        """Messages that make a station report what we need."""
        wanted = (
            ("SampledDataCtrlr", "TxUpdatedInterval", str(meter_s)),
            ("SampledDataCtrlr", "TxUpdatedMeasurands", _SAMPLED),
            ("OCPPCommCtrlr", "HeartbeatInterval", str(heartbeat_s)),
        )
        data = [
            {"component": {"name": component}, "variable": {"name": variable}, "attributeValue": value}
            for component, variable, value in wanted
        ]
        return [("SetVariables", {"setVariableData": data})]

    def ask_again(self, number: int) -> list[tuple[str, Payload]]:
        """Messages that make a station say how things stand."""
        return [
            ("TriggerMessage", {"requestedMessage": message, "evse": {"id": number, **more}})
            for message, more in (("StatusNotification", {"connectorId": 1}), ("TransactionEvent", {}))
        ]


def _booted(said: Payload, desk: Desk) -> tuple[Payload, tuple[Event, ...]]:
    station = said["chargingStation"]
    booted = Booted(station["vendorName"], station["model"], station.get("firmwareVersion"))
    answer = {"status": "Accepted", "currentTime": stamp(desk.now), "interval": desk.heartbeat_s}
    return answer, (booted,)


def _status(said: Payload, desk: Desk) -> tuple[Payload, tuple[Event, ...]]:
    state, plugged = _STATUS[said["connectorStatus"]]
    return {}, (StatusSaid(said["evseId"], state, plugged, instant(said["timestamp"], desk.now)),)


def _transaction(said: Payload, desk: Desk) -> tuple[Payload, tuple[Event, ...]]:
    info, at = said["transactionInfo"], instant(said["timestamp"], desk.now)
    number = said["evse"]["id"] if "evse" in said else None
    metered = _metered(said.get("meterValue", ()), number, info["transactionId"], desk)
    energies = [one.values["import_wh"] for one in metered if "import_wh" in one.values]
    event = TransactionSaid(
        number,
        info["transactionId"],
        _KINDS[said["eventType"]],  # type: ignore[arg-type]  # values of the table are the literals
        at,
        _CHARGING.get(info.get("chargingState", "")),
        said["seqNo"],
        energies[-1] if energies else None,
        info.get("stoppedReason"),
    )
    answer = {"idTokenInfo": _token(said["idToken"], desk)} if "idToken" in said else {}
    return answer, (event, *metered)


def _needs(said: Payload, desk: Desk) -> tuple[Payload, tuple[Event, ...]]:  # noqa: ARG001
    needs = said["chargingNeeds"]
    modes = {needs.get("requestedEnergyTransfer"), *needs.get("availableEnergyTransfer", ())}
    return {"status": "Accepted"}, (NeedsSaid(said["evseId"], bool(modes & _BIDIRECTIONAL)),)


def _token(token: Payload, desk: Desk) -> Payload:
    return {"status": "Accepted" if desk.accepts(token["idToken"]) else "Invalid"}


def _metered(
    taken: list[dict[str, Any]], number: int | None, transaction: str | None, desk: Desk
) -> tuple[Metered, ...]:
    """Meter values; number -1 where a transaction event does not repeat its EVSE."""
    if number == 0:
        return ()  # the station's main meter
    return tuple(
        Metered(-1 if number is None else number, values, instant(one["timestamp"], desk.now), transaction)
        for one in taken
        if (values := totals(_samples(one["sampledValue"])))
    )


def _samples(written: list[dict[str, Any]]) -> list[tuple[str, str | None, float]]:
    found = []
    for sample in written:
        unit = sample.get("unitOfMeasure", {})
        value = float(sample["value"]) * 10.0 ** unit.get("multiplier", 0) * kilo(unit.get("unit"))
        if sample.get("location", "Outlet") in ("Outlet", "Cable", "EV"):
            found.append(
                (sample.get("measurand", "Energy.Active.Import.Register"), sample.get("phase"), value)
            )
    return found
