from __future__ import annotations

from pathlib import Path

import pytest

from devices.natures import READ_POINTS, Nature
from devices.profile import Profile, load_profile, parse_profile, profile_names
from devices.registers import Kind
from energy.core.errors import ConfigError

METER = """
id: some-meter
title: Some meter
maker: Nobody
models: [none]
nature: meter
control: none
sources: [{ title: "manual, page 7", confidence: A }]
wire: { functions: [3, 4], max_read: 10 }
points:
  power_kw: { at: "input:0", type: float32, unit: kW, scale: 0.001, poll: always }
  import_kwh: { at: "input:2", type: float32, unit: kWh, poll: always }
  export_kwh: { at: "input:4", type: float32, unit: kWh, poll: always }
"""


def trouble(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_profile(text, source="some.yaml")
    return caught.value


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_is_complete_and_says_where_it_comes_from(name: str) -> None:
    profile = load_profile(name)
    assert profile.id == name
    assert all(source.title for source in profile.sources)
    polled = {point for point, what in profile.points.items() if what.poll == "always"}
    assert READ_POINTS[profile.nature] <= polled
    if profile.control == "released":
        assert {source.confidence for source in profile.sources} & {"A", "B"}


def test_the_four_models_of_the_reference_site_are_there() -> None:
    models = {name: load_profile(name).nature for name in profile_names()}
    assert (
        models.items()
        >= {
            "daikin-dta116a51": Nature.CLIMATE,
            "eastron-sdm630": Nature.METER,
            "sunspec-inverter": Nature.INVERTER,
            "wallbox-quasar1": Nature.CHARGER,
        }.items()
    )


def test_a_profile_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(METER, encoding="utf-8")
    assert load_profile(str(file)).id == "some-meter"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_profile(str(tmp_path / "none.yaml"))


def test_addresses_are_read_with_stride_and_model() -> None:
    daikin = load_profile("daikin-dta116a51").points["room_c"].at
    assert (daikin.space, daikin.base, daikin.stride, daikin.model) == ("input", 2004, 6, None)
    sunspec = load_profile("sunspec-inverter").points["limit_percent"].at
    assert (sunspec.space, sunspec.base, sunspec.model) == ("holding", 5, 123)


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile("eastron-sdm63")
    what, where, hint = caught.value.lines()
    assert "eastron-sdm63" in what
    assert "wallbox-quasar1" in where
    assert hint == "did you mean eastron-sdm630?"


def test_a_good_profile_passes() -> None:
    profile: Profile = parse_profile(METER, source="some.yaml")
    assert profile.points["power_kw"].type is Kind.FLOAT32
    assert profile.points["power_kw"].width == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"input:2"', '"input:1"', "points power_kw and import_kwh overlap at input register 1"),
        ("control: none", "control: released", "control must be none: a meter takes no orders"),
        (
            '"input:0", type: float32',
            '"input:0", type: float32, length: 2',
            "length belongs to the type text",
        ),
        ("max_read: 10", "max_read: 10, serial: { parity: M }", "serial.parity"),
        ("title: Some meter", "title: Some meter\ncolour: grey", "colour"),
        ("unit: kWh, poll: always }\n  export", "unit: MWh, poll: always }\n  export", "import_kwh.unit"),
        ('"input:0"', '"input 0"', "is not an address"),
        ("  import_kwh:", "  imported_kwh:", "must define import_kwh"),
        ("functions: [3, 4]", "functions: [3]", "needs function code 4"),
        ("max_read: 10", "max_read: 300", "max_read"),
        ("max_read: 10", "max_read: 11, even_only: true", "odd"),
        ('"input:0", type: float32', '"input:0", type: float32, bits: [0, 3]', "uint16"),
        ('"input:0", type: float32', '"input:0", type: float32, write: {}', "only holding registers"),
        ('"input:0", type: float32', '"input:0", type: float32, scale_point: sf', "names the points sf"),
        ("control: none", "control: none\nsequences: { start: [{ power_kw: 1 }] }", "not writable"),
        ("nature: meter", "nature: [", "is not YAML"),
    ],
)
def test_a_contradiction_is_named_with_file_and_key(old: str, new: str, said: str) -> None:
    assert METER.count(old) >= 1
    error = trouble(METER.replace(old, new, 1))
    assert said in str(error)
    assert "some.yaml" in error.where
    assert error.hint or "YAML" in error.what


def test_a_charger_that_cannot_be_commanded_says_what_is_missing() -> None:
    from importlib import resources

    text = (resources.files("devices") / "profiles" / "wallbox-quasar1.yaml").read_text(encoding="utf-8")
    assert "set_power_kw" in str(trouble(text.replace("set_power_kw", "set_something")))
    assert "needs mains" in str(trouble(text.replace("set_power_kw", "set_current_a")))
    assert "is of confidence C or D" in str(trouble(text.replace("confidence: B", "confidence: C")))
    assert "clamp [-74.0, 7.4] lies outside" in str(trouble(text.replace("clamp: [-7.4,", "clamp: [-74,")))
    assert "lowest value last" in str(trouble(text.replace("clamp: [-7.4, 7.4]", "clamp: [7.4, -7.4]")))
    assert "'sleeping'" in str(trouble(text.replace("4: paused", "4: sleeping")))
