"""``vpp dr nominate``, ``track``, ``calls``, ``settle``: a portfolio through an event."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from energy.core.slots import parse_jst
from energy.store import open_store
from tests.unit.vpp.cli.calling import vpp
from vpp.settlement.dr_events import EventBook

BEFORE = parse_jst("2026-11-25 10:00")
START, END = parse_jst("2026-11-25 16:00"), parse_jst("2026-11-25 19:00")
AFTER = END + timedelta(hours=1)


def meter(path: Path, usual: float, event: list[float]) -> str:
    """Two weeks of the same use, and something else in the event; rows up to what was given. [kWh]"""
    rows, slot, last = [], parse_jst("2026-11-11 00:00"), START + timedelta(minutes=30) * len(event)
    while slot < last:
        used = usual if slot < START else event[(slot - START) // timedelta(minutes=30)]
        rows.append(f"{(slot + timedelta(minutes=30)).isoformat()},{used}")
        slot += timedelta(minutes=30)
    path.write_text("timestamp,kwh\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def db(tmp_path: Path) -> list[str]:
    return ["--db", str(tmp_path / "dr.db")]


def sites(folder: Path, *rows: str) -> str:
    path = folder / "sites.csv"
    path.write_text("site,kw,reliability,holder\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return str(path)


def told(*words: str, at: datetime, status: int = 0) -> Any:
    ended, out, err = vpp(*words, "--json", at=at)
    assert ended == status, err
    return json.loads(out)


def announced(db: list[str], folder: Path, kw: str = "18", *extra: str) -> str:
    path = sites(folder, "a,10,1,company", "b,10,0.99,company", "c,12,0.9,company", "d,30,0.5,company")
    when = ["--event", "2026-11-25T16:00/19:00", "--target-kw", kw]
    assert vpp("dr", "event", "announce", "e-1", *when, *extra, *db, at=BEFORE)[0] == 0
    told("dr", "nominate", "e-1", "--resources", path, "--reserve", "0.1", *db, at=BEFORE)
    return path


def test_a_portfolio_is_followed_half_hour_by_half_hour(db: list[str], tmp_path: Path) -> None:
    announced(db, tmp_path)
    a = meter(tmp_path / "a.csv", 20, [15, 15, 15])
    b = meter(tmp_path / "b.csv", 20, [15, 18])
    files = ["--meter", f"a={a}", "--meter", f"b={b}"]
    found = told("dr", "track", "e-1", *files, *db, at=START + timedelta(minutes=95), status=6)
    rows = [
        (one["promised_kwh"], one["called_kwh"], one["delivered_kwh"], one["unread"])
        for one in found["slots"]
    ]
    assert rows == [(9, 10, 10, 0), (9, 10, 7, 0), (9, 10, 5, 1)]
    assert (found["failing"], found["called_instead"]) == ({"b": "low"}, None)
    # the newest half hour that both were read in brought 7 kWh; one is half read and three are left
    assert (found["delivered_kwh"], found["projected_kwh"]) == (22, 45)


def test_a_failing_site_is_released_and_another_is_called_from_the_next_half_hour(
    db: list[str], tmp_path: Path
) -> None:
    path = announced(db, tmp_path)
    a = meter(tmp_path / "a.csv", 20, [15, 15])
    b = meter(tmp_path / "b.csv", 20, [20, 19])
    files = ["--meter", f"a={a}", "--meter", f"b={b}"]
    now = START + timedelta(minutes=61)
    assert told("dr", "track", "e-1", *files, *db, at=now, status=6)["failing"] == {"b": "low"}
    found = told("dr", "track", "e-1", *files, "--replace", path, *db, at=now, status=6)
    assert (found["called_instead"], found["short_kw"]) == (["c"], 0)
    (call,) = told("dr", "calls", "c", *db, at=now)
    assert (call["kw"], datetime.fromisoformat(call["start"])) == (12, START + timedelta(minutes=90))
    assert told("dr", "calls", "b", *db, at=now) == []
    (event,) = told("dr", "event", "list", *db, at=now)
    released = next(one for one in event["calls"] if one["site"] == "b")
    assert datetime.fromisoformat(released["end"]) == START + timedelta(minutes=60)


def test_a_site_that_cannot_be_read_is_replaced_too(db: list[str], tmp_path: Path) -> None:
    path = announced(db, tmp_path)
    a = meter(tmp_path / "a.csv", 20, [15, 15])
    now = START + timedelta(minutes=61)
    found = told("dr", "track", "e-1", "--meter", f"a={a}", "--replace", path, *db, at=now, status=6)
    assert (found["failing"], found["why"]) == ({"b": "unread"}, {"b": "no readings"})
    assert found["called_instead"] == ["c"]


def test_promised_called_and_delivered_stand_beside_each_other_in_the_end(
    db: list[str], tmp_path: Path
) -> None:
    announced(db, tmp_path)
    files = [f"--meter={name}={meter(tmp_path / f'{name}.csv', 20, [15] * 6)}" for name in ("a", "b")]
    assert told("dr", "track", "e-1", *files, *db, at=AFTER)["state"] == "measured"
    assert told("dr", "track", "e-1", *files, *db, at=AFTER)["state"] == "measured"
    made = told("dr", "settle", "e-1", *files, "--yen-per-kwh", "20", *db, at=AFTER)
    assert [(one["called_kwh"], one["delivered_kwh"], one["yen"]) for one in made["sites"]] == [
        (30, 30, 600)
    ] * 2
    acts = [one["act"] for one in told("dr", "event", "show", "e-1", *db, at=AFTER)["history"]]
    assert acts == ["dr.announced", "dr.dispatched", "dr.ended", "dr.measured", "dr.settled"]


def test_what_a_site_delivered_decides_whom_to_ask_next(db: list[str], tmp_path: Path) -> None:
    path = announced(db, tmp_path)
    good = meter(tmp_path / "a.csv", 20, [15] * 6)
    bad = meter(tmp_path / "b.csv", 20, [20] * 6)
    told("dr", "settle", "e-1", f"--meter=a={good}", f"--meter=b={bad}", "--yen-per-kwh", "20", *db, at=AFTER)
    when = ["--event", "2026-11-26T16:00/19:00", "--target-kw", "18"]
    vpp("dr", "event", "announce", "e-2", *when, *db, at=AFTER)
    found = told("dr", "nominate", "e-2", "--resources", path, "--dry-run", *db, at=AFTER)
    assert (found["sites"], found["called"]) == (["a", "c"], False)
    assert told("dr", "event", "list", *db, at=AFTER)[1]["state"] == "announced"


def test_more_load_counts_as_delivery_when_load_is_wanted(db: list[str], tmp_path: Path) -> None:
    when = ["--event", "2026-11-25T12:00/13:00", "--target-kw", "8", "--product", "up"]
    vpp("dr", "event", "announce", "e-1", *when, *db, at=BEFORE)
    told("dr", "nominate", "e-1", "--resources", sites(tmp_path, "a,10,1,company"), *db, at=BEFORE)
    rows = Path(meter(tmp_path / "a.csv", 20, [20])).read_text(encoding="utf-8").splitlines()
    for stamp in ("2026-11-25T03:30", "2026-11-25T04:00"):
        rows = [f"{row.partition(',')[0]},24" if row.startswith(stamp) else row for row in rows]
    (tmp_path / "a.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ("dr", "settle", "e-1", f"--meter=a={tmp_path / 'a.csv'}", "--yen-per-kwh", "5", *db)
    assert told(*words, at=AFTER)["delivered_kwh"] == 8


def consented(db: list[str], folder: Path, at: datetime) -> None:
    paper = folder / "signed.txt"
    paper.write_text("signed", encoding="utf-8")
    words = ["--subject", "h-1", "--to", "aizu-spc", "--data", "meter-energy", "--evidence", str(paper)]
    status, _, err = vpp("consent", "grant", "c-1", *words, "--purpose", "dr-participation", *db, at=at)
    assert (status, err) == (0, "")
    wrong = ["demand-forecast" if one == "meter-energy" else one for one in words]
    status, _, err = vpp("consent", "grant", "c-0", *wrong, "--purpose", "dr-participation", *db, at=at)
    assert status == 0
    assert "its terms are version 1, data meter-energy, recipient aizu-spc" in err


def test_a_household_that_withdraws_is_not_read_any_more_and_its_settled_past_stays(
    db: list[str], tmp_path: Path
) -> None:
    path = sites(tmp_path, "a,10,1,company", "h-1,10,1,person")
    when = ["--event", "2026-11-25T16:00/19:00", "--target-kw", "18"]
    vpp("dr", "event", "announce", "e-1", *when, *db, at=BEFORE)
    status, _, err = vpp("dr", "nominate", "e-1", "--resources", path, *db, at=BEFORE)
    assert (status, "--data meter-energy --to aizu-spc" in err) == (7, True)
    consented(db, tmp_path, BEFORE)
    told("dr", "nominate", "e-1", "--resources", path, *db, at=BEFORE + timedelta(minutes=1))
    files = [f"--meter={name}={meter(tmp_path / f'{name}.csv', 20, [15] * 6)}" for name in ("a", "h-1")]
    words = ("dr", "settle", "e-1", *files, "--yen-per-kwh", "20", *db)
    first = told(*words, at=AFTER)
    assert vpp("consent", "withdraw", "c-1", *db, at=AFTER + timedelta(minutes=5))[0] == 0
    meter(tmp_path / "h-1.csv", 20, [10] * 6)
    later = AFTER + timedelta(minutes=10)
    assert told(*words, at=later) == first | {"new": False}
    dearer = told(*words[:-3], "25", *db, at=later + timedelta(minutes=1))
    paid = {one["site"]: one["yen"] / one["delivered_kwh"] for one in dearer["sites"]}
    assert paid == {"a": 25, "h-1": 20}  # what was settled for the household stays, at its price
    with open_store(f"sqlite:///{db[1]}", read_only=True) as store:
        kept = EventBook(store).settlement("e-1")
    assert kept is not None
    assert [one.yen_per_kwh for one in kept.sites] == [None, 20]
    found = told("dr", "track", "e-1", *files, *db, at=later, status=6)
    assert found["why"] == {"h-1": "no consent now"}
    with open_store(f"sqlite:///{db[1]}", read_only=True) as store:
        assert "consent.denied" in [one.act for one in store.audit_trail("subject/h-1")]


def test_a_household_that_withdraws_before_the_settlement_is_not_measured(
    db: list[str], tmp_path: Path
) -> None:
    consented(db, tmp_path, BEFORE - timedelta(days=1))
    when = ["--event", "2026-11-25T16:00/19:00", "--target-kw", "8"]
    vpp("dr", "event", "announce", "e-1", *when, *db, at=BEFORE)
    told("dr", "nominate", "e-1", "--resources", sites(tmp_path, "h-1,10,1,person"), *db, at=BEFORE)
    vpp("consent", "withdraw", "c-1", *db, at=AFTER)
    file = f"--meter=h-1={meter(tmp_path / 'h-1.csv', 20, [15] * 6)}"
    words = ("dr", "settle", "e-1", file, "--yen-per-kwh", "20", *db)
    made = told(*words, at=AFTER + timedelta(minutes=1), status=6)
    (site,) = made["sites"]
    assert (site["delivered_kwh"], site["yen"], site["why"]) == (None, 0, "no consent now")


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_people_read_the_same_in_both_languages(db: list[str], tmp_path: Path, lang: str) -> None:
    path = announced(db, tmp_path)
    a = meter(tmp_path / "a.csv", 20, [15, 15])
    now = START + timedelta(minutes=61)
    words = ("dr", "track", "e-1", "--meter", f"a={a}", "--replace", path, *db)
    status, out, err = vpp(*words, lang=lang, at=now)
    assert status == 6, err
    assert "16:00-16:30" in out
    assert "c" in out.splitlines()[-1]
    for more in (["calls", "c"], ["calls", "nobody"], ["event", "show", "e-1"]):
        assert vpp("dr", *more, *db, lang=lang, at=now)[0] == 0
    assert vpp("dr", "event", "products", "--on", "2026-11-25", lang=lang)[0] == 0
