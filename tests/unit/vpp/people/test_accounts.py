"""Nobody comes in with a password that somebody else chose."""

from __future__ import annotations

from datetime import timedelta

import pytest

from energy.core.errors import ConfigError
from tests.unit.vpp.people.somebody import NOON, PASSWORD, House
from vpp.people.accounts import INVITATION_LASTS, RESET_LASTS
from vpp.people.roles import AccountState, Objects, Role


@pytest.fixture
def house() -> House:
    return House()


def test_an_invitation_is_used_once(house: House) -> None:
    secret = house.invite()
    assert house.logins.by_password("hana", PASSWORD) is None
    account = house.people.accept(secret, PASSWORD)
    assert account.state is AccountState.ACTIVE
    assert house.logins.by_password("hana", PASSWORD)
    with pytest.raises(ConfigError, match="cannot be used"):
        house.people.accept(secret, "another good password")
    assert house.people.invited(secret) is None
    assert house.acts() == ["account.invited", "account.accepted", "login.entered"]


def test_a_link_ends(house: House) -> None:
    secret = house.invite()
    house.clock.advance(INVITATION_LASTS)
    with pytest.raises(ConfigError, match="cannot be used"):
        house.people.accept(secret, PASSWORD)


def test_a_new_link_ends_the_one_before(house: House) -> None:
    first, second = house.invite(), house.invite()
    assert house.people.invited(first) is None
    assert house.people.invited(second)


def test_neither_link_nor_password_is_kept_as_it_is(house: House) -> None:
    secret = house.invite()
    house.people.accept(secret, PASSWORD)
    everything = repr(
        [house.store.rows.accounts.find(), house.store.rows.links.find(), house.store.audit_trail()]
    )
    assert secret not in everything
    assert PASSWORD not in everything


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaa", "i-am-hana-2026", "x" * 300, ""])
def test_a_weak_password_is_refused_and_the_link_stays(house: House, password: str) -> None:
    secret = house.invite()
    with pytest.raises(ConfigError, match="not accepted") as caught:
        house.people.accept(secret, password)
    assert not password or password not in str(caught.value)
    assert house.people.accept(secret, PASSWORD)


def test_somebody_who_came_in_is_not_invited_again(house: House) -> None:
    house.somebody()
    with pytest.raises(ConfigError, match="taken"):
        house.invite()


def test_an_invitation_is_not_turned_into_another_role_on_the_way(house: House) -> None:
    house.invite(Role.AUDITOR)
    with pytest.raises(ConfigError, match="taken"):
        house.invite(Role.ADMINISTRATOR)


@pytest.mark.parametrize(
    ("role", "objects"),
    [
        (Role.FACTORY, Objects()),
        (Role.DRIVER, Objects(sites=("kitakata",))),
        (Role.DRIVER, Objects(cars=("leaf",))),
        (Role.DRIVER, Objects(cars=("a/b/c d",))),
        (Role.OPERATOR, Objects(sites=("kitakata",))),
        (Role.RETAILER, Objects(party="Robert'); DROP TABLE account;--")),
    ],
)
def test_objects_that_do_not_fit_a_role_are_refused(house: House, role: Role, objects: Objects) -> None:
    with pytest.raises(ConfigError):
        house.people.invite("hana", name="", role=role, objects=objects, lang="ja", actor="test")
    assert house.people.all() == []


@pytest.mark.parametrize("name", ["", "A", "Hana", "a b", "'; DROP TABLE account; --", "<b>x</b>", "x" * 90])
def test_a_name_that_cannot_be_typed_is_refused(house: House, name: str) -> None:
    with pytest.raises(ConfigError, match="log-in name"):
        house.invite(name=name)


def test_signs_of_sql_and_html_in_a_shown_name_are_kept_as_text(house: House) -> None:
    shown = "Robert'); DROP TABLE account;-- <script>alert(1)</script>"
    house.people.invite("bob", name=shown, role=Role.AUDITOR, objects=Objects(), lang="en", actor="test")
    assert house.people.require("bob").name == shown


def test_a_reset_ends_the_password_and_every_session(house: House) -> None:
    house.somebody()
    cookie = house.logins.by_password("hana", PASSWORD)
    assert cookie
    secret = house.people.reset("hana", actor="test")
    assert house.logins.session(cookie) is None
    assert house.logins.by_password("hana", PASSWORD) is None
    house.people.accept(secret, "another good password")
    assert house.logins.by_password("hana", "another good password")


def test_a_reset_link_is_short_lived(house: House) -> None:
    house.somebody()
    secret = house.people.reset("hana", actor="test")
    house.clock.advance(RESET_LASTS)
    assert house.people.invited(secret) is None


def test_who_is_shut_out_is_out_at_once(house: House) -> None:
    house.somebody()
    cookie = house.logins.by_password("hana", PASSWORD)
    assert cookie
    assert house.people.disable("hana", actor="test")
    assert not house.people.disable("hana", actor="test")
    assert house.logins.session(cookie) is None
    assert house.logins.by_password("hana", PASSWORD) is None


def test_an_open_invitation_ends_when_its_owner_is_shut_out(house: House) -> None:
    secret = house.invite()
    house.people.disable("hana", actor="test")
    assert house.people.invited(secret) is None


def test_the_last_administrator_cannot_be_shut_out(house: House) -> None:
    house.somebody(Role.ADMINISTRATOR)
    with pytest.raises(ConfigError, match="last administrator"):
        house.people.disable("hana", actor="test")
    house.somebody(Role.ADMINISTRATOR, "ken")
    assert house.people.disable("hana", actor="test")


def test_a_changed_password_ends_the_other_sessions(house: House) -> None:
    house.somebody()
    here, there = (house.logins.by_password("hana", PASSWORD) for _ in range(2))
    assert here
    assert there
    session = house.logins.session(here)
    assert session
    with pytest.raises(ConfigError, match="present password"):
        house.people.change_password("hana", "wrong", "a good new password", keep_session=session.digest)
    house.people.change_password("hana", PASSWORD, "a good new password", keep_session=session.digest)
    assert house.logins.session(here)
    assert house.logins.session(there) is None


def test_a_link_from_the_future_is_refused_after_the_clock_ran_back(house: House) -> None:
    house.clock.advance(timedelta(days=1))
    secret = house.invite()
    house.clock._now = NOON
    assert house.people.invited(secret) is None
