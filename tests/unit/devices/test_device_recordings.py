"""Sessions recorded at real devices: our client makes of them today what was seen then.

A recording goes to ``tests/sessions/recorded/PROFILE.txt`` (``vpp device record``); its profile is then gold.
None has been given yet, so the mechanism is tried with a twin.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from devices.config import DeviceConfig
from devices.device import Device
from devices.modbus import ModbusTransport
from devices.probe import readable_points
from devices.profile import load_profile
from devices.sessions import Session
from devices.transport import Access
from devices.twins.replay import Replay
from energy.core.clock import ManualClock
from energy.core.units import AssetId
from tests.unit.devices.bench import START, bench

FOLDER = Path(__file__).parents[2] / "sessions" / "recorded"
RECORDED = sorted(FOLDER.glob("*.txt"))


async def readings(config: DeviceConfig, count: int, session: Session | None = None) -> list[object]:
    """What `vpp device record` notes: all readable points, some times."""
    profile = load_profile(config.profile)
    link = ModbusTransport(
        config.host,
        config.port,
        wire=profile.wire.model_copy(update={"warmup_s": 0.0, "min_gap_ms": 0}),
        access=Access.READ_ONLY,
        listen=session.hear if session is not None else None,
    )
    device = Device(config, profile, transport=link, clock=ManualClock(START), access=Access.READ_ONLY)
    names, seen = readable_points(profile), []
    try:
        await device.ensure_online()
        for _ in range(count):
            await device.read_points(names)
            found = {name: device.reading(name) for name in names}
            seen.append({name: one.text or one.value for name, one in found.items() if one is not None})
    finally:
        await link.close()
    return list(seen)


async def again(session: Session, profile: str, unit_id: int) -> list[object]:
    """What our client makes of a session now."""
    played = Replay(session)
    port = await played.start()
    config = DeviceConfig("box", profile, "127.0.0.1", port, unit_id, (AssetId("asset"),))
    try:
        return await readings(config, len(session.seen))
    finally:
        await played.stop()


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
async def test_a_recorded_device_is_understood_as_it_was(file: Path) -> None:
    session = Session.parse(file.read_text(encoding="utf-8"), source=str(file))
    first = next(session.exchanges())[0]
    assert await again(session, file.stem, first[6]) == session.seen


@pytest.mark.parametrize(
    "profile", ["sunspec-der-inverter", "keba-p30", "carlo-gavazzi-em24", "relay-demand"]
)
async def test_a_session_says_again_what_was_seen_also_when_values_changed(profile: str) -> None:
    session = Session()
    async with bench(alone=profile, access=Access.READ_ONLY) as made:
        config = replace(made.config("alone"), id="box")
        for _ in range(2):
            made.step(minutes=3)
            session.seen += await readings(config, 1, session)
    kept = Session.parse(session.text())
    assert kept.said == session.said
    assert await again(kept, profile, config.unit_id) == session.seen
