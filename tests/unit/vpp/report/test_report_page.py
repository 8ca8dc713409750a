"""The page: one file that needs nothing from outside, says everything by key, and reads without a mouse."""

from __future__ import annotations

import base64
import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources
from itertools import pairwise
from pathlib import Path

import pytest

from energy.core.errors import DataError
from tests.unit.vpp.report.synthetic import synthetic_document
from vpp.i18n import LANGUAGES, Lang, Messages
from vpp.report.html import file_name, render_report, write_report
from vpp.simulation.results import Controller, SimulationDocument

VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}
PAGES = {lang: render_report(synthetic_document(), lang) for lang in LANGUAGES}


class Page(HTMLParser):
    """Reads a page and keeps what the tests ask about; a tag closed in the wrong order is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.stack or self.stack.pop() != tag:
            self.errors.append(f"</{tag}> at {self.getpos()}")

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append((self.stack[-1] if self.stack else "", data.strip()))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def without_base64(text: str) -> str:
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,", text)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_tag_is_closed_where_it_was_opened(lang: Lang) -> None:
    page = Page(PAGES[lang])
    assert page.errors == []
    assert page.stack == []


@pytest.mark.parametrize("lang", LANGUAGES)
def test_nothing_is_fetched_from_outside(lang: Lang) -> None:
    text = without_base64(PAGES[lang])
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+[^\s\"'<)]*", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG, not a place
    assert "url(http" not in text
    assert "@import" not in text
    loads = [attrs for _, attrs in Page(text).tags if "src" in attrs or ("href" in attrs)]
    assert {attrs["href"].partition(",")[0] for attrs in loads} == {
        file_name(Messages(lang).other),
        "data:text/csv;charset=utf-8;base64",
    }


@pytest.mark.parametrize("lang", LANGUAGES)
def test_there_is_no_script_and_no_style_on_an_element(lang: Lang) -> None:
    page = Page(PAGES[lang])
    assert page.count("script") == 0
    for _, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_picture_has_a_table_and_a_csv_with_the_same_rows(lang: Lang) -> None:
    text = PAGES[lang]
    page = Page(text)
    figures = page.count("figure")
    assert figures == 4 + 4 + 3 + 1  # demand and the day, cars, rooms, coins
    assert page.count("details") == page.count("summary") == figures
    blocks = re.findall(
        r"<figure id=\"([\w-]+)\">.*?base64,([A-Za-z0-9+/=]+).*?<tbody>(.*?)</tbody>", text, re.S
    )
    assert len(blocks) == figures
    for name, encoded, body in blocks:
        content = base64.b64decode(encoded).decode("utf-8")
        assert content.startswith("\ufeff"), name
        rows = list(csv.reader(io.StringIO(content[1:])))
        assert len(rows) - 1 == body.count("<tr>"), name
        assert len({len(row) for row in rows}) == 1, name


@pytest.mark.parametrize("lang", LANGUAGES)
def test_headings_go_down_one_level_at_a_time(lang: Lang) -> None:
    levels = [int(tag[1]) for tag, _ in Page(PAGES[lang]).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_ids_are_unique_and_labels_lead_to_them(lang: Lang) -> None:
    tags = Page(PAGES[lang]).tags
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in tags:
        for name in attrs.get("aria-labelledby", "").split():
            assert name in ids


@pytest.mark.parametrize("lang", LANGUAGES)
def test_tables_name_their_rows_and_columns(lang: Lang) -> None:
    tags = Page(PAGES[lang]).tags
    assert all(attrs.get("scope") in {"row", "col"} for tag, attrs in tags if tag == "th")
    assert dict(tags)["html"]["lang"] == lang


def test_the_template_has_no_word_of_its_own() -> None:
    """Everything a person reads comes by key: the template holds tags and holes only."""
    source = (resources.files("vpp.report") / "templates" / "report.html.j2").read_text(encoding="utf-8")
    bare = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", source, flags=re.S)
    assert not re.findall(r"\w+", re.sub(r"<[^>]*>", "", bare))


def test_the_english_page_has_no_japanese_beside_the_switch() -> None:
    document = replace(synthetic_document(), assumptions=())
    words = [
        text for tag, text in Page(without_base64(render_report(document, "en"))).words if tag != "style"
    ]
    japanese = [text for text in words if re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", text)]
    assert japanese == ["日本語"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_number_on_the_page_carries_a_bare_minus(lang: Lang) -> None:
    for tag, text in Page(PAGES[lang]).words:
        if tag not in {"style", "code"}:
            assert not re.search(r"(?<![\d:])[-\u2212]\d", text), text


def test_names_from_outside_are_escaped() -> None:
    document = replace(
        synthetic_document(days=1),
        title_en="<script>alert(1)</script>",
        names={"ev-leaf": ("<b>", "<b>&"), "zone-office": ("<i>", '"><img src=x>')},
        command="vpp simulate '<x>'",
    )
    page = Page(render_report(document, "en"))
    assert page.errors == []
    assert {"script", "b", "i", "img", "x"} & {tag for tag, _ in page.tags} == set()


@pytest.mark.parametrize(
    "controllers",
    [
        ("none",),
        ("optimal",),
        ("perfect",),
        ("none", "rules"),
        ("rules", "optimal"),
        ("optimal-p50", "optimal"),
    ],
)
def test_any_choice_of_controllers_makes_a_page(controllers: tuple[Controller, ...]) -> None:
    document = synthetic_document(days=1, controllers=controllers)
    for lang in LANGUAGES:
        page = Page(render_report(document, lang))
        assert page.errors == []
        assert (f"--compare {','.join(controllers)}" in " ".join(text for _, text in page.words)) is True


def test_a_site_without_cars_rooms_or_reasons_makes_a_page() -> None:
    full = synthetic_document(days=1)
    bare: SimulationDocument = replace(
        full,
        names={},
        runs=tuple(
            replace(
                run,
                trace=replace(run.trace, cars={}, zones={}, reasons={}),
                coin_grants=(),
                forecast_scores=(),
            )
            for run in full.runs
        ),
    )
    page = Page(render_report(bare, "ja"))
    assert page.errors == []
    assert page.count("figure") == 4


def test_a_document_without_runs_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no run"):
        write_report(replace(synthetic_document(days=1), runs=()), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_both_languages_are_written_whole_and_lead_to_each_other(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    paths = write_report(synthetic_document(days=1), target)
    assert [path.name for path in paths] == ["report.ja.html", "report.en.html"]
    assert sorted(path.name for path in target.iterdir()) == ["report.en.html", "report.ja.html"]
    for path, other in zip(paths, reversed(paths), strict=True):
        text = path.read_text(encoding="utf-8")
        assert text.rstrip().endswith("</html>")
        assert f'href="{other.name}"' in text


def test_a_report_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = synthetic_document(days=1)
    write_report(document, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def no_space(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_report(replace(document, title_ja="新しい"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_same_document_gives_the_same_page() -> None:
    assert render_report(synthetic_document(), "ja") == PAGES["ja"]
