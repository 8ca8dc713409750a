"""Files in and out: JEPX prices, area demand, meters and tables into the store, series out of it."""

from vpp.ingest.export import ExportReport, SeriesGap, export_series, native_grid, series_gaps
from vpp.ingest.importer import import_file
from vpp.ingest.mapping import (
    AnyMapping,
    AreaDemandMapping,
    Column,
    ImportKind,
    JepxSpotMapping,
    MeterMapping,
    TableMapping,
    WeatherMapping,
    parse_mapping,
    unit_of_series,
)
from vpp.ingest.report import ImportReport

__all__ = [
    "AnyMapping",
    "AreaDemandMapping",
    "Column",
    "ExportReport",
    "ImportKind",
    "ImportReport",
    "JepxSpotMapping",
    "MeterMapping",
    "SeriesGap",
    "TableMapping",
    "WeatherMapping",
    "export_series",
    "import_file",
    "native_grid",
    "parse_mapping",
    "series_gaps",
    "unit_of_series",
]
