"""What the program runs from, as a bill of materials that other programs read (CycloneDX)."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

__all__ = ["bill_of_materials"]

DISTRIBUTION: Final = "aizu-vpp"
_SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_LONGEST_LICENCE: Final = 100  # some distributions write the whole text where its name belongs


@dataclass(frozen=True, slots=True)
class _Package:
    """One installed distribution and what it says of itself."""

    name: str
    version: str
    metadata: importlib.metadata.PackageMetadata

    @property
    def reference(self) -> str:
        """Package URL, by which the world knows it."""
        return f"pkg:pypi/{self.name}@{self.version}"

    def _told(self, field: str) -> list[str]:
        return [str(text) for text in self.metadata.get_all(field) or ()]

    def component(self) -> dict[str, Any]:
        """As the bill names it."""
        told = {"type": "library", "bom-ref": self.reference, "name": self.name}
        told |= {"version": self.version, "purl": self.reference}
        licence = self._licence()
        return {**told, "licenses": [licence]} if licence else told

    def _licence(self) -> dict[str, Any] | None:
        """By SPDX expression, by name, or by the classifiers of old packages."""
        for expression in self._told("License-Expression"):
            return {"expression": expression}
        for name in self._told("License"):
            if name.strip() and "\n" not in name and len(name) <= _LONGEST_LICENCE:
                return {"license": {"name": name}}
        for text in self._told("Classifier"):
            if text.startswith("License :: "):
                return {"license": {"name": text.rpartition(" :: ")[2]}}
        return None

    def needs(self, references: dict[str, str]) -> list[str]:
        """What it needs, of what is installed; what an extra asks for counts when it is there."""
        needed, extras = set(), ("", *self._told("Provides-Extra"))
        for text in self._told("Requires-Dist"):
            try:
                requirement = Requirement(" ".join(text.split()))
            except InvalidRequirement:
                continue  # old packages are not always valid; pip installed them all the same
            name, marker = canonicalize_name(requirement.name), requirement.marker
            if name not in references:
                continue
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                needed.add(references[name])
        return sorted(needed)


def bill_of_materials(found: Iterable[importlib.metadata.Distribution]) -> dict[str, Any]:
    """Everything that is installed beside the program, with version, licence and what needs what.

    Parameters
    ----------
    found : iterable of Distribution
        Those on the search path; of two with one name the first counts, as for an import.

    Returns
    -------
    dict
        A JSON document of CycloneDX 1.6 [1]_, the same for the same packages.

    References
    ----------
    .. [1] OWASP, CycloneDX 1.6 (ECMA-424, 1st edition, June 2024).
    """
    installed: dict[str, _Package] = {}
    for one in found:
        metadata = one.metadata  # read and parsed whenever it is asked for
        name = canonicalize_name(metadata["Name"])
        installed.setdefault(name, _Package(name, one.version, metadata))
    own = installed.get(DISTRIBUTION)
    references = {name: one.reference for name, one in sorted(installed.items())}
    return {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": references.get(DISTRIBUTION, DISTRIBUTION),
                "name": DISTRIBUTION,
                "version": own.version if own is not None else "",
            }
        },
        "components": [installed[name].component() for name in references if name != DISTRIBUTION],
        "dependencies": [
            {"ref": reference, "dependsOn": installed[name].needs(references)}
            for name, reference in references.items()
        ],
    }
