"""Many sites are measured and billed on workers: the same with one, two, a cluster, one that is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from energy.core.slots import JST, jst_midnight, parse_jst
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.market.tariff_file import TariffFile
from energy.store import open_store
from tests.arch.rules import ROOT
from vpp.config import read_yaml
from vpp.region.crew import Executor, open_executor, peak_rss_mb
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import Measuring
from vpp.settlement.dr_settled import SettledSite
from vpp.settlement.dr_settling import settle_sites
from vpp.settlement.many import BillTask, NoBill, bill_sites

SITES = 10
START = parse_jst("2026-11-25 17:00")
END = START + timedelta(hours=2)


def run_on(crew: Executor, victim: int | None = None) -> Callable[..., list[Any]]:
    """Work goes to a crew; a worker is killed before the first of it."""

    def run(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        if victim is not None:
            os.kill(victim, signal.SIGKILL)
        return crew.run(function, calls, at=range(len(calls)))

    return run


@pytest.fixture(scope="module")
def meters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Thirty days of each site; one meter lacks most of its days, one is not there."""
    folder = tmp_path_factory.mktemp("meters")
    first = jst_midnight(START.astimezone(JST).date()) - timedelta(days=29)
    paths = {}
    for site in range(SITES - 1):
        rows = ["timestamp,kwh"]
        for k in range(48 * (2 if site == 3 else 30)):
            begin = (
                first + k * timedelta(minutes=30)
                if site != 3
                else START - timedelta(hours=3) + k * timedelta(minutes=30)
            )
            used = 5.0 + site + (k % 48) / 10.0 - (1.5 if START <= begin < END else 0.0)
            rows.append(f"{(begin + timedelta(minutes=30)).astimezone(JST).isoformat()},{used:.3f}")
        paths[f"site-{site}"] = folder / f"site-{site}.csv"
        paths[f"site-{site}"].write_text("\n".join(rows) + "\n", encoding="utf-8")
    return paths


def settled(meters: dict[str, Path], **how: Any) -> list[SettledSite]:
    """What all sites of one event delivered."""
    with open_store("sqlite://") as store:
        book, told = EventBook(store), START - timedelta(hours=6)
        event = DrEvent(
            id="e-1",
            product=Product.ECONOMIC,
            modification=0,
            start=START,
            end=END,
            target_kw=Decimal(30),
            announced_at=told - timedelta(days=1),
        )
        book.announce(event, at=told - timedelta(days=1), actor="desk")
        chosen = [Resource(site=f"site-{k}", kw=Decimal(3)) for k in range(SITES)]
        book.nominate("e-1", chosen, at=told, actor="desk")
        terms = Measuring(meters=meters, yen_per_kwh=Decimal(30))
        return settle_sites(
            store, book.require("e-1"), terms, at=END + timedelta(hours=1), actor="desk", size=3, **how
        )


@pytest.fixture(scope="module")
def here(meters: dict[str, Path]) -> list[SettledSite]:
    return settled(meters)


def test_what_is_measured_here_is_a_reduction_of_three_kilowatts(here: list[SettledSite]) -> None:
    whole = [one for one in here if not one.why]
    assert len(whole) == SITES - 2
    assert {float(one.delivered_kwh or 0) for one in whole} == {6.0}
    assert {one.site: one.why for one in here if one.why} == {
        "site-3": "too few days for a baseline",
        f"site-{SITES - 1}": "no meter file",
    }


def test_two_processes_and_one_that_is_killed_settle_the_same(
    meters: dict[str, Path], here: list[SettledSite]
) -> None:
    with open_executor("process", 2) as crew:
        assert settled(meters, run=run_on(crew)) == here
        victim = crew.run(peak_rss_mb, [()], at=[0])[0][0]
        assert settled(meters, run=run_on(crew, victim)) == here
        assert crew.lost == 1


def test_a_dask_cluster_of_two_workers_of_which_one_is_killed_settles_the_same(
    meters: dict[str, Path], here: list[SettledSite]
) -> None:
    pytest.importorskip("distributed")
    with open_executor("local-dask", 2) as crew:
        victim = crew.run(peak_rss_mb, [(), ()], at=[0, 1])[0][0]
        assert settled(meters, run=run_on(crew, victim)) == here


def test_bills_of_many_sites_are_the_same_on_workers_and_one_bad_meter_stops_nobody(
    tmp_path: Path,
) -> None:
    tariff = read_yaml(ROOT / "examples" / "tariff-high-voltage.yaml", TariffFile)
    first = jst_midnight(date(2026, 10, 1))
    tasks = []
    for site in range(6):
        rows = ["timestamp,kwh"]
        for k in range(48 * (20 if site == 2 else 31)):
            stamp = (first + (k + 1) * timedelta(minutes=30)).astimezone(JST).isoformat()
            rows.append(f"{stamp},{0.1 * (site + 1):.3f}")
        path = tmp_path / f"home-{site}.csv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
        tasks.append(BillTask(f"home-{site}", tariff, path))
    alone = bill_sites(tasks, "2026-10")
    assert [site for site, bill in alone.items() if isinstance(bill, NoBill)] == ["home-2"]
    assert "2026-10" in str(alone["home-2"])
    with open_executor("process", 2) as crew:
        victim = crew.run(peak_rss_mb, [()], at=[1])[0][0]
        assert bill_sites(tasks, "2026-10", run=run_on(crew, victim), size=2) == alone
