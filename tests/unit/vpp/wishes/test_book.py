"""Wishes as they are kept: who asked for what, until when, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time, timedelta

import pytest
from pydantic import ValidationError

from energy.core.assets import Weekday
from energy.core.errors import ConfigError
from energy.core.slots import parse_jst
from energy.store import Store, open_store
from tests.unit.vpp.wishes.works import CAR, NOW, WORKS
from vpp.wishes import (
    Act,
    ChargeNow,
    Departure,
    EndedWhy,
    HoldPower,
    HoldRoom,
    NoDischarge,
    PersonsWish,
    WishBook,
    wishes_at,
    wishes_of,
)

MIDNIGHT = parse_jst("2026-11-25 00:00")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def store() -> Iterator[Store]:
    with open_store("sqlite://") as one:
        yield one


def ask(store: Store, act: Act, **changes: object) -> PersonsWish:
    told = {"until": MIDNIGHT, "at": NOW, "by": "hanako"} | changes
    return WishBook(store).make(WORKS, CAR, act, **told)  # type: ignore[arg-type] # named by the caller


def kinds(store: Store, when: object = NOW) -> list[str]:
    return [one.act.kind for one in wishes_at(store.as_of(when), WORKS, when)]  # type: ignore[arg-type]


def test_a_wish_holds_from_its_instant_to_its_end_and_is_known_no_earlier(store: Store) -> None:
    ask(store, NoDischarge())
    assert kinds(store, NOW - MINUTE) == []
    assert kinds(store) == kinds(store, MIDNIGHT - MINUTE) == ["no-discharge"]
    assert kinds(store, MIDNIGHT) == []


def test_what_was_undone_is_over_but_stays_on_record(store: Store) -> None:
    wish = ask(store, NoDischarge())
    ended = WishBook(store).cancel(WORKS, wish.id, at=NOW + MINUTE, by="hanako")
    assert ended is not None
    assert kinds(store, NOW + MINUTE) == []
    assert kinds(store, NOW) == ["no-discharge"]  # as it was known then
    [kept] = wishes_of(store.as_of(MIDNIGHT), WORKS, CAR)
    assert kept.ended is not None
    assert (kept.made_by, kept.ended.by, kept.ended.why) == ("hanako", "hanako", EndedWhy.CANCELLED)
    assert WishBook(store).cancel(WORKS, wish.id, at=NOW + MINUTE, by="hanako") is None


def test_undone_in_the_instant_in_which_it_was_made(store: Store) -> None:
    wish = ask(store, NoDischarge())
    WishBook(store).cancel(WORKS, wish.id, at=NOW, by="hanako")
    assert kinds(store, NOW + MINUTE) == []


def test_a_double_tap_asks_once(store: Store) -> None:
    assert ask(store, NoDischarge()) == ask(store, NoDischarge())
    assert len(wishes_of(store.as_of(NOW), WORKS, CAR)) == 1
    assert [one.act for one in store.audit_trail(f"asset/{WORKS}/{CAR}")] == ["wish.made"]


def test_a_newer_wish_about_the_same_thing_takes_the_place_of_the_older(store: Store) -> None:
    ask(store, ChargeNow())
    ask(store, NoDischarge())
    ask(store, HoldPower(power_kw=0.0), at=NOW + MINUTE)
    assert kinds(store, NOW + MINUTE) == ["no-discharge", "hold-power"]
    acts = [one.act for one in store.audit_trail(f"asset/{WORKS}/{CAR}")]
    assert acts == ["wish.made", "wish.made", "wish.replaced", "wish.made"]


def test_departures_of_other_days_stand_side_by_side(store: Store) -> None:
    monday, tuesday = (Departure(at=time(7, 30), days=(day,), charge=0.8) for day in list(Weekday)[:2])
    both = Departure(at=time(7, 0), days=tuple(list(Weekday)[:2]), charge=0.9)
    once = Departure(at=time(9, 0), day=date(2026, 11, 25), charge=0.7)
    for k, act in enumerate((monday, tuesday, once)):
        ask(store, act, at=NOW + k * MINUTE)
    assert len(kinds(store, NOW + 3 * MINUTE)) == 3
    ask(store, both, at=NOW + 4 * MINUTE)
    held = wishes_at(store.as_of(NOW + 4 * MINUTE), WORKS, NOW + 4 * MINUTE)
    assert [one.act for one in held] == [once, both]


def test_what_holds_every_week_holds_next_year(store: Store) -> None:
    ask(store, Departure(at=time(7, 30), days=(Weekday.MON,), charge=0.8), until=None)
    assert kinds(store, NOW + timedelta(days=400)) == ["departure"]


@pytest.mark.parametrize("until", [None, NOW, NOW - MINUTE, NOW + timedelta(days=9)])
def test_an_end_that_cannot_be_is_refused_and_nothing_is_kept(store: Store, until: object) -> None:
    with pytest.raises(ConfigError, match="end"):
        ask(store, NoDischarge(), until=until)
    assert kinds(store) == []
    assert store.audit_trail() == []


def test_what_no_car_and_no_room_can_do_cannot_be_asked() -> None:
    for wrong in (
        lambda: Departure(at=time(7, 30), charge=1.2, days=(Weekday.MON,)),
        lambda: Departure(at=time(7, 30), charge=0.8),
        lambda: Departure(at=time(7, 30), charge=0.8, days=(Weekday.MON,), day=date(2026, 11, 25)),
        lambda: Departure(at=time(7, 30, 5), charge=0.8, days=(Weekday.MON,)),
        lambda: HoldPower(power_kw=-1.0),
        lambda: HoldPower(power_kw=float("nan")),
        lambda: HoldRoom(room_c=99.0),
    ):
        with pytest.raises(ValidationError):
            wrong()
