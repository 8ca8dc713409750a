"""Thirty-minute plans (計画値同時同量): what a balancing group hands in, and the three classes of mismatch.

RULES-JP 1.4, per slot, with G generation, P procurement, S sales, D demand [kWh]:

====== ============================================ ===========================================
class  test                                         consequence
====== ============================================ ===========================================
A      date, codes, totals are the sums of parts    the whole file is rejected
B      ``G + P = S``, or ``D + S = P``              accepted and flagged; a rest is an imbalance
C      my sale to X is X's purchase from me         both are told; one corrected file clears both
====== ============================================ ===========================================

The demand plan stays the forecast: what does not balance is bought or sold, never bent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from energy.core.assets import Identifier, strict
from energy.core.calendar import DayType, SiteCalendar
from energy.core.errors import DataError
from energy.core.slots import SLOTS_PER_DAY
from energy.core.units import round_half_up
from energy.market.rule_table import Area
from energy.market.rules import SpotLot, rule_row

__all__ = [
    "MARKETS",
    "BalancingPlan",
    "Member",
    "Mismatch",
    "MismatchClass",
    "PlanKind",
    "Trade",
    "cross_check",
    "draft_plan",
    "integer_kwh",
    "internal_checks",
    "lots",
    "plan_json",
    "read_plan",
    "read_trade",
    "week_cells",
]

MARKETS = ("spot", "intraday")
"""Parties that are markets: what is traded with them is settled by their own results."""

Kwh = Annotated[int, Field(ge=0)]
DaySlots = Annotated[tuple[Kwh, ...], Field(min_length=SLOTS_PER_DAY, max_length=SLOTS_PER_DAY)]


class PlanKind(StrEnum):
    """Whose plan it is."""

    DEMAND = "demand"  # 需要調達計画
    GENERATION = "generation"  # 発電販売計画
    CURTAILMENT = "curtailment"  # 需要抑制計画


class MismatchClass(StrEnum):
    """What follows from a mismatch; see the table of this module."""

    INSIDE_FILE = "A"  # 計画内不整合
    INSIDE_PLAN = "B"  # 計画内不一致
    BETWEEN_PARTIES = "C"  # 計画間不整合


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Member:
    """One part of a plan: a plant, a group of customers, a resource; whole kWh of the day's 48 slots."""

    code: Identifier
    kwh: DaySlots


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Trade:
    """What is bought from or sold to one party; whole kWh of the day's 48 slots.

    Parameters
    ----------
    party : str
        Code of the other balancing group, or ``spot`` or ``intraday``.
    side : str
        ``buy`` or ``sell``, as we see it.
    """

    party: Identifier
    side: Literal["buy", "sell"]
    kwh: DaySlots


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class BalancingPlan:
    """The plan of one balancing group in one area for one Japanese day.

    Parameters
    ----------
    group : str
        Code of the balancing group (BG).
    area : Area
        Supply area: one file per area.
    sender, recipient : str
        Five-character codes: company and area digit.
    on_behalf_of : str
        Generator or retailer for whom it is drafted.
    members : tuple of Member
        Generation, demand or curtailment by part.
    totals_kwh : tuple of int
        Declared totals of the parts. [kWh]
    trades : tuple of Trade
        Procurement and sales by party.
    baseline : tuple of Member
        Baselines of the parts; only of a curtailment plan.
    """

    kind: PlanKind
    day: date
    group: Identifier
    area: Area
    sender: Annotated[str, Field(pattern=r"^[0-9A-Z]{5}$")]
    recipient: Annotated[str, Field(pattern=r"^[0-9A-Z]{5}$")]
    on_behalf_of: Identifier
    members: Annotated[tuple[Member, ...], Field(min_length=1)]
    totals_kwh: DaySlots
    trades: tuple[Trade, ...] = ()
    baseline: tuple[Member, ...] = ()

    @model_validator(mode="after")
    def _parts_have_names_of_their_own(self) -> BalancingPlan:
        codes = [member.code for member in self.members]
        pairs = [(trade.party, trade.side) for trade in self.trades]
        if len(set(codes)) < len(codes) or len(set(pairs)) < len(pairs):
            msg = "a member, or a party and side, comes twice"
            raise ValueError(msg)
        if self.area is Area.ALL:
            msg = "a plan is of one area"
            raise ValueError(msg)
        if self.baseline and self.kind is not PlanKind.CURTAILMENT:
            msg = "only a curtailment plan has baselines"
            raise ValueError(msg)
        return self

    @property
    def key(self) -> str:
        """Name of the plan over its versions."""
        return f"{self.day.isoformat()}/{self.kind.value}/{self.group}/{self.area.value}"

    def bought_kwh(self, slot: int) -> int:
        """Procurement of slot 0..47. [kWh]"""
        return sum(trade.kwh[slot] for trade in self.trades if trade.side == "buy")

    def sold_kwh(self, slot: int) -> int:
        """Sales of slot 0..47. [kWh]"""
        return sum(trade.kwh[slot] for trade in self.trades if trade.side == "sell")

    def surplus_kwh(self, slot: int) -> int:
        """What slot 0..47 has too much of; negative if it lacks energy (class B). [kWh]

        ``P - S - D`` on the demand side, ``G + P - S`` on the other.
        """
        net = self.bought_kwh(slot) - self.sold_kwh(slot)
        total = self.totals_kwh[slot]
        return net - total if self.kind is PlanKind.DEMAND else net + total

    def settlement_kwh(self, slot: int) -> int:
        """What deviations of slot 0..47 are measured against: ``P - S`` of a demand plan. [kWh]"""
        return self.bought_kwh(slot) - self.sold_kwh(slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One finding.

    Parameters
    ----------
    kind : MismatchClass
        What follows from it.
    what : str
        Code for machines: ``totals``, ``unknown_code``, ``window``, ``balance``, ``counterpart``.
    where : str
        Member, party or group.
    slot : int
        Slot 1..48; 0 for the file as a whole.
    kwh : int
        By how much; the sign is ours: negative is too little. [kWh]
    buy_kwh, sell_kwh : int
        What would clear it by trading; the demand is never touched. [kWh]
    """

    kind: MismatchClass
    what: str
    where: str
    slot: int = 0
    kwh: int = 0
    buy_kwh: int = 0
    sell_kwh: int = 0


def integer_kwh(parts: Mapping[str, Decimal]) -> dict[str, int]:
    """Whole kWh of the parts of one slot, by largest remainder, so that they sum to the rounded total.

    Ties go to the smaller code, so that the same forecast gives the same plan.

    Raises
    ------
    DataError
        If a part is negative or no number.

    Examples
    --------
    >>> integer_kwh({"a": Decimal("10.4"), "b": Decimal("10.4"), "c": Decimal("10.4")})
    {'a': 11, 'b': 10, 'c': 10}
    """
    for code, kwh in parts.items():
        if not kwh.is_finite() or kwh < 0:
            raise DataError("a plan holds energies of 0 or more", where=f"{code}: {kwh} kWh")
    whole = {code: int(parts[code]) for code in sorted(parts)}
    rest = round_half_up(sum(parts.values(), Decimal(0))) - sum(whole.values())
    for code in sorted(parts, key=lambda code: (whole[code] - parts[code], code))[:rest]:
        whole[code] += 1
    return whole


def draft_plan(
    header: BalancingPlan, forecasts: Mapping[str, Sequence[Decimal]], trades: Iterable[Trade]
) -> BalancingPlan:
    """The plan of a header with the members of forecasts, converted to whole kWh once.

    Parameters
    ----------
    header : BalancingPlan
        Names and codes; its members and totals are replaced.
    forecasts : mapping of str to sequence of Decimal
        Energy of the 48 slots by member. [kWh]
    """
    by_slot = [
        integer_kwh({code: kwh[slot] for code, kwh in forecasts.items()}) for slot in range(SLOTS_PER_DAY)
    ]
    members = tuple(
        Member(code=code, kwh=tuple(slot[code] for slot in by_slot)) for code in sorted(forecasts)
    )
    return BalancingPlan(
        kind=header.kind,
        day=header.day,
        group=header.group,
        area=header.area,
        sender=header.sender,
        recipient=header.recipient,
        on_behalf_of=header.on_behalf_of,
        members=members,
        totals_kwh=tuple(sum(slot.values()) for slot in by_slot),
        trades=tuple(sorted(trades, key=lambda trade: (trade.side, trade.party))),
        baseline=header.baseline,
    )


def internal_checks(
    plan: BalancingPlan, *, codes: Iterable[str] | None = None, may_be_sent: bool = True
) -> list[Mismatch]:
    """Mismatches of class A and B of one plan.

    Parameters
    ----------
    codes : iterable of str, optional
        Codes that the master data know; none is unknown if not given.
    may_be_sent : bool
        Whether the day lies inside the submission window now.
    """
    found = []
    if not may_be_sent:
        found.append(Mismatch(kind=MismatchClass.INSIDE_FILE, what="window", where=plan.day.isoformat()))
    if codes is not None:
        known = {*codes, *MARKETS}
        named = [member.code for member in plan.members] + [trade.party for trade in plan.trades]
        found += [
            Mismatch(kind=MismatchClass.INSIDE_FILE, what="unknown_code", where=code)
            for code in dict.fromkeys([plan.group, *named])
            if code not in known
        ]
    for slot in range(SLOTS_PER_DAY):
        parts = sum(member.kwh[slot] for member in plan.members)
        if parts != plan.totals_kwh[slot]:
            found.append(
                Mismatch(
                    kind=MismatchClass.INSIDE_FILE,
                    what="totals",
                    where=plan.group,
                    slot=slot + 1,
                    kwh=parts - plan.totals_kwh[slot],
                )
            )
    for slot in range(SLOTS_PER_DAY):
        surplus = plan.surplus_kwh(slot)
        if surplus:
            found.append(
                Mismatch(
                    kind=MismatchClass.INSIDE_PLAN,
                    what="balance",
                    where=plan.group,
                    slot=slot + 1,
                    kwh=surplus,
                    buy_kwh=max(0, -surplus),
                    sell_kwh=max(0, surplus),
                )
            )
    return found


def lots(kwh: int, day: date) -> int:
    """Lots of the day-ahead or intraday market that cover an amount.

    Examples
    --------
    >>> lots(60, date(2026, 11, 22))
    2
    """
    return -(-kwh // rule_row(SpotLot, day).values.lot_kwh)


def cross_check(plans: Iterable[BalancingPlan]) -> list[Mismatch]:
    """Mismatches of class C among plans of one day: sales to a group against its purchases from us.

    A mismatch is told once to each of the two parties. Of a party whose plan is not among these nothing is
    said; what is traded with a market is left to its results.
    """
    traded: dict[tuple[str, str, str, date], list[dict[str, tuple[int, ...]]]] = {}
    plans = list(plans)
    known = {(plan.group, plan.area.value, plan.day) for plan in plans}
    for plan in plans:
        for trade in plan.trades:
            if trade.party in MARKETS or (trade.party, plan.area.value, plan.day) not in known:
                continue
            seller, buyer = (plan.group, trade.party) if trade.side == "sell" else (trade.party, plan.group)
            traded.setdefault((plan.area.value, seller, buyer, plan.day), []).append({trade.side: trade.kwh})
    found = []
    for (_, seller, buyer, _), sides in sorted(traded.items()):
        sold, bought = (
            [sum(side[name][slot] for side in sides if name in side) for slot in range(SLOTS_PER_DAY)]
            for name in ("sell", "buy")
        )
        for slot in range(SLOTS_PER_DAY):
            gap = bought[slot] - sold[slot]
            if gap:
                found += [
                    Mismatch(
                        kind=MismatchClass.BETWEEN_PARTIES,
                        what="counterpart",
                        where=f"{told}: {seller} sells {sold[slot]}, {buyer} buys {bought[slot]}",
                        slot=slot + 1,
                        kwh=gap,
                    )
                    for told in (seller, buyer)
                ]
    return found


def week_cells(
    days: Sequence[date], calendar: SiteCalendar, value_kw: Callable[[DayType], Decimal]
) -> dict[DayType, Decimal | None]:
    """Cells of one week in a monthly plan: None, which is written as a blank, where no such day exists.

    Zero in the cell of a day type that the week does not have is rejected (RULES-JP 1.3).

    Parameters
    ----------
    days : sequence of date
        Days of the week that lie in the month.
    calendar : SiteCalendar
        National holidays, and the extra days that OCCTO treats as holidays.
    value_kw : callable
        Power at the representative time of a day type. [kW]
    """
    kinds = {calendar.day_type(day) for day in days}
    return {kind: value_kw(kind) if kind in kinds else None for kind in DayType}


_PLAN = TypeAdapter(BalancingPlan)
_TRADE = TypeAdapter(Trade)


def read_plan(told: Mapping[str, object], *, name: str = "plan") -> BalancingPlan:
    """A plan from named values.

    Raises
    ------
    DataError
        If it is no plan.
    """
    try:
        return _PLAN.validate_python(told)
    except ValidationError as error:
        raise _no_plan(name, error) from None


def read_trade(told: Mapping[str, object], *, name: str) -> Trade:
    """A trade from named values.

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        return _TRADE.validate_python(told)
    except ValidationError as error:
        raise _no_plan(name, error) from None


def plan_json(plan: BalancingPlan) -> dict[str, object]:
    """A plan as plain values."""
    return dict(_PLAN.dump_python(plan, mode="json"))


def _no_plan(name: str, error: ValidationError) -> DataError:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "plan"
    return DataError(
        f"{name} is no plan",
        where=f"{where}: {first['msg']}",
        hint="48 whole kWh >= 0 each, codes a-z, 0-9 and hyphens, sender and recipient of 5 characters",
    )
