"""What a retailer or generator receives: one document per recipient, target and delivery day.

As JSON it is the whole document, as CSV one row per half hour. Both are made from the document alone, so that
the same version always gives the same bytes. docs/reference/forecast-delivery.md describes every field.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from energy.core.assets import Identifier, NonNegative, strict
from energy.core.slots import JST, SLOT_HOURS, SLOTS_PER_DAY, Slot
from energy.store import canonical_json

__all__ = [
    "CSV_COLUMNS",
    "FORMAT",
    "Changes",
    "Delivery",
    "DeliveryTarget",
    "SlotForecast",
    "changes_between",
    "csv_text",
    "json_schema",
    "json_text",
]

FORMAT: Final = "aizu-vpp/forecast-delivery/1"

CSV_COLUMNS: Final[dict[str, str]] = {
    "delivery_day": "day of delivery, Japan",
    "slot": "number of the half hour (コマ), 1 to 48",
    "start": "its begin, ISO 8601 with offset",
    "end": "its end",
    "p10_kw": "one in ten ends below it; mean power [kW]; empty if suppressed",
    "p50_kw": "half end below it [kW]",
    "p90_kw": "nine in ten end below it [kW]",
    "p50_kwh": "energy of the half hour at P50 [kWh]",
    "suppressed": "1 if one site would show through, else 0",
    "target": "`demand` or `pv`",
    "issued_at": "when the newest forecast in the sum was made",
    "version": "counts the changes of this recipient, target and day, from 1",
    "sites": "sites in the sum",
}
"""Columns of the CSV file, in order, with their meaning."""


class DeliveryTarget(StrEnum):
    """What is forecast: the uncontrolled demand of the sites, or the generation of their arrays."""

    DEMAND = "demand"
    PV = "pv"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class SlotForecast:
    """One half hour of the sum; the quantiles are missing where it is suppressed.

    Parameters
    ----------
    slot : int
        Number in its Japanese day, 1 to 48.
    start, end : datetime
        With the offset of Japan.
    p10_kw, p50_kw, p90_kw : float or None
        Mean power, >= 0, to the watt. [kW]
    """

    slot: Annotated[int, Field(ge=1, le=48)]
    start: datetime
    end: datetime
    p10_kw: NonNegative | None
    p50_kw: NonNegative | None
    p90_kw: NonNegative | None


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Changes:
    """What is new since the version before.

    Parameters
    ----------
    previous_version : int
        The version compared with.
    what : tuple of str
        ``values``, ``issue``, ``sites``, ``suppression``, ``method``, ``purpose``: what differs.
    slots : int
        Half hours with another P50, counted where both versions show one.
    energy_kwh : float
        Change of the energy of P50 over those half hours. [kWh]
    largest_slot : int or None
        Half hour in which P50 moved most.
    largest_kw : float
        By how much it moved there; negative is down. [kW]
    sites_before : int
        Sites in the sum before.
    """

    previous_version: int
    what: tuple[Literal["values", "issue", "sites", "suppression", "method", "purpose"], ...]
    slots: int
    energy_kwh: float
    largest_slot: int | None
    largest_kw: float
    sites_before: int


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Delivery:
    """The forecast of one delivery day, summed over the consenting sites.

    Parameters
    ----------
    format : str
        Name and version of this form.
    recipient : str
        Who receives it.
    target : DeliveryTarget
        The uncontrolled demand, or the generation if nobody curtails it.
    delivery_day : date
        Japan.
    version : int
        Counts the changed contents of this recipient, target and day, from 1.
    made_at : datetime
        When this version was made. UTC.
    issued_at : datetime
        When the newest forecast in the sum was made; nothing known later went into it. UTC.
    oldest_issued_at : datetime
        When the oldest one was made. UTC.
    sites : int
        Sites in the sum.
    sites_without_forecast : int
        Consenting sites that have no forecast of this day and are not in the sum.
    method : str
        How the quantiles of the sum were made.
    models : tuple of str
        Forecast methods in the sum, fallbacks included.
    purpose, purpose_version : str, int
        The purpose that every site in the sum consented to.
    slots : tuple of SlotForecast
        The 48 half hours.
    changes : Changes, optional
        Against the version before; nothing in the first one.
    """

    format: Literal["aizu-vpp/forecast-delivery/1"] = FORMAT
    recipient: Identifier
    target: DeliveryTarget
    delivery_day: date
    version: Annotated[int, Field(ge=1)]
    made_at: datetime
    issued_at: datetime
    oldest_issued_at: datetime
    sites: Annotated[int, Field(ge=1)]
    sites_without_forecast: Annotated[int, Field(ge=0)]
    method: str
    models: tuple[str, ...]
    purpose: Identifier
    purpose_version: Annotated[int, Field(ge=1)]
    slots: Annotated[tuple[SlotForecast, ...], Field(min_length=48, max_length=48)]
    changes: Changes | None = None

    @property
    def suppressed(self) -> int:
        """Half hours without values."""
        return sum(one.p50_kw is None for one in self.slots)

    @property
    def energy_kwh(self) -> float:
        """Energy of P50 over the half hours that are shown; not the energy to expect. [kWh]"""
        return SLOT_HOURS * sum(one.p50_kw for one in self.slots if one.p50_kw is not None)

    def content(self) -> str:
        """Everything that makes a version, as canonical text: not its number, nor when it was made."""
        told = _DELIVERY.dump_python(self, mode="json")
        return canonical_json(
            {key: told[key] for key in told if key not in ("version", "made_at", "changes")}
        )

    @staticmethod
    def from_json(text: str) -> Delivery:
        """The delivery from its document."""
        return _DELIVERY.validate_json(text)


_DELIVERY = TypeAdapter(Delivery)


def changes_between(before: Delivery, after: Delivery) -> Changes:
    """What an issue changes against the version before."""
    moved = [
        (now.slot, now.p50_kw - then.p50_kw)
        for then, now in zip(before.slots, after.slots, strict=True)
        if now.p50_kw is not None and then.p50_kw is not None and now.p50_kw != then.p50_kw
    ]
    hidden = [{one.slot for one in version.slots if one.p50_kw is None} for version in (before, after)]
    shown = [
        [asdict(one) for one in version.slots if one.slot not in hidden[0] | hidden[1]]
        for version in (before, after)
    ]
    differs = {
        "values": shown[0] != shown[1],
        "issue": (before.issued_at, before.oldest_issued_at) != (after.issued_at, after.oldest_issued_at),
        "sites": (before.sites, before.sites_without_forecast) != (after.sites, after.sites_without_forecast),
        "suppression": hidden[0] != hidden[1],
        "method": (before.method, before.models) != (after.method, after.models),
        "purpose": (before.purpose, before.purpose_version) != (after.purpose, after.purpose_version),
    }
    most = max(moved, key=lambda one: abs(one[1]), default=None)
    return _CHANGES.validate_python(
        {
            "previous_version": before.version,
            "what": tuple(name for name, different in differs.items() if different),
            "slots": len(moved),
            "energy_kwh": round(SLOT_HOURS * sum(change for _, change in moved), 3),
            "largest_slot": None if most is None else most[0],
            "largest_kw": 0.0 if most is None else round(most[1], 3),
            "sites_before": before.sites,
        }
    )


_CHANGES = TypeAdapter(Changes)


def slot_forecasts(day: date, values_kw: list[tuple[float, float, float] | None]) -> tuple[SlotForecast, ...]:
    """The 48 half hours of a Japanese day from (P10, P50, P90), None where suppressed. [kW]"""
    slots = []
    for koma in range(1, SLOTS_PER_DAY + 1):
        slot = Slot.of(day, koma)
        p10, p50, p90 = values_kw[koma - 1] or (None, None, None)
        slots.append(
            SlotForecast(
                slot=koma,
                start=slot.start.astimezone(JST),
                end=slot.end.astimezone(JST),
                p10_kw=p10,
                p50_kw=p50,
                p90_kw=p90,
            )
        )
    return tuple(slots)


def json_text(delivery: Delivery) -> str:
    """The document as JSON."""
    return json.dumps(_DELIVERY.dump_python(delivery, mode="json"), ensure_ascii=False, indent=1) + "\n"


def csv_text(delivery: Delivery) -> str:
    """The document as CSV with the columns of :data:`CSV_COLUMNS`; the byte-order mark is the file's."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(CSV_COLUMNS))
    writer.writeheader()
    for one in delivery.slots:
        writer.writerow(
            {
                "delivery_day": delivery.delivery_day.isoformat(),
                "slot": one.slot,
                "start": one.start.astimezone(JST).isoformat(),
                "end": one.end.astimezone(JST).isoformat(),
                "p10_kw": _written(one.p10_kw),
                "p50_kw": _written(one.p50_kw),
                "p90_kw": _written(one.p90_kw),
                "p50_kwh": _written(None if one.p50_kw is None else one.p50_kw * SLOT_HOURS, digits=4),
                "suppressed": int(one.p50_kw is None),
                "target": delivery.target.value,
                "issued_at": delivery.issued_at.astimezone(JST).isoformat(),
                "version": delivery.version,
                "sites": delivery.sites,
            }
        )
    return text.getvalue()


def _written(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def json_schema() -> dict[str, object]:
    """JSON Schema of the document (draft 2020-12, which is what pydantic writes)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_DELIVERY.json_schema()}


def numbered(delivery: Delivery, before: Delivery | None) -> Delivery:
    """The delivery with the number that follows, and what it changes."""
    if before is None:
        return replace(delivery, version=1, changes=None)
    return replace(delivery, version=before.version + 1, changes=changes_between(before, delivery))
