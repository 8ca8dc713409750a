"""Issued forecasts as the store keeps them: what was said, when, for which slots, by which method.

Every issue is one document, known at the instant it was made and never changed. How much is kept is bounded:

=============  =========================================  ==========================================
horizon        when it is made (Japan)                    slots kept
=============  =========================================  ==========================================
``intraday``   at the start of every slot                 the next 12 (6 hours) from the one that begins
``day-ahead``  at 09:00 and 12:00                         the 48 of the next day
``week``       at 09:00                                   the 336 of the seven days from the next day on
=============  =========================================  ==========================================

That is 48 x 12 + 2 x 48 + 336 = 1,008 slots a day and target. Powers are kept to the watt.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

import numpy as np
from pydantic import TypeAdapter

from energy.core.clock import require_aware
from energy.core.errors import AlignmentError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import JST, SLOTS_PER_DAY, jst_midnight
from energy.store import Document, Snapshot, Store

__all__ = [
    "INTRADAY_SLOTS",
    "ISSUED",
    "LOAD",
    "SHADOW",
    "Horizon",
    "IssuedForecast",
    "day_ahead_for",
    "first_issued",
    "first_values",
    "horizons_at",
    "issue_instant_text",
    "issued_forecasts",
    "keep",
    "kept_grid",
    "latest_issued",
    "put_once",
    "targets_of",
]

log = logging.getLogger(__name__)

ISSUED: Final = "forecast"
"""Kind of the documents that hold issued forecasts."""
SHADOW: Final = "forecast-shadow"
"""Kind of the documents that hold what the method out of use would have said."""
LOAD: Final = "load"
"""Target name of the uncontrolled load; the target of an array is the array's id."""

INTRADAY_SLOTS: Final = 12
WEEK_DAYS: Final = 7
DAY_AHEAD_HOURS: Final = (9, 12)
WEEK_HOUR: Final = 9
DECIMALS: Final = 3  # 1 W


class Horizon(StrEnum):
    """What an issue is for."""

    INTRADAY = "intraday"
    DAY_AHEAD = "day-ahead"
    WEEK = "week"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedForecast:
    """One issue of one target.

    Parameters
    ----------
    site : str
        Id of the site.
    target : str
        ``load`` (the uncontrolled load) or the id of a PV array (its generation if nobody curtails it).
    issued_at : datetime
        When it was made and became known; nothing known later went into it. UTC.
    start : datetime
        Begin of the first slot. UTC.
    p10, p50, p90 : tuple of float
        One value per half hour, >= 0, rounded to 1 W. [kW]
    model : str
        Name of the method that really made it, a fallback's included.
    card : str
        Digest of the card of the fitted model (:mod:`vpp.forecasts.registry`); empty for a rule of thumb.
    version : str
        Version of the program that made it.

    Raises
    ------
    AlignmentError
        If the quantiles have different lengths.
    """

    site: str
    target: str
    horizon: Horizon
    issued_at: datetime
    start: datetime
    p10: tuple[float, ...]
    p50: tuple[float, ...]
    p90: tuple[float, ...]
    model: str
    card: str
    version: str

    def __post_init__(self) -> None:
        for name in ("issued_at", "start"):
            object.__setattr__(self, name, require_aware(getattr(self, name)))
        if not len(self.p10) == len(self.p50) == len(self.p90):
            raise AlignmentError(
                "the quantiles of an issued forecast have different lengths",
                p10=len(self.p10),
                p50=len(self.p50),
                p90=len(self.p90),
            )

    @property
    def grid(self) -> Grid:
        """Slots of the forecast."""
        return Grid(self.start, len(self.p50))

    @property
    def key(self) -> str:
        """Key of the document."""
        return f"{_prefix(self.site, self.target, self.horizon)}{issue_instant_text(self.issued_at)}"

    def values(self) -> FloatArray:
        """P10, P50 and P90, shape (3, n_slots). [kW]"""
        return np.array([self.p10, self.p50, self.p90])

    def on(self, day: date) -> IssuedForecast | None:
        """The part of a Japanese day, or None if it does not hold all 48 slots of it."""
        first = (jst_midnight(day) - self.start) // self.grid.step
        if first < 0 or first + SLOTS_PER_DAY > self.grid.count:
            return None
        part = slice(first, first + SLOTS_PER_DAY)
        return replace(
            self, start=jst_midnight(day), p10=self.p10[part], p50=self.p50[part], p90=self.p90[part]
        )

    def to_forecast(self) -> QuantileForecast:
        """The same as it travels between the engines."""
        p10, p50, p90 = self.values()
        return QuantileForecast(
            target=self.target,
            issued_at=self.issued_at,
            grid=self.grid,
            unit=Unit.KW,
            p10=p10,
            p50=p50,
            p90=p90,
            model=self.model,
            facts={"card": self.card},
        )

    def to_json(self) -> str:
        """The forecast as one JSON document."""
        return _ISSUED.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> IssuedForecast:
        """The forecast from its document."""
        return _ISSUED.validate_json(text)

    @staticmethod
    def of(
        forecast: QuantileForecast,
        horizon: Horizon,
        *,
        site: str,
        target: str,
        card: str,
        version: str,
        grid: Grid | None = None,
    ) -> IssuedForecast:
        """An issue from what a method said, cut to a grid if one is given.

        Raises
        ------
        AlignmentError
            If the forecast does not cover the grid.
        """
        whole = forecast.grid
        wanted = whole if grid is None else grid
        first, rest = divmod(wanted.start - whole.start, whole.step)
        if rest or first < 0 or first + wanted.count > whole.count:
            raise AlignmentError(
                "the forecast does not cover the slots to be kept",
                where=f"{whole.start.isoformat()}..{whole.end.isoformat()}, "
                f"wanted {wanted.start.isoformat()}..{wanted.end.isoformat()}",
            )

        def part(values: FloatArray) -> tuple[float, ...]:
            return tuple(np.round(values[first : first + wanted.count], DECIMALS).tolist())

        return IssuedForecast(
            site=site,
            target=target,
            horizon=horizon,
            issued_at=forecast.issued_at,
            start=wanted.start,
            p10=part(forecast.p10),
            p50=part(forecast.p50),
            p90=part(forecast.p90),
            model=forecast.model,
            card=card,
            version=version,
        )


