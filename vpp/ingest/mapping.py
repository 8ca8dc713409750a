"""What the user says about a file: which series its columns are, in which unit, zone and step.

Mappings come from a YAML file or from code; unknown keys are refused. The native formats need little: their
layout is fixed and only the names of the series, or the areas wanted, are left to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from energy.core.errors import ConfigError
from energy.core.series import Unit
from energy.core.units import SeriesId
from energy.market.rule_table import Area

__all__ = [
    "AnyMapping",
    "AreaDemandMapping",
    "Column",
    "ImportKind",
    "JepxSpotMapping",
    "MeterMapping",
    "TableMapping",
    "WeatherMapping",
    "parse_mapping",
    "unit_of_series",
]

# Last part of a series name -> unit; the longest ending counts.
_UNIT_ENDINGS = {
    "yen_per_kwh": Unit.YEN_PER_KWH,
    "kwh": Unit.KWH,
    "kw": Unit.KW,
    "w_m2": Unit.W_PER_M2,
    "c": Unit.CELSIUS,
    "cm": Unit.CM,
    "percent": Unit.PERCENT,
    "ratio": Unit.RATIO,
    "soc": Unit.RATIO,
    "coin": Unit.COIN,
    "k": Unit.CELSIUS,  # a difference of temperatures
    "plugged": Unit.RATIO,  # 0 or 1
    "limited": Unit.RATIO,  # 0 or 1
}

SeriesName = Annotated[str, Field(pattern=r"^[a-z0-9-]+/[a-z0-9-]+/[a-z0-9_]+$", max_length=120)]


class ImportKind(StrEnum):
    """Kinds of files that can be imported."""

    JEPX_SPOT = "jepx-spot"
    AREA_DEMAND = "area-demand"
    METER = "meter"
    TABLE = "table"
    WEATHER = "weather"


def unit_of_series(series: str) -> Unit:
    """Unit of a series by the ending of its name: ``kitakata/meter/import_kwh`` is in kWh.

    Raises
    ------
    ConfigError
        If the name does not end in a unit.
    """
    quantity = series.rsplit("/", maxsplit=1)[-1]
    for ending, unit in sorted(_UNIT_ENDINGS.items(), key=lambda item: -len(item[0])):
        if quantity == ending or quantity.endswith(f"_{ending}"):
            return unit
    raise ConfigError(
        f"series {series} does not say its unit",
        where=f"its last part is {quantity!r}",
        hint="end the name in a unit: " + ", ".join(f"_{ending}" for ending in _UNIT_ENDINGS),
    )


class _Mapping(BaseModel):
    """What all mappings share.

    Parameters
    ----------
    encoding : str
        Encoding of the file.
    known : str
        ``published``: a value counts as known when its kind publishes it (the end of the interval for a
        measurement), so that back-tests may use a file that was imported years later. ``imported``: it
        counts as known from the import on.
    lag_minutes : int
        With ``published``: how long after the end of the interval a value is known. [min]
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    encoding: Literal["utf-8", "cp932", "utf-16"] = "utf-8"
    known: Literal["published", "imported"] = "published"
    lag_minutes: Annotated[int, Field(ge=0)] = 0


class JepxSpotMapping(_Mapping):
    """JEPX day-ahead prices (``spot_summary_YYYY.csv``).

    Series ``jepx/<area>/spot_yen_per_kwh`` and ``jepx/system/spot_yen_per_kwh``. Known since the publication
    on the day before delivery (rule ``spot_market``), never later than the import.
    """

    kind: Literal[ImportKind.JEPX_SPOT] = ImportKind.JEPX_SPOT
    encoding: Literal["utf-8", "cp932", "utf-16"] = "cp932"
    areas: Annotated[tuple[Area, ...], Field(min_length=1)] = (Area.TOHOKU,)
    system_price: bool = True

    @model_validator(mode="after")
    def _areas_have_prices(self) -> JepxSpotMapping:
        if Area.OKINAWA in self.areas or Area.ALL in self.areas:
            msg = "the market has prices for nine areas: name them one by one; Okinawa is not among them"
            raise ValueError(msg)
        return self


class AreaDemandMapping(_Mapping):
    """Hourly demand of a supply area (``juyo-YYYY.csv``), 万kW stamped by the start of the hour."""

    kind: Literal[ImportKind.AREA_DEMAND] = ImportKind.AREA_DEMAND
    encoding: Literal["utf-8", "cp932", "utf-16"] = "cp932"
    series: SeriesName = "area/tokyo/demand_kw"

    @model_validator(mode="after")
    def _series_is_a_power(self) -> AreaDemandMapping:
        _must_be(self.series, Unit.KW)
        return self


class MeterMapping(_Mapping):
    """A meter's half hours: ``timestamp,kwh``, stamped by the end, in Japanese time or with an offset."""

    kind: Literal[ImportKind.METER] = ImportKind.METER
    series: SeriesName

    @model_validator(mode="after")
    def _series_is_an_energy(self) -> MeterMapping:
        _must_be(self.series, Unit.KWH)
        return self


