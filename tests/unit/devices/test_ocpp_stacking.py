"""What holds at a station where limits meet: our lease, the default, the station's most, profiles of others.

The station is npm's ocpp-rpc in strict mode in another process, so every message passes schemas of others.
How it composes profiles follows the text of the standard (OCPP 1.6, 3.13); two ways of stations that do not
are tried beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("ocpp", reason="the extra ocpp is not installed")

from devices.guests import MixedGateway
from devices.ocpp.config import StationConfig
from energy.core.outcome import Applied, Unconfirmed
from tests.unit.devices.npm import NodeProgram, needs_npm, node
from tests.unit.devices.ocpp_bench import CONNECTOR
from tests.unit.devices.test_ocpp_counterparts import ask, central, no_fault, order, place, ready, stamp

pytestmark = needs_npm

SAFE_W, MOST_W = 1500, 5000
AFTER_LEASE_S = 600  # 120 s of lease, and 300 s for clocks that are late


@asynccontextmanager
async def charging(version: str) -> AsyncIterator[tuple[MixedGateway, NodeProgram]]:
    """A station of 5 kW with a running charge; its connector falls back to 1.5 kW."""
    made, gateway = await central(StationConfig("cp-1", {1: CONNECTOR}, max_kw=MOST_W / 1000))
    try:
        async with node("ocpp_station.js", place(made), "cp-1", f"ocpp{version}") as other:
            await other.until("connected")
            if version == "1.6":
                boot: dict[str, Any] = {"chargePointVendor": "Other", "chargePointModel": "One"}
                begin: tuple[str, dict[str, Any]] = (
                    "StartTransaction",
                    {"connectorId": 1, "idTag": "card", "meterStart": 100, "timestamp": stamp()},
                )
            else:
                boot = {"chargingStation": {"vendorName": "Other", "model": "Two"}, "reason": "PowerUp"}
                begin = (
                    "TransactionEvent",
                    {
                        "eventType": "Started",
                        "timestamp": stamp(),
                        "triggerReason": "Authorized",
                        "seqNo": 0,
                        "transactionInfo": {"transactionId": "t-1", "chargingState": "Charging"},
                        "evse": {"id": 1, "connectorId": 1},
                        "idToken": {"idToken": "card", "type": "ISO14443"},
                    },
                )
            await ask(other, "BootNotification", boot)
            await ready(made)
            await ask(other, *begin)
            yield gateway, other
            no_fault(other)
    finally:
        await gateway.close()


async def limit_w(other: NodeProgram) -> float:
    await other.tell({"limit": True})
    return float((await other.until("limit"))["limit"])


async def somebody_else_sets(other: NodeProgram, purpose: str, level: int, watts: float) -> None:
    """A profile from the station's own menu, or its maker's cloud."""
    profile = {
        "chargingProfileId": 7,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": watts}],
        },
    }
    await other.tell({"install": profile, "connector": 1})


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_the_lease_goes_before_the_default_and_the_default_comes_back_after_it(version: str) -> None:
    async with charging(version) as (gateway, other):
        assert await limit_w(other) == SAFE_W
        assert isinstance(await order(gateway, 4.2), Applied)
        assert await limit_w(other) == 4200
        await other.tell({"shift": AFTER_LEASE_S})
        assert await limit_w(other) == SAFE_W


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_the_most_of_the_station_holds_over_an_order_and_the_outcome_says_so(version: str) -> None:
    async with charging(version) as (gateway, other):
        made = await order(gateway, 6.0)
        assert isinstance(made, Unconfirmed)
        assert "shows 5000 W instead of 6000" in str(made)
        assert await limit_w(other) == MOST_W
        await other.tell({"shift": AFTER_LEASE_S})  # it has no end and is under nobody's lease
        await somebody_else_sets(other, "TxDefaultProfile", 3, 9000)
        assert await limit_w(other) == MOST_W


async def test_a_new_order_replaces_the_one_before_and_nothing_piles_up() -> None:
    async with charging("1.6") as (gateway, other):
        for power_kw in (4.2, 2.0, 3.3):
            assert isinstance(await order(gateway, power_kw), Applied)
            assert await limit_w(other) == 1000 * power_kw
        sent = [one["csChargingProfiles"] for one in other.heard("SetChargingProfile")]
        assert {
            (one["chargingProfilePurpose"], one["stackLevel"], one["chargingProfileId"]) for one in sent
        } == {
            ("ChargePointMaxProfile", 0, 1000),
            ("TxDefaultProfile", 0, 1011),
            ("TxProfile", 0, 1012),
        }


async def test_an_order_under_a_higher_level_of_somebody_else_is_not_taken_for_done() -> None:
    async with charging("1.6") as (gateway, other):
        await somebody_else_sets(other, "TxProfile", 5, 2000)
        made = await order(gateway, 4.2)
        assert isinstance(made, Unconfirmed)
        assert "shows 2000 W instead of 4200" in str(made)


async def test_a_profile_of_somebody_else_on_our_level_is_replaced() -> None:
    async with charging("1.6") as (gateway, other):
        await somebody_else_sets(other, "TxProfile", 0, 2000)
        assert await limit_w(other) == 2000
        assert isinstance(await order(gateway, 4.2), Applied)
        assert await limit_w(other) == 4200


async def test_a_higher_default_of_somebody_else_changes_the_fall_back_and_no_order() -> None:
    async with charging("1.6") as (gateway, other):
        await somebody_else_sets(other, "TxDefaultProfile", 5, 3000)
        assert isinstance(await order(gateway, 4.2), Applied)
        assert await limit_w(other) == 4200
        await other.tell({"shift": AFTER_LEASE_S})
        assert (
            await limit_w(other) == 3000
        )  # not our safe power: for the how-to, and for a try at the station


async def test_a_station_that_takes_the_lowest_of_all_is_found_out_by_reading_back() -> None:
    async with charging("1.6") as (gateway, other):
        await other.tell({"composes": "least"})
        made = await order(gateway, 4.2)
        assert isinstance(made, Unconfirmed)
        assert "shows 1500 W instead of 4200" in str(made)


async def test_where_no_profile_ever_ends_the_safe_state_is_said_and_not_waited_for() -> None:
    async with charging("1.6") as (gateway, other):
        await other.tell({"composes": "forever"})
        assert isinstance(await order(gateway, 4.2), Applied)
        await other.tell({"shift": AFTER_LEASE_S})
        assert await limit_w(other) == 4200  # a lease does not help here
        await gateway.safe_state()
        assert await limit_w(other) == SAFE_W
