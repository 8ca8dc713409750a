"""Coming in: password, second factor, sessions that end, and waiting times that grow.

A session is a random cookie of which the server keeps a digest. It is new after every step (password, code),
ends when unused or old, and when the clock says that it comes from the future.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from energy.core.clock import Clock
from energy.store import AccountRow, SessionRow, Store
from vpp.people.keys import digest_of, new_secret
from vpp.people.passwords import Passwords
from vpp.people.roles import Account, AccountState, account_of
from vpp.people.second_factor import matching_step, new_recovery_codes, new_seed, spent

__all__ = ["FREE_FAILURES", "LONGEST_WAIT", "Logins", "Session", "SessionRules", "Stage", "waiting_time"]

Stage = Literal["code", "full"]
"""What a session is good for: only for typing the code, or for everything."""

FREE_FAILURES: Final = 4
_FIRST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(hours=1)
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_SEEN_EVERY: Final = timedelta(minutes=1)
_CODE_LASTS: Final = timedelta(minutes=10)


def waiting_time(failures: int) -> timedelta:
    """How long an account is shut after so many failures in a row.

    Nothing for four, then 30 s, doubled each time, at most an hour.
    """
    over = failures - FREE_FAILURES
    return timedelta(0) if over <= 0 else min(LONGEST_WAIT, _FIRST_WAIT * 2 ** min(over - 1, 20))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """When a session ends.

    Parameters
    ----------
    idle : timedelta
        Unused for this long.
    longest : timedelta
        In any case.
    """

    idle: timedelta = timedelta(minutes=60)
    longest: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Somebody who is in, or on the way in.

    Parameters
    ----------
    digest : str
        Names the session on the server.
    form_key : str
        What every form of this session must carry.
    """

    digest: str
    account: Account
    stage: Stage
    form_key: str
    created_at: datetime


