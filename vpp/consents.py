"""The one place where somebody's data are let through: every use by name, asked at the moment of use.

Whoever reads a person's data (who drives when, what a household uses, what somebody earned) calls
:func:`admitted`, :func:`decided` or :func:`require_consent` right before; nobody else decides (a test of the
house rules looks). Every refusal goes into the audit trail. A withdrawal counts from its instant on; what was
made before it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from energy.ledger import Channel, Consent, ConsentRegister, DataUse, Denied, Permitted, decide
from energy.store import Store

__all__ = [
    "COMFORT_REWARDS",
    "COMPARISON",
    "CONTROLLER",
    "DR_PARTICIPATION",
    "DR_TELEMETRY",
    "HEMS_REWARDS",
    "REWARDS",
    "USES",
    "admitted",
    "decided",
    "on_record",
    "put_on_record",
    "record_simulated",
    "require_consent",
    "uncovered",
]

CONTROLLER: Final = "aizu-spc"
"""Who is responsible for all uses below (個人情報取扱事業者)."""

REWARDS: Final = DataUse(
    controller=CONTROLLER,
    purpose="coin-rewards",
    purpose_version=1,
    categories=("charging-energy",),
    recipient="coin-operator",
)
"""What drivers agree to so that their energy may become points."""

HEMS_REWARDS: Final = DataUse(
    controller=CONTROLLER,
    purpose="saving-rewards",
    purpose_version=1,
    categories=("meter-energy",),
    recipient="coin-operator",
)
"""What people without a car agree to so that their saving may become points."""

COMFORT_REWARDS: Final = DataUse(
    controller=CONTROLLER,
    purpose="comfort-rewards",
    purpose_version=2,  # 1 did not speak of the readings that prove it
    categories=("room-band", "room-temperature"),
    recipient="coin-operator",
)
"""What people agree to so that letting a room go may become points."""

DR_PARTICIPATION: Final = DataUse(
    controller=CONTROLLER,
    purpose="dr-participation",
    purpose_version=1,
    categories=("meter-energy",),
    recipient=CONTROLLER,
)
"""What a household agrees to so that it may be called in events and measured."""

DR_TELEMETRY: Final = DataUse(
    controller=CONTROLLER,
    purpose="dr-telemetry",
    purpose_version=1,
    categories=("meter-energy",),
    recipient="dr-upstream",
)
"""What a site agrees to so that its meter may be part of the sum that an upstream is told."""

COMPARISON: Final = DataUse(
    controller=CONTROLLER,
    purpose="home-comparison",
    purpose_version=1,
    categories=("meter-energy",),
    recipient=CONTROLLER,
)
"""What a household agrees to so that its use may be part of the mean that others are shown."""

USES: Final = {
    use.purpose: use
    for use in (REWARDS, HEMS_REWARDS, COMFORT_REWARDS, DR_PARTICIPATION, DR_TELEMETRY, COMPARISON)
}
"""Uses whose terms stand in code; those of deliveries and plans are made from their orders."""


def admitted(
    store: Store, subjects: Sequence[str], use: DataUse, *, at: datetime, actor: str
) -> frozenset[str]:
    """Subjects whose data may be used now.

    Parameters
    ----------
    actor : str
        Who is about to use them, for the audit trail.
    """
    return ConsentRegister(store).admit(subjects, use, at=at, actor=actor) if subjects else frozenset()


def decided(
    store: Store, subjects: Sequence[str], use: DataUse, *, at: datetime
) -> tuple[list[Permitted], list[Denied]]:
    """Which consent lets each subject's data through, and why the others are kept back.

    For callers that put refusals on record themselves, with what they were asked for.
    """
    return ConsentRegister(store).check(subjects, use, at=at)


def require_consent(store: Store, subject: str, use: DataUse, *, at: datetime) -> Consent:
    """The consent that covers a use of one subject's data.

    Raises
    ------
    ConsentError
        If there is none.
    """
    return ConsentRegister(store).require(subject, use, at=at)


def uncovered(consent: Consent) -> DataUse | None:
    """The use that a consent names but does not cover by its own words; None if there is no such use.

    Somebody who signs for a purpose with the wrong data would otherwise hear of it when they are refused.
    """
    use = USES.get(consent.purpose)
    if use is None or isinstance(decide(consent.subject, [consent], use, consent.granted_at), Permitted):
        return None
    return use


def on_record(store: Store, at: datetime) -> list[Consent]:
    """Every consent known at an instant, also those that ended."""
    return ConsentRegister(store).consents(at)


def put_on_record(store: Store, consent: Consent, *, at: datetime, actor: str) -> None:
    """Record a consent that was given; the same again changes nothing."""
    ConsentRegister(store).grant(consent, recorded_at=at, actor=actor)


def record_simulated(store: Store, subjects: Sequence[str], *, at: datetime, use: DataUse = REWARDS) -> None:
    """Put on record that the people of a simulation agreed to a use: the check stays a real one."""
    kind = "" if use is REWARDS else f"-{use.purpose}"
    for subject in subjects:
        consent = Consent(
            id=f"simulated-{subject}{kind}"[:40],
            subject=subject,
            controller=use.controller,
            purpose=use.purpose,
            purpose_version=use.purpose_version,
            categories=use.categories,
            recipients=(use.recipient,),
            granted_at=at,
            channel=Channel.APP,
            evidence_sha256=sha256(b"a person of a simulation").hexdigest(),
        )
        ConsentRegister(store).grant(consent, recorded_at=at, actor="simulation")
