"""OCPP 1.6 (JSON over WebSocket, edition 2): messages to and from what the house says."""

from __future__ import annotations

from typing import Any, Final

from devices.natures import ChargerState
from devices.ocpp.words import (
    Booted,
    Desk,
    Event,
    Goal,
    Metered,
    Payload,
    Purpose,
    StatusSaid,
    TransactionSaid,
    instant,
    kilo,
    stamp,
    totals,
)

__all__ = ["V16"]

# OCPP 1.6, 7.7 ChargePointStatus: state and plug.
_STATES: Final[dict[str, tuple[ChargerState, bool | None]]] = {
    "Available": (ChargerState.UNPLUGGED, False),
    "Preparing": (ChargerState.WAITING, True),
    "Charging": (ChargerState.CHARGING, True),
    "SuspendedEV": (ChargerState.WAITING, True),
    "SuspendedEVSE": (ChargerState.PAUSED, True),
    "Finishing": (ChargerState.PAUSED, True),
    "Reserved": (ChargerState.UNPLUGGED, False),
    "Unavailable": (ChargerState.FAULT, None),
    "Faulted": (ChargerState.FAULT, None),
}
_PURPOSE: Final = {
    Purpose.STATION: "ChargePointMaxProfile",
    Purpose.SAFE: "TxDefaultProfile",
    Purpose.ORDER: "TxProfile",
}
_SAMPLED: Final = "Power.Active.Import,Energy.Active.Import.Register,SoC,Current.Import"
# Messages that need nothing but a receipt.
_RECEIPTS: Final = {
    "DiagnosticsStatusNotification": {},
    "FirmwareStatusNotification": {},
    "LogStatusNotification": {},
    "SecurityEventNotification": {},
    "SignedFirmwareStatusNotification": {},
    "DataTransfer": {"status": "UnknownVendorId"},
    "SignCertificate": {"status": "Rejected"},
}


