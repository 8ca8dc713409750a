"""A retailer's forecast from the command line: consents in, files out, and a status for every refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from energy.core.clock import SystemClock
from energy.ledger import ConsentRegister
from energy.store import SqlStore, open_store
from tests.unit.vpp.forecasts.region import NOON, add_site, consent, fill, issue, site_name
from vpp.cli.main import app
from vpp.console import Console, guarded
from vpp.forecasts.handover import Delivery

OK, USAGE, DATA, PARTIAL, CONSENT = 0, 2, 3, 6, 7
NOW = NOON + timedelta(minutes=5)

Vpp = Callable[..., tuple[int, str, str]]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "region.db"


@pytest.fixture
def vpp(database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Vpp:
    """The command on the region's database at five past noon: status, stdout, stderr."""
    monkeypatch.setenv("VPP_DB", str(database))

    def call(*words: str, lang: str = "en", at: datetime = NOW) -> tuple[int, str, str]:
        monkeypatch.setattr(SystemClock, "now", lambda _self: at)
        status = guarded(
            lambda: app(args=["--lang", lang, *words], prog_name="vpp", standalone_mode=False),
            lambda: Console("en"),
        )
        told = capsys.readouterr()
        return status, told.out, told.err

    return call


def region(database: Path, sites: int) -> SqlStore:
    store = open_store(f"sqlite:///{database}", durability="process")
    fill(store, sites)
    return store


def test_an_export_says_first_what_it_is_and_then_where(vpp: Vpp, database: Path, tmp_path: Path) -> None:
    region(database, 10).close()
    status, out, _ = vpp("forecast", "export", "2026-08-05", "--to", "retailer-a", "-o", str(tmp_path))
    assert status == OK
    lead, version = out.splitlines()[:2]
    assert lead.startswith(
        "Demand forecast of Wed 5 Aug for retailer-a, version 1: 10 sites, 2,400.0 kWh at P50"
    )
    assert version == "The first version."
    assert (tmp_path / "retailer-a-demand-2026-08-05-v1.csv").is_file()
    status, out, _ = vpp(
        "forecast", "export", "2026-08-05", "--to", "retailer-a", "-o", str(tmp_path), lang="ja"
    )
    assert status == OK
    assert "前と同じ内容です" in out


def test_without_a_day_it_is_tomorrow(vpp: Vpp, database: Path, tmp_path: Path) -> None:
    region(database, 10).close()
    status, out, _ = vpp("forecast", "export", "--to", "retailer-a", "-o", str(tmp_path), "--json")
    assert status == OK
    assert json.loads(out)["delivery"]["delivery_day"] == "2026-08-05"


def test_a_changed_forecast_is_told_with_what_moved(vpp: Vpp, database: Path, tmp_path: Path) -> None:
    with region(database, 10) as store:
        vpp("forecast", "export", "--to", "retailer-a", "-o", str(tmp_path))
        later = NOON + timedelta(minutes=20)
        issue(store, site_name(0), [10.0] * 20 + [16.0] + [10.0] * 27, at=later)
    status, out, _ = vpp("forecast", "export", "--to", "retailer-a", "-o", str(tmp_path), at=later)
    assert status == OK
    assert (
        "Changed since version 1: 1 half hours (3.0 kWh more, most in slot 21: 6.0 kW more); issue time."
        in out
    )
    assert "The oldest forecast in the sum is of Tue 4 Aug 12:00." in out


def test_too_few_sites_end_with_status_seven_and_no_file(vpp: Vpp, database: Path, tmp_path: Path) -> None:
    region(database, 9).close()
    out_folder = tmp_path / "out"
    out_folder.mkdir()
    status, out, _ = vpp("forecast", "export", "--to", "retailer-a", "-o", str(out_folder))
    assert status == CONSENT
    assert out.startswith("Nothing was delivered: 9 of at least 10 sites.")
    assert list(out_folder.iterdir()) == []


def test_a_site_without_forecast_ends_with_status_six_and_is_named(
    vpp: Vpp, database: Path, tmp_path: Path
) -> None:
    with region(database, 10) as store:
        add_site(store, "silent")
        ConsentRegister(store).grant(consent("silent"), recorded_at=NOON, actor="desk")
    status, out, _ = vpp("forecast", "export", "--to", "retailer-a", "-o", str(tmp_path))
    assert status == PARTIAL
    assert "not in the sum: silent." in out


