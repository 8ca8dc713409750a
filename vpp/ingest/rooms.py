"""A room's history from a file: ``time,room_temp_c,outdoor_temp_c,ghi_w_m2,hvac_kw,mode``."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.errors import DataError
from energy.core.series import FloatArray, Grid
from forecasting.room_record import RoomRecord
from vpp.ingest.columns import Instants, Question, column_names, read_columns

__all__ = ["read_room"]

MODES: Final = {"cool": -1.0, "heat": 1.0, "off": 0.0}
NUMBERS: Final = ("room_temp_c", "outdoor_temp_c", "hvac_kw")
SUN: Final = "ghi_w_m2"
MOST_STEPS: Final = 2_000_000  # four years of minutes


def read_room(
    path: Path,
    *,
    zone: ZoneInfo,
    calendar: SiteCalendar,
    stamps: Literal["start", "end"] = "start",
) -> RoomRecord:
    """Read a file; gaps become missing values on one regular grid.

    Parameters
    ----------
    zone : ZoneInfo
        Of times without an offset, and of the clock that people in the room live by.

    Raises
    ------
    DataError
        If a column is missing or a cell is not what it should be; names line, column and value.
    """
    has_sun = SUN in column_names(path)
    numbers = (*NUMBERS, SUN) if has_sun else NUMBERS
    table = read_columns(
        path, Question(time="time", numbers=numbers, words={"mode": MODES}, zone=zone, stamps=stamps)
    )
    first, step = table.at[0], np.timedelta64(table.step, "us")
    places = (table.at - first) // step
    count = int(places[-1]) + 1
    if count > MOST_STEPS:
        raise DataError(
            f"{path.name} spans too many steps",
            where=f"{count} steps of {table.step} from {first} to {table.at[-1]}",
            hint="is a year mistyped? otherwise give a shorter stretch",
        )
    _require_grid(path, table.at, first, step)
    start = first.astype("datetime64[us]").astype(object).replace(tzinfo=UTC)

    def on_grid(values: FloatArray) -> FloatArray:
        out = np.full(count, np.nan)
        out[places] = values
        return out

    return RoomRecord(
        grid=Grid(start, count, table.step),
        room_c=on_grid(table.values["room_temp_c"]),
        outdoor_c=on_grid(table.values["outdoor_temp_c"]),
        hvac_kw=on_grid(table.values["hvac_kw"]),
        mode=on_grid(table.values["mode"]),
        ghi_w_m2=on_grid(table.values[SUN]) if has_sun else None,
        zone=zone,
        calendar=calendar,
    )


def _require_grid(path: Path, at: Instants, first: np.datetime64, step: np.timedelta64) -> None:
    off = np.flatnonzero((at - first) % step != np.timedelta64(0, "us"))
    if off.size > 0.02 * at.size:
        raise DataError(
            f"the times of {path.name} lie on no regular grid",
            where=f"{off.size} rows, the first at {at[off[0]]} UTC; the commonest step is {step.item()}",
            hint="resample the file to regular steps of 1 to 60 minutes",
        )
