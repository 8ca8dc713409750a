"""What is on record about a person is handed out and erased; the ledger stays whole without the name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from energy.core.errors import ConsentError, DataError
from energy.core.slots import parse_jst
from energy.core.units import SeriesId
from energy.ledger import Channel, Consent, ConsentRegister, Entry, Journal, Posting
from energy.ledger.persons import PersonRegister
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import Point, SqlStore, open_store
from tests.unit.vpp.cli.calling import vpp
from vpp.consents import DR_PARTICIPATION, admitted
from vpp.privacy import erase_person, export_person
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_settled import SettledSite
from vpp.settlement.record import EVIDENCE, Derivation, Evidence, KeptSettlement, SettlementBook
from vpp.wishes import NoDischarge, WishBook, wishes_of

NOW = parse_jst("2026-11-25 10:00")
START, END = parse_jst("2026-11-25 16:00"), parse_jst("2026-11-25 19:00")
LATER = END + timedelta(hours=3)
NAME = "会津 花子"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    with open_store(f"sqlite:///{path}") as opened:
        yield opened


def enrolled(store: SqlStore) -> str:
    """A person with a consent, some readings and points."""
    register = PersonRegister(store, lot=lambda: "7f")
    person = register.enrol(name=NAME, contact="0242", statement="paper", at=NOW, actor="desk").id
    consent = Consent(
        id="c-7f",
        subject=person,
        controller=DR_PARTICIPATION.controller,
        purpose=DR_PARTICIPATION.purpose,
        purpose_version=1,
        categories=DR_PARTICIPATION.categories,
        recipients=(DR_PARTICIPATION.recipient,),
        granted_at=NOW,
        channel=Channel.PAPER,
        evidence_sha256="0" * 64,
    )
    ConsentRegister(store).grant(consent, recorded_at=NOW, actor="desk")
    store.append(
        Point(series=SeriesId(name), at=START, known_at=END, value=1.25, source="meter")
        for name in (f"{person}/meter/import_kwh", f"{person}0/meter/import_kwh", "works/ev-1/charge_kwh")
    )
    entry = Entry(
        key=f"grant/e-1/{person}/saving@1",
        at=END,
        postings=(Posting(f"person/{person}", 12), Posting("operator/issue", -12)),
        facts={"event": "e-1", "vehicle": person},
    )
    Journal(store).post(entry)
    return person


def called(store: SqlStore, person: str) -> EventBook:
    book = EventBook(store)
    event = DrEvent(
        id="e-1",
        product=Product.ECONOMIC,
        modification=0,
        start=START,
        end=END,
        target_kw=Decimal(2),
        announced_at=NOW,
    )
    book.announce(event, at=NOW, actor="desk")
    home = Resource(site=person, kw=Decimal(2), holder="person")
    book.nominate("e-1", [home], at=NOW + timedelta(minutes=1), actor="desk")
    return book


def settle(book: EventBook, person: str) -> None:
    sites = [SettledSite(site=person, delivered_kwh=Decimal(3), yen=Decimal(60))]
    book.settle("e-1", sites, yen_per_kwh=Decimal(20), at=END + timedelta(hours=1), actor="desk")


def test_a_person_gets_everything_that_is_on_record(store: SqlStore) -> None:
    person = enrolled(store)
    settle(called(store, person), person)
    found = export_person(store, person, folders=["works/ev-1/"], at=LATER)
    assert found["person"] == {"name": NAME, "contact": "0242"}
    assert [one["id"] for one in found["consents"]] == ["c-7f"]  # type: ignore[attr-defined]
    assert found["points"][f"person/{person}"][0]["points"] == 12  # type: ignore[index]
    assert found["events"][0]["yen"] == "60"  # type: ignore[index]
    assert sorted(found["series"]) == [f"{person}/meter/import_kwh", "works/ev-1/charge_kwh"]  # type: ignore[call-overload]
    assert {one["act"] for one in found["acts"]} >= {"person.enrolled", "consent.granted"}  # type: ignore[attr-defined]
    json.dumps(found)


def test_after_an_erasure_nothing_tells_the_name_and_the_journal_still_proves_whole(
    store: SqlStore, path: Path
) -> None:
    person = enrolled(store)
    settle(called(store, person), person)
    before = Journal(store).verify()
    done = erase_person(store, person, folders=["works/ev-1/"], at=LATER, actor="desk")
    assert (done.deleted.points, done.deleted.documents) == (2, 1)
    assert (done.withdrawn, done.kept_entries, done.done_before) == (("c-7f",), 1, False)
    assert Journal(store).verify(since=before) == before
    assert Journal(store).balance(f"person/{person}") == 12
    assert admitted(store, [person], DR_PARTICIPATION, at=LATER, actor="desk") == frozenset()
    left = export_person(store, person, folders=[], at=LATER)
    assert (left["person"], left["erased"], left["series"]) == (None, True, {})
    neighbour = store.as_of(LATER).ids(f"{person}0/")
    assert len(neighbour) == 1  # p-7f0 is somebody else
    store.close()
    assert NAME.encode() not in b"".join(one.read_bytes() for one in path.parent.glob("people.db*"))


def test_meter_files_beside_a_bill_go_unless_another_rests_on_them(store: SqlStore) -> None:
    person, book = enrolled(store), SettlementBook(store)

    def bill(subject: str, period: str, *files: tuple[str, str]) -> str:
        made = [
            Evidence(role=role, name=f"{role}.csv", sha256=sha256(text.encode()).hexdigest(), text=text)
            for role, text in files
        ]
        trace = {"total_yen": Derivation(how="sum")}
        kept = KeptSettlement(
            what="bill",
            subject=subject,
            period=period,
            figures={"total_yen": 9},
            trace=trace,
            evidence=made,
        )
        return book.keep(kept, at=LATER, actor="desk").id

    mine = bill(person, "2026-10", ("meter", "own"), ("tariff", "prices"))
    bill(person, "2026-11", ("meter", "both"))
    bill("home-8", "2026-11", ("meter", "both"))
    settled = export_person(store, person, folders=[], at=LATER)["settlements"]
    assert settled[0]["id"] == mine  # type: ignore[index]
    done = erase_person(store, person, folders=[], at=LATER, actor="desk")
    assert (done.files, done.shared_files) == (1, 1)
    left = {known.body for known in store.as_of(LATER).documents(EVIDENCE)}
    assert left == {"prices", "both"}
    assert book.find(mine)["figures"] == {"total_yen": 9}  # type: ignore[index]


def test_an_erasure_is_done_once(store: SqlStore) -> None:
    person = enrolled(store)
    erase_person(store, person, folders=[], at=LATER, actor="desk")
    again = erase_person(store, person, folders=[], at=LATER + timedelta(hours=1), actor="desk")
    assert (again.done_before, again.withdrawn, again.deleted.points) == (True, (), 0)
    (consent,) = ConsentRegister(store).consents(NOW)
    anew = replace(consent, id="c-8", granted_at=LATER)
    with pytest.raises(ConsentError, match="was erased"):
        ConsentRegister(store).grant(anew, recorded_at=LATER, actor="desk")
    with pytest.raises(ConsentError, match="given before"):
        PersonRegister(store, lot=lambda: "7f").enrol(
            name="another", contact="", statement="app", at=LATER, actor="desk"
        )


def test_nobody_is_erased_out_of_an_event_that_is_not_settled(store: SqlStore) -> None:
    person = enrolled(store)
    book = called(store, person)
    with pytest.raises(ConsentError, match="cannot be erased yet"):
        erase_person(store, person, folders=[], at=LATER, actor="desk")
    settle(book, person)
    assert erase_person(store, person, folders=[], at=LATER, actor="desk").deleted.points == 1


def test_an_id_that_nobody_has_and_a_folder_that_is_none_are_refused(store: SqlStore) -> None:
    with pytest.raises(ConsentError, match="nothing is on record"):
        erase_person(store, "p-99", folders=[], at=LATER, actor="desk")
    with pytest.raises(DataError, match="whole folders"):
        store.erase(folders=["p-7"])


def test_the_commands_enrol_export_and_erase(path: Path, tmp_path: Path) -> None:
    db = ["--db", str(path)]
    status, out, err = vpp("consent", "enrol", "--name", NAME, *db, "--json", at=NOW)
    assert status == 0, err
    person = json.loads(out)["id"]
    assert NAME not in out
    file = tmp_path / "export.json"
    assert vpp("consent", "export", person, "-o", str(file), *db, at=NOW)[0] == 0
    assert json.loads(file.read_text(encoding="utf-8"))["person"]["name"] == NAME
    status, _, err = vpp("consent", "erase", person, *db, at=NOW)
    assert (status, "was not erased" in err) == (2, True)
    status, out, _ = vpp("consent", "erase", person, "--yes", *db, lang="ja", at=LATER)
    assert (status, person in out) == (0, True)
    assert json.loads(vpp("consent", "export", person, *db, at=LATER)[1])["erased"] is True
    assert vpp("consent", "export", "p-99", *db)[0] == 7
    assert vpp("consent", "enrol", "--name", "", *db)[0] == 2


def test_what_a_person_asked_of_the_car_is_handed_out_and_erased_with_it(store: SqlStore) -> None:
    person = enrolled(store)
    for car in ("ev-1", "ev-2"):
        WishBook(store).make("works", car, NoDischarge(), until=END, at=NOW, by="driver")
    found = export_person(store, person, folders=["works/ev-1/"], at=LATER)
    assert [one["asset"] for one in found["wishes"]] == ["ev-1"]  # type: ignore[attr-defined]
    erase_person(store, person, folders=["works/ev-1/"], at=LATER, actor="desk")
    left = store.as_of(LATER)
    assert wishes_of(left, "works", "ev-1") == []
    assert len(wishes_of(left, "works", "ev-2")) == 1