def test_a_dry_run_tells_all_and_leaves_nothing(vpp: Vpp, database: Path, tmp_path: Path) -> None:
    region(database, 10).close()
    out_folder = tmp_path / "out"
    out_folder.mkdir()
    status, out, err = vpp(
        "forecast", "export", "--to", "retailer-a", "-o", str(out_folder), "--dry-run", "--json"
    )
    told = json.loads(out)
    assert (status, told["dry_run"], told["files"]) == (OK, True, [])
    assert Delivery.from_json(json.dumps(told["delivery"])).sites == 10
    assert list(out_folder.iterdir()) == []
    assert err == ""


def test_another_recipient_gets_nothing_and_learns_no_more_than_the_count(
    vpp: Vpp, database: Path, tmp_path: Path
) -> None:
    region(database, 10).close()
    status, out, _ = vpp("forecast", "export", "--to", "retailer-b", "-o", str(tmp_path))
    assert status == CONSENT
    assert "0 of at least 10 sites" in out
    assert f"{site_name(0)} (other recipient)" in out  # the operator sees who; no file was made


def test_a_consent_is_granted_listed_and_withdrawn_and_each_counts_at_once(
    vpp: Vpp, database: Path, tmp_path: Path
) -> None:
    """RULES-JP T43, by hand: nine sites, a tenth on paper, withdrawn again."""
    with region(database, 9) as store:
        add_site(store, "bakery")
        issue(store, "bakery", 10.0)
    sheet = tmp_path / "sheet.pdf"
    sheet.write_bytes(b"signed")
    words = (
        "consent",
        "grant",
        "c-10",
        "--subject",
        "bakery",
        "--to",
        "retailer-a",
        "--evidence",
        str(sheet),
    )
    assert vpp(*words, "--data", "demand-forecast")[0] == OK
    assert "Was on record: c-10." in vpp(*words, "--data", "demand-forecast")[1]
    export = ("forecast", "export", "--to", "retailer-a", "-o", str(tmp_path))
    assert vpp(*export)[0] == OK
    status, out, _ = vpp("consent", "withdraw", "c-10", at=NOW + timedelta(minutes=5))
    assert (status, out) == (OK, "Withdrawn: c-10, from Tue 4 Aug 12:10 on.\n")
    status, out, _ = vpp(*export, at=NOW + timedelta(minutes=6))
    assert status == CONSENT
    assert "bakery (withdrawn)" in out
    listed = json.loads(vpp("consent", "list", "bakery", "--json", at=NOW + timedelta(minutes=7))[1])
    assert [one["id"] for one in listed] == ["c-10"]
    assert listed[0]["withdrawn_at"] == "2026-08-04T03:10:00+00:00"
    assert listed[0]["evidence_sha256"] == sha256(b"signed").hexdigest()
    assert "撤回" in vpp("consent", "list", "bakery", lang="ja", at=NOW + timedelta(minutes=7))[1]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("--subject", "Hanako Sato", "--data", "demand-forecast"), USAGE, "this is no consent"),
        (
            ("--subject", "bakery", "--data", "demand-forecast", "--given", "yesterday"),
            USAGE,
            "not an instant",
        ),
        (("--subject", "bakery", "--data", "demand-forecast", "--evidence", "nowhere.pdf"), DATA, "evidence"),
    ],
)
def test_a_consent_that_cannot_stand_is_refused_in_three_lines(
    vpp: Vpp, database: Path, tmp_path: Path, words: tuple[str, ...], status: int, says: str
) -> None:
    region(database, 1).close()
    sheet = tmp_path / "sheet.pdf"
    sheet.write_bytes(b"signed")
    found, out, err = vpp("consent", "grant", "c-1", "--to", "retailer-a", "--evidence", str(sheet), *words)
    assert (found, out) == (status, "")
    assert says in err.splitlines()[0]
    assert len(err.splitlines()) == 3


def test_an_empty_register_says_so(vpp: Vpp, database: Path) -> None:
    region(database, 0).close()
    assert vpp("consent", "list")[1] == "No consent is on record.\n"
