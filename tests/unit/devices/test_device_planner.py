from __future__ import annotations

from devices.planner import Item, plan_reads, split
from devices.profile import Wire
from devices.transport import Space


def wire(**limits: object) -> Wire:
    return Wire.model_validate({"functions": (3, 4), "max_read": 10, "max_gap": 2, **limits})


def item(start: int, count: int = 1, *, space: Space = Space.HOLDING, name: str = "") -> Item:
    return Item(name or f"p{start}", 0, space, start, count)


def spans(*items: Item, **limits: object) -> list[tuple[str, int, int]]:
    return [(block.space.value, block.start, block.count) for block in plan_reads(items, wire(**limits))]


def test_neighbours_share_a_request() -> None:
    assert spans(item(4), item(0), item(2, 2)) == [("holding", 0, 5)]


def test_a_wide_gap_makes_two_requests() -> None:
    assert spans(item(0), item(3), item(7)) == [("holding", 0, 4), ("holding", 7, 1)]


def test_a_request_never_exceeds_what_the_device_reads_at_once() -> None:
    assert spans(item(0, 4), item(4, 4), item(8, 4)) == [("holding", 0, 8), ("holding", 8, 4)]


def test_tables_are_not_mixed() -> None:
    both = spans(item(0), item(1, space=Space.INPUT))
    assert sorted(both) == [("holding", 0, 1), ("input", 1, 1)]


def test_even_devices_get_even_requests() -> None:
    assert spans(item(5), item(8), even_only=True) == [("holding", 4, 6)]


def test_fields_of_one_register_are_read_once() -> None:
    blocks = plan_reads([item(7, name="state"), item(7, name="plugged")], wire())
    assert [(block.start, block.count, len(block.items)) for block in blocks] == [(7, 1, 2)]


def test_a_block_is_halved_until_only_the_hole_is_left() -> None:
    whole = plan_reads([item(0), item(1), item(2), item(3)], wire())[0]
    left, right = split(whole, wire())
    assert ([left.start, left.count], [right.start, right.count]) == ([0, 2], [2, 2])
    assert split(split(left, wire())[0], wire()) == ()


def test_points_that_share_a_register_are_not_torn_apart() -> None:
    whole = plan_reads([item(0, 2, name="wide"), item(1, name="part"), item(2)], wire())[0]
    left, right = split(whole, wire())
    assert {one.name for one in left.items} == {"wide", "part"}
    assert {one.name for one in right.items} == {"p2"}
