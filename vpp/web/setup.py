"""Setup: a site and its devices without touching files; look, read, try, and only then command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from devices.commissioning import Finding, passed
from devices.probe import Look
from devices.profile import load_profile, profile_names
from energy.core.assets import Charger, Meter, OwnerType, Vehicle
from energy.core.errors import ConfigError, VppError
from energy.core.site import Site
from energy.core.slots import JST
from energy.core.tariff import Tariff, TariffPeriod
from energy.store import Snapshot
from vpp.api.common import known_now
from vpp.i18n import Messages
from vpp.people.rights import About
from vpp.sitebook import keep_site
from vpp.sitefolder import KeptDevice, SiteFolder, look_once, try_orders
from vpp.web.access import Access, access_of
from vpp.web.doors import fields_of
from vpp.web.pages import Page, go, render
from vpp.web.problems import Problem

__all__ = ["PAGES", "site_of_form"]

_LATE: Final = timedelta(minutes=10)
_NUMBERS: Final = ("latitude", "longitude", "contract_kw", "target_demand_kw")
_YEN: Final = ("basic_yen", "summer_yen", "other_yen")
_USUAL: Final = {"latitude": "37.65", "longitude": "139.87", "cars": ""}


def _folder(access: Access) -> SiteFolder | None:
    try:
        return SiteFolder(access.service.settings.setup_folder)
    except ConfigError:
        return None


# -- sites -------------------------------------------------------------------------------------------------


def sites(request: Request) -> Response:
    """Sites that one may set up, and the form for a new one."""
    return _sites(request)


def _sites(
    request: Request, *, status: int = 200, fault: str = "", said: str = "", typed: Mapping[str, str] = _USUAL
) -> Response:
    access = access_of(request)
    folder = _folder(access)
    seen = [one for one in (folder.sites() if folder else []) if access.sees_site(one)]
    return render(
        request,
        "setup.html",
        status=status,
        ready=folder is not None,
        sites=seen,
        fault=fault,
        said=said,
        form=typed,
        mine=[one for one in access.who.objects.sites if one not in seen],
    )


async def add_site(request: Request) -> Response:
    """Write the file of a new site, if all of it makes sense."""
    fields = await fields_of(request)
    return await run_in_threadpool(_add_site, request, fields)


def _add_site(request: Request, fields: dict[str, str]) -> Response:
    access = access_of(request)
    folder = _folder(access)
    if folder is None:
        raise Problem("not_found")
    now = access.service.clock.now()
    try:
        site = site_of_form(fields, now.astimezone(JST).date())
        if not access.sees_site(site.id):
            return _sites(request, status=422, fault="setup.not_yours", typed=fields)
        folder.add(site)
    except (ConfigError, ValidationError, ValueError) as error:
        return _sites(request, status=422, fault="setup.bad_site", said=_said(error), typed=fields)
    keep_site(access.service.store, site, at=now)
    access.audit("site.added", f"site/{site.id}", contract_kw=site.contract_kw, cars=len(site.vehicles))
    return go(f"/setup/{site.id}")


def _said(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(one) for one in first["loc"])
        return f"{place}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    if isinstance(error, VppError):
        return "; ".join(part for part in error.lines() if part)
    return str(error)


def site_of_form(fields: Mapping[str, str], today: date) -> Site:
    """A site from the fields of the form; its tariff holds for the fiscal year of a day.

    Raises
    ------
    ValueError
        If a number is none, a line of a car cannot be read, or the parts do not fit.
    """
    values = {name: _number(fields, name) for name in _NUMBERS}
    yen = {name: _yen(fields, name) for name in _YEN}
    year = today.year if today.month >= 4 else today.year - 1
    period = TariffPeriod(
        valid_from=date(year, 4, 1),
        valid_to=date(year + 1, 3, 31),
        basic_yen_per_kw_month=yen["basic_yen"],
        summer_yen_per_kwh=yen["summer_yen"],
        other_yen_per_kwh=yen["other_yen"],
    )
    cars = [_car(line) for line in fields.get("cars", "").splitlines() if line.strip()]
    return Site(
        id=fields.get("id", "").strip(),
        name_ja=fields.get("name_ja", "").strip() or fields.get("id", ""),
        name_en=fields.get("name_en", "").strip() or fields.get("id", ""),
        latitude=values["latitude"],
        longitude=values["longitude"],
        contract_kw=values["contract_kw"],
        target_demand_kw=values["target_demand_kw"],
        tariff=Tariff(name_ja="契約の単価", name_en="contract", periods=(period,)),
        vehicles=tuple(vehicle for vehicle, _ in cars),
        chargers=tuple(charger for _, charger in cars),
        meters=(Meter(id="meter", measures="site"),),
    )


def _number(fields: Mapping[str, str], name: str) -> float:
    try:
        return float(fields.get(name, ""))
    except ValueError:
        msg = f"{name}: {fields.get(name, '')[:20]!r} is no number"
        raise ValueError(msg) from None


def _yen(fields: Mapping[str, str], name: str) -> Decimal:
    try:
        return Decimal(fields.get(name, ""))
    except InvalidOperation:
        msg = f"{name}: {fields.get(name, '')[:20]!r} is no amount"
        raise ValueError(msg) from None


def _car(line: str) -> tuple[Vehicle, Charger]:
    """A car and its charger from ``id, name, kWh, charge kW, discharge kW``."""
    parts = [part.strip() for part in line.replace("、", ",").split(",")]
    if len(parts) != 5:
        msg = f"cars: {line[:40]!r}: write id, name, kWh, charge kW, discharge kW"
        raise ValueError(msg)
    name, shown, capacity, charge, discharge = parts
    charger = Charger(id=f"charger-{name}", max_charge_kw=float(charge), max_discharge_kw=float(discharge))
    vehicle = Vehicle(
        id=name,
        name_ja=shown or name,
        name_en=shown or name,
        capacity_kwh=float(capacity),
        charger=charger.id,
        owner=OwnerType.COMPANY,
    )
    return vehicle, charger


# -- one site ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """A device of the list."""

    device: KeptDevice
    title: str
    takes_orders: bool
    heard: datetime | None
    late: bool


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every handler about a site begins with."""

    access: Access
    folder: SiteFolder
    site: Site

    @classmethod
    def of(cls, request: Request) -> _Desk:
        """The desk of the site that an address names.

        Raises
        ------
        Problem
            If nothing is set up here, or there is no such site.
        """
        access = access_of(request)
        folder = _folder(access)
        try:
            site = None if folder is None else folder.site(str(request.path_params["site"]))
        except ConfigError:
            site = None
        if folder is None or site is None:
            raise Problem("not_found")
        return cls(access, folder, site)

    def device(self, request: Request) -> KeptDevice:
        """The device that an address names."""
        wanted = str(request.path_params["device"])
        found = next((one for one in self.folder.devices(self.site.id) if one.id == wanted), None)
        if found is None:
            raise Problem("not_found")
        return found


