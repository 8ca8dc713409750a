"""What people ask of a site: to leave at a time, to charge now, not to give back today, to hold a room.

Acts are documents in the store, never changed: who asked for what, when, until when, and who ended it. The
loop reads those in force (:func:`wishes_at`), plans with them and obeys them inside the envelope.
"""

from vpp.wishes.acts import (
    Act,
    ChargeNow,
    Departure,
    Ended,
    EndedWhy,
    HoldPower,
    HoldRoom,
    NoDischarge,
    PersonsWish,
)
from vpp.wishes.book import WISH, WishBook, end_reached, wishes_at, wishes_of
from vpp.wishes.obey import Asked, asked_now, manual, problem_with_wishes, told_why, trips_with
from vpp.wishes.possible import CarNow, Possible, car_now, possible_departure

__all__ = [
    "WISH",
    "Act",
    "Asked",
    "CarNow",
    "ChargeNow",
    "Departure",
    "Ended",
    "EndedWhy",
    "HoldPower",
    "HoldRoom",
    "NoDischarge",
    "PersonsWish",
    "Possible",
    "WishBook",
    "asked_now",
    "car_now",
    "end_reached",
    "manual",
    "possible_departure",
    "problem_with_wishes",
    "told_why",
    "trips_with",
    "wishes_at",
    "wishes_of",
]
