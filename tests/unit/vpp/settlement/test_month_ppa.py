"""Purchase agreements in the month's account: invoices are lines, and the retailer bills the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from energy.core.errors import DataError, GapError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import JST, jst_midnight
from energy.ledger import Journal
from energy.market.bill import period_bill
from energy.market.demand import PeakMemory
from energy.market.ppa import Supply
from energy.store import Point, SqlStore, open_store
from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import NOON, vpp
from tests.unit.vpp.jobs.crew import Crew
from tests.unit.vpp.settlement import accounts
from tests.unit.vpp.settlement.accounts import SITE, day_values
from vpp.config import read_yaml
from vpp.jobs import money
from vpp.jobs.due import each_month
from vpp.settlement.month import MonthAccount, MonthTerms, document, month_account
from vpp.settlement.month_ppa import PpaTerms, read_ppa
from vpp.settlement.ppa import ppa_month
from vpp.settlement.record import SettlementBook
from vpp.simulation.scenario import Scenario, load_scenario
from vpp.site.recorder import SiteSeries

FIRST, DAYS = date(2026, 8, 1), 31
GRID = Grid(jst_midnight(FIRST), DAYS * 48)
SUPPLY = read_yaml(ROOT / "examples/ppa-city-hall.yaml", Supply)
VALLEY = np.random.default_rng(9).uniform(0, 60, GRID.count).round(3)
Values = dict[str, "np.ndarray[Any, Any]"]


def told() -> tuple[Values, Values]:
    """Planned and metered energies of the month."""
    rng = np.random.default_rng(8)
    return day_values(rng, DAYS), day_values(rng, DAYS)


def fill(
    store: SqlStore, planned: Values, metered: Values, *, promised: int = DAYS, missing: tuple[int, ...] = ()
) -> None:
    """The month in a store; half a kWh is exported in each half hour of its second day."""
    with patch.object(accounts, "FIRST", FIRST):
        accounts.fill(store, metered, planned, promised_days=promised, missing=missing)
    name = SiteSeries(SITE.id)["meter", "export_kwh"]
    sent = np.where(metered["pv"] >= 0.5, 0.5, 0.0)
    store.append(
        Point(series=name, at=at, known_at=at + timedelta(minutes=30), value=float(value), source="test")
        for at, value in zip(GRID.times(), sent, strict=True)
    )


def account(planned: Values, metered: Values, terms: PpaTerms | None) -> MonthAccount:
    with open_store("sqlite://", durability="process") as store:
        fill(store, planned, metered)
        return month_account(store, SITE, "2026-08", MonthTerms(ppa=terms))


def of_plants(supply: Supply = SUPPLY) -> PpaTerms:
    return PpaTerms(supply=supply, generation={"valley": Series(GRID, VALLEY, Unit.KWH)})


def test_invoices_are_lines_that_add_up_and_say_what_the_invoice_command_says() -> None:
    planned, metered = told()
    made = account(planned, metered, of_plants())
    assert sum(line.yen for line in made.lines) == made.settled_yen - made.promised_yen
    lines = [line for line in made.lines if line.name == "ppa"]
    assert [line.facts["contract"] for line in lines] == ["roof-ppa", "valley-ppa"]
    sent = np.where(metered["pv"] >= 0.5, 0.5, 0.0)
    alone = ppa_month(
        SUPPLY,
        "2026-08",
        Series(GRID, metered["imported"].clip(0), Unit.KWH),
        {"roof": Series(GRID, metered["pv"], Unit.KWH), "valley": Series(GRID, VALLEY, Unit.KWH)},
        export=Series(GRID, sent, Unit.KWH),
    )
    assert [one.made for one in made.ppa] == list(alone.invoices)
    assert [line.yen for line in lines] == [one.made.total_yen - one.expected.total_yen for one in made.ppa]
    assert made.settled_yen == made.bill.total_yen + sum(one.total_yen for one in alone.invoices)
    assert {"consumption_tax", "ppa.roof-ppa.energy"} <= {fact.rule for fact in made.rules}


def test_the_retailer_bills_what_the_agreements_leave_and_the_peak_of_the_meter() -> None:
    planned, metered = told()
    made, before = account(planned, metered, of_plants()), account(planned, metered, None)
    offsite = next(one for one in made.ppa if one.contract.id == "valley-ppa")
    assert made.bill.kwh == before.bill.kwh - offsite.made.delivered_kwh
    assert (made.peak_kw, made.bill.basic_yen) == (before.peak_kw, before.bill.basic_yen)
    assert made.kwh == before.kwh
    rest = metered["imported"].clip(0) - np.minimum(metered["imported"].clip(0), VALLEY * 0.5 * 0.95)
    alone = period_bill(SITE.tariff, Series(GRID, rest, Unit.KWH), PeakMemory(dict(SITE.peak_memory_kw)))
    assert abs(made.bill.energy_yen - alone.energy_yen) < 1  # rounding to millionths of a kWh alone


def test_a_plan_that_came_true_expects_its_invoices() -> None:
    values = told()[0]
    only_valley = replace(SUPPLY, contracts=SUPPLY.contracts[1:])
    made = account(values, values, of_plants(only_valley))
    assert [line.yen for line in made.lines if line.name == "ppa"] == [0]
    assert made.promised_yen == made.settled_yen


def test_days_without_a_promise_expect_their_sun_also_where_a_cars_meter_is_missing() -> None:
    planned, metered = told()
    with open_store("sqlite://", durability="process") as store:
        fill(store, planned, metered, promised=1, missing=tuple(range(48, GRID.count)))
        made = month_account(store, SITE, "2026-08", MonthTerms(ppa=of_plants()))
    roof = made.ppa[0]
    first_day = float(max(metered["pv"][:48].sum(), planned["pv"][:48].sum()))
    assert abs(float(roof.made.delivered_kwh - roof.expected.delivered_kwh)) < first_day
    assert float(roof.made.delivered_kwh) > 10 * first_day


def test_part_of_a_month_and_a_plant_without_readings_are_refused() -> None:
    planned, metered = told()
    with open_store("sqlite://", durability="process") as store:
        fill(store, planned, metered)
        terms = MonthTerms(ppa=of_plants())
        with pytest.raises(DataError, match="does not cover 2026-08"):
            month_account(store, SITE, "2026-08", terms, last_day=FIRST + timedelta(days=3))
        with pytest.raises(DataError, match="generation of plant 'valley' is missing"):
            month_account(store, SITE, "2026-08", MonthTerms(ppa=PpaTerms(supply=SUPPLY, generation={})))
        name = SiteSeries(SITE.id)["meter", "export_kwh"]
        late = GRID.end + timedelta(hours=1)
        store.append([Point(series=name, at=GRID.start, known_at=late, value=None, source="test")])
        with pytest.raises(GapError, match="exported energy"):
            month_account(store, SITE, "2026-08", terms)


def generated(store: SqlStore, values: np.ndarray[Any, Any], *, after: timedelta) -> None:
    """What the plant in the valley generated, as it is imported after the end of each half hour. [kWh]"""
    name = SiteSeries(SITE.id)["valley", "plant_kwh"]
    store.append(
        Point(
            series=name, at=at, known_at=at + after, value=None if np.isnan(value) else value, source="test"
        )
        for at, value in zip(GRID.times(), values.tolist(), strict=True)
    )


def test_the_job_settles_the_agreements_of_the_configuration_by_what_the_store_knows_of_the_plants() -> None:
    planned, metered = told()
    terms = MonthTerms(ppa=read_ppa(ROOT / "examples/ppa-city-hall.yaml"))
    with open_store("sqlite://", durability="process") as store:
        fill(store, planned, metered)
        crew = Crew(store=store)
        work = money.settle_month({SITE.id: SITE}, {SITE.id: terms})
        job = crew.job("month", function=work, subjects=(SITE.id,), due=each_month(1, time(5, 0)))
        supervisor = crew.supervisor(job)
        crew.clock.set("2026-08-31 23:00")
        crew.look(supervisor, times=2)

        def again(at: str) -> tuple[str, str]:
            """The run that is due, or one that a person asks for."""
            crew.clock.set(at)
            if not at.endswith("05:00"):
                supervisor.book.ask("month", SITE.id, by="hana")
            crew.look(supervisor, times=4)
            return crew.told("month")[-1][1:]

        assert "generation of plant 'valley' is missing" in again("2026-09-01 05:00")[1]
        gap = VALLEY.copy()
        gap[5] = np.nan
        generated(store, gap, after=timedelta(minutes=30))
        said = again("2026-09-01 06:00")[1]
        assert "the generation of plant 'valley'" in said
        assert "2026-07-31T17:30" in said
        generated(store, VALLEY, after=timedelta(hours=1))
        again("2026-09-01 07:00")  # the run that waited, and the one that was asked for
        assert "month_settled" in " ".join(key for _, key, _ in crew.told("month"))
        kept = SettlementBook(store).newest(f"month/{SITE.id}/2026-08") or {}
        alone = account(planned, metered, of_plants())
        assert kept["figures"]["ppa"] == document(alone)["ppa"]
        assert kept["figures"]["settled_yen"] == alone.settled_yen
        shown = SettlementBook(store).newest("ppa/city-hall/2026-08") or {}
        assert [one["total_yen"] for one in shown["figures"]["contracts"]] == [
            one.made.total_yen for one in alone.ppa
        ]
        assert "month_stands" in again("2026-09-01 08:00")[0]
        generated(store, VALLEY * 1.1, after=timedelta(hours=2))
        assert "month_settled" in again("2026-09-01 09:00")[0]
        assert len(SettlementBook(store).versions(f"month/{SITE.id}/2026-08")) == 2
        assert len(SettlementBook(store).versions("ppa/city-hall/2026-08")) == 2


@pytest.fixture
def db(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "site.db")
    with open_store(f"sqlite:///{path}", durability="process") as store:
        fill(store, *told())
        assert Journal(store).verify().entries == 0
    valley = tmp_path / "valley.csv"
    ends = [GRID.time(k + 1).astimezone(JST).isoformat() for k in range(GRID.count)]
    rows = "\n".join(f"{at},{value}" for at, value in zip(ends, VALLEY.tolist(), strict=True))
    valley.write_text(f"timestamp,kwh\n{rows}\n", encoding="utf-8")
    with small():
        yield path


@contextmanager
def small() -> Iterator[None]:
    real = load_scenario("kitakata")

    def site(_name: str) -> tuple[Scenario, Path]:
        return replace(real[0], site=SITE), real[1]

    with patch("vpp.simulation.scenario.load_scenario", site):
        yield


def test_the_command_keeps_the_invoices_with_their_files_and_a_trace_of_each_figure(db: str) -> None:
    valley = f"valley={Path(db).parent / 'valley.csv'}"
    words = ("settle", "month", "kitakata", "2026-08", "--db", db)
    more = ("--supply", str(ROOT / "examples/ppa-city-hall.yaml"), "--generation", valley)
    status, out, err = vpp(*words, *more, "--json", "--keep")
    assert status == 0, err
    printed = json.loads(out)
    assert [one["contract"] for one in printed["ppa"]] == ["roof-ppa", "valley-ppa"]
    for lang, said in (("en", "Purchase agreement: valley-ppa"), ("ja", "電力購入契約（PPA）: valley-ppa")):
        assert said in vpp(*words, *more, lang=lang)[1]
    assert "Nothing new" in vpp(*words, *more, "--keep", at=NOON + timedelta(days=1))[2]
    told_json = vpp("audit", "trace", "month/kitakata/2026-08", "--db", db, "--json")[1]
    kept = json.loads(told_json)["made_from"]["settlement"]
    assert {"lines.ppa.roof-ppa", "ppa.valley-ppa.tax_yen", "ppa.roof-ppa.delivered_kwh"} <= kept[
        "trace"
    ].keys()
    assert {one["role"] for one in kept["evidence"]} == {"supply", "valley"}
    traced = vpp(
        "audit", "trace", "month/kitakata/2026-08", "--figure", "ppa.valley-ppa.total_yen", "--db", db
    )
    assert f"= {printed['ppa'][1]['total_yen']}" in traced[1] or " + " in traced[1]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--generation", "valley=x.csv"), "generation without an agreement"),
        (
            ("--supply", str(ROOT / "examples/ppa-city-hall.yaml"), "--generation", "hill=x.csv"),
            "no agreement is about plant 'hill'",
        ),
        (("--supply", "none.yaml"), "none.yaml"),
    ],
)
def test_agreements_that_cannot_be_read_are_named(
    more: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    status, _, err = vpp("settle", "month", "kitakata", "2026-08", "--db", str(tmp_path / "x.db"), *more)
    assert status in {2, 3}
    assert complaint in err


def test_without_agreements_nothing_changes() -> None:
    made = account(*told(), None)
    assert "ppa" not in document(made)
    assert made.kwh == Decimal(made.bill.kwh)
