"""Points of a settled event for people without a car: consent, caps, money, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy.core.errors import ConfigError, DataError
from energy.core.measurement import Quality
from energy.core.slots import Slot, parse_jst
from energy.core.units import SeriesId
from energy.ledger import (
    Channel,
    CoinRule,
    ComfortRule,
    Consent,
    ConsentRegister,
    DataUse,
    Grant,
    Journal,
    NoGrant,
    SavingRule,
    WhyNot,
)
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import Point, SqlStore, open_store
from tests.arch.rules import ROOT
from vpp.consents import COMFORT_REWARDS, DR_PARTICIPATION, HEMS_REWARDS
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_settled import SettledSite
from vpp.settlement.reward_file import Claim, read_claims, read_reward_rules
from vpp.settlement.rewards import Rewarded, reward_event

MORNING, START = parse_jst("2026-11-25 10:00"), parse_jst("2026-11-25 16:00")
END = parse_jst("2026-11-25 19:00")
AFTER = END + timedelta(hours=2)
TERMS: dict[str, Any] = {"version": 1, "valid_from": "2026-04-01", "valid_to": "2027-03-31"}
SAVING = SavingRule(id="saving", points_per_kwh=Decimal(10), **TERMS)
COMFORT = ComfortRule(id="comfort", points_per_hour=Decimal(5), below_c=Decimal(19), **TERMS)
HOME = Claim(person="hanako", way="saving", asset="home-7")
ROOM = Claim(
    person="taro",
    way="comfort",
    site="works",
    asset="desk-3",
    start=START,
    end=START + timedelta(minutes=100),
)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        for subject, use in (
            ("home-7", DR_PARTICIPATION),
            ("hanako", HEMS_REWARDS),
            ("taro", COMFORT_REWARDS),
            ("hanako", COMFORT_REWARDS),
        ):
            agree(opened, subject, use)
        read_room(opened, [18.5] * 8)
        yield opened


def read_room(store: SqlStore, temps: list[float | None], *, known_later: timedelta = timedelta()) -> None:
    """Readings of the room from the event's start on; None is known to be unknown."""
    slots = [Slot(START).shifted(k) for k in range(len(temps))]
    store.append(
        [
            Point(
                series=SeriesId("works/desk-3/room_c"),
                at=slot.start,
                known_at=slot.end + known_later,
                value=value,
                quality=Quality.INVALID if value is None else Quality.GOOD,
                source="adapter",
            )
            for slot, value in zip(slots, temps, strict=True)
        ]
    )


def agree(store: SqlStore, subject: str, use: DataUse) -> None:
    given = MORNING - timedelta(days=1)
    consent = Consent(
        id=f"c-{subject}-{use.purpose}",
        subject=subject,
        controller=use.controller,
        purpose=use.purpose,
        purpose_version=use.purpose_version,
        categories=use.categories,
        recipients=(use.recipient,),
        granted_at=given,
        channel=Channel.PAPER,
        evidence_sha256="0" * 64,
    )
    ConsentRegister(store).grant(consent, recorded_at=given, actor="desk")


def settled(
    store: SqlStore,
    *,
    kwh: str | None = "6.789",
    yen: str = "1000",
    product: Product = Product.TIGHT,
    **told: Any,
) -> None:
    book = EventBook(store)
    event = DrEvent(
        id="e-1",
        product=product,
        modification=0,
        start=START,
        end=END,
        target_kw=Decimal(3),
        announced_at=MORNING,
        **told,
    )
    book.announce(event, at=MORNING, actor="desk")
    home = Resource(site="home-7", kw=Decimal(3), holder="person")
    book.nominate("e-1", [home, Resource(site="works", kw=Decimal(9))], at=MORNING, actor="desk")
    sites = [
        SettledSite(site="home-7", delivered_kwh=None if kwh is None else Decimal(kwh), yen=Decimal(yen)),
        SettledSite(site="works", delivered_kwh=Decimal(9), yen=Decimal(0)),
    ]
    book.settle("e-1", sites, yen_per_kwh=Decimal(20), at=END + timedelta(hours=1), actor="desk")


