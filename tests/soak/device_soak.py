"""Hours of a hundred devices with random faults, and an observer that reads the twins and never the gateway.

``python -m tests.soak.device_soak [devices] [minutes] [seed] [deadline in s]`` prints one table and ends with
status 1 if a condition does not hold. Devices, gateway and wire are real (Modbus TCP on loopback); only the
clock is ours. The gateway reads every 5 s. Random orders are given every minute and end after three; in every
third five minutes control is silent. Each device fails now and then in one of the ways of ``FAULTS``. The
observer counts

- *stale shown good*: a value of quality good that is not what the twin does now;
- *late returns*: a device that is not good again 15 s after it healed;
- *unsafe*: a car that gives back, a roof that is held or a contact that is closed, and a charger beyond its
  order, when neither an order nor the device's own timer allows it any more.

Left out: the gateway without a path (exception 10), which is asked every 30 s by design.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import resource
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from devices.config import DeviceConfig
from devices.gateway import Gateway
from devices.natures import Nature
from devices.profile import Profile, load_profile
from devices.twins.car import CarTwin
from devices.twins.climate import AdaptorTwin
from devices.twins.contacts import ContactsTwin
from devices.twins.p1p2 import P1P2Twin
from devices.twins.pv import PvTwin
from devices.twins.server import Faults
from devices.twins.stands import STANDS, Stand, stand_for
from energy.core.clock import ManualClock
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import (
    ChargerPower,
    ClimateMode,
    Command,
    CommandSource,
    DemandStep,
    GenerationLimit,
    Order,
    RoomClimate,
)
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId

__all__ = ["FAULTS", "MODELS", "Report", "Seat", "soak"]

STEP_S = 5.0
BACK_S = 15.0
LASTS = timedelta(minutes=3)  # an order
HOLD_S = 75.0  # the longest timer that ends a flow, one back-off, one step
ROOF_S = 330.0  # the revert timer of an inverter, and the same
SLACK_KW = 0.6
START = datetime(2026, 7, 1, tzinfo=UTC)
FAULTS = ("silent", "refused", "reboot", "failure", "busy", "unit gone", "short", "function", "deaf")
MODELS = tuple(sorted(STANDS))
MAIN = {
    Nature.METER: "power_kw",
    Nature.INVERTER: "generation_kw",
    Nature.CHARGER: "power_kw",
    Nature.STORAGE: "power_kw",
    Nature.CLIMATE: "room_c",
    Nature.CONTACTS: "demand_ratio",
}


@dataclass
class Report:
    """What the observer has seen."""

    minutes: float = 0.0
    readings: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    returns: int = 0
    slowest_return_s: float = 0.0
    wrong: list[str] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    @property
    def growth(self) -> float:
        """Memory in the last fifth over that in the second fifth, less one. [-]"""
        fifth = max(1, len(self.memory_mb) // 5)
        early, late = self.memory_mb[fifth : 2 * fifth], self.memory_mb[-fifth:]
        return (sum(late) / len(late)) / (sum(early) / len(early)) - 1.0 if early and late else 0.0


class Seat:
    """One device: its twin, what was ordered, and what is wrong with it."""

    def __init__(self, number: int, profile: str) -> None:
        self.name = f"{profile}-{number}"
        self.asset = AssetId(self.name)
        self.profile: Profile = load_profile(profile)
        self.stand: Stand = stand_for(profile, name=self.name)
        self.port = 0
        self.fault = ""
        self.until_s = 0.0
        self.healed_s = 0.0
        self.waits_for_good = False
        self.ordered: Order | None = None
        self.ordered_s = -1e9  # since when it stands
        self.ends_s = -1e9
        self.allowed_s = dict.fromkeys(("give", "hold", "close"), -1e9)  # when it was last in order

    def truth(self) -> float:
        """What it really does, in the unit of the nature's main point."""
        twin = self.stand.twin
        if isinstance(twin, ContactsTwin):
            return 0.4 if twin.closed[1] else 0.7 if twin.closed[0] else 1.0
        if isinstance(twin, AdaptorTwin):
            return twin.rooms[0].temp_c
        if isinstance(twin, P1P2Twin):
            return twin.room.temp_c
        power_kw = getattr(twin, "power_kw", None)
        assert isinstance(power_kw, float), self.name
        return power_kw

    def random_order(self, dice: random.Random) -> Order | None:
        """An order that this device can be given."""
        if self.profile.control == "none":
            return None
        match self.profile.nature:
            case Nature.CHARGER:
                return ChargerPower(dice.choice((-3.0, 0.0, 6.9) if _gives(self) else (0.0, 6.9, 11.04)))
            case Nature.INVERTER:
                return GenerationLimit(dice.choice((None, 10.0, 20.0)))
            case Nature.CONTACTS:
                return DemandStep(dice.choice((0.4, 0.7, 1.0)))
            case Nature.CLIMATE:
                return RoomClimate(ClimateMode.COOL, float(dice.randint(22, 27)))
        return None

    async def break_down(self, fault: str, until_s: float) -> None:
        """Begin a fault."""
        self.fault, self.until_s, twin = fault, until_s, self.stand.twin
        plant = {
            "silent": Faults(silent=True),
            "failure": Faults(exception=4),
            "busy": Faults(exception=6),
            "unit gone": Faults(exception=11),
            "short": Faults(missing_words=1),
            "function": Faults(wrong_function=True),
            "deaf": Faults(ignore_writes=True),
        }
        twin.faults = plant.get(fault, Faults())
        if fault in ("refused", "reboot"):
            await twin.stop()

    async def heal(self, now_s: float) -> None:
        """End a fault; a device that was rebooted has forgotten what it was told."""
        twin = self.stand.twin
        twin.faults = Faults()
        if self.fault == "reboot":
            if isinstance(twin, CarTwin):
                twin.settings = dict(twin.first)
            elif isinstance(twin, ContactsTwin):
                twin.closed = [False, False]
        if self.fault in ("refused", "reboot"):
            await twin.start(port=self.port)
        self.waits_for_good = self.fault != "deaf"
        self.fault, self.healed_s = "", now_s