class Column(BaseModel):
    """One column of a table.

    Parameters
    ----------
    series : str
        Series it becomes; the ending of the name is its unit.
    unit : Unit
        Unit after scaling.
    scale : float
        Factor from the file's unit to ``unit``; not zero.
    offset : float
        Added after the factor: -273.15 brings kelvin to degrees. [unit]
    lowest, highest : float or None
        Values outside are bad rows, in ``unit``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    series: SeriesName
    unit: Unit
    scale: float = 1.0
    offset: float = 0.0
    lowest: float | None = None
    highest: float | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Column:
        _must_be(self.series, self.unit)
        if self.scale == 0:
            msg = "scale 0 would wipe out the column"
            raise ValueError(msg)
        return self


class TableMapping(_Mapping):
    """Any CSV or Parquet file with one column of times and columns of values.

    Parameters
    ----------
    time_column : str
        Column of the times.
    columns : dict
        Name of a column to its :class:`Column`. An empty cell is a missing value, not a bad row.
    zone : str
        Zone of times without an offset. Nights when clocks change are converted properly.
    stamp : str
        Whether a time is the ``start`` or the ``end`` of its interval.
    step_minutes : int
        Length of an interval; divides a day. [min]
    time_format : str or None
        Format of :meth:`datetime.datetime.strptime` if the times are not ISO 8601.
    delimiter : str
        Between the cells of a CSV file.
    """

    kind: Literal[ImportKind.TABLE] = ImportKind.TABLE
    time_column: str
    columns: Annotated[dict[str, Column], Field(min_length=1)]
    zone: str = "Asia/Tokyo"
    stamp: Literal["start", "end"] = "start"
    step_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    time_format: str | None = None
    delimiter: Literal[",", ";", "\t"] = ","

    @property
    def step(self) -> timedelta:
        """Length of an interval."""
        return timedelta(minutes=self.step_minutes)

    @model_validator(mode="after")
    def _fits_together(self) -> TableMapping:
        if 1440 % self.step_minutes:
            msg = f"step_minutes {self.step_minutes} does not divide a day"
            raise ValueError(msg)
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            msg = f"no time zone {self.zone!r}"
            raise ValueError(msg) from error
        names = [column.series for column in self.columns.values()]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            msg = f"two columns become series {twice[0]}"
            raise ValueError(msg)
        if self.time_column in self.columns:
            msg = f"column {self.time_column!r} is both time and value"
            raise ValueError(msg)
        return self


class WeatherMapping(_Mapping):
    """Weather forecasts: values for a time, known since the run of the forecast that holds them.

    Parameters
    ----------
    time_column : str
        Column of the times that the values are for.
    issued_column, lead_column : str or None
        Column of the times at which the runs were issued, or of the hours from issue to time; one of them.
    columns : dict
        Column, or in the long form content of ``variable_column``, to its :class:`Column`.
    variable_column, value_column : str or None
        Long form: where a row says what it is, and its value.
    summed : tuple of str
        Of ``columns`` those that are summed up since the run; the file must then hold every step of a run.
    form : str
        ``gefcom``: runs at 00 UTC, ECMWF names, steps of an hour stamped by their ends, radiation summed up.
        Nothing else is needed then but ``site``.
    site : str or None
        First part of the names of the series in the form ``gefcom``.
    where : tuple of str or None
        A column and what must stand in it (``[ZONEID, "1"]``).
    zone, stamp, step_minutes, time_format
        As in a table.
    """

    kind: Literal[ImportKind.WEATHER] = ImportKind.WEATHER
    time_column: str
    issued_column: str | None = None
    lead_column: str | None = None
    columns: dict[str, Column] = Field(default_factory=dict)
    variable_column: str | None = None
    value_column: str | None = None
    summed: tuple[str, ...] = ()
    form: Literal["columns", "gefcom"] = "columns"
    site: str | None = None
    where: tuple[str, str] | None = None
    zone: str = "Asia/Tokyo"
    stamp: Literal["start", "end"] = "start"
    step_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    time_format: str | None = None

    @property
    def step(self) -> timedelta:
        """Length of an interval."""
        return timedelta(minutes=self.step_minutes)

    @model_validator(mode="after")
    def _says_when_it_was_known(self) -> WeatherMapping:
        if self.form == "gefcom":
            if self.site is None:
                msg = "the form gefcom needs site, the first part of the names of the series"
                raise ValueError(msg)
            return self
        if (self.issued_column is None) == (self.lead_column is None):
            msg = (
                "name issued_column or lead_column: without the time of its issue nobody knows when a "
                "forecast was known, and measured weather would pass for one"
            )
            raise ValueError(msg)
        if not self.columns or (self.variable_column is None) != (self.value_column is None):
            msg = "name columns, and both or none of variable_column and value_column"
            raise ValueError(msg)
        unknown = [name for name in self.summed if name not in self.columns]
        if unknown:
            msg = f"summed names {unknown[0]!r}, which is none of columns"
            raise ValueError(msg)
        return self


AnyMapping = JepxSpotMapping | AreaDemandMapping | MeterMapping | TableMapping | WeatherMapping
_ADAPTER: TypeAdapter[AnyMapping] = TypeAdapter(Annotated[AnyMapping, Field(discriminator="kind")])


def _must_be(series: str, unit: Unit) -> None:
    try:
        said = unit_of_series(SeriesId(series))
    except ConfigError as error:
        raise ValueError(str(error)) from error
    if said is not unit:
        msg = f"series {series} is named as {said} but holds {unit}"
        raise ValueError(msg)


def parse_mapping(kind: ImportKind, settings: Mapping[str, object] | None = None) -> AnyMapping:
    """Mapping of a kind from settings as they stand in a YAML file; without settings the usual one.

    Raises
    ------
    ConfigError
        If a key is unknown, a value impossible, or something needed is missing.

    Examples
    --------
    >>> parse_mapping(ImportKind.METER, {"series": "kitakata/meter/import_kwh"}).encoding
    'utf-8'
    """
    try:
        return _ADAPTER.validate_python({**(settings or {}), "kind": kind})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "mapping"
        raise ConfigError(
            f"the mapping for {kind} cannot be used",
            where=f"{where}: {first['msg']}",
            hint="docs/how-to/import-data.md shows a mapping for each kind of file",
        ) from error
