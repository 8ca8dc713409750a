"""Keys for programs: what they may do (scopes), until when, shown once, kept as a digest.

A token can never do more than its owner: rights are those of the account, cut down to the scopes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from energy.core.clock import Clock
from energy.core.errors import ConfigError
from energy.store import Store, TokenRow
from vpp.people.keys import digest_of, new_id, new_secret, same
from vpp.people.roles import Account, AccountState, account_of

__all__ = ["LONGEST_TOKEN", "PREFIX", "ApiToken", "Tokens"]

PREFIX: Final = "vpp"
"""First part of every token, so that scanners for leaked secrets can know it."""
LONGEST_TOKEN: Final = timedelta(days=366)
_MOST: Final = 20
_LONGEST_NAME: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token, without its secret."""

    id: str
    name: str
    account: Account
    scopes: frozenset[str]
    created_at: datetime
    ends_at: datetime
    revoked_at: datetime | None


class Tokens:
    """Tokens of all accounts.

    Parameters
    ----------
    scopes : collection of str
        Those that exist, such as ``read:measurements``.
    """

    def __init__(self, store: Store, clock: Clock, scopes: Sequence[str]) -> None:
        self._store = store
        self._clock = clock
        self.scopes = tuple(sorted(scopes))

    def make(self, account: Account, *, name: str, scopes: Sequence[str], lasts: timedelta) -> str:
        """A new token, as the text that is shown once.

        Raises
        ------
        ConfigError
            If a scope does not exist, the name cannot be shown, or it would live too long.
        """
        unknown = sorted(set(scopes) - set(self.scopes))
        shown = name.strip()
        if unknown or not scopes:
            raise ConfigError(
                f"no scope {unknown[0]!r}" if unknown else "a token needs a scope",
                where=name[:_LONGEST_NAME],
                hint=f"choose from {', '.join(self.scopes)}",
            )
        if not 1 <= len(shown) <= _LONGEST_NAME or not shown.isprintable():
            raise ConfigError(
                "a token needs a name", where=f"{len(shown)} characters", hint=f"1 to {_LONGEST_NAME}"
            )
        if not timedelta(0) < lasts <= LONGEST_TOKEN:
            raise ConfigError(
                "a token ends", where=f"asked for {lasts.days} days", hint=f"1 to {LONGEST_TOKEN.days} days"
            )
        if len(self.of(account)) >= _MOST:
            raise ConfigError("too many tokens", where=account.id, hint=f"at most {_MOST}: revoke one first")
        now, token_id, secret = self._clock.now(), new_id(), new_secret()
        row = TokenRow(
            id=token_id,
            digest=digest_of(secret),
            account=account.id,
            name=shown,
            scopes=" ".join(sorted(set(scopes))),
            created_at=now,
            ends_at=now + lasts,
        )
        with self._store.transaction():
            self._store.rows.tokens.add(row)
            facts = {"scopes": row.scopes, "ends_at": row.ends_at}
            self._store.audit(account.id, "token.made", f"token/{token_id}", at=now, facts=facts)
        return f"{PREFIX}_{token_id}_{secret}"

    def of(self, account: Account) -> list[ApiToken]:
        """Tokens of an account that work or once worked, without those revoked."""
        rows = self._store.rows.tokens.find(account=account.id, revoked_at=None)
        return sorted((_token(row, account) for row in rows), key=lambda one: one.created_at)

    def revoke(self, account: Account, token_id: str) -> bool:
        """End a token of one's own; False if there is none."""
        now = self._clock.now()
        mine = {"id": token_id, "account": account.id, "revoked_at": None}
        with self._store.transaction():
            if not self._store.rows.tokens.change(mine, revoked_at=now):
                return False
            self._store.audit(account.id, "token.revoked", f"token/{token_id}", at=now, facts={})
        return True

    def check(self, text: str) -> ApiToken | None:
        """The token that a program sent; None if it is none, is over, or its owner is shut out."""
        prefix, _, rest = text.partition("_")
        token_id, _, secret = rest.partition("_")
        row = self._store.rows.tokens.one(id=token_id) if prefix == PREFIX and secret else None
        if row is None or not same(row.digest, digest_of(secret)) or row.revoked_at is not None:
            return None
        account = self._store.rows.accounts.one(id=row.account)
        if account is None or account.state == AccountState.DISABLED.value:
            return None
        if not row.created_at <= self._clock.now() < row.ends_at:
            return None
        return _token(row, account_of(account))


def _token(row: TokenRow, account: Account) -> ApiToken:
    return ApiToken(
        id=row.id,
        name=row.name,
        account=account,
        scopes=frozenset(row.scopes.split()),
        created_at=row.created_at,
        ends_at=row.ends_at,
        revoked_at=row.revoked_at,
    )
