"""What is on record about a person, handed out whole, and erased as far as the law allows.

Erasing deletes who the person is and what was measured of them, the meter files kept beside their bills
included, and withdraws every consent. Grants, settled figures, consents and the audit trail stay: settlement
must stay provable, and they hold ids only. A meter file that another's settlement rests on too stays.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from energy.core.errors import ConsentError
from energy.ledger import Channel, ConsentRegister, Journal
from energy.ledger.persons import ERASED, PERSON, PersonRegister
from energy.store import Erased, Store, canonical_json
from vpp.settlement.dr_events import EventBook
from vpp.settlement.record import EVIDENCE, SettlementBook
from vpp.wishes import WISH

__all__ = ["Erasure", "consents_ended", "erase_person", "export_person"]

_BEGINNING: Final = datetime.fromisoformat("1900-01-01T00:00:00+00:00")
_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


def export_person(store: Store, subject: str, *, folders: Sequence[str], at: datetime) -> dict[str, object]:
    """Everything on record about a subject, as one JSON document.

    Parameters
    ----------
    folders : sequence of str
        Series that are theirs besides ``subject/``, such as ``factory/commuter/``.

    Raises
    ------
    ConsentError
        If nothing is on record.
    """
    known = store.as_of(_END_OF_TIME)
    person = PersonRegister(store).find(subject)
    consents = [one for one in ConsentRegister(store).consents(_END_OF_TIME) if one.subject == subject]
    acts = store.audit_trail(f"subject/{subject}")
    for one in consents:
        acts += store.audit_trail(f"consent/{one.id}")
    points = {
        account: [
            {"at": line.at.isoformat(), "points": line.points, "facts": dict(line.facts)}
            for line in Journal(store).statement(account).lines
        ]
        for account in _accounts(subject)
    }
    series = {
        name: [
            [value.at.isoformat(), value.value, value.quality.value, value.source]
            for value in known.values(name, _BEGINNING, _END_OF_TIME)
        ]
        for folder in _folders(subject, folders)
        for name in known.ids(folder)
    }
    events = _events(store, subject)
    found: dict[str, object] = {
        "subject": subject,
        "exported_at": at.isoformat(),
        "person": None if person is None else {"name": person.name, "contact": person.contact},
        "erased": PersonRegister(store).erased(subject),
        "consents": [json.loads(known_body) for known_body in _consent_bodies(store, subject)],
        "points": {account: lines for account, lines in points.items() if lines},
        "events": events,
        "settlements": [
            {"id": one["id"], "figures": one["figures"]} for one in SettlementBook(store).of_subject(subject)
        ],
        "series": series,
        "wishes": [wish for _, wish in _wishes(store, folders)],
        "acts": [
            {"at": one.at.isoformat(), "actor": one.actor, "act": one.act, "facts": dict(one.facts)}
            for one in sorted(acts, key=lambda one: one.number)
        ],
    }
    if not any(
        found[name]
        for name in ("person", "erased", "consents", "points", "events", "settlements", "series", "acts")
    ):
        raise ConsentError(
            f"nothing is on record about {subject!r}",
            where="neither person, consent, points, events nor series",
            hint="vpp consent list shows the ids",
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What an erasure did.

    Parameters
    ----------
    deleted : Erased
        Values and documents that are gone.
    files : int
        Meter files among those documents.
    shared_files : int
        Meter files that stay, because another's settlement rests on them too.
    withdrawn : tuple of str
        Consents that were withdrawn with it.
    kept_entries : int
        Journal entries that stay, under an id that says nothing.
    done_before : bool
        Whether the subject had been erased before.
    """

    deleted: Erased
    files: int
    shared_files: int
    withdrawn: tuple[str, ...]
    kept_entries: int
    done_before: bool


