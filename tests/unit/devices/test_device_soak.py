"""Some minutes of every model with random faults; ``make soak`` runs a hundred devices for two hours."""

from __future__ import annotations

import pytest

from devices.drivers.base import MeterDriver
from devices.gateway import Gateway
from devices.twins.stands import STANDS
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import ChargerPower, Order
from tests.soak.device_soak import FAULTS, Seat, soak


async def test_a_quarter_of_an_hour_of_every_model_with_random_faults_leave_nothing_wrong() -> None:
    report = await soak(len(STANDS), 16.0, 3, fault_every_s=240.0, timeout_s=0.03)
    assert report.wrong == []
    assert report.readings == len(STANDS) * 192
    assert report.returns >= 10
    assert set(report.faults) == set(FAULTS)
    assert report.orders["applied"] > 20


async def test_the_observer_sees_orders_that_nobody_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def feed_only(self: Gateway, ids: object = None) -> None:
        for name in self._devices:
            await self._quietly(name, "refresh")

    def give(self: Seat, dice: object) -> Order | None:
        return ChargerPower(-3.0) if self.profile.id == "wallbox-quasar1" else None

    monkeypatch.setattr(Gateway, "refresh", feed_only)
    monkeypatch.setattr(Seat, "random_order", give)
    report = await soak(len(STANDS), 16.0, 3, fault_every_s=1e9)
    assert any("still would give" in line for line in report.wrong)


async def test_the_observer_sees_a_last_value_dressed_as_live(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, last = MeterDriver.taken, dict[tuple[str, str], Measurement]()

    def dressed(self: MeterDriver, name: str, unit: int, source: str) -> Measurement:
        point = plain(self, name, unit, source)
        if point.quality is Quality.GOOD:
            last[self.device.config.id, name] = point
        return last.get((self.device.config.id, name), point)

    monkeypatch.setattr(MeterDriver, "taken", dressed)
    report = await soak(len(STANDS), 2.0, 3, fault_every_s=40.0, timeout_s=0.03)
    assert any("as good" in line for line in report.wrong)
