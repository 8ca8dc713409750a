"""Settlements are kept by version: the same again is the same version, a correction the next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from energy.core.errors import DataError
from energy.store import SqlStore, open_store
from vpp.settlement.record import Derivation, Evidence, KeptSettlement, SettlementBook

AT = datetime(2026, 12, 5, tzinfo=UTC)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = open_store("sqlite://", durability="process")
    yield opened
    opened.close()


def file(role: str, text: str, name: str = "f.csv") -> Evidence:
    return Evidence(role=role, name=name, sha256=sha256(text.encode()).hexdigest(), text=text)


def settlement(total: int = 100, meter: str = "timestamp,kwh\nrow,1\n", **changes: Any) -> KeptSettlement:
    told: dict[str, Any] = {
        "what": "imbalance",
        "subject": "bg-aizu",
        "period": "2026-11",
        "figures": {"total_yen": total},
        "trace": {"total_yen": Derivation(how="sum")},
        "evidence": [file("meter", meter)],
    }
    return KeptSettlement(**(told | changes))


def test_settling_again_is_the_version_that_stands_there(store: SqlStore) -> None:
    book = SettlementBook(store)
    first = book.keep(settlement(), at=AT, actor="ito")
    renamed = settlement(evidence=[file("meter", "timestamp,kwh\nrow,1\n", name="copy.csv")])
    again = book.keep(renamed, at=AT + timedelta(days=1), actor="ito")
    assert (first.id, first.new) == ("imbalance/bg-aizu/2026-11/v1", True)
    assert (again.id, again.new) == (first.id, False)
    assert len(store.audit_trail("settlement/imbalance/bg-aizu/2026-11")) == 1


def test_a_correction_is_the_next_version_and_says_what_changed(store: SqlStore) -> None:
    book = SettlementBook(store)
    book.keep(settlement(notes=("8 slots have a preliminary price",)), at=AT, actor="ito")
    final = book.keep(
        settlement(120, meter="timestamp,kwh\nrow,2\n"), at=AT + timedelta(days=60), actor="ito"
    )
    assert final.id.endswith("/v2")
    assert [why.split(":")[0] for why in final.because] == ["evidence meter", "total_yen", "notes"]
    assert "100 -> 120" in final.because[1]
    assert [told["figures"]["total_yen"] for told in book.versions("imbalance/bg-aizu/2026-11")] == [100, 120]
    assert book.find("imbalance/bg-aizu/2026-11/v1")["figures"] == {"total_yen": 100}  # type: ignore[index]


def test_going_back_to_older_figures_is_a_version_of_its_own(store: SqlStore) -> None:
    book = SettlementBook(store)
    for number, total in enumerate((100, 120, 100), start=1):
        assert book.keep(settlement(total), at=AT + timedelta(days=number), actor="ito").version == number


def test_the_files_are_kept_as_they_were_read(store: SqlStore) -> None:
    book, made = SettlementBook(store), settlement()
    book.keep(made, at=AT, actor="ito")
    assert book.evidence(made.evidence[0].sha256) == made.evidence[0].text
    assert book.evidence("0" * 64) is None


def test_ten_versions_are_in_order(store: SqlStore) -> None:
    book = SettlementBook(store)
    for number in range(1, 12):
        book.keep(settlement(number), at=AT + timedelta(days=number), actor="ito")
    assert [told["version"] for told in book.versions("imbalance/bg-aizu/2026-11")] == list(range(1, 12))
    assert book.newest("imbalance/bg-aizu/2026-11")["version"] == 11  # type: ignore[index]


@pytest.mark.parametrize("name", ["", "a/b", " a"])
def test_a_name_that_cannot_be_found_again_is_refused(store: SqlStore, name: str) -> None:
    with pytest.raises(DataError, match="cannot name a settlement"):
        SettlementBook(store).keep(settlement(subject=name), at=AT, actor="ito")
