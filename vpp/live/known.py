"""Which sites a service is to run, read from its file and from the folder of its set-up page, and checked."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from devices.assembly import assemble
from devices.site_file import load_site
from devices.transport import Access
from energy.core.clock import SystemClock
from energy.core.errors import ConfigError, VppError
from energy.core.site import Site
from vpp.settlement.month_ppa import read_ppa
from vpp.setup.sitefolder import SiteFolder
from vpp.setup.sites import KnownSite, SiteSettings, load_site_file

if TYPE_CHECKING:
    from vpp.setup.service import ServiceConfig

__all__ = ["Found", "SiteFiles", "known_sites"]

log = logging.getLogger(__name__)

_Stamp = tuple[tuple[str, int, int, int], ...]
_LARGEST: Final = 2_000_000  # bytes of a file that can belong to a site


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A site as its files say it at a look.

    Parameters
    ----------
    mark : str
        Changes with any byte of its files.
    known : KnownSite or None
        None while it cannot be run.
    why : str
        Why not: ``no_devices``, ``no_meter``, ``file_unusable``; empty if it can.
    said : str
        The same in words, with place and hint.
    """

    id: str
    mark: str
    known: KnownSite | None = None
    why: str = ""
    said: str = ""


def known_sites(config: ServiceConfig, folder: Path) -> tuple[KnownSite, ...]:
    """The sites of a service's file, read and checked against their equipment.

    Parameters
    ----------
    folder : Path
        Of the service's file: relative paths begin there.

    Raises
    ------
    ConfigError
        If a file cannot be used, two sites have the same id, or the equipment speaks for nothing of the site.
    """
    found: dict[str, KnownSite] = {}
    for settings in config.sites:
        one = _known(settings, folder)
        if one.site.id in found:
            raise ConfigError(
                f"two sites are called {one.site.id!r}",
                where=f"sites: {found[one.site.id].settings.site} and {settings.site}",
                hint="ids of sites are unique in a service",
            )
        found[one.site.id] = one
    return tuple(found.values())


@dataclass(slots=True, kw_only=True)
class SiteFiles:
    """Every site as its files say it now: those of the service's file, and those of the set-up page.

    Parameters
    ----------
    setup_folder : str
        Folder of the set-up page; empty for none.
    folder : Path
        Of the service's file.
    named : mapping of str to SiteSettings
        Sites of the service's file by id; the same id in the set-up's folder is theirs, and not run twice.
    """

    setup_folder: str
    folder: Path
    named: Mapping[str, SiteSettings]
    _kept: dict[str, tuple[_Stamp, Found]] = field(default_factory=dict)

    def look(self) -> dict[str, Found]:
        """Look once; files that nobody has touched since are not read again.

        Raises
        ------
        ConfigError
            If the folder of the set-up page is missing: then nothing is known of its sites.
        """
        found = {name: self._of_file(name) for name in self.named}
        if self.setup_folder:
            sites = SiteFolder(self.setup_folder)
            found |= {name: self._of_folder(sites, name) for name in sites.sites() if name not in found}
        self._kept = {name: one for name, one in self._kept.items() if name in found}
        return found

    def mark_of(self, name: str) -> str:
        """The mark of a site of the service's file."""
        return self._of_file(name).mark

    def _of_file(self, name: str) -> Found:
        settings = self.named[name]
        names = [settings.site, settings.devices, *filter(None, [settings.supply])]
        paths = [self.folder / one for one in names]
        return self._fresh(name, paths, lambda mark: _checked(name, mark, settings, self.folder))

    def _of_folder(self, sites: SiteFolder, name: str) -> Found:
        home = sites.folder / name
        paths = sorted(path for path in home.rglob("*") if not path.name.startswith("."))
        return self._fresh(name, paths, lambda mark: _in_folder(sites, name, mark))

    def _fresh(self, name: str, paths: list[Path], read: Callable[[str], Found]) -> Found:
        stamp = _stamp(paths)
        kept = self._kept.get(name)
        if kept is None or kept[0] != stamp:
            mark = _mark(paths)
            same = kept is not None and kept[1].mark == mark
            kept = self._kept[name] = (stamp, kept[1] if same and kept is not None else read(mark))
        return kept[1]


