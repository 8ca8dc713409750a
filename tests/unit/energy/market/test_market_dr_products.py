"""Products of demand response: what makes an event valid, who is nominated, who fails."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from energy.core.slots import Slot, parse_jst
from energy.market.dr_products import (
    BalancingService,
    Offer,
    Product,
    assess_delivery,
    product_facts,
    product_faults,
)
from energy.market.dr_rules import DeliveryTracking
from energy.market.portfolio import (
    Delivery,
    Resource,
    SiteTrack,
    failing,
    measured_resource,
    nominate,
    slot_totals,
)

CALLED = parse_jst("2026-11-25 12:00")
START = parse_jst("2026-11-25 16:00")
RULE = DeliveryTracking(
    failing_share=Decimal("0.5"), failing_slots=2, prior_events=3, certainty=Decimal("1.28")
)


def offer(start: datetime = START, hours: float = 3, kw: str = "1000", **told: Any) -> Offer:
    return Offer(
        announced_at=told.pop("announced_at", CALLED),
        start=start,
        end=start + timedelta(hours=hours),
        target_kw=Decimal(kw),
        **told,
    )


@pytest.mark.parametrize(
    ("product", "asked", "names"),
    [
        (Product.ECONOMIC, offer(kw="5"), []),
        (Product.ECONOMIC, offer(hours=13), ["too_long"]),
        (Product.TIGHT, offer(margin_percent=Decimal("5.0")), ["not_tight"]),
        (Product.TIGHT, offer(margin_percent=Decimal("4.9")), []),
        (Product.TIGHT, offer(), []),
        (Product.UP, offer(parse_jst("2026-11-25 13:00")), []),
        (Product.UP, offer(parse_jst("2026-11-25 14:00")), ["outside_hours"]),
        (Product.CAPACITY, offer(), []),
        (Product.CAPACITY, offer(announced_at=parse_jst("2026-11-25 13:01")), ["short_notice"]),
        (Product.CAPACITY, offer(hours=3.5, kw="999"), ["too_long", "below_minimum"]),
        (Product.CAPACITY, offer(parse_jst("2026-11-28 16:00")), ["rest_day"]),
        (Product.CAPACITY, offer(earlier=(parse_jst("2026-11-25 09:00"),)), ["second_on_day"]),
        (Product.BALANCING, offer(kw="18"), ["below_minimum"]),
        (Product.BALANCING, offer(kw="1000.4"), ["off_step"]),
        (Product.BALANCING, offer(announced_at=START - timedelta(minutes=59)), ["short_notice"]),
        (
            Product.BALANCING,
            offer(announced_at=START - timedelta(minutes=59), service=BalancingService.TERTIARY_1),
            [],
        ),
    ],
)
def test_an_event_must_keep_to_the_dated_terms_of_its_product(
    product: Product, asked: Offer, names: list[str]
) -> None:
    assert [fault.name for fault in product_faults(product, asked)] == names


@pytest.mark.parametrize("product", list(Product))
def test_every_product_names_the_rows_it_rests_on(product: Product) -> None:
    facts = product_facts(product, START)
    assert facts
    assert all(fact.source and fact.status for fact in facts)


def test_too_much_misses_an_award_as_much_as_too_little() -> None:
    slots = [Slot(START).shifted(k) for k in range(5)]
    energies = [Decimal(450), Decimal(449), Decimal(550), Decimal(551), None]
    found = assess_delivery(Decimal(1000), dict(zip(slots, energies, strict=True)))
    assert found.kept == (slots[0], slots[2])
    assert found.missed == (slots[1], slots[3], slots[4])


def delivery(share: str) -> Delivery:
    return Delivery(site="a", called_kwh=Decimal(100), delivered_kwh=100 * Decimal(share))


def test_what_a_site_delivered_counts_beside_what_it_says() -> None:
    stated = Resource(site="a", kw=Decimal(10), reliability=Decimal(1))
    assert measured_resource(stated, [], prior_events=3) == stated
    found = measured_resource(stated, [delivery("0.4"), delivery("1.9"), delivery("-1")], prior_events=3)
    assert found.reliability == Decimal("0.733")  # (3 + 0.4 + 1 + 0) / 6
    assert found.spread == Decimal("0.394")  # sqrt((3 * 0.267^2 + 0.333^2 + 0.267^2 + 0.733^2) / 6)
    other = Delivery(site="b", called_kwh=Decimal(1), delivered_kwh=Decimal(0))
    assert measured_resource(stated, [other], prior_events=3) == stated


def test_a_reserve_is_kept_for_sites_that_waver() -> None:
    sure = [Resource(site=f"s-{k}", kw=Decimal(10)) for k in range(12)]
    wavering = [Resource(site=one.site, kw=one.kw, spread=Decimal("0.4")) for one in sure]
    plain = nominate(sure, Decimal(100), certainty=Decimal("1.28"))
    careful = nominate(wavering, Decimal(100), certainty=Decimal("1.28"))
    assert (len(plain.chosen), plain.short_kw) == (11, 0)
    assert (len(careful.chosen), careful.short_kw) == (12, 0)  # 120 - 1.28 * 4 * sqrt(12) = 102.3
    assert careful.firm_kw == pytest.approx(Decimal("102.26"), abs=Decimal("0.01"))
    short = nominate(wavering[:11], Decimal(100), certainty=Decimal("1.28"))
    assert short.short_kw == pytest.approx(Decimal("6.98"), abs=Decimal("0.01"))


def test_a_site_that_never_delivers_is_not_asked() -> None:
    never = Resource(site="a", kw=Decimal(100), reliability=Decimal(0))
    made = nominate([never], Decimal(10))
    assert (made.chosen, made.short_kw) == ((), Decimal("11.0"))


def rows(site: str, *shares: str | None) -> list[SiteTrack]:
    return [
        SiteTrack(
            site=site,
            slot=Slot(START).shifted(k),
            called_kwh=Decimal(10),
            delivered_kwh=None if share is None else 10 * Decimal(share),
        )
        for k, share in enumerate(shares)
    ]


def test_a_site_fails_after_two_weak_half_hours_in_a_row_and_not_before() -> None:
    tracks = [
        *rows("weak", "1", "0.4", "0.4"),
        *rows("recovering", "0.4", "0.4", "0.6"),
        *rows("new", "0.1"),
        *rows("silent", "1", None, None),
        *rows("gone", "0", "0", "0"),
    ]
    assert failing(tracks, RULE, released={"gone"}) == {"weak": "low", "silent": "unread"}


def test_half_hours_add_up_over_the_sites() -> None:
    first, second = slot_totals(Decimal(30), [*rows("a", "1", "0.5"), *rows("b", None, "1")])
    assert (first.promised_kwh, first.called_kwh, first.delivered_kwh, first.unread) == (15, 20, 10, 1)
    assert (second.delivered_kwh, second.unread) == (15, 0)
