"""A small site of twins with a gateway before it, for the tests of devices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from devices.gateway import Access, DeviceConfig, Gateway
from devices.twins.charger import ChargerTwin
from devices.twins.server import Twin
from devices.twins.site import TwinSite
from devices.twins.stands import stand_for
from energy.core.assets import Charger, HvacZone, OwnerType, PvArray, Vehicle
from energy.core.clock import ManualClock
from energy.core.measurement import Measurement
from energy.core.outcome import (
    ChargerPower,
    ClimateMode,
    Command,
    CommandSource,
    GenerationLimit,
    Order,
    Outcome,
    RoomClimate,
)
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId

START = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)


def zone(name: str = "hall", **changes: float) -> HvacZone:
    values: dict[str, float] = {
        "max_electric_kw": 16.0,
        "capacitance_kwh_per_k": 12.0,
        "loss_kw_per_k": 1.0,
        "base_gain_kw": 2.0,
        "occupied_gain_kw": 9.0,
        "solar_aperture_m2": 6.0,
        "initial_c": 26.5,
        **changes,
    }
    return HvacZone(id=name, name_ja="工場", name_en="Hall", **values)


def vehicle(name: str = "leaf", *, charger: str = "cp-1", initial_soc: float = 0.5) -> Vehicle:
    return Vehicle(
        id=name,
        name_ja="車",
        name_en="Car",
        capacity_kwh=40.0,
        charger=charger,
        owner=OwnerType.COMPANY,
        initial_soc=initial_soc,
    )


def charger(name: str = "cp-1", *, discharge_kw: float = 6.0) -> Charger:
    return Charger(id=name, max_charge_kw=6.0, max_discharge_kw=discharge_kw)


ORDERS: tuple[tuple[str, Order], ...] = (
    ("leaf", ChargerPower(3.0)),
    ("roof", GenerationLimit(20.0)),
    ("hall-0", RoomClimate(ClimateMode.COOL, 25.0)),
)

PV = PvArray(id="roof", capacity_kw=60.0, inverter_kw=50.0, tilt_deg=10.0, azimuth_deg=180.0)


CONTROL, TYPE, TIMEOUT, ACTION, POWER = 81, 83, 88, 257, 260  # registers of the charger


def site() -> TwinSite:
    return TwinSite(
        pv=PV,
        zones=[zone("hall-0"), zone("hall-1", initial_c=24.0)],
        vehicles=[vehicle(), vehicle("ariya", charger="cp-2", initial_soc=0.9)],
        chargers=[charger(), charger("cp-2")],
    )


def busy(twins: TwinSite) -> None:
    for name, watts in (("leaf", 3000), ("ariya", 65536 - 4000)):
        for address, value in ((CONTROL, 1), (TYPE, 1), (ACTION, 1), (POWER, watts), (TIMEOUT, 3600)):
            twins.chargers[name].take(address, [value])
    assert twins.adaptor is not None
    assert twins.inverter is not None
    twins.adaptor.take(2000, [0x61, 2, 250, 0x61, 1, 260])
    twins.inverter.take(40159, [4000, 0, 3000, 0, 1])


class Alone:
    """A twin on its own stand, with the face of a site."""

    def __init__(self, profile: str) -> None:
        self.profile = profile
        self.stand = stand_for(profile, name="alone")
        self.twins = {"alone": self.stand.twin}

    async def start(self) -> tuple[DeviceConfig, ...]:
        port = await self.stand.twin.start()
        config = DeviceConfig(
            id="alone",
            profile=self.profile,
            host="127.0.0.1",
            port=port,
            unit_id=self.stand.twin.unit_id,
            assets=(AssetId("asset"),),
            min_gap_ms=0,
            warmup_s=0.0,
            commissioned=True,
        )
        return (config,)

    async def stop(self) -> None:
        await self.stand.twin.stop()

    def step(self, dt_s: float, **_: object) -> None:
        self.stand.step(dt_s)


class Bench:
    """Twins, their clock and a gateway."""

    def __init__(
        self,
        *,
        rooms: int,
        initial_soc: float,
        discharge_kw: float,
        access: Access,
        only: Sequence[str] | None,
        alone: str | None,
    ) -> None:
        self.access = access
        self.only = only
        self.clock = ManualClock(START)
        self.site = TwinSite(
            pv=PV,
            zones=[zone(f"hall-{number}") for number in range(rooms)],
            vehicles=[vehicle(initial_soc=initial_soc)],
            chargers=[charger(discharge_kw=discharge_kw)],
        )
        self.lonely = Alone(alone) if alone is not None else None
        self.use(())

    async def start(self) -> None:
        self.use(await (self.lonely or self.site).start())

    def use(self, configs: Sequence[DeviceConfig]) -> None:
        self.configs = tuple(config for config in configs if self.only is None or config.id in self.only)
        self.gateway = Gateway(self.configs, clock=self.clock, access=self.access)

    def twin(self, name: str) -> Twin:
        return (self.lonely or self.site).twins[name]

    def config(self, name: str) -> DeviceConfig:
        return next(config for config in self.configs if config.id == name)

    def step(self, *, minutes: int = 1, pv_kw: float = 40.0) -> None:
        for _ in range(minutes):
            self.clock.advance(timedelta(minutes=1))
            (self.lonely or self.site).step(
                60.0, load_kw=100.0, pv_available_kw=pv_kw, outdoor_c=32.0, ghi_w_m2=500.0, occupied=True
            )

    async def read(self, asset: str) -> dict[str, Measurement]:
        device = self.gateway.assets[AssetId(asset)]
        return (await self.gateway.read([device]))[AssetId(asset)]

    async def values(self, asset: str) -> dict[str, float | None]:
        return {name: point.value for name, point in (await self.read(asset)).items()}

    async def apply(self, asset: str, order: Order) -> Outcome:
        return await self.gateway.apply(self.command(asset, order))

    def command(self, asset: str, order: Order) -> Command:
        return Command(
            asset=AssetId(asset),
            order=order,
            source=CommandSource.PLAN,
            reason=Reason(ReasonCode.PEAK),
            issued_at=self.clock.now(),
            expires_at=self.clock.now() + timedelta(minutes=30),
        )


def quasar(made: Bench) -> ChargerTwin:
    return made.site.chargers["leaf"]


@asynccontextmanager
async def bench(
    *,
    access: Access = Access.CONTROL,
    rooms: int = 2,
    initial_soc: float = 0.5,
    discharge_kw: float = 6.0,
    only: Sequence[str] | None = None,
    connect: bool = True,
    start: bool = True,
    alone: str | None = None,
) -> AsyncIterator[Bench]:
    """Twins on free ports and a connected gateway, both gone afterwards."""
    made = Bench(
        rooms=rooms,
        initial_soc=initial_soc,
        discharge_kw=discharge_kw,
        access=access,
        only=only,
        alone=alone,
    )
    try:
        if start:
            await made.start()
            if connect:
                await made.gateway.connect()
        yield made
    finally:
        await made.gateway.close()
        await (made.lonely or made.site).stop()
