"""The twins without the wire: read and told directly, to the digits that their registers have.

For comparisons over many weeks, where sockets would take most of the time. What a register rounds is rounded
here as well, so that a day over sockets and one without give the same figures (a test compares them).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from devices.gateway import Connection
from devices.twins.charger import ChargerTwin
from devices.twins.site import TwinSite
from energy.core.clock import Clock
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    Command,
    GenerationLimit,
    Outcome,
    Refused,
    RoomClimate,
)
from energy.core.series import Unit
from energy.core.site import Site
from energy.core.units import AssetId
from vpp.loop.control import Readings

__all__ = ["NearEquipment"]

_UNITS = {"kw": Unit.KW, "kwh": Unit.KWH, "c": Unit.CELSIUS}
_METERS = {"main-meter": "meter", "hvac-meter": "hvac-meter"}


class NearEquipment:
    """All equipment of a simulated site, in the same process.

    Parameters
    ----------
    site : Site
        Whose array the inverter speaks for.
    """

    def __init__(self, site: Site, twins: TwinSite, clock: Clock) -> None:
        self._pv = "" if site.pv is None else site.pv.id
        self._twins = twins
        self._clock = clock

    @property
    def connections(self) -> dict[str, Connection]:
        """All are there."""
        return dict.fromkeys(self._twins.twins, Connection.ONLINE)

    async def connect(self) -> None:
        """Nothing to connect."""

    async def refresh(self) -> None:
        """Nothing expires."""

    async def close(self) -> None:
        """Nothing to end."""

    async def safe_state(self) -> None:
        """Stop chargers and batteries and release the limit."""
        for charger in self._twins.chargers.values():
            _charge(charger, 0.0)
        for battery in self._twins.batteries.values():
            battery.order(0.0)
        self._limit(None)

    async def read(self, ids: Sequence[str] | None = None) -> Readings:
        """Newest readings by asset and point, of some devices or all."""
        now = self._clock.now()
        wanted = None if ids is None else frozenset(ids)
        return {
            AssetId(asset): {
                name: Measurement(
                    name, value, _UNITS.get(name.rsplit("_", 1)[-1], Unit.RATIO), now, Quality.GOOD
                )
                for name, value in points.items()
            }
            for device, asset, points in self._shown()
            if wanted is None or device in wanted
        }

    def _shown(self) -> Iterator[tuple[str, str, dict[str, float]]]:
        """Device, asset and points, rounded as the registers are."""
        twins = self._twins
        meters = {"main-meter": twins.meter} | {f"submeter-{k}": one for k, one in twins.submeters.items()}
        if twins.hvac_meter is not None:
            meters["hvac-meter"] = twins.hvac_meter
        for name, meter in meters.items():
            points = {
                "power_kw": meter.power_kw,
                "import_kwh": meter.import_kwh,
                "export_kwh": meter.export_kwh,
            }
            yield name, _METERS.get(name, name), points
        for asset, charger in twins.chargers.items():
            soc = round(charger.soc, 2) if charger.plugged else 0.0
            yield (
                charger.name,
                asset,
                {"power_kw": round(charger.power_kw, 3), "soc": soc, "plugged": float(charger.plugged)},
            )
        for asset, battery in twins.batteries.items():
            points = {"power_kw": round(battery.power_kw, 2), "soc": round(battery.soc, 3)}
            yield battery.name, asset, points
        if twins.inverter is not None:
            sun = {
                "generation_kw": round(twins.inverter.power_kw, 2),
                "generation_kwh": int(twins.inverter.energy_kwh * 1000.0) / 1000.0,
            }
            yield twins.inverter.name, self._pv, sun
        if twins.adaptor is not None:
            for room in twins.adaptor.rooms:
                yield twins.adaptor.name, room.zone.id, {"room_c": round(room.temp_c, 1)}

    async def apply(self, command: Command) -> Outcome:
        """Carry out one command at once."""
        if self._clock.now() >= command.expires_at:
            return Refused(command, f"expired at {command.expires_at.isoformat()}")
        match command.order:
            case ChargerPower(power_kw) if command.asset in self._twins.batteries:
                self._twins.batteries[command.asset].order(power_kw)
            case ChargerPower(power_kw):
                charger = self._twins.chargers[command.asset]
                if power_kw and not charger.plugged:
                    return Refused(command, "no car")
                _charge(charger, power_kw)
            case RoomClimate(mode, setpoint_c):
                self._room(command.asset, mode, setpoint_c)
            case GenerationLimit(limit_kw):
                self._limit(limit_kw)
            case _:
                return Refused(command, "nothing here takes such an order")
        return Applied(command)

    def _room(self, asset: AssetId, mode: ClimateMode, setpoint_c: float) -> None:
        adaptor = self._twins.adaptor
        assert adaptor is not None
        room = next(room for room in adaptor.rooms if room.zone.id == asset)
        room.order(mode, round(setpoint_c, 1))

    def _limit(self, limit_kw: float | None) -> None:
        inverter = self._twins.inverter
        if inverter is None:
            return
        share = 1.0 if limit_kw is None else min(1.0, max(0.0, limit_kw) / inverter.rated_kw)
        # SunSpec model 123: share in 0.01 %, never above what was asked; window, revert, ramp; switch
        inverter.limit = [math.floor(share * 10000.0 + 1e-6), 0, 0, 0, int(limit_kw is not None)]


def _charge(charger: ChargerTwin, power_kw: float) -> None:
    """Remote control by power, as the driver of the Wallbox Quasar writes it; zero stops."""
    watts = round(1000.0 * power_kw)
    charger.settings |= {81: 1, 83: 1, 88: 0, 257: 1 if watts else 2, 260: watts % 65536}
