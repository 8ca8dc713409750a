"""Writing beside control, while the database is well and while it is not."""

from __future__ import annotations

import threading

from energy.core.errors import DataError
from vpp.live.clerk import Clerk


def test_work_is_done_in_order() -> None:
    done: list[int] = []
    clerk = Clerk("works")
    for number in range(50):
        clerk.do("number", lambda number=number: done.append(number))
    assert clerk.end() == 0
    assert done == list(range(50))


def test_what_a_locked_database_refuses_is_written_later_and_before_what_came_after() -> None:
    done: list[str] = []
    locked, tried = threading.Event(), threading.Event()
    locked.set()

    def first() -> None:
        tried.set()
        if locked.is_set():
            msg = "database is locked"
            raise OSError(msg)
        done.append("first")

    clerk = Clerk("works")
    clerk.do("first", first)
    clerk.do("second", lambda: done.append("second"))
    assert tried.wait(10)
    for _ in iter(lambda: clerk.trouble, "OSError: database is locked"):
        pass
    locked.clear()
    assert clerk.end() == 0
    assert done == ["first", "second"]
    assert clerk.trouble == ""


def test_what_contradicts_the_store_is_given_up_and_counted() -> None:
    done: list[str] = []

    def contradicts() -> None:
        raise DataError("another text stands there")

    clerk = Clerk("works")
    clerk.do("bad", contradicts)
    clerk.do("good", lambda: done.append("good"))
    assert clerk.end() == 0
    assert (done, clerk.given_up) == (["good"], 1)


def test_what_may_be_left_is_left_while_much_waits() -> None:
    done: list[int] = []
    gate = threading.Event()
    clerk = Clerk("works")
    clerk.do("gate", gate.wait)
    for number in range(3):
        clerk.do("number", lambda number=number: done.append(number))
    clerk.do("leave", lambda: done.append(99), may_be_left=True)
    gate.set()
    clerk.end()
    assert done == [0, 1, 2]
