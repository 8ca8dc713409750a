"""What an installer gets wrong, and the words that tell what to change."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from devices.config import DeviceConfig, check_devices
from devices.gateway import Gateway
from devices.profile import load_profile, parse_profile
from devices.transport import Framing
from energy.core.errors import ConfigError, ExitStatus, RegisterError, UnreachableError
from energy.core.units import AssetId
from tests.unit.devices.bench import bench
from tests.unit.vpp.cli.test_device_command import call, running, trouble

GUIDE = (Path(__file__).parents[3] / "docs" / "how-to" / "add-a-device.md").read_text(encoding="utf-8")
YAML = next(iter(re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)))


@pytest.fixture
def meter(tmp_path: Path) -> Path:
    """The YAML of the how-to, as a new user would save it."""
    path = tmp_path / "my-meter.yaml"
    path.write_text(YAML, encoding="utf-8")
    return path


def test_a_new_meter_needs_its_yaml_only(meter: Path) -> None:
    checked = call("profile", "check", meter)
    assert "my-meter: 4 points" in checked.stdout
    with running("carlo-gavazzi-em24") as made:
        probed = call("probe", meter, made.host)
        read = call("read", meter, made.host, "power_kw", "--json")
    assert probed.return_value == ExitStatus.OK, probed.stdout
    assert "Looks wrong" not in probed.stdout
    assert read.return_value == ExitStatus.OK


async def test_the_new_meter_is_a_meter_of_the_site(meter: Path) -> None:
    async with bench(alone="carlo-gavazzi-em24") as made:
        gateway = Gateway([replace(made.configs[0], profile=str(meter))], clock=made.clock)
        made.step()
        points = (await gateway.read())[AssetId("asset")]
        assert {name: point.value is not None for name, point in points.items()} == {
            "power_kw": True,
            "import_kwh": True,
            "export_kwh": True,
        }
        await gateway.close()


def test_a_wrong_word_order_is_named_with_the_right_one(meter: Path) -> None:
    meter.write_text(YAML.replace("order: cdab\n", ""), encoding="utf-8")
    with running("carlo-gavazzi-em24") as made:
        probed = call("probe", meter, made.host)
    assert probed.return_value == ExitStatus.PARTIAL
    said = "Looks wrong: voltage_l1_v cannot be true with the byte order abcd. Right would be: order: cdab"
    assert said in probed.stdout
    assert said in GUIDE


def test_a_wrong_unit_is_answered_with_the_one_that_is_there() -> None:
    with running("eastron-sdm630") as made:
        error = trouble("read", "eastron-sdm630", made.host, "--unit", 7, kind=UnreachableError)
    assert error.hint == "unit 1 does answer: --unit 1"


def test_overlapping_points_are_named_with_their_register() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_profile(YAML.replace('"input:78"', '"input:53"'), source="my-meter.yaml")
    what, where, hint = caught.value.lines()
    assert what == "a device profile cannot be used"
    assert "points import_kwh and export_kwh overlap at input register 53" in where
    assert where in GUIDE
    assert hint in GUIDE


def test_a_clamp_outside_the_valid_range_is_named_with_both() -> None:
    knob = '  knob: { at: "holding:9", type: int16, unit: kW, valid: [-5, 5], write: { clamp: [-7, 5] } }\n'
    text = YAML.replace("functions: [4]", "functions: [3, 4, 6]") + knob
    with pytest.raises(ConfigError) as caught:
        parse_profile(text, source="my-meter.yaml")
    assert (
        "points.knob: clamp [-7.0, 5.0] lies outside of what the point can hold, -5 to 5"
        in caught.value.where
    )
    assert "narrow the clamp, or mend valid, type or scale" in caught.value.where


def test_a_timer_that_would_end_between_two_refreshes_is_named() -> None:
    text = load_profile("wallbox-quasar1").model_dump_json().replace('"refresh_s":20.0', '"refresh_s":21.0')
    with pytest.raises(ConfigError) as caught:
        parse_profile(text, source="mine.yaml")
    said = "set_power_kw is refreshed every 21 s, but its timer ends after 60 s; refresh at least 3 times"
    assert said in caught.value.where


@pytest.mark.parametrize("calm", ["deadband", "min_interval_s"])
def test_what_only_a_setpoint_of_a_charger_obeys_is_refused_elsewhere(calm: str) -> None:
    text = YAML.replace("functions: [4]", "functions: [3, 4, 6]")
    text += f'  knob: {{ at: "holding:9", type: int16, unit: kW, write: {{ {calm}: 1 }} }}\n'
    with pytest.raises(ConfigError) as caught:
        parse_profile(text, source="my-meter.yaml")
    said = "point knob: deadband and min_interval_s are for a charger's setpoint; remove them"
    assert said in caught.value.where


@pytest.mark.parametrize("framing", [Framing.RTU, Framing.RTU_TCP])
def test_two_models_that_cannot_share_a_line_are_named_with_what_differs(framing: Framing) -> None:
    port = 0 if framing is Framing.RTU else 4001
    slow = DeviceConfig("slow", "eastron-sdm630", "line", port, 1, (AssetId("a"),), framing=framing)
    even = DeviceConfig("even", "schneider-iem3155", "line", port, 2, (AssetId("b"),), framing=framing)
    with pytest.raises(
        ConfigError, match="eastron-sdm630 and schneider-iem3155 cannot share a serial"
    ) as caught:
        check_devices([slow, even])
    assert "eastron-sdm630 9600 baud, parity N" in caught.value.where
    assert "set them alike at the devices" in caught.value.hint


async def test_a_device_that_is_not_what_the_profile_says_is_named_and_takes_no_orders() -> None:
    async with bench(only=["hvac-adapter"], connect=False) as made:
        assert made.site.adaptor is not None
        show = made.site.adaptor.show
        made.site.adaptor.show = (
            lambda table: [  # type: ignore[method-assign]
                (first, [0, *words[1:]] if (table, first) == ("input", 0) else words)
                for first, words in show(table)
            ]
        )
        device = made.gateway._devices["hvac-adapter"]
        with pytest.raises(RegisterError, match="is not a Daikin DIII-NET adaptor") as caught:
            await device.ensure_online()
        assert caught.value.where == "adaptor_ready reads 0, expected one of [1]"
        assert "check address, unit number and profile" in caught.value.hint
        assert made.site.adaptor.writes == 0
