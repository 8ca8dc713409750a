"""Who is behind an id: one erasable record per person; everything else knows only the id.

Ledger, consents, events and audit trail hold ids that say nothing. The name stands in one document. Erasing
it makes what must be kept (grants, settlements, the proof of consent) pseudonymous for good, and the
journal's chain stays whole because no entry ever held a name.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from secrets import token_hex
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from energy.core.assets import Identifier, strict
from energy.core.errors import ConsentError
from energy.store import Store, canonical_json

__all__ = ["ERASED", "PERSON", "Person", "PersonRegister"]

PERSON: Final = "person"
"""Kind of the document that says who somebody is; the only one that may be erased by id alone."""

ERASED: Final = "erased-person"
"""Kind of the document that remembers that an id was erased, so that it is never used again."""

_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Person:
    """Somebody who takes part.

    Parameters
    ----------
    id : str
        Drawn by lot; it says nothing about the person.
    name : str
        As they write it.
    contact : str
        Address, telephone or mail; may be empty.
    statement : str
        How they want their statement: on ``paper`` or in the ``app``.
    """

    id: Identifier
    name: Annotated[str, Field(min_length=1, max_length=200)]
    contact: Annotated[str, Field(max_length=500)] = ""
    statement: Literal["paper", "app"] = "paper"


_PERSON: Final = TypeAdapter(Person)


class PersonRegister:
    """People in a store."""

    def __init__(self, store: Store, *, lot: Callable[[], str] = lambda: token_hex(5)) -> None:
        self._store, self._lot = store, lot

    def enrol(self, *, name: str, contact: str, statement: str, at: datetime, actor: str) -> Person:
        """Take somebody in under a new id; the audit trail notes the id, not the name."""
        told = {"id": f"p-{self._lot()}", "name": name, "contact": contact, "statement": statement}
        person = _PERSON.validate_python(told)
        if self.find(person.id) is not None or self.erased(person.id):
            raise ConsentError(
                "the lot gave an id that was given before", where=person.id, hint="enrol once more"
            )
        with self._store.transaction():
            body = canonical_json(_PERSON.dump_python(person, mode="json"))
            self._store.put_document(PERSON, person.id, known_at=at, body=body)
            facts = {"statement": person.statement}
            self._store.audit(actor, "person.enrolled", f"subject/{person.id}", at=at, facts=facts)
        return person

    def find(self, person_id: str) -> Person | None:
        """Who it is; None if nobody is on record under the id."""
        document = self._store.as_of(_END_OF_TIME).document(PERSON, person_id)
        return None if document is None else _PERSON.validate_json(document.body)

    def erased(self, person_id: str) -> bool:
        """Whether the id belonged to somebody who was erased."""
        return self._store.as_of(_END_OF_TIME).document(ERASED, person_id) is not None
