"""Retention: what a dry run shows is what goes, and what must stay cannot even be named."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from energy.core.errors import ConfigError
from energy.core.units import series_id
from energy.ledger import Channel, Consent, ConsentRegister, Entry, Journal, Posting
from energy.ledger.persons import PersonRegister
from energy.store import Point, SqlStore, open_store
from vpp.ops.retention import MAY_GO, RETENTION_RUN, Due, RetentionRule, apply_rules, due, load_rules
from vpp.settlement.record import KeptSettlement, SettlementBook
from vpp.site.sitebook import ASSETS

NOW = datetime(2028, 6, 1, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
RULES = load_rules()


def point(name: tuple[str, str, str], at: datetime) -> Point:
    return Point(series=series_id(*name), at=at, known_at=at, value=1.0, source="meter")


def consent(subject: str, granted: datetime, *, name: str = "c") -> Consent:
    return Consent(
        id=f"{name}-{subject}",
        subject=subject,
        controller="aizu-spc",
        purpose="saving-rewards",
        purpose_version=1,
        categories=("meter-energy",),
        recipients=("coin-operator",),
        granted_at=granted,
        channel=Channel.PAPER,
        evidence_sha256="0" * 64,
    )


@pytest.fixture
def store() -> SqlStore:
    store = open_store("sqlite://")
    for k in range(1, 1300, 100):
        at = NOW - k * DAY
        store.append(
            point(name, at)
            for name in (
                ("kitakata", "meter", "power_kw"),
                ("kitakata", "meter", "import_kwh"),
                ("kitakata", "commuter", "soc"),
            )
        )
        for kind in ("plan-ahead", "slot", "forecast-issue", "balancing-plan"):
            store.put_document(kind, f"kitakata/{k}", known_at=at, body="{}")
        store.audit("hana", "personal.seen", "asset/kitakata/commuter", at=at, facts={})
        store.audit("hana", "consent.withdrawn", "consent/1", at=at, facts={})
        entry = Entry(key=f"grant/{k}", at=at, postings=(Posting("pool", -5), Posting("driver/hana", 5)))
        Journal(store).post(entry)
        made = KeptSettlement(
            what="bill", subject="kitakata", period=f"p-{k}", figures={"yen": "1"}, trace={}
        )
        SettlementBook(store).keep(made, at=at, actor="test")
    return store


def told(lines: list[Due]) -> dict[str, int]:
    return {one.name: one.count for one in lines}


def test_what_the_dry_run_shows_is_exactly_what_goes(store: SqlStore) -> None:
    shown = due(store, RULES, NOW)
    assert told(shown) == {"/power_kw": 9, "/soc": 2, "plan-ahead": 12, "personal.seen": 2}
    first = NOW - 1201 * DAY
    assert shown[0].first == first
    assert due(store, RULES, NOW) == shown, "looking changes nothing"
    went = apply_rules(store, RULES, NOW, actor="hana", batch=4)
    assert {one.name: one.count for one in went} == told(shown)
    assert due(store, RULES, NOW) == []
    assert apply_rules(store, RULES, NOW, actor="hana") == []


def test_journal_settlements_half_hours_plans_and_other_records_stay(store: SqlStore) -> None:
    head = Journal(store).verify()
    before = store.as_of(NOW)
    kinds = ("settlement", "slot", "forecast-issue", "balancing-plan")
    count = {kind: len(before.documents(kind)) for kind in kinds}
    apply_rules(store, RULES, NOW, actor="hana")
    known = store.as_of(NOW)
    assert Journal(store).verify() == head
    assert {kind: len(known.documents(kind)) for kind in kinds} == count
    assert known.span(series_id("kitakata", "meter", "import_kwh")) == (NOW - 1201 * DAY, NOW - DAY)
    assert sum(one.act == "consent.withdrawn" for one in store.audit_trail()) == 13


def test_what_went_is_on_record(store: SqlStore) -> None:
    apply_rules(store, RULES, NOW, actor="job retention")
    (run,) = store.as_of(NOW).documents(RETENTION_RUN)
    assert {one["name"]: one["count"] for one in json.loads(run.body)}["/power_kw"] == 9
    (record,) = store.audit_trail("retention")
    assert (record.actor, record.act) == ("job retention", "retention.applied")
    assert [(one.act, one.records) for one in store.pruning.cuts()] == [("personal.seen", 2)]


def test_an_interrupted_run_is_finished_by_the_next(store: SqlStore) -> None:
    answers = iter([True, True, False, False, False])
    went = apply_rules(store, RULES, NOW, actor="hana", batch=4, go_on=lambda: next(answers))
    assert sum(one.count for one in went) == 8
    assert told(due(store, RULES, NOW))["/power_kw"] == 1
    apply_rules(store, RULES, NOW + timedelta(minutes=1), actor="hana")
    assert due(store, RULES, NOW) == []


def person(store: SqlStore, subject: str, *, ended: datetime | None) -> None:
    granted = NOW - 300 * DAY
    register = ConsentRegister(store)
    lot = PersonRegister(store, lot=lambda: subject.removeprefix("p-"))
    lot.enrol(name="花", contact="hana@example.jp", statement="app", at=granted, actor="staff")
    register.grant(consent(subject, granted), recorded_at=granted, actor="staff")
    store.append([point((subject, "meter", "import_kwh"), granted)])
    if ended is not None:
        register.withdraw(
            f"c-{subject}", withdrawn_at=ended, recorded_at=ended, actor="staff", channel=Channel.PAPER
        )


def test_people_whose_consents_ended_long_ago_are_erased_and_nobody_else() -> None:
    with open_store("sqlite://") as store:
        person(store, "p-1", ended=NOW - 91 * DAY)
        person(store, "p-2", ended=NOW - 89 * DAY)
        person(store, "p-3", ended=None)
        person(store, "p-works", ended=NOW - 91 * DAY)
        store.put_document(ASSETS, "p-works", known_at=NOW - 200 * DAY, body="{}")  # a site of the service
        assert [one.name for one in due(store, RULES, NOW) if one.what == "subjects"] == ["p-1"]
        apply_rules(store, RULES, NOW, actor="hana")
        persons = PersonRegister(store)
        assert [persons.find(who) is None for who in ("p-1", "p-2", "p-3", "p-works")] == [
            *(True, False, False, False)
        ]
        assert store.as_of(NOW).ids("p-1/") == []
        assert due(store, RULES, NOW) == []


def test_a_person_with_one_standing_consent_is_not_erased() -> None:
    with open_store("sqlite://") as store:
        person(store, "p-1", ended=NOW - 91 * DAY)
        again = consent("p-1", NOW - 200 * DAY, name="d")
        ConsentRegister(store).grant(again, recorded_at=NOW - 200 * DAY, actor="staff")
        assert due(store, RULES, NOW) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{id: aa, what: documents, names: [settlement], rows: [ROW]}", "always kept"),
        ("{id: aa, what: values, names: [/import_kwh], rows: [ROW]}", "always kept"),
        ("{id: aa, what: values, names: [/], rows: [ROW]}", "always kept"),
        ("{id: aa, what: records, names: [consent.withdrawn], rows: [ROW]}", "always kept"),
        ("{id: aa, what: records, names: [personal.seen], rows: [SHORT]}", "365 days at least"),
        ("{id: aa, what: values, names: [/soc], rows: [ROW, ROW]}", "two rows"),
        ("{id: aa, what: journal, names: [x], rows: [ROW]}", "Input should be"),
    ],
)
def test_rules_that_reach_too_far_are_refused(tmp_path: Path, line: str, said: str) -> None:
    row = "{valid_from: 2026-11-01, keep_days: 400, source: ours}"
    short = row.replace("400", "30")
    written = line.replace("ROW", row).replace("SHORT", short)
    (tmp_path / "rules.yaml").write_text(f"rules:\n  - {written}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load_rules(tmp_path / "rules.yaml")


def test_a_rule_holds_between_its_dates() -> None:
    rows = (
        {"valid_from": "2026-11-01", "valid_to": "2027-03-31", "keep_days": 400, "source": "ours"},
        {"valid_from": "2027-04-01", "keep_days": 200, "source": "ours"},
    )
    rule = RetentionRule(id="cars", what="values", names=("/soc",), rows=rows)  # type: ignore[arg-type]
    days = [rule.row_on(date(*day)) for day in ((2026, 10, 31), (2027, 3, 31), (2027, 4, 1))]
    assert [None if row is None else row.keep_days for row in days] == [None, 400, 200]


def test_the_shipped_rules_name_only_what_may_go() -> None:
    for rule in RULES:
        assert set(rule.names) <= MAY_GO[rule.what]
        assert rule.row_on(date(2026, 11, 22)) is not None
