"""Consents: who may use whose data for what, and their end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path
from starlette.requests import Request

from energy.ledger import Channel, Consent, ConsentRegister
from vpp.api.common import Answer, Cursor, Limit, known_now, noun, page_of
from vpp.api.sites import only_here
from vpp.http.access import Access, access_of, guarded
from vpp.http.problems import Problem
from vpp.people.roles import Role

__all__ = ["consents"]

consents = noun("consents")

ConsentId = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="Id of a consent.")]


class ConsentBody(Answer):
    """One consent."""

    id: str
    subject: str
    controller: str
    purpose: str
    purpose_version: int
    categories: list[str]
    recipients: list[str]
    granted_at: datetime
    valid_until: datetime | None
    withdrawn_at: datetime | None


class ConsentPage(Answer):
    """Consents by id."""

    items: list[ConsentBody]
    next: str | None = None


def _subjects(access: Access) -> set[str]:
    """Whose consents are the caller's own: sites, and cars whose id no other site has."""
    known = known_now(access)
    cars = {car.split("/")[1] for car in access.who.objects.cars}
    return {*access.who.objects.sites, *(car for car in cars if only_here(known, car))}


def _mine(access: Access, consent: Consent, subjects: set[str]) -> bool:
    if access.everything:
        return True
    if access.who.role is Role.RETAILER:
        return access.who.objects.party in consent.recipients
    return consent.subject in subjects


def _shown(consent: Consent) -> ConsentBody:
    return ConsentBody(
        id=consent.id,
        subject=consent.subject,
        controller=consent.controller,
        purpose=consent.purpose,
        purpose_version=consent.purpose_version,
        categories=list(consent.categories),
        recipients=list(consent.recipients),
        granted_at=consent.granted_at,
        valid_until=consent.valid_until,
        withdrawn_at=consent.withdrawn_at,
    )


@consents.get("/consents")
@guarded("consent")
def list_consents(request: Request, cursor: Cursor = None, limit: Limit = 100) -> ConsentPage:
    """Consents that are the caller's own, or name the caller as recipient; withdrawn ones included."""
    access = access_of(request)
    subjects = _subjects(access)
    found = ConsentRegister(access.service.store).consents(access.service.clock.now())
    mine = [one for one in found if _mine(access, one, subjects)]
    shown, more = page_of(mine, cursor, limit, key=lambda one: one.id)
    return ConsentPage(items=[_shown(one) for one in shown], next=more)


@consents.post("/consents/{consent}/withdraw")
@guarded("consent-withdraw")
def withdraw(request: Request, consent: ConsentId) -> ConsentBody:
    """Withdraw a consent from now on. Every later use is refused; what was done before stays."""
    access = access_of(request)
    register, now = ConsentRegister(access.service.store), access.service.clock.now()
    subjects = _subjects(access)
    known = next((one for one in register.consents(now) if one.id == consent), None)
    if known is None or not _mine(access, known, subjects):
        raise Problem("not_found")
    register.withdraw(consent, withdrawn_at=now, recorded_at=now, actor=access.who.id, channel=Channel.APP)
    return _shown(next(one for one in register.consents(now) if one.id == consent))
