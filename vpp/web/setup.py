"""Setup: a site and its devices without touching files; look, read, try, and only then command."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from devices.commissioning import Finding, passed
from devices.natures import Nature
from devices.probe import Look
from devices.profile import load_profile, profile_names
from energy.core.errors import ConfigError, VppError
from energy.core.site import Site
from energy.core.slots import JST
from energy.store import Snapshot
from vpp.api.common import known_now
from vpp.http.access import Access, access_of
from vpp.http.problems import Problem
from vpp.i18n import Messages
from vpp.people.rights import About
from vpp.setup.devicetrial import look_once, try_orders
from vpp.setup.sitefolder import KeptDevice, SiteFolder
from vpp.setup.siteparts import drivers_of
from vpp.setup.sites import SiteAccess
from vpp.site.sitebook import keep_site
from vpp.web.doors import fields_of
from vpp.web.pages import Page, go, render
from vpp.web.setup_forms import LINKS, PARTS, device_of_form, part_of_form, site_of_form
from vpp.web.setup_parts import part_rows
from vpp.web.setup_state import run_state
from vpp.web.setup_words import reading_rows, said_of, steps_of, what_to_do

__all__ = ["PAGES"]

_LATE: Final = timedelta(minutes=10)
_NO_DEVICE: Final = dict.fromkeys(("id", "profile", "link", "address", "unit", "certificates", "assets"), "")
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
    request: Request,
    *,
    status: int = 200,
    fault: str = "",
    error: Exception | None = None,
    typed: Mapping[str, str] = _USUAL,
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
        said="" if error is None else said_of(error),
        todo="" if error is None else what_to_do(error),
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
        return _sites(
            request,
            status=422,
            fault="setup.bad_site",
            error=error,
            typed=fields,
        )
    keep_site(access.service.store, site, at=now)
    access.audit("site.added", f"site/{site.id}", contract_kw=site.contract_kw, cars=len(site.vehicles))
    return go(f"/setup/{site.id}")


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

    @property
    def home(self) -> Path:
        """Folder of the site's files."""
        return self.folder.home(self.site.id)

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
    error: Exception | None = None,
    about: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
    part: Mapping[str, str] | None = None,
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
        profiles=_profiles(),
        links=LINKS,
        parts=PARTS,
        stands=part_rows(desk.folder, desk.site, Messages(desk.access.lang)),
        state=run_state(desk.access.service, desk.site.id, Messages(desk.access.lang)),
        access=_allowed(desk),
        may_control=_may_control(desk),
        assets=_assets(desk.site),
        fault=fault,
        about=about or {},
        said="" if error is None else said_of(error),
        todo="" if error is None else what_to_do(error),
        form={**_NO_DEVICE, **(typed or {})},
        part={"kind": "", **(part or {})},
        look=look,
        readings=() if look is None else reading_rows(look, Messages(desk.access.lang)),
        tried=None if tried is None else (tried[0], steps_of(tried[1], Messages(desk.access.lang))),
        good=tried is not None and passed(tried[1]),
        m=Messages(desk.access.lang),
    )


def _profiles() -> dict[str, list[tuple[str, str]]]:
    """Models by what they can do: kind, then name and title."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name in profile_names():
        profile = load_profile(name)
        found.setdefault(profile.nature.value, []).append((name, profile.title))
    return {
        kind.value: sorted(found[kind.value], key=lambda one: one[1])
        for kind in Nature
        if kind.value in found
    }


def _allowed(desk: _Desk) -> str:
    try:
        return desk.folder.access(desk.site.id).value
    except ConfigError:
        return SiteAccess.READ_ONLY.value


def _may_control(desk: _Desk) -> bool:
    try:
        return desk.folder.tried(desk.site.id)
    except VppError:
        return False


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


# -- devices -----------------------------------------------------------------------------------------------


async def look(request: Request) -> Response:
    """Reach a device and show what it says; nothing is written, neither there nor here."""
    fields = await fields_of(request)
    desk = await run_in_threadpool(_Desk.of, request)
    try:
        device = device_of_form(fields, desk.site, desk.home)
        found = await look_once(device, desk.home)
    except VppError as error:
        trouble = error
        return await run_in_threadpool(
            lambda: _site(request, status=422, fault="setup.not_reached", error=trouble, typed=fields)
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
        device = device_of_form(fields, desk.site, desk.home)
        desk.folder.keep(desk.site.id, device)
    except VppError as error:
        return _site(
            request,
            status=422,
            fault="setup.not_kept",
            error=error,
            typed=fields,
        )
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
        findings = await run_in_threadpool(_try_apart, desk, device)
    except VppError as error:
        trouble = error
        return await run_in_threadpool(
            lambda: _site(request, status=422, fault="setup.not_tried", error=trouble)
        )
    return await run_in_threadpool(_tried, request, device, findings, by)


def _try_apart(desk: _Desk, device: KeptDevice) -> tuple[Finding, ...]:
    """The step test while the site's own loop leaves the equipment alone."""
    with desk.access.service.apart(desk.site.id):
        return asyncio.run(try_orders(device, desk.home))


def _tried(request: Request, device: KeptDevice, findings: tuple[Finding, ...], by: str) -> Response:
    desk, good = _Desk.of(request), passed(findings)
    if good:
        clock = desk.access.service.clock
        device = desk.folder.sign(desk.site.id, device, findings, by=by, clock=clock)
    facts = {"passed": good, "signed_by": by, "steps": [one.step for one in findings]}
    desk.access.audit("device.commissioned", f"asset/{desk.site.id}/{device.id}", **facts)
    return _site(request, tried=(device, findings))


