"""Sites and their devices set up without an editor: files for ``vpp run``, written whole or not at all.

``FOLDER/SITE/site.yaml`` says what stands there, ``devices.yaml`` who speaks for it, ``DEVICE.record.json``
that somebody has tried orders at a device. A device is first looked at, then only read; what unlocks its
control is the signed record of a step test. Parts of a file of devices that this does not know (chargers over
OCPP, nodes of ECHONET Lite, a broker) stay as they are; comments do not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import TypeAdapter

from devices.address import Address, parse_address
from devices.assembly import assemble
from devices.commissioning import Finding, Record, map_digest, passed, signed
from devices.config import DeviceConfig
from devices.gateway import Access
from devices.modbus import ModbusTransport
from devices.profile import Profile, load_profile, profile_names
from devices.secret import must_be_private
from devices.site_file import load_site
from devices.transport import Framing, Tls
from energy.core.assets import Battery, HvacZone, PvArray
from energy.core.clock import Clock, SystemClock
from energy.core.errors import ConfigError
from energy.core.site import Site
from energy.core.units import AssetId
from vpp.config import read_yaml
from vpp.setup.siteparts import with_part, without_part
from vpp.setup.sites import SiteAccess, SiteFile, SiteRun, load_site_file
from vpp.wholefile import whole_file

__all__ = ["KeptDevice", "SiteFolder"]

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
_FOLDER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_PEM: Final = ("ca.pem", "client.pem", "client.key")
_STAY: Final = ("pace", "rated_kw", "timeout_s", "mains")  # what the page does not know of a device
_SITE_FILE: Final = TypeAdapter(SiteFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDevice:
    """A Modbus device as the form says it.

    Parameters
    ----------
    unit : int or None
        Unit number; what the profile expects if None.
    assets : tuple of str
        For whom it speaks.
    record : str
        File of the step test that unlocks its control; empty for a device that is only read.
    certificates : str
        For a TLS link: folder below that of the site with ``ca.pem``, ``client.pem`` and ``client.key``.
    stated : bool
        Whether the file says in words that somebody has tried orders there.
    """

    id: str
    profile: str
    address: str
    unit: int | None
    assets: tuple[str, ...]
    record: str = ""
    certificates: str = ""
    stated: bool = False

    def check(self, site: Site, home: Path) -> Profile:
        """Its profile, if all of it makes sense on a site.

        Parameters
        ----------
        home : Path
            Folder of the site's files.

        Raises
        ------
        ConfigError
            Names what does not.
        """
        if not _NAME.fullmatch(self.id):
            raise ConfigError(f"{self.id[:40]!r} is no id", where="id", hint="a-z, digits and hyphens")
        if self.profile not in profile_names():
            raise ConfigError(
                f"no profile {self.profile[:40]!r}", where="profile", hint="choose from the list"
            )
        profile = load_profile(self.profile)
        address = parse_address(self.address, port=profile.wire.port)
        self._check_certificates(address, home)
        if self.unit is not None and not 0 <= self.unit <= 255:
            raise ConfigError(f"unit {self.unit} is none", where="unit", hint="0 to 255")
        known = {one.id for part in (site.vehicles, site.zones, site.meters, site.batteries) for one in part}
        known |= {"meter", "hvac-meter"} | ({site.pv.id} if site.pv else set())
        strange = [one for one in self.assets if one not in known]
        if not self.assets or strange:
            raise ConfigError(
                f"{strange[0][:40]!r} is not on this site" if strange else "it speaks for nobody",
                where="assets",
                hint=f"choose from {', '.join(sorted(known))}",
            )
        return profile

    def _check_certificates(self, address: Address, home: Path) -> None:
        """Refuse certificates that are missing, do not fit together, or that others may read."""
        secured = address.framing is Framing.TLS
        if not secured and self.certificates:
            raise ConfigError(
                "certificates belong to a TLS link",
                where="certificates",
                hint="choose TLS, or leave them out",
            )
        if not secured:
            return
        if not _FOLDER.fullmatch(self.certificates):
            raise ConfigError(
                "a TLS link needs certificates",
                where=f"certificates: {self.certificates[:40]!r}",
                hint=f"name a folder below {home} with {', '.join(_PEM)}",
            )
        missing = [name for name in _PEM if not (home / self.certificates / name).is_file()]
        if missing:
            raise ConfigError(
                f"no {missing[0]}",
                where=str(home / self.certificates),
                hint=f"put {', '.join(_PEM)} there",
            )
        must_be_private(home / self.certificates / "client.key", key="client.key")
        self.link(self.config(home=home))

    def link(self, config: DeviceConfig) -> ModbusTransport:
        """The link, not yet open; its certificates are read."""
        return ModbusTransport(
            config.host,
            config.port,
            wire=load_profile(self.profile).wire,
            access=Access.READ_ONLY,
            framing=config.framing,
            tls=config.tls,
        )

    def config(self, *, home: Path, commissioned: bool = False) -> DeviceConfig:
        """For the gateway."""
        place = home / self.certificates
        profile = load_profile(self.profile)
        address = parse_address(self.address, port=profile.wire.port)
        return DeviceConfig(
            id=self.id,
            profile=self.profile,
            host=address.host,
            port=address.port,
            unit_id=profile.wire.unit_id if self.unit is None else self.unit,
            assets=tuple(AssetId(one) for one in self.assets),
            framing=address.framing,
            tls=Tls(*(place / name for name in _PEM)) if self.certificates else None,
            commissioned=commissioned,
        )

    def to_yaml(self) -> dict[str, object]:
        """An entry of the file."""
        told: dict[str, object] = {"id": self.id, "profile": self.profile, "address": self.address}
        told |= {} if self.unit is None else {"unit": self.unit}
        told["assets"] = list(self.assets)
        told |= {"certificates": self.certificates} if self.certificates else {}
        return told | ({"record": self.record} if self.record else {})


class SiteFolder:
    """The folder in which a service keeps the files of its sites.

    Raises
    ------
    ConfigError
        If no folder is set up, or it is none.
    """

    def __init__(self, folder: str) -> None:
        if not folder:
            raise ConfigError(
                "this service keeps no files of sites", where="web.setup_folder", hint="name a folder"
            )
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ConfigError(
                "the folder of sites is missing", where=folder, hint="make it, or mend web.setup_folder"
            )

    def sites(self) -> list[str]:
        """Sites that have a file."""
        return sorted(path.parent.name for path in self.folder.glob("*/site.yaml"))

    def site(self, name: str) -> Site | None:
        """A site as its file says; None if there is no file.

        Raises
        ------
        ConfigError
            If the file cannot be used.
        """
        folder = self._of(name)
        return load_site_file("site.yaml", folder).site if (folder / "site.yaml").is_file() else None

    def _of(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name[:40]!r} is no id of a site", where="site", hint="a-z, digits and hyphens"
            )
        return self.folder / name

    def home(self, site: str) -> Path:
        """Folder of a site's files."""
        return self._of(site)

    def equip(self, site: str, part: Battery | HvacZone | PvArray) -> Site:
        """Write a battery, a room or the roof into the file of a site, in the place of one of the same id.

        Raises
        ------
        ConfigError
            If there is no such site, or the roof would be a second one.
        ValueError
            If the site as a whole would contradict itself; then the file stays as it was.
        """
        folder = self._of(site)
        told = load_site_file("site.yaml", folder)
        made = replace(told, site=with_part(told.site, part))
        self._write_site(folder / "site.yaml", made)
        return made.site

    def unequip(self, site: str, part: str) -> Site:
        """Take a car, a battery, a room or the roof out of the file of a site.

        Raises
        ------
        ConfigError
            If it is not there, or a device still speaks for it.
        ValueError
            If the site as a whole would contradict itself; then the file stays as it was.
        """
        speaks = self.speak_for(site, part)
        if speaks:
            raise ConfigError(
                f"{part[:40]!r} stays", where=f"{', '.join(speaks)} speaks for it", hint="take that out first"
            )
        folder = self._of(site)
        told = load_site_file("site.yaml", folder)
        made = replace(told, site=without_part(told.site, part))
        self._write_site(folder / "site.yaml", made)
        return made.site

    def speak_for(self, site: str, part: str) -> tuple[str, ...]:
        """Devices that speak for a part; the file's name where the set-up page does not know them."""
        path = self._of(site) / "devices.yaml"
        found = tuple(one.id for one in self.devices(site) if part in one.assets)
        if found or not path.is_file():
            return found
        made = assemble(load_site(path), clock=SystemClock(), access=Access.READ_ONLY)
        return (path.name,) if part in {str(one) for one in made.assets} else ()

    def _write_site(self, path: Path, told: SiteFile) -> None:
        body = _SITE_FILE.dump_python(told, mode="json", exclude_defaults=True)
        text = yaml.safe_dump(body, allow_unicode=True, sort_keys=False)
        _SITE_FILE.validate_python(yaml.safe_load(text))  # what is written can be read
        path.parent.mkdir(exist_ok=True)
        with whole_file(path) as file:
            file.write(text)

    def add(self, site: Site) -> Path:
        """Write the file of a new site.

        Raises
        ------
        ConfigError
            If there is one already.
        """
        folder = self._of(site.id)
        path = folder / "site.yaml"
        if path.exists():
            raise ConfigError(f"site {site.id!r} is there already", where=str(path), hint="choose another id")
        self._write_site(path, SiteFile(site=site))
        return path

    def access(self, site: str) -> SiteAccess:
        """What may be done to a site's equipment; reading, until somebody has said more.

        Raises
        ------
        ConfigError
            If the file that says it cannot be used.
        """
        path = self._of(site) / "run.yaml"
        return read_yaml(path, SiteRun).access if path.is_file() else SiteAccess.READ_ONLY

    def allow(self, site: str, access: SiteAccess) -> None:
        """Say what may be done to a site's equipment.

        Raises
        ------
        ConfigError
            If nobody has tried orders at any of its devices: there is nothing to command.
        """
        folder = self._of(site)
        if access is SiteAccess.CONTROL and not self.tried(site):
            raise ConfigError(
                f"no device of {site} may be commanded",
                where=str(folder / "devices.yaml"),
                hint="try orders at a device first; then it has a record",
            )
        with whole_file(folder / "run.yaml") as file:
            file.write(yaml.safe_dump({"access": access.value}))

    def tried(self, site: str) -> bool:
        """Whether any device of a site takes orders."""
        path = self._of(site) / "devices.yaml"
        if not path.is_file():
            return False
        made = assemble(load_site(path), clock=SystemClock(), access=Access.READ_ONLY)
        return bool(made.commanded)

    def remove(self, site: str, *, at: datetime) -> Path | None:
        """Take a site's files out of the way; where they are now, None if there are none.

        Nothing is deleted, and what was measured stays in the database.
        """
        folder = self._of(site)
        if not (folder / "site.yaml").is_file():
            return None
        aside = self.folder / ".removed"
        aside.mkdir(exist_ok=True)
        return folder.rename(aside / f"{site}-{at:%Y%m%dT%H%M%S%f}")

    def devices(self, site: str) -> list[KeptDevice]:
        """Modbus devices of a site, as its file says."""
        found = self._read(site).get("devices") or []
        return [
            KeptDevice(
                id=str(one["id"]),
                profile=str(one["profile"]),
                address=str(one["address"]),
                unit=one.get("unit"),
                assets=tuple(one["assets"]),
                record=one.get("record") or "",
                certificates=one.get("certificates") or "",
                stated="commissioned" in one,
            )
            for one in found
        ]

    def _read(self, site: str) -> dict[str, Any]:
        path = self._of(site) / "devices.yaml"
        if not path.is_file():
            return {}
        load_site(path)  # refused in words if it cannot be used
        read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        return read

    def keep(self, site: str, device: KeptDevice) -> None:
        """Write a device into the file of its site, in the place of one of the same id.

        Raises
        ------
        ConfigError
            If the file as a whole would contradict itself; then it stays as it was.
        """
        told = self._read(site)
        rows = told.get("devices") or []
        before: dict[str, Any] = next((one for one in rows if one["id"] == device.id), {})
        kept = {key: before[key] for key in _STAY if key in before and before["profile"] == device.profile}
        told["devices"] = [*(one for one in rows if one["id"] != device.id), device.to_yaml() | kept]
        self._write(site, told)

    def drop(self, site: str, device_id: str) -> bool:
        """Take a device out of the file; its record stays. False if it was not there.

        Raises
        ------
        ConfigError
            If it speaks for the meter and others are there: without it nothing can be controlled safely.
        """
        told = self._read(site)
        others = self.needs(site, device_id)
        if others:
            raise ConfigError(
                f"{device_id!r} speaks for the meter",
                where=f"{', '.join(others)} would be without one",
                hint="take those out first, or write another meter under the same id",
            )
        left = [one for one in told.get("devices") or [] if one["id"] != device_id]
        if len(left) == len(told.get("devices") or []):
            return False
        if left or told.keys() - {"devices", "mqtt"}:
            self._write(
                site, {**told, "devices": left} if left else {k: told[k] for k in told if k != "devices"}
            )
        else:
            (self._of(site) / "devices.yaml").unlink()
        return True

    def needs(self, site: str, device_id: str) -> tuple[str, ...]:
        """What else the file names that needs this device: everything, if it speaks for the meter."""
        told = self._read(site)
        rows = told.get("devices") or []
        meter = any(one["id"] == device_id and "meter" in one["assets"] for one in rows)
        others = (str(one["id"]) for one in rows if one["id"] != device_id)
        return (*others, *sorted(told.keys() - {"devices", "mqtt"})) if meter else ()

    def _write(self, site: str, told: dict[str, Any]) -> None:
        folder = self._of(site)
        text = yaml.safe_dump(told, allow_unicode=True, sort_keys=False)
        trial = folder / ".devices.trial.yaml"
        trial.write_text(text, encoding="utf-8")
        try:
            load_site(trial)
        finally:
            trial.unlink()
        with whole_file(folder / "devices.yaml") as file:
            file.write(text)

    def sign(
        self, site: str, device: KeptDevice, findings: tuple[Finding, ...], *, by: str, clock: Clock
    ) -> KeptDevice:
        """Write the record of a test that was passed, and unlock the device with it.

        Raises
        ------
        ConfigError
            If it was not passed, or nobody signs.
        """
        if not passed(findings) or not by.strip():
            raise ConfigError("nothing to sign", where=device.id, hint="a test that is passed, and a name")
        profile, config = load_profile(device.profile), device.config(home=self._of(site))
        record = Record(
            profile=profile.id,
            map=map_digest(profile),
            device=str(parse_address(device.address, port=profile.wire.port)),
            unit_id=config.unit_id,
            signed_by=by.strip(),
            signed_at=clock.now(),
            findings=findings,
        )
        name = f"{device.id}.record.json"
        with whole_file(self._of(site) / name) as file:
            file.write(signed(record))
        unlocked = replace(device, record=name, stated=False)
        self.keep(site, unlocked)
        return unlocked
