"""A site's devices from a file, and the gateway that runs on it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from devices.site_file import load_site
from energy.core.errors import ConfigError, ExitStatus
from tests.unit.vpp.cli.test_device_command import call, running

GUIDE = (Path(__file__).parents[3] / "docs" / "how-to" / "run-a-gateway.md").read_text(encoding="utf-8")
YARD = (Path(__file__).parents[3] / "docs" / "how-to" / "add-a-device.md").read_text(encoding="utf-8")


TRIED = 'commissioned: { by: Tanaka, date: 2026-11-20, seen: "3 kW both ways" }'


def yaml_of(page: str) -> str:
    return str(next(iter(re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))))


def test_the_file_of_the_how_to_is_understood_but_for_its_record(tmp_path: Path) -> None:
    path = tmp_path / "devices.yaml"
    (tmp_path / "my-meter.yaml").write_text(yaml_of(YARD), encoding="utf-8")
    path.write_text(yaml_of(GUIDE), encoding="utf-8")
    with pytest.raises(ConfigError, match="a commissioning record cannot be read"):
        load_site(path)
    path.write_text(yaml_of(GUIDE).replace(", record: keba-2.json", ""), encoding="utf-8")
    configs = load_site(path).devices
    assert [(one.id, one.unit_id, one.pace, one.commissioned) for one in configs] == [
        ("main-meter", 1, "fast", False),
        ("charger-1", 1, "normal", True),
        ("charger-2", 255, "normal", False),
        ("yard", 3, "slow", False),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devices: []", "devices: Tuple should have at least 1 item"),
        ("devices: [{id: a}]", "devices.0.profile: Field required"),
        (
            "devices: [{id: a, profile: keba-p30, address: h, assets: [x], pacee: slow}]",
            "devices.0.pacee: Extra",
        ),
        (
            "devices: [{id: a, profile: keba-p30, address: h, assets: [x], pace: hasty}]",
            "devices.0.pace: Input",
        ),
        ("devices: [{id: a, profile: keba-p31, address: h, assets: [x]}]", "known:"),
        ("devices: [{id: a, profile: keba-p30, address: 'http://h', assets: [x]}]", "HOST, HOST:PORT"),
        ("a: [", "while parsing"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    assert said in caught.value.where


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("profile: eastron-sdm630, " + TRIED, "takes no orders"),
        ("profile: keba-p30, " + TRIED, "a statement is not enough"),
        ("profile: wallbox-quasar1, commissioned: true", "commissioned: Input should be"),
        ("profile: wallbox-quasar1, commissioned: { by: x, date: 2026-11-20 }", "commissioned.seen"),
    ],
)
def test_a_statement_that_orders_were_tried_is_refused_where_it_is_not_enough(
    tmp_path: Path, device: str, said: str
) -> None:
    path = tmp_path / "devices.yaml"
    path.write_text(f"devices: [{{id: a, address: h, assets: [x], {device}}}]", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    assert said in caught.value.where


def test_a_released_map_without_a_record_or_a_statement_is_only_read(tmp_path: Path) -> None:
    with running("wallbox-quasar1") as charger:
        path = tmp_path / "devices.yaml"
        path.write_text(
            f"devices: [{{id: car, profile: wallbox-quasar1, address: '{charger.host}', assets: [car-1]}}]",
            encoding="utf-8",
        )
        assert call("serve", path, "--access", "control", "--seconds", 0.3).return_value == ExitStatus.OK
        assert charger.twin.writes == 0


def test_the_gateway_reads_and_writes_nothing_unless_it_is_allowed_to(tmp_path: Path) -> None:
    with running("eastron-sdm630") as meter, running("wallbox-quasar1") as charger:
        path, memory = tmp_path / "devices.yaml", tmp_path / "counters.json"
        path.write_text(
            "devices:\n"
            f"  - {{ id: main, profile: eastron-sdm630, address: '{meter.host}', assets: [meter] }}\n"
            f"  - {{ id: car, profile: wallbox-quasar1, address: '{charger.host}', assets: [car-1],\n"
            f"      {TRIED} }}\n",
            encoding="utf-8",
        )
        served = call("serve", path, "--seconds", 0.5, "--memory", memory, "--json")
        assert served.return_value == ExitStatus.OK, served.exception
        assert charger.twin.writes == 0
        told = call("serve", path, "--seconds", 0.3, lang="ja")
        assert call("serve", path, "--access", "control", "--seconds", 0.3).return_value == ExitStatus.OK
        assert charger.twin.writes > 0
    line = json.loads(served.stdout.splitlines()[-1])
    assert line["devices"] == {"main": "online", "car": "online"}
    assert line["readings"]["meter"]["power_kw"]["quality"] == "good"
    assert "import_kwh" in json.loads(memory.read_text(encoding="utf-8"))["main"]
    assert told.stdout.splitlines() == ["main: オンライン", "car: オンライン"]
    assert os.environ.get("NOTIFY_SOCKET") is None
