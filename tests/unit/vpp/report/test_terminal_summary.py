"""The terminal summary: the sentence first, columns that line up in both languages.

Golden files are written anew with ``VPP_TEST_UPDATE_GOLDEN=1``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.vpp.report.synthetic import synthetic_document
from vpp.i18n import LANGUAGES, Lang
from vpp.report.axes import display_width
from vpp.report.terminal import aligned, render_summary
from vpp.table import Table

GOLDEN = Path(__file__).parents[3] / "golden" / "report"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_summary_is_the_golden_one(lang: Lang) -> None:
    text = render_summary(synthetic_document(), lang)
    path = GOLDEN / f"summary.{lang}.txt"
    if os.environ.get("VPP_TEST_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_all_rows_of_the_table_are_equally_wide(lang: Lang) -> None:
    lines = render_summary(synthetic_document(), lang).splitlines()
    rule = next(number for number, line in enumerate(lines) if line and set(line) == {"-"})
    rows = lines[rule - 1 : lines.index("", rule)]
    assert len(rows) == 14
    assert {display_width(row) for row in rows} == {len(lines[rule])}


def test_wide_words_push_numbers_to_the_same_edge() -> None:
    table = Table("", ("", "制御", "b"), (("電気代", "1円", "22"), ("x", "10円", "3")))
    assert aligned(table).splitlines() == [
        "        制御   b",
        "----------------",
        "電気代   1円  22",
        "x       10円   3",
    ]


def test_a_summary_without_cautions_has_no_empty_heading() -> None:
    assert "Mind these" in render_summary(synthetic_document(), "en")
    assert "Mind these" not in render_summary(synthetic_document(controllers=("none",)), "en")
