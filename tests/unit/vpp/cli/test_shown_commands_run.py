"""The commands that the examples and the page on settlement show run as they stand."""

from __future__ import annotations

import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from energy.core.slots import parse_jst
from tests.arch.documents import blocks
from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp

MORNING, EVENING = parse_jst("2026-11-24 09:00"), parse_jst("2026-11-25 20:00")
OK, PARTIAL = 0, 6  # the example site may not enrol: its error is large, and that is what status 6 says


def shown(page: Path) -> list[list[str]]:
    text = page.read_text(encoding="utf-8")
    lines = [line for language, inside in blocks(text) if language == "sh" for line in inside]
    return [shlex.split(line)[1:] for line in lines if line.startswith("vpp ")]


@pytest.mark.parametrize(("name", "lang"), [("examples/README.md", "en"), ("docs/how-to/settle.md", "ja")])
def test_what_a_page_shows_runs_in_order(
    name: str, lang: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VPP_DB", raising=False)
    commands = shown(ROOT / name)
    assert len(commands) >= 6
    assert not [words for words in commands if words[0] == "simulate"], "takes minutes: show it as text"
    for minute, words in enumerate(commands):
        over = words[:2] in (["dr", "settle"], ["dr", "baseline"])
        at = (EVENING if over else MORNING) + timedelta(minutes=minute)
        status, out, err = vpp(*words, lang=lang, at=at)
        assert status == (PARTIAL if words[:2] == ["dr", "check"] else OK), f"{' '.join(words)}\n{err}"
        assert out
