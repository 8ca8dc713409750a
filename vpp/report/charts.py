"""The charts of a report, as values: site demand, the hardest day, rooms, cars, coins."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from energy.core.slots import JST, SLOT_LENGTH
from vpp.i18n import Messages
from vpp.report.chart import Band, Bars, ChartSpec, Line, Marker, Markers, Reference, Series, Shade
from vpp.report.figures import Comparison, slots_of
from vpp.report.words import asset_name
from vpp.simulation.results import CarTrace, Departure, RunResult, SimulationDocument, SlotTrace

__all__ = ["battery_charts", "car_charts", "coin_chart", "day_charts", "demand_chart", "room_charts"]

_CONTRACT_NEAR = (
    0.8  # the contract line is drawn once the peak comes near it; it would flatten the chart before
)
_DAY = timedelta(days=1)
_ROUNDING = 1e-6  # of a state of charge


def demand_chart(document: SimulationDocument, comparison: Comparison, messages: Messages) -> ChartSpec:
    """Import at the connection over all days: without control, with control, and the limits."""
    trace = comparison.product.trace
    return _site_chart(document, comparison, messages, span=range(len(trace.slots)), name="demand")


def day_charts(
    document: SimulationDocument, comparison: Comparison, messages: Messages, day: date
) -> tuple[ChartSpec, ...]:
    """The hardest day in detail: demand, forecast against actual, and what was moved."""
    span = slots_of(comparison.product.trace, day)
    charts = [_site_chart(document, comparison, messages, span=span, name="day")]
    charts.append(_forecast_chart(comparison.product.trace, messages, span=span))
    charts.append(_moved_chart(comparison.product.trace, messages, span=span))
    return tuple(charts)


def _site_chart(
    document: SimulationDocument, comparison: Comparison, messages: Messages, *, span: range, name: str
) -> ChartSpec:
    trace, t = comparison.product.trace, messages.text
    series: list[Series] = [
        Line(label=_label(messages, comparison.product), values=_cut(trace.import_kw, span), tone=1)
    ]
    if comparison.base is not None:
        values = _cut(comparison.base.trace.import_kw, span)
        series.insert(0, Line(label=_label(messages, comparison.base), values=values, tone=2, dash="dotted"))
    target = _cut(trace.target_kw, span)
    if any(value is not None for value in target):
        series.append(Line(label=t("charts.target"), values=target, tone=3, dash="dashdot"))
    references = [Reference(label=t("charts.memory"), value=document.peak_memory_kw, tone=5)]
    highest = max(run.summary.peak_kw for run in (comparison.product, comparison.base) if run is not None)
    if highest >= _CONTRACT_NEAR * document.contract_kw:
        references.append(
            Reference(label=t("charts.contract"), value=document.contract_kw, tone=4, dash="dashed")
        )
    peak = max(trace.import_kw[number] for number in span)
    return ChartSpec(
        id=name,
        title=t(f"charts.{name}_title"),
        description=t(
            "charts.demand_about", peak=messages.kw(peak), limit=messages.kw(document.peak_memory_kw)
        ),
        starts=tuple(trace.slots[span.start : span.stop]),
        unit="kW",
        series=tuple(series),
        references=tuple(references),
        shades=_tight(trace, messages, span),
    )


def _forecast_chart(trace: SlotTrace, messages: Messages, *, span: range) -> ChartSpec:
    """Load and sun: what was forecast just before each slot, and what came."""
    t = messages.text
    series: list[Series] = []
    if any(value is not None for value in _cut(trace.load_p50_kw, span)):
        low, high = _cut(trace.load_p10_kw, span), _cut(trace.load_p90_kw, span)
        series.append(Band(label=t("charts.load_band"), low=low, high=high, tone=2))
        p50 = _cut(trace.load_p50_kw, span)
        series.append(Line(label=t("charts.load_p50"), values=p50, tone=2, dash="dashed"))
    series.append(Line(label=t("charts.load"), values=_cut(trace.load_kw, span), tone=1))
    if any(value is not None for value in _cut(trace.pv_p50_kw, span)):
        pv_p50 = _cut(trace.pv_p50_kw, span)
        series.append(Line(label=t("charts.pv_p50"), values=pv_p50, tone=3, dash="dotted"))
    series.append(Line(label=t("charts.pv"), values=_cut(trace.pv_kw, span), tone=3))
    return ChartSpec(
        id="forecast",
        title=t("charts.forecast_title"),
        description=t("charts.forecast_about"),
        starts=tuple(trace.slots[span.start : span.stop]),
        unit="kW",
        series=tuple(series),
        shades=_tight(trace, messages, span),
    )


def _moved_chart(trace: SlotTrace, messages: Messages, *, span: range) -> ChartSpec:
    """Air conditioning and charging upwards, giving back downwards."""
    t = messages.text
    charge = [sum(max(0.0, car.power_kw[n]) for car in trace.cars.values()) for n in span]
    give = [sum(min(0.0, car.power_kw[n]) for car in trace.cars.values()) for n in span]
    most = messages.kw(max((-value for value in give), default=0.0))
    words = "report_battery.moved" if trace.batteries else "charts.moved"
    return ChartSpec(
        id="moved",
        title=t(f"{words}_title"),
        description=t(f"{words}_about", most=most),
        starts=tuple(trace.slots[span.start : span.stop]),
        unit="kW",
        series=(
            Bars(label=t("charts.hvac"), values=_cut(trace.hvac_kw, span), tone=1),
            Bars(label=t("charts.charge"), values=tuple(charge), tone=3, pattern="dots"),
            Bars(label=t("charts.give"), values=tuple(give), tone=2, pattern="hatch"),
            *_battery_bars(trace, messages, span),
        ),
        shades=_tight(trace, messages, span),
        signed=(t("charts.use_word"), t("charts.give_word")),
    )


def _battery_bars(trace: SlotTrace, messages: Messages, span: range) -> tuple[Bars, ...]:
    """What stationary batteries take and give; nothing where there is none."""
    if not trace.batteries:
        return ()
    powers = [[one.power_kw[number] for one in trace.batteries.values()] for number in span]
    charge = tuple(sum(max(0.0, kw) for kw in row) for row in powers)
    give = tuple(sum(min(0.0, kw) for kw in row) for row in powers)
    return (
        Bars(label=messages.text("report_battery.charge"), values=charge, tone=4),
        Bars(label=messages.text("report_battery.give"), values=give, tone=4, pattern="dots"),
    )


def battery_charts(
    document: SimulationDocument, comparison: Comparison, messages: Messages
) -> tuple[ChartSpec, ...]:
    """Every stationary battery's state of charge over all days, with the hours of events."""
    trace, t = comparison.product.trace, messages.text
    called = tuple(
        Shade(label=t("report_calls.event"), start=call.start, end=call.end)
        for call in comparison.product.calls
    )
    return tuple(
        ChartSpec(
            id=f"battery-{asset}",
            title=t("charts.car_title", name=asset_name(document, messages, asset)),
            description=t(
                "report_battery.about",
                low=messages.percent(min(battery.soc)),
                high=messages.percent(max(battery.soc)),
            ),
            starts=trace.slots,
            unit="%",
            series=(
                Line(label=t("charts.soc"), values=tuple(100.0 * soc for soc in battery.soc), shape="line"),
            ),
            upper=100.0,
            shades=called,
        )
        for asset, battery in trace.batteries.items()
    )


