"""What a back-test is told: which file, what its columns mean, when forecasts are issued, which days."""

from __future__ import annotations

import re
from dataclasses import field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import Field
from pydantic.dataclasses import dataclass

from energy.core.assets import Positive, strict
from energy.core.errors import ConfigError
from vpp.ingest.times import zone_named

__all__ = ["Case", "CaseWeather", "Known", "WeatherColumn", "weather_column"]

Known = Literal["forecast", "none", "perfect"]

# What the methods look for by name, and words by which a column may be known.
_NAMES: Final = (
    ("temp_c", r"temp|気温|外気|outdoor|drybulb"),
    ("ghi_w_m2", r"ghi|irradi|radiation|solar|日射|ssrd|diffuse flows"),
    ("cloud_percent", r"cloud|雲"),
    ("humidity_percent", r"humid|湿度|rh"),
    ("snow_cm", r"snow|雪"),
    ("wind_m_s", r"wind|風"),
    ("rain_mm", r"rain|precip|降水"),
)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class WeatherColumn:
    """One column of weather.

    Parameters
    ----------
    name : str
        Name under which the methods know it: ``temp_c``, ``ghi_w_m2``, ``cloud_percent``, ``snow_cm``, ...
    scale, offset : float
        ``value = cell * scale + offset``.
    lowest, highest : float or None
        Values outside are taken as missing.
    """

    name: str
    scale: float = 1.0
    offset: float = 0.0
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class CaseWeather:
    """The weather of a back-test.

    Parameters
    ----------
    columns : dict
        Column of the file to what it is; empty for the GEFCom form, whose columns are known.
    known : str
        ``forecast``: forecasts that were known at the issue. ``none``: measurements; a method sees those that
        were over at the issue. ``perfect``: measurements of the day itself, which makes every score a bound.
    issued : str or None
        Column of the times at which the forecasts were issued.
    form : str
        ``gefcom``: one run a day at 00 UTC, ECMWF names, some fields summed up since the run.
    """

    columns: dict[str, WeatherColumn] = field(default_factory=dict)
    known: Known
    issued: str | None = None
    form: Literal["columns", "gefcom"] = "columns"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Case:
    """One series and the protocol under which forecasts of it are scored.

    Parameters
    ----------
    file : Path
        CSV or Parquet.
    time : str or None
        Column of times, or two with a comma between.
    value : str
        Column of the series.
    kind : str
        ``load`` or ``pv``.
    zone : str
        Zone of times without an offset; its standard time makes the days.
    slot_minutes : int
        Length of the slots that are forecast. [min]
    issue : str
        Time of the day before at which a forecast is issued, local standard time; ``24:00`` is the midnight
        at which the day begins.
    first, last : date
        Days that are scored, both included.
    tuning : tuple of date or None
        Days before them on which methods may be tuned.
    holidays : str
        Country whose holidays count (ISO code; ``JP`` by the house's own calendar), or ``none``.
    region : str or None
        Its province or state.
    capacity : float or None
        Nameplate of a PV plant, contract power of a load. [unit after ``unit_factor``]
    latitude, longitude : float or None
        Place of a PV plant. [deg]
    time_stamps : str
        Whether a time is the ``start`` or the ``end`` of its interval.
    unit_factor : float
        Factor on the values of the file. [-]
    rows_from : datetime or None
        Start of the first row, where the times of the file cannot be used.
    step_minutes : int or None
        Length of the file's intervals; found out unless given. [min]
    where : tuple of str or None
        A column and what must stand in it.
    time_format : str or None
        Format of :meth:`datetime.datetime.strptime`.
    negative : str
        What a negative load means: ``refuse`` it, take it as ``missing`` or as ``zero``.
    """

    file: Path
    time: str | None = None
    value: str
    kind: Literal["load", "pv"] = "load"
    zone: str = "Asia/Tokyo"
    slot_minutes: Literal[15, 30, 60] = 30
    issue: str = "12:00"
    first: date
    last: date
    tuning: tuple[date, date] | None = None
    holidays: str = "none"
    region: str | None = None
    weather: CaseWeather | None = None
    capacity: Positive | None = None
    latitude: Annotated[float, Field(ge=-90.0, le=90.0)] | None = None
    longitude: Annotated[float, Field(ge=-180.0, le=180.0)] | None = None
    time_stamps: Literal["start", "end"] = "start"
    unit_factor: float = 1.0
    rows_from: datetime | None = None
    step_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    where: tuple[str, str] | None = None
    time_format: str | None = None
    negative: Literal["refuse", "missing", "zero"] = "refuse"

    @property
    def slot(self) -> timedelta:
        """Length of a slot."""
        return timedelta(minutes=self.slot_minutes)

    @property
    def slots_per_day(self) -> int:
        """Slots of a day of 24 hours."""
        return timedelta(days=1) // self.slot

    @property
    def issue_slot(self) -> int:
        """Slots of the day before that are over at the issue.

        Raises
        ------
        ConfigError
            If the time is none, or not on a slot.
        """
        found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", self.issue.strip())
        minutes = 60 * int(found[1]) + int(found[2]) if found else -1
        if not 0 <= minutes <= 24 * 60 or minutes % self.slot_minutes:
            raise ConfigError(
                f"no issue at {self.issue!r}",
                where="--issue",
                hint=f"00:00 to 24:00 on a boundary of {self.slot_minutes} minutes, for instance 12:00",
            )
        return minutes // self.slot_minutes

    @property
    def bound(self) -> bool:
        """Whether perfect weather makes the scores a bound instead of a result."""
        return self.weather is not None and self.weather.known == "perfect"

    def require_window(self) -> None:
        """Refuse an empty window.

        Raises
        ------
        ConfigError
            If the last day comes before the first.
        """
        if self.last < self.first:
            raise ConfigError(
                "the window is empty", where=f"from {self.first} to {self.last}", hint="swap --from and --to"
            )

    def place(self) -> ZoneInfo:
        """The zone.

        Raises
        ------
        ConfigError
            If there is none of that name.
        """
        return zone_named(self.zone)


def weather_column(column: str) -> WeatherColumn:
    """What a column of weather is, from ``COLUMN=name`` or guessed from the words in its name.

    Examples
    --------
    >>> weather_column("Outdoor temperature").name
    'temp_c'
    >>> weather_column("T2M=temp_c").name
    'temp_c'
    """
    head, _, said = column.partition("=")
    if said:
        return WeatherColumn(name=said.strip())
    found = next((name for name, words in _NAMES if re.search(words, head, flags=re.IGNORECASE)), None)
    return WeatherColumn(name=found or re.sub(r"\W+", "_", head.strip().lower()))
