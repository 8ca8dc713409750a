"""The week of a region in sentences, for the terminal and the page."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from vpp.i18n import Messages

__all__ = ["party", "sentences", "share_words", "when"]

_SHOWN = 5


def when(document: dict[str, Any], slot: int, messages: Messages) -> str:
    """Day and time of a half-hour, in Japan."""
    day = date.fromisoformat(document["first_day"]) + timedelta(days=slot // 48)
    return f"{messages.day(day)} {slot % 48 // 2:02d}:{30 * (slot % 2):02d}"


def party(name: str, messages: Messages) -> str:
    """Name of a party in the reader's language."""
    return messages.text(f"region_week.party_{name.replace('-', '_')}")


def sentences(document: dict[str, Any], messages: Messages) -> list[str]:
    """What came of the week: the result first, then what was not kept, by name."""
    alone, together = document["parts"]["alone"], document["parts"]["together"]
    found = [
        _result(document, messages),
        messages.text(
            "region_week.imbalance",
            alone=messages.yen(alone["imbalance"]["beyond_spot_yen"]),
            together=messages.yen(together["imbalance"]["beyond_spot_yen"]),
            rms_alone=messages.kw(alone["off_plan_rms_kw"]),
            rms_together=messages.kw(together["off_plan_rms_kw"]),
        ),
        messages.text(
            "region_week.green",
            matched=share_words(together["matched_share"], messages),
            local=share_words(together["local_share"], messages),
            co2=messages.quantity(together["co2_kg"] / 1000.0, "t"),
        ),
        *_evening(document, messages),
        *_feeders(document, messages),
        *_departures(document, messages),
        messages.text(
            "region_week.rooms",
            outside=messages.number(together["discomfort_kh"] - together["unheld_kh"]),
            alone=messages.number(alone["discomfort_kh"] - alone["unheld_kh"]),
            unheld=messages.number(together["unheld_kh"]),
        ),
        _plans(document, messages),
    ]
    for site, fault in list(document["left_out"].items())[:_SHOWN]:
        found.append(messages.text("region.left_out", site=site, fault=fault))
    return found


def share_words(share: float | None, messages: Messages) -> str:
    """A share as percent; a word where there is none."""
    return messages.text("chart.missing") if share is None else messages.percent(share, 1)


def _result(document: dict[str, Any], messages: Messages) -> str:
    alone, together = document["parts"]["alone"], document["parts"]["together"]
    total = {
        mode: part["energy_yen"] + part["peak_yen"] + part["imbalance"]["beyond_spot_yen"]
        for mode, part in document["parts"].items()
    }
    change = total["alone"] - total["together"]
    return messages.text(
        f"region_week.result_{'less' if change >= 0 else 'more'}",
        sites=document["sites"],
        days=document["days"],
        change=messages.yen(abs(change)),
        total=messages.yen(total["alone"]),
        peak_alone=messages.kw(alone["peak_kw"]),
        peak_together=messages.kw(together["peak_kw"]),
    )


def _evening(document: dict[str, Any], messages: Messages) -> list[str]:
    dr = document["dr"]
    if dr is None:
        return [messages.text("region_week.no_evening")]
    return [
        messages.text(
            "region_week.evening",
            when=when(document, dr["first_slot"], messages),
            called=messages.kwh(dr["called_kwh"]),
            really=messages.kwh(dr["really_kwh"]),
            share=messages.percent(dr["really_kwh"] / dr["called_kwh"]) if dr["called_kwh"] else "0 %",
            sites=dr["sites_called"],
        ),
        messages.text(
            "region_week.settled",
            kwh=messages.kwh(dr["settled_kwh"]),
            yen=messages.yen(dr["settled_yen"]),
            points=messages.number(dr["points"], 0),
            persons=dr["persons_with_points"],
            fleet_points=messages.number(dr["fleet_points"], 0),
            fleets=dr["fleets_with_points"],
            unmeasured=len(dr["unmeasured"]),
        ),
    ]


def _feeders(document: dict[str, Any], messages: Messages) -> list[str]:
    """Where feeders carried too much; by name where all that could give way had."""
    alone, together = document["parts"]["alone"], document["parts"]["together"]
    told = [
        messages.text(
            "region_week.feeders",
            alone=alone["feeder_slots_over"],
            together=together["feeder_slots_over"],
            most=messages.kw(together["feeder_most_over_kw"]),
        )
    ]
    named = [
        messages.text("region_week.feeder_short", feeder=one["feeder"], count=one["together_short_slots"])
        for one in document["feeders"]
        if one["together_short_slots"]
    ] + [
        messages.text(
            "region_week.feeder_blind",
            feeder=one["feeder"],
            count=one["together_blind_slots"],
            sites=", ".join(one["unforeseen"]),
        )
        for one in document["feeders"]
        if one["together_blind_slots"]
    ]
    told += named[:_SHOWN]
    if len(named) > _SHOWN:
        told.append(messages.text("region.more", count=len(named) - _SHOWN))
    return told


def _departures(document: dict[str, Any], messages: Messages) -> list[str]:
    together = document["parts"]["together"]
    told = [
        messages.text(
            "region_week.departures",
            departures=together["departures"],
            missed=together["departures_missed"],
            hopeless=together["departures_hopeless"],
        )
    ]
    for kind in ("missed", "hopeless"):
        sites = document["promises"]["together"][kind]
        told += [
            messages.text(f"region_week.{kind}", site=site, count=count)
            for site, count in list(sites.items())[:_SHOWN]
        ]
        if len(sites) > _SHOWN:
            told.append(messages.text("region.more", count=len(sites) - _SHOWN))
    return told


def _plans(document: dict[str, Any], messages: Messages) -> str:
    plans, spent = document["plans"], document["spent"]
    return messages.text(
        "region_week.plans",
        plans=plans["plans"],
        gap=share_words(plans["gap_mean"], messages),
        worst=share_words(plans["gap_worst"], messages),
        violation=messages.number(plans["violation"], 3),
        seconds=messages.number(spent["warm_s"] + spent["alone_s"] + spent["together_s"], 0),
        memory=messages.number(spent["peak_rss_mb"], 0),
    )
