"""Accounts: who somebody is to the service, and which sites, cars and company are theirs."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from energy.core.errors import ConfigError
from energy.store import AccountRow
from vpp.i18n import LANGUAGES, Lang

__all__ = ["Account", "AccountState", "Objects", "Role", "account_of", "new_row", "require_name"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.@_-]{1,63}")
_IDENTIFIER: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_SHOWN_NAME: Final = 80


class Role(StrEnum):
    """What somebody comes for."""

    OPERATOR = "operator"
    FACTORY = "factory"
    RETAILER = "retailer"
    DRIVER = "driver"
    INSTALLER = "installer"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


class AccountState(StrEnum):
    """Whether an account can be used."""

    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """What is somebody's own.

    Parameters
    ----------
    sites : tuple of str
        Ids of sites (factory, installer).
    cars : tuple of str
        Cars as ``site/car`` (driver).
    party : str
        Name of the company in consents and plans (retailer, and whoever receives consented data).
    """

    sites: tuple[str, ...] = ()
    cars: tuple[str, ...] = ()
    party: str = ""

    def check(self, role: Role) -> Objects:
        """Itself, if it is what this role needs.

        Raises
        ------
        ConfigError
            If something is missing, too much, or no id.
        """
        needed = {
            Role.FACTORY: "sites",
            Role.INSTALLER: "sites",
            Role.DRIVER: "cars",
            Role.RETAILER: "party",
        }.get(role)
        for kind, flag in (("sites", "--site"), ("cars", "--car"), ("party", "--party")):
            given = bool(getattr(self, kind))
            if given != (kind == needed):
                raise ConfigError(
                    f"a {role.value} {'needs' if kind == needed else 'has no'} {kind}",
                    where=f"{kind}: {getattr(self, kind) or 'none'}",
                    hint=f"{'add' if kind == needed else 'leave out'} {flag}",
                )
        pairs = [car.split("/") for car in self.cars]
        wrong = [car for car, pair in zip(self.cars, pairs, strict=True) if len(pair) != len(("site", "car"))]
        ids = (*self.sites, *(part for pair in pairs for part in pair))
        wrong += [name for name in ids if not _IDENTIFIER.fullmatch(name)]
        if wrong:
            raise ConfigError(
                f"{wrong[0]!r} is no id",
                where="--site, --car",
                hint="a site is an id such as kitakata, a car is site/car such as kitakata/leaf",
            )
        if self.party and not _IDENTIFIER.fullmatch(self.party):
            raise ConfigError(
                f"{self.party!r} is no id of a company", where="--party", hint="a-z, digits and hyphens"
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One person or program that may come in.

    Parameters
    ----------
    id : str
        The name typed at log-in; the actor in the audit trail.
    name : str
        What screens call them.
    second_factor : bool
        Whether a code is asked for after the password.
    """

    id: str
    name: str
    role: Role
    state: AccountState
    objects: Objects
    lang: Lang
    second_factor: bool
    created_at: datetime

    def to_json(self) -> dict[str, object]:
        """For listings; nothing secret."""
        return {
            "id": self.id,
            "name": self.name,
            "role": self.role.value,
            "state": self.state.value,
            "sites": list(self.objects.sites),
            "cars": list(self.objects.cars),
            "party": self.objects.party,
            "second_factor": self.second_factor,
            "created_at": self.created_at.isoformat(),
        }


def account_of(row: AccountRow) -> Account:
    """An account as it is kept."""
    objects = json.loads(row.objects)
    return Account(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        state=AccountState(row.state),
        objects=Objects(sites=tuple(objects["sites"]), cars=tuple(objects["cars"]), party=objects["party"]),
        lang="ja" if row.lang == "ja" else "en",
        second_factor=row.totp_step is not None,
        created_at=row.created_at,
    )


def new_row(
    account_id: str, *, name: str, role: Role, objects: Objects, lang: str, at: datetime
) -> AccountRow:
    """A fresh invitation as a row.

    Raises
    ------
    ConfigError
        If a name or an object cannot be.
    """
    require_name(account_id)
    shown = name.strip() or account_id
    if len(shown) > _LONGEST_SHOWN_NAME or not shown.isprintable():
        raise ConfigError(
            "this name cannot be shown",
            where=f"{len(shown)} characters",
            hint=f"use at most {_LONGEST_SHOWN_NAME} printable characters",
        )
    if lang not in LANGUAGES:
        raise ConfigError(
            f"no texts in {lang!r}", where="language", hint=f"choose from {', '.join(LANGUAGES)}"
        )
    return AccountRow(
        id=account_id,
        name=shown,
        role=role.value,
        state=AccountState.INVITED.value,
        objects=json.dumps(asdict(objects.check(role)), sort_keys=True),
        lang=lang,
        password=None,
        totp_seed=None,
        totp_step=None,
        recovery="[]",
        failures=0,
        locked_until=None,
        created_at=at,
    )


def require_name(account_id: str) -> None:
    """Refuse what cannot be a log-in name.

    Raises
    ------
    ConfigError
        If it is too short, too long or holds other signs.
    """
    if not _NAME.fullmatch(account_id):
        raise ConfigError(
            "this is no log-in name",
            where=repr(account_id[:70]),
            hint="2 to 64 of a-z, 0-9, dot, hyphen, underscore and @; an e-mail address will do",
        )
