"""Configuration errors point at the line, name the nearest key, and say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from energy.core.errors import ConfigError
from energy.core.site import Site
from vpp.config import read_yaml
from vpp.simulation.scenario import Scenario, load_scenario, scenario_names, scenarios_root

SITE = """\
id: small
name_ja: 小さな工場
name_en: Small works
latitude: 37.5
longitude: 139.9
contract_kw: 100
target_demand_kw: 80
tariff:
  name_ja: 例
  name_en: example
  periods:
    - {valid_from: 2026-04-01, valid_to: 2027-03-31, basic_yen_per_kw_month: 2000,
       summer_yen_per_kwh: 19, other_yen_per_kwh: 18}
chargers:
  - {id: cp-1, max_charge_kw: 6, max_discharge_kw: 6}
vehicles:
  - id: leaf
    name_ja: リーフ
    name_en: Leaf
    capacity_kwh: 40
    charger: cp-1
    owner: company
trips:
  leaf:
    - {days: [mon], departs: "09:00", hours_away: 3, energy_kwh: 5, promise_soc: 0.6}
"""


def refused(tmp_path: Path, text: str) -> ConfigError:
    path = tmp_path / "site.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, Site)
    return caught.value


def test_a_good_site_is_read(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE, encoding="utf-8")
    site = read_yaml(path, Site)
    assert site.vehicles[0].capacity_kwh == 40
    assert site.charger_of(site.vehicles[0]).id == "cp-1"


def test_an_unknown_key_names_the_nearest_one_and_its_line(tmp_path: Path) -> None:
    error = refused(tmp_path, SITE.replace("capacity_kwh: 40", "capasity_kwh: 40"))
    assert error.what.startswith("unknown key 'capasity_kwh'")
    assert "line 20" in error.where
    assert error.hint == "did you mean 'capacity_kwh'?"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("capacity_kwh: 40", "capacity_kwh: -40", "greater than 0"),
        ("capacity_kwh: 40", "capacity_kwh: .inf", "finite"),
        ("charger: cp-1", "charger: cp-9", "no 'cp-9' among cp-1"),
        ("owner: company", "owner: employee", "needs its driver"),
        ("target_demand_kw: 80", "target_demand_kw: 180", "above contract_kw"),
        ("valid_from: 2026-04-01", "valid_from: 2027-04-01", "after valid_to"),
        ("days: [mon]", "days: []", "at least 1 item"),
        ("promise_soc: 0.6", "promise_soc: 60", "less than or equal to 1"),
    ],
)
def test_an_impossible_value_says_why(tmp_path: Path, old: str, new: str, says: str) -> None:
    error = refused(tmp_path, SITE.replace(old, new))
    assert says in error.what
    assert "line" in error.where


def test_overlapping_trips_are_refused_by_their_times(tmp_path: Path) -> None:
    second = SITE + '    - {days: [mon], departs: "11:00", hours_away: 3, energy_kwh: 5, promise_soc: 0.6}\n'
    error = refused(tmp_path, second)
    assert "trips of leaf overlap: Mon 09:00 to Mon 12:00 and Mon 11:00 to Mon 14:00" in error.what


def test_an_id_used_twice_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, SITE.replace("- id: leaf", "- id: cp-1").replace("  leaf:", "  cp-1:"))
    assert "'cp-1' is used 2 times" in error.what


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    error = refused(tmp_path, SITE.replace("chargers:", "chargers: ["))
    assert error.what.startswith("not valid YAML")
    assert "line" in error.where


def test_a_missing_file_and_a_wrong_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_yaml(tmp_path / "none.yaml", Site)
    path = tmp_path / "sjis.yaml"
    path.write_bytes(SITE.encode("cp932"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_yaml(path, Site)


@pytest.mark.parametrize("name", ["kitakata", "city-hall"])
def test_shipped_scenarios_are_read_and_their_data_are_there(name: str) -> None:
    scenario, folder = load_scenario(name)
    assert isinstance(scenario, Scenario)
    assert scenario.scenario == name
    assert (folder / scenario.world.load.file).is_file()
    assert (folder / scenario.world.weather.file).is_file()
    assert name in scenario_names()


def test_a_scenario_is_found_by_folder_and_by_file() -> None:
    folder = scenarios_root() / "city-hall"
    assert load_scenario(str(folder))[0] == load_scenario(str(folder / "scenario.yaml"))[0]


def test_an_unknown_scenario_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no scenario 'kitakta'") as caught:
        load_scenario("kitakta")
    assert "city-hall, kitakata" in caught.value.where
