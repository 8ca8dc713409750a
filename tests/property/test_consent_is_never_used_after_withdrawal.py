"""Whatever is granted and withdrawn in whatever order: a withdrawn consent lets nothing through."""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from energy.ledger import Channel, Consent, ConsentRegister, DataUse
from energy.store import open_store

START = datetime.fromisoformat("2026-11-01T00:00:00+00:00")
USE = DataUse(
    controller="aizu-spc",
    purpose="plan-drafting",
    purpose_version=1,
    categories=("demand-forecast",),
    recipient="occto",
)


def consent(number: int, subject: str, hour: int) -> Consent:
    return Consent(
        id=f"c-{number}",
        subject=subject,
        controller="aizu-spc",
        purpose="plan-drafting",
        purpose_version=1,
        categories=("demand-forecast",),
        recipients=("occto",),
        granted_at=START + timedelta(hours=hour),
        channel=Channel.PAPER,
        evidence_sha256=sha256(str(number).encode()).hexdigest(),
    )


@settings(max_examples=25, deadline=None)
@given(
    acts=st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 20), st.integers(0, 100)),
        min_size=1,
        max_size=6,
    ),
    asked=st.lists(st.integers(0, 100), min_size=1, max_size=8),
)
def test_a_use_is_permitted_only_by_a_consent_that_is_not_withdrawn(
    acts: list[tuple[str, int, int]], asked: list[int]
) -> None:
    with open_store("sqlite://") as store:
        register = ConsentRegister(store)
        ends: dict[str, tuple[str, datetime, datetime]] = {}
        recorded = START + timedelta(hours=40)
        for number, (subject, granted, lasts) in enumerate(acts):
            given_one = consent(number, subject, granted)
            register.grant(given_one, recorded_at=recorded, actor="desk")
            recorded += timedelta(minutes=1)
            end = given_one.granted_at + timedelta(hours=lasts)
            register.withdraw(
                given_one.id, withdrawn_at=end, recorded_at=recorded, actor="desk", channel=Channel.APP
            )
            recorded += timedelta(minutes=1)
            ends[given_one.id] = (subject, given_one.granted_at, end)
        for hour in asked:
            at = recorded + timedelta(hours=hour)
            permitted, denied = register.check(["a", "b"], USE, at=at)
            assert len(permitted) + len(denied) == 2
            for yes in permitted:
                subject, granted_at, end = ends[yes.consent.id]
                assert yes.subject == subject
                assert granted_at <= at < end
