"""Outcomes of a look at a device and of a test of its orders, as sentences in the language of the reader.

What devices and files answer stays as they said it, in English, beside a sentence of our own: it is what one
reads to whoever installed or made them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from devices.commissioning import Finding
from devices.probe import Look
from energy.core.errors import ConfigError, RefusedError, RegisterError, UnreachableError, VppError
from vpp.i18n import Messages

__all__ = ["Step", "reading_rows", "said_of", "steps_of", "what_to_do"]

_KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (UnreachableError, "unreachable"),
    (RegisterError, "other_device"),
    (RefusedError, "refused"),
    (ConfigError, "cannot_be"),
    (ValidationError, "cannot_be"),
    (ValueError, "cannot_be"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a test, in words.

    Parameters
    ----------
    why : str
        What was in the way; empty where nothing was.
    detail : str
        What the device itself said, in English; empty where it adds nothing.
    """

    finding: Finding
    name: str
    why: str
    detail: str


def said_of(error: Exception) -> str:
    """What is wrong, in one line as the program says it."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(one) for one in first["loc"])
        return f"{place}: {first['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    if isinstance(error, VppError):
        return "; ".join(part for part in error.lines() if part)
    return str(error)


def what_to_do(error: Exception) -> str:
    """Key of the sentence that says what kind of trouble it is and what one does about it."""
    kind = next((name for one, name in _KINDS if isinstance(error, one)), "other")
    return f"setup_words.{kind}"


def steps_of(findings: tuple[Finding, ...], words: Messages) -> tuple[Step, ...]:
    """The steps of a test, in words."""
    return tuple(Step(one, _step_name(one.step, words), *_why(one, words)) for one in findings)


def _step_name(step: str, words: Messages) -> str:
    key = f"setup_words.step_{step.replace(' ', '_')}"
    return words.text(key) if words.has(key) else step


def _why(one: Finding, words: Messages) -> tuple[str, str]:
    """The sentence of a step, and what the device said beside it."""
    if one.passed:
        return "", one.why if words.lang == "en" else ""
    if one.step in {"sun", "mode", "reach"}:
        return words.text(f"setup_words.why_{one.step}"), one.why if one.step == "reach" else ""
    if one.passed is None:
        return words.text("setup_words.why_not_tried"), one.why
    if one.step == "watchdog" and one.wanted is not None and one.seen is not None:
        return words.text("setup_words.why_went_on"), one.why
    if one.seen is not None:
        return words.text("setup_words.why_differs"), one.why
    return words.text("setup_words.why_not_taken"), one.why


def reading_rows(look: Look, words: Messages) -> list[tuple[str, str, str]]:
    """Points, values and what is said of their quality."""
    return [
        (
            name,
            "" if one.value is None else f"{one.value:g}",
            words.text(f"device.quality_{one.quality.value}"),
        )
        for name, one in look.readings.items()
    ]
