"""``vpp people``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.vpp.cli.calling import vpp


@pytest.fixture
def db(tmp_path: Path) -> str:
    return str(tmp_path / "vpp.db")


def test_the_first_administrator_gets_a_link_and_nothing_else_on_stdout(db: str) -> None:
    status, out, err = vpp("people", "invite", "hana", "--role", "administrator", "--db", db)
    assert status == 0
    assert out.startswith("http://127.0.0.1:8080/welcome/")
    assert len(out.splitlines()) == 1
    assert "72 hours" in err


def test_everybody_is_listed_with_what_is_theirs(db: str) -> None:
    vpp("people", "invite", "ken", "--role", "driver", "--car", "kitakata/leaf", "--db", db)
    vpp("people", "invite", "hana", "--role", "operator", "--name", "花", "--db", db)
    _, out, _ = vpp("people", "list", "--db", db, lang="ja")
    assert "hana (花): 運用者、招待中" in out
    assert "kitakata/leaf" in out
    told = json.loads(vpp("people", "list", "--json", "--db", db)[1])
    assert [one["id"] for one in told] == ["hana", "ken"]
    assert not {"password", "totp_seed", "recovery"} & set(told[0])


def test_an_empty_list_says_how_the_first_one_comes_in(db: str) -> None:
    vpp("people", "invite", "x1", "--role", "operator", "--db", db)
    assert vpp("people", "list", "--db", db.replace("vpp.db", "none.db"))[0] == 2
    vpp("people", "disable", "x1", "--db", db)
    assert "shut out" in vpp("people", "list", "--db", db)[1]


def test_reset_and_disable_say_what_ended(db: str) -> None:
    vpp("people", "invite", "hana", "--role", "operator", "--db", db)
    status, out, err = vpp("people", "reset", "hana", "--url", "https://vpp.example/", "--db", db)
    assert (status, out[:28]) == (0, "https://vpp.example/welcome/")
    assert "2 hours" in err
    assert "have ended" in vpp("people", "disable", "hana", "--db", db)[1]
    assert "already" in vpp("people", "disable", "hana", "--db", db)[1]


@pytest.mark.parametrize(
    "words",
    [
        ("invite", "hana", "--role", "factory"),
        ("invite", "hana", "--role", "king"),
        ("invite", "Hana Sato", "--role", "operator"),
        ("disable", "nobody"),
        ("reset", "nobody"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error_in_three_lines(db: str, words: tuple[str, ...]) -> None:
    status, out, err = vpp("people", *words, "--db", db)
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 3