def room_charts(
    document: SimulationDocument, comparison: Comparison, messages: Messages
) -> tuple[ChartSpec, ...]:
    """Every room's temperature against its band, over all days."""
    trace, t = comparison.product.trace, messages.text
    charts = []
    for asset, zone in trace.zones.items():
        series: list[Series] = [Band(label=t("charts.band"), low=zone.low_c, high=zone.high_c, tone=3)]
        before = comparison.base.trace.zones.get(asset) if comparison.base is not None else None
        if comparison.base is not None and before is not None and len(before.temp_c) == len(zone.temp_c):
            label = _label(messages, comparison.base)
            series.append(Line(label=label, values=before.temp_c, tone=2, dash="dotted", shape="line"))
        series.append(
            Line(label=_label(messages, comparison.product), values=zone.temp_c, tone=1, shape="line")
        )
        title = t("charts.room_title", name=asset_name(document, messages, asset))
        about = t(
            "charts.room_about",
            low=messages.celsius(min(zone.temp_c)),
            high=messages.celsius(max(zone.temp_c)),
        )
        charts.append(
            ChartSpec(
                id=f"room-{asset}",
                title=title,
                description=about,
                starts=trace.slots,
                unit=t("format.celsius"),
                series=tuple(series),
                lower=None,
            )
        )
    return tuple(charts)


