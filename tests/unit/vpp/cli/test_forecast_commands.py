"""``vpp forecast run|show|score|models`` on a small database of one site."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from energy.core.errors import ConfigError, DataError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH
from energy.core.units import series_id
from energy.store import open_store, points_of
from tests.unit.vpp.forecasts.past import SITE, midnight, noon, put_load, rhythm
from vpp.cli.forecast import app
from vpp.console import Console
from vpp.forecasts.desk import ForecastDesk
from vpp.forecasts.issued import LOAD, Horizon

DAYS = 45
Call = Callable[..., Result]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-five days of load, four of them with day-ahead forecasts made at noon."""
    path = tmp_path_factory.mktemp("forecasts") / "site.db"
    with open_store(f"sqlite:///{path}", durability="process") as store:
        put_load(store, rhythm(DAYS))
        desk = ForecastDesk(SITE, store)
        for day in range(40, 44):
            with store.transaction():
                desk.keep_one(Horizon.DAY_AHEAD, noon(day), LOAD)
    return path


@pytest.fixture(scope="module")
def site_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped site without its roof: there is no weather in the database."""
    import yaml

    from vpp.simulation.scenario import load_scenario

    _, folder = load_scenario("kitakata")
    document = yaml.safe_load((folder / "scenario.yaml").read_text(encoding="utf-8"))
    document["site"].pop("pv", None)
    path = tmp_path_factory.mktemp("scenario") / "scenario.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return path


@pytest.fixture
def call(database: Path, site_file: Path) -> Call:
    def run(*words: str, lang: str = "en") -> Result:
        console = Console("ja" if lang == "ja" else "en")
        whole = [words[0], "--db", str(database), "--site", str(site_file), *words[1:]]
        return CliRunner().invoke(app, whole, obj=console)

    return run


def test_show_says_the_sentence_first_and_then_the_slots(call: Call) -> None:
    lines = call("show").stdout.splitlines()
    assert lines[0].startswith("Load (without HVAC and cars) from Wed 24 Jun 00:00 to Thu 25 Jun 00:00")
    assert "Issued on Tue 23 Jun 12:00 by demand-pool" in lines[1]
    assert len(lines) == 4 + 2 + 48
    ja = call("show", lang="ja").stdout.splitlines()
    assert "P90の最大は" in ja[0]


def test_show_gives_the_same_numbers_as_json_and_as_csv(call: Call) -> None:
    document = json.loads(call("show", "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(call("show", "--csv").stdout)))
    assert len(rows) == len(document["p50"]) == 48
    assert [float(row["p90_kw"]) for row in rows] == document["p90"]
    assert rows[0]["slot_start"] == "2026-06-24T00:00:00+09:00"


def test_show_knows_no_more_than_was_known(call: Call) -> None:
    early = json.loads(call("show", "--at", "2026-06-21T13:00", "--json").stdout)
    assert early["issued_at"] == "2026-06-21T03:00:00Z"
    by_day = json.loads(call("show", "2026-06-22", "--json").stdout)
    assert by_day == early


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("show", "2026-01-01"), DataError, "no day-ahead forecast of load is stored for 2026-01-01"),
        (("show", "--horizon", "year"), ConfigError, "no horizon 'year'"),
        (("show", "soon"), ConfigError, "'soon' is not an instant"),
        (("score", "--by", "mood"), ConfigError, "no report by 'mood'"),
        (("score", "--target", "roof"), ConfigError, "no target 'roof'"),
        (("run", "--target", "roof", "--at", "2026-06-23T12:00"), ConfigError, "no target 'roof'"),
    ],
)
def test_what_cannot_be_answered_is_named(
    call: Call, words: tuple[str, ...], error: type[Exception], said: str
) -> None:
    result = call(*words)
    assert isinstance(result.exception, error)
    assert said in str(result.exception)


def test_looking_back_forecasts_what_was_issued_and_keeps_nothing(call: Call, database: Path) -> None:
    before = database.read_bytes()
    with open_store(f"sqlite:///{database}", read_only=True) as store:
        trail = len(store.audit_trail())
    looked = call("run", "--at", "2026-06-23T12:00", "--json")
    document = json.loads(looked.stdout)
    assert document["kept"] is False
    shown = json.loads(call("show", "--json").stdout)
    assert document["issued"] == [shown]
    other = json.loads(call("run", "--at", "2026-06-25T12:00", "--horizon", "week", "--json").stdout)
    assert [due["reason"] for due in other["due"]] == ["overdue"]
    assert len(other["issued"][0]["p50"]) == 336
    with open_store(f"sqlite:///{database}", read_only=True) as store:
        assert len(store.audit_trail()) == trail
    assert json.loads(call("show", "--json").stdout) == shown
    assert database.read_bytes() == before


def test_score_tells_the_figures_beside_the_rules_of_thumb(call: Call) -> None:
    document = json.loads(call("score", "--by", "issue", "--json").stdout)
    assert [(row["horizon"], row["group"]) for row in document["rows"]] == [("day-ahead", "12:00")]
    (total,) = document["totals"]
    assert total["slots"] == 4 * 48
    assert total["nmae"] < total["persistence_nmae"]
    said = call("score", "--from", "2026-06-22", "--to", "2026-06-22").stdout
    assert "same weekdays" in said.splitlines()[0]


def test_models_are_listed_and_made_again(call: Call) -> None:
    result = call("models", "--check")
    assert result.exit_code == 0
    assert "Fitted again, it came out the same." in result.stdout
    (one,) = json.loads(call("models", "--check", "--json").stdout)
    assert one["reproduced"] is True
    assert [change["act"] for change in one["changes"]] == ["model.released"]


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path, site_file: Path) -> None:
    missing = tmp_path / "typo.db"
    result = CliRunner().invoke(
        app, ["run", "--db", str(missing), "--site", str(site_file)], obj=Console("en")
    )
    assert isinstance(result.exception, ConfigError)
    assert not missing.exists()


def test_what_is_made_now_is_kept(tmp_path: Path, site_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from energy.core import clock

    path = tmp_path / "site.db"
    with open_store(f"sqlite:///{path}", durability="process") as store:
        load = Series(Grid(midnight(0), 20 * 48), rhythm(20), Unit.KW)
        name = series_id(SITE.id, LOAD, "demand_kw")
        store.append(points_of(name, load, known_at=lambda at: at + SLOT_LENGTH, source="test"))
    monkeypatch.setattr(clock, "SystemClock", lambda: clock.ManualClock(noon(20)))
    words = ["--db", str(path), "--site", str(site_file)]
    first = CliRunner().invoke(app, ["run", *words, "--json"], obj=Console("en"))
    document = json.loads(first.stdout)
    assert document["kept"] is True
    assert [due["reason"] for due in document["due"]] == ["no-model"]
    shown = json.loads(CliRunner().invoke(app, ["show", *words, "--json"], obj=Console("en")).stdout)
    assert document["issued"] == [shown]
    again = json.loads(CliRunner().invoke(app, ["run", *words, "--json"], obj=Console("en")).stdout)
    assert again["due"] == []
    np.testing.assert_array_equal(again["issued"][0]["p50"], shown["p50"])