def erase_person(store: Store, subject: str, *, folders: Sequence[str], at: datetime, actor: str) -> Erasure:
    """Delete who a subject is and what was measured of it, withdraw its consents; again does nothing.

    Raises
    ------
    ConsentError
        If nothing is on record, or an event that the subject is called in is not settled yet.
    """
    export_person(store, subject, folders=folders, at=at)  # refuses an id that nobody has
    open_events = [
        one.id
        for one in EventBook(store).events()
        if subject in one.taking_part() and EventBook(store).settlement(one.id) is None
    ]
    if open_events:
        raise ConsentError(
            f"{subject} cannot be erased yet",
            where=f"called in events that are not settled: {', '.join(open_events[:5])}",
            hint="withdraw the consent now (vpp consent withdraw), settle the events, then erase",
        )
    register, persons = ConsentRegister(store), PersonRegister(store)
    kept = sum(len(Journal(store).statement(account).lines) for account in _accounts(subject))
    with store.transaction():
        before = persons.erased(subject)
        standing = [
            one.id
            for one in register.consents(_END_OF_TIME)
            if one.subject == subject and (one.withdrawn_at is None or one.withdrawn_at > at)
        ]
        for consent in standing:
            register.withdraw(consent, withdrawn_at=at, recorded_at=at, actor=actor, channel=Channel.PAPER)
        own, shared = SettlementBook(store).readings_of(subject)
        files = [(EVIDENCE, digest) for digest in sorted(own)]
        wishes = [(WISH, key) for key, _ in _wishes(store, folders)]
        deleted = store.erase(
            folders=_folders(subject, folders), documents=[(PERSON, subject), *files, *wishes]
        )
        if not before:
            body = canonical_json({"subject": subject})
            store.put_document(ERASED, subject, known_at=at, body=body)
        facts = {
            "values": deleted.points,
            "documents": deleted.documents,
            "meter_files": sorted(own),
            "meter_files_shared": sorted(shared),
            "series": len(deleted.series),
            "consents_withdrawn": len(standing),
            "journal_entries_kept": kept,
        }
        store.audit(actor, "person.erased", f"subject/{subject}", at=at, facts=facts)
    return Erasure(
        deleted=deleted,
        files=len(own),
        shared_files=len(shared),
        withdrawn=tuple(standing),
        kept_entries=kept,
        done_before=before,
    )


def consents_ended(store: Store, *, before: datetime, at: datetime) -> list[tuple[str, datetime]]:
    """Subjects all of whose consents ended before an instant and who were not erased yet, with that end."""
    ends: dict[str, list[datetime]] = {}
    for consent in ConsentRegister(store).consents(at):
        over = [end for end in (consent.withdrawn_at, consent.valid_until) if end is not None]
        ends.setdefault(consent.subject, []).append(min(over) if over else _END_OF_TIME)
    persons = PersonRegister(store)
    return sorted(
        (subject, max(ended))
        for subject, ended in ends.items()
        if max(ended) < before and not persons.erased(subject)
    )


def _accounts(subject: str) -> tuple[str, ...]:
    return f"driver/{subject}", f"person/{subject}"


def _folders(subject: str, more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((f"{subject}/", *more)))


def _consent_bodies(store: Store, subject: str) -> list[str]:
    bodies = [one.body for one in store.as_of(_END_OF_TIME).documents("consent")]
    return [body for body in bodies if json.loads(body)["subject"] == subject]


def _events(store: Store, subject: str) -> list[dict[str, object]]:
    book = EventBook(store)
    found: list[dict[str, object]] = []
    for event in book.events():
        if subject not in event.taking_part():
            continue
        settled = book.settlement(event.id)
        mine = [one for one in settled.sites if one.site == subject] if settled else []
        found.append(
            {
                "event": event.id,
                "start": event.start.isoformat(),
                "end": event.end.isoformat(),
                "delivered_kwh": str(mine[0].delivered_kwh) if mine else None,
                "yen": str(mine[0].yen) if mine else None,
            }
        )
    return found


def _wishes(store: Store, folders: Sequence[str]) -> list[tuple[str, dict[str, object]]]:
    """What was asked of the assets behind some folders (``SITE/ASSET/``), by key."""
    assets = {folder.rstrip("/") for folder in folders}
    known = store.as_of(_END_OF_TIME)
    sites = {asset.split("/")[0] for asset in assets}
    found = [one for site in sorted(sites) for one in known.documents(WISH, prefix=f"{site}/")]
    told = [(one.key, json.loads(one.body)) for one in found]
    return [(key, wish) for key, wish in told if f"{wish['site']}/{wish['asset']}" in assets]
