"""What is said on the wire, message by message; the quality of protocols is what the tests prove."""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("ocpp", reason="the extra ocpp is not installed")

from devices.protocols import PROTOCOL_MODELS
from devices.quality import Evidence
from energy.core.outcome import ChargerPower, ClimateMode, RoomClimate
from tests.unit.devices import ocpp_bench, test_ocpp_counterparts
from tests.unit.devices.test_echonet_devices import CAR, EVERYTHING, ROOM, made

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "protocols"
SHIPPED = ROOT / "devices" / "protocols.json"
OCPP = {"ocpp-16": "1.6", "ocpp-201": "2.0.1", "ocpp-21": "2.1"}
ECHONET = {
    "echonet-v2h": "027e01",
    "echonet-package-ac": "014501",
    "echonet-package-ac-outdoor": "014601",
    "echonet-meter": "028801",
}


def compare(name: str, lines: list[str]) -> None:
    file, text = GOLDEN / f"{name}.txt", "\n".join(lines) + "\n"
    if os.environ.get("VPP_TEST_UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text, "VPP_TEST_UPDATE_GOLDEN=1 writes it anew"


@pytest.mark.parametrize("name", OCPP)
async def test_a_day_of_a_station_is_said_word_by_word(name: str) -> None:
    version = OCPP[name]
    async with ocpp_bench.made(version, max_kw=11.0, token="house") as one:
        await one.dial()
        await one.twin.plug(modes=() if version == "1.6" else ("DC_BPT",))
        for power_kw in (4.2, 0.0, -3.0):
            await one.apply(ChargerPower(power_kw))
        one.clock.advance(timedelta(seconds=41))
        await one.gateway.refresh()
        await one.gateway.safe_state()
        await one.station.stop_charge(0)
        heard = [json.dumps([action, payload], sort_keys=True) for action, payload in one.twin.heard]
    # Numbers of charges are seconds of the clock or the twin's own count: they differ by nothing else.
    compare(name, [re.sub(r'("transactionId": )("?)[\w-]+', r"\1\2N", line) for line in heard])


@pytest.mark.parametrize("name", ECHONET)
async def test_frames_of_each_class_are_said_byte_by_byte(name: str) -> None:
    frames: list[str] = []
    async with made() as one:
        received = one.twin.datagram_received

        def keep(data: bytes, addr: tuple[str, int]) -> None:
            if data[7:10].hex() == ECHONET[name]:
                frames.append(data[:2].hex() + "...." + data[4:].hex())  # the number of the frame counts on
            received(data, addr)

        one.twin.datagram_received = keep  # type: ignore[method-assign]
        await one.gateway.read()
        if name == "echonet-v2h":
            for power_kw in (3.0, -3.0, 0.0):
                await one.apply(CAR, ChargerPower(power_kw))
        elif name == "echonet-package-ac":
            for order in (RoomClimate(ClimateMode.HEAT, 21.0), RoomClimate(ClimateMode.OFF, 21.0)):
                await one.apply(ROOM, order)
    assert EVERYTHING.keys() >= {ECHONET[name]}
    compare(name, frames)


# Silence, garbled answers, reconnection and the safe state are tried in test_ocpp_station.py,
# test_ocpp_messages.py and test_echonet_devices.py for everything below. ocpp-rpc knows the schemas of each
# version; echonet-lite knows frames and no class, so it lifts nothing.
def proved() -> dict[str, list[str]]:
    suites = {
        Evidence.GOLDEN: {file.stem for file in GOLDEN.glob("*.txt")},
        Evidence.TWIN: {*OCPP, *ECHONET},
        Evidence.CONTRACT: {*OCPP, *ECHONET},
        Evidence.COUNTERPART: set(test_ocpp_counterparts.KNOWN_BY_OTHERS),
    }
    return {
        model.id: [kind.value for kind in suites if model.id in suites[kind]] for model in PROTOCOL_MODELS
    }


def test_the_shipped_evidence_of_protocols_is_what_the_suites_prove() -> None:
    text = json.dumps(proved(), indent=1) + "\n"
    if os.environ.get("VPP_TEST_UPDATE_GOLDEN"):
        SHIPPED.write_text(text, encoding="utf-8")
    assert SHIPPED.read_text(encoding="utf-8") == text, "VPP_TEST_UPDATE_GOLDEN=1 writes it anew"


def test_stations_are_gold_and_echonet_lite_is_silver() -> None:
    assert {model.id: model.quality for model in PROTOCOL_MODELS} == {
        **dict.fromkeys(OCPP, "gold"),
        **dict.fromkeys(ECHONET, "silver"),
    }
