"""Any series that one may see: a picture to zoom where scripts run, a table and a file where they do not."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from energy.core.slots import JST, jst_midnight
from energy.core.units import SeriesId, series_id
from energy.store import Snapshot
from vpp.api.common import known_now
from vpp.http.access import Access, access_of
from vpp.http.problems import Problem
from vpp.i18n import Messages
from vpp.people.rights import About
from vpp.site.sitebook import Names, asset_names
from vpp.views.explore import DayLine, Stretch, read_days, read_stretch, read_thinned, steps_in
from vpp.web.pages import Page, render

__all__ = ["PAGES"]

DAYS: Final = (1, 7, 31, 400)
_POINTS: Final = 4000  # on a screen; no screen has more columns twice
_ROWS: Final = 400  # in a table; longer stretches are shown by day
_UNITS: Final = {"kw": "kW", "kwh": "kWh", "m2": "W/m2", "k": "K"}
_BLOCK: Final = 31  # days that are read at once for a file


@dataclass(frozen=True, slots=True)
class _Named:
    """Series of one asset."""

    site: str
    asset: str
    name: str
    quantities: list[str]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A series and a stretch of it."""

    site: str
    asset: str
    quantity: str
    first: date
    days: int

    @property
    def name(self) -> SeriesId:
        return series_id(self.site, self.asset, self.quantity)

    @property
    def start(self) -> datetime:
        return jst_midnight(self.first)

    @property
    def end(self) -> datetime:
        return jst_midnight(self.first + timedelta(days=self.days))

    @property
    def address(self) -> str:
        return f"/explore/{self.site}/{self.asset}/{self.quantity}"

    @property
    def query(self) -> str:
        return f"from={self.first.isoformat()}&days={self.days}"


def _may_see(access: Access, site: str, asset: str) -> bool:
    own = access.who.objects
    return access.everything or site in own.sites or f"{site}/{asset}" in own.cars


def catalogue(request: Request) -> Response:
    """Every series that one may see, by site and asset."""
    access = access_of(request)
    known, messages = known_now(access), Messages(access.lang)
    wanted = request.query_params.get("q", "").strip().lower()[:60]
    names = asset_names(known)
    found: dict[tuple[str, str], list[str]] = {}
    for name in known.ids():
        parts = str(name).split("/")
        if len(parts) == 3 and _may_see(access, parts[0], parts[1]):
            found.setdefault((parts[0], parts[1]), []).append(parts[2])
    shown = []
    for (site, asset), quantities in sorted(found.items()):
        title = _title(asset, names, messages)
        if wanted in f"{site}/{asset} {title} {' '.join(quantities)}".lower():
            shown.append(_Named(site, asset, title, sorted(quantities)))
    return render(request, "explore_list.html", found=shown, wanted=wanted, any=bool(found))


def _title(asset: str, names: Names, messages: Messages) -> str:
    """What the reader calls an asset, or a part of the site that is none."""
    if asset in names:
        return names[asset][0 if messages.lang == "ja" else 1]
    key = f"explore.part.{asset}"
    return messages.text(key) if messages.has(key) else asset


def _asked(request: Request, known: Snapshot) -> _Asked:
    """What is looked at; the newest day unless the address says another.

    Raises
    ------
    Problem
        If the day or the number of days cannot be.
    """
    site, asset, quantity = (str(request.path_params[part]) for part in ("site", "asset", "quantity"))
    try:
        name = series_id(site, asset, quantity)
        days = int(request.query_params.get("days", "1"))
        written = request.query_params.get("from", "")
        span = None if written else known.span(name)
        newest = known.known_until if span is None else min(span[1], known.known_until)
        first = (
            date.fromisoformat(written) if written else newest.astimezone(JST).date() - timedelta(days - 1)
        )
    except (ValueError, OverflowError):
        raise Problem("bad_request") from None
    if not 1 <= days <= max(DAYS) or not 1990 <= first.year <= 2200:
        raise Problem("bad_request")
    return _Asked(site, asset, quantity, first, days)


