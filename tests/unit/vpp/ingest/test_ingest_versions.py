"""Importing twice changes nothing; a corrected file appends only what changed; a failure leaves nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energy.core.errors import DataError
from energy.core.measurement import Quality
from energy.core.series import Grid, Unit
from energy.core.slots import parse_jst
from energy.core.units import SeriesId
from energy.store import AppendReport, Point, SqlStore, open_store
from vpp.ingest import ImportKind, ImportReport, MeterMapping, import_file

SERIES = SeriesId("kitakata/meter/import_kwh")
START = parse_jst("2026-11-01 00:00")
FIRST_IMPORT = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = open_store("sqlite://", durability="process")
    yield opened
    opened.close()


def write(path: Path, values: list[float]) -> Path:
    stamps = (START + timedelta(minutes=30) * (k + 1) for k in range(len(values)))
    lines = [f"{stamp.isoformat()},{value}" for stamp, value in zip(stamps, values, strict=True)]
    path.write_text("\n".join(["timestamp,kwh", *lines, ""]))
    return path


def load(
    store: SqlStore, path: Path, known_at: datetime, *, again: bool = False, known: str = "published"
) -> ImportReport:
    mapping = MeterMapping.model_validate({"series": SERIES, "known": known})
    return import_file(path, ImportKind.METER, store=store, known_at=known_at, mapping=mapping, again=again)


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.written, report.corrected, report.unchanged, report.superseded


def seen(store: SqlStore, at: datetime, count: int = 3) -> list[float]:
    return store.as_of(at).series(SERIES, Grid(START, count), Unit.KWH).values.tolist()


def test_importing_twice_changes_nothing(store: SqlStore, tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", [1, 2, 3])
    assert counts(load(store, path, FIRST_IMPORT)) == (3, 0, 0, 0)
    for later in (timedelta(0), HOUR, timedelta(days=400)):
        assert counts(load(store, path, FIRST_IMPORT + later)) == (0, 0, 3, 0)


def test_a_half_hour_imported_later_is_known_since_it_ended(store: SqlStore, tmp_path: Path) -> None:
    load(store, write(tmp_path / "m.csv", [1, 2]), FIRST_IMPORT)
    end = START + timedelta(minutes=30)
    assert store.as_of(end - timedelta(microseconds=1)).latest(SERIES) is None
    assert store.as_of(end).latest(SERIES).value == 1.0


def test_a_growing_file_adds_only_its_new_rows(store: SqlStore, tmp_path: Path) -> None:
    load(store, write(tmp_path / "m.csv", [1, 2]), FIRST_IMPORT)
    report = load(store, write(tmp_path / "m.csv", [1, 2, 3]), FIRST_IMPORT + HOUR)
    assert counts(report) == (1, 0, 2, 0)


def test_a_corrected_file_appends_only_what_changed_and_the_past_still_sees_the_old(
    store: SqlStore, tmp_path: Path
) -> None:
    load(store, write(tmp_path / "m.csv", [1, 2, 3]), FIRST_IMPORT)
    corrected_at = FIRST_IMPORT + HOUR
    report = load(store, write(tmp_path / "m.csv", [1, 20, 3]), corrected_at)
    assert counts(report) == (0, 1, 2, 0)
    assert seen(store, corrected_at - timedelta(seconds=1)) == [1.0, 2.0, 3.0]
    assert seen(store, corrected_at) == [1.0, 20.0, 3.0]


def test_the_old_file_once_more_does_not_undo_the_correction(store: SqlStore, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.csv", [1, 2, 3]), write(tmp_path / "new.csv", [1, 20, 3])
    load(store, old, FIRST_IMPORT)
    load(store, new, FIRST_IMPORT + HOUR)
    for repeat in range(2, 5):
        assert counts(load(store, old, FIRST_IMPORT + repeat * HOUR)) == (0, 0, 2, 1)
        assert counts(load(store, new, FIRST_IMPORT + repeat * HOUR)) == (0, 0, 3, 0)
    assert seen(store, FIRST_IMPORT + 9 * HOUR) == [1.0, 20.0, 3.0]


def test_a_second_correction_back_to_the_first_value_is_taken_from_a_new_file(
    store: SqlStore, tmp_path: Path
) -> None:
    load(store, write(tmp_path / "m.csv", [1, 2, 3]), FIRST_IMPORT)
    load(store, write(tmp_path / "m.csv", [1, 20, 3]), FIRST_IMPORT + HOUR)
    third = write(tmp_path / "m.csv", [1, 2, 3, 4])
    assert counts(load(store, third, FIRST_IMPORT + 2 * HOUR)) == (1, 1, 2, 0)
    assert seen(store, FIRST_IMPORT + 3 * HOUR) == [1.0, 2.0, 3.0]


def test_an_old_file_wins_again_when_told_so(store: SqlStore, tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.csv", [1, 2, 3]), write(tmp_path / "new.csv", [1, 20, 3])
    load(store, old, FIRST_IMPORT)
    load(store, new, FIRST_IMPORT + HOUR)
    assert counts(load(store, old, FIRST_IMPORT + 2 * HOUR, again=True)) == (0, 1, 2, 0)
    assert seen(store, FIRST_IMPORT + 2 * HOUR) == [1.0, 2.0, 3.0]


def test_two_different_files_at_the_same_instant_are_refused(store: SqlStore, tmp_path: Path) -> None:
    load(store, write(tmp_path / "m.csv", [1, 2]), FIRST_IMPORT)
    load(store, write(tmp_path / "m.csv", [1, 20]), FIRST_IMPORT + HOUR)
    with pytest.raises(DataError, match="very instant"):
        load(store, write(tmp_path / "m.csv", [1, 21]), FIRST_IMPORT + HOUR)
    assert seen(store, FIRST_IMPORT + HOUR, 2) == [1.0, 20.0]


def test_a_value_known_to_be_invalid_is_replaced(store: SqlStore, tmp_path: Path) -> None:
    end = START + timedelta(minutes=30)
    broken = Point(
        series=SERIES, at=START, known_at=end, value=None, quality=Quality.INVALID, source="meter:site"
    )
    store.append([broken])
    assert counts(load(store, write(tmp_path / "m.csv", [1, 2]), FIRST_IMPORT)) == (1, 1, 0, 0)
    assert seen(store, FIRST_IMPORT, 2) == [1.0, 2.0]


def test_values_whose_publication_is_unknown_count_from_the_import(store: SqlStore, tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", [1, 2])
    assert counts(load(store, path, FIRST_IMPORT, known="imported")) == (2, 0, 0, 0)
    assert store.as_of(FIRST_IMPORT - timedelta(seconds=1)).latest(SERIES) is None
    assert counts(load(store, path, FIRST_IMPORT + HOUR, known="imported")) == (0, 0, 2, 0)


def test_a_point_remembers_its_kind_file_and_fingerprint(store: SqlStore, tmp_path: Path) -> None:
    load(store, write(tmp_path / "m.csv", [1]), FIRST_IMPORT)
    source = store.as_of(FIRST_IMPORT).latest(SERIES).source
    assert source.startswith("meter:m.csv#")
    assert len(source) == len("meter:m.csv#") + 12


def test_a_failure_while_writing_leaves_neither_points_nor_receipt(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "m.csv", [1, 2, 3])
    real = store.append

    def breaks_after_writing(points: Iterable[Point]) -> AppendReport:
        real(points)
        raise OSError(28, "no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store, "append", breaks_after_writing)
        with pytest.raises(OSError, match="no space"):
            load(store, path, FIRST_IMPORT)
    assert store.as_of(FIRST_IMPORT).ids() == []
    assert store.as_of(FIRST_IMPORT).documents("import") == []
    assert counts(load(store, path, FIRST_IMPORT)) == (3, 0, 0, 0)
