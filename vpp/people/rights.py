"""Who may do what with whose things: one table, looked up by every route (docs/adr/0022).

A route names a rule. The rule says, for every role, how far it reaches: to nobody's things, to one's own,
to what others consented to share with one's company, or to everything. What is not in the table is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from vpp.people.roles import Account, Role

__all__ = ["RULES", "SCOPES", "About", "Personal", "Reach", "Rule", "Target", "Verdict", "decide", "reach_of"]


class Reach(StrEnum):
    """How far a role reaches under a rule."""

    OWN = "own"
    CONSENTED = "consented"
    ALL = "all"


class About(StrEnum):
    """What a route is about: the part of its address that names it."""

    NOTHING = "nothing"
    """A list, cut down to what the caller may see, or something that belongs to nobody."""
    SITE = "site"
    ASSET = "asset"
    PARTY = "party"


class Personal(StrEnum):
    """Whether an answer shows something about a person."""

    NEVER = "never"
    CARS = "cars"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table.

    Parameters
    ----------
    scope : str
        What a token needs; empty where tokens are not taken (screens, one's own account).
    personal : Personal
        Whether the sight is written down.
    public : bool
        Open to people who did not log in.
    unproven : bool
        Open to somebody whose role asks for a second factor and who has none yet.
    """

    name: str
    reach: Mapping[Role, Reach] = field(default_factory=dict)
    scope: str = ""
    personal: Personal = Personal.NEVER
    public: bool = False
    unproven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request is about, as its address says."""

    site: str = ""
    asset: str = ""
    party: str = ""

    @property
    def subject(self) -> str:
        """Its name in the audit trail."""
        if self.asset:
            return f"asset/{self.site}/{self.asset}"
        if self.site:
            return f"site/{self.site}"
        return f"party/{self.party}" if self.party else ""


class Verdict(StrEnum):
    """What the table says about a request."""

    YES = "yes"
    NOT_THIS_ROLE = "not_this_role"
    NOT_THIS_SCOPE = "not_this_scope"
    NOT_YOURS = "not_yours"


_O, _F, _R, _D, _I, _A, _M = (
    Role.OPERATOR,
    Role.FACTORY,
    Role.RETAILER,
    Role.DRIVER,
    Role.INSTALLER,
    Role.AUDITOR,
    Role.ADMINISTRATOR,
)
_OWN, _ALL, _CON = Reach.OWN, Reach.ALL, Reach.CONSENTED
_EVERYBODY: Final = MappingProxyType(dict.fromkeys(Role, Reach.OWN))


def _rule(name: str, reach: dict[Role, Reach], *, scope: str, personal: Personal = Personal.NEVER) -> Rule:
    return Rule(name=name, reach=MappingProxyType(reach), scope=scope, personal=personal)


_TABLE: Final = (
    Rule(name="public", public=True),
    Rule(name="own-account", reach=_EVERYBODY, unproven=True),
    Rule(name="home", reach=_EVERYBODY),
    _rule("own-sites", {_O: _ALL, _F: _OWN, _D: _OWN, _I: _OWN, _A: _ALL, _M: _ALL}, scope="read:sites"),
    _rule("site", {_O: _ALL, _F: _OWN, _I: _OWN, _A: _ALL, _M: _ALL}, scope="read:sites"),
    _rule("asset-list", {_O: _ALL, _F: _OWN, _I: _OWN, _A: _ALL}, scope="read:assets"),
    _rule("asset", {_O: _ALL, _F: _OWN, _D: _OWN, _I: _OWN, _A: _ALL}, scope="read:assets"),
    _rule(
        "measurement",
        {_O: _ALL, _F: _OWN, _D: _OWN, _I: _OWN, _A: _ALL},
        scope="read:measurements",
        personal=Personal.CARS,
    ),
    _rule("measurement-write", {_O: _ALL, _I: _OWN}, scope="write:measurements"),
    _rule("forecast", {_O: _ALL, _F: _OWN, _A: _ALL}, scope="read:forecasts"),
    _rule("forecast-sum", {_O: _ALL, _R: _CON, _A: _ALL}, scope="read:forecasts"),
    _rule(
        "plan-site", {_O: _ALL, _F: _OWN, _A: _ALL}, scope="read:plans", personal=Personal.ALWAYS
    ),  # departures and charge of people's cars stand in it
    _rule(
        "plan-asset",
        {_O: _ALL, _F: _OWN, _D: _OWN, _A: _ALL},
        scope="read:plans",
        personal=Personal.CARS,
    ),
    _rule("plan-party", {_O: _ALL, _R: _OWN, _A: _ALL}, scope="read:plans"),
    _rule("event", {_O: _ALL, _F: _OWN, _A: _ALL}, scope="read:events"),
    _rule("event-answer", {_O: _ALL, _F: _OWN}, scope="write:events"),
    _rule("settlement", {_O: _ALL, _F: _OWN, _R: _OWN, _A: _ALL}, scope="read:settlements"),
    _rule(
        "consent",
        {_O: _ALL, _F: _OWN, _R: _OWN, _D: _OWN, _A: _ALL},
        scope="read:consents",
        personal=Personal.ALWAYS,
    ),
    _rule("consent-withdraw", {_O: _ALL, _F: _OWN, _D: _OWN}, scope="write:consents"),
    _rule("ledger", {_O: _ALL, _D: _OWN, _A: _ALL}, scope="read:ledger", personal=Personal.ALWAYS),
    _rule("ledger-all", {_O: _ALL, _A: _ALL}, scope="read:ledger", personal=Personal.ALWAYS),
    _rule("people", {_M: _ALL}, scope=""),
    _rule("audit", {_A: _ALL, _M: _ALL}, scope="", personal=Personal.ALWAYS),
    _rule("setup", {_I: _OWN, _M: _ALL}, scope=""),
    _rule("wish", {_O: _ALL, _F: _OWN, _D: _OWN, _A: _ALL}, scope="read:wishes", personal=Personal.ALWAYS),
    _rule("wish-write", {_O: _ALL, _F: _OWN, _D: _OWN}, scope="write:wishes"),
    _rule("job", {_O: _ALL, _A: _ALL, _M: _ALL}, scope="read:jobs"),
    _rule("job-run", {_O: _ALL}, scope="write:jobs"),
    _rule("alert", {_O: _ALL, _F: _OWN, _I: _OWN, _A: _ALL, _M: _ALL}, scope="read:alerts"),
    _rule("alert-write", {_O: _ALL, _F: _OWN, _I: _OWN, _M: _ALL}, scope="write:alerts"),
    _rule("webhook", {_O: _OWN, _R: _OWN, _M: _OWN}, scope="read:webhooks"),
    _rule("webhook-write", {_O: _OWN, _R: _OWN, _M: _OWN}, scope="write:webhooks"),
    _rule("region", {_O: _ALL, _A: _ALL}, scope=""),
    _rule("consent-register", {_O: _ALL, _A: _ALL}, scope="", personal=Personal.ALWAYS),
    _rule("region-write", {_O: _ALL}, scope=""),
    _rule("city-view", {_R: _CON}, scope="read:city"),
    _rule("metrics", {_O: _ALL, _A: _ALL, _M: _ALL}, scope="read:metrics"),
)

RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in _TABLE})
"""The table."""

SCOPES: Final = tuple(sorted({rule.scope for rule in _TABLE if rule.scope}))
"""Scopes that a token can have."""


def reach_of(rule: Rule, account: Account) -> Reach | None:
    """How far an account reaches under a rule; None if not at all."""
    return rule.reach.get(account.role)


def decide(
    rule: Rule, about: About, account: Account, target: Target, scopes: frozenset[str] | None
) -> Verdict:
    """What the table says.

    Parameters
    ----------
    scopes : frozenset of str or None
        Those of the token; None for somebody who logged in.
    """
    reach = reach_of(rule, account)
    if reach is None:
        return Verdict.NOT_THIS_ROLE
    if scopes is not None and (not rule.scope or rule.scope not in scopes):
        return Verdict.NOT_THIS_SCOPE
    if reach is Reach.ALL or about is About.NOTHING:
        return Verdict.YES
    return Verdict.YES if _owns(account, about, target) else Verdict.NOT_YOURS


def _owns(account: Account, about: About, target: Target) -> bool:
    own = account.objects
    match about:
        case About.SITE:
            return target.site in own.sites
        case About.ASSET:
            return target.site in own.sites or f"{target.site}/{target.asset}" in own.cars
        case About.PARTY:
            return bool(own.party) and target.party == own.party
        case About.NOTHING:
            return True
