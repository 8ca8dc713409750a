"""Settlement of many sites: chunks of them go to whoever works, here or elsewhere, and come to the same.

``run`` is all that is asked of a worker pool: do a function for many arguments and keep their order. That of
:mod:`vpp.region.crew` does it in processes or on a cluster, and again elsewhere when a worker dies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from energy.core.errors import VppError
from energy.market.tariff_file import TariffFile
from vpp.settlement.billing import MeteredBill, metered_bill
from vpp.settlement.files import read_meter

__all__ = ["CHUNK", "BillTask", "NoBill", "Run", "bill_sites", "chunks", "here"]

T = TypeVar("T")

Run = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], list[Any]]
"""Does a function for many arguments, in order; on workers, or here."""

CHUNK: Final = 25  # sites that a worker gets at a time


def here(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """In this process."""
    return [function(*call) for call in calls]


def chunks(items: Sequence[T], size: int = CHUNK) -> list[Sequence[T]]:
    """Items in order, so many at a time."""
    return [items[k : k + size] for k in range(0, len(items), size)]


@dataclass(frozen=True, slots=True)
class BillTask:
    """A site that is to be billed: its contract and its meter file."""

    site: str
    tariff: TariffFile
    meter: Path


@dataclass(frozen=True, slots=True)
class NoBill:
    """Why a site could not be billed; the others were."""

    why: str


def bill_sites(
    tasks: Iterable[BillTask], month: str, *, run: Run = here, size: int = CHUNK
) -> Mapping[str, MeteredBill | NoBill]:
    """Bills of a calendar month by site; readings are opened chunk by chunk, where the work is done.

    A site whose meter or contract does not cover the month gets the reason instead of a bill.

    Parameters
    ----------
    month : str
        ``YYYY-MM``.
    run : callable
        Who does it: this process unless said. The bills are the same.
    """
    calls = [(chunk, month) for chunk in chunks(list(tasks), size)]
    return {site: bill for chunk in run(_bill_chunk, calls) for site, bill in chunk}


def _bill_chunk(tasks: Sequence[BillTask], month: str) -> list[tuple[str, MeteredBill | NoBill]]:
    return [(task.site, _bill(task, month)) for task in tasks]


def _bill(task: BillTask, month: str) -> MeteredBill | NoBill:
    try:
        return metered_bill(task.tariff, read_meter(task.meter), month)
    except VppError as error:
        return NoBill(f"{error.what}; {error.where}")
