"""A month of a site: the yen that its plans promised against the yen that were settled, line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from energy.core.errors import DataError
from energy.core.series import FloatArray, Grid, Unit
from energy.core.site import Site
from energy.core.slots import JST, SLOT_HOURS, SLOTS_PER_DAY, Slot, jst_midnight
from energy.core.units import round_half_up
from energy.ledger import CoinRule, Journal, TightEvent
from energy.market.bill import Bill
from energy.market.demand import PeakMemory, first_day, month_shift
from energy.market.imbalance import price_rules, settle_slots
from energy.market.prices import MICRO, IntArray, micro
from energy.market.rule_table import Area, RuleFact
from energy.store import Snapshot, Store
from vpp.settlement.dr_measuring import Measuring
from vpp.settlement.dr_settling import agreed
from vpp.settlement.month_calls import MonthCalls, call_steps, month_calls
from vpp.settlement.month_events import CalledEvent, event_rules, event_steps, settle_call
from vpp.settlement.month_ppa import PpaInvoice, PpaTerms, SiteFlow, arriving, ppa_invoices, with_readings
from vpp.settlement.promise import DayPromise, promises
from vpp.settlement.record import Derivation, Evidence, KeptSettlement
from vpp.settlement.waterfall import Flows, Step, bill_steps, flows_of, whole_yen
from vpp.site.recorder import SiteSeries

__all__ = [
    "AccountNote",
    "ImbalancePrices",
    "Line",
    "MonthAccount",
    "MonthTerms",
    "document",
    "month_account",
    "to_keep",
]

_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImbalancePrices:
    """What a deviation costs: price before scarcity and reserve margin by slot. [yen/kWh, %]"""

    price: Mapping[Slot, Decimal]
    margin: Mapping[Slot, Decimal]
    area: Area
    loss_rate: Decimal
    preliminary: frozenset[Slot] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthTerms:
    """What is settled beside the bill.

    Parameters
    ----------
    dr_yen_per_kwh : Decimal
        What a verified kWh of an event is paid to a site without an agreement of its own. [yen/kWh]
    coin : CoinRule, optional
        Rule of the points; a point counts as a yen.
    imbalance : ImbalancePrices, optional
        Without them no imbalance is settled, and the account says so.
    ppa : PpaTerms, optional
        Agreements whose invoices are lines of the account; the bill is then that of the rest.
    """

    dr_yen_per_kwh: Decimal = Decimal(0)
    coin: CoinRule | None = None
    imbalance: ImbalancePrices | None = None
    ppa: PpaTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the explanation in whole yen; ``exact_yen`` is before it was brought to whole yen."""

    name: str
    yen: int
    exact_yen: Decimal
    facts: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountNote:
    """What a reader of an account must know, and of how many days or half hours it holds.

    ``unpromised``: days without a promise, taken as they came. ``late``: days whose promise is that of their
    own midnight. ``fallback``: promises of a fallback plan. ``unmetered``: half hours without a sub-meter.
    ``no_imbalance``: no prices were given. ``preliminary``: slots with a preliminary price.
    ``unsettled``: events that the site was called for and that nobody has settled.
    """

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthAccount:
    """Promised against settled.

    Parameters
    ----------
    promised_yen, settled_yen : int
        Bill, imbalance, points, less what events paid. [yen]
    lines : tuple of Line
        They add up to ``settled_yen - promised_yen``.
    days, days_promised : int
        Days of the month, and those for which a plan had promised; the others are taken as they came.
    unmetered_slots : int
        Half hours without a sub-meter reading; what happened in them stands under ``rest``.
    ppa : tuple of PpaInvoice
        Invoices of purchase agreements.
    evidence : tuple of Evidence
        Files that figures were made from, beside the store.
    """

    site: str
    name_ja: str
    name_en: str
    month: str
    promised_yen: int
    settled_yen: int
    bill: Bill
    lines: tuple[Line, ...]
    days: int
    days_promised: int
    unmetered_slots: int
    kwh: Decimal
    peak_kw: int
    promised_peak_kw: int
    day_kwh: tuple[float, ...]
    rules: tuple[RuleFact, ...]
    notes: tuple[AccountNote, ...]
    ppa: tuple[PpaInvoice, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    @property
    def unverified(self) -> tuple[str, ...]:
        """Rules whose source nobody has seen."""
        return tuple(dict.fromkeys(fact.rule for fact in self.rules if fact.status == "unverified"))


def month_account(
    store: Store,
    site: Site,
    month: str,
    terms: MonthTerms,
    *,
    events: Sequence[TightEvent] = (),
    from_day: date | None = None,
    last_day: date | None = None,
) -> MonthAccount:
    """Settle a month of a site from what its store holds.

    Parameters
    ----------
    events : sequence of TightEvent
        Events of the month and before: earlier ones are no baseline days.
    from_day, last_day : date, optional
        First and last day if only part of the month is known; the basic charge is then taken by days.

    Raises
    ------
    GapError
        If the meter at the connection or a plant of an agreement lacks a half hour: a bill is not guessed.
    DataError
        If no day of the month has a promise, or nothing is known of a plant.
    """
    first = from_day or first_day(month)
    last = last_day or first_day(month_shift(month, 1)) - _ONE_DAY
    grid = Grid.between(jst_midnight(first), jst_midnight(last + _ONE_DAY))
    known = store.as_of(grid.end + timedelta(days=400))
    real, unmetered = _metered(known, site, grid)
    told = promises(known, site.id, first, last)
    if not told:
        raise DataError(
            f"no plan of {site.id} has promised anything for {month}",
            where=f"{first} to {last}",
            hint="simulate or run the month with a planning controller first",
        )
    plan = _promised(told, real, first)
    memory = PeakMemory(dict(site.peak_memory_kw))
    if terms.ppa is not None:
        terms = replace(terms, ppa=with_readings(terms.ppa, known, site.id, grid))
    others = None if terms.ppa is None else arriving(terms.ppa, grid)
    planned_bill, bill, steps = bill_steps(site.tariff, grid, plan, real, memory, others=others)
    invoices, ppa_rules = _invoices(known, site, grid, month, told=told, plan=plan, real=real, terms=terms)
    calls = _calls(store, known, site, events, grid=grid, told=told, terms=terms)
    booked = month_calls(store, known, site, grid, told)
    imbalance, rules = _imbalance(grid, plan, real, terms.imbalance)
    steps += [*imbalance, *event_steps(calls), *call_steps(booked.settled)]
    steps += [one.step() for one in invoices]
    promised = planned_bill.total_yen - sum(one.promised_dr_yen - one.promised_points for one in calls)
    promised += sum(one.expected.total_yen for one in invoices) - booked.promised_yen
    return MonthAccount(
        site=site.id,
        name_ja=site.name_ja,
        name_en=site.name_en,
        month=month,
        promised_yen=promised,
        settled_yen=promised + int(sum((step.yen for step in steps), Decimal(0))),
        bill=bill,
        lines=_lines(steps),
        days=(last - first).days + 1,
        days_promised=len(told),
        unmetered_slots=unmetered,
        kwh=bill.kwh if terms.ppa is None else Decimal(int(real.imported.sum())) / MICRO,
        peak_kw=bill.max_demand_kw,
        promised_peak_kw=planned_bill.max_demand_kw,
        day_kwh=tuple((real.imported.reshape(-1, SLOTS_PER_DAY).sum(axis=1) / MICRO).tolist()),
        rules=tuple(
            dict.fromkeys([*bill.rules, *rules, *_event_rules(events, grid), *booked.rules, *ppa_rules])
        ),
        notes=_notes(told, (last - first).days + 1, unmetered, terms.imbalance, booked),
        ppa=tuple(invoices),
        evidence=() if terms.ppa is None else terms.ppa.evidence,
    )


def _lies_in(event: TightEvent, grid: Grid) -> bool:
    return grid.start <= event.start.start < grid.end


def _event_rules(events: Sequence[TightEvent], grid: Grid) -> list[RuleFact]:
    return event_rules([event for event in events if _lies_in(event, grid)])


def _calls(
    store: Store,
    known: Snapshot,
    site: Site,
    events: Sequence[TightEvent],
    *,
    grid: Grid,
    told: Mapping[date, DayPromise],
    terms: MonthTerms,
) -> list[CalledEvent]:
    """The events of the month, settled."""
    return [
        settle_call(
            known,
            site,
            event,
            events,
            grid=grid,
            told=told,
            how=_how(store, site, event, terms),
            coin=terms.coin,
            journal=Journal(store),
        )
        for event in events
        if _lies_in(event, grid)
    ]


def _how(store: Store, site: Site, event: TightEvent, terms: MonthTerms) -> Measuring:
    """How the site is paid in an event: by its own agreement, else as the month's terms say."""
    usual = Measuring(yen_per_kwh=terms.dr_yen_per_kwh, calendar=site.calendar.calendar())
    own = agreed(store, [site.id], event.start.start, at=event.end.start, otherwise=[site])
    return own.get(site.id, usual)


def _lines(steps: Sequence[Step]) -> tuple[Line, ...]:
    """Steps in whole yen; their sum stays."""
    yen = whole_yen([step.yen for step in steps])
    return tuple(
        Line(name=step.name, yen=whole, exact_yen=step.yen, facts=step.facts)
        for step, whole in zip(steps, yen, strict=True)
    )


def _notes(
    told: Mapping[date, DayPromise],
    days: int,
    unmetered: int,
    imbalance: ImbalancePrices | None,
    booked: MonthCalls,
) -> tuple[AccountNote, ...]:
    counted = {
        "unpromised": days - len(told),
        "late": sum(1 for day, one in told.items() if one.made_at >= jst_midnight(day)),
        "fallback": sum(1 for one in told.values() if one.source != "optimal"),
        "unmetered": unmetered,
        "no_imbalance": int(imbalance is None),
        "preliminary": 0 if imbalance is None else len(imbalance.preliminary),
        "unsettled": booked.unsettled,
    }
    return tuple(AccountNote(name=name, count=count) for name, count in counted.items() if count)


# -- energies ------------------------------------------------------------------------------------------


def _metered(known: Snapshot, site: Site, grid: Grid) -> tuple[Flows, int]:
    """What meters and sub-meters counted, and the slots in which a sub-meter is missing."""
    names = SiteSeries(site.id)

    def read(asset: str, quantity: str, unit: Unit = Unit.KWH) -> FloatArray:
        return known.series(names[asset, quantity], grid, unit).values

    none = np.zeros(grid.count)
    imported = known.series(names["meter", "import_kwh"], grid, Unit.KWH).require_complete("the meter")
    storages = [one.id for one in site.storages]
    values = {
        "load": read("load", "demand_kw", Unit.KW) * SLOT_HOURS,
        "pv": none if site.pv is None else read(site.pv.id, "generation_kwh"),
        "rooms": read("hvac", "energy_kwh") if site.zones else none,
        "charge": sum((read(one, "charge_kwh") for one in storages), none),
        "discharge": sum((read(one, "discharge_kwh") for one in storages), none),
    }
    missing = np.isnan(np.stack(list(values.values()))).any(axis=0)
    filled = {name: np.where(missing, 0.0, one) for name, one in values.items()}
    return flows_of({"imported": imported.values, **filled}), int(missing.sum())


def _promised(told: Mapping[date, DayPromise], real: Flows, first: date) -> Flows:
    """What plans expected, day by day; a day without a promise is taken as it came."""
    parts = {
        name: getattr(real, name).copy()
        for name in ("imported", "load", "pv", "rooms", "charge", "discharge")
    }
    for day, one in told.items():
        at = slice((day - first).days * SLOTS_PER_DAY, ((day - first).days + 1) * SLOTS_PER_DAY)
        planned = flows_of(
            {
                "imported": np.maximum(0.0, one.import_kwh),
                "load": np.array(one.load_kwh),
                "pv": np.array(one.pv_kwh),
                "rooms": np.array(one.rooms_kwh),
                "charge": np.array(one.charge_kwh),
                "discharge": np.array(one.discharge_kwh),
            }
        )
        for name, values in parts.items():
            values[at] = getattr(planned, name)
    return Flows(**parts)


# -- purchase agreements -------------------------------------------------------------------------------


def _invoices(
    known: Snapshot,
    site: Site,
    grid: Grid,
    month: str,
    *,
    told: Mapping[date, DayPromise],
    plan: Flows,
    real: Flows,
    terms: MonthTerms,
) -> tuple[list[PpaInvoice], list[RuleFact]]:
    """Invoices of the agreements by plan and by meter; a missing half hour of a meter is not guessed."""
    if terms.ppa is None:
        return [], []
    names = SiteSeries(site.id)

    def read(asset: str, quantity: str, what: str) -> IntArray:
        told_kwh = known.series(names[asset, quantity], grid, Unit.KWH)
        return micro(told_kwh.require_complete(what).values)

    none = np.zeros(grid.count, dtype=np.int64)
    made = none if site.pv is None else read(site.pv.id, "generation_kwh", "generation on the site")
    sent = none if site.pv is None else read("meter", "export_kwh", "exported energy")
    metered = SiteFlow(imported=real.imported, exported=sent, generated=made)
    # A day that no plan promised is taken as it came, also where a sub-meter of something else is missing.
    expected, generated = sent.copy(), made.copy()
    first = grid.start.astimezone(JST).date()
    for day, one in told.items():
        at = slice((day - first).days * SLOTS_PER_DAY, ((day - first).days + 1) * SLOTS_PER_DAY)
        expected[at] = micro(np.maximum(0.0, -np.array(one.import_kwh)))
        generated[at] = np.maximum(0, plan.pv[at])
    # A plan may send out what storages give: an agreement is about the sun alone.
    planned = SiteFlow(imported=plan.imported, exported=np.minimum(expected, generated), generated=generated)
    return ppa_invoices(terms.ppa, grid, month, planned=planned, metered=metered)


# -- imbalance -----------------------------------------------------------------------------------------


def _imbalance(
    grid: Grid, plan: Flows, real: Flows, prices: ImbalancePrices | None
) -> tuple[list[Step], list[RuleFact]]:
    """What deviating from the day-ahead plan cost the balancing group, in whole yen. [yen]"""
    if prices is None:
        return [], []
    slots = list(grid.slots())
    keep = 1 - prices.loss_rate
    planned = {
        slot: Decimal(round_half_up(Decimal(parts) / MICRO / keep))
        for slot, parts in zip(slots, plan.imported.tolist(), strict=True)
    }
    metered = {
        slot: Decimal(parts) / MICRO for slot, parts in zip(slots, real.imported.tolist(), strict=True)
    }
    found = settle_slots(
        planned, metered, prices.price, prices.margin, loss_rate=prices.loss_rate, area=prices.area
    )
    yen = -round_half_up(sum((one.yen for one in found), Decimal(0)))
    short = -sum((one.imbalance_kwh for one in found if one.imbalance_kwh < 0), Decimal(0))
    over = sum((one.imbalance_kwh for one in found if one.imbalance_kwh > 0), Decimal(0))
    facts = {"short": f"{short:,.0f}", "over": f"{over:,.0f}"}
    days = sorted({slot.local_date for slot in slots})
    return [Step(name="imbalance", yen=Decimal(yen), facts=facts)], price_rules(days, prices.area)


# -- keeping -------------------------------------------------------------------------------------------


def document(told: MonthAccount) -> dict[str, Any]:
    """The account as plain values."""
    return {
        "site": told.site,
        "month": told.month,
        "promised_yen": told.promised_yen,
        "settled_yen": told.settled_yen,
        "lines": [
            {"name": one.name, "yen": one.yen, "exact_yen": str(one.exact_yen), "facts": one.facts}
            for one in told.lines
        ],
        "bill_yen": told.bill.total_yen,
        "kwh": str(told.kwh),
        "peak_kw": told.peak_kw,
        "promised_peak_kw": told.promised_peak_kw,
        "days": told.days,
        "days_promised": told.days_promised,
        "unmetered_slots": told.unmetered_slots,
        "notes": [{"name": one.name, "count": one.count} for one in told.notes],
        **({"ppa": [one.document() for one in told.ppa]} if told.ppa else {}),
    }


def to_keep(told: MonthAccount) -> KeptSettlement:
    """The account as it is kept by version."""
    readings = (f"store: series of {told.site} in {told.month}", f"store: day-promise/{told.site}/*")
    trace = {
        f"lines.{one.name}": Derivation(
            how=f"{one.exact_yen} yen: " + ", ".join(f"{name} {value}" for name, value in one.facts.items()),
            readings=readings,
        )
        for one in told.lines
        if one.name != "ppa"
    }
    for made in told.ppa:
        trace |= made.trace(readings)
    trace["settled_yen"] = Derivation(
        how=f"{told.promised_yen} promised plus the lines; {told.bill.facts[0]}"
    )
    trace["promised_yen"] = Derivation(
        how="bill of the planned import, less planned pay of events"
        + (", plus expected invoices" if told.ppa else ""),
        readings=readings,
    )
    return KeptSettlement(
        what="month",
        subject=told.site,
        period=told.month,
        figures={name: value for name, value in document(told).items() if name != "notes"},
        trace=trace,
        rules=told.rules,
        evidence=told.evidence,
        notes=tuple(f"{one.name}: {one.count}" for one in told.notes),
    )
