"""What a simulated week of a region is, and what happens in it; everything follows from the seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib.metadata import version
from typing import Final, Literal

import numpy as np

from energy.core.calendar import DayType, SiteCalendar
from energy.core.errors import ConfigError
from energy.core.series import Grid
from energy.core.slots import jst_midnight
from vpp.region.draw import Request
from vpp.region.plan import check_request
from vpp.region.pools import SLOTS

__all__ = ["MODES", "Happenings", "Mode", "Week", "day_request", "happenings_of"]

Mode = Literal["warm", "alone", "together"]
MODES: Final[tuple[Mode, ...]] = ("warm", "alone", "together")
"""Days before, for baselines and meters; every site for itself; the region as one plant."""

WINDOW: Final = 8  # half-hours until everybody plans again


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """A simulated week.

    Parameters
    ----------
    region : Request
        Which sites; its day is the first one, its half-hours are a day's.
    days, warm_days : int
        Days that are compared, and days before them in which every site is on its own.
    gap : float
        Relative gap at which a plan of the region is good enough: what everybody does alone is often less
        than half a percent from the best, and what coordination saves lies in between. [-]
    dr_share : float
        Reduction that the tight evening asks for, of what the sites that joined would use. [-]
    offline : int
        Sites that fall silent for a day.
    derated : float
        What a feeder under repair carries, of the highest that it had in the days before. [-]
    corrections : bool
        Whether the region asks sites back to their plans while the tight evening runs.
    """

    region: Request
    days: int = 7
    warm_days: int = 7
    gap: float = 0.0003
    dr_share: float = 0.06
    offline: int = 2
    derated: float = 0.9
    corrections: bool = True

    def __post_init__(self) -> None:
        check_request(self.region)
        if self.region.slots != SLOTS:
            raise ConfigError(
                f"a week is planned a day ahead, not {self.region.slots} half-hours",
                where="--slots",
                hint="leave it out",
            )
        if not 1 <= self.days <= 31:
            raise ConfigError(f"no week of {self.days} days", where="--days", hint="give 1 to 31")
        if self.warm_days < 0 or not 0.0 <= self.gap < 1.0 or not 0.0 <= self.dr_share < 1.0:
            raise ConfigError(
                "a share lies in [0, 1) and days are not below 0", where="--gap, --dr-share", hint="try 0.005"
            )

    @property
    def grid(self) -> Grid:
        """Half-hours of the compared days."""
        return Grid(jst_midnight(self.region.day), SLOTS * self.days)

    def first(self, mode: Mode) -> date:
        """First day of a part."""
        back = self.warm_days if mode == "warm" else 0
        return self.region.day - timedelta(days=back)

    def window(self, mode: Mode) -> int:
        """Half-hours between two plans: a day in the days before, four hours afterwards."""
        return SLOTS if mode == "warm" else WINDOW

    def steps(self, mode: Mode) -> int:
        """Number of plans."""
        days = self.warm_days if mode == "warm" else self.days
        return days * SLOTS // self.window(mode)

    def place(self, mode: Mode, step: int) -> tuple[date, int]:
        """Day and half-hour at which a step begins."""
        begun = step * self.window(mode)
        return self.first(mode) + timedelta(days=begun // SLOTS), begun % SLOTS

    def fingerprint(self) -> str:
        """What results depend on: the week itself and the version of the program."""
        return hashlib.sha256(f"{self!r} {version('aizu-vpp')}".encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happenings:
    """What goes wrong in a week; half-hours are counted from the midnight of its first day.

    Parameters
    ----------
    dr : range
        The tight evening.
    dr_told : int
        Half-hour at which it is announced.
    silent : tuple of int
        Numbers of the sites that do not answer.
    silent_in : range
        When they do not.
    derated_feeder : str
        Feeder under repair.
    derated_in : range
        When it is.
    """

    dr: range
    dr_told: int
    silent: tuple[int, ...]
    silent_in: range
    derated_feeder: str
    derated_in: range


def happenings_of(week: Week) -> Happenings:
    """The tight evening is that of the last workday; silence lies in the middle, the repair on day two."""
    days = [week.region.day + timedelta(days=k) for k in range(week.days)]
    calendar = SiteCalendar()
    work = [k for k, day in enumerate(days) if calendar.day_type(day) is not DayType.REST]
    evening = (work or [week.days - 1])[-1]
    quiet, repair = min(2, week.days - 1), min(1, week.days - 1)
    rng = np.random.default_rng([week.region.seed, 23])
    count = min(week.offline, week.region.sites)
    silent = sorted(int(k) for k in rng.choice(week.region.sites, size=count, replace=False))
    feeder = f"feeder-{int(rng.integers(week.region.feeders)):03d}"
    begins, ends = SLOTS * quiet + 16, min(SLOTS * week.days, SLOTS * quiet + 16 + SLOTS)
    return Happenings(
        dr=range(SLOTS * evening + 34, SLOTS * evening + 38),
        dr_told=max(0, SLOTS * evening - 16),
        silent=tuple(silent),
        silent_in=range(begins, ends),
        derated_feeder=feeder,
        derated_in=range(SLOTS * repair + 34, SLOTS * repair + 42),
    )


def day_request(week: Week, day: date) -> Request:
    """The same sites on another day."""
    return replace(week.region, day=day)
