"""How the loop of a site does, as the set-up page says it."""

from __future__ import annotations

from dataclasses import dataclass

from vpp.http.service import Service
from vpp.i18n import Messages

__all__ = ["RunState", "run_state"]


@dataclass(frozen=True, slots=True)
class RunState:
    """A state, what is to be known of it, and what is in the way."""

    name: str
    words: tuple[str, ...]
    said: str


def run_state(service: Service, site: str, texts: Messages) -> RunState:
    """How the loop of a site does in this process."""
    part = next((one for one in service.parts() if one.name == f"site:{site}"), None)
    if part is None:
        return RunState("elsewhere" if not service.supervised else "soon", (), "")
    words = tuple(_word(texts, one) for one in (*part.why, *part.told))
    return RunState(part.state.value, words, service.said(site))


def _word(texts: Messages, why: str) -> str:
    """One of the words of a part of the service, for people."""
    name, _, device = why.partition(":")
    key = f"setup_run.why.{name}"
    if not texts.has(key):
        return why
    return texts.text(key, id=device) if device else texts.text(key)
