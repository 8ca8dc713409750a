"""``vpp market imbalance``: planned slots settled by the rules of their date; what is missing is named."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp

EXAMPLES = ROOT / "examples"
FIRST = datetime.fromisoformat("2026-10-01T00:00+09:00")
HALF_HOUR = timedelta(minutes=30)


def write(path: Path, header: str, rows: list[tuple[datetime, object]]) -> Path:
    path.write_text(
        "\n".join([header, *(f"{at.isoformat()},{value}" for at, value in rows)]) + "\n", encoding="utf-8"
    )
    return path


def files(
    folder: Path, *, plan: object = 500, used: object = 503.5, price: object = 30, margin: object = 5.5
) -> list[str]:
    """One slot before and one after the change of the rules at midnight of 1 October 2026."""
    starts = [FIRST - HALF_HOUR, FIRST]
    return [
        *("--plan", str(write(folder / "plan.csv", "slot_start,kwh", [(at, plan) for at in starts]))),
        *(
            "--meter",
            str(write(folder / "meter.csv", "timestamp,kwh", [(at + HALF_HOUR, used) for at in starts])),
        ),
        *(
            "--price",
            str(write(folder / "price.csv", "slot_start,yen_per_kwh", [(at, price) for at in starts])),
        ),
        *(
            "--margin",
            str(write(folder / "margin.csv", "slot_start,percent", [(at, margin) for at in starts])),
        ),
        *("--area", "tohoku"),
    ]


def settled(*words: str) -> dict[str, object]:
    status, out, err = vpp("market", "imbalance", *words, "--json")
    assert status == 0, err
    return dict(json.loads(out))


def test_a_shortage_is_paid_at_the_price_of_its_date(tmp_path: Path) -> None:
    told = settled(*files(tmp_path), "--loss", "0.05")
    assert told == {
        "slots": [
            {
                "start": start,
                "plan_kwh": 500,
                "metered_kwh": 503.5,
                "sending_end_kwh": 530,
                "imbalance_kwh": -30,
                "price_yen_per_kwh": price,
                "yen": yen,
            }
            for start, price, yen in (
                ("2026-09-30T23:30:00+09:00", 122.5, -3675),
                ("2026-10-01T00:00:00+09:00", 175, -5250),
            )
        ],
        "total_yen": -8925,
    }


def test_the_loss_rate_of_the_rules_is_used_and_named_as_unverified(tmp_path: Path) -> None:
    words = files(tmp_path)
    status, out, err = vpp("market", "imbalance", *words, "--json", "--explain")
    assert status == 0
    told = json.loads(out)
    assert told["slots"][0]["sending_end_kwh"] == 530
    assert "UNVERIFIED number: loss_rates.high = 0.05" in err
    assert {"loss_rates.high"} == {one["rule"] for one in told["rules"] if one["rule"].startswith("loss")}
    low = settled(*words, "--voltage", "low")
    assert low["total_yen"] != -8925


def test_a_final_price_replaces_the_preliminary_one_and_the_rest_is_told(tmp_path: Path) -> None:
    words = files(tmp_path, margin=20)
    path = tmp_path / "price.csv"
    rows = [f"{FIRST.isoformat()},40,preliminary", f"{(FIRST - HALF_HOUR).isoformat()},40,preliminary"]
    path.write_text("\n".join(["slot_start,yen_per_kwh,status", *rows]), encoding="utf-8")
    early = settled(*words, "--loss", "0.05", "--explain")
    assert (early["total_yen"], len(early["preliminary"])) == (-2400, 2)  # type: ignore[arg-type]
    path.write_text(
        "\n".join(["slot_start,yen_per_kwh,status", *rows, f"{FIRST.isoformat()},50,final"]), encoding="utf-8"
    )
    later = settled(*words, "--loss", "0.05", "--explain")
    assert (later["total_yen"], len(later["preliminary"])) == (-2700, 1)  # type: ignore[arg-type]


def test_many_dear_slots_before_cap_the_scarcity_price(tmp_path: Path) -> None:
    words = files(tmp_path, margin=2)
    start = FIRST + timedelta(days=10)
    write(tmp_path / "plan.csv", "slot_start,kwh", [(start, 500)])
    write(tmp_path / "meter.csv", "timestamp,kwh", [(start + HALF_HOUR, 503.5)])
    write(tmp_path / "price.csv", "slot_start,yen_per_kwh", [(start, 30)])
    write(tmp_path / "margin.csv", "slot_start,percent", [(start, 2)])
    spot = [(FIRST + k * HALF_HOUR, 220 if 400 <= k < 430 else 12) for k in range(480)]
    capped = settled(
        *words, "--loss", "0.05", "--spot", str(write(tmp_path / "s.csv", "slot_start,yen_per_kwh", spot))
    )
    assert capped["total_yen"] == -30 * 100
    assert settled(*words, "--loss", "0.05")["total_yen"] == -30 * 300
    status, _, err = vpp(
        "market",
        "imbalance",
        *words,
        "--spot",
        str(write(tmp_path / "s.csv", "slot_start,yen_per_kwh", spot[300:])),
    )
    assert status == 3
    assert "begin too late" in err


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("meter.csv", "timestamp,kwh\n2026-10-01T00:30+09:00,5\n", "the meter lacks 1 of 2 planned slots"),
        ("price.csv", "slot_start,yen_per_kwh\n2026-10-01T00:00+09:00,5\n", "the price lacks 1 of 2"),
        ("margin.csv", "slot_start,percent\n2026-10-01T00:00+09:00,5\n", "the margin lacks 1 of 2"),
        ("margin.csv", "slot_start,margin\n2026-10-01T00:00+09:00,5\n", "no column 'percent'"),
        (
            "price.csv",
            "slot_start,yen_per_kwh,status\n2026-10-01T00:00+09:00,5,soon\n",
            "neither preliminary",
        ),
        ("plan.csv", "slot_start,kwh\n2026-10-01T00:10+09:00,5\n", "not on a half hour"),
    ],
)
def test_what_is_missing_or_wrong_is_named_and_nothing_is_settled(
    tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    words = files(tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    status, out, err = vpp("market", "imbalance", *words)
    assert (status, out) == (3, "")
    assert complaint in err


def test_an_area_or_a_loss_rate_that_cannot_be_is_a_usage_error(tmp_path: Path) -> None:
    words = files(tmp_path)
    assert vpp("market", "imbalance", *words[:-1], "aizu")[0] == 2
    assert vpp("market", "imbalance", *words, "--loss", "5")[0] == 2


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_shipped_example_is_settled(lang: str) -> None:
    names = {"plan": "plan", "meter": "meter", "price": "imbalance-price", "margin": "margin", "spot": "spot"}
    words = [word for option, name in names.items() for word in (f"--{option}", f"{EXAMPLES}/{name}.csv")]
    status, out, _ = vpp("market", "imbalance", *words, "--area", "tohoku", lang=lang)
    assert status == 0
    assert len(out.splitlines()) == 51


def test_without_spot_prices_the_history_of_the_price_file_stands_in_and_says_so(tmp_path: Path) -> None:
    words = files(tmp_path)
    start = datetime.fromisoformat("2026-12-11T00:00+09:00")  # RULES-JP T18
    write(tmp_path / "plan.csv", "slot_start,kwh", [(start, 500)])
    write(tmp_path / "meter.csv", "timestamp,kwh", [(start + HALF_HOUR, 503.5)])
    write(tmp_path / "margin.csv", "slot_start,percent", [(start, 2)])
    last = start - 9 * HALF_HOUR  # slot 40 of 10 December
    for count, base, price in ((30, 50, 100), (30, 150, 150), (29, 50, 300)):
        history = [(last - k * 10 * HALF_HOUR, 200) for k in range(count)]
        write(tmp_path / "price.csv", "slot_start,yen_per_kwh", [*history, (start, base)])
        status, out, err = vpp("market", "imbalance", *words, "--loss", "0.05", "--json")
        assert status == 0
        assert json.loads(out)["slots"][0]["price_yen_per_kwh"] == price
        assert ("stands in for the spot price" in err) is (count == 30)
