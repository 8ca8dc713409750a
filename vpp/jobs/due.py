"""When a job is due: instants that follow from a rule, the same for whoever asks and whenever."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Protocol

from energy.core.clock import require_aware
from energy.core.slots import JST

__all__ = ["Asked", "Due", "EachDay", "Every", "at_hours", "each_month"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FAR: Final = 400  # days: every rule of ours comes at least once a year


class Due(Protocol):
    """A rule that gives instants."""

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """Instants in ``(after, until]``, earliest first. UTC."""
        ...

    def following(self, after: datetime) -> datetime | None:
        """First instant later than one; None if it never comes by itself. UTC."""
        ...

    @property
    def words(self) -> dict[str, str]:
        """What a person reads: the key of a text (below ``jobs.due``) as ``key``, and its values."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """Every so often, counted from midnight UTC of 1970: the same instants after each start.

    Parameters
    ----------
    step : timedelta
        At least a second.
    offset : timedelta
        Later by this much.
    """

    step: timedelta
    offset: timedelta = timedelta(0)

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """Instants in ``(after, until]``, earliest first. UTC."""
        found, at = [], self.following(after)
        while at <= until:
            found.append(at)
            at += self.step
        return found

    def following(self, after: datetime) -> datetime:
        """First instant later than one. UTC."""
        since = require_aware(after) - _EPOCH - self.offset
        return _EPOCH + self.offset + (since // self.step + 1) * self.step

    @property
    def words(self) -> dict[str, str]:
        """What a person reads."""
        seconds = int(self.step.total_seconds())
        unit, size = ("minutes", 60) if seconds % 60 == 0 else ("seconds", 1)
        return {"key": f"every_{unit}", "count": str(seconds // size)}


@dataclass(frozen=True, slots=True)
class EachDay:
    """At instants that a rule gives for each Japanese day (of delivery, of a month): dated rules go in here.

    Parameters
    ----------
    instants : callable
        Aware instants that belong to a Japanese day; they may lie on the day before.
    key : str
        Text of the rule.
    """

    instants: Callable[[date], Sequence[datetime]]
    key: str

    def between(self, after: datetime, until: datetime) -> list[datetime]:
        """Instants in ``(after, until]``, earliest first. UTC."""
        first, last = (instant.astimezone(JST).date() for instant in (after, until))
        days = [first + timedelta(days=k) for k in range((last - first).days + 3)]
        found = {require_aware(at) for day in days for at in self.instants(day)}
        return sorted(at for at in found if after < at <= until)

    def following(self, after: datetime) -> datetime | None:
        """First instant later than one; None if there is none in more than a year. UTC."""
        for day in self._days(after):
            found = [require_aware(at) for at in self.instants(day) if at > after]
            if found:
                return min(found)
        return None

    def _days(self, after: datetime) -> Iterator[date]:
        first = after.astimezone(JST).date()
        return (first + timedelta(days=k) for k in range(_FAR))

    @property
    def words(self) -> dict[str, str]:
        """What a person reads, with the times of a day that is like any other."""
        day = date(2026, 4, 1)  # a first of a month: monthly rules show themselves, too
        times = ", ".join(f"{at.astimezone(JST):%H:%M}" for at in self.instants(day))
        return {"key": self.key, "times": times}


@dataclass(frozen=True, slots=True)
class Asked:
    """Never by itself: only when somebody asks."""

    def between(self, after: datetime, until: datetime) -> list[datetime]:  # noqa: ARG002 - the port's form
        """Nothing."""
        return []

    def following(self, after: datetime) -> None:
        """Never."""

    @property
    def words(self) -> dict[str, str]:
        """What a person reads."""
        return {"key": "asked"}


def at_hours(*times: time) -> EachDay:
    """At some times of every Japanese day."""
    return EachDay(lambda day: [datetime.combine(day, at, tzinfo=JST) for at in times], "daily")


def each_month(day_of_month: int, at: time) -> EachDay:
    """At a time of one day (1 to 28) of every month."""
    return EachDay(
        lambda day: [datetime.combine(day, at, tzinfo=JST)] if day.day == day_of_month else [],
        "monthly" if day_of_month == 1 else "monthly_later",
    )
