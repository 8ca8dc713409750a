"""The step test on twins: what passes, which lie each step finds, and what a record unlocks."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devices.commissioning import (
    Finding,
    Record,
    StepTest,
    load_record,
    map_digest,
    passed,
    signed,
)
from devices.natures import Nature
from devices.profile import load_profile, profile_names
from devices.twins.car import CarTwin
from devices.twins.contacts import ContactsTwin
from energy.core.errors import ConfigError
from energy.core.units import AssetId
from tests.unit.devices.bench import START, Bench, bench

COMMANDED = [name for name in profile_names() if load_profile(name).control != "none"]
STEPS = {
    "charger": ["stop", "charge", "stop again", "watchdog"],
    "storage": ["stop", "charge", "stop again", "watchdog"],
    "inverter": ["limit", "release", "watchdog"],
    "contacts": ["contact", "contact", "contact", "watchdog"],
    "climate": ["room", "back", "watchdog"],
}


async def tried(made: Bench, *, watchdog: bool = True) -> tuple[Finding, ...]:
    lonely = made.lonely
    assert lonely is not None

    async def wait(seconds: float) -> None:
        while seconds > 0.0:
            step_s = min(seconds, 5.0)
            made.clock.advance(timedelta(seconds=step_s))
            lonely.step(step_s)
            seconds -= step_s

    await wait(10.0)
    test = StepTest(made.gateway, AssetId("asset"), load_profile(lonely.profile), clock=made.clock, wait=wait)
    return await test.run(watchdog=watchdog)


@pytest.mark.parametrize("profile", COMMANDED)
async def test_every_model_that_takes_orders_passes_on_its_twin(profile: str) -> None:
    async with bench(alone=profile) as made:
        findings = await tried(made)
        assert [one for one in findings if one.passed is False] == []
        known = load_profile(profile)
        steps = [one.step for one in findings if one.step != "give back"]
        assert steps == STEPS[known.nature.value]
        untried = known.failsafe is None or known.nature is Nature.CLIMATE
        assert (findings[-1].passed is None) is untried
        gives = [one for one in findings if one.step == "give back"]
        assert bool(gives) is (profile in ("wallbox-quasar1", "evtec-bidipro", "sunspec-der-storage"))


async def test_it_ends_in_the_safe_state() -> None:
    async with bench(alone="wallbox-quasar1") as made:
        await tried(made, watchdog=False)
        twin = made.twin("alone")
        assert isinstance(twin, CarTwin)
        assert twin.settings[257] == 2


def failed(findings: tuple[Finding, ...]) -> list[str]:
    return [one.step for one in findings if one.passed is False]


async def test_a_sign_the_other_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(alone="wallbox-quasar1") as made:
        twin = made.twin("alone")
        assert isinstance(twin, CarTwin)
        plain = twin.wanted_kw
        monkeypatch.setattr(twin, "wanted_kw", lambda: -plain())
        findings = await tried(made)
        assert failed(findings) == ["charge"]
        assert findings[-1].seen == -3.0


async def test_a_scale_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(alone="evtec-bidipro") as made:
        twin = made.twin("alone")
        assert isinstance(twin, CarTwin)
        plain = twin.wanted_kw
        monkeypatch.setattr(twin, "wanted_kw", lambda: 0.1 * plain())
        assert failed(await tried(made)) == ["charge"]


async def test_a_device_that_says_yes_and_does_nothing_is_found() -> None:
    for profile in ("keba-p30", "alfen-ng9xx", "relay-demand"):
        async with bench(alone=profile) as made:
            made.twin("alone").faults.ignore_writes = True
            findings = await tried(made)
            assert failed(findings), profile
            assert not passed(findings)


async def test_contacts_without_feedback_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(alone="relay-demand") as made:
        twin = made.twin("alone")
        assert isinstance(twin, ContactsTwin)
        monkeypatch.setattr(twin, "bits", lambda table: twin.closed if table == "coil" else [False, False])
        findings = await tried(made)
        assert failed(findings) == ["contact"]
        assert "feedback_70 reads 0" in findings[-1].why


async def test_a_watchdog_that_does_not_bite_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(alone="wallbox-quasar1") as made:
        monkeypatch.setattr(made.twin("alone"), "timeout_s", lambda: 0.0)
        findings = await tried(made)
        assert failed(findings) == ["watchdog"]


async def test_at_night_an_inverter_cannot_be_tried() -> None:
    async with bench(alone="sunspec-inverter") as made:
        made.lonely.stand._move = lambda dt_s, swing: None  # type: ignore[union-attr]
        findings = await tried(made)
        assert [(one.step, one.why) for one in findings] == [
            ("sun", "too little is generated to see a limit")
        ]


async def test_a_silent_device_fails_with_the_reason() -> None:
    async with bench(alone="wallbox-quasar1") as made:
        await made.twin("alone").stop()
        findings = await tried(made)
        assert failed(findings) == ["stop"]
        assert "nobody answers" in findings[0].why or "does not answer" in findings[0].why


# Records


def record(profile: str = "keba-p30", *, ok: bool | None = True) -> Record:
    known = load_profile(profile)
    return Record(
        profile=known.id,
        map=map_digest(known),
        device="192.0.2.7:502",
        unit_id=255,
        signed_by="Sato",
        signed_at=START,
        findings=(Finding("charge", ok, 6.9, 6.9, "kW"),),
    )


def load(
    path: Path, profile: str = "keba-p30", *, device: str = "192.0.2.7:502", unit_id: int = 255
) -> Record:
    return load_record(path, load_profile(profile), device=device, unit_id=unit_id)


def test_a_signed_record_unlocks_this_map_at_this_device(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(signed(record()), encoding="utf-8")
    assert load(path).signed_by == "Sato"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"signed_by": "Suzuki"}, "changed after it was signed"),
        ({"findings": []}, "changed after it was signed"),
        ({"digest": "0"}, "changed after it was signed"),
    ],
)
def test_a_record_that_was_changed_unlocks_nothing(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(signed(record())) | change), encoding="utf-8")
    with pytest.raises(ConfigError, match="does not unlock") as caught:
        load(path)
    assert said in caught.value.where


def test_a_record_of_another_device_map_or_outcome_unlocks_nothing(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(signed(record()), encoding="utf-8")
    for told, said in (
        ({"device": "192.0.2.8:502"}, "it is for 192.0.2.7:502, unit 255"),
        ({"unit_id": 1}, "it is for 192.0.2.7:502, unit 255"),
        ({"profile": "alfen-ng9xx"}, "it is for the map keba-p30 as it was at 2026-07-01"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path, **told)  # type: ignore[arg-type]
        assert said in caught.value.where
        assert caught.value.hint == "try the device again: vpp device commission"
    path.write_text(signed(record(ok=False)), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "its test did not pass: charge" in caught.value.where
    path.write_text(signed(record(ok=None)), encoding="utf-8")
    with pytest.raises(ConfigError):
        load(path)


def test_what_is_no_record_is_refused_by_name(tmp_path: Path) -> None:
    for text in ("", "{}", "[1"):
        (tmp_path / "record.json").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match="cannot be read"):
            load(tmp_path / "record.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "missing.json")


def test_a_change_of_the_map_needs_a_new_test() -> None:
    known = load_profile("keba-p30")
    assert map_digest(known) == map_digest(known.model_copy())
    assert map_digest(known) != map_digest(known.model_copy(update={"settle_s": 21.0}))
