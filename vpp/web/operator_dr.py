"""How an event of demand response goes: asked, called, delivered and projected, half hour by half hour."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from energy.store import Store
from vpp.i18n import Messages
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_track import Due, Tracked, track
from vpp.site.sitebook import site_names

__all__ = ["MOST_SITES", "tracking"]

MOST_SITES: Final = 200
"""Called sites up to which a page works deliveries out; each takes 45 days of readings."""
_WHY: Final = {
    "no consent now": "operator_dr.no_consent",
    "no readings": "operator_dr.no_readings",
    "too few days for a baseline": "operator_dr.few_days",
}


def tracking(store: Store, event: DrEvent, now: datetime, words: Messages, *, actor: str) -> dict[str, Any]:
    """What the page of an event says of its delivery; empty before its first half hour is over.

    Readings of persons are looked at only with their consent, and each refusal stands in the audit trail.

    Parameters
    ----------
    actor : str
        Who looks.
    """
    if not event.calls or now < event.slots()[0].end:
        return {}
    if len(event.taking_part()) > MOST_SITES:
        return {"many": words.text("operator_dr.many", most=MOST_SITES)}
    found = track(store, event, {}, at=now, actor=actor)
    return {
        "many": "",
        "lead": _lead(event, found, words),
        "slots": [
            {
                "when": words.slot(one.slot.start),
                "asked": words.kwh(float(one.promised_kwh)),
                "called": words.kwh(float(one.called_kwh)),
                "delivered": words.kwh(float(one.delivered_kwh)),
                "unread": one.unread,
                "short": one.delivered_kwh < one.promised_kwh,
            }
            for one in found.slots
        ],
        "sites": _sites(store, now, event, found, words),
    }


def _lead(event: DrEvent, found: Tracked, words: Messages) -> str:
    asked = event.target_kw * len(event.slots()) / 2
    told = words.text(
        "operator_dr.until_now",
        delivered=words.kwh(float(found.delivered_kwh)),
        asked=words.kwh(float(asked)),
    )
    if found.projected_kwh is None or found.projected_kwh == found.delivered_kwh:
        return told
    return told + words.text("operator_dr.projected", projected=words.kwh(float(found.projected_kwh)))


def _sites(
    store: Store, now: datetime, event: DrEvent, found: Tracked, words: Messages
) -> list[dict[str, str]]:
    """Each call with what came of it; a site that was released or stands in says since when."""
    rows = []
    names = site_names(store, now, [call.site for call in event.calls], words.lang)
    last = {call.site: call for call in event.calls}  # money is by site, not by call
    for call in event.calls:
        mine = [
            one
            for one in found.sites
            if one.site == call.site and call.start <= one.slot.start and one.slot.end <= call.end
        ]
        read = [one.delivered_kwh for one in mine if one.delivered_kwh is not None]
        why = "" if len(read) == len(mine) else found.why.get(call.site, "")
        fails = found.failing.get(call.site)
        rows.append(
            {
                "site": names[call.site],
                "when": f"{words.moment(call.start)} - {words.moment(call.end)}",
                "called": words.kwh(float(sum(one.called_kwh for one in mine))),
                "delivered": words.kwh(float(sum(read))) if read else "-",
                "due": _due(found.due.get(call.site), words) if call is last[call.site] else "",
                "state": _state(event, call.start, call.end, words),
                "fails": "" if fails is None else words.text(f"operator_dr.fails_{fails}"),
                "why": "" if not why else words.text(_WHY.get(why, "operator_dr.gap")),
            }
        )
    return rows


def _due(due: Due | None, words: Messages) -> str:
    """What counts of a delivery and what it is worth; the yen only where a price is agreed."""
    if due is None:
        return "-"
    counted = words.kwh(float(due.kwh))
    return counted if due.yen is None else f"{counted} · {words.yen(float(due.yen))}"


def _state(event: DrEvent, start: datetime, end: datetime, words: Messages) -> str:
    if end < event.end:
        return words.text("operator_dr.released", at=words.moment(end))
    return words.text("operator_dr.stands_in", at=words.moment(start)) if start > event.start else ""
