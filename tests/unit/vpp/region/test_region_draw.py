"""Regions drawn from real series: the same again, different from each other, honest about their sources."""

from __future__ import annotations

import os
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from dispatch.validate import require_sound
from energy.core.errors import DataError
from energy.core.plan import problem_to_json
from vpp.region.draw import KINDS, DrawnSites, Request
from vpp.region.pools import load_pools
from vpp.region.summary import describe


def test_a_seed_gives_the_same_sites_every_time_and_another_seed_gives_others() -> None:
    first = DrawnSites(Request(sites=12, seed=3), 0, 12).sites()
    again = DrawnSites(Request(sites=12, seed=3), 0, 12).sites()
    other = DrawnSites(Request(sites=12, seed=4), 0, 12).sites()
    assert [problem_to_json(a.problem) for a in first] == [problem_to_json(b.problem) for b in again]
    assert [problem_to_json(a.problem) for a in first] != [problem_to_json(b.problem) for b in other]


def test_a_site_does_not_depend_on_how_many_others_there_are_or_which_block_it_is_in() -> None:
    small = DrawnSites(Request(sites=60, seed=3), 0, 60).sites()[40]
    large = DrawnSites(Request(sites=80, seed=3), 40, 41).sites()[0]
    assert small.problem == large.problem


def test_all_sites_can_be_planned_except_those_with_a_fault() -> None:
    sites = DrawnSites(Request(sites=120, seed=1, failures=0.0), 0, 120).sites()
    for site in sites:
        require_sound(site.problem)
    spoilt = DrawnSites(Request(sites=120, seed=1, failures=1.0), 0, 120).sites()
    refused = 0
    for site in spoilt:
        try:
            require_sound(site.problem)
        except DataError:
            refused += 1
    assert 0 < refused < 120  # the others have a promise that nobody can keep


def test_kinds_come_in_the_shares_that_are_stated() -> None:
    sites = DrawnSites(Request(sites=200, seed=0), 0, 200).sites()
    found = Counter(site.problem.site.rsplit("-", 1)[1] for site in sites)
    for kind in KINDS:
        assert abs(found[kind.name] / 200 - kind.share) < 0.02


def test_a_thousand_sites_use_about_as_much_as_the_leading_area() -> None:
    told, _ = describe(Request(sites=150, seed=2))
    assert told["year_gwh"] / 0.15 == pytest.approx(44.0, rel=0.2)


def test_sites_differ_in_size_shape_and_what_they_have() -> None:
    sites = DrawnSites(Request(sites=100, seed=0), 0, 100).sites()
    loads = np.array([s.problem.load_p50_kw for s in sites if np.isfinite(s.problem.load_p50_kw).all()])
    shapes = loads / loads.mean(axis=1, keepdims=True)
    assert loads.mean(axis=1).max() > 30 * np.median(loads.mean(axis=1))
    assert np.corrcoef(shapes)[np.triu_indices(len(shapes), 1)].mean() < 0.6
    assert len({(len(s.problem.cars), len(s.problem.zones), len(s.problem.pv)) for s in sites}) > 10
    assert {site.coordinated for site in sites} == {site.joins_dr for site in sites} == {True, False}


def test_exchangeable_sites_are_of_one_kind_and_have_no_fault() -> None:
    sites = DrawnSites(Request(sites=40, seed=0, exchangeable=True, failures=1.0), 0, 40).sites()
    assert {(len(s.problem.cars), len(s.problem.zones)) for s in sites} == {(4, 2)}
    assert all(site.coordinated for site in sites)
    for site in sites:
        require_sound(site.problem)


def test_a_summer_day_cools_and_a_sunday_has_other_loads() -> None:
    summer = DrawnSites(Request(sites=20, seed=0, day=date(2026, 8, 4), failures=0.0), 0, 20).sites()
    signs = {sign for site in summer for zone in site.problem.zones for sign in zone.mode_sign}
    assert signs == {-1}
    sunday = DrawnSites(Request(sites=20, seed=0, day=date(2026, 8, 2), failures=0.0), 0, 20).sites()
    assert [s.problem.load_p50_kw for s in summer] != [s.problem.load_p50_kw for s in sunday]
    for site in [*summer, *sunday]:
        require_sound(site.problem)


def test_without_a_data_folder_every_source_is_shipped_and_says_what_it_stands_for() -> None:
    told = load_pools().sources()
    assert all(pool["shipped"] for pool in told)
    assert {pool["pool"] for pool in told} == {*(kind.name for kind in KINDS), "visits"}
    assert str(next(p["source"] for p in told if p["pool"] == "campus")).startswith("in its place")
    assert str(next(p["source"] for p in told if p["pool"] == "visits")).startswith("assumed")


def test_published_series_replace_the_shipped_ones_and_are_named() -> None:
    named = os.environ.get("VPP_DATA_DIR")
    if not named:
        pytest.skip("VPP_DATA_DIR does not name the folder of published files")
    told = {pool["pool"]: pool for pool in load_pools(Path(named)).sources()}
    assert not told["visits"]["shipped"]
    assert "ACN" in str(told["visits"]["source"])
    sites = DrawnSites(Request(sites=30, seed=0, data=Path(named), failures=0.0), 0, 30).sites()
    for site in sites:
        require_sound(site.problem)
