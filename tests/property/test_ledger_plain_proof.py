"""The fast look at a row of the journal never passes what reading the row in full would refuse."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.core.errors import LedgerError
from energy.ledger import Entry, Posting
from energy.ledger.journal import _GENESIS, _body, _digest, _fault, _plainly_sound
from energy.store import JournalRow, canonical_json

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)
names = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)
facts = st.dictionaries(
    st.text(max_size=8), st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.none()), max_size=4
)


def row(entry: Entry) -> JournalRow:
    body = _body(entry, 1, _GENESIS)
    pairs = tuple((one.account, one.points) for one in entry.postings)
    return JournalRow(1, entry.key, body, _digest(body), pairs)


def forged(sound: JournalRow, body: str) -> JournalRow:
    """Another text whose hash was computed anew."""
    return JournalRow(1, sound.key, body, _digest(body), sound.postings)


@given(key=names, account=names, points=st.integers(1, 2**63 - 1), memo=st.text(max_size=10), told=facts)
def test_whatever_can_be_booked_holds(
    key: str, account: str, points: int, memo: str, told: dict[str, str | int | bool | None]
) -> None:
    entry = Entry(
        key=key, at=AT, postings=(Posting(account, points), Posting("x", -points)), memo=memo, facts=told
    )
    assert _fault(row(entry), 1, _GENESIS) is None


GRANT = Entry(
    key="grant/e/car",
    at=AT,
    postings=(Posting("driver/会津", 20), Posting("operator/issue", -20)),
    memo="e: 1 kWh 会津",
    facts={"event": "e", "net_kwh": "1", "rule_version": 2},
)


def test_an_ordinary_grant_is_seen_to_hold_by_the_fast_look() -> None:
    assert _plainly_sound(row(GRANT), 1, _GENESIS)


def swapped(told: dict[str, object], **changed: object) -> str:
    return canonical_json(told | changed)


TOLD = json.loads(row(GRANT).body)
FORGERIES = {
    "a fact twice": row(GRANT).body.replace('"event":"e"', '"event":"e","event":"e"'),
    "facts out of order": row(GRANT).body.replace('"event":"e","net_kwh":"1"', '"net_kwh":"1","event":"e"'),
    "a float": row(GRANT).body.replace('"rule_version":2', '"rule_version":2.5'),
    "a padded number": row(GRANT).body.replace('"rule_version":2', '"rule_version":02'),
    "a blank": row(GRANT).body.replace('"memo":', '"memo": '),
    "no such day": swapped(TOLD, at="2026-02-30T10:00:00+00:00"),
    "another spelling of the instant": swapped(TOLD, at="2026-11-24T10:00+00:00"),
    "not UTC": swapped(TOLD, at="2026-11-24T19:00:00+09:00"),
    "another number": swapped(TOLD, number=2),
    "another hash before": swapped(TOLD, previous="1" * 64),
    "another key": swapped(TOLD, key="grant/e/cat"),
    "another account": swapped(TOLD, postings=[["driver/x", 20], ["operator/issue", -20]]),
    "points from nowhere": swapped(TOLD, postings=[["driver/会津", 21], ["operator/issue", -20]]),
    "a field more": swapped(TOLD, more=1),
    "an escaped letter": row(GRANT).body.replace("grant/e/car", "grant/e/c\\u0061r"),
    "something after it": row(GRANT).body + " ",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_text_that_no_entry_has_is_refused_although_its_hash_fits(name: str) -> None:
    assert FORGERIES[name] != row(GRANT).body
    bad = forged(row(GRANT), FORGERIES[name])
    assert not _plainly_sound(bad, 1, _GENESIS)
    assert _fault(bad, 1, _GENESIS) is not None


@given(st.integers(0, len(row(GRANT).body) - 1), st.characters(codec="utf-8"))
def test_any_letter_changed_is_found_although_the_hash_was_made_anew(place: int, letter: str) -> None:
    body = row(GRANT).body
    changed = body[:place] + letter + body[place + 1 :]
    if changed == body:
        return
    bad = forged(row(GRANT), changed)
    if _plainly_sound(bad, 1, _GENESIS):  # then it is another entry that could have been booked: say which
        told = json.loads(changed)
        try:
            other = Entry(
                key=told["key"],
                at=datetime.fromisoformat(told["at"]),
                postings=tuple(Posting(account, points) for account, points in told["postings"]),
                memo=told["memo"],
                facts=told["facts"],
            )
        except LedgerError:
            pytest.fail(f"passed, but cannot be booked: {changed}")
        assert _body(other, 1, _GENESIS) == changed