def car_charts(
    document: SimulationDocument, comparison: Comparison, messages: Messages
) -> tuple[ChartSpec, ...]:
    """Every car's state of charge with its departures, over all days."""
    trace, t = comparison.product.trace, messages.text
    charts = []
    for asset, car in trace.cars.items():
        soc = Line(label=t("charts.soc"), values=tuple(100.0 * soc for soc in car.soc), shape="line")
        missed = sum(not _met(departure) for departure in car.departures)
        about = t("charts.car_about", met=len(car.departures) - missed, departures=len(car.departures))
        charts.append(
            ChartSpec(
                id=f"car-{asset}",
                title=t("charts.car_title", name=asset_name(document, messages, asset)),
                description=about,
                starts=trace.slots,
                unit="%",
                series=(soc, *_departure_marks(car, messages)),
                upper=100.0,
                shades=_shades(trace.slots, [not plugged for plugged in car.plugged], t("charts.away")),
            )
        )
    return tuple(charts)


def _met(departure: Departure) -> bool:
    return departure.soc >= departure.promised_soc - _ROUNDING


def _departure_marks(car: CarTrace, messages: Messages) -> tuple[Markers, ...]:
    """What was promised at each departure: a circle where it was there, a cross where it was not."""
    kept = messages.text("charts.promise_met"), messages.text("charts.promise_missed")
    marks = (
        Markers(label=kept[0], points=_points(car, messages, met=True), tone=3, shape="circle"),
        Markers(label=kept[1], points=_points(car, messages, met=False), tone=2, shape="cross"),
    )
    return tuple(mark for mark in marks if mark.points)


def _points(car: CarTrace, messages: Messages, *, met: bool) -> tuple[Marker, ...]:
    return tuple(
        Marker(
            at=departure.at,
            value=100.0 * departure.promised_soc,
            text=messages.text(
                "charts.promise_text",
                promised=messages.percent(departure.promised_soc),
                soc=messages.percent(departure.soc),
            ),
        )
        for departure in car.departures
        if _met(departure) is met
    )


def coin_chart(comparison: Comparison, messages: Messages) -> ChartSpec | None:
    """Coins per day, or None if nothing was granted."""
    result = comparison.product
    if not result.coin_grants:
        return None
    first = result.trace.slots[0].astimezone(JST).date()
    days = (result.trace.slots[-1].astimezone(JST).date() - first).days + 1
    coins = [0.0] * days
    for grant in result.coin_grants:
        coins[(grant.at.astimezone(JST).date() - first).days] += grant.coins
    return ChartSpec(
        id="coins",
        title=messages.text("charts.coins_title"),
        description=messages.text("charts.coins_about", coins=messages.number(sum(coins), 0)),
        starts=tuple(datetime.combine(first, time(), tzinfo=JST) + number * _DAY for number in range(days)),
        step=_DAY,
        unit=messages.text("charts.coin_unit"),
        series=(Bars(label=messages.text("charts.coins"), values=tuple(coins), tone=2, pattern="hatch"),),
    )


def _label(messages: Messages, run: RunResult) -> str:
    return messages.text(f"controller.{run.summary.controller}")


def _cut(values: Sequence[float | None], span: range) -> tuple[float | None, ...]:
    return tuple(values[span.start : span.stop])


def _tight(trace: SlotTrace, messages: Messages, span: range) -> tuple[Shade, ...]:
    slots, tight = trace.slots[span.start : span.stop], trace.tight[span.start : span.stop]
    return _shades(slots, tight, messages.text("charts.tight"))


def _shades(slots: Sequence[datetime], inside: Sequence[bool], label: str) -> tuple[Shade, ...]:
    """One shade per run of slots inside."""
    found: list[Shade] = []
    for slot, yes in zip(slots, inside, strict=True):
        if yes and found and found[-1].end == slot:
            found[-1] = Shade(label=label, start=found[-1].start, end=slot + SLOT_LENGTH)
        elif yes:
            found.append(Shade(label=label, start=slot, end=slot + SLOT_LENGTH))
    return tuple(found)
