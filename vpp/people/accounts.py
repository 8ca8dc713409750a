"""Accounts: invited by a one-time link, never with a password that somebody else chose.

The link is shown once and kept as a digest; who uses it chooses the password. The very first administrator
comes in the same way, by ``vpp people invite`` on the machine itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

from energy.core.clock import Clock
from energy.core.errors import ConfigError
from energy.store import LinkRow, Store
from vpp.people.keys import digest_of, new_secret
from vpp.people.passwords import Passwords
from vpp.people.roles import Account, AccountState, Objects, Role, account_of, new_row

__all__ = ["INVITATION_LASTS", "RESET_LASTS", "People"]

INVITATION_LASTS: Final = timedelta(days=3)
RESET_LASTS: Final = timedelta(hours=2)


class People:
    """Everybody who may come in.

    Parameters
    ----------
    clock : Clock
        Says when links end.
    """

    def __init__(self, store: Store, clock: Clock, passwords: Passwords | None = None) -> None:
        self._store = store
        self._clock = clock
        self.passwords = passwords or Passwords()

    def all(self) -> list[Account]:
        """Every account, disabled ones included, by id."""
        return [account_of(row) for row in self._store.rows.accounts.find()]

    def find(self, account_id: str) -> Account | None:
        """One account."""
        row = self._store.rows.accounts.one(id=account_id)
        return None if row is None else account_of(row)

    def require(self, account_id: str) -> Account:
        """One account that exists.

        Raises
        ------
        ConfigError
            If there is none.
        """
        found = self.find(account_id)
        if found is None:
            raise ConfigError(
                f"nobody is called {account_id!r}",
                where="accounts of this database",
                hint="vpp people list shows everybody",
            )
        return found

    def invite(
        self,
        account_id: str,
        *,
        name: str,
        role: Role,
        objects: Objects,
        lang: str,
        actor: str,
    ) -> str:
        """Make an account and the secret of its one-time link; again for somebody who did not come yet.

        Raises
        ------
        ConfigError
            If the name is taken by somebody who came in or was invited as something else, or is none.
        """
        now = self._clock.now()
        row = new_row(account_id, name=name, role=role, objects=objects, lang=lang, at=now)
        with self._store.transaction():
            if not self._store.rows.accounts.add(row):
                known = self.require(account_id)
                same = (known.role, known.objects) == (role, objects)
                if known.state is not AccountState.INVITED or not same:
                    raise ConfigError(
                        f"{account_id!r} is taken",
                        where=f"{known.role.value}, {known.state.value}",
                        hint="choose another name, or give a new link (vpp people reset)",
                    )
            facts = {"role": role.value, "sites": list(objects.sites), "cars": list(objects.cars)}
            self._audit(actor, "account.invited", account_id, now, {**facts, "party": objects.party})
            return self._link(account_id, "invite", now, INVITATION_LASTS)

    def reset(self, account_id: str, *, actor: str, second_factor: bool = False) -> str:
        """End the password and all sessions, and make a one-time link for a new one.

        Parameters
        ----------
        second_factor : bool
            Also forget the second factor and the recovery codes, for a lost phone.

        Raises
        ------
        ConfigError
            If there is no such account.
        """
        now = self._clock.now()
        with self._store.transaction():
            known = self.require(account_id)
            self._store.rows.accounts.change(
                {"id": account_id},
                password=None,
                state=AccountState.INVITED.value,
                failures=0,
                locked_until=None,
            )
            if second_factor:
                self._store.rows.accounts.change(
                    {"id": account_id}, totp_seed=None, totp_step=None, recovery="[]"
                )
            self._store.rows.sessions.remove(account=account_id)
            facts = {"was": known.state.value, "second_factor": second_factor}
            self._audit(actor, "account.reset", account_id, now, facts)
            return self._link(account_id, "reset", now, RESET_LASTS)

    def change(self, account_id: str, *, role: Role, objects: Objects, actor: str) -> bool:
        """Give somebody another role or other things; sessions and tokens end. False if nothing changes.

        Raises
        ------
        ConfigError
            If there is no such account, the objects do not fit the role, or it is the last administrator.
        """
        now = self._clock.now()
        checked = objects.check(role)
        with self._store.transaction():
            known = self.require(account_id)
            if (known.role, known.objects) == (role, checked):
                return False
            if role is not Role.ADMINISTRATOR:
                self._not_the_last_administrator(known)
            self._store.rows.accounts.change(
                {"id": account_id}, role=role.value, objects=json.dumps(asdict(checked), sort_keys=True)
            )
            self._store.rows.sessions.remove(account=account_id)
            self._store.rows.tokens.change({"account": account_id, "revoked_at": None}, revoked_at=now)
            self._store.rows.hooks.change({"account": account_id, "ended_at": None}, ended_at=now)
            facts = {"was": known.role.value, "role": role.value, **asdict(checked)}
            self._audit(actor, "account.changed", account_id, now, facts)
        return True

    def _not_the_last_administrator(self, known: Account) -> None:
        others = [
            one
            for one in self.all()
            if one.role is Role.ADMINISTRATOR and one.state is AccountState.ACTIVE and one.id != known.id
        ]
        if known.role is Role.ADMINISTRATOR and known.state is AccountState.ACTIVE and not others:
            raise ConfigError(
                "the last administrator stays",
                where=known.id,
                hint="invite another administrator first (vpp people invite)",
            )

    def disable(self, account_id: str, *, actor: str) -> bool:
        """Shut an account: sessions, links and tokens end at once. False if it was shut.

        Raises
        ------
        ConfigError
            If there is no such account, or it is the last administrator.
        """
        now = self._clock.now()
        with self._store.transaction():
            known = self.require(account_id)
            if known.state is AccountState.DISABLED:
                return False
            self._not_the_last_administrator(known)
            self._store.rows.accounts.change(
                {"id": account_id}, state=AccountState.DISABLED.value, password=None
            )
            self._store.rows.sessions.remove(account=account_id)
            self._store.rows.links.change({"account": account_id, "used_at": None}, used_at=now)
            self._store.rows.tokens.change({"account": account_id, "revoked_at": None}, revoked_at=now)
            self._store.rows.hooks.change({"account": account_id, "ended_at": None}, ended_at=now)
            self._audit(actor, "account.disabled", account_id, now, {"was": known.state.value})
        return True

    def invited(self, secret: str) -> Account | None:
        """Whose link this is; None if it is wrong, used or over."""
        link = self._usable(secret)
        return None if link is None else self.find(link.account)

    def accept(self, secret: str, password: str) -> Account:
        """Use a link once: its owner has this password from now on.

        Raises
        ------
        ConfigError
            If the link cannot be used (any more), or the password is not accepted; then the link stays.
        """
        link = self._usable(secret)
        if link is None:
            raise _dead_link()
        self.passwords.require_good(password, link.account)
        hashed = self.passwords.hashed(password)
        now = self._clock.now()
        with self._store.transaction():
            if not self._store.rows.links.change({"digest": link.digest, "used_at": None}, used_at=now):
                raise _dead_link()  # somebody was faster
            self._store.rows.links.change({"account": link.account, "used_at": None}, used_at=now)
            self._store.rows.accounts.change(
                {"id": link.account, "state": AccountState.INVITED.value},
                password=hashed,
                state=AccountState.ACTIVE.value,
                failures=0,
                locked_until=None,
            )
            self._audit(link.account, "account.accepted", link.account, now, {"link": link.purpose})
        return self.require(link.account)

    def change_password(self, account_id: str, old: str, new: str, *, keep_session: str) -> None:
        """Give oneself another password; every other session ends.

        Parameters
        ----------
        keep_session : str
            Digest of the session that asks.

        Raises
        ------
        ConfigError
            If the old one is wrong or the new one is not accepted.
        """
        row = self._store.rows.accounts.one(id=account_id)
        if row is None or not self.passwords.fits(row.password, old):
            raise ConfigError("the present password is wrong", where=account_id, hint="type it once more")
        self.passwords.require_good(new, account_id)
        hashed, now = self.passwords.hashed(new), self._clock.now()
        with self._store.transaction():
            self._store.rows.accounts.change({"id": account_id}, password=hashed)
            for session in self._store.rows.sessions.find(account=account_id):
                if session.digest != keep_session:
                    self._store.rows.sessions.remove(digest=session.digest)
            self._audit(account_id, "account.password_changed", account_id, now, {})

    def _usable(self, secret: str) -> LinkRow | None:
        link = self._store.rows.links.one(digest=digest_of(secret), used_at=None)
        now = self._clock.now()
        # A link from the future means that the clock ran back: better a new link than one that never ends.
        if link is None or not link.created_at <= now < link.ends_at:
            return None
        return link

    def _link(self, account_id: str, purpose: str, now: datetime, lasts: timedelta) -> str:
        secret = new_secret()
        self._store.rows.links.change({"account": account_id, "used_at": None}, used_at=now)
        self._store.rows.links.add(
            LinkRow(
                digest=digest_of(secret),
                account=account_id,
                purpose=purpose,
                created_at=now,
                ends_at=now + lasts,
            )
        )
        return secret

    def _audit(
        self, actor: str, act: str, account_id: str, at: datetime, facts: Mapping[str, object]
    ) -> None:
        self._store.audit(actor, act, f"account/{account_id}", at=at, facts=facts)


def _dead_link() -> ConfigError:
    return ConfigError(
        "this link cannot be used",
        where="it is wrong, was used, or is over",
        hint="ask for a new one (vpp people reset)",
    )