def _gives(seat: Seat) -> bool:
    twin = seat.stand.twin
    return isinstance(twin, CarTwin) and twin.charger.max_discharge_kw > 0.0


class Observer:
    """Reads the twins, and what the gateway says of them."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def shown(self, seat: Seat, point: Measurement, now_s: float) -> None:
        """Hold what is shown against what is."""
        good = point.quality is Quality.GOOD
        truth = max(0.0, seat.truth()) if seat.profile.nature is Nature.INVERTER else seat.truth()
        if good:
            assert point.value is not None
            dead = seat.fault not in ("", "deaf")
            if dead or abs(point.value - truth) > 0.1 + 0.01 * abs(truth):
                self._wrong(seat, now_s, f"shows {point.value:.3f} as good, it is {truth:.3f}")
        if seat.waits_for_good and not seat.fault:
            after_s = now_s - seat.healed_s
            if good:
                seat.waits_for_good = False
                self.report.returns += 1
                self.report.slowest_return_s = max(self.report.slowest_return_s, after_s)
            elif after_s > BACK_S:
                seat.waits_for_good = False
                self._wrong(seat, now_s, f"not good {after_s:.0f} s after it healed")

    def safe(self, seat: Seat, now_s: float) -> None:
        """Whether it does what it should not."""
        twin, order = seat.stand.twin, seat.ordered if now_s <= seat.ends_s else None
        # It acknowledges and forgets, or has no timer of its own and cannot be reached.
        beyond_us = seat.fault == "deaf" or (seat.profile.failsafe is None and bool(seat.fault))
        doing = {
            "give": isinstance(twin, CarTwin) and twin.power_kw < -SLACK_KW,
            "hold": isinstance(twin, PvTwin) and twin.limit_kw < twin.rated_kw - 1.0,
            "close": isinstance(twin, ContactsTwin) and any(twin.closed),
        }
        asked = {
            "give": isinstance(order, ChargerPower) and order.power_kw < 0.0,
            "hold": isinstance(order, GenerationLimit) and order.limit_kw is not None,
            "close": isinstance(order, DemandStep) and order.ratio < 1.0,
        }
        for what, does in doing.items():
            if asked[what] or beyond_us:
                seat.allowed_s[what] = now_s
            if does and now_s - seat.allowed_s[what] > (ROOF_S if what == "hold" else HOLD_S):
                self._wrong(seat, now_s, f"still would {what}")
        steady = now_s - max(seat.ordered_s, seat.healed_s) > HOLD_S and not seat.fault
        if isinstance(twin, CarTwin) and isinstance(order, ChargerPower) and steady:
            most_kw = max(order.power_kw, 0.0) + SLACK_KW
            if twin.power_kw > most_kw or twin.power_kw < min(order.power_kw, 0.0) - SLACK_KW:
                self._wrong(seat, now_s, f"{twin.power_kw:.2f} kW beyond its order of {order.power_kw:g}")

    def _wrong(self, seat: Seat, now_s: float, what: str) -> None:
        self.report.wrong.append(f"{now_s:.0f} s {seat.name}: {what}; fault {seat.fault or 'none'}")


def _resident_mb() -> float:
    resident = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(resident) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def soak(
    devices: int, minutes: float, seed: int, *, fault_every_s: float = 600.0, timeout_s: float = 0.25
) -> Report:
    """Run devices for some simulated minutes.

    Parameters
    ----------
    fault_every_s : float
        Mean time from the end of a fault of a device to its next. [s]
    timeout_s : float
        Deadline of a request, which passes in real time. [s]
    """
    logging.getLogger("devices").setLevel(logging.CRITICAL)  # faults are many here
    dice, report = random.Random(seed), Report(minutes=minutes)
    seats = [Seat(number, MODELS[number % len(MODELS)]) for number in range(devices)]
    clock = ManualClock(START)
    configs = [await _seated(seat, timeout_s) for seat in seats]
    gateway = Gateway(configs, clock=clock)
    for link in gateway._links.values():  # nobody waits for pauses that real devices need
        link._wire = link._wire.model_copy(update={"busy_wait_s": 0.0, "failure_wait_s": 0.0})
    observer = Observer(report)
    begun = resource.getrusage(resource.RUSAGE_SELF)
    try:
        await gateway.connect()
        for step in range(round(minutes * 60.0 / STEP_S)):
            now_s = step * STEP_S
            await _misfortune(seats, dice, now_s, fault_every_s, report)
            table = await gateway.read()
            for seat in seats:
                observer.shown(seat, table[seat.asset][MAIN[seat.profile.nature]], now_s)
            report.readings += len(seats)
            if step % 12 == 0:
                report.memory_mb.append(_resident_mb())
            if step % 12 == 0 and step // 60 % 3 < 2:  # every third five minutes control says nothing
                await _give_orders(seats, gateway, dice, clock, report)
            await gateway.refresh()
            for seat in seats:
                seat.stand.step(STEP_S)
                observer.safe(seat, now_s)
            clock.advance(timedelta(seconds=STEP_S))
    finally:
        await gateway.close()
        for seat in seats:
            await seat.stand.twin.stop()
        logging.getLogger("devices").setLevel(logging.NOTSET)
    used = resource.getrusage(resource.RUSAGE_SELF)
    report.cpu_s = used.ru_utime + used.ru_stime - begun.ru_utime - begun.ru_stime
    return report


async def _seated(seat: Seat, timeout_s: float) -> DeviceConfig:
    seat.port = await seat.stand.twin.start()
    return DeviceConfig(
        id=seat.name,
        profile=seat.profile.id,
        host="127.0.0.1",
        port=seat.port,
        unit_id=seat.stand.twin.unit_id,
        assets=(seat.asset,),
        min_gap_ms=0,
        warmup_s=0.0,
        timeout_s=timeout_s,
        commissioned=True,
    )


async def _misfortune(
    seats: list[Seat], dice: random.Random, now_s: float, fault_every_s: float, report: Report
) -> None:
    for seat in seats:
        if seat.fault and now_s >= seat.until_s:
            await seat.heal(now_s)
        elif not seat.fault and dice.random() < STEP_S / fault_every_s:
            fault = dice.choice(FAULTS)
            report.faults[fault] += 1
            await seat.break_down(fault, now_s + dice.uniform(10.0, 120.0))


async def _give_orders(
    seats: list[Seat], gateway: Gateway, dice: random.Random, clock: ManualClock, report: Report
) -> None:
    """Give orders to most, so that some end by themselves; all at once, as after a guard's decision."""
    given = []
    now_s = (clock.now() - START).total_seconds()
    for seat in seats:
        order = seat.random_order(dice)
        if order is None or dice.random() < 0.3:
            continue
        if now_s <= seat.ends_s and dice.random() < 0.5 and seat.ordered is not None:
            order = seat.ordered  # the same again
        if order != seat.ordered or now_s > seat.ends_s:
            seat.ordered, seat.ordered_s = order, now_s
        seat.ends_s = now_s + LASTS.total_seconds()
        command = Command(
            asset=seat.asset,
            order=order,
            source=CommandSource.PLAN,
            reason=Reason(ReasonCode.PRICE),
            issued_at=clock.now(),
            expires_at=clock.now() + LASTS,
        )
        given.append(gateway.apply(command))
    for outcome in await asyncio.gather(*given):
        report.orders[type(outcome).__name__.lower()] += 1


def main() -> int:
    """Run from the command line."""
    words = sys.argv[1:]
    devices, minutes, seed = (
        int(words[0]) if words else 100,
        float(words[1]) if len(words) > 1 else 120.0,
        int(words[2]) if len(words) > 2 else 1,
    )
    timeout_s = float(words[3]) if len(words) > 3 else 0.25
    report = asyncio.run(soak(devices, minutes, seed, timeout_s=timeout_s))
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(report.orders.items()))
    print(f"devices {devices}, simulated minutes {minutes:g}, seed {seed}, processor {report.cpu_s:.0f} s")
    print(f"readings {report.readings}, faults {sum(report.faults.values())} ({dict(report.faults)})")
    print(f"orders: {kinds}")
    print(f"returns {report.returns}, slowest {report.slowest_return_s:.0f} s after healing")
    print(f"memory {report.memory_mb[0]:.1f} MB at first, {report.memory_mb[-1]:.1f} MB at last, ", end="")
    print(f"growth {100.0 * report.growth:.1f} %")
    print(f"wrong: {len(report.wrong)}")
    for line in report.wrong[:20]:
        print(f"  {line}")
    return int(bool(report.wrong) or report.growth > 0.05)


if __name__ == "__main__":
    raise SystemExit(main())
