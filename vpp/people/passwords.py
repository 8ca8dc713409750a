"""Passwords: argon2id, with the library's parameters of RFC 9106 [1]_, at most two at a time.

References
----------
.. [1] RFC 9106, section 4, second recommended option: t=3, m=64 MiB, p=4.
"""

from __future__ import annotations

from threading import BoundedSemaphore
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from energy.core.errors import ConfigError

__all__ = ["LONGEST", "SHORTEST", "Passwords"]

SHORTEST: Final = 12  # NIST SP 800-63B asks for 8 with a second factor, 15 without; we hold 12 for both
LONGEST: Final = 256


class Passwords:
    """Makes and checks hashes.

    Parameters
    ----------
    hasher : PasswordHasher, optional
        Cheaper parameters for tests.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turn = BoundedSemaphore(2)  # each takes 64 MiB
        self._nobody = self.hashed("nobody has this password")

    def require_good(self, password: str, account_id: str) -> None:
        """Refuse a password that is too short, too long or too simple.

        Raises
        ------
        ConfigError
            With what is missing; the password itself is never repeated.
        """
        simple = password.strip().lower()
        if len(password) < SHORTEST or len(password) > LONGEST:
            fault = f"{len(password)} characters"
        elif len(set(simple)) < 5:  # "aaaaaaaaaaaa", "121212121212"
            fault = "fewer than five different characters"
        elif account_id.lower() in simple:
            fault = "it holds the log-in name"
        else:
            return
        raise ConfigError(
            "this password is not accepted",
            where=fault,
            hint=f"{SHORTEST} to {LONGEST} characters; three or four unrelated words are good",
        )

    def hashed(self, password: str) -> str:
        """The hash to keep."""
        with self._turn:
            return self._hasher.hash(password)

    def fits(self, kept: str | None, password: str) -> bool:
        """Whether it is the password; takes as long when there is none to compare with."""
        with self._turn:
            try:
                self._hasher.verify(kept or self._nobody, password[:LONGEST])
            except (VerificationError, InvalidHashError):
                return False
            return kept is not None

    def outdated(self, kept: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(kept)