def series(request: Request) -> Response:
    """One series over some days: every value of a short stretch, a line a day of a long one."""
    access = access_of(request)
    known, messages = known_now(access), Messages(access.lang)
    asked = _asked(request, known)
    end = max(asked.start, min(asked.end, known.known_until))
    steps, step = steps_in(known, asked.name, asked.start, end)
    names = asset_names(known)
    if steps > _ROWS:
        lines, rows = read_days(known, asked.name, asked.start, end), []
        told = _Said.of_days(lines)
    else:
        stretch = read_stretch(known, asked.name, asked.start, end)
        lines, rows, step = [], _rows(stretch, messages), stretch.step
        told = _Said.of_values(stretch)
    return render(
        request,
        "explore_series.html",
        asked=asked,
        title=_title(asked.asset, names, messages),
        unit=_unit(asked.quantity, messages),
        told=told,
        low=None if told.low is None else messages.number(told.low, 2),
        high=None if told.high is None else messages.number(told.high, 2),
        mean=None if told.mean is None else messages.number(told.mean, 2),
        step=_step_words(step, messages),
        days=DAYS,
        lines=lines,
        rows=rows,
        before=(asked.first - timedelta(days=asked.days)).isoformat(),
        after=(asked.first + timedelta(days=asked.days)).isoformat(),
        m=messages,
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """A stretch in one sentence."""

    count: int
    missing: int
    low: float | None = None
    mean: float | None = None
    high: float | None = None

    @staticmethod
    def of_values(told: Stretch) -> _Said:
        known = told.values[np.isfinite(told.values)]
        if not len(known):
            return _Said(0, told.missing)
        return _Said(told.count, told.missing, float(known.min()), float(known.mean()), float(known.max()))

    @staticmethod
    def of_days(lines: Sequence[DayLine]) -> _Said:
        count, missing = sum(one.known for one in lines), sum(one.missing for one in lines)
        said = [(one.low, one.mean, one.high, one.known) for one in lines]
        known = [
            (low, mean, high, n)
            for low, mean, high, n in said
            if low is not None and mean is not None and high is not None
        ]
        if not known:
            return _Said(0, missing)
        mean = sum(mean * n for _, mean, _, n in known) / count
        return _Said(count, missing, min(one[0] for one in known), mean, max(one[2] for one in known))


def _unit(quantity: str, messages: Messages) -> str:
    """Unit that a quantity ends with; nothing for shares and switches."""
    ending = quantity.rsplit("_", 1)[-1]
    return messages.text("format.celsius") if ending == "c" else _UNITS.get(ending, "")


def _step_words(step: timedelta, messages: Messages) -> str:
    minutes = step / timedelta(minutes=1)
    if minutes < 1:
        return messages.text("explore.seconds", count=messages.number(minutes * 60, 0))
    return messages.text("factory.minutes", count=messages.number(minutes, 0))


def _rows(told: Stretch, messages: Messages) -> list[tuple[str, str]]:
    """Time and value of every step, gaps included."""
    return [
        (
            messages.moment(told.at(k)),
            messages.text("explore.gap") if np.isnan(value) else messages.number(float(value), 3),
        )
        for k, value in enumerate(told.values)
    ]


def values(request: Request) -> Response:
    """What the picture draws: instants and values, thinned to what a screen can show."""
    access = access_of(request)
    known = known_now(access)
    asked = _asked(request, known)
    start, end = _window(request, asked)
    end = min(end, known.known_until)
    steps, _ = steps_in(known, asked.name, start, end)
    small = read_thinned(known, asked.name, start, end, _POINTS)
    body = {
        "at": small.seconds.astype(np.int64).tolist(),
        "values": [None if np.isnan(one) else round(float(one), 4) for one in small.values],
        "thinned": len(small.values) < steps,
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _window(request: Request, asked: _Asked) -> tuple[datetime, datetime]:
    """The part of the stretch that is zoomed into; all of it unless it is said."""
    try:
        start, end = (
            asked.start
            if part not in request.query_params
            else datetime.fromtimestamp(float(request.query_params[part]), JST)
            for part in ("start", "end")
        )
    except (ValueError, OverflowError, OSError):
        raise Problem("bad_request") from None
    end = asked.end if "end" not in request.query_params else end
    return max(start, asked.start), min(end, asked.end)


def file(request: Request) -> Response:
    """Every value of the stretch as CSV, however many there are."""
    access = access_of(request)
    known = known_now(access)
    asked = _asked(request, known)
    name = f"{asked.site}-{asked.asset}-{asked.quantity}-{asked.first.isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingResponse(_csv(known, asked), media_type="text/csv; charset=utf-8", headers=headers)


def _csv(known: Snapshot, asked: _Asked) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("at", "known_at", asked.quantity, "quality", "source"))
    start = asked.start
    while start < asked.end:
        end = min(asked.end, start + timedelta(days=_BLOCK))
        for one in known.values(asked.name, start, end):
            written = "" if one.value is None else f"{one.value:.6g}"
            at, since = (when.astimezone(JST).isoformat() for when in (one.at, one.known_at))
            writer.writerow((at, since, written, one.quality.value, one.source))
        yield out.getvalue()
        out.seek(0)
        out.truncate()
        start = end


_ONE: Final = "/explore/{site}/{asset}/{quantity}"
PAGES: Final = (
    Page(path="/explore", endpoint=catalogue, rule="measurement", nav="nav.explore"),
    Page(path=_ONE, endpoint=series, rule="measurement", about=About.ASSET),
    Page(path=f"{_ONE}/values", endpoint=values, rule="measurement", about=About.ASSET),
    Page(path=f"{_ONE}/series.csv", endpoint=file, rule="measurement", about=About.ASSET),
)