def reward(
    store: SqlStore, claims: list[Claim], *, budget: int = 0, later: int = 0, **rules: Any
) -> Rewarded:
    return reward_event(
        store,
        "e-1",
        [rules.get("saving", SAVING), rules.get("comfort", COMFORT)],
        claims,
        budget_yen=Decimal(budget),
        at=AFTER + timedelta(minutes=later),
        actor="desk",
    )


def points(made: Rewarded) -> list[int]:
    return [one.points if isinstance(one, Grant) else 0 for _, one in made.results]


def why(made: Rewarded) -> list[object]:
    return [None if isinstance(one, Grant) else one.why for _, one in made.results]


def test_saving_and_comfort_earn_points_once(store: SqlStore) -> None:
    settled(store)
    made = reward(store, [HOME, ROOM])
    assert points(made) == [67, 7]  # floor(6.78 * 10); three whole half hours of 100 minutes: floor(1.5 * 5)
    assert made.new == 2
    again = reward(store, [HOME, ROOM], later=10)
    assert (points(again), again.new) == ([67, 7], 0)
    journal = Journal(store)
    assert journal.balances() == {"operator/issue": -74, "person/hanako": 67, "person/taro": 7}
    facts = journal.statement("person/taro").lines[0].facts
    assert (facts["way"], facts["kept_hours"], facts["net_kwh"]) == ("comfort", "1.5", "0")
    assert [one.act for one in store.audit_trail("dr/e-1")][-2:] == ["dr.rewarded", "dr.rewarded"]


def test_who_withdrew_is_granted_nothing_and_keeps_what_was_granted(store: SqlStore) -> None:
    settled(store)
    reward(store, [HOME])
    ConsentRegister(store).withdraw(
        "c-hanako-saving-rewards",
        withdrawn_at=AFTER + timedelta(minutes=5),
        recorded_at=AFTER + timedelta(minutes=5),
        actor="desk",
        channel=Channel.APP,
    )
    made = reward(store, [HOME], later=10)
    assert why(made) == [WhyNot.NO_CONSENT]
    assert Journal(store).balance("person/hanako") == 67
    assert store.audit_trail("subject/hanako")[-1].act == "consent.denied"
    assert store.audit_trail("dr/e-1")[-1].facts["nothing"] == {"home-7": "no_consent"}


def test_points_are_never_worth_more_than_the_event_settled(store: SqlStore) -> None:
    settled(store, yen="37")
    made = reward(store, [HOME, ROOM])
    assert (sum(points(made)), made.covered_points) == (37, 37)
    assert points(made) == [33, 4]  # 33.5 and 3.5; the tie goes by the name of the asset


def test_a_budget_adds_to_the_money_of_an_event(store: SqlStore) -> None:
    settled(store, yen="37")
    assert points(reward(store, [HOME, ROOM], budget=30)) == [61, 6]


def test_an_event_without_money_grants_nothing_and_says_so(store: SqlStore) -> None:
    settled(store, yen="0")
    assert why(reward(store, [HOME, ROOM])) == [WhyNot.EVENT_MONEY, WhyNot.EVENT_MONEY]
    assert Journal(store).balances() == {}


def test_a_later_rule_finds_what_an_earlier_one_left_of_the_money(store: SqlStore) -> None:
    settled(store, yen="70")
    reward_event(store, "e-1", [SAVING], [HOME], budget_yen=Decimal(0), at=AFTER, actor="desk")
    made = reward_event(store, "e-1", [COMFORT], [ROOM], budget_yen=Decimal(0), at=AFTER, actor="desk")
    assert points(made) == [3]


def test_the_cap_of_a_person_holds_over_all_ways_to_earn(store: SqlStore) -> None:
    settled(store)
    room = Claim(person="hanako", way="comfort", site="works", asset="desk-3", start=START, end=END)
    comfort = ComfortRule(
        id="comfort", points_per_hour=Decimal(5), below_c=Decimal(19), max_points_per_person_day=70, **TERMS
    )
    assert points(reward(store, [HOME, room], comfort=comfort)) == [67, 3]


