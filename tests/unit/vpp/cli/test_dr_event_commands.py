"""``vpp dr event``, ``nominate``, ``settle``: modifications, cancels, who is asked, and what is paid."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from energy.core.slots import parse_jst
from energy.store import open_store
from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp

METER = f"{ROOT}/examples/meter.csv"
BEFORE = parse_jst("2026-11-25 10:00")
AFTER = parse_jst("2026-11-25 20:00")
WHEN = ["--event", "2026-11-25T16:00/19:00", "--target-kw", "30"]


@pytest.fixture
def db(tmp_path: Path) -> list[str]:
    return ["--db", str(tmp_path / "dr.db")]


@pytest.fixture
def sites(tmp_path: Path) -> str:
    path = tmp_path / "sites.csv"
    path.write_text("site,kw,reliability\nfactory,40,0.9\nhall,20,0.5\nschool,10,0.8\n", encoding="utf-8")
    return str(path)


def announced(db: list[str], sites: str) -> None:
    assert vpp("dr", "event", "announce", "e-1", *WHEN, *db, at=BEFORE)[0] == 0
    assert vpp("dr", "nominate", "e-1", "--resources", sites, *db, at=BEFORE + timedelta(minutes=1))[0] == 0


def settle(db: list[str], *more: str, at: object = AFTER) -> tuple[int, dict[str, object], str]:
    words = ("dr", "settle", "e-1", "--yen-per-kwh", "20", *more, *db, "--json")
    status, out, err = vpp(*words, at=AFTER if at is AFTER else at)  # type: ignore[arg-type]
    return status, json.loads(out) if out else {}, err


def test_the_surest_sites_are_asked_until_target_and_reserve_are_covered(db: list[str], sites: str) -> None:
    vpp("dr", "event", "announce", "e-1", *WHEN, *db, at=BEFORE)
    words = ("dr", "nominate", "e-1", "--resources", sites, *db, "--json")
    told = json.loads(vpp(*words, at=BEFORE + timedelta(minutes=1))[1])
    assert (told["needed_kw"], told["expected_kw"], told["sites"]) == (33, 36, ["factory"])
    vpp("dr", "event", "opt", "e-1", "factory", "out", *db, at=BEFORE + timedelta(minutes=2))
    status, out, _ = vpp(*words, at=BEFORE + timedelta(minutes=3))
    told = json.loads(out)
    assert (status, told["sites"], told["short_kw"]) == (6, ["school", "hall"], 15)


def test_the_same_modification_changes_nothing_a_lower_one_is_ignored_a_higher_one_counts(
    db: list[str],
) -> None:
    def tell(modification: int, target: str, minute: int) -> tuple[int, str, str]:
        words = [*WHEN[:-1], target, "--modification", str(modification), *db, "--json"]
        return vpp("dr", "event", "announce", "e-1", *words, at=BEFORE + timedelta(minutes=minute))

    assert json.loads(tell(1, "30", 0)[1])["changed"] is True
    assert json.loads(tell(1, "30", 1)[1])["changed"] is False
    assert json.loads(tell(0, "99", 2)[1]) | {"changed": None} == json.loads(tell(1, "30", 3)[1]) | {
        "changed": None
    }
    status, _, err = tell(1, "40", 4)
    assert (status, "modification 1 is on record" in err) == (3, True)
    assert json.loads(tell(2, "40", 5)[1])["target_kw"] == 40
    with open_store(f"sqlite:///{db[1]}", read_only=True) as store:
        acts = [one.act for one in store.audit_trail("dr/e-1")]
    assert acts == ["dr.announced", "dr.stale_ignored", "dr.refused", "dr.modified"]


def test_an_event_is_settled_by_the_baseline_and_settling_again_gives_the_same(
    db: list[str], sites: str
) -> None:
    announced(db, sites)
    status, told, _ = settle(db, "--meter", f"factory={METER}")
    assert (status, told["version"], told["new"]) == (0, 1, True)
    plain = json.loads(
        vpp("dr", "baseline", "--meter", METER, "--event", "2026-11-25T16:00/19:00", "--json")[1]
    )
    assert told["delivered_kwh"] == pytest.approx(plain["reduction_kwh"])
    assert told["yen"] == pytest.approx(20 * plain["reduction_kwh"])
    again = settle(db, "--meter", f"factory={METER}", at=AFTER + timedelta(hours=1))[1]
    assert again == told | {"new": False}
    (event,) = json.loads(vpp("dr", "event", "list", *db, "--json")[1])
    assert event["state"] == "settled"


def test_new_readings_make_a_new_version(db: list[str], sites: str, tmp_path: Path) -> None:
    announced(db, sites)
    first = settle(db, "--meter", f"factory={METER}")[1]
    text = Path(METER).read_text(encoding="utf-8")
    old = next(line for line in text.splitlines() if line.startswith("2026-11-25T16:30"))
    corrected = tmp_path / "corrected.csv"
    corrected.write_text(text.replace(old, old.partition(",")[0] + ",20.0"), encoding="utf-8")
    second = settle(db, "--meter", f"factory={corrected}", at=AFTER + timedelta(hours=1))[1]
    assert second["version"] == 2
    assert second["delivered_kwh"] > first["delivered_kwh"]  # type: ignore[operator]
    assert json.loads(vpp("dr", "event", "list", *db, "--json")[1])[0]["state"] == "corrected"


def test_a_cancel_in_mid_event_pays_the_half_hours_that_had_ended(db: list[str], sites: str) -> None:
    announced(db, sites)
    assert vpp("dr", "event", "cancel", "e-1", *db, at=parse_jst("2026-11-25 17:10"))[0] == 0
    _, told, _ = settle(db, "--meter", f"factory={METER}")
    full = json.loads(
        vpp("dr", "baseline", "--meter", METER, "--event", "2026-11-25T16:00/19:00", "--json")[1]
    )
    assert told["delivered_kwh"] == pytest.approx(sum(slot["reduction_kwh"] for slot in full["slots"][:2]))
    status, out, _ = vpp("dr", "event", "cancel", "e-1", *db, at=AFTER + timedelta(hours=1))
    assert (status, "settled" in out) == (0, True)


def test_a_late_cancel_changes_nothing_and_is_noted(db: list[str], sites: str) -> None:
    announced(db, sites)
    status, out, err = vpp("dr", "event", "cancel", "e-1", *db, at=AFTER)
    assert (status, "ended" in out, "Too late" in err) == (0, True, True)
    with open_store(f"sqlite:///{db[1]}", read_only=True) as store:
        assert store.audit_trail("dr/e-1")[-1].act == "dr.cancel_ignored"


def test_a_site_that_cannot_be_measured_is_paid_nothing_and_listed(
    db: list[str], sites: str, tmp_path: Path
) -> None:
    announced(db, sites)
    gap = tmp_path / "gap.csv"
    lines = Path(METER).read_text(encoding="utf-8").splitlines()
    gap.write_text("\n".join(line for line in lines if "2026-11-25T17" not in line), encoding="utf-8")
    status, told, _ = settle(db, "--meter", f"factory={gap}")
    assert (status, told["yen"]) == (6, 0)
    (site,) = told["sites"]  # type: ignore[misc]
    assert "half hours of the event" in site["why"]  # type: ignore[index]
    assert settle(db, "--meter", f"stranger={METER}", at=AFTER + timedelta(hours=1))[0] == 3


def test_who_declined_is_neither_paid_nor_charged(db: list[str], sites: str) -> None:
    announced(db, sites)
    vpp("dr", "event", "opt", "e-1", "factory", "out", *db, at=BEFORE + timedelta(minutes=5))
    status, _, err = settle(db, "--meter", f"factory={METER}")
    assert status == 3
    assert "did not take part" in err


def test_an_event_is_not_settled_before_its_end(db: list[str], sites: str) -> None:
    announced(db, sites)
    status, _, err = settle(db, "--meter", f"factory={METER}", at=parse_jst("2026-11-25 18:00"))
    assert status == 3
    assert "is not over" in err


def test_an_earlier_event_of_the_site_is_no_baseline_day(db: list[str], sites: str) -> None:
    early = ["--event", "2026-11-19T16:00/19:00", "--target-kw", "30"]
    vpp("dr", "event", "announce", "e-0", *early, *db, at=parse_jst("2026-11-19 09:00"))
    vpp("dr", "nominate", "e-0", "--resources", sites, *db, at=parse_jst("2026-11-19 09:01"))
    announced(db, sites)
    _, told, _ = settle(db, "--meter", f"factory={METER}")
    past = Path(db[1]).with_name("events.csv")
    past.write_text("start,end\n2026-11-19T16:00,2026-11-19T19:00\n", encoding="utf-8")
    words = ("dr", "baseline", "--meter", METER, "--event", "2026-11-25T16:00/19:00", "--events", str(past))
    plain = json.loads(vpp(*words, "--json")[1])
    assert told["delivered_kwh"] == pytest.approx(plain["reduction_kwh"])


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["announce", "e-2", *WHEN, "--product", "balancing"], 3, "aggregate of >= 1,000 kW needed"),
        (
            [
                "announce",
                "e-2",
                "--event",
                "2026-11-25T12:30/15:30",
                "--target-kw",
                "1000",
                "--product",
                "capacity",
            ],
            3,
            "short_notice",
        ),
        (["announce", "e-2", "--event", "2026-11-25T16:00/19:00", "--target-kw", "much"], 2, "is no number"),
        (["announce", "E 2", *WHEN], 2, "this is no event"),
        (["cancel", "e-9"], 3, "no event 'e-9'"),
    ],
)
def test_what_the_product_does_not_allow_is_refused_with_the_reason(
    db: list[str], words: list[str], status: int, complaint: str
) -> None:
    ended, _, err = vpp("dr", "event", *words, *db, at=BEFORE)
    assert ended == status
    assert complaint in err


def test_without_events_the_list_says_so(db: list[str]) -> None:
    open_store(f"sqlite:///{db[1]}").close()
    assert vpp("dr", "event", "list", *db) == (0, "No event is on record.\n", "")
