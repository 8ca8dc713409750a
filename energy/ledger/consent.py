"""Who may use whose data for what: consents, kept for ever and checked at the moment of use (RULES-JP 5).

Sharing is opt-in: what no consent covers is refused, with the reason. A consent covers exactly one version of
one purpose; a purpose that changes asks again. A withdrawal stops every use from its instant on and is never
taken back (a new consent is a new record); what was done before it stays, as settlement law requires.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, field_validator, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import Identifier, strict
from energy.core.clock import require_aware
from energy.core.errors import ConsentError
from energy.ledger.persons import PersonRegister
from energy.store import Snapshot, Store, canonical_json

__all__ = [
    "CONSENT",
    "Channel",
    "Consent",
    "ConsentRegister",
    "DataUse",
    "Denied",
    "Permitted",
    "WhyDenied",
    "decide",
]

CONSENT: Final = "consent"
"""Kind of the document that holds a consent; its versions are the grant and the withdrawal."""

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Names = Annotated[tuple[Identifier, ...], Field(min_length=1)]


class Channel(StrEnum):
    """How a consent or a withdrawal came in; paper counts as much as the app (RULES-JP 5)."""

    PAPER = "paper"
    APP = "app"


class WhyDenied(StrEnum):
    """Why a use is refused, from the farthest to the nearest miss."""

    NEVER_ASKED = "never_asked"
    OTHER_RECIPIENT = "other_recipient"
    OTHER_CATEGORY = "other_category"
    OTHER_VERSION = "other_version"
    NOT_YET = "not_yet"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Consent:
    """What one subject allowed.

    Parameters
    ----------
    subject : str
        Whose data: the id of a site or a car. Never a name: the register holds no personal data itself.
    controller : str
        Who is responsible for the use (個人情報取扱事業者).
    purpose, purpose_version : str, int
        What for; the text that was shown has this version.
    categories : tuple of str
        Kinds of data, such as ``demand-forecast``.
    recipients : tuple of str
        Who may receive them.
    granted_at : datetime
        When it was given, UTC.
    channel : Channel
        On paper or in the app.
    evidence_sha256 : str
        SHA-256 of the signed sheet or of the app's record, hexadecimal: proves it without holding it.
    valid_until : datetime, optional
        First instant at which it no longer holds, UTC.
    withdrawn_at : datetime, optional
        First instant at which it is withdrawn, UTC.
    """

    id: Identifier
    subject: Identifier
    controller: Identifier
    purpose: Identifier
    purpose_version: Annotated[int, Field(ge=1)]
    categories: Names
    recipients: Names
    granted_at: datetime
    channel: Channel
    evidence_sha256: Hash
    valid_until: datetime | None = None
    withdrawn_at: datetime | None = None

    @field_validator("categories", "recipients")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(names)))

    @field_validator("granted_at", "valid_until", "withdrawn_at")
    @classmethod
    def _in_utc(cls, instant: datetime | None) -> datetime | None:
        return None if instant is None else require_aware(instant)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Consent:
        for name, end in (("valid_until", self.valid_until), ("withdrawn_at", self.withdrawn_at)):
            if end is not None and end < self.granted_at:
                msg = f"{name} {end.isoformat()} is before granted_at {self.granted_at.isoformat()}"
                raise ValueError(msg)
        return self


_CONSENT = TypeAdapter(Consent)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class DataUse:
    """A use of data that somebody is about to make; fields as in :class:`Consent`."""

    controller: Identifier
    purpose: Identifier
    purpose_version: Annotated[int, Field(ge=1)]
    categories: Names
    recipient: Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Permitted:
    """A consent covers the use."""

    subject: str
    consent: Consent


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """No consent covers the use; ``consent_id`` is the one that comes nearest, empty if there is none."""

    subject: str
    why: WhyDenied
    consent_id: str


def decide(subject: str, consents: Iterable[Consent], use: DataUse, at: datetime) -> Permitted | Denied:
    """Whether one of a subject's consents covers a use at an instant.

    Of several that do, the oldest is named; of several that do not, the one that comes nearest.
    """
    nearest = Denied(subject=subject, why=WhyDenied.NEVER_ASKED, consent_id="")
    ranks = list(WhyDenied)
    for consent in sorted(consents, key=lambda one: (one.granted_at, one.id)):
        if consent.subject != subject:
            continue
        why = _fault(consent, use, at)
        if why is None:
            return Permitted(subject=subject, consent=consent)
        if ranks.index(why) > ranks.index(nearest.why):
            nearest = Denied(subject=subject, why=why, consent_id=consent.id)
    return nearest


def _fault(consent: Consent, use: DataUse, at: datetime) -> WhyDenied | None:
    """The first thing a use asks for that a consent does not give; None if it covers the use."""
    faults = (
        ((consent.controller, consent.purpose) != (use.controller, use.purpose), WhyDenied.NEVER_ASKED),
        (use.recipient not in consent.recipients, WhyDenied.OTHER_RECIPIENT),
        (not set(use.categories) <= set(consent.categories), WhyDenied.OTHER_CATEGORY),
        (use.purpose_version != consent.purpose_version, WhyDenied.OTHER_VERSION),
        (at < consent.granted_at, WhyDenied.NOT_YET),
        (consent.withdrawn_at is not None and at >= consent.withdrawn_at, WhyDenied.WITHDRAWN),
        (consent.valid_until is not None and at >= consent.valid_until, WhyDenied.EXPIRED),
    )
    return next((why for wrong, why in faults if wrong), None)


class ConsentRegister:
    """Consents in a store: granted, withdrawn, never changed.

    A version of a consent is a document that cannot be overwritten, and every act stands in the audit trail,
    which the database itself keeps from being changed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def grant(self, consent: Consent, *, recorded_at: datetime, actor: str) -> bool:
        """Record a consent; False if this very consent is on record.

        Parameters
        ----------
        recorded_at : datetime
            When it reached the register: a use before this instant could not know of it.
        actor : str
            Who recorded it, for the audit trail.

        Raises
        ------
        ConsentError
            If the id is taken by another consent, if it was withdrawn, is from the future, or its subject was
            erased.
        """
        if consent.withdrawn_at is not None or consent.granted_at > require_aware(recorded_at):
            raise ConsentError(
                f"consent {consent.id!r} cannot be recorded",
                where="it is withdrawn already" if consent.withdrawn_at else "it is granted in the future",
                hint="record the grant when it is given; a withdrawal is an act of its own",
            )
        if PersonRegister(self._store).erased(consent.subject):
            raise ConsentError(
                f"consent {consent.id!r} cannot be recorded",
                where=f"{consent.subject} belonged to somebody who was erased",
                hint="enrol the person anew (vpp consent enrol); an id is never used again",
            )
        with self._store.transaction():
            known = self._newest(consent.id)
            if known is not None:
                return self._repeated(known, consent)
            self._put(consent, recorded_at)
            self._store.audit(
                actor,
                "consent.granted",
                f"consent/{consent.id}",
                at=recorded_at,
                facts=_CONSENT.dump_python(consent, mode="json"),
            )
        return True

    def withdraw(
        self, consent_id: str, *, withdrawn_at: datetime, recorded_at: datetime, actor: str, channel: Channel
    ) -> bool:
        """Withdraw a consent from an instant on; False if it is withdrawn from then or earlier.

        Raises
        ------
        ConsentError
            If there is no such consent, or it was granted later.
        """
        with self._store.transaction():
            known = self._newest(consent_id)
            if known is None or known.granted_at > require_aware(withdrawn_at):
                raise ConsentError(
                    f"consent {consent_id!r} cannot be withdrawn",
                    where="it is not on record" if known is None else "it was granted later than that",
                    hint="check the id and the instant (vpp consent list)",
                )
            if known.withdrawn_at is not None and known.withdrawn_at <= withdrawn_at:
                return False
            self._put(replace(known, withdrawn_at=withdrawn_at), recorded_at)
            self._store.audit(
                actor,
                "consent.withdrawn",
                f"consent/{consent_id}",
                at=recorded_at,
                facts={"withdrawn_at": withdrawn_at, "channel": channel, "subject": known.subject},
            )
        return True

    def consents(self, at: datetime) -> list[Consent]:
        """Every consent on record at an instant, sorted by id, withdrawn ones included."""
        return _read(self._store.as_of(at))

    def check(
        self, subjects: Sequence[str], use: DataUse, *, at: datetime
    ) -> tuple[list[Permitted], list[Denied]]:
        """Who may be part of a use at this instant and who may not, each in the order given.

        Ask right before the data are used, with the instant of the use: an answer is not to be kept.
        """
        by_subject: defaultdict[str, list[Consent]] = defaultdict(list)
        for consent in self.consents(at):
            by_subject[consent.subject].append(consent)
        permitted, denied = [], []
        for subject in subjects:
            match decide(subject, by_subject[subject], use, at):
                case Permitted() as yes:
                    permitted.append(yes)
                case Denied() as no:
                    denied.append(no)
        return permitted, denied

    def admit(self, subjects: Sequence[str], use: DataUse, *, at: datetime, actor: str) -> frozenset[str]:
        """Subjects whose data may be used now; every refusal goes into the audit trail.

        Parameters
        ----------
        actor : str
            Who is about to use them.
        """
        permitted, denied = self.check(subjects, use, at=at)
        for no in denied:
            facts = {
                "purpose": use.purpose,
                "recipient": use.recipient,
                "why": no.why,
                "nearest": no.consent_id,
            }
            self._store.audit(actor, "consent.denied", f"subject/{no.subject}", at=at, facts=facts)
        return frozenset(yes.subject for yes in permitted)

    def require(self, subject: str, use: DataUse, *, at: datetime) -> Consent:
        """The consent that covers a use of one subject's data.

        Raises
        ------
        ConsentError
            If there is none; the message says which one came nearest and what it lacks.
        """
        permitted, denied = self.check([subject], use, at=at)
        if permitted:
            return permitted[0].consent
        raise ConsentError(
            f"no consent of {subject} covers this use",
            where=f"{use.purpose} version {use.purpose_version} for {use.recipient}: {denied[0].why.value}",
            hint="ask for consent (vpp consent grant); nothing is shared until it is on record",
            nearest=denied[0].consent_id or "none",
        )

    def _newest(self, consent_id: str) -> Consent | None:
        known = self._store.as_of(_END_OF_TIME).document(CONSENT, consent_id)
        return None if known is None else _CONSENT.validate_json(known.body)

    def _put(self, consent: Consent, recorded_at: datetime) -> None:
        before = self._store.as_of(_END_OF_TIME).document(CONSENT, consent.id)
        if before is not None and before.known_at >= require_aware(recorded_at):
            # An older version would stand behind the one on record and never be seen.
            raise ConsentError(
                f"consent {consent.id!r} has a newer version",
                where=f"recorded at {before.known_at.isoformat()}, this one at {recorded_at.isoformat()}",
                hint="check the clock; record the act with the instant at which it is recorded",
            )
        body = canonical_json(_CONSENT.dump_python(consent, mode="json"))
        self._store.put_document(CONSENT, consent.id, known_at=recorded_at, body=body)

    def _repeated(self, known: Consent, offered: Consent) -> bool:
        if replace(known, withdrawn_at=None) == offered and known.withdrawn_at is None:
            return False
        raise ConsentError(
            f"consent {offered.id!r} is on record"
            + (" and was withdrawn" if known.withdrawn_at else " and says something else"),
            where=f"subject {known.subject}, granted {known.granted_at.isoformat()}",
            hint="a new consent has a new id; nothing is overwritten",
        )


_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def _read(known: Snapshot) -> list[Consent]:
    return [_consent(document.body) for document in known.documents(CONSENT)]


@lru_cache(maxsize=16_384)
def _consent(body: str) -> Consent:
    """What a record says: it never changes. Which records there are is asked at every use."""
    return _CONSENT.validate_json(body)
