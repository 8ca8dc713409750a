"""The commands that settle a month, print papers and report fairness: sentences, JSON, faults by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from pypdf import PdfReader

from energy.core.slots import jst_midnight
from energy.ledger import ISSUER, Entry, Journal, Posting
from energy.store import open_store
from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import NOON, vpp
from tests.unit.vpp.settlement.accounts import FIRST, SITE, day_values, fill
from vpp.simulation.scenario import Scenario, load_scenario

EXAMPLES = ROOT / "examples"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[str]:
    """A database with a promised and metered day of the small site, and three bookings."""
    path = str(tmp_path / "site.db")
    rng = np.random.default_rng(3)
    with open_store(f"sqlite:///{path}") as store:
        fill(store, day_values(rng, 1), day_values(rng, 1), promised_days=1)
        for k in range(3):
            Journal(store).post(
                Entry(
                    key=f"grant/e{k}",
                    at=jst_midnight(FIRST) + timedelta(days=k),
                    postings=(Posting("driver/driver-1", 40), Posting(ISSUER, -40)),
                    facts={"net_kwh": "2.00", "expires_on": "2027-02-01", "point_class": "local_only"},
                )
            )
    real = load_scenario("kitakata")

    def small(_name: str) -> tuple[Scenario, Path]:
        return replace(real[0], site=SITE), real[1]

    with patch("vpp.simulation.scenario.load_scenario", small):
        yield path


def month(db: str, *more: str, lang: str = "en", at: datetime = NOON) -> tuple[int, str, str]:
    day = FIRST.isoformat()
    words = ("settle", "month", "kitakata", "2026-08", "--db", db, "--from", day, "--until", day, *more)
    return vpp(*words, lang=lang, at=at)


@pytest.mark.parametrize(("lang", "said"), [("en", "Forecast of the load"), ("ja", "負荷の予測")])
def test_a_month_is_told_in_a_sentence_and_lines_that_add_up(db: str, lang: str, said: str) -> None:
    status, out, err = month(db, lang=lang)
    assert status == 0, err
    assert said in out
    yen = [int(line.split()[0].replace(",", "")) for line in out.splitlines()[1:]]
    assert sum(yen[:-1]) == yen[-1]


def test_a_month_as_json_as_paper_and_kept(db: str, tmp_path: Path) -> None:
    status, out, err = month(db, "--json", "--keep", "--pdf", str(tmp_path / "out"))
    assert status == 0, err
    told = json.loads(out)
    assert sum(line["yen"] for line in told["lines"]) == told["settled_yen"] - told["promised_yen"]
    (page,) = (tmp_path / "out").glob("month-*.pdf")
    assert f"{told['settled_yen']:,}" in PdfReader(page).pages[0].extract_text()
    assert "Nothing new: month/kitakata/2026-08/v1" in month(db, "--keep", at=NOON + timedelta(days=1))[2]
    traced = json.loads(vpp("audit", "trace", "month/kitakata/2026-08", "--db", db, "--json")[1])
    assert "lines.load" in traced["made_from"]["settlement"]["trace"]


def test_prices_without_margins_and_a_month_without_a_promise_are_named(db: str) -> None:
    status, _, err = month(db, "--price", str(EXAMPLES / "imbalance-price-2026-08.csv"))
    assert (status, "needs prices and margins" in err) == (2, True)
    status, _, err = vpp("settle", "month", "kitakata", "2026-09", "--db", db)
    assert (status, "has promised anything" in err or "has 1 gap" in err) == (3, True)
    more = ("--price", str(EXAMPLES / "imbalance-price-2026-08.csv"))
    status, out, _ = month(db, *more, "--margin", str(EXAMPLES / "margin-2026-08.csv"))
    assert (status, "Imbalance: short" in out) == (0, True)


def test_readings_become_files_and_what_is_missing_is_counted_and_not_filled_in(
    db: str, tmp_path: Path
) -> None:
    status, out, err = vpp("settle", "readings", "kitakata", "2026-08", "-o", str(tmp_path / "r"), "--db", db)
    assert status == 6
    assert f"{31 * 48 - 48} half hours are not known" in err
    lines = (tmp_path / "r" / "meter.csv").read_text(encoding="utf-8").splitlines()
    assert (lines[0], len(lines)) == ("timestamp,kwh", 49)
    assert lines[1].startswith("2026-08-03T00:30:00+09:00,")
    assert {path.name for path in (tmp_path / "r").iterdir()} == {
        "meter.csv",
        "export.csv",
        "generation-pv.csv",
    }
    assert out.count("Written") == 3


def test_a_statement_is_printed_for_a_person_without_keeping_the_name(db: str, tmp_path: Path) -> None:
    status, out, err = vpp(
        *("paper", "statement", "driver/driver-1", "--month", "2026-08", "--name", "会津 花子"),
        *("--contact", "0242", "-o", str(tmp_path), "--db", db),
        lang="ja",
    )
    assert status == 0, err
    (path,) = tmp_path.glob("statement-driver-driver-1-2026-08.pdf")
    assert str(path) in out
    first, second = (page.extract_text() for page in PdfReader(path).pages)
    assert "会津 花子 様" in first
    assert "You have now" in second
    assert first.count("+40") == 3
    with open_store(f"sqlite:///{db}", read_only=True) as store:
        assert not any(
            "花子" in json.dumps(dict(one.facts), ensure_ascii=False) for one in store.audit_trail()
        )


def test_fairness_withholds_what_would_show_a_person(db: str) -> None:
    words = ("ledger", "fairness", "--people", str(EXAMPLES / "people.csv"), "--month", "2026-08", "--db", db)
    told = json.loads(vpp(*words, "--json")[1])
    assert all(one["withheld"] for one in told["divisions"])
    assert (told["points"], told["gini"]) == (None, None)
    status, out, _ = vpp(*words, "--shops", str(EXAMPLES / "shops.csv"))
    assert status == 0
    assert "120 points" not in out
    assert "small shops: 60" in out
    told = json.loads(vpp(*words[:-4], "--month", "2026-09", "--db", db, "--json")[1])
    assert (told["points"], told["gini"]) == (0, None)
