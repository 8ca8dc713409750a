"""Consent is asked for at the moment of use: what it covers, when it ends, that nothing is overwritten."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from energy.core.errors import ConsentError, ExitStatus
from energy.core.slots import parse_jst
from energy.ledger import (
    Channel,
    Consent,
    ConsentRegister,
    DataUse,
    Denied,
    Permitted,
    WhyDenied,
)
from energy.ledger.consent import decide
from energy.store import SqlStore, open_store

GRANTED = parse_jst("2026-08-01 09:00")
TEN = parse_jst("2026-08-05 10:00")
MINUTE = timedelta(minutes=1)

CONSENT = Consent(
    id="c-1",
    subject="factory-a",
    controller="aizu-spc",
    purpose="forecast-delivery",
    purpose_version=1,
    categories=("demand-forecast", "pv-forecast"),
    recipients=("retailer-a",),
    granted_at=GRANTED,
    channel=Channel.PAPER,
    evidence_sha256="0" * 64,
)
USE = DataUse(
    controller="aizu-spc",
    purpose="forecast-delivery",
    purpose_version=1,
    categories=("demand-forecast",),
    recipient="retailer-a",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    with open_store(f"sqlite:///{path}", durability="process") as opened:
        yield opened


@pytest.fixture
def register(store: SqlStore) -> ConsentRegister:
    made = ConsentRegister(store)
    made.grant(CONSENT, recorded_at=GRANTED, actor="desk")
    return made


def withdraw(register: ConsentRegister, at: datetime, consent: str = "c-1") -> bool:
    return register.withdraw(
        consent, withdrawn_at=at, recorded_at=at + MINUTE, actor="desk", channel=Channel.APP
    )


def test_consent_withdrawn_at_ten_no_longer_counts_at_five_past_and_the_past_stays(
    register: ConsentRegister,
) -> None:
    """RULES-JP T43."""
    withdraw(register, TEN)
    before, _ = register.check(["factory-a"], USE, at=TEN - MINUTE)
    after, denied = register.check(["factory-a"], USE, at=TEN + 5 * MINUTE)
    assert [one.subject for one in before] == ["factory-a"]
    assert after == []
    assert denied == [Denied(subject="factory-a", why=WhyDenied.WITHDRAWN, consent_id="c-1")]


@pytest.mark.parametrize(
    ("use", "why"),
    [
        (replace(USE, recipient="retailer-b"), WhyDenied.OTHER_RECIPIENT),
        (replace(USE, categories=("demand-forecast", "trips")), WhyDenied.OTHER_CATEGORY),
        (replace(USE, purpose_version=2), WhyDenied.OTHER_VERSION),
        (replace(USE, purpose="marketing"), WhyDenied.NEVER_ASKED),
        (replace(USE, controller="somebody-else"), WhyDenied.NEVER_ASKED),
    ],
)
def test_a_use_that_the_subject_was_not_asked_about_is_denied_with_the_reason(
    register: ConsentRegister, use: DataUse, why: WhyDenied
) -> None:
    _, denied = register.check(["factory-a"], use, at=TEN)
    assert [one.why for one in denied] == [why]


def test_without_any_consent_nothing_is_shared(register: ConsentRegister) -> None:
    permitted, denied = register.check(["factory-b", "factory-a"], USE, at=TEN)
    assert [one.subject for one in permitted] == ["factory-a"]
    assert denied == [Denied(subject="factory-b", why=WhyDenied.NEVER_ASKED, consent_id="")]


def test_a_required_consent_that_is_missing_ends_the_command_with_status_seven(
    register: ConsentRegister,
) -> None:
    assert register.require("factory-a", USE, at=TEN).id == "c-1"
    with pytest.raises(ConsentError, match="other_recipient") as caught:
        register.require("factory-a", replace(USE, recipient="retailer-b"), at=TEN)
    assert caught.value.exit_status is ExitStatus.CONSENT
    assert caught.value.details == {"nearest": "c-1"}


def test_a_consent_on_paper_counts_from_the_moment_it_is_on_record(store: SqlStore) -> None:
    register = ConsentRegister(store)
    register.grant(CONSENT, recorded_at=TEN, actor="desk")
    assert register.check(["factory-a"], USE, at=TEN - MINUTE)[0] == []
    assert register.check(["factory-a"], USE, at=TEN)[0] != []


def test_a_consent_with_an_end_ends(store: SqlStore) -> None:
    register = ConsentRegister(store)
    register.grant(replace(CONSENT, valid_until=TEN), recorded_at=GRANTED, actor="desk")
    assert register.check(["factory-a"], USE, at=TEN - MINUTE)[0] != []
    assert register.check(["factory-a"], USE, at=TEN)[1][0].why is WhyDenied.EXPIRED


def test_a_new_consent_after_a_withdrawal_is_a_new_record(register: ConsentRegister) -> None:
    withdraw(register, TEN)
    with pytest.raises(ConsentError, match="was withdrawn"):
        register.grant(CONSENT, recorded_at=TEN + 2 * MINUTE, actor="desk")
    again = replace(CONSENT, id="c-2", granted_at=TEN + MINUTE)
    register.grant(again, recorded_at=TEN + 2 * MINUTE, actor="desk")
    permitted, _ = register.check(["factory-a"], USE, at=TEN + 3 * MINUTE)
    assert [one.consent.id for one in permitted] == ["c-2"]


def test_the_same_consent_twice_is_one_and_another_under_its_id_is_refused(
    register: ConsentRegister,
) -> None:
    assert not register.grant(CONSENT, recorded_at=TEN, actor="desk")
    with pytest.raises(ConsentError, match="says something else"):
        register.grant(replace(CONSENT, subject="factory-b"), recorded_at=TEN, actor="desk")
    assert [one.id for one in register.consents(TEN)] == ["c-1"]


def test_an_earlier_withdrawal_wins_and_a_later_one_changes_nothing(register: ConsentRegister) -> None:
    assert withdraw(register, TEN)
    assert not withdraw(register, TEN + MINUTE)
    assert register.consents(TEN + 5 * MINUTE)[0].withdrawn_at == TEN


def test_what_cannot_be_recorded_is_refused_by_name(register: ConsentRegister) -> None:
    with pytest.raises(ConsentError, match="not on record"):
        withdraw(register, TEN, "c-9")
    with pytest.raises(ConsentError, match="granted later"):
        withdraw(register, GRANTED - MINUTE)
    with pytest.raises(ConsentError, match="granted in the future"):
        register.grant(replace(CONSENT, id="c-3"), recorded_at=GRANTED - MINUTE, actor="desk")
    with pytest.raises(ConsentError, match="newer version"):
        register.withdraw("c-1", withdrawn_at=TEN, recorded_at=GRANTED, actor="desk", channel=Channel.PAPER)


def test_every_act_stands_in_the_audit_trail_and_the_database_keeps_it(
    register: ConsentRegister, store: SqlStore, path: Path
) -> None:
    withdraw(register, TEN)
    trail = store.audit_trail("consent/c-1")
    assert [(one.act, one.actor) for one in trail] == [
        ("consent.granted", "desk"),
        ("consent.withdrawn", "desk"),
    ]
    assert trail[0].facts["evidence_sha256"] == "0" * 64
    with sqlite3.connect(path) as raw, pytest.raises(sqlite3.DatabaseError, match="append-only"):
        raw.execute("UPDATE audit SET facts = '{}'")
    raw.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"evidence_sha256": "a sheet of paper"},
        {"subject": "Hanako Sato"},
        {"categories": ()},
        {"purpose_version": 0},
        {"valid_until": GRANTED - MINUTE},
        {"granted_at": GRANTED.replace(tzinfo=None)},
    ],
)
def test_a_consent_that_proves_nothing_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        replace(CONSENT, **changes)  # type: ignore[arg-type] # wrong on purpose


@given(
    withdrawn_after=st.none() | st.integers(0, 100),
    ends_after=st.none() | st.integers(0, 100),
    used_after=st.integers(-20, 120),
    asked=st.sets(st.sampled_from(["demand-forecast", "pv-forecast", "trips"]), min_size=1),
)
def test_a_use_is_permitted_exactly_inside_the_consent(
    withdrawn_after: int | None, ends_after: int | None, used_after: int, asked: set[str]
) -> None:
    at = GRANTED + used_after * MINUTE
    ends = [GRANTED + after * MINUTE for after in (withdrawn_after, ends_after) if after is not None]
    consent = replace(
        CONSENT,
        withdrawn_at=None if withdrawn_after is None else GRANTED + withdrawn_after * MINUTE,
        valid_until=None if ends_after is None else GRANTED + ends_after * MINUTE,
    )
    answer = decide("factory-a", [consent], replace(USE, categories=tuple(asked)), at)
    inside = used_after >= 0 and all(at < end for end in ends) and "trips" not in asked
    assert isinstance(answer, Permitted) == inside