def site(request: Request) -> Response:
    """Devices of a site with their links, and the form to look at another."""
    return _site(request)


def _site(
    request: Request,
    *,
    status: int = 200,
    fault: str = "",
    said: str = "",
    typed: Mapping[str, str] | None = None,
    look: Look | None = None,
    tried: tuple[KeptDevice, tuple[Finding, ...]] | None = None,
) -> Response:
    if _folder(access_of(request)) is None:
        return _sites(request)
    desk = _Desk.of(request)
    known, now = known_now(desk.access), desk.access.service.clock.now()
    return render(
        request,
        "setup_site.html",
        status=status,
        site=desk.site,
        rows=[_row(known, desk.site.id, one, now) for one in desk.folder.devices(desk.site.id)],
        profiles=[(one, load_profile(one).title) for one in profile_names()],
        assets=_assets(desk.site),
        fault=fault,
        said=said,
        form=typed or {"id": "", "profile": "", "address": "", "unit": "", "assets": ""},
        look=look,
        readings=() if look is None else _readings(look),
        tried=tried,
        good=tried is not None and passed(tried[1]),
        m=Messages(desk.access.lang),
    )


def _assets(place: Site) -> list[str]:
    ids = [one.id for part in (place.meters, place.vehicles, place.zones, place.batteries) for one in part]
    return [*ids, *([place.pv.id] if place.pv else [])]


def _row(known: Snapshot, place: str, device: KeptDevice, now: datetime) -> _Row:
    profile = load_profile(device.profile)
    names = [name for asset in device.assets for name in known.ids(f"{place}/{asset}/")]
    heard = [found.known_at for name in names if (found := known.latest(name)) is not None]
    newest = max(heard, default=None)
    return _Row(
        device=device,
        title=profile.title,
        takes_orders=profile.control != "none",
        heard=newest,
        late=newest is None or now - newest > _LATE,
    )


def _readings(look: Look) -> list[tuple[str, str, str]]:
    """Points, values and what is said of their quality."""
    return [
        (name, "" if one.value is None else f"{one.value:g}", one.quality.value)
        for name, one in look.readings.items()
    ]


# -- devices -----------------------------------------------------------------------------------------------


