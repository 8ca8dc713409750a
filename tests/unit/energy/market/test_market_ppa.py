"""What a place is delivered under its agreements, what it owes, and that no kWh is claimed twice."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.errors import AlignmentError, ConfigError, DataError, GapError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import jst_midnight
from energy.market.claims import Claim, claimed, require_free
from energy.market.co2 import Co2Factor, Co2Factors, emissions
from energy.market.ppa import PpaContract, PpaKind, PpaPeriod, Residual, Supply, deliver, invoice

GRID = Grid(jst_midnight(date(2026, 11, 1)), 1440)


def kwh(value: float | list[float], grid: Grid = GRID) -> Series:
    values = np.full(grid.count, value) if isinstance(value, float) else np.resize(value, grid.count)
    return Series(grid, values, Unit.KWH)


def period(first: str = "2026-04-01", last: str = "2027-03-31", **prices: str) -> PpaPeriod:
    told = {"energy_yen_per_kwh": "12", **prices}
    return PpaPeriod(
        valid_from=date.fromisoformat(first),
        valid_to=date.fromisoformat(last),
        **{name: Decimal(price) for name, price in told.items()},
    )


def contract(kind: PpaKind = PpaKind.OFFSITE, **changes: Any) -> PpaContract:
    told: dict[str, Any] = {
        "id": f"{kind.value}-ppa",
        "kind": kind,
        "name_ja": "契約",
        "name_en": "contract",
        "plant": "roof" if kind is PpaKind.ONSITE else "valley",
        "supplier": "spc",
        "menu": "solar",
        "periods": (period(),),
    }
    return PpaContract(**(told | changes))


def supply(*contracts: PpaContract) -> Supply:
    return Supply(
        place="city-hall",
        name_ja="市役所",
        name_en="City hall",
        contracts=contracts,
        residual=Residual(supplier="retailer", menu="residual"),
    )


def test_energy_behind_the_meter_comes_first_then_the_plant_outside_then_the_retailer() -> None:
    both = supply(contract(PpaKind.ONSITE), contract(loss_rate=Decimal("0.05")))
    found = deliver(both, kwh(10.0), {"roof": kwh(4.0), "valley": kwh([20.0, 0.0])})
    assert found.load[0] == 14_000_000
    assert found.delivered["onsite-ppa"][0] == 4_000_000
    assert found.delivered["offsite-ppa"][:2].tolist() == [10_000_000, 0]
    assert found.surplus["offsite-ppa"][0] == 9_000_000
    assert found.residual[:2].tolist() == [0, 10_000_000]


def test_what_is_exported_from_the_roof_is_not_delivered() -> None:
    found = deliver(supply(contract(PpaKind.ONSITE)), kwh(0.0), {"roof": kwh(4.0)}, export_kwh=kwh(1.5))
    assert found.delivered["onsite-ppa"][0] == 2_500_000
    assert found.surplus["onsite-ppa"][0] == 1_500_000


def test_more_export_than_generation_is_refused_with_its_half_hour() -> None:
    with pytest.raises(DataError, match="more is exported") as told:
        deliver(supply(contract(PpaKind.ONSITE)), kwh(0.0), {"roof": kwh(1.0)}, export_kwh=kwh(1.5))
    assert "2026-10-31T15:00" in told.value.where


def test_the_invoice_taxes_the_subtotal_once_and_rounds_down() -> None:
    prices = period(wheeling_yen_per_kwh="3.1", balancing_yen_per_kwh="0.9")
    one = contract(periods=(prices,), contracted_kwh={"2026-11": Decimal(1500)})
    made = invoice(one, deliver(supply(one), kwh(2.0), {"valley": kwh(1.003)}), "2026-11")
    kwhs = Decimal("1.003") * 1440
    assert made.delivered_kwh == kwhs
    levy = int(kwhs * Decimal("4.18"))
    subtotal = int(kwhs * Decimal("16.0") + levy)
    assert [line.what for line in made.lines] == ["energy", "wheeling", "balancing", "levy"]
    assert (made.subtotal_yen, made.tax_yen) == (subtotal, int(subtotal * Decimal("0.1")))
    assert made.total_yen == made.subtotal_yen + made.tax_yen
    assert made.contracted_kwh == 1500


def test_a_price_with_tax_holds_its_tax_inside() -> None:
    one = contract(PpaKind.ONSITE, tax="included")
    made = invoice(one, deliver(supply(one), kwh(1.0), {"roof": kwh(1.0)}), "2026-11")
    assert (made.total_yen, made.tax_yen) == (17_280, 1_570)  # 1,440 kWh x 12; 17,280 x 10/110, rounded down


def test_on_site_energy_pays_neither_grid_nor_levy() -> None:
    one = contract(PpaKind.ONSITE)
    made = invoice(one, deliver(supply(one), kwh(1.0), {"roof": kwh(1.0)}), "2026-11")
    assert [line.what for line in made.lines] == ["energy"]
    with pytest.raises(ValueError, match="behind the meter"):
        contract(PpaKind.ONSITE, periods=(period(wheeling_yen_per_kwh="3"),))


def test_a_price_that_changes_inside_the_month_makes_two_lines_that_add_up() -> None:
    one = contract(
        PpaKind.ONSITE,
        periods=(period(last="2026-11-10"), period(first="2026-11-11", energy_yen_per_kwh="13")),
    )
    made = invoice(one, deliver(supply(one), kwh(1.0), {"roof": kwh(1.0)}), "2026-11")
    assert [(line.first.day, line.last.day, line.kwh) for line in made.lines] == [(1, 10, 480), (11, 30, 960)]
    assert made.subtotal_yen == 480 * 12 + 960 * 13


def test_periods_with_a_gap_and_a_day_without_a_price_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap or leave a gap"):
        contract(periods=(period(last="2026-11-10"), period(first="2026-11-12")))
    short = contract(PpaKind.ONSITE, periods=(period(last="2026-11-29"),))
    with pytest.raises(ConfigError, match="no prices for 2026-11-30"):
        invoice(short, deliver(supply(short), kwh(1.0), {"roof": kwh(1.0)}), "2026-11")


def test_gaps_other_slots_and_missing_plants_are_refused_by_name() -> None:
    one = supply(contract())
    with pytest.raises(DataError, match="generation of plant 'valley' is missing"):
        deliver(one, kwh(1.0), {})
    with pytest.raises(GapError, match="plant valley"):
        deliver(one, kwh(1.0), {"valley": kwh([1.0, float("nan")])})
    with pytest.raises(AlignmentError, match="other slots"):
        deliver(one, kwh(1.0), {"valley": kwh(1.0, Grid(GRID.start, 48))})
    with pytest.raises(DataError, match="does not cover 2026-12"):
        invoice(one.contracts[0], deliver(one, kwh(1.0), {"valley": kwh(1.0)}), "2026-12")


@settings(max_examples=60, deadline=None)
@given(
    load=st.lists(st.integers(0, 50_000_000), min_size=48, max_size=48),
    roof=st.lists(st.integers(0, 30_000_000), min_size=48, max_size=48),
    valley=st.lists(st.integers(0, 90_000_000), min_size=48, max_size=48),
)
def test_every_kwh_has_one_source(load: list[int], roof: list[int], valley: list[int]) -> None:
    grid = Grid(GRID.start, 48)
    both = supply(contract(PpaKind.ONSITE), contract(share=Decimal("0.5"), loss_rate=Decimal("0.07")))
    made = {"roof": roof, "valley": valley}
    found = deliver(
        both,
        Series(grid, np.array(load) / 1e6, Unit.KWH),
        {name: Series(grid, np.array(parts) / 1e6, Unit.KWH) for name, parts in made.items()},
    )
    assert (found.load == found.residual + sum(found.delivered.values())).all()
    arriving = found.delivered["offsite-ppa"] + found.surplus["offsite-ppa"]
    assert (arriving <= np.array(valley) * 0.465 + 1e-6).all()
    assert all((parts >= 0).all() for parts in [*found.delivered.values(), *found.surplus.values()])


# -- claims --------------------------------------------------------------------------------------------


def claim(parts: list[int], claimant: str = "city-hall", **changes: Any) -> Claim:
    grid = Grid(GRID.start, len(parts))
    told: dict[str, Any] = {"plant": "valley", "claimant": claimant, "purpose": "own_use", "grid": grid}
    return Claim(**(told | changes), parts=np.array(parts, dtype=np.int64))


def test_energy_that_somebody_has_claimed_is_refused_and_the_holder_named() -> None:
    generation = np.array([10, 10], dtype=np.int64)
    require_free(claim([6, 4]), [claim([4, 6], "trader", purpose="j_credit")], generation)
    with pytest.raises(DataError, match="claimed twice") as told:
        require_free(claim([7, 4]), [claim([4, 6], "trader", purpose="j_credit")], generation)
    assert "trader (j_credit)" in told.value.where


def test_a_claim_on_a_plant_under_fit_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be claimed"):
        require_free(claim([1]), [], np.array([5]), fit=True)


Asked = tuple[str, str, int, list[int]]


@settings(max_examples=150, deadline=None)
@given(
    generation=st.lists(st.integers(0, 20), min_size=6, max_size=6),
    asked=st.lists(
        st.tuples(
            st.sampled_from(["city-hall", "school", "trader"]),
            st.sampled_from(["own_use", "j_credit"]),
            st.integers(0, 3),
            st.lists(st.integers(0, 15), min_size=1, max_size=3),
        ),
        max_size=12,
    ),
)
def test_no_kwh_is_ever_claimed_twice(generation: list[int], asked: list[Asked]) -> None:
    whole = np.array(generation, dtype=np.int64)
    standing: dict[tuple[object, ...], Claim] = {}
    for claimant, purpose, first, parts in asked:
        grid = Grid(GRID.time(first), len(parts))
        new = claim(parts, claimant, purpose=purpose, grid=grid)
        try:
            require_free(new, standing.values(), whole[first : first + len(parts)])
        except DataError:
            continue
        standing[claimant, purpose, grid.start, grid.count] = new
    held = claimed(standing.values(), "valley", Grid(GRID.start, 6))
    assert (held <= whole).all()


# -- CO2 -----------------------------------------------------------------------------------------------


def factor(**changes: Any) -> Co2Factor:
    told: dict[str, Any] = {
        "supplier": "retailer",
        "menu": "residual",
        "reporting_year": 2026,
        "kind": "adjusted",
        "kg_per_kwh": Decimal("0.457"),
        "source": "test",
        "status": "verified",
    }
    return Co2Factor(**(told | changes))


def test_emissions_take_the_factor_of_supplier_menu_and_year_and_no_other() -> None:
    known = Co2Factors(factors=(factor(), factor(menu="green", kg_per_kwh=Decimal("0.1"))))
    used = {("retailer", "residual"): Decimal(1000), ("retailer", "green"): Decimal(10)}
    assert [one.kg for one in emissions(used, known, year=2026)] == [Decimal(457), Decimal(1)]
    with pytest.raises(ConfigError, match="for reports of FY2027") as told:
        emissions(used, known, year=2027)
    assert "residual 2026 adjusted" in told.value.where


def test_a_factor_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="comes twice"):
        Co2Factors(factors=(factor(), factor(kg_per_kwh=Decimal("0.5"))))
