"""``vpp room show``: what a night made of the rooms, in words and as a document; nothing yet is said too."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from energy.core.errors import ConfigError
from energy.core.slots import JST
from energy.store import open_store
from vpp.cli.room import app
from vpp.console import Console
from vpp.i18n import Lang
from vpp.simulation.scenario import load_scenario
from vpp.site.rooms import ROOM_FIT, RoomStanding, RoomState, RoomValues
from vpp.site.sitebook import keep_site

SITE = load_scenario(str(Path(__file__).parents[3] / "bench" / "learned-room"))[0].site
ROOM = SITE.zones[0]
NIGHT = datetime(2026, 8, 2, 18, tzinfo=UTC)


def standing(day: datetime, **more: object) -> RoomStanding:
    told = RoomStanding(
        site=SITE.id,
        room=ROOM.id,
        day=day.astimezone(JST).date(),
        state=RoomState.DECLARED,
        why="not_known",
        facts={"name": "time_constant_h", "why": "anything from 5 to 50 h would do"},
        declared=RoomValues.of(ROOM),
    )
    return replace(told, **more)  # type: ignore[arg-type]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Two nights: the first could not tell, the second could."""
    path = tmp_path / "vpp.db"
    second = NIGHT + timedelta(days=1)
    with open_store(f"sqlite:///{path}") as store:
        keep_site(store, SITE, at=NIGHT - timedelta(days=30))
        good = standing(
            second,
            state=RoomState.LEARNED,
            why="better",
            facts={},
            since=second.astimezone(JST).date(),
            values=RoomValues.of(replace(ROOM, capacitance_kwh_per_k=24.0)),
            learned_k=0.31,
            declared_k=0.92,
        )
        for at, one in ((NIGHT, standing(NIGHT)), (second, good)):
            store.put_document(
                ROOM_FIT, f"{SITE.id}/{ROOM.id}/{one.day.isoformat()}", known_at=at, body=one.to_json()
            )
    return path


def call(database: Path, *arguments: str, lang: Lang = "en") -> Result:
    return CliRunner().invoke(
        app, ["show", "--db", str(database), *arguments], obj=Console(lang), standalone_mode=False
    )


def test_the_newest_night_is_told_with_what_is_used_and_what_the_file_says(database: Path) -> None:
    said = call(database)
    assert said.exception is None, said.exception
    assert "a time constant of 15.0 h, where the site's file says 5.0 h" in said.stdout
    assert "0.31 K off 1 to 8 hours ahead, the file 0.92 K" in said.stdout
    assert "Time constant: 15.0 h (file: 5.0 h)" in said.stdout
    assert "時定数：15.0 h（設定：5.0 h）" in call(database, lang="ja").stdout


def test_earlier_nights_follow_oldest_first(database: Path) -> None:
    lines = call(database, "--nights", "9").stdout.splitlines()
    assert "do not tell the time constant" in lines[-2]
    assert lines[-1].startswith("  Tue 4 Aug learned")


def test_the_document_holds_the_nights(database: Path) -> None:
    (page,) = json.loads(call(database, "--nights", "9", "--json").stdout)
    assert (page["room"], page["learns"], page["state"]) == ("office", True, "learned")
    assert [one["why"] for one in page["nights"]] == ["not_known", "better"]


def test_a_room_that_does_not_learn_and_one_that_has_not_yet_are_told_apart(tmp_path: Path) -> None:
    for learn, words in ((False, "Does not learn"), (True, "no night has passed")):
        path = tmp_path / f"{learn}.db"
        with open_store(f"sqlite:///{path}") as store:
            keep_site(store, replace(SITE, zones=(replace(ROOM, learn=learn),)), at=NIGHT)
        assert words in call(path).stdout


@pytest.mark.parametrize(
    ("arguments", "match"),
    [(("--room", "attic"), "no room attic"), (("--site", "elsewhere"), "no site 'elsewhere'")],
)
def test_what_is_not_there_is_named_with_what_is(
    database: Path, arguments: tuple[str, ...], match: str
) -> None:
    failed = call(database, *arguments)
    assert isinstance(failed.exception, ConfigError)
    assert match in str(failed.exception)
