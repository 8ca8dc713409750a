"""A store with people in it, a clock that moves when told to, and cheap password hashes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from argon2 import PasswordHasher

from energy.core.clock import ManualClock
from energy.store import SqlStore, open_store
from vpp.people.accounts import People
from vpp.people.logins import Logins
from vpp.people.passwords import Passwords
from vpp.people.roles import Account, Objects, Role

NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
OWN = {
    Role.FACTORY: Objects(sites=("kitakata",)),
    Role.INSTALLER: Objects(sites=("kitakata",)),
    Role.DRIVER: Objects(cars=("kitakata/commuter",)),
    Role.RETAILER: Objects(party="retailer-a"),
}


@dataclass
class House:
    """Store, clock and the services over them."""

    store: SqlStore = field(default_factory=lambda: open_store("sqlite://", durability="process"))
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    passwords: Passwords = field(default_factory=lambda: Passwords(CHEAP))

    def __post_init__(self) -> None:
        self.people = People(self.store, self.clock, self.passwords)
        self.logins = Logins(self.store, self.clock, self.passwords)

    def invite(self, role: Role = Role.OPERATOR, name: str = "hana") -> str:
        """A one-time link's secret."""
        return self.people.invite(
            name, name="", role=role, objects=OWN.get(role, Objects()), lang="ja", actor="test"
        )

    def somebody(self, role: Role = Role.OPERATOR, name: str = "hana") -> Account:
        """Somebody with a password."""
        return self.people.accept(self.invite(role, name), PASSWORD)

    def acts(self) -> list[str]:
        """What the audit trail says was done."""
        return [record.act for record in self.store.audit_trail()]
