"""The quality that `vpp device list` shows is what these tests prove, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from devices.profile import load_profile, profile_names
from devices.quality import Evidence, evidence_of, level, quality
from devices.twins.stands import STANDS
from tests.contract.test_driver_contract import CASES
from tests.sessions.script import SCENES
from tests.soak.device_soak import MODELS
from tests.unit.devices.test_device_counterparts import KNOWN_BY_OTHERS
from tests.unit.devices.test_device_recordings import RECORDED

SHIPPED = Path(__file__).parents[3] / "devices" / "profiles" / "evidence.json"


def proved() -> dict[str, list[str]]:
    """Evidence by profile, from the registers of the test suites themselves."""
    suites = {
        Evidence.GOLDEN: {scene.profile for scene in SCENES},
        Evidence.TWIN: set(STANDS),
        Evidence.CONTRACT: {case.profile for case in CASES},
        Evidence.COUNTERPART: set(KNOWN_BY_OTHERS),
        Evidence.RECORDED: {file.stem for file in RECORDED},
        Evidence.SOAK: set(MODELS),
    }
    return {name: [kind.value for kind in suites if name in suites[kind]] for name in profile_names()}


def test_the_shipped_evidence_is_what_the_suites_prove() -> None:
    text = json.dumps(proved(), indent=1) + "\n"
    if os.environ.get("VPP_TEST_UPDATE_GOLDEN"):
        SHIPPED.write_text(text, encoding="utf-8")
    assert SHIPPED.read_text(encoding="utf-8") == text, "VPP_TEST_UPDATE_GOLDEN=1 writes it anew"


def test_every_shipped_profile_is_at_least_silver() -> None:
    assert {quality(name) for name in profile_names()} <= {"silver", "gold", "platinum"}
    assert quality("wallbox-quasar1") == "silver"
    assert quality("sunspec-inverter") == "platinum"


def test_a_profile_of_ones_own_has_no_evidence() -> None:
    assert evidence_of("mine") == frozenset()
    assert quality("mine") == "none"


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((), "none"),
        ((Evidence.TWIN,), "none"),
        ((Evidence.GOLDEN, Evidence.TWIN), "bronze"),
        ((Evidence.GOLDEN, Evidence.TWIN, Evidence.COUNTERPART), "bronze"),
        ((Evidence.GOLDEN, Evidence.TWIN, Evidence.CONTRACT), "silver"),
        ((Evidence.GOLDEN, Evidence.TWIN, Evidence.CONTRACT, Evidence.RECORDED), "gold"),
        ((Evidence.GOLDEN, Evidence.TWIN, Evidence.CONTRACT, Evidence.SOAK), "silver"),
        (tuple(kind for kind in Evidence if kind is not Evidence.RECORDED), "platinum"),
    ],
)
def test_a_level_needs_those_below_it(kinds: tuple[Evidence, ...], expected: str) -> None:
    assert level(frozenset(kinds)) == expected


@pytest.mark.parametrize(
    ("name", "doubtful"),
    [
        ("huawei-sun2000", {"model", "rated_kw", "limit_percent"}),
        ("daikin-ekmbpp1", {"units", "in_error", "room_c"}),
    ],
)
def test_what_no_source_confirms_is_marked_so_and_its_map_takes_no_orders_untried(
    name: str, doubtful: set[str]
) -> None:
    profile = load_profile(name)
    assert {point for point in profile.points if profile.confidence(point) == "D"} == doubtful
    assert profile.control == "experimental"  # tests/contract: refused until it is commissioned
