"""A database that was made once is used again only while all that it was made of is what it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.console import ingredients
from tests.e2e.console.ingredients import ROOT, digest_of, unchanged


def test_what_a_program_reads_is_on_the_list_and_counts(tmp_path: Path) -> None:
    listed = tmp_path / "read.json"
    assert not unchanged(listed)
    order = [sys.executable, "-m", "tests.e2e.console.ingredients", str(listed)]
    subprocess.run([*order, "tokenize", "energy/core/errors.py"], cwd=ROOT, check=True, capture_output=True)
    read = json.loads(listed.read_text(encoding="utf-8"))
    assert {"energy/core/errors.py", "constraints.txt"} <= read.keys()
    assert "energy/core/units.py" not in read
    assert unchanged(listed)
    for changed in ({"energy/core/errors.py": digest_of("constraints.txt")}, {"energy/gone.py": "0"}):
        listed.write_text(json.dumps(read | changed), encoding="utf-8")
        assert not unchanged(listed)


def test_a_new_file_counts_where_a_folder_was_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingredients, "ROOT", tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "one.yaml").write_text("")
    before = digest_of("rules")
    (tmp_path / "rules" / "two.py").write_text("")
    looked = digest_of("rules")
    assert looked != before
    (tmp_path / "rules" / "__init__.py").write_text("")  # now it is a package: modules count when imported
    assert digest_of("rules") == before
    (tmp_path / "rules" / "three.yaml").write_text("")
    assert digest_of("rules") not in {before, looked}
