"""All equipment of one site as twins, with one clock that only :meth:`TwinSite.step` moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devices.config import DeviceConfig
from devices.twins.charger import ChargerTwin
from devices.twins.climate import AdaptorTwin
from devices.twins.inverter import InverterTwin
from devices.twins.inverters import DerStorageTwin
from devices.twins.meter import MeterTwin
from devices.twins.rooms import Room, Surroundings
from devices.twins.server import State, Twin, number
from devices.twins.staged import room_of
from devices.twins.walls import WalledRoom, Walls
from energy.core.assets import Battery, Charger, HvacZone, PvArray, Vehicle
from energy.core.errors import ConfigError
from energy.core.units import AssetId

__all__ = ["BatteryTruth", "CarTruth", "SiteTruth", "TwinSite", "ZoneTruth"]

MAIN_METER: Final = "main-meter"
HVAC_METER: Final = "hvac-meter"
INVERTER: Final = "inverter"
ADAPTOR: Final = "hvac-adapter"
_PROFILES: Final = {
    MeterTwin: "eastron-sdm630",
    InverterTwin: "sunspec-inverter",
    ChargerTwin: "wallbox-quasar1",
    AdaptorTwin: "daikin-dta116a51",
    DerStorageTwin: "sunspec-der-storage",
}


@dataclass(frozen=True, slots=True)
class CarTruth:
    """A car as it really is; energies at the AC side since the beginning. [kWh, kW, -]"""

    charge_kwh: float
    discharge_kwh: float
    driven_kwh: float
    battery_kwh: float
    soc: float
    plugged: bool
    power_kw: float


@dataclass(frozen=True, slots=True)
class BatteryTruth:
    """A stationary battery as it really is; energies at the AC side since the beginning. [kWh, kW, -]"""

    charge_kwh: float
    discharge_kwh: float
    battery_kwh: float
    soc: float
    power_kw: float


@dataclass(frozen=True, slots=True)
class ZoneTruth:
    """A room as it really is. [degC, kWh, kW]"""

    temp_c: float
    electric_kwh: float
    power_kw: float


@dataclass(frozen=True, slots=True)
class SiteTruth:
    """A site as it really is: unrounded, energies since the beginning, power as the mean of the last step."""

    import_kw: float
    import_kwh: float
    export_kwh: float
    load_kwh: float
    pv_kwh: float
    curtailed_kwh: float
    cars: dict[str, CarTruth]
    zones: dict[str, ZoneTruth]
    batteries: dict[str, BatteryTruth]


class TwinSite:
    """Meters, inverter, chargers with cars, rooms with air conditioners, each behind its own Modbus server.

    Parameters
    ----------
    pv : PvArray or None
        The array whose inverter there is.
    zones : sequence of HvacZone
        Rooms; one adaptor serves them all.
    vehicles, chargers : sequence
        Cars, and the chargers that they name.
    batteries : sequence of Battery
        Stationary batteries, each behind an inverter of its own.
    submeters : bool
        Whether each charger and battery has a meter of its own.
    no_export : bool
        Whether inverter and chargers carry the load-following limiters that a connection without export needs
        (RULES-JP 3.6): they act within seconds, far below the controller's minute.
    walls : mapping of str to Walls
        Rooms whose walls have a temperature of their own; their units run at any power.

    Raises
    ------
    ConfigError
        If a vehicle's charger is not there, or there are more rooms than an adaptor serves.
    """

    def __init__(
        self,
        *,
        pv: PvArray | None,
        zones: Sequence[HvacZone],
        vehicles: Sequence[Vehicle],
        chargers: Sequence[Charger],
        batteries: Sequence[Battery] = (),
        submeters: bool = True,
        no_export: bool = True,
        walls: Mapping[str, Walls] | None = None,
    ) -> None:
        by_id = {charger.id: charger for charger in chargers}
        for vehicle in vehicles:
            if vehicle.charger not in by_id:
                raise ConfigError(
                    f"no charger {vehicle.charger!r} for {vehicle.id}",
                    where=f"known: {', '.join(by_id) or 'none'}",
                    hint="name an existing charger",
                )
        if len(zones) > 16:  # DTA116A51
            raise ConfigError(
                f"{len(zones)} rooms", where=ADAPTOR, hint="one adaptor serves at most 16 rooms"
            )
        self.meter = MeterTwin(MAIN_METER)
        self.hvac_meter = MeterTwin(HVAC_METER) if zones else None
        self.inverter = InverterTwin(INVERTER, pv) if pv is not None else None
        self.adaptor = AdaptorTwin(ADAPTOR, [_room(zone, walls) for zone in zones]) if zones else None
        self.chargers = {
            vehicle.id: ChargerTwin(f"charger-{vehicle.id}", by_id[vehicle.charger], vehicle)
            for vehicle in vehicles
        }
        self.batteries = {
            battery.id: DerStorageTwin.of(f"battery-{battery.id}", battery) for battery in batteries
        }
        metered = [*self.chargers, *self.batteries] if submeters else []
        self.submeters = {name: MeterTwin(f"submeter-{name}") for name in metered}
        self.load_kwh = 0.0
        self._no_export = no_export
        self._assets: dict[str, tuple[AssetId, ...]] = {MAIN_METER: (AssetId("meter"),)}
        self._assets[HVAC_METER] = (AssetId("hvac-meter"),)
        self._assets[INVERTER] = (AssetId(pv.id),) if pv is not None else ()
        self._assets[ADAPTOR] = tuple(AssetId(zone.id) for zone in zones)
        for vehicle in vehicles:
            self._assets[f"charger-{vehicle.id}"] = (AssetId(vehicle.id),)
        for battery in batteries:
            self._assets[f"battery-{battery.id}"] = (AssetId(battery.id),)
        for name in self.submeters:
            self._assets[f"submeter-{name}"] = (AssetId(f"submeter-{name}"),)

    @property
    def twins(self) -> dict[str, Twin]:
        """All twins by the id of their device."""
        some: tuple[Twin | None, ...] = (
            self.meter,
            self.hvac_meter,
            self.inverter,
            *self.chargers.values(),
            *self.batteries.values(),
            *self.submeters.values(),
            self.adaptor,
        )
        return {twin.name: twin for twin in some if twin is not None}

    async def start(self, *, host: str = "127.0.0.1", first_port: int = 0) -> tuple[DeviceConfig, ...]:
        """Start all servers.

        Parameters
        ----------
        host : str
            Address to listen on.
        first_port : int
            Port of the first twin, the others follow; 0 takes free ones.

        Returns
        -------
        tuple of DeviceConfig
            What a gateway needs to reach them.

        Raises
        ------
        ConfigError
            If a port is taken; no server is left running.
        """
        configs = []
        try:
            for offset, (name, twin) in enumerate(self.twins.items()):
                port = await twin.start(host, first_port + offset if first_port else 0)
                configs.append(
                    DeviceConfig(
                        id=name,
                        profile=_PROFILES[type(twin)],
                        host=host,
                        port=port,
                        unit_id=twin.unit_id,
                        assets=self._assets[name],
                        min_gap_ms=0,  # no serial line here
                        commissioned=True,  # a twin is what it says
                    )
                )
        except ConfigError:
            await self.stop()
            raise
        return tuple(configs)

    async def stop(self) -> None:
        """Stop all servers; the physics stays."""
        for twin in self.twins.values():
            await twin.stop()

    def step(
        self,
        dt_s: float,
        *,
        load_kw: float,
        pv_available_kw: float,
        outdoor_c: float,
        ghi_w_m2: float,
        occupied: bool,
        people: float = 1.0,
    ) -> None:
        """Let time pass.

        Parameters
        ----------
        dt_s : float
            How much, > 0. [s]
        load_kw : float
            Uncontrollable load, >= 0. [kW]
        pv_available_kw : float
            What the array could give, >= 0. [kW]
        outdoor_c : float
            Air outside. [degC]
        ghi_w_m2 : float
            Global horizontal irradiance. [W/m2]
        occupied : bool
            Whether people are in.
        people : float
            How many, over the usual number. [-]
        """
        hours = dt_s / 3600.0
        around = Surroundings(outdoor_c, ghi_w_m2, occupied, people)
        hvac_kwh = 0.0
        if self.adaptor is not None and self.hvac_meter is not None:
            self.adaptor.obey()
            hvac_kwh = sum(room.step(dt_s, around) for room in self.adaptor.rooms)
            self.adaptor.changed()
            self.hvac_meter.step(hvac_kwh, hours=hours)
        self.load_kwh += load_kw * hours
        used_kwh = load_kw * hours + hvac_kwh
        giving = [name for name, charger in self.chargers.items() if charger.wanted_kw() < 0.0]
        used_kwh += sum(self._step_car(name, dt_s, math.inf) for name in self.chargers if name not in giving)
        storing = [name for name, battery in self.batteries.items() if battery.wanted_kw() >= 0.0]
        used_kwh += sum(self._step_battery(name, dt_s, math.inf) for name in storing)
        if self.inverter is not None:
            room_kw = used_kwh / hours if self._no_export else math.inf
            used_kwh -= self.inverter.step(dt_s, available_kw=pv_available_kw, room_kw=room_kw)
        for name in giving:
            room_kw = used_kwh / hours if self._no_export else math.inf
            used_kwh += self._step_car(name, dt_s, room_kw)
        for name in (name for name in self.batteries if name not in storing):
            room_kw = used_kwh / hours if self._no_export else math.inf
            used_kwh += self._step_battery(name, dt_s, room_kw)
        self.meter.step(used_kwh, hours=hours)

    def _step_car(self, name: str, dt_s: float, room_kw: float) -> float:
        """Let time pass for one car and its meter; net AC energy into the car. [kWh]"""
        energy = self.chargers[name].step(dt_s, room_kw=room_kw)
        if name in self.submeters:
            self.submeters[name].step(energy, hours=dt_s / 3600.0)
        return energy

    def _step_battery(self, name: str, dt_s: float, room_kw: float) -> float:
        """Let time pass for one battery and its meter; net AC energy into it. [kWh]"""
        battery = self.batteries[name]
        energy = battery.step(dt_s, wanted_kw=max(battery.wanted_kw(), -max(0.0, room_kw)))
        if name in self.submeters:
            self.submeters[name].step(energy, hours=dt_s / 3600.0)
        return energy

    def unplug(self, vehicle_id: str) -> None:
        """A car leaves."""
        self.chargers[vehicle_id].unplug()

    def plug(self, vehicle_id: str, *, used_kwh: float) -> None:
        """A car returns, having used some energy on the road. [kWh]"""
        self.chargers[vehicle_id].plug(used_kwh=used_kwh)

    def state(self) -> State:
        """Everything, as values that go through JSON: temperatures, batteries, counters, settings, timers."""
        return {
            "load_kwh": self.load_kwh,
            "twins": {name: twin.state() for name, twin in self.twins.items()},
        }

    def restore(self, state: State) -> None:
        """Go on from a state of the same site.

        Raises
        ------
        DataError
            If the state is not of this site and version.
        """
        self.load_kwh = number(state, "load_kwh")
        saved = state.get("twins")
        twins: State = saved if isinstance(saved, dict) else {}
        for name, twin in self.twins.items():
            own = twins.get(name)
            twin.restore(own if isinstance(own, dict) else {})

    def truth(self) -> SiteTruth:
        """What no meter shows: the site as it really is."""
        rooms = self.adaptor.rooms if self.adaptor is not None else ()
        inverter = self.inverter
        return SiteTruth(
            import_kw=self.meter.power_kw,
            import_kwh=self.meter.import_kwh,
            export_kwh=self.meter.export_kwh,
            load_kwh=self.load_kwh,
            pv_kwh=inverter.energy_kwh if inverter is not None else 0.0,
            curtailed_kwh=inverter.curtailed_kwh if inverter is not None else 0.0,
            cars={
                name: CarTruth(
                    charge_kwh=charger.charge_kwh,
                    discharge_kwh=charger.discharge_kwh,
                    driven_kwh=charger.driven_kwh,
                    battery_kwh=charger.battery_kwh,
                    soc=charger.soc,
                    plugged=charger.plugged,
                    power_kw=charger.power_kw,
                )
                for name, charger in self.chargers.items()
            },
            zones={room.zone.id: ZoneTruth(room.temp_c, room.electric_kwh, room.power_kw) for room in rooms},
            batteries={
                name: BatteryTruth(
                    charge_kwh=battery.charge_kwh,
                    discharge_kwh=battery.discharge_kwh,
                    battery_kwh=battery.energy_kwh,
                    soc=battery.soc,
                    power_kw=battery.power_kw,
                )
                for name, battery in self.batteries.items()
            },
        )


def _room(zone: HvacZone, walls: Mapping[str, Walls] | None) -> Room:
    own = None if walls is None else walls.get(zone.id)
    return room_of(zone) if own is None else WalledRoom(zone, own)
