"""``vpp room fit``: files read strictly, ignorance refused, a room written for the site file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from energy.core.assets import HvacZone
from energy.core.errors import ConfigError, DataError
from energy.core.slots import JST
from tests.unit.forecasting.room_plants import history, one_capacity
from vpp.cli.room import app
from vpp.config import read_yaml
from vpp.console import Console


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten days of a cooled room."""
    record = history(one_capacity(), days=10, seed=4, step_min=20)
    assert record.ghi_w_m2 is not None
    path = tmp_path_factory.mktemp("room") / "room.csv"
    rows = ["time,room_temp_c,outdoor_temp_c,ghi_w_m2,hvac_kw,mode"]
    for k in range(record.grid.count):
        at = record.grid.time(k).astimezone(JST)
        mode = "cool" if record.mode[k] < 0 else "off"
        rows.append(
            f"{at:%Y-%m-%d %H:%M},{record.room_c[k]:.1f},{record.outdoor_c[k]},{record.ghi_w_m2[k]:.0f},"
            f"{record.hvac_kw[k]},{mode}"
        )
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(
        app, ["fit", *(str(one) for one in arguments)], obj=Console("en"), standalone_mode=False
    )


def test_the_document_has_parameters_with_intervals_and_the_room_can_be_planned(
    file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "office.yaml"
    found = call("--file", file, "--site", "kitakata", "--room", "office", "--write", out, "--json")
    assert found.exception is None, found.exception
    page = json.loads(found.stdout)
    assert page["identifiable"] is True
    assert {"parameters", "rmse_1h_c", "rmse_24h_c", "rmse_24h_persistence_c", "days_used"} <= set(page)
    assert all(one["low"] <= one["value"] <= one["high"] for one in page["parameters"].values())
    assert all(one["unit"] for one in page["parameters"].values())
    assert page["rmse_24h_c"] < page["rmse_24h_persistence_c"]
    (zone,) = read_yaml(out, list[HvacZone])
    assert zone.id == "office"
    assert zone.name_ja == "事務所"
    assert zone.loss_kw_per_k == pytest.approx(page["parameters"]["loss_kw_per_k"]["value"], abs=1e-3)


def test_a_room_that_never_moves_is_refused_after_its_document(file: Path, tmp_path: Path) -> None:
    still = tmp_path / "still.csv"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    still.write_text(
        "\n".join([head, *(",".join([r.split(",")[0], "25.0", *r.split(",")[2:]]) for r in rows)]),
        encoding="utf-8",
    )
    found = call("--file", still, "--json")
    assert isinstance(found.exception, DataError)
    assert "stays within" in str(found.exception)
    assert json.loads(found.stdout)["identifiable"] is False


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("hvac_kw", "power", "no column 'hvac_kw'"),
        (",off", ",sleep", "none of cool, heat, off"),
        (",cool", "", "cells"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(
    file: Path, tmp_path: Path, old: str, new: str, match: str
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(file.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    found = call("--file", bad)
    assert isinstance(found.exception, DataError)
    assert match in str(found.exception)


def test_a_room_that_the_site_does_not_have_is_named_with_those_it_has(file: Path) -> None:
    found = call("--file", file, "--site", "kitakata", "--room", "attic")
    assert isinstance(found.exception, ConfigError)
    assert "office" in str(found.exception)
    assert isinstance(call("--file", file, "--room", "office").exception, ConfigError)
