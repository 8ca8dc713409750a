"""Keys of programs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from energy.core.errors import ConfigError
from tests.unit.vpp.people.somebody import NOON, House
from vpp.people.tokens import Tokens

DAY = timedelta(days=1)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def tokens(house: House) -> Tokens:
    return Tokens(house.store, house.clock, ["read:sites", "read:forecasts"])


def test_a_token_is_known_until_it_ends(house: House, tokens: Tokens) -> None:
    hana = house.somebody()
    text = tokens.make(hana, name="night job", scopes=["read:sites"], lasts=DAY)
    found = tokens.check(text)
    assert found is not None
    assert (found.account.id, found.scopes) == ("hana", {"read:sites"})
    house.clock.advance(DAY)
    assert tokens.check(text) is None


def test_only_a_digest_is_kept(house: House, tokens: Tokens) -> None:
    text = tokens.make(house.somebody(), name="job", scopes=["read:sites"], lasts=DAY)
    secret = text.split("_", 2)[2]
    assert secret not in repr([house.store.rows.tokens.find(), house.store.audit_trail()])


def test_a_revoked_token_is_dead_and_only_its_owner_revokes_it(house: House, tokens: Tokens) -> None:
    hana, ken = house.somebody(), house.somebody(name="ken")
    text = tokens.make(hana, name="job", scopes=["read:sites"], lasts=DAY)
    token_id = text.split("_")[1]
    assert not tokens.revoke(ken, token_id)
    assert tokens.check(text)
    assert tokens.revoke(hana, token_id)
    assert tokens.check(text) is None
    assert not tokens.revoke(hana, token_id)


def test_the_token_of_somebody_shut_out_is_dead(house: House, tokens: Tokens) -> None:
    text = tokens.make(house.somebody(), name="job", scopes=["read:sites"], lasts=DAY)
    house.people.disable("hana", actor="test")
    assert tokens.check(text) is None


@pytest.mark.parametrize(
    "text", ["", "vpp_", "vpp__", "vpp_x_y", "Bearer", "vpp_' OR 1=1 --_x", "\u0000_a_b"]
)
def test_what_is_no_token_is_refused(tokens: Tokens, text: str) -> None:
    assert tokens.check(text) is None


def test_another_secret_for_a_known_token_is_refused(house: House, tokens: Tokens) -> None:
    text = tokens.make(house.somebody(), name="job", scopes=["read:sites"], lasts=DAY)
    assert tokens.check(text[:-1] + ("a" if text[-1] != "a" else "b")) is None


@pytest.mark.parametrize(
    ("name", "scopes", "lasts"),
    [
        ("job", ["read:everything"], DAY),
        ("job", [], DAY),
        ("", ["read:sites"], DAY),
        ("x" * 61, ["read:sites"], DAY),
        ("job", ["read:sites"], timedelta(0)),
        ("job", ["read:sites"], timedelta(days=400)),
    ],
)
def test_a_token_that_cannot_be_is_refused(
    house: House, tokens: Tokens, name: str, scopes: list[str], lasts: timedelta
) -> None:
    with pytest.raises(ConfigError):
        tokens.make(house.somebody(), name=name, scopes=scopes, lasts=lasts)
    assert house.store.rows.tokens.find() == []


def test_a_token_from_the_future_is_refused_after_the_clock_ran_back(house: House, tokens: Tokens) -> None:
    house.clock.advance(DAY)
    text = tokens.make(house.somebody(), name="job", scopes=["read:sites"], lasts=DAY)
    house.clock._now = NOON
    assert tokens.check(text) is None
