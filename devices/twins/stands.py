"""A twin of every profile on a stand of its own: enough of a world around it that its values move."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from devices.twins.car import CarTwin
from devices.twins.charger import ChargerTwin
from devices.twins.chargers import AlfenTwin, CharxTwin, EvtecTwin, KebaTwin
from devices.twins.climate import AdaptorTwin
from devices.twins.contacts import ContactsTwin
from devices.twins.inverter import InverterTwin
from devices.twins.inverters import (
    DerInverterTwin,
    DerStorageTwin,
    HuaweiTwin,
    HybridStorageTwin,
    StorageTwin,
)
from devices.twins.meter import MeterTwin
from devices.twins.meters import Em24Twin, Iem3155Twin, UmgTwin
from devices.twins.p1p2 import P1P2Twin
from devices.twins.pv import PvTwin
from devices.twins.rooms import Room, Surroundings
from devices.twins.server import Twin
from energy.core.assets import Charger, HvacZone, OwnerType, PvArray, Vehicle
from energy.core.errors import ConfigError

__all__ = ["STANDS", "Stand", "stand_for"]

_SWING_S: Final = 900.0  # loads and clouds come and go in a quarter of an hour
_SUMMER: Final = Surroundings(outdoor_c=32.0, ghi_w_m2=600.0, occupied=True)


@dataclass(slots=True)
class Stand:
    """A twin and what moves it."""

    twin: Twin
    _move: Callable[[float, float], None]
    elapsed_s: float = 0.0

    def step(self, dt_s: float) -> None:
        """Let time pass, > 0. [s]"""
        self._move(dt_s, math.sin(2.0 * math.pi * self.elapsed_s / _SWING_S))
        self.elapsed_s += dt_s


def _meter(kind: type[MeterTwin]) -> Callable[[str], Stand]:
    def make(name: str) -> Stand:
        meter = kind(name)
        return Stand(
            meter,
            lambda dt_s, swing: meter.step((60.0 + 20.0 * swing) * dt_s / 3600.0, hours=dt_s / 3600.0),
        )

    return make


def _inverter(kind: Callable[[str, PvArray], PvTwin]) -> Callable[[str], Stand]:
    def make(name: str) -> Stand:
        array = PvArray(id="roof", capacity_kw=60.0, inverter_kw=50.0, tilt_deg=10.0, azimuth_deg=180.0)
        inverter = kind(name, array)

        def move(dt_s: float, swing: float) -> None:
            inverter.step(dt_s, available_kw=40.0 + 5.0 * swing)

        return Stand(inverter, move)

    return make


def _charger(
    kind: Callable[[str, Charger, Vehicle], CarTwin], charge_kw: float, discharge_kw: float
) -> Callable[[str], Stand]:
    def make(name: str) -> Stand:
        charger = Charger(id="charger", max_charge_kw=charge_kw, max_discharge_kw=discharge_kw)
        car = Vehicle(
            id="car",
            name_ja="車",
            name_en="Car",
            capacity_kwh=40.0,
            charger="charger",
            owner=OwnerType.COMPANY,
            initial_soc=0.5,
        )
        twin = kind(name, charger, car)

        def move(dt_s: float, swing: float) -> None:
            del swing  # a car takes what it is told to take
            twin.step(dt_s)

        return Stand(twin, move)

    return make


def _room(name: str) -> Room:
    return Room(
        HvacZone(
            id=name,
            name_ja="部屋",
            name_en="Room",
            max_electric_kw=8.0,
            capacitance_kwh_per_k=6.0,
            loss_kw_per_k=0.5,
            base_gain_kw=1.0,
            occupied_gain_kw=4.0,
            solar_aperture_m2=3.0,
            initial_c=27.0,
        )
    )


def _adaptor(name: str) -> Stand:
    adaptor = AdaptorTwin(name, [_room(f"room-{number}") for number in range(1, 5)])

    def move(dt_s: float, swing: float) -> None:
        del swing
        adaptor.obey()
        for room in adaptor.rooms:
            room.step(dt_s, _SUMMER)
        adaptor.changed()

    return Stand(adaptor, move)


def _p1p2(name: str) -> Stand:
    adapter = P1P2Twin(name, _room("room-1"))
    adapter.take(5, [1])  # it runs

    def move(dt_s: float, swing: float) -> None:
        del swing
        adapter.waited(dt_s)
        adapter.room.step(dt_s, _SUMMER)

    return Stand(adapter, move)


def _contacts(name: str) -> Stand:
    block = ContactsTwin(name)

    def move(dt_s: float, swing: float) -> None:
        del swing
        block.step(dt_s)

    return Stand(block, move)


def _storage(kind: type[StorageTwin]) -> Callable[[str], Stand]:
    def make(name: str) -> Stand:
        storage = kind(name, capacity_kwh=20.0, rated_kw=5.0)

        def move(dt_s: float, swing: float) -> None:
            own_kw = 2.0 + 3.0 * swing
            if isinstance(storage, DerStorageTwin):
                own_kw = storage.wanted_kw(otherwise=own_kw)
            storage.step(dt_s, wanted_kw=own_kw)

        return Stand(storage, move)

    return make


STANDS: Final[Mapping[str, Callable[[str], Stand]]] = MappingProxyType(
    {
        "alfen-ng9xx": _charger(AlfenTwin, 22.0, 0.0),
        "carlo-gavazzi-em24": _meter(Em24Twin),
        "daikin-dta116a51": _adaptor,
        "daikin-ekmbpp1": _p1p2,
        "eastron-sdm630": _meter(MeterTwin),
        "evtec-bidipro": _charger(EvtecTwin, 10.0, 10.0),
        "huawei-sun2000": _inverter(HuaweiTwin),
        "janitza-umg": _meter(UmgTwin),
        "keba-p30": _charger(KebaTwin, 22.0, 0.0),
        "phoenix-charx": _charger(CharxTwin, 22.0, 0.0),
        "relay-demand": _contacts,
        "schneider-iem3155": _meter(Iem3155Twin),
        "sunspec-der-inverter": _inverter(DerInverterTwin),
        "sunspec-der-storage": _storage(DerStorageTwin),
        "sunspec-hybrid-storage": _storage(HybridStorageTwin),
        "sunspec-inverter": _inverter(InverterTwin),
        "wallbox-quasar1": _charger(ChargerTwin, 6.0, 6.0),
    }
)


def stand_for(profile: str, *, name: str | None = None) -> Stand:
    """A twin of a model, with a world around it.

    Parameters
    ----------
    profile : str
        Id of the model's profile.
    name : str or None
        Name of the twin, which it shows where the model has a serial number; the id if None.

    Raises
    ------
    ConfigError
        If there is no twin of this profile; the hint names the nearest.
    """
    make = STANDS.get(profile)
    if make is None:
        near = difflib.get_close_matches(profile, STANDS, n=1)
        raise ConfigError(
            f"no twin of the profile {profile!r}",
            where=f"known: {', '.join(STANDS)}",
            hint=f"did you mean {near[0]}?" if near else "write it and name it in devices/twins/stands.py",
        )
    return make(name or profile)
