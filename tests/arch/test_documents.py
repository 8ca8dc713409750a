"""Documents say what is: links lead somewhere, commands exist, names are the code's, pages are current."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from docs import generate
from tests.arch import documents
from tests.arch.rules import ROOT, package_files, tracked
from vpp.ingest.mapping import ImportKind, parse_mapping

PAGES = [path for path in tracked() if path.suffix == ".md"]
SOURCES = [
    path
    for path in tracked()
    if path.suffix in {".py", ".yaml", ".toml"} or path.name in {"NOTICE", "Makefile"}
]
GLOSSARY = ROOT / "docs" / "glossary.md"


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert documents.broken_links(page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# One thing\n\n## Déjà: vu\n", encoding="utf-8")
    page = tmp_path / "a.md"
    page.write_text(
        "[b](b.md) [x](c.md) [t](b.md#one-thing) [u](b.md#two) [w](https://example.org/x) ![p](p.png)\n"
        "```\n[code](nowhere.md)\n```\n",
        encoding="utf-8",
    )
    assert documents.broken_links(page) == ["c.md", "b.md#two", "p.png"]


def test_documents_that_sources_speak_of_exist() -> None:
    lost = {
        f"{path.relative_to(ROOT)}: {mention}"
        for path in SOURCES
        if "tests/arch" not in path.as_posix()
        for mention in documents.mentions(text(path))
        if not documents.leads_somewhere(ROOT, mention)
    }
    assert lost == set()


def test_a_mention_of_a_lost_document_is_found() -> None:
    mentioned = documents.mentions("see docs/glossary.md, docs/adr/0003 and docs/adr/9999, not mydocs/x.md")
    assert mentioned == {"docs/glossary.md", "docs/adr/0003", "docs/adr/9999"}
    assert [m for m in sorted(mentioned) if not documents.leads_somewhere(ROOT, m)] == ["docs/adr/9999"]


def test_every_decision_record_is_on_the_list_with_its_title() -> None:
    folder = ROOT / "docs" / "adr"
    listed = text(folder / "README.md")
    for record in sorted(folder.glob("0*.md")):
        number, title = documents.headings(text(record))[0][1].split(": ", 1)
        assert record.name.startswith(f"{number}-")
        assert f"[{number}]({record.name}) | {title} |" in listed


def test_every_source_that_the_code_cites_is_explained() -> None:
    listed = documents.citations(text(ROOT / "docs" / "reference" / "sources.md"))
    sources = [path for path in SOURCES if path.parent != ROOT / "tests" / "arch"]
    cited = {mark for path in sources for mark in documents.citations(text(path))}
    assert len(cited) > 10
    assert documents.uncovered(cited, listed) == []


def test_a_citation_that_nobody_explains_is_found() -> None:
    cited = documents.citations("# RULES-JP 2.2: levy\nDEVICES section 2.3, RULES-JP T44; RULES-JP 9.9")
    assert cited == {"RULES-JP 2.2", "DEVICES 2.3", "RULES-JP T44", "RULES-JP 9.9"}
    assert documents.uncovered(cited, {"RULES-JP 2.2", "RULES-JP T44", "DEVICES 2"}) == ["RULES-JP 9.9"]


@pytest.mark.parametrize("name", sorted(generate.PAGES))
def test_a_generated_page_says_what_the_code_says(name: str) -> None:
    assert text(generate.REFERENCE / name) == generate.PAGES[name]() + "\n", "run: make docs"


def test_every_mapping_that_the_import_page_shows_can_be_used() -> None:
    page = text(ROOT / "docs" / "how-to" / "import-data.md")
    shown = [
        yaml.safe_load("\n".join(lines)) for language, lines in documents.blocks(page) if language == "yaml"
    ]
    assert {mapping["kind"] for mapping in shown} == set(ImportKind)
    for mapping in shown:
        kind = ImportKind(mapping.pop("kind"))
        assert parse_mapping(kind, mapping).kind is kind


def test_every_target_that_a_page_tells_to_make_exists() -> None:
    targets = documents.make_targets(text(ROOT / "Makefile"))
    asked = [
        words[0] for page in PAGES for program, words in documents.commands(text(page)) if program == "make"
    ]
    assert {"setup", "demo", "test", "check"} <= targets
    assert {"demo", "test"} <= set(asked)
    assert [target for target in asked if target not in targets] == []


def test_commands_are_read_out_of_shell_blocks_only() -> None:
    shell = "```sh\nmake tea # now\nX=1 .venv/bin/vpp plan \\\n  make | less\n```\n"
    page = f"make coffee\n{shell}```yaml\nmake: no\n```\n"
    assert documents.commands(page) == [("make", ["tea"]), ("vpp", ["plan", "make"])]


def test_the_two_front_doors_have_the_same_rooms() -> None:
    levels = [
        [level for level, _ in documents.headings(text(ROOT / name))]
        for name in ("README.md", "README.ja.md")
    ]
    assert levels[0] == levels[1]
    links = [
        set(re.findall(r"\]\((docs/[^)]+)\)", text(ROOT / name))) for name in ("README.md", "README.ja.md")
    ]
    assert links[0] == links[1]


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_a_front_door_shows_results_and_the_command_that_prints_them(name: str) -> None:
    inside = text(ROOT / name).split("<!-- results -->")[1].split("<!-- /results -->")[0]
    assert "|" in inside, "no table"
    assert any(program == "vpp" and words[0] == "simulate" for program, words in documents.commands(inside))


def test_every_name_of_the_glossary_exists_in_the_code() -> None:
    names = documents.code_names(text(GLOSSARY))
    known = documents.identifiers(text(path) for path in package_files().values())
    known |= {part for module in package_files() for part in module.split(".")}
    known |= {path.name for path in (ROOT / "devices").iterdir()}
    assert len(names) > 50
    assert [name for name in names if name not in known] == []


def test_a_name_that_the_code_does_not_know_is_found() -> None:
    table = "| slot | コマ | Half an hour | `Slot`, `halfhour` |\n| Not | But | Because |\n"
    known = documents.identifiers(["class Slot:\n    koma: int"])
    assert [name for name in documents.code_names(table) if name not in known] == ["halfhour"]


def test_every_term_of_the_glossary_has_both_languages() -> None:
    for line in documents.prose(text(GLOSSARY)):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if len(cells) == 4:
            assert all(cells), line
