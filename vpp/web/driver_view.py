"""The driver's card in words: nothing that needs a glossary stands on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from energy.core.slots import JST
from vpp.i18n import Messages, reason_sentence
from vpp.views.drivercard import KM_PER_KWH, DriverCard, Stretch
from vpp.wishes import Departure, PersonsWish

__all__ = ["CardWords", "Step", "card_words"]


@dataclass(frozen=True, slots=True)
class Step:
    """One stretch of the bar and its line below it.

    Parameters
    ----------
    width : str
        Of the bar. [%]
    """

    number: int
    doing: str
    width: float
    when: str
    what: str
    why: str
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardWords:
    """What stands on the card."""

    name: str
    headline: str
    good: bool
    remedy: str
    place: str
    soc: str
    percent: int
    mark: int | None
    range: str
    heard: str
    stale: bool
    steps: tuple[Step, ...]
    ticks: tuple[str, ...]
    asked: tuple[tuple[str, str], ...]
    care: str
    km_per_kwh: str


def card_words(card: DriverCard, m: Messages) -> CardWords:
    """The card as its reader sees it."""
    headline, good, remedy = _headline(card, m)
    soc, leaves = card.state.soc, card.leaves
    reach = card.range_km
    return CardWords(
        name=card.vehicle.name_ja if m.lang == "ja" else card.vehicle.name_en,
        headline=headline,
        good=good,
        remedy=remedy,
        place=_place(card, m),
        soc=m.text("driver.unknown") if soc is None else m.percent(soc),
        percent=0 if soc is None else round(100 * soc),
        mark=None if leaves is None else round(100 * leaves.trip.promise_soc),
        range="" if reach is None else m.text("driver.km", km=m.number(reach, 0)),
        heard=_heard(card, m),
        stale=card.stale,
        steps=tuple(_step(number, one, m) for number, one in enumerate(card.stretches)),
        ticks=_ticks(card),
        asked=tuple((one.id, text) for one in card.wishes if (text := _asked(one, m))),
        care=m.text("driver.care", given=m.kwh(card.care.given_kwh), cycles=m.number(card.care.cycles, 2)),
        km_per_kwh=m.number(KM_PER_KWH, 0),
    )


def _headline(card: DriverCard, m: Messages) -> tuple[str, bool, str]:
    """The sentence on top, whether it is good news, and what would help if not."""
    if card.leaves is None:
        return m.text("driver.no_departure", least=m.percent(card.vehicle.soc_min)), True, ""
    trip, possible = card.leaves.trip, card.leaves.possible
    values = {"at": m.moment(trip.departs), "charge": m.percent(trip.promise_soc)}
    if card.state.soc is None:
        return m.text("driver.unknown_charge", **values), False, ""
    if possible.met:
        return m.text("driver.can_leave", **values), True, ""
    sentence = m.text("driver.leaves_with", **values, most=m.percent(possible.charge))
    if possible.ready_at is None:
        return sentence, False, ""
    return sentence, False, m.text("driver.remedy", **values, ready=m.moment(possible.ready_at))


def _place(card: DriverCard, m: Messages) -> str:
    if card.state.plugged is None:
        return m.text("driver.place_unknown")
    if card.state.plugged:
        return m.text("driver.plugged")
    return m.text("driver.away") if card.back_at is None else m.text("driver.back", at=m.moment(card.back_at))


def _heard(card: DriverCard, m: Messages) -> str:
    if card.state.soc_at is None or card.age is None:
        out = card.state.plugged is not None and not card.state.plugged
        return m.text("screens.read_when_plugged" if out else "driver.never_heard")
    at, hours, minutes = (
        m.moment(card.state.soc_at),
        *divmod(max(0, int(card.age / timedelta(minutes=1))), 60),
    )
    if not hours:
        return m.text("driver.heard_lately", at=at, minutes=minutes)
    return m.text("driver.heard", at=at, hours=hours, minutes=minutes)


def _step(number: int, stretch: Stretch, m: Messages) -> Step:
    first, last = (at.astimezone(JST) for at in (stretch.start, stretch.end))
    # Up to midnight is the same day, as everybody says it.
    days = "from_to" if (last - timedelta(seconds=1)).date() == first.date() else "from_to_next"
    end = "24:00" if days == "from_to" and last.date() != first.date() else f"{last:%H:%M}"
    kw = {"charge": stretch.kw, "give": -stretch.kw}.get(stretch.doing, 0.0)
    more = []
    if stretch.coins:
        more.append(m.text("driver.coins_expected", coins=m.number(stretch.coins, 0)))
    if stretch.km:
        km = m.number(stretch.km, 0)
        at = stretch.refilled_at
        more.append(
            m.text("driver.km_less", km=km)
            if at is None
            else m.text("driver.km_less_until", km=km, at=m.moment(at))
        )
    amount = {"kw": m.kw(stretch.kw), "kwh": m.kwh(stretch.kwh)}
    return Step(
        number=number,
        doing=stretch.doing,
        width=round(100 * stretch.share, 3),
        when=m.text(f"driver.{days}", start=f"{first:%H:%M}", end=end),
        what=m.text(f"driver.does.{stretch.doing}", **amount),
        why=reason_sentence(m, stretch.reason, kind="car", power_kw=kw),
        more=" ".join(more),
    )


def _ticks(card: DriverCard) -> tuple[str, ...]:
    """Times below the bar: its start, and every six hours."""
    if not card.stretches:
        return ()
    first = card.stretches[0].start
    return tuple(f"{(first + timedelta(hours=6 * k)).astimezone(JST):%H:%M}" for k in range(5))


def _asked(wish: PersonsWish, m: Messages) -> str:
    """A wish in force that has no button of its own."""
    until = "" if wish.until is None else m.moment(wish.until)
    act = wish.act
    if not isinstance(act, Departure):
        return m.text(f"driver.asked.{act.kind}", until=until) if act.kind == "hold-power" else ""
    values = {"at": f"{act.at:%H:%M}", "charge": m.percent(act.charge)}
    if act.day is not None:
        return m.text("driver.asked.departure", day=m.day(act.day), **values)
    return m.text("driver.asked.weekly", days=m.text(f"driver.{_every(act)}"), **values)


def _every(act: Departure) -> str:
    return "daily" if len(act.days) == 7 else "workdays"