@pytest.mark.parametrize(
    ("told", "claim", "reason"),
    [
        ({"kwh": None}, HOME, WhyNot.NOTHING_METERED),
        ({"kwh": "-4"}, HOME, WhyNot.NOTHING_SAVED),
        ({"kwh": "0.09"}, HOME, WhyNot.LESS_THAN_ONE_POINT),
        ({}, Claim(person="hanako", way="saving", asset="works"), WhyNot.COMPANY_SITE),
        ({}, Claim(person="nobody", way="saving", asset="home-7"), WhyNot.NO_CONSENT),
        (
            {},
            replace(ROOM, start=END, end=END + timedelta(hours=1)),
            WhyNot.NOT_KEPT,
        ),
        ({}, replace(ROOM, asset="desk-4"), WhyNot.NOT_PROVED),
        ({"opted_out": ("works",)}, ROOM, WhyNot.DECLINED),
        ({"opted_out": ("home-7",)}, HOME, WhyNot.DECLINED),
    ],
)
def test_who_earns_nothing_is_told_why(
    store: SqlStore, told: dict[str, Any], claim: Claim, reason: WhyNot
) -> None:
    settled(store, **told)
    assert why(reward(store, [claim])) == [reason]


def test_an_event_of_another_day_needs_a_rule_of_that_day(store: SqlStore) -> None:
    settled(store)
    old = SavingRule(id="saving", points_per_kwh=Decimal(10), **(TERMS | {"valid_to": "2026-11-24"}))
    assert why(reward(store, [HOME], saving=old)) == [WhyNot.RULE_NOT_IN_FORCE]


def test_only_settled_requests_for_tight_supply_earn_points(store: SqlStore) -> None:
    settled(store, product=Product.ECONOMIC)
    with pytest.raises(DataError, match="sold as economic"):
        reward(store, [HOME])
    with pytest.raises(DataError, match="no event 'e-2'"):
        reward_event(store, "e-2", [SAVING], [HOME], budget_yen=Decimal(0), at=AFTER, actor="desk")


def test_the_shipped_rules_and_claims_are_read() -> None:
    rules = read_reward_rules(ROOT / "examples/reward-rules.yaml")
    assert [type(one) for one in rules] == [CoinRule, SavingRule, ComfortRule, ComfortRule]
    claims = read_claims(ROOT / "examples/claims.csv")
    assert [(one.person, one.way) for one in claims] == [("hanako", "saving"), ("taro", "comfort")]
    assert (claims[1].site, claims[1].asset, claims[1].start) == ("kitakata", "office", START)


def test_only_half_hours_that_readings_prove_are_paid_and_the_rest_is_counted(store: SqlStore) -> None:
    settled(store)
    read_room(store, [19.0, 19.1, None], known_later=timedelta(hours=1))
    made = reward(store, [ROOM])
    assert points(made) == [2]  # one half hour of three: floor(0.5 * 5)
    proof = made.proofs[0]
    assert proof is not None
    assert [len(which) for which in (proof.let_go, proof.held, proof.unread)] == [1, 1, 1]
    told = store.audit_trail("dr/e-1")[-1].facts["rooms"]
    assert told == {"works/desk-3": {"series": "works/desk-3/room_c", "let_go": 1, "held": 1, "unread": 1}}
    facts = Journal(store).statement("person/taro").lines[0].facts
    assert (facts["kept_hours"], facts["site"]) == ("0.5", "works")