def _in_folder(sites: SiteFolder, name: str, mark: str) -> Found:
    home = sites.folder / name
    if not (home / "devices.yaml").is_file():
        return Found(id=name, mark=mark, why="no_devices", said=f"{home}: no devices.yaml yet")
    try:
        access = sites.access(name)
    except VppError as error:
        return Found(id=name, mark=mark, why="file_unusable", said=_said(error))
    settings = SiteSettings(site="site.yaml", devices="devices.yaml", access=access)
    return _checked(name, mark, settings, home)


def _checked(name: str, mark: str, settings: SiteSettings, folder: Path) -> Found:
    try:
        known = _known(settings, folder)
        if known.site.id != name:
            raise ConfigError(
                f"the file is of site {known.site.id!r}",
                where=f"{folder / settings.site}: it should be {name!r}",
                hint="a site keeps its id; add another one instead",
            )
    except _NoMeterError as error:
        return Found(id=name, mark=mark, why="no_meter", said=_said(error))
    except (VppError, ValidationError, OSError) as error:
        return Found(id=name, mark=mark, why="file_unusable", said=_said(error))
    return Found(id=name, mark=mark, known=known)


def _said(error: Exception) -> str:
    if isinstance(error, VppError):
        return "; ".join(part for part in error.lines() if part)
    return str(error).splitlines()[0]


def _stamp(paths: list[Path]) -> _Stamp:
    """Changes whenever somebody may have written to one of the files."""
    stamps: list[tuple[str, int, int, int]] = []
    for path in paths:
        try:
            found = path.stat()
            stamps.append((str(path), found.st_mtime_ns, found.st_size, found.st_ino))
        except OSError:
            stamps.append((str(path), 0, 0, 0))
    return tuple(stamps)


def _mark(paths: list[Path]) -> str:
    """Digest of names and bytes; a file that cannot be read counts as missing."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(str(path).encode())
        try:
            if path.is_file() and path.stat().st_size <= _LARGEST:
                digest.update(path.read_bytes())
        except OSError:
            digest.update(b"?")
    return digest.hexdigest()


class _NoMeterError(ConfigError):
    """Nobody speaks for the meter: nothing can be controlled safely."""


def _known(settings: SiteSettings, folder: Path) -> KnownSite:
    told = load_site_file(settings.site, folder)
    devices = folder / settings.devices
    _check_assets(told.site.id, _assets_of(devices), _wanted(told.site), devices)
    ppa = read_ppa(folder / settings.supply) if settings.supply else None
    return KnownSite(settings, told.site, told.coin, devices, ppa)


def _assets_of(devices: Path) -> set[str]:
    equipment = load_site(devices)
    return {str(name) for name in assemble(equipment, clock=SystemClock(), access=Access.READ_ONLY).assets}


def _wanted(site: Site) -> set[str]:
    names = {one.id for part in (site.vehicles, site.zones, site.batteries) for one in part}
    return names | ({site.pv.id} if site.pv is not None else set())


def _check_assets(site: str, spoken: set[str], wanted: set[str], devices: Path) -> None:
    """Refuse equipment without the meter, and say which assets nobody speaks for."""
    if "meter" not in spoken:
        raise _NoMeterError(
            f"no device speaks for the meter of {site}",
            where=f"{devices}: assets are {', '.join(sorted(spoken)) or 'none'}",
            hint="give the main meter assets: [meter]; without it nothing can be controlled safely",
        )
    for asset in sorted(wanted - spoken):
        log.warning("live.nobody_speaks_for site=%s asset=%s", site, asset)
