"""The bill of materials names what is installed and what we test with."""

from __future__ import annotations

import json
import re
from importlib.metadata import PathDistribution, distributions
from pathlib import Path
from typing import Any

import pytest

from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp
from vpp.ops.sbom import bill_of_materials


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    return bill_of_materials(distributions())


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(folder: Path, name: str, *lines: str) -> PathDistribution:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    head = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines]
    (info / "METADATA").write_text("\n".join(head) + "\n", encoding="utf-8")
    return PathDistribution(info)


def test_every_package_of_the_tested_set_is_named_with_the_version_that_is_installed(
    bill: dict[str, Any],
) -> None:
    named = {one["name"]: one["version"] for one in bill["components"]}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {plain(line.partition("==")[0]) for line in lines if "==" in line}
    there = {plain(one.metadata["Name"]): one.version for one in distributions()}
    assert len(tested) > 100
    assert tested & set(there) <= set(named)
    assert {name: there[name] for name in named} == named


def test_what_the_program_needs_first_is_below_it_and_every_reference_leads_somewhere(
    bill: dict[str, Any],
) -> None:
    below = {one["ref"]: one["dependsOn"] for one in bill["dependencies"]}
    own = {ref.partition("@")[0] for ref in below[bill["metadata"]["component"]["bom-ref"]]}
    assert {"pkg:pypi/highspy", "pkg:pypi/pyomo", "pkg:pypi/fastapi", "pkg:pypi/numpy"} <= own
    assert {ref for refs in below.values() for ref in refs} <= set(below)


def test_licences_are_taken_from_where_a_package_says_them(tmp_path: Path) -> None:
    found = bill_of_materials(
        [
            installed(tmp_path, "new", "License-Expression: MIT OR Apache-2.0"),
            installed(tmp_path, "old", "License: BSD", "Requires-Dist: New ; extra == 'more'"),
            installed(tmp_path, "older", "Classifier: License :: OSI Approved :: MIT License"),
            installed(tmp_path, "long", f"License: {'as is ' * 40}"),
            installed(
                tmp_path, "silent", "Requires-Dist: absent>=1", "Requires-Dist: old ; python_version < '3'"
            ),
        ]
    )
    assert [one.get("licenses") for one in found["components"]] == [
        None,
        [{"expression": "MIT OR Apache-2.0"}],
        [{"license": {"name": "BSD"}}],
        [{"license": {"name": "MIT License"}}],
        None,
    ]
    assert {one["ref"]: one["dependsOn"] for one in found["dependencies"]}["pkg:pypi/silent@1.0"] == []


def test_the_command_prints_the_document_and_nothing_else(bill: dict[str, Any]) -> None:
    status, out, err = vpp("doctor", "--sbom")
    assert (status, err) == (0, "")
    assert json.loads(out) == bill
