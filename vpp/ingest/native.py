"""Files in the layouts in which Japanese companies publish them: JEPX spot, area demand, half-hour meters."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from energy.core.errors import DataError
from energy.core.series import Unit
from energy.core.slots import JST, SLOT_LENGTH, SLOTS_PER_DAY, Slot
from energy.core.units import SeriesId, series_id
from energy.market.rule_table import Area
from energy.market.rules import spot_published_at
from vpp.ingest.layout import Cells, Layout, Reading, Rows, csv_rows, decode, wrong_encoding
from vpp.ingest.mapping import AreaDemandMapping, JepxSpotMapping, MeterMapping
from vpp.ingest.times import RowFault, WallClock, number, parse_date, parse_stamp, whole_number

__all__ = ["area_demand_layout", "jepx_spot_layout", "meter_layout", "require_grid"]

_HOUR: Final = timedelta(hours=1)
_KW_PER_MAN_KW: Final = 10_000.0  # 万kW
_EARLY_RESULT: Final = timedelta(minutes=30)  # results may come as soon as bidding closed (rule spot_market)
_SYSTEM: Final = "system"
_AREA_NAMES: Final = {
    Area.HOKKAIDO: "北海道",
    Area.TOHOKU: "東北",
    Area.TOKYO: "東京",
    Area.CHUBU: "中部",
    Area.HOKURIKU: "北陸",
    Area.KANSAI: "関西",
    Area.CHUGOKU: "中国",
    Area.SHIKOKU: "四国",
    Area.KYUSHU: "九州",
}


def require_grid(column: str, cell: object, start: datetime, step: timedelta, zone: ZoneInfo) -> None:
    """Refuse a start that is not on the file's grid of local time.

    Raises
    ------
    RowFault
        If it lies between two intervals.
    """
    local = start.astimezone(zone)
    since_midnight = timedelta(
        hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond
    )
    if since_midnight % step:
        minutes = step // timedelta(minutes=1)
        raise RowFault(column, cell, f"not on a boundary of {minutes} minutes")


def _find_header(
    path: Path, data: bytes, rows: Rows, wanted: tuple[str, ...], *, encoding: str, within: int
) -> list[str]:
    """The header row, which stands in one of the first lines and begins with the wanted names."""
    seen: list[str] = []
    for line, cells in rows:
        names = [str(cell).strip() for cell in cells]
        if tuple(names[: len(wanted)]) == wanted:
            return names
        seen = seen or names
        if line >= within:
            break
    if not all(name.isascii() for name in wanted) and _header_in_other_encoding(data, wanted, encoding):
        raise wrong_encoding(path, data, encoding, "its header can be read only in another encoding")
    raise DataError(
        f"{path.name} has no header {','.join(wanted)}",
        where=f"{path}: its first line is {','.join(seen)[:120]!r}",
        hint="check the kind of file (--kind) and that its first lines were not removed",
    )


def _header_in_other_encoding(data: bytes, wanted: tuple[str, ...], tried: str) -> bool:
    head = data[:4096]
    return any(
        wanted[0] in head.decode(name, errors="ignore") for name in ("utf-8", "cp932") if name != tried
    )


def _require_columns(path: Path, columns: list[str], wanted: list[str]) -> list[int]:
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise DataError(
            f"{path.name} has no column {missing[0]}",
            where=f"{path}: its columns are {', '.join(columns)}",
            hint="this is another edition of the file; import it as a table with a mapping",
        )
    return [columns.index(name) for name in wanted]


def jepx_spot_layout(path: Path, data: bytes, mapping: JepxSpotMapping) -> Layout:
    """Day-ahead prices: 受渡日, 時刻コード 1..48, prices in yen/kWh by area.

    Raises
    ------
    DataError
        If the encoding, the header or a wanted column is not there.
    """
    rows = csv_rows(path, decode(path, data, mapping.encoding))
    day_name, koma_name = "受渡日", "時刻コード"
    columns = _find_header(path, data, rows, (day_name, koma_name), encoding=mapping.encoding, within=1)
    names = {
        series_id("jepx", area.value, "spot_yen_per_kwh"): f"エリアプライス{_AREA_NAMES[area]}(円/kWh)"
        for area in mapping.areas
    }
    if mapping.system_price:
        names[series_id("jepx", _SYSTEM, "spot_yen_per_kwh")] = "システムプライス(円/kWh)"
    places = _require_columns(path, columns, list(names.values()))

    def read(cells: Cells) -> Reading:
        day = parse_date(day_name, cells[0])
        koma = whole_number(koma_name, cells[1])
        if not 1 <= koma <= SLOTS_PER_DAY:
            raise RowFault(koma_name, cells[1], "a Japanese day has slots 1 to 48, never 46 or 50")
        values = tuple(number(columns[place], cells[place]) for place in places)
        return Reading(Slot.of(day, koma).start, spot_published_at(day), values)

    return Layout(
        columns=tuple(columns),
        rows=rows,
        read=read,
        series=dict.fromkeys(names, Unit.YEN_PER_KWH),
        step=SLOT_LENGTH,
        zone=JST.key,
        whole_days=True,
        slack=_EARLY_RESULT,
    )


def area_demand_layout(path: Path, data: bytes, mapping: AreaDemandMapping) -> Layout:
    """Hourly demand of a supply area: two lines, then DATE,TIME,実績(万kW); TIME starts the hour.

    Raises
    ------
    DataError
        If the encoding or the header is not as expected.
    """
    rows = csv_rows(path, decode(path, data, mapping.encoding))
    wanted = ("DATE", "TIME", "実績(万kW)")
    columns = _find_header(path, data, rows, wanted, encoding=mapping.encoding, within=3)
    lag = timedelta(minutes=mapping.lag_minutes)
    clock = WallClock(JST)

    def read(cells: Cells) -> Reading:
        day, clock_time = str(cells[0]).strip(), str(cells[1]).strip()
        parse_date("DATE", day)
        start = clock.instant("TIME", parse_stamp("TIME", f"{day} {clock_time}"))
        require_grid("TIME", clock_time, start, _HOUR, JST)
        value = number(wanted[2], cells[2]) * _KW_PER_MAN_KW
        if value < 0:
            raise RowFault(wanted[2], cells[2], "demand of an area is not negative")
        return Reading(start, start + _HOUR + lag, (value,))

    return Layout(
        columns=tuple(columns),
        rows=rows,
        read=read,
        series={SeriesId(mapping.series): Unit.KW},
        step=_HOUR,
        zone=JST.key,
    )


def meter_layout(path: Path, data: bytes, mapping: MeterMapping) -> Layout:
    """A meter's half hours: ``timestamp,kwh``, the stamp closes the slot; ``24:00`` closes the day.

    Raises
    ------
    DataError
        If the encoding or the header is not as expected.
    """
    rows = csv_rows(path, decode(path, data, mapping.encoding))
    columns = _find_header(path, data, rows, ("timestamp", "kwh"), encoding=mapping.encoding, within=1)
    return Layout(
        columns=tuple(columns),
        rows=rows,
        read=_meter_reader(timedelta(minutes=mapping.lag_minutes)),
        series={SeriesId(mapping.series): Unit.KWH},
        step=SLOT_LENGTH,
        zone=JST.key,
    )


def _meter_reader(lag: timedelta) -> Callable[[Cells], Reading]:
    clock = WallClock(JST)

    def read(cells: Cells) -> Reading:
        end = clock.instant("timestamp", parse_stamp("timestamp", cells[0]))
        require_grid("timestamp", cells[0], end, SLOT_LENGTH, JST)
        value = number("kwh", cells[1])
        if value < 0:
            raise RowFault("kwh", cells[1], "a meter's energy is not negative")
        return Reading(Slot.ending_at(end).start, end + lag, (value,))

    return read
