"""Where wishes are kept: documents that are only added to, in folders by the month in which they end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from energy.core.errors import ConfigError
from energy.core.site import Site
from energy.store import Snapshot, Store
from vpp.wishes.acts import (
    Act,
    ChargeNow,
    Departure,
    Ended,
    EndedWhy,
    HoldPower,
    HoldRoom,
    NoDischarge,
    PersonsWish,
    wish_from_json,
    wish_to_json,
)

__all__ = ["LONGEST", "WISH", "WishBook", "end_reached", "wishes_at", "wishes_of"]

WISH: Final = "wish"
"""Kind of the documents; key ``SITE/MONTH/ASSET-…``, the month (UTC) in which it ends, or ``always``."""
LONGEST: Final = timedelta(days=8)
"""Longest time for which something is asked once; what holds every week has no end."""
_ALWAYS: Final = "always"
_REGISTER: Final = 0.01  # a charger counts whole percent, and slows down for the last of them


def wishes_at(known: Snapshot, site: str, when: datetime) -> list[PersonsWish]:
    """Wishes about a site that are in force at an instant, oldest first."""
    months = dict.fromkeys(f"{at:%Y-%m}" for at in (when, when + LONGEST))
    found = [one for folder in (*months, _ALWAYS) for one in _folder(known, site, folder)]
    return sorted((one for one in found if one.holds_at(when)), key=lambda one: one.made_at)


def wishes_of(known: Snapshot, site: str, asset: str) -> list[PersonsWish]:
    """Everything that was ever asked of an asset, newest first."""
    found = [wish_from_json(one.body) for one in known.documents(WISH, prefix=f"{site}/")]
    return sorted((one for one in found if one.asset == asset), key=lambda one: one.made_at, reverse=True)


def _folder(known: Snapshot, site: str, folder: str) -> list[PersonsWish]:
    return [wish_from_json(one.body) for one in known.documents(WISH, prefix=f"{site}/{folder}/")]


def _key(wish: PersonsWish) -> str:
    folder = _ALWAYS if wish.until is None else f"{wish.until:%Y-%m}"
    return f"{wish.site}/{folder}/{wish.id}"


class WishBook:
    """Makes and ends wishes; every act is in the audit trail."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def make(
        self, site: str, asset: str, act: Act, *, until: datetime | None, at: datetime, by: str
    ) -> PersonsWish:
        """Ask for something; what was asked before about the same thing ends with it.

        The same again at the same instant (a double tap) changes nothing.

        Raises
        ------
        ConfigError
            If it would end before it begins, or holds for longer than :data:`LONGEST`.
        """
        every_week = isinstance(act, Departure) and act.day is None
        if until is None and not every_week:
            raise ConfigError("a wish says when it ends", where=act.kind, hint="give until")
        if until is not None and not at < until <= at + LONGEST:
            raise ConfigError(
                "this end cannot be",
                where=f"now {at.isoformat()}, until {until.isoformat()}",
                hint=f"choose an end that is later than now and at most {LONGEST.days} days ahead",
            )
        wish = PersonsWish(
            id="",
            site=site,
            asset=asset,
            act=act,
            made_at=at,
            made_by=by,
            until=None if every_week else until,
        )
        digest = hashlib.sha256(wish_to_json(wish).encode()).hexdigest()[:12]
        wish = replace(wish, id=f"{asset}-{at:%Y%m%dT%H%M%S}-{digest}")
        with self._store.transaction():
            before = [one for one in wishes_at(self._store.as_of(at), site, at) if one.asset == asset]
            if any(one.id == wish.id for one in before):
                return wish
            for one in before:
                if _same_thing(one.act, act):
                    self._end(one, EndedWhy.REPLACED, at=at, by=by)
            self._store.put_document(WISH, _key(wish), known_at=at, body=wish_to_json(wish))
            facts = {"wish": wish.id, "kind": act.kind, "until": None if until is None else until.isoformat()}
            self._store.audit(by, "wish.made", f"asset/{site}/{asset}", at=at, facts=facts)
        return wish

    def cancel(
        self, site: str, wish_id: str, *, at: datetime, by: str, why: EndedWhy = EndedWhy.CANCELLED
    ) -> PersonsWish | None:
        """End a wish; None if there is none in force of this name (any more)."""
        with self._store.transaction():
            found = [one for one in wishes_at(self._store.as_of(at), site, at) if one.id == wish_id]
            return self._end(found[0], why, at=at, by=by) if found else None

    def _end(self, wish: PersonsWish, why: EndedWhy, *, at: datetime, by: str) -> PersonsWish:
        ended = replace(wish, ended=Ended(at=at, by=by, why=why))
        # A wish that ends in the instant in which it was made: a version is known from one instant on.
        known_at = max(at, wish.made_at + timedelta(microseconds=1))
        self._store.put_document(WISH, _key(wish), known_at=known_at, body=wish_to_json(ended))
        self._store.audit(
            by,
            f"wish.{why.value}",
            f"asset/{wish.site}/{wish.asset}",
            at=at,
            facts={"wish": wish.id, "kind": wish.act.kind},
        )
        return ended


def end_reached(store: Store, site: Site, soc: Mapping[str, float], *, at: datetime) -> None:
    """End the wishes of cars that were to charge at once and are full enough now.

    Parameters
    ----------
    soc : mapping
        Measured state of charge by car. [-]
    """
    highest = {vehicle.id: vehicle.soc_max for vehicle in site.vehicles}
    for wish in wishes_at(store.as_of(at), site.id, at):
        if isinstance(wish.act, ChargeNow) and wish.asset in soc:
            most = highest.get(wish.asset, 1.0)
            enough = most if wish.act.charge is None else min(most, wish.act.charge)
            if soc[wish.asset] >= enough - _REGISTER:
                WishBook(store).cancel(site.id, wish.id, at=at, by="control", why=EndedWhy.DONE)


_CHARGING: Final[Sequence[type]] = (ChargeNow, HoldPower)


def _same_thing(old: Act, new: Act) -> bool:
    """Whether a newer act takes the place of an older one about the same asset."""
    if isinstance(old, Departure) and isinstance(new, Departure):
        if (old.day is None) != (new.day is None):
            return False
        return old.day == new.day if new.day is not None else set(old.days) <= set(new.days)
    if type(old) in _CHARGING and type(new) in _CHARGING:
        return True
    return isinstance(new, (NoDischarge, HoldRoom)) and type(old) is type(new)
