"""What a service runs: which sites, with what equipment, and what it may do to it."""

from __future__ import annotations

from dataclasses import dataclass as plain
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import yaml
from pydantic import Field
from pydantic.dataclasses import dataclass

from energy.core.assets import strict
from energy.core.errors import ConfigError
from energy.core.site import Site
from energy.ledger import CoinRule
from vpp.config import read_yaml
from vpp.simulation.scenario import load_scenario, scenario_names

if TYPE_CHECKING:
    from vpp.settlement.month_ppa import PpaTerms

__all__ = ["KnownSite", "Planning", "SiteAccess", "SiteFile", "SiteRun", "SiteSettings", "load_site_file"]


class SiteAccess(StrEnum):
    """What may be done to the equipment of a site."""

    READ_ONLY = "read-only"
    DRY_RUN = "dry-run"
    CONTROL = "control"


class Planning(StrEnum):
    """How a site is planned."""

    OPTIMAL = "optimal"
    RULES = "rules"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class SiteSettings:
    """One site that a service runs.

    Parameters
    ----------
    site : str
        File of the site, or of a scenario; or the name of a shipped scenario.
    devices : str
        File of its equipment (docs/how-to/run-a-gateway.md).
    access : SiteAccess
        What may be done to the equipment; nothing is written before somebody says ``control``.
    planning : Planning
        ``optimal`` plans with the optimiser, ``rules`` without.
    control_seconds : int
        Time between two steps of control. [s]
    plan_deadline_seconds : int
        A plan that takes longer is late; what was in force goes on meanwhile. [s]
    supply : str
        File of the site's purchase agreements (as examples/ppa-city-hall.yaml): their invoices are lines of
        the month's account. What their plants generate is read from the database.
    """

    site: Annotated[str, Field(min_length=1)]
    devices: Annotated[str, Field(min_length=1)]
    access: SiteAccess = SiteAccess.READ_ONLY
    planning: Planning = Planning.OPTIMAL
    control_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    plan_deadline_seconds: Annotated[int, Field(ge=5, le=1200)] = 120
    supply: str = ""

    @property
    def step(self) -> timedelta:
        """Time between two steps of control."""
        return timedelta(seconds=self.control_seconds)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class SiteRun:
    """How a site of the set-up page is run: ``run.yaml`` beside its files.

    Parameters
    ----------
    access : SiteAccess
        What may be done to its equipment.
    """

    access: SiteAccess = SiteAccess.READ_ONLY


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class SiteFile:
    """A site as it is configured, without the world of a simulation.

    Parameters
    ----------
    site : Site
        What stands there.
    coin : CoinRule or None
        What its people earn.
    """

    site: Site
    coin: CoinRule | None = None


@plain(frozen=True, slots=True)
class KnownSite:
    """A site of the service's file, read."""

    settings: SiteSettings
    site: Site
    coin: CoinRule | None
    devices: Path
    ppa: PpaTerms | None = None


def load_site_file(name: str, folder: Path) -> SiteFile:
    """A site from its file, from a scenario's file or folder, or from a shipped scenario.

    Parameters
    ----------
    folder : Path
        Where relative paths begin.

    Raises
    ------
    ConfigError
        If there is none, or it cannot be used as written.
    """
    path = folder / name
    if path.is_file() and not _is_scenario(path):
        return read_yaml(path, SiteFile)
    if path.exists() or path.suffix in {".yaml", ".yml"}:
        scenario, _ = load_scenario(str(path))
    elif name in scenario_names():
        scenario, _ = load_scenario(name)
    else:
        raise ConfigError(
            f"no site {name!r}",
            where=str(path),
            hint=f"name a file, or one of {', '.join(scenario_names())}",
        )
    return SiteFile(site=scenario.site, coin=scenario.coin)


def _is_scenario(path: Path) -> bool:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return False  # whoever reads it as a site says what is wrong
    return isinstance(found, dict) and "scenario" in found
