"""Participants, shops and notified values: strict files, every fault named by line and column."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from energy.core.errors import DataError
from energy.core.slots import parse_jst, slots_of_day
from vpp.settlement.market_files import read_notified, read_people, read_shops

DAY = date(2026, 11, 25)


def notified(folder: Path, *more: str, kwh: int = 12, skip: int = 0) -> Path:
    path = folder / "fit.csv"
    rows = [
        f"{slot.start.isoformat()},{kwh},2026-11-23T16:00+09:00"
        for slot in slots_of_day(DAY)
        if slot.koma != skip
    ]
    path.write_text("\n".join(["slot_start,kwh,notified_at", *rows, *more]) + "\n", encoding="utf-8")
    return path


def test_the_newest_notification_before_now_is_copied_as_it_is(tmp_path: Path) -> None:
    path = notified(tmp_path, "2026-11-25T00:00+09:00,20,2026-11-24T06:00+09:00")
    before, after = (
        read_notified(path, "fit-tohoku", DAY, at=parse_jst(at))
        for at in ("2026-11-24 05:59", "2026-11-24 06:00")
    )
    assert (before.kwh[0], after.kwh[0], after.kwh[1]) == (12, 20, 12)
    assert (after.side, after.party) == ("buy", "fit-tohoku")


def test_what_was_not_notified_yet_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="48 of 48"):
        read_notified(notified(tmp_path), "fit", DAY, at=parse_jst("2026-11-23 15:59"))
    with pytest.raises(DataError, match="1 of 48") as told:
        read_notified(notified(tmp_path, skip=7), "fit", DAY, at=parse_jst("2026-11-24 10:00"))
    assert "slot 7" in told.value.where


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2026-11-25T00:00+09:00,12.5,2026-11-24T06:00+09:00", "kwh"),
        ("2026-11-25T00:00+09:00,-3,2026-11-24T06:00+09:00", "kwh"),
        ("2026-11-25T00:00+09:00,12,2026-11-23T16:00+09:00", "twice at once"),
        ("2026-11-25T00:10+09:00,12,2026-11-24T06:00+09:00", "half hour"),
    ],
)
def test_a_notified_row_that_cannot_be_is_refused(tmp_path: Path, row: str, why: str) -> None:
    with pytest.raises(DataError) as told:
        read_notified(notified(tmp_path, row), "fit", DAY, at=parse_jst("2026-11-24 10:00"))
    assert why in str(told.value)


def test_people_and_shops_are_read_and_a_wrong_cell_is_named(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("account,kind,employer,ev\ndriver/a,employee,works,yes\nhousehold/b,resident,,no\n")
    assert [(one.kind, one.ev) for one in read_people(path)] == [("employee", True), ("resident", False)]
    for row, column in (
        ("driver/a,boss,,yes", "kind"),
        ("driver/a,resident,,maybe", "ev"),
        ("a b,resident,,no", "account"),
    ):
        path.write_text(f"account,kind,employer,ev\n{row}\n")
        with pytest.raises(DataError) as told:
            read_people(path)
        assert f"line 2, {column}" in told.value.where
    path.write_text("shop,size,points\ns-1,small,12\n")
    assert read_shops(path)[0].points == 12
    path.write_text("shop,points\ns-1,12\n")
    with pytest.raises(DataError, match="size"):
        read_shops(path)
