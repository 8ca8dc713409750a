"""Plans by version: drafted, checked, approved by a person, handed in, answered, frozen slot by slot.

A version is a document that is never overwritten; every act is a further one and stands in the audit trail.
A newer version makes an older one history: nothing more can be done with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from energy.core.errors import PlanError
from energy.core.slots import JST
from energy.market.deadlines import PlanWindow, Submission, submission
from energy.market.plans import (
    BalancingPlan,
    Mismatch,
    MismatchClass,
    cross_check,
    internal_checks,
    plan_json,
    read_plan,
)
from energy.store import Snapshot, Store, canonical_json

__all__ = ["PLAN", "Checked", "PlanBook", "PlanState", "PlanVersion", "SlotChange", "diff"]

PLAN: Final = "balancing-plan"
"""Kind of the documents: key ``DAY/KIND/GROUP/AREA/vN``, their versions are the states."""

_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


class PlanState(StrEnum):
    """What became of a version."""

    DRAFT = "draft"
    CHECKED = "checked"
    APPROVED = "approved"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


# What may follow what; a rejected plan is mended by a new version.
_NEXT: Final = {
    PlanState.DRAFT: {PlanState.CHECKED},
    PlanState.CHECKED: {PlanState.APPROVED},
    PlanState.APPROVED: {PlanState.SUBMITTED},
    PlanState.SUBMITTED: {PlanState.ACCEPTED, PlanState.REJECTED},
    PlanState.ACCEPTED: set(),
    PlanState.REJECTED: set(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanVersion:
    """One version of a plan.

    Parameters
    ----------
    version : int
        1, 2, 3, ... of the plan's key.
    author, approver, receipt : str
        Who drafted it, who approved it, and the receipt of the operator; empty until then.
    consent : str
        Consent that lets us draft for the principal; empty if the group is our own.
    """

    plan: BalancingPlan
    version: int
    state: PlanState
    author: str
    consent: str = ""
    approver: str = ""
    receipt: str = ""

    @property
    def key(self) -> str:
        """Name of the version."""
        return f"{self.plan.key}/v{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found, and the version after it."""

    version: PlanVersion
    found: tuple[Mismatch, ...]

    @property
    def rejected(self) -> bool:
        """Whether the operator would reject the file (class A)."""
        return any(one.kind is MismatchClass.INSIDE_FILE for one in self.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotChange:
    """A slot of a member, trade or total that differs between two versions. [kWh]"""

    item: str
    slot: int
    before_kwh: int
    after_kwh: int


class PlanBook:
    """Plans in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def draft(self, plan: BalancingPlan, *, at: datetime, author: str, consent: str = "") -> PlanVersion:
        """Record a draft as the next version; the same plan again is the version that stands there.

        Raises
        ------
        PlanError
            If a slot would change whose gate has closed.
        """
        with self._acting(f"{plan.key}", at=at, actor=author):
            newest = self.newest(plan.key)
            if newest is not None:
                if newest.plan == plan and newest.state is not PlanState.REJECTED:
                    return newest
                self._refuse_frozen(newest, plan, at)
            version = PlanVersion(
                plan=plan,
                version=1 if newest is None else newest.version + 1,
                state=PlanState.DRAFT,
                author=author,
                consent=consent,
            )
            self._put(version, at=at, actor=author, act="drafted")
        return version

    def check(
        self, key: str, version: int, *, at: datetime, actor: str, codes: Iterable[str] | None = None
    ) -> Checked:
        """Look for mismatches of the three classes; without class A a draft becomes ``checked``.

        Other groups' newest versions of the same day are what class C is checked against.
        """
        with self._acting(f"{key}/v{version}", at=at, actor=actor):
            known = self._current(key, version)
            window = submission(known.plan.day, at)
            others = [one.plan for one in self.day(known.plan.day.isoformat()) if one.plan.key != key]
            found = [
                *internal_checks(known.plan, codes=codes, may_be_sent=window.window is not PlanWindow.OVER),
                *(
                    one
                    for one in cross_check([known.plan, *others])
                    if one.where.startswith(f"{known.plan.group}:")
                ),
            ]
            checked = Checked(version=known, found=tuple(found))
            if known.state is PlanState.DRAFT and not checked.rejected:
                known = self._move(known, PlanState.CHECKED, at=at, actor=actor)
            return replace(checked, version=known)

    def approve(self, key: str, version: int, *, at: datetime, approver: str) -> PlanVersion:
        """A person approves a checked version.

        Raises
        ------
        PlanError
            If it is not checked, not the newest, or the approver is its author.
        """
        with self._acting(f"{key}/v{version}", at=at, actor=approver):
            known = self._current(key, version)
            if known.author == approver:
                raise PlanError(
                    f"{known.key} cannot be approved by its author",
                    where=f"author {known.author!r}",
                    hint="a second person looks at every plan",
                )
            return self._move(replace(known, approver=approver), PlanState.APPROVED, at=at, actor=approver)

    def submit(self, key: str, version: int, *, at: datetime, actor: str) -> tuple[PlanVersion, Submission]:
        """Note that an approved version is handed in now.

        Raises
        ------
        PlanError
            If it is not approved, or nothing is taken at this instant.
        """
        with self._acting(f"{key}/v{version}", at=at, actor=actor):
            known = self._current(key, version)
            window = submission(known.plan.day, at)
            if window.window in (PlanWindow.CLOSED, PlanWindow.OVER):
                opens = window.changes_at
                raise PlanError(
                    f"no plan of {known.plan.day} is taken now",
                    where=f"{at.astimezone(JST):%Y-%m-%d %H:%M} Japan: {window.window.value}",
                    hint="the day is over"
                    if opens is None
                    else f"hand it in from {opens.astimezone(JST):%Y-%m-%d %H:%M} Japan on",
                )
            return self._move(known, PlanState.SUBMITTED, at=at, actor=actor), window

    def answer(
        self, key: str, version: int, *, at: datetime, actor: str, accepted: bool, receipt: str
    ) -> PlanVersion:
        """Note the operator's receipt of a version that was handed in.

        It is taken for an older version too: what was handed in was answered, whatever was drafted since.

        Raises
        ------
        PlanError
            If the version was not handed in, or was answered otherwise.
        """
        with self._acting(f"{key}/v{version}", at=at, actor=actor):
            state = PlanState.ACCEPTED if accepted else PlanState.REJECTED
            known = self.version(key, version)
            if known.state is PlanState.SUBMITTED:
                known = replace(known, receipt=receipt)
            elif known.state is not state:
                known = self._current(key, version)
            return self._move(known, state, at=at, actor=actor)

    def newest(self, key: str) -> PlanVersion | None:
        """Newest version of a plan."""
        versions = self.versions(key)
        return versions[-1] if versions else None

    def versions(self, key: str) -> list[PlanVersion]:
        """All versions of a plan, oldest first, each in its present state."""
        return _read(self._store.as_of(_END_OF_TIME), f"{key}/v")

    def version(self, key: str, version: int) -> PlanVersion:
        """One version.

        Raises
        ------
        PlanError
            If there is none.
        """
        for known in self.versions(key):
            if known.version == version:
                return known
        raise PlanError(
            f"no version {version} of {key}",
            where=f"it has {len(self.versions(key))} versions",
            hint="vpp market plan list",
        )

    def day(self, day: str) -> list[PlanVersion]:
        """Newest version of every plan of a day (all days if the text is empty)."""
        newest: dict[str, PlanVersion] = {}
        for known in _read(self._store.as_of(_END_OF_TIME), day):
            newest[known.plan.key] = known
        return list(newest.values())

    @contextmanager
    def _acting(self, name: str, *, at: datetime, actor: str) -> Iterator[None]:
        """One transaction; what is refused in it leaves nothing but a record of the refusal."""
        try:
            with self._store.transaction():
                yield
        except PlanError as error:
            facts = {"why": error.what, "where": error.where}
            self._store.audit(actor, "plan.refused", f"plan/{name}", at=at, facts=facts)
            raise

    def _current(self, key: str, version: int) -> PlanVersion:
        """A version that nothing newer has replaced."""
        known = self.version(key, version)
        newest = self.newest(key)
        if newest is not None and newest.version != version:
            raise PlanError(
                f"{known.key} is an old version",
                where=f"version {newest.version} ({newest.state.value}) has replaced it",
                hint=f"go on with version {newest.version}",
            )
        return known

    def _refuse_frozen(self, newest: PlanVersion, plan: BalancingPlan, at: datetime) -> None:
        frozen = {slot.koma for slot in submission(plan.day, at).frozen_slots}
        late = sorted({change.slot for change in diff(newest.plan, plan)} & frozen)
        if late:
            raise PlanError(
                f"slot {late[0]} of {plan.day} can no longer be changed",
                where=f"{len(late)} changed slots are past their gate closure, one hour before the slot",
                hint="leave these slots as they were; their deviation is an imbalance",
            )

    def _move(self, known: PlanVersion, state: PlanState, *, at: datetime, actor: str) -> PlanVersion:
        if known.state is state:
            return known
        if state not in _NEXT[known.state]:
            answered = known.state in (PlanState.ACCEPTED, PlanState.REJECTED)
            raise PlanError(
                f"{known.key} is {known.state.value}; it cannot become {state.value}",
                where=f"its receipt is {known.receipt!r}"
                if answered
                else "draft, checked, approved, submitted, accepted or rejected, one after the other",
                hint="draft a new version"
                if answered
                else "vpp market plan check, approve, export, receipt; or draft a new version",
            )
        moved = replace(known, state=state)
        self._put(moved, at=at, actor=actor, act=state.value)
        return moved

    def _put(self, version: PlanVersion, *, at: datetime, actor: str, act: str) -> None:
        body = canonical_json(
            {
                "plan": plan_json(version.plan),
                "version": version.version,
                "state": version.state.value,
                "author": version.author,
                "consent": version.consent,
                "approver": version.approver,
                "receipt": version.receipt,
            }
        )
        self._store.put_document(PLAN, version.key, known_at=at, body=body)
        facts = {"state": version.state.value, "receipt": version.receipt, "for": version.plan.on_behalf_of}
        self._store.audit(actor, f"plan.{act}", f"plan/{version.key}", at=at, facts=facts)


def _read(known: Snapshot, prefix: str) -> list[PlanVersion]:
    found = []
    for document in known.documents(PLAN, prefix=prefix):
        told = json.loads(document.body)
        found.append(
            PlanVersion(
                plan=read_plan(told["plan"], name=document.key),
                version=told["version"],
                state=PlanState(told["state"]),
                author=told["author"],
                consent=told["consent"],
                approver=told["approver"],
                receipt=told["receipt"],
            )
        )
    return sorted(found, key=lambda one: (one.plan.key, one.version))


def _items(plan: BalancingPlan) -> dict[str, Sequence[int]]:
    return {
        **{f"member {one.code}": one.kwh for one in plan.members},
        **{f"baseline {one.code}": one.kwh for one in plan.baseline},
        **{f"{one.side} {one.party}": one.kwh for one in plan.trades},
        "total": plan.totals_kwh,
    }


def diff(before: BalancingPlan, after: BalancingPlan) -> list[SlotChange]:
    """Slots that differ between two plans; what only one of them has is zero in the other."""
    old, new = _items(before), _items(after)
    none = (0,) * len(before.totals_kwh)
    return [
        SlotChange(item=item, slot=number, before_kwh=was, after_kwh=becomes)
        for item in dict.fromkeys([*old, *new])
        for number, (was, becomes) in enumerate(
            zip(old.get(item, none), new.get(item, none), strict=True), start=1
        )
        if was != becomes
    ]
