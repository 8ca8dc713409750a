"""Reading the times and numbers of a file: strictly, in its zone, through the nights when clocks change."""

from __future__ import annotations

import difflib
import math
import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from energy.core.errors import ConfigError

__all__ = [
    "RowFault",
    "WallClock",
    "number",
    "parse_date",
    "parse_stamp",
    "standard_offset",
    "whole_number",
    "zone_named",
]

_DATE = r"(?P<year>[0-9]{4})[-/](?P<month>[0-9]{1,2})[-/](?P<day>[0-9]{1,2})"
_TIME = r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.0+)?)?"
_ZONE = r"(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?"
_STAMP: Final = re.compile(rf"{_DATE}[ T]+{_TIME}\s*{_ZONE}")
_DAY: Final = re.compile(_DATE)
_NUMBER: Final = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_EARLIEST_YEAR: Final = 1990  # a year written 0014 for 2014 exists in published files

_WIDEST_OFFSET: Final = timedelta(hours=14)  # Line Islands, UTC+14
_FIXED: Final = re.compile(r"(?:UTC|GMT)?(?P<sign>[+-])(?P<hours>[0-9]{1,2})(?::00)?")


def zone_named(name: str) -> ZoneInfo:
    """A time zone by its name (``Asia/Tokyo``) or as whole hours from UTC (``UTC+9``, ``+09:00``).

    Raises
    ------
    ConfigError
        If there is none; names the nearest.

    Examples
    --------
    >>> zone_named("UTC+9").utcoffset(datetime(2026, 1, 1))
    datetime.timedelta(seconds=32400)
    """
    fixed = _FIXED.fullmatch(name.strip())
    if fixed and int(fixed["hours"]) <= _WIDEST_OFFSET // timedelta(hours=1):
        sign = "-" if fixed["sign"] == "+" else "+"  # the signs of Etc/GMT are those of POSIX
        return ZoneInfo(f"Etc/GMT{sign}{int(fixed['hours'])}")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name, available_timezones(), n=3, cutoff=0.5)
        raise ConfigError(
            f"no time zone {name!r}",
            where="a zone is a name such as Asia/Tokyo, or whole hours from UTC such as UTC+9",
            hint=f"did you mean {', '.join(near)}?" if near else "UTC, Asia/Tokyo, Europe/Paris, UTC+9",
        ) from None


def standard_offset(zone: ZoneInfo, first: datetime, last: datetime) -> timedelta:
    """Distance of a zone's standard time from UTC over a stretch: the smallest one of its days.

    Days in standard time have 24 hours through the whole year, whatever the clocks of the zone do.
    """
    days = range((last - first).days + 2)
    offsets = ((first + timedelta(days=day)).astimezone(zone).utcoffset() for day in days)
    return min(offset for offset in offsets if offset is not None)


class RowFault(Exception):  # noqa: N818 - becomes a DataError, or a line of the reject file
    """Why one row cannot be used.

    Parameters
    ----------
    column : str
        Column at fault, empty for the row as a whole.
    value : object
        What stands there.
    reason : str
        What is wrong with it.
    """

    def __init__(self, column: str, value: object, reason: str) -> None:
        super().__init__(column, value, reason)
        self.column = column
        self.value = value
        self.reason = reason


def number(column: str, cell: object) -> float:
    """A cell as a finite number; only plain digits, a point and an exponent count as one.

    Raises
    ------
    RowFault
        If it is empty, ``nan``, ``1,234`` or anything else that is no number.
    """
    if isinstance(cell, str):
        text = cell.strip()
        if not _NUMBER.fullmatch(text):
            raise RowFault(column, cell, "no value" if not text else "not a number")
        value = float(text)
    elif isinstance(cell, bool) or not isinstance(cell, int | float):
        raise RowFault(column, cell, "no value" if cell is None else "not a number")
    else:
        value = float(cell)
    if not math.isfinite(value):
        raise RowFault(column, cell, "not a finite number")
    return value


