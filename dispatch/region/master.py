"""The region's own program: which mixture of the sites' bids costs least under the shared limits.

``min sum c[k] w[k] + sum over rows of phi(S)``, ``S = sum P[k] w[k] + S0``, the shares ``w`` of each cell of
sites sum to 1, ``phi`` convex and piecewise linear. Each cell's first bid stands, and the others enter as
what they change of it: most leave most half-hours as they are, so two thirds of the entries are zero. It is
solved by interior point without crossover: duals from the middle of the optimal face swing less from round to
round than those of a vertex (Gondzio, Gonzalez-Brevis, Munari 2013, primal-dual column generation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from dispatch.region.limits import Accounts
from dispatch.region.program import Arrays, highs, load
from energy.core.series import FloatArray

__all__ = ["Columns", "Mixture", "solve_master"]

_DUST = 1e-8
_NOTHING = 1e-7  # kW: what two answers of a site differ by from rounding


@dataclass(frozen=True, slots=True)
class Columns:
    """Bids of cells: sites of one feeder and one standing towards all limits, added up.

    Parameters
    ----------
    yen : ndarray, shape (rounds, cells)
        NaN where a cell has no bid in a round.
    power_kw, drop_kw : ndarray, shape (rounds, cells, slots)
        [kW]
    member : ndarray of bool, shape (accounts, cells)
        Which groups a cell counts in.
    """

    yen: FloatArray
    power_kw: FloatArray
    drop_kw: FloatArray
    member: np.ndarray


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of the bids, shape (rounds, cells), and a price of each row. [-, yen/kW]"""

    share: FloatArray
    prices: FloatArray


def solve_master(columns: Columns, accounts: Accounts, fixed_kw: FloatArray, *, tolerance: float) -> Mixture:
    """The best mixture of the bids so far, and the prices that go with it.

    Parameters
    ----------
    fixed_kw : ndarray, shape (rows,)
        What sites that nobody moves add to each row. [kW]
    tolerance : float
        Of the interior point method. [-]
    """
    rounds, cells = columns.yen.shape
    known = np.isfinite(columns.yen)
    first = known.argmax(axis=0)  # of each cell's bids: the others enter as what they change of it
    at = first, np.arange(cells)
    others = known.copy()
    others[at] = False
    k_of, c_of = np.nonzero(others)
    number = np.full((rounds, cells), -1)
    number[others] = np.arange(len(k_of))
    segment, live = _live_rows(columns, accounts, fixed_kw, known)
    slope = np.take_along_axis(accounts.slopes, segment[:, None], axis=1)[:, 0]
    changes = Columns(
        columns.yen - columns.yen[at], columns.power_kw - columns.power_kw[at],
        columns.drop_kw - columns.drop_kw[at], columns.member,
    )  # fmt: skip
    every = _bid_entries(changes, accounts, number).tocsr()
    # where no mixture leaves a segment, its slope is all that the row costs
    cost = changes.yen[others] + every[~live].T @ slope[~live]
    bids, levels, slopes = every[live], accounts.levels[live], accounts.slopes[live]
    convex = sp.coo_matrix((np.ones(len(k_of)), (c_of, np.arange(len(k_of)))), shape=(cells, len(k_of)))
    m, rows = levels.shape[1], len(levels)
    # S = level[0] - v + s[0] + ... + s[m-1]: v below all levels, s[j] between levels j and j+1
    segments = sp.hstack([sp.identity(rows), *[-sp.identity(rows)] * m])
    matrix = sp.bmat([[bids, segments], [convex, None]]).tocsc()
    widths = np.full((rows, m), np.inf)
    widths[:, :-1] = np.diff(levels, axis=1)
    right = levels[:, 0] - (fixed_kw + _firsts(columns, accounts, at))[live]
    program = Arrays(
        cost=np.concatenate([cost, -slopes[:, 0], slopes[:, 1:].T.ravel()]),
        lower=np.zeros(matrix.shape[1]),
        upper=np.concatenate([np.full(len(k_of) + rows, np.inf), widths.T.ravel()]),
        row_lower=np.concatenate([right, np.full(cells, -np.inf)]),
        row_upper=np.concatenate([right, np.ones(cells)]),
        starts=matrix.indptr.astype(np.int32),
        index=matrix.indices.astype(np.int32),
        value=matrix.data,
        by_row=False,
    )
    solver = highs(solver="ipm", run_crossover="off", ipm_optimality_tolerance=tolerance)
    load(solver, program)
    solver.run()
    answer = solver.getSolution()
    share = np.zeros((rounds, cells))
    share[others] = np.maximum(0.0, np.array(answer.col_value)[: len(k_of)])
    share[at] = np.maximum(0.0, 1.0 - share.sum(axis=0))
    share[share < _DUST] = 0.0
    # HiGHS' dual of a row is the change of cost with its right-hand side, here minus the fixed power
    prices = slope.copy()
    prices[live] = -np.array(answer.row_dual)[:rows]
    return Mixture(share / share.sum(axis=0), accounts.within(prices))


def _live_rows(
    columns: Columns, accounts: Accounts, fixed_kw: FloatArray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Segment of each row at the least that the bids can sum to, and whether the most lies in another one."""
    least, most = fixed_kw.copy(), fixed_kw.copy()
    for a, part in enumerate(accounts.parts):
        table = columns.drop_kw if part.droppable else columns.power_kw
        mine = table[:, columns.member[a]][:, :, part.slots]
        there = known[:, columns.member[a], None]
        least[part.rows] += np.where(there, mine, np.inf).min(axis=0).sum(axis=0)
        most[part.rows] += np.where(there, mine, -np.inf).max(axis=0).sum(axis=0)
    segment = (least[:, None] > accounts.levels).sum(axis=1)
    return segment, (most[:, None] > accounts.levels).sum(axis=1) != segment


def _firsts(columns: Columns, accounts: Accounts, at: tuple[np.ndarray, np.ndarray]) -> FloatArray:
    """What the first bids of all cells sum to in each row. [kW]"""
    power, drop = columns.power_kw[at], columns.drop_kw[at]
    sums = np.zeros(accounts.rows)
    for a, part in enumerate(accounts.parts):
        sums[part.rows] = (drop if part.droppable else power)[columns.member[a]].sum(axis=0)[part.slots]
    return sums


def _bid_entries(columns: Columns, accounts: Accounts, number: np.ndarray) -> sp.coo_matrix:
    """What each bid changes in each row."""
    values, rows, cols = [], [], []
    count = int(number.max(initial=-1)) + 1
    for a, part in enumerate(accounts.parts):
        table = columns.drop_kw if part.droppable else columns.power_kw
        k, c = np.nonzero((number >= 0) & columns.member[a])
        block = table[k, c][:, part.slots]
        values.append(block.ravel())
        cols.append(np.repeat(number[k, c], len(part.slots)))
        rows.append(np.tile(np.arange(part.first, part.first + len(part.slots)), len(k)))
    if not values:
        return sp.coo_matrix((0, count))
    flat = np.concatenate(values)
    kept = np.abs(flat) > _NOTHING
    place = np.concatenate(rows)[kept], np.concatenate(cols)[kept]
    return sp.coo_matrix((flat[kept], place), shape=(accounts.rows, count))