_ISSUED = TypeAdapter(IssuedForecast)


def issue_instant_text(instant: datetime) -> str:
    """An instant as it ends the key of an issue; these texts sort as the instants do."""
    return require_aware(instant).isoformat()


def _prefix(site: str, target: str, horizon: Horizon) -> str:
    return f"{site}/{target}/{horizon.value}/"


# -- when and for which slots --------------------------------------------------------------------------


def horizons_at(instant: datetime) -> tuple[Horizon, ...]:
    """What is issued at the start of a slot."""
    local = instant.astimezone(JST)
    wanted = [Horizon.INTRADAY]
    if local.minute == 0 and local.hour in DAY_AHEAD_HOURS:
        wanted.append(Horizon.DAY_AHEAD)
    if local.minute == 0 and local.hour == WEEK_HOUR:
        wanted.append(Horizon.WEEK)
    return tuple(wanted)


def kept_grid(horizon: Horizon, slot_start: datetime) -> Grid:
    """Slots that an issue made in a slot speaks of."""
    if horizon is Horizon.INTRADAY:
        return Grid(slot_start, INTRADAY_SLOTS)
    tomorrow = jst_midnight(slot_start.astimezone(JST).date() + timedelta(days=1))
    return Grid(tomorrow, SLOTS_PER_DAY * (WEEK_DAYS if horizon is Horizon.WEEK else 1))


# -- keeping and reading -------------------------------------------------------------------------------


def put_once(store: Store, kind: str, key: str, *, known_at: datetime, body: str) -> bool:
    """Put a version of a document; False if one of this very instant stands there already.

    What was said at an instant was said: a second answer for it (a new version of the program, started
    within the same slot) is logged and the first one stays.
    """
    stored = store.as_of(known_at).document(kind, key)
    if stored is not None and stored.known_at == known_at:
        if stored.body != body:
            log.warning("forecast.said_twice kind=%s key=%s", kind, key)
        return False
    return store.put_document(kind, key, known_at=known_at, body=body)


def keep(store: Store, forecast: IssuedForecast, *, kind: str = ISSUED) -> bool:
    """Keep an issue; False if one of its instant stands there already."""
    return put_once(store, kind, forecast.key, known_at=forecast.issued_at, body=forecast.to_json())


def issued_forecasts(
    known: Snapshot,
    site: str,
    target: str,
    horizon: Horizon,
    *,
    start: datetime,
    end: datetime,
    kind: str = ISSUED,
) -> list[IssuedForecast]:
    """Forecasts issued in ``[start, end)``, in order of issue."""
    # Keys end in the instant of issue, so the common beginning of both ends narrows the search.
    first, last = issue_instant_text(start), issue_instant_text(end)
    same = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    found = known.documents(kind, prefix=_prefix(site, target, horizon) + first[:same])
    chosen = [one for one in found if start <= _issued_at(one) < end]
    return [IssuedForecast.from_json(document.body) for document in chosen]


def latest_issued(
    known: Snapshot, site: str, target: str, horizon: Horizon, *, kind: str = ISSUED
) -> IssuedForecast | None:
    """The newest issue that is known."""
    found = known.documents(kind, prefix=_prefix(site, target, horizon))
    return IssuedForecast.from_json(found[-1].body) if found else None


def first_issued(known: Snapshot, site: str, target: str, horizon: Horizon) -> IssuedForecast | None:
    """The oldest issue that is known."""
    found = known.documents(ISSUED, prefix=_prefix(site, target, horizon))
    return IssuedForecast.from_json(found[0].body) if found else None


def day_ahead_for(known: Snapshot, site: str, target: str, day: date) -> IssuedForecast | None:
    """The newest day-ahead issue of a Japanese delivery day that is known."""
    before = jst_midnight(day - timedelta(days=1))
    found = issued_forecasts(
        known, site, target, Horizon.DAY_AHEAD, start=before, end=before + timedelta(days=1)
    )
    return found[-1] if found else None


def targets_of(known: Snapshot, site: str) -> list[str]:
    """Targets of which forecasts are known, the load first."""
    keys = (document.key for document in known.documents(ISSUED, prefix=f"{site}/"))
    return sorted({key.split("/")[1] for key in keys}, key=lambda name: (name != LOAD, name))


def first_values(known: Snapshot, site: str, target: str, grid: Grid) -> FloatArray:
    """What was forecast for each slot at its own beginning, shape (3, n_slots); NaN where nobody did. [kW]"""
    out = np.full((3, grid.count), np.nan)
    for one in issued_forecasts(known, site, target, Horizon.INTRADAY, start=grid.start, end=grid.end):
        if grid.start <= one.start < grid.end:
            out[:, grid.index(one.start)] = one.values()[:, 0]
    return out


def _issued_at(document: Document) -> datetime:
    return datetime.fromisoformat(document.key.rsplit("/", 1)[1])