async def drop(request: Request) -> Response:
    """Take a device out of the file; twice is once."""
    fields = await fields_of(request)
    return await run_in_threadpool(_drop, request, fields)


def _drop(request: Request, fields: dict[str, str]) -> Response:
    desk, device_id = _Desk.of(request), str(request.path_params["device"])[:40]
    if fields.get("sure") != "yes":
        return _site(request, status=422, fault="setup_parts.not_sure")
    needs = desk.folder.needs(desk.site.id, device_id)
    if needs:
        about = {"id": device_id, "others": ", ".join(needs)}
        return _site(request, status=422, fault="setup_parts.is_the_meter", about=about)
    if desk.folder.drop(desk.site.id, device_id):
        desk.access.audit("device.dropped", f"asset/{desk.site.id}/{device_id}")
    return go(f"/setup/{desk.site.id}")


# -- the site itself ---------------------------------------------------------------------------------------


async def equip(request: Request) -> Response:
    """Write a roof, a battery or a room into the site's file; the same id again replaces it."""
    fields = await fields_of(request)
    return await run_in_threadpool(_equip, request, fields)


def _equip(request: Request, fields: dict[str, str]) -> Response:
    desk = _Desk.of(request)
    try:
        part = part_of_form(fields)
        site = desk.folder.equip(desk.site.id, part)
    except (ConfigError, ValidationError, ValueError) as error:
        return _site(
            request,
            status=422,
            fault="setup_run.bad_part",
            error=error,
            part=fields,
        )
    keep_site(desk.access.service.store, site, at=desk.access.service.clock.now())
    desk.access.audit("site.equipped", f"asset/{site.id}/{part.id}", kind=fields["kind"])
    return go(f"/setup/{site.id}")


async def unequip(request: Request) -> Response:
    """Take a roof, a battery, a room or a car out of the site's file; twice is once."""
    fields = await fields_of(request)
    return await run_in_threadpool(_unequip, request, fields)


def _unequip(request: Request, fields: dict[str, str]) -> Response:
    desk, part = _Desk.of(request), str(request.path_params["asset"])[:40]
    if fields.get("sure") != "yes":
        return _site(request, status=422, fault="setup_parts.not_sure")
    row = next((one for one in part_rows(desk.folder, desk.site, Messages("en")) if one.id == part), None)
    if row is None:
        return go(f"/setup/{desk.site.id}")
    if row.needed:
        about = {"id": part, "others": ", ".join(row.needed)}
        return _site(request, status=422, fault="setup_parts.needed", about=about)
    try:
        site = desk.folder.unequip(desk.site.id, part)
    except (ConfigError, ValidationError, ValueError) as error:
        return _site(request, status=422, fault="setup_run.bad_part", error=error)
    keep_site(desk.access.service.store, site, at=desk.access.service.clock.now())
    drivers = list(drivers_of(desk.site, part))
    desk.access.audit(
        "site.unequipped",
        f"asset/{site.id}/{part}",
        kind=row.kind,
        **({"drivers": drivers} if drivers else {}),
    )
    return go(f"/setup/{site.id}")


async def allow(request: Request) -> Response:
    """Say what may be done to a site's equipment; control only where somebody has tried orders."""
    fields = await fields_of(request)
    return await run_in_threadpool(_allow, request, fields)


def _allow(request: Request, fields: dict[str, str]) -> Response:
    desk, wanted = _Desk.of(request), fields.get("access", "")
    if wanted not in {one.value for one in SiteAccess} or fields.get("sure") != "yes":
        return _site(request, status=422, fault="setup_run.not_sure")
    try:
        desk.folder.allow(desk.site.id, SiteAccess(wanted))
    except VppError as error:
        return _site(request, status=422, fault="setup_run.not_allowed", error=error)
    desk.access.audit("site.allowed", f"site/{desk.site.id}", access=wanted)
    return go(f"/setup/{desk.site.id}")


async def remove(request: Request) -> Response:
    """Take a site out of service: its loop ends in its safe state, its files are put aside."""
    fields = await fields_of(request)
    return await run_in_threadpool(_remove, request, fields)


def _remove(request: Request, fields: dict[str, str]) -> Response:
    desk = _Desk.of(request)
    if fields.get("sure") != "yes":
        return _site(request, status=422, fault="setup_run.not_sure")
    aside = desk.folder.remove(desk.site.id, at=desk.access.service.clock.now())
    desk.access.audit("site.removed", f"site/{desk.site.id}", kept_as="" if aside is None else aside.name)
    return go("/setup")


PAGES: Final = (
    Page(path="/setup", endpoint=sites, rule="setup", nav="nav.setup"),
    Page(path="/setup", endpoint=add_site, rule="setup", method="POST"),
    Page(path="/setup/{site}", endpoint=site, rule="setup", about=About.SITE),
    Page(path="/setup/{site}/equipment", endpoint=equip, rule="setup", about=About.SITE, method="POST"),
    Page(
        path="/setup/{site}/equipment/{asset}/drop",
        endpoint=unequip,
        rule="setup",
        about=About.SITE,
        method="POST",
    ),
    Page(path="/setup/{site}/access", endpoint=allow, rule="setup", about=About.SITE, method="POST"),
    Page(path="/setup/{site}/remove", endpoint=remove, rule="setup", about=About.SITE, method="POST"),
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
