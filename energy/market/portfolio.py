"""Who is asked to reach a target, how sure they are, and what they deliver while the event runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass as plain
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from energy.core.assets import Identifier, strict
from energy.core.errors import DataError
from energy.core.slots import SLOT_LENGTH, Slot
from energy.market.dr_rules import DeliveryTracking

__all__ = [
    "Delivery",
    "Nomination",
    "Resource",
    "SiteTrack",
    "SlotTrack",
    "failing",
    "measured_resource",
    "nominate",
    "slot_totals",
]

_HOURS: Final = Decimal(int(SLOT_LENGTH.total_seconds())) / 3600


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Resource:
    """A site that may take part: what it can shift, and how sure that is.

    Parameters
    ----------
    kw : Decimal
        What it can give. [kW]
    reliability : Decimal
        Share of it that came in the past. [-]
    spread : Decimal
        Standard deviation of that share over its events. [-]
    holder : str
        Whose data its readings are: a ``person``'s need consent, a ``company``'s a contract.
    """

    site: Identifier
    kw: Annotated[Decimal, Field(gt=0)]
    reliability: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(1)
    spread: Annotated[Decimal, Field(ge=0, le=1)] = Decimal(0)
    holder: Literal["company", "person"] = "company"

    @property
    def expected_kw(self) -> Decimal:
        """What it will likely give. [kW]"""
        return self.kw * self.reliability


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Delivery:
    """What a site was called for in an event that is over, and what it delivered. [kWh]"""

    site: Identifier
    called_kwh: Annotated[Decimal, Field(gt=0)]
    delivered_kwh: Decimal


def measured_resource(stated: Resource, deliveries: Iterable[Delivery], *, prior_events: int) -> Resource:
    """A resource with the reliability that its own events show.

    The ratio of an event is ``delivered / called``, between 0 and 1: more than promised helps nobody who was
    promised less. What was stated weighs as much as some events, so that one lucky evening proves nothing:
    ``r = (n0 * stated + sum(ratios)) / (n0 + n)`` and
    ``spread = sqrt((n0 * (stated - r)^2 + sum((ratio - r)^2)) / (n0 + n))``.

    Parameters
    ----------
    deliveries : iterable of Delivery
        Of any sites; those of others are left out.
    prior_events : int
        ``n0``, how many events the statement weighs.
    """
    ratios = [
        min(Decimal(1), max(Decimal(0), one.delivered_kwh / one.called_kwh))
        for one in deliveries
        if one.site == stated.site
    ]
    if not ratios:
        return stated
    weight = prior_events + len(ratios)
    mean = (prior_events * stated.reliability + sum(ratios)) / weight
    squares = prior_events * (stated.reliability - mean) ** 2 + sum((ratio - mean) ** 2 for ratio in ratios)
    thousandth = Decimal("0.001")
    return replace(
        stated,
        reliability=mean.quantize(thousandth),
        spread=(squares / weight).sqrt().quantize(thousandth),
    )


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Nomination:
    """Who is asked for a target.

    Parameters
    ----------
    chosen : tuple of Resource
        The surest first.
    expected_kw, needed_kw : Decimal
        What they will likely give, and the target with its reserve. [kW]
    target_kw, firm_kw : Decimal
        The target, and what they give after the reserve against non-delivery. [kW]
    """

    chosen: tuple[Resource, ...]
    expected_kw: Decimal
    needed_kw: Decimal
    target_kw: Decimal
    firm_kw: Decimal

    @property
    def short_kw(self) -> Decimal:
        """What is missing. [kW]"""
        return max(Decimal(0), self.needed_kw - self.expected_kw, self.target_kw - self.firm_kw)


def nominate(
    resources: Sequence[Resource],
    target_kw: Decimal,
    *,
    reserve: Decimal = Decimal("0.1"),
    certainty: Decimal = Decimal(0),
) -> Nomination:
    """Choose resources for a target and a reserve against failures: the surest first, then the largest.

    They are enough when ``sum(kw * r) >= target * (1 + reserve)`` and, sites failing apart from each other,
    ``sum(kw * r) - certainty * sqrt(sum((kw * spread)^2)) >= target``.

    Parameters
    ----------
    reserve : Decimal
        Share of the target that is asked for on top. [-]
    certainty : Decimal
        Standard deviations of non-delivery that are kept in reserve. [-]

    Raises
    ------
    DataError
        If a site comes twice, or target or reserve cannot be.

    Examples
    --------
    >>> two = [Resource(site="a", kw=Decimal(60)), Resource(site="b", kw=Decimal(60))]
    >>> nominate(two, Decimal(50)).expected_kw
    Decimal('60')
    """
    sites = [one.site for one in resources]
    if len(set(sites)) < len(sites) or target_kw <= 0 or reserve < 0 or certainty < 0:
        raise DataError(
            "resources cannot be nominated",
            where=f"{len(sites)} rows of {len(set(sites))} sites, target {target_kw} kW, reserve {reserve}",
            hint="each site once; target > 0; reserve such as 0.1",
        )
    needed = target_kw * (1 + reserve)
    chosen: list[Resource] = []
    expected = firm = variance = Decimal(0)
    for one in sorted(resources, key=lambda one: (-one.reliability, -one.kw, one.site)):
        if (expected >= needed and firm >= target_kw) or not one.reliability:
            break
        chosen.append(one)
        expected += one.expected_kw
        variance += (one.kw * one.spread) ** 2
        firm = expected - certainty * variance.sqrt()
    return Nomination(
        chosen=tuple(chosen), expected_kw=expected, needed_kw=needed, target_kw=target_kw, firm_kw=firm
    )


@plain(frozen=True, slots=True, kw_only=True)
class SiteTrack:
    """What one called site did in one half hour that is over. [kWh]

    Parameters
    ----------
    called_kwh : Decimal
        What it was called for.
    delivered_kwh : Decimal or None
        Against its baseline, in the direction of the product; None without a reading.
    """

    site: str
    slot: Slot
    called_kwh: Decimal
    delivered_kwh: Decimal | None


@plain(frozen=True, slots=True, kw_only=True)
class SlotTrack:
    """One half hour of an event: what was promised upstream, called for and delivered. [kWh]

    Parameters
    ----------
    unread : int
        Called sites without a reading.
    """

    slot: Slot
    promised_kwh: Decimal
    called_kwh: Decimal
    delivered_kwh: Decimal
    unread: int


def slot_totals(target_kw: Decimal, tracks: Iterable[SiteTrack]) -> list[SlotTrack]:
    """Half hours in order, over all sites."""
    by_slot: dict[Slot, list[SiteTrack]] = {}
    for one in tracks:
        by_slot.setdefault(one.slot, []).append(one)
    return [
        SlotTrack(
            slot=slot,
            promised_kwh=target_kw * _HOURS,
            called_kwh=sum((one.called_kwh for one in sites), Decimal(0)),
            delivered_kwh=sum((one.delivered_kwh or Decimal(0) for one in sites), Decimal(0)),
            unread=sum(one.delivered_kwh is None for one in sites),
        )
        for slot, sites in sorted(by_slot.items())
    ]


def failing(
    tracks: Iterable[SiteTrack], rule: DeliveryTracking, *, released: Collection[str] = ()
) -> Mapping[str, Literal["low", "unread"]]:
    """Sites that fail: their newest half hours all lie below a share of what they were called for.

    A site without readings fails as well, by another name: it may deliver, but nobody can show it.

    Parameters
    ----------
    released : collection of str
        Sites that are no longer called.
    """
    by_site: dict[str, list[SiteTrack]] = {}
    for one in tracks:
        by_site.setdefault(one.site, []).append(one)
    found: dict[str, Literal["low", "unread"]] = {}
    for site, rows in sorted(by_site.items()):
        last = sorted(rows, key=lambda one: one.slot)[-rule.failing_slots :]
        if site in released or len(last) < rule.failing_slots:
            continue
        if all(
            one.delivered_kwh is None or one.delivered_kwh < rule.failing_share * one.called_kwh
            for one in last
        ):
            found[site] = "unread" if all(one.delivered_kwh is None for one in last) else "low"
    return found
