"""Alerts: told once, ended once, one for each trouble; acknowledged and silenced by name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from energy.core.errors import ConfigError
from energy.store import SqlStore, open_store
from tests.contract.store_backends import NOON
from vpp.ops.alerts import Act, AlertBook, Kind, Level, State, Trouble, events_since

MINUTE = timedelta(minutes=1)
LOST = Trouble(kind=Kind.DEVICE_LOST, subject="kitakata/leaf", facts={"site": "kitakata", "asset": "leaf"})


@pytest.fixture
def store() -> SqlStore:
    return open_store("sqlite://")


def acts(book: AlertBook, plan: str, trouble: Trouble = LOST) -> list[tuple[int, str]]:
    """What is told, minute by minute; ``x`` is trouble, ``!`` an alarm, ``.`` none."""
    told = []
    for k, mark in enumerate(plan):
        level = Level.ALARM if mark == "!" else Level.WARNING
        now = [] if mark == "." else [Trouble(**{**_fields(trouble), "level": level})]
        told += [(k, event.act.value) for event in book.review(now, NOON + k * MINUTE)]
    return told


def _fields(trouble: Trouble) -> dict[str, object]:
    return {name: getattr(trouble, name) for name in ("kind", "subject", "facts", "raise_after")}


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ("......", []),
        ("x.x.x.x.x.", []),  # flickers, never lasts two minutes
        ("xx.xx.xx", []),
        ("xxxxxxxx", [(2, "opened")]),
        ("xxx..xx..xx", [(2, "opened")]),  # flickers while open: told once
        ("xxx....", [(2, "opened"), (6, "cleared")]),
        ("xxx.......xxx", [(2, "opened"), (6, "cleared"), (12, "opened")]),
        ("xxx!x!x", [(2, "opened"), (3, "raised")]),  # the level only rises
        ("!!!xxx", [(2, "opened")]),
    ],
)
def test_trouble_is_told_when_it_lasts_and_over_when_it_is_gone(
    store: SqlStore, plan: str, told: list[tuple[int, str]]
) -> None:
    assert acts(AlertBook(store), plan) == told


def test_there_is_one_alert_for_each_kind_and_subject(store: SqlStore) -> None:
    book = AlertBook(store)
    acts(book, "xxxx")
    acts(book, "xxxx")
    assert [(one.kind, one.subject, one.opened_at) for one in book.alerts()] == [
        (Kind.DEVICE_LOST, "kitakata/leaf", NOON + 2 * MINUTE)
    ]


def test_what_was_not_looked_for_stays_as_it_was(store: SqlStore) -> None:
    book = AlertBook(store)
    acts(book, "xxx")
    for k in range(3, 60):
        assert book.review([], NOON + k * MINUTE, looked_for=frozenset({Kind.DISK_LOW})) == []
    assert len(book.alerts()) == 1


def test_the_first_who_acknowledges_stays_on_record_and_a_rise_asks_again(store: SqlStore) -> None:
    book = AlertBook(store)
    acts(book, "xxx")
    for who in ("hana", "taro"):
        seen = book.acknowledge(
            "device_lost", "kitakata/leaf", by=who, note=" on  my way ", at=NOON + 3 * MINUTE
        )
    assert (seen.seen_by, seen.note) == ("hana", "on my way")
    assert [(one.act, one.by) for one in events_since(store.as_of(NOON + MINUTE * 9), NOON)] == [
        (Act.OPENED, ""),
        (Act.SEEN, "hana"),
    ]
    assert [(one.actor, one.act) for one in store.audit_trail()] == [("hana", "alert.acknowledged")]
    worse = Trouble(**{**_fields(LOST), "level": Level.ALARM})
    book.review([worse], NOON + 5 * MINUTE)
    assert book.alerts()[0].seen_by == ""


def test_an_acknowledgement_does_not_outlive_its_alert(store: SqlStore) -> None:
    book = AlertBook(store)
    acts(book, "xxx")
    book.acknowledge("device_lost", "kitakata/leaf", by="hana", note="", at=NOON + 2 * MINUTE)
    for k in range(3, 20):
        book.review([], NOON + k * MINUTE)
    assert [one.state for one in book.alerts(State.CLEARED)] == [State.CLEARED]
    for k in range(20, 24):
        book.review([LOST], NOON + k * MINUTE)
    (again,) = book.alerts()
    assert (again.seen_by, again.opened_at) == ("", NOON + 22 * MINUTE)


@pytest.mark.parametrize("until", [NOON, NOON + timedelta(days=32)])
def test_a_silence_ends_within_a_month(store: SqlStore, until: object) -> None:
    book = AlertBook(store)
    acts(book, "xxx")
    with pytest.raises(ConfigError, match="next 31 days"):
        book.silence("device_lost", "kitakata/leaf", by="hana", until=until, at=NOON)  # type: ignore[arg-type]
    silent = book.silence("device_lost", "kitakata/leaf", by="hana", until=NOON + 9 * MINUTE, at=NOON)
    assert silent.silent(NOON + 8 * MINUTE)
    assert not silent.silent(NOON + 9 * MINUTE)


def test_nobody_acknowledges_what_is_not_open(store: SqlStore) -> None:
    book = AlertBook(store)
    acts(book, "x")
    for kind, subject in (("device_lost", "kitakata/leaf"), ("nonsense", ""), ("device_lost", "'; --")):
        with pytest.raises(ConfigError, match="no such alert"):
            book.acknowledge(kind, subject, by="hana", note="", at=NOON)
    acts(book, "xxx")
    with pytest.raises(ConfigError, match="300 characters"):
        book.acknowledge("device_lost", "kitakata/leaf", by="hana", note="x" * 301, at=NOON)


def test_a_clock_that_was_put_back_neither_hides_nor_holds_an_alert(store: SqlStore) -> None:
    book = AlertBook(store)
    book.review([LOST], NOON + timedelta(days=3))
    told = [book.review([LOST], NOON + k * MINUTE) for k in range(4)]
    assert [len(one) for one in told] == [0, 0, 1, 0]
    book.review([], NOON + timedelta(days=3))
    told = [book.review([], NOON + k * MINUTE) for k in range(4, 9)]
    assert [len(one) for one in told] == [0, 0, 0, 1, 0]


def test_alarms_come_first_then_what_nobody_has_seen(store: SqlStore) -> None:
    book = AlertBook(store)
    found = [
        Trouble(kind=Kind.BACKUP_OLD),
        Trouble(kind=Kind.LEDGER_BROKEN, level=Level.ALARM),
        Trouble(kind=Kind.JOB_FAILED, subject="plan/kitakata"),
    ]
    book.review(found, NOON)
    book.acknowledge("backup_old", "", by="hana", note="", at=NOON)
    assert [one.kind for one in book.alerts()] == [Kind.LEDGER_BROKEN, Kind.JOB_FAILED, Kind.BACKUP_OLD]
