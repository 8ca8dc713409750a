"""Sessions on the wire: what is said between our driver and a device, byte by byte, and what we make of it.

Each file holds one scene: connect, read, one order, a minute, read. ``>`` is what we send, ``<`` what the
device answers, ``*`` the minute, ``=`` what the house sees. ``python -m tests.sessions.script`` records them
anew from the twins; the diff is to be read like code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from devices.sessions import Session
from devices.twins.server import Twin
from energy.core.outcome import ChargerPower, ClimateMode, DemandStep, GenerationLimit, Order, RoomClimate
from tests.unit.devices.bench import Bench, bench

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Scene:
    """A model, its device and asset in the bench, and the order of the scene."""

    profile: str
    device: str
    asset: str
    order: Order | None = None

    @property
    def alone(self) -> str | None:
        """The profile, where its twin stands alone instead of in the site."""
        return self.profile if self.device == "alone" else None


SCENES = (
    Scene("eastron-sdm630", "main-meter", "meter"),
    Scene("sunspec-inverter", "inverter", "roof", GenerationLimit(20.0)),
    Scene("wallbox-quasar1", "charger-leaf", "leaf", ChargerPower(-3.0)),
    Scene("daikin-dta116a51", "hvac-adapter", "hall-1", RoomClimate(ClimateMode.COOL, 25.5)),
    Scene("schneider-iem3155", "alone", "asset"),
    Scene("carlo-gavazzi-em24", "alone", "asset"),
    Scene("janitza-umg", "alone", "asset"),
    Scene("sunspec-der-inverter", "alone", "asset", GenerationLimit(20.0)),
    Scene("sunspec-der-storage", "alone", "asset", ChargerPower(-3.0)),
    Scene("sunspec-hybrid-storage", "alone", "asset"),
    Scene("huawei-sun2000", "alone", "asset", GenerationLimit(20.0)),
    Scene("evtec-bidipro", "alone", "asset", ChargerPower(-3.0)),
    Scene("keba-p30", "alone", "asset", ChargerPower(6.9)),
    Scene("alfen-ng9xx", "alone", "asset", ChargerPower(6.9)),
    Scene("phoenix-charx", "alone", "asset", ChargerPower(6.9)),
    Scene("daikin-ekmbpp1", "alone", "asset", RoomClimate(ClimateMode.HEAT, 22.0)),
    Scene("relay-demand", "alone", "asset", DemandStep(0.4)),
)


async def play(made: Bench, scene: Scene, session: Session | None = None) -> list[object]:
    """The scene from our side; what the house sees."""
    await made.gateway.connect()
    seen: list[object] = [await made.values(scene.asset)]
    if scene.order is not None:
        seen.append(type(await made.apply(scene.asset, scene.order)).__name__)
    if session is not None:
        session.said.append(("*", b""))
    made.step()
    seen.append(await made.values(scene.asset))
    return seen


@contextmanager
def recorded(twin: Twin) -> Iterator[Session]:
    """Listen at a twin's socket."""
    session = Session()
    plain = twin._on_packet

    def listen(sending: bool, data: bytes) -> bytes:
        data = plain(sending, data)
        session.hear(not sending, data)
        return data

    with mock.patch.object(twin, "_on_packet", listen):
        yield session


async def record(scene: Scene) -> Session:
    """Play a scene against its twin."""
    async with bench(only=[scene.device], connect=False, start=False, alone=scene.alone) as made:
        with recorded(made.twin(scene.device)) as session:
            await made.start()
            session.seen = await play(made, scene, session)
            said = list(session.said)
    session.said = said
    session.remarks = [f"{scene.profile}: connect, read, one order, a minute, read"]
    return session


async def _main() -> None:
    for scene in SCENES:
        session = await record(scene)
        (FOLDER / f"{scene.profile}.txt").write_text(session.text(), encoding="ascii")


if __name__ == "__main__":
    asyncio.run(_main())