class V16:
    """OCPP 1.6: currents and powers into the car only."""

    version = "1.6"
    gives_back = False

    def heard(self, action: str, payload: Payload, desk: Desk) -> tuple[Payload, tuple[Event, ...]] | None:
        """The answer to a station's message and what it says; None if we do not know it."""
        match action:
            case "BootNotification":
                booted = Booted(
                    payload["chargePointVendor"], payload["chargePointModel"], payload.get("firmwareVersion")
                )
                answer = {
                    "status": "Accepted",
                    "currentTime": stamp(desk.now),
                    "interval": desk.heartbeat_s,
                }
                return answer, (booted,)
            case "Heartbeat":
                return {"currentTime": stamp(desk.now)}, ()
            case "Authorize":
                return {"idTagInfo": _tag(payload["idTag"], desk)}, ()
            case "StatusNotification":
                return {}, self._status(payload, desk)
            case "MeterValues":
                return {}, _metered(payload, desk)
            case "StartTransaction":
                return self._started(payload, desk)
            case "StopTransaction":
                return self._stopped(payload, desk)
        receipt = _RECEIPTS.get(action)
        return None if receipt is None else (dict(receipt), ())

    def _status(self, payload: Payload, desk: Desk) -> tuple[Event, ...]:
        if not payload["connectorId"]:
            return ()  # the station as a whole
        state, plugged = _STATES[payload["status"]]
        at = instant(payload.get("timestamp"), desk.now)
        return (StatusSaid(payload["connectorId"], state, plugged, at),)

    def _started(self, payload: Payload, desk: Desk) -> tuple[Payload, tuple[Event, ...]]:
        at = instant(payload["timestamp"], desk.now)
        number, token = payload["connectorId"], payload["idTag"]
        known = desk.transaction_for(number, token, at, payload["meterStart"])
        said = TransactionSaid(number, str(known), "started", at, import_wh=float(payload["meterStart"]))
        return {"transactionId": known, "idTagInfo": _tag(token, desk)}, (said,)

    def _stopped(self, payload: Payload, desk: Desk) -> tuple[Payload, tuple[Event, ...]]:
        said = TransactionSaid(
            None,
            str(payload["transactionId"]),
            "ended",
            instant(payload["timestamp"], desk.now),
            import_wh=float(payload["meterStop"]),
            reason=payload.get("reason", "Local"),
        )
        return {}, (said,)

    def set_profile(self, goal: Goal) -> tuple[str, Payload]:
        """The message that installs a limit."""
        return "SetChargingProfile", {"connectorId": goal.number, "csChargingProfiles": self._profile(goal)}

    def _profile(self, goal: Goal) -> Payload:
        schedule: Payload = {
            "chargingRateUnit": goal.unit,
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": round(goal.value, 1)}],
        }
        profile: Payload = {
            "chargingProfileId": goal.profile_id,
            "stackLevel": 0,
            "chargingProfilePurpose": _PURPOSE[goal.purpose],
            "chargingProfileKind": "Relative" if goal.begins is None else "Absolute",
            "chargingSchedule": schedule,
        }
        if goal.begins is not None:
            schedule["startSchedule"] = stamp(goal.begins)
        if goal.lasts_s is not None:
            schedule["duration"] = goal.lasts_s
        if goal.transaction is not None:
            profile["transactionId"] = int(goal.transaction)
        return profile

    def clear_profile(self, goal: Goal) -> tuple[str, Payload]:
        """The message that removes it."""
        return "ClearChargingProfile", {"id": goal.profile_id}

    def ask_limit(self, goal: Goal) -> tuple[str, Payload]:
        """The message that asks what holds now."""
        question = {"connectorId": goal.number, "duration": 1, "chargingRateUnit": goal.unit}
        return "GetCompositeSchedule", question

    def limit_in(self, answer: Payload) -> tuple[float, str] | None:
        """What holds now and its unit, from the answer; None if the station does not say."""
        schedule = answer.get("chargingSchedule")
        if answer["status"] != "Accepted" or not schedule or not schedule["chargingSchedulePeriod"]:
            return None
        return float(schedule["chargingSchedulePeriod"][0]["limit"]), schedule["chargingRateUnit"]

    def start(self, goal: Goal, token: str) -> tuple[str, Payload]:
        """The message that starts a charge."""
        question = {"connectorId": goal.number, "idTag": token, "chargingProfile": self._profile(goal)}
        return "RemoteStartTransaction", question

    def stop(self, transaction: str) -> tuple[str, Payload]:
        """The message that ends a charge."""
        return "RemoteStopTransaction", {"transactionId": int(transaction)}

    def settings(self, *, meter_s: int, heartbeat_s: int) -> list[tuple[str, Payload]]:
        """Messages that make a station report what we need."""
        wanted = {
            "MeterValueSampleInterval": str(meter_s),
            "MeterValuesSampledData": _SAMPLED,
            "HeartbeatInterval": str(heartbeat_s),
        }
        return [("ChangeConfiguration", {"key": key, "value": value}) for key, value in wanted.items()]

    def ask_again(self, number: int) -> list[tuple[str, Payload]]:
        """Messages that make a station say how things stand."""
        return [
            ("TriggerMessage", {"requestedMessage": message, "connectorId": number})
            for message in ("StatusNotification", "MeterValues")
        ]


def _tag(token: str, desk: Desk) -> Payload:
    return {"status": "Accepted" if desk.accepts(token) else "Invalid"}


def _metered(payload: Payload, desk: Desk) -> tuple[Event, ...]:
    transaction = payload.get("transactionId")
    return tuple(
        Metered(
            payload["connectorId"],
            values,
            instant(taken["timestamp"], desk.now),
            None if transaction is None else str(transaction),
        )
        for taken in payload["meterValue"]
        if payload["connectorId"] and (values := totals(_samples(taken["sampledValue"])))
    )


def _samples(written: list[dict[str, Any]]) -> list[tuple[str, str | None, float]]:
    """Samples as (measurand, phase, value); what is signed or is no number is left out."""
    found = []
    for sample in written:
        try:
            value = float(sample["value"])
        except ValueError:
            continue
        if sample.get("location", "Outlet") in ("Outlet", "Cable", "EV") and value == value:
            measurand = sample.get("measurand", "Energy.Active.Import.Register")
            found.append((measurand, sample.get("phase"), value * kilo(sample.get("unit"))))
    return found
