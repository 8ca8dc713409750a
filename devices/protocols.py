"""Equipment that is known by its protocol and not by a register map: what it is, and how well proved."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

from devices.natures import Nature
from devices.quality import Evidence, level

__all__ = ["PROTOCOL_MODELS", "ProtocolModel"]


@cache
def _shipped() -> dict[str, list[str]]:
    text = (resources.files("devices") / "protocols.json").read_text(encoding="utf-8")
    found: dict[str, list[str]] = json.loads(text)
    return found


@dataclass(frozen=True, slots=True)
class ProtocolModel:
    """A kind of equipment that speaks a standard.

    Parameters
    ----------
    control : str
        As in a profile: ``released`` where the equipment ends orders by itself when we die, ``experimental``
        where it does not and somebody has to try it first, ``none`` where there is nothing to order.
    failsafe : str
        What it does by itself when nobody speaks to it; empty if nothing is known.
    """

    id: str
    title: str
    maker: str
    models: tuple[str, ...]
    nature: Nature
    control: Literal["none", "experimental", "released"]
    failsafe: str = ""

    @property
    def evidence(self) -> frozenset[Evidence]:
        """What the tests have proved (``devices/protocols.json``, written by them)."""
        return frozenset(Evidence(kind) for kind in _shipped()[self.id])

    @property
    def quality(self) -> str:
        """Level of that evidence."""
        return level(self.evidence)


_OCA: Final = "Open Charge Alliance"
_EC: Final = "ECHONET Consortium"
_FALLS_BACK: Final = "falls back to its safe profile when the lease of an order ends (120 s)"

PROTOCOL_MODELS: Final = (
    ProtocolModel(
        "echonet-meter",
        "ECHONET Lite low-voltage smart meter (0x0288)",
        _EC,
        ("class 0x0288",),
        Nature.METER,
        "none",
    ),
    ProtocolModel(
        "echonet-package-ac",
        "ECHONET Lite package air conditioner, indoor unit (0x0145)",
        _EC,
        ("class 0x0145",),
        Nature.CLIMATE,
        "experimental",
    ),
    ProtocolModel(
        "echonet-package-ac-outdoor",
        "ECHONET Lite package air conditioner, outdoor unit (0x0146)",
        _EC,
        ("class 0x0146",),
        Nature.METER,
        "none",
    ),
    ProtocolModel(
        "echonet-v2h",
        "ECHONET Lite V2H charger/discharger (0x027E)",
        _EC,
        ("class 0x027E",),
        Nature.CHARGER,
        "experimental",
    ),
    ProtocolModel(
        "ocpp-16",
        "OCPP 1.6J charging station with smart charging (one way)",
        _OCA,
        ("OCPP 1.6J",),
        Nature.CHARGER,
        "released",
        _FALLS_BACK,
    ),
    ProtocolModel(
        "ocpp-201",
        "OCPP 2.0.1 charging station with smart charging (one way)",
        _OCA,
        ("OCPP 2.0.1",),
        Nature.CHARGER,
        "released",
        _FALLS_BACK,
    ),
    ProtocolModel(
        "ocpp-21",
        "OCPP 2.1 charging station, bidirectional by setpoint",
        _OCA,
        ("OCPP 2.1",),
        Nature.CHARGER,
        "released",
        _FALLS_BACK,
    ),
)