@pytest.mark.parametrize(
    ("temps", "reason", "detail"),
    [
        ([19.1] * 3, WhyNot.NOT_KEPT, "works/desk-3/room_c: 3 half hours held, 0 without a reading"),
        ([None] * 3, WhyNot.NOT_PROVED, "works/desk-3/room_c: 0 half hours held, 3 without a reading"),
    ],
)
def test_a_claim_without_proof_is_refused(
    store: SqlStore, temps: list[float | None], reason: WhyNot, detail: str
) -> None:
    settled(store)
    read_room(store, temps, known_later=timedelta(hours=1))
    ((_, made),) = reward(store, [ROOM]).results
    assert isinstance(made, NoGrant)
    assert (made.why, made.detail) == (reason, detail)


def test_readings_that_were_not_known_yet_prove_nothing(store: SqlStore) -> None:
    settled(store)
    read_room(store, [25.0] * 3, known_later=timedelta(days=1))
    assert points(reward(store, [ROOM])) == [7]


def test_rooms_of_somebody_without_consent_are_not_looked_at(store: SqlStore) -> None:
    settled(store)
    made = reward(store, [replace(ROOM, person="nobody")])
    assert (why(made), made.proofs) == ([WhyNot.NO_CONSENT], (None,))
    assert "rooms" not in store.audit_trail("dr/e-1")[-1].facts


def test_readings_may_lie_in_the_database_of_the_site(store: SqlStore) -> None:
    settled(store)
    with open_store("sqlite://") as other:
        read_room(other, [18.0, 20.0, 18.0])
        made = reward_event(
            store, "e-1", [COMFORT], [ROOM], budget_yen=Decimal(0), at=AFTER, actor="desk", readings=other
        )
    assert points(made) == [5]


def test_in_the_cooling_season_a_warm_room_was_let_go(store: SqlStore) -> None:
    settled(store)
    read_room(store, [27.0, 26.9, 30.0], known_later=timedelta(hours=1))
    summer = ComfortRule(id="comfort", points_per_hour=Decimal(5), above_c=Decimal(27), **TERMS)
    assert points(reward(store, [ROOM], comfort=summer)) == [5]


RULE = "- {way: saving, id: a, version: 1, points_per_kwh: 1, valid_from: 2026-04-01, valid_to: 2026-12-31}\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (RULE + RULE.replace("id: a", "id: b").replace("2026-04-01", "2026-12-31"), "on 2026-12-31"),
        (RULE + RULE.replace("2026", "2027"), "version 1 of rule 'a' is there twice"),
        (RULE.replace("saving", "walking"), "'walking'"),
        (RULE.replace("points_per_kwh: 1", "points_per_kwh: -1"), "points_per_kwh"),
        (RULE.replace("saving", "comfort").replace("per_kwh", "per_hour"), "above_c (cooling season)"),
        (
            RULE.replace("saving", "comfort").replace("per_kwh: 1", "per_hour: 1, above_c: 27, below_c: 19"),
            "one of them",
        ),
        ("way: saving\n", "no list"),
        ("- {", "no YAML"),
    ],
)
def test_rules_that_overlap_or_are_none_are_refused(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_reward_rules(path)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("hanako,saving,home-7,,\ntaro,saving,home-7,,", "hanako claims it already"),
        ("Hanako,saving,home-7,,", "ids are a-z"),
        ("hanako,driving,ev-1,,", "chargers' meters"),
        ("taro,comfort,works/desk-3,2026-11-25T18:00,2026-11-25T16:00", "not after from"),
        ("taro,comfort,works/desk-3,,", "no time"),
        ("taro,comfort,desk-3,2026-11-25T16:00,2026-11-25T18:00", "write SITE/ROOM"),
        ("taro,comfort,Works/desk-3,2026-11-25T16:00,2026-11-25T18:00", "ids are a-z"),
        ("taro,comfort,/desk-3,2026-11-25T16:00,2026-11-25T18:00", "ids are a-z"),
    ],
)
def test_claims_that_cannot_be_are_refused_with_their_line(row: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "claims.csv"
    path.write_text(f"person,way,asset,from,to\n{row}\n", encoding="utf-8")
    with pytest.raises(DataError) as refused:
        read_claims(path)
    assert complaint in str(refused.value)
    assert "line" in str(refused.value)