def whole_number(column: str, cell: object) -> int:
    """A cell as a whole number >= 0.

    Raises
    ------
    RowFault
        If it is anything else.
    """
    text = str(cell).strip()
    if not _WHOLE.fullmatch(text):
        raise RowFault(column, cell, "not a whole number")
    return int(text)


def _date_of(found: re.Match[str], column: str, cell: object) -> date:
    year = int(found["year"])
    if year < _EARLIEST_YEAR:
        raise RowFault(column, cell, f"year {year} cannot be right")
    try:
        return date(year, int(found["month"]), int(found["day"]))
    except ValueError:
        raise RowFault(column, cell, "no such day") from None


def parse_date(column: str, cell: object) -> date:
    """A cell ``2026/4/1`` or ``2026-04-01`` as a day.

    Raises
    ------
    RowFault
        If it is no day.
    """
    found = _DAY.fullmatch(str(cell).strip())
    if not found:
        raise RowFault(column, cell, "not a date like 2026/4/1")
    return _date_of(found, column, cell)


def parse_stamp(column: str, cell: object, layout: str | None = None) -> datetime:
    """A cell as date and time; naive if the file gives no offset.

    Parameters
    ----------
    layout : str or None
        Format of :meth:`datetime.datetime.strptime`; ISO 8601 and ``2026/4/1 0:30`` unless given.

    Notes
    -----
    ``24:00`` is midnight of the next day.

    Raises
    ------
    RowFault
        If it is no time of day on a day.
    """
    if isinstance(cell, datetime):
        if cell.year < _EARLIEST_YEAR:
            raise RowFault(column, cell, f"year {cell.year} cannot be right")
        return cell
    text = str(cell).strip() if cell is not None else ""
    if not text:
        raise RowFault(column, cell, "no time")
    if layout is not None:
        try:
            stamp = datetime.strptime(text, layout)  # noqa: DTZ007 - the zone of the file comes from its mapping
        except ValueError:
            raise RowFault(column, cell, f"not a time like {layout}") from None
        return parse_stamp(column, stamp)
    found = _STAMP.fullmatch(text)
    if not found:
        raise RowFault(column, cell, "not a time like 2026-04-01 00:30")
    day = _date_of(found, column, cell)
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"] or 0)
    if (hour, minute, second) > (24, 0, 0) or minute > 59 or second > 59:
        raise RowFault(column, cell, "no such time; a day ends at 24:00")
    naive = datetime(day.year, day.month, day.day) + timedelta(  # noqa: DTZ001 - zone follows
        hours=hour, minutes=minute, seconds=second
    )
    zone = found["zone"]
    if zone is None:
        return naive
    offset = timedelta(0)
    if zone != "Z":
        sign = -1 if zone[0] == "-" else 1
        offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        if abs(offset) > _WIDEST_OFFSET:
            raise RowFault(column, cell, f"no zone is {zone} away from UTC")
    return (naive - offset).replace(tzinfo=UTC)


class WallClock:
    """Turns the local times of a file into instants, row after row.

    In the hour that a zone lives twice in autumn the rows themselves tell which is meant: the first pass
    comes first. So the rows of that night must be in order.

    Parameters
    ----------
    zone : ZoneInfo
        Zone of times without an offset.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._last: datetime | None = None

    def instant(self, column: str, stamp: datetime) -> datetime:
        """A stamp as UTC.

        Raises
        ------
        RowFault
            If the local time does not exist because clocks went forward.
        """
        result = stamp.astimezone(UTC) if stamp.tzinfo else self._local(column, stamp)
        self._last = result
        return result

    def _local(self, column: str, stamp: datetime) -> datetime:
        early = stamp.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
        late = stamp.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        if early.astimezone(self._zone).replace(tzinfo=None, fold=0) != stamp:
            raise RowFault(
                column, stamp, f"this time does not exist in {self._zone.key}: clocks went forward"
            )
        return late if self._last is not None and early <= self._last else early
