"""Few legal reads: points that lie close together are read in one request, within the device's limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from devices.profile import Wire
from devices.transport import Space

__all__ = ["Block", "Item", "plan_reads", "split"]


@dataclass(frozen=True, slots=True)
class Item:
    """Registers that must be read together: a value, and its scale factor if it has one.

    ``name`` and ``unit`` say whose they are.
    """

    name: str
    unit: int
    space: Space
    start: int
    count: int

    @property
    def end(self) -> int:
        """First register after the item."""
        return self.start + self.count


@dataclass(frozen=True, slots=True)
class Block:
    """One read request and the items in it."""

    space: Space
    start: int
    count: int
    items: tuple[Item, ...]

    @property
    def end(self) -> int:
        """First register after the block."""
        return self.start + self.count


def _block(items: list[Item], *, even_only: bool) -> Block:
    start = min(item.start for item in items)
    end = max(item.end for item in items)
    if even_only:
        start -= start % 2
        end += end % 2
    return Block(items[0].space, start, end - start, tuple(items))


def plan_reads(items: Iterable[Item], wire: Wire) -> tuple[Block, ...]:
    """Requests that read all items.

    Parameters
    ----------
    items : iterable of Item
        What to read.
    wire : Wire
        Limits of the device: registers per request, largest gap, even addresses only.

    Returns
    -------
    tuple of Block
        Each item lies whole in exactly one block; no block breaks a limit, unless a single item does.
    """
    blocks: list[Block] = []
    pending: list[Item] = []
    for item in sorted(items, key=lambda item: (item.space, item.start, item.end, item.name, item.unit)):
        if pending:
            merged = _block([*pending, item], even_only=wire.even_only)
            reach = max(other.end for other in pending)
            near = item.space is pending[0].space and item.start - reach <= wire.max_gap
            if not wire.block_read:  # each value on its own; two readings of one register share a request
                near = near and (item.start, item.end) == (pending[0].start, reach)
            if not near or merged.count > wire.max_read:
                blocks.append(_block(pending, even_only=wire.even_only))
                pending = []
        pending.append(item)
    if pending:
        blocks.append(_block(pending, even_only=wire.even_only))
    return tuple(blocks)


def split(block: Block, wire: Wire) -> tuple[Block, ...]:
    """Two smaller requests in place of one that the device does not like, or none for a single item.

    Items that share registers stay together.
    """
    ordered = sorted(block.items, key=lambda item: (item.start, item.end))
    middle = len(ordered) // 2
    for cut in sorted(range(1, len(ordered)), key=lambda index: abs(index - middle)):
        if max(item.end for item in ordered[:cut]) <= ordered[cut].start:
            return (
                _block(ordered[:cut], even_only=wire.even_only),
                _block(ordered[cut:], even_only=wire.even_only),
            )
    return ()