class Logins:
    """The door."""

    def __init__(
        self, store: Store, clock: Clock, passwords: Passwords, rules: SessionRules | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._rules = rules or SessionRules()

    def by_password(self, account_id: str, password: str) -> str | None:
        """The cookie of a new session; None if name or password is wrong, or the account has to wait.

        The answer does not tell which, and takes the same time.
        """
        now = self._clock.now()
        row = self._store.rows.accounts.one(id=account_id)
        fits = self._passwords.fits(None if row is None else row.password, password)
        if row is None or row.state != AccountState.ACTIVE.value:
            return None
        if self._waits(row, now):
            self._audit(row.id, "login.waiting", now)
            return None
        if not fits:
            self._failed(row, now, "password")
            return None
        if row.password is not None and self._passwords.outdated(row.password):
            self._store.rows.accounts.change({"id": row.id}, password=self._passwords.hashed(password))
        if row.totp_step is not None:
            return self._open(row.id, "code", now)
        return self._entered(row, now, "password")

    def by_code(self, session: Session, code: str) -> str | None:
        """The cookie of a full session in place of one that waited for a code; None if the code is wrong."""
        now = self._clock.now()
        row = self._store.rows.accounts.one(id=session.account.id)
        if row is None or row.totp_seed is None or self._waits(row, now):
            return None
        step = matching_step(row.totp_seed, code, at=now, last=row.totp_step)
        if step is not None:
            # Only one of two who send the same code at the same moment finds the old step still there.
            if not self._store.rows.accounts.change(
                {"id": row.id, "totp_step": row.totp_step}, totp_step=step
            ):
                return None
            return self._replaced(session, row, now, "code")
        left = spent(row.recovery, code)
        if left is not None and self._store.rows.accounts.change(
            {"id": row.id, "recovery": row.recovery}, recovery=left
        ):
            return self._replaced(session, row, now, "recovery_code")
        self._failed(row, now, "code")
        return None

    def session(self, cookie: str) -> Session | None:
        """The session of a cookie; None if it ended. Looking it up is using it."""
        row = self._store.rows.sessions.one(digest=digest_of(cookie))
        if row is None:
            return None
        now = self._clock.now()
        account = self._store.rows.accounts.one(id=row.account)
        if account is None or account.state != AccountState.ACTIVE.value or self._over(row, now):
            self._store.rows.sessions.remove(digest=row.digest)
            return None
        if now - row.seen_at >= _SEEN_EVERY:
            self._store.rows.sessions.change({"digest": row.digest}, seen_at=now)
        return Session(
            digest=row.digest,
            account=account_of(account),
            stage="code" if row.stage == "code" else "full",
            form_key=row.form_key,
            created_at=row.created_at,
        )

    def leave(self, session: Session) -> None:
        """End a session."""
        self._store.rows.sessions.remove(digest=session.digest)
        self._audit(session.account.id, "login.left", self._clock.now())

    def begin_second_factor(self, account_id: str) -> str:
        """A new seed that waits for its first code; the one in use stays until then.

        Returns
        -------
        str
            The seed, to be shown as a picture. The same one until it is confirmed.
        """
        row = self._store.rows.accounts.one(id=account_id)
        if row is not None and row.totp_seed is not None and row.totp_step is None:
            return row.totp_seed
        seed = new_seed()
        self._store.rows.accounts.change({"id": account_id, "totp_step": None}, totp_seed=seed)
        return seed

    def confirm_second_factor(self, account_id: str, code: str) -> list[str] | None:
        """Put the seed in use; the recovery codes, to show once. None if wrong, or one is in use."""
        now = self._clock.now()
        row = self._store.rows.accounts.one(id=account_id)
        if row is None or row.totp_seed is None or row.totp_step is not None:
            return None
        step = matching_step(row.totp_seed, code, at=now, last=None)
        if step is None:
            return None
        codes, kept = new_recovery_codes()
        with self._store.transaction():
            self._store.rows.accounts.change(
                {"id": account_id, "totp_step": None}, totp_step=step, recovery=kept
            )
            self._audit(account_id, "second_factor.enrolled", now)
        return codes

    def remove_ended(self) -> int:
        """Take away sessions that are over; a job calls it."""
        ended = self._store.rows.sessions.up_to("created_at", self._clock.now() - self._rules.longest)
        return sum(self._store.rows.sessions.remove(digest=one.digest) for one in ended)

    def _over(self, row: SessionRow, now: datetime) -> bool:
        longest = _CODE_LASTS if row.stage == "code" else self._rules.longest
        from_the_future = now < row.created_at - _CLOCKS_DIFFER
        return from_the_future or now >= row.created_at + longest or now >= row.seen_at + self._rules.idle

    def _waits(self, row: AccountRow, now: datetime) -> bool:
        # Further away than the longest wait: the clock ran back, and the wait cannot be believed.
        return row.locked_until is not None and now < row.locked_until <= now + LONGEST_WAIT

    def _failed(self, row: AccountRow, now: datetime, what: str) -> None:
        with self._store.transaction():
            fresh = self._store.rows.accounts.one(id=row.id)  # others may have failed at the same moment
            failures = (row if fresh is None else fresh).failures + 1
            wait = waiting_time(failures)
            self._store.rows.accounts.change(
                {"id": row.id}, failures=failures, locked_until=now + wait if wait else None
            )
            facts = {"what": what, "failures": failures, "wait_s": int(wait.total_seconds())}
            self._audit(row.id, "login.failed", now, facts)

    def _entered(self, row: AccountRow, now: datetime, by: str) -> str:
        with self._store.transaction():
            self._store.rows.accounts.change({"id": row.id}, failures=0, locked_until=None)
            self._audit(row.id, "login.entered", now, {"by": by})
            return self._open(row.id, "full", now)

    def _replaced(self, session: Session, row: AccountRow, now: datetime, by: str) -> str:
        with self._store.transaction():
            self._store.rows.sessions.remove(digest=session.digest)
            return self._entered(row, now, by)

    def _open(self, account_id: str, stage: Stage, now: datetime) -> str:
        cookie = new_secret()
        self._store.rows.sessions.add(
            SessionRow(
                digest=digest_of(cookie),
                account=account_id,
                form_key=new_secret(),
                stage=stage,
                created_at=now,
                seen_at=now,
            )
        )
        return cookie

    def _audit(self, account_id: str, act: str, at: datetime, facts: dict[str, object] | None = None) -> None:
        self._store.audit(account_id, act, f"account/{account_id}", at=at, facts=facts or {})