def _device_of(fields: Mapping[str, str], place: Site) -> KeptDevice:
    unit = fields.get("unit", "").strip()
    if unit and not (unit.isascii() and unit.isdigit() and len(unit) < 4):
        raise ConfigError(f"unit {unit[:20]!r} is none", where="unit", hint="0 to 255")
    device = KeptDevice(
        id=fields.get("id", "").strip(),
        profile=fields.get("profile", ""),
        address=fields.get("address", "").strip(),
        unit=int(unit) if unit else None,
        assets=tuple(fields.get("assets", "").replace(",", " ").split()),
    )
    device.check(place)
    return device


async def look(request: Request) -> Response:
    """Reach a device and show what it says; nothing is written, neither there nor here."""
    fields = await fields_of(request)
    desk = await run_in_threadpool(_Desk.of, request)
    try:
        device = _device_of(fields, desk.site)
        found = await look_once(device)
    except VppError as error:
        said = _said(error)
        return await run_in_threadpool(
            lambda: _site(request, status=422, fault="setup.not_reached", said=said, typed=fields)
        )
    facts = {"profile": device.profile, "address": device.address}
    await run_in_threadpool(
        lambda: desk.access.audit("device.looked_at", f"asset/{desk.site.id}/{device.id}", **facts)
    )
    return await run_in_threadpool(lambda: _site(request, typed=fields, look=found))


async def keep(request: Request) -> Response:
    """Put a device into the file: from now on it is read."""
    fields = await fields_of(request)
    return await run_in_threadpool(_keep, request, fields)


def _keep(request: Request, fields: dict[str, str]) -> Response:
    desk = _Desk.of(request)
    try:
        device = _device_of(fields, desk.site)
        desk.folder.keep(desk.site.id, device)
    except VppError as error:
        return _site(request, status=422, fault="setup.not_kept", said=_said(error), typed=fields)
    facts = {"profile": device.profile, "address": device.address, "assets": list(device.assets)}
    desk.access.audit("device.kept", f"asset/{desk.site.id}/{device.id}", **facts)
    return go(f"/setup/{desk.site.id}")


async def commission(request: Request) -> Response:
    """Try orders at a device; a test that is passed unlocks its control."""
    fields = await fields_of(request)
    desk = await run_in_threadpool(_Desk.of, request)
    device = await run_in_threadpool(desk.device, request)
    by = fields.get("by", "").strip()[:80]
    if fields.get("sure") != "yes" or not by or load_profile(device.profile).control == "none":
        return await run_in_threadpool(lambda: _site(request, status=422, fault="setup.not_sure"))
    try:
        findings = await try_orders(device)
    except VppError as error:
        said = _said(error)
        return await run_in_threadpool(lambda: _site(request, status=422, fault="setup.not_tried", said=said))
    return await run_in_threadpool(_tried, request, device, findings, by)


def _tried(request: Request, device: KeptDevice, findings: tuple[Finding, ...], by: str) -> Response:
    desk, good = _Desk.of(request), passed(findings)
    if good:
        clock = desk.access.service.clock
        device = desk.folder.sign(desk.site.id, device, findings, by=by, clock=clock)
    facts = {"passed": good, "signed_by": by, "steps": [one.step for one in findings]}
    desk.access.audit("device.commissioned", f"asset/{desk.site.id}/{device.id}", **facts)
    return _site(request, tried=(device, findings))


def drop(request: Request) -> Response:
    """Take a device out of the file; twice is once."""
    desk = _Desk.of(request)
    device_id = str(request.path_params["device"])[:40]
    if desk.folder.drop(desk.site.id, device_id):
        desk.access.audit("device.dropped", f"asset/{desk.site.id}/{device_id}")
    return go(f"/setup/{desk.site.id}")


PAGES: Final = (
    Page(path="/setup", endpoint=sites, rule="setup", nav="nav.setup"),
    Page(path="/setup", endpoint=add_site, rule="setup", method="POST"),
    Page(path="/setup/{site}", endpoint=site, rule="setup", about=About.SITE),
    Page(path="/setup/{site}/look", endpoint=look, rule="setup", about=About.SITE, method="POST"),
    Page(path="/setup/{site}/devices", endpoint=keep, rule="setup", about=About.SITE, method="POST"),
    Page(
        path="/setup/{site}/devices/{device}/test",
        endpoint=commission,
        rule="setup",
        about=About.SITE,
        method="POST",
    ),
    Page(
        path="/setup/{site}/devices/{device}/drop",
        endpoint=drop,
        rule="setup",
        about=About.SITE,
        method="POST",
    ),
)
