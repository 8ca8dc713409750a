"""Who is heard, when an order ends, what happens when equipment does not do it, and what people may do."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from devices.arbiter import Arbiter
from devices.gateway import Access
from energy.core.errors import RefusedError
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    Clipped,
    Command,
    CommandSource,
    DemandStep,
    GenerationLimit,
    NotApplied,
    Order,
    Refused,
    RoomClimate,
    Unconfirmed,
)
from energy.core.units import AssetId
from tests.unit.devices.bench import Bench, bench, quasar
from vpp.loop.standing import StandingOrders

LEAF = AssetId("leaf")


def said(
    made: Bench,
    power_kw: float,
    source: CommandSource,
    issuer: str = "control",
    *,
    minutes: float = 30.0,
) -> Command:
    return replace(
        made.command("leaf", ChargerPower(power_kw)),
        source=source,
        issuer=issuer,
        expires_at=made.clock.now() + timedelta(minutes=minutes),
    )


# Who is heard


async def test_a_person_stands_above_plan_and_guard_and_below_an_emergency() -> None:
    async with bench() as made:
        for source, issuer, power_kw, heard in (
            (CommandSource.PLAN, "control", 2.0, True),
            (CommandSource.MANUAL, "console", 4.0, True),
            (CommandSource.PLAN, "control", 1.0, False),
            (CommandSource.GUARD, "control", 0.0, False),
            (CommandSource.EMERGENCY, "control", -1.0, True),
            (CommandSource.MANUAL, "console", 5.0, False),
        ):
            outcome = await made.gateway.apply(said(made, power_kw, source, issuer))
            assert isinstance(outcome, Applied if heard else Refused), (source, outcome)
            made.step()
            if heard:
                assert quasar(made).power_kw == power_kw
        assert isinstance(outcome, Refused)
        assert "emergency of control stands above it until" in outcome.why


async def test_who_speaks_again_replaces_what_it_said_also_with_less_priority() -> None:
    async with bench() as made:
        await made.gateway.apply(said(made, 0.0, CommandSource.GUARD))
        made.step()
        assert isinstance(await made.gateway.apply(said(made, 3.0, CommandSource.PLAN)), Applied)
        made.step()
        assert quasar(made).power_kw == 3.0


async def test_of_equal_priorities_the_newer_is_heard() -> None:
    async with bench() as made:
        arbiter = Arbiter()
        for issuer in ("first", "second", "first"):
            arbiter.claim(said(made, 1.0, CommandSource.MANUAL, issuer))
            heard = arbiter.heard(LEAF, made.clock.now())
            assert heard is not None
            assert heard.issuer == issuer


async def test_what_is_withdrawn_gives_way_at_once() -> None:
    async with bench() as made:
        await made.gateway.apply(said(made, 2.0, CommandSource.PLAN))
        await made.gateway.apply(said(made, 6.0, CommandSource.MANUAL, "console"))
        await made.gateway.withdraw(LEAF, "console")
        made.step()
        assert quasar(made).power_kw == 2.0
        await made.gateway.withdraw(LEAF, "control")
        made.step()
        assert quasar(made).power_kw == 0.0


# When an order ends


async def test_a_discharge_ends_with_its_order_though_nobody_says_so() -> None:
    async with bench() as made:
        await made.gateway.apply(said(made, -6.0, CommandSource.PLAN, minutes=3.0))
        for _ in range(3):
            made.step()
            await made.gateway.refresh()  # keeps the charger's own timer from ending it
        assert quasar(made).power_kw == -6.0
        made.step()
        assert quasar(made).power_kw == 0.0


async def test_a_limit_ends_with_its_order_though_nobody_says_so() -> None:
    async with bench() as made:
        command = made.command("roof", GenerationLimit(10.0))
        await made.gateway.apply(replace(command, expires_at=made.clock.now() + timedelta(minutes=2)))
        for _ in range(3):
            made.step()
            await made.gateway.refresh()
        made.step()
        assert (await made.values("roof"))["limit_ratio"] == 1.0


async def test_when_a_person_is_done_the_plan_is_heard_again_without_another_word() -> None:
    async with bench() as made:
        await made.gateway.apply(said(made, 6.0, CommandSource.MANUAL, "console", minutes=2.0))
        assert isinstance(await made.gateway.apply(said(made, 1.0, CommandSource.PLAN)), Refused)
        for _ in range(3):
            made.step()
            await made.gateway.refresh()
        made.step()
        assert quasar(made).power_kw == 1.0


async def test_a_silent_device_is_brought_to_its_safe_state_when_it_is_back() -> None:
    async with bench() as made:
        await made.gateway.apply(said(made, 6.0, CommandSource.PLAN, minutes=2.0))
        twin = quasar(made)
        await twin.stop()
        for _ in range(4):
            made.step()
            await made.gateway.refresh()
        twin.settings.update({257: 1, 260: 6000})  # it did not stop by itself
        twin.idle_s = 0.0
        await twin.start(port=made.config("charger-leaf").port)
        made.step()
        await made.gateway.refresh()
        assert twin.settings[257] == 2


# What is carried out, and what is not


async def test_the_envelope_has_the_last_word_on_every_order() -> None:
    async with bench() as made:
        made.gateway.envelope = lambda _: (ChargerPower(0.0), "no discharge without a meter")
        outcome = await made.gateway.apply(said(made, -6.0, CommandSource.MANUAL, "console"))
        assert isinstance(outcome, Clipped)
        assert (outcome.order, outcome.limit) == (ChargerPower(0.0), "no discharge without a meter")
        made.step()
        assert quasar(made).power_kw == 0.0


@pytest.mark.parametrize(
    ("asset", "order", "word"),
    [
        ("leaf", ChargerPower(3.0), "0 kW flow"),
        ("leaf", ChargerPower(-3.0), "0 kW flow"),
        ("roof", GenerationLimit(10.0), "it generates 40 kW"),
        ("hall-0", RoomClimate(ClimateMode.COOL, 20.0), "the unit shows"),
    ],
)
async def test_what_is_read_back_and_has_no_effect_is_not_applied(
    asset: str, order: Order, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench() as made:
        assert made.site.inverter is not None
        assert made.site.adaptor is not None
        monkeypatch.setattr(type(quasar(made)), "wanted_kw", lambda _: 0.0)
        monkeypatch.setattr(type(made.site.inverter), "limit_kw", 1000.0)
        monkeypatch.setattr(type(made.site.adaptor), "obey", lambda _: None)
        device = made.gateway.assets[AssetId(asset)]
        assert isinstance(await made.apply(asset, order), Applied | Unconfirmed)
        for _ in range(3):
            made.step()
            await made.gateway.read()
        assert word in made.gateway.not_applied[AssetId(asset)].why
        written = made.gateway.writes[device]
        for _ in range(12):
            await made.gateway.refresh()
            made.step()
            await made.gateway.read()
        assert AssetId(asset) in made.gateway.not_applied
        assert written < made.gateway.writes[device] <= written + 8  # written again, but not for ever
        assert made.gateway._carried[AssetId(asset)].tries == 3


async def test_contacts_that_do_not_move_are_seen_in_their_feedback() -> None:
    async with bench(alone="relay-demand") as made:
        assert isinstance(await made.apply("asset", DemandStep(0.4)), Applied)
        made.step()
        made.twin("alone").feedback = [False, False]  # type: ignore[attr-defined]
        await made.gateway.read()
        assert "feedback_40 reads 0" in made.gateway.not_applied[AssetId("asset")].why
        made.step()
        await made.gateway.read()
        assert made.gateway.not_applied == {}


async def test_a_car_that_is_full_is_no_disobedience() -> None:
    async with bench(initial_soc=1.0) as made:
        await made.apply("leaf", ChargerPower(3.0))
        for _ in range(3):
            made.step()
            await made.gateway.read()
        assert made.gateway.not_applied == {}


async def test_the_controller_hears_that_an_order_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as made:
        monkeypatch.setattr(type(quasar(made)), "wanted_kw", lambda _: 0.0)
        standing, counts = StandingOrders(), Counter[str]()
        for _ in range(8):
            due = standing.due(said(made, 3.0, CommandSource.PLAN))
            if due is not None:
                standing.note(await made.gateway.apply(due), counts)
            made.step()
            await made.gateway.read()
        assert isinstance(standing.not_applied[LEAF], NotApplied)


# People at the device


async def test_who_stops_a_charge_at_the_charger_is_left_alone_for_a_while() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(3.0))
        made.step()
        await made.gateway.read()
        quasar(made).settings[257] = 2  # by hand
        made.step()
        await made.gateway.read()
        written = made.gateway.writes["charger-leaf"]
        outcome = await made.apply("leaf", ChargerPower(5.0))
        assert isinstance(outcome, Unconfirmed)
        assert "somebody stopped it there" in outcome.read_back
        assert made.gateway.writes["charger-leaf"] == written
        assert made.gateway.not_applied == {}
        for _ in range(10):
            made.step()
            await made.gateway.read()
        assert isinstance(await made.apply("leaf", ChargerPower(5.0)), Applied)


async def test_an_emergency_does_not_wait_for_people() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(3.0))
        made.step()
        await made.gateway.read()
        quasar(made).settings[257] = 2
        made.step()
        await made.gateway.read()
        outcome = await made.gateway.apply(said(made, 5.0, CommandSource.EMERGENCY))
        assert isinstance(outcome, Applied)


# No way round the gate


@pytest.mark.parametrize("access", [Access.READ_ONLY, Access.DRY_RUN])
async def test_not_even_the_client_below_the_transport_can_write(access: Access) -> None:
    async with bench(access=access) as made:
        for link in made.gateway._links.values():
            assert link._client is not None
            for attempt in (
                link._client.write_register(260, 1000, device_id=1),
                link._client.write_registers(2000, [1, 2, 3], device_id=1),
                link._client.write_coil(0, True, device_id=1),
                link._client.write_coils(0, [True], device_id=1),
                link._client.mask_write_register(address=260, device_id=1),
                link._client.readwrite_registers(
                    read_address=0, read_count=1, write_address=260, values=[1], device_id=1
                ),
            ):
                with pytest.raises(RefusedError, match="nothing was written"):
                    await attempt
        await made.gateway.withdraw(LEAF, "control")
        await made.gateway.refresh()
        assert {twin.writes for twin in made.site.twins.values()} == {0}


async def test_an_order_that_met_a_passing_trouble_is_given_again_when_it_is_over() -> None:
    for code in (4, 6):
        async with bench() as made:
            for link in made.gateway._links.values():
                link._wire = link._wire.model_copy(update={"busy_wait_s": 0.0, "failure_wait_s": 0.0})
            made.twin("charger-leaf").faults.exception = code
            made.twin("charger-leaf").faults.writes_only = True
            assert isinstance(await made.apply("leaf", ChargerPower(3.0)), Refused)
            made.twin("charger-leaf").faults.exception = None
            await made.gateway.refresh()
            made.step()
            assert quasar(made).power_kw == 3.0


async def test_an_order_that_the_device_refused_is_not_given_again() -> None:
    async with bench() as made:
        made.twin("charger-leaf").faults.exception = 3
        made.twin("charger-leaf").faults.writes_only = True
        assert isinstance(await made.apply("leaf", ChargerPower(3.0)), Refused)
        made.twin("charger-leaf").faults.exception = None
        written = made.twin("charger-leaf").writes
        await made.gateway.refresh()
        assert made.twin("charger-leaf").writes == written


async def test_after_a_reboot_the_standing_order_is_given_again_without_a_word_from_control() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(-3.0))
        twin = quasar(made)
        await twin.stop()
        await made.gateway.read()
        twin.settings.update({81: 0, 82: 1, 83: 0, 88: 0, 257: 2, 260: 0})
        await twin.start(port=made.config("charger-leaf").port)
        made.step()
        await made.gateway.read()
        await made.gateway.refresh()
        made.step()
        assert (twin.power_kw, twin.settings[88]) == (-3.0, 60)


async def test_an_order_that_was_not_confirmed_is_given_again_after_a_while() -> None:
    async with bench() as made:
        made.twin("charger-leaf").faults.ignore_writes = True
        assert isinstance(await made.apply("leaf", ChargerPower(3.0)), Unconfirmed)
        made.twin("charger-leaf").faults.ignore_writes = False
        await made.gateway.refresh()
        made.step()
        assert quasar(made).power_kw == 0.0  # not at once: it may be somebody's will
        await made.gateway.refresh()
        made.step()
        assert quasar(made).power_kw == 3.0


async def test_a_safe_state_that_does_not_stand_is_written_again_until_it_does() -> None:
    async with bench() as made:
        await made.gateway.apply(said(made, -6.0, CommandSource.PLAN, minutes=2.0))
        made.step()
        await made.gateway.refresh()
        made.twin("charger-leaf").faults.ignore_writes = True
        for _ in range(3):
            made.step()
            await made.gateway.refresh()  # the order has ended, and the charger does not listen
        assert quasar(made).power_kw == -6.0
        made.twin("charger-leaf").faults.ignore_writes = False
        made.step()
        await made.gateway.refresh()
        made.step()
        assert quasar(made).power_kw == 0.0
        written = made.gateway.writes["charger-leaf"]
        made.step()
        await made.gateway.refresh()
        assert made.gateway.writes["charger-leaf"] == written


async def test_an_order_with_a_garbled_answer_may_have_been_taken_and_is_ended_too() -> None:
    async with bench(alone="relay-demand") as made:
        twin = made.twin("alone")
        command = made.command("asset", DemandStep(0.4))
        twin.faults.missing_words = 1  # it closes, and what it then shows is not understood
        outcome = await made.gateway.apply(
            replace(command, expires_at=made.clock.now() + timedelta(minutes=1))
        )
        assert not isinstance(outcome, Applied)
        assert twin.closed == [False, True]  # type: ignore[attr-defined]
        twin.faults.missing_words = 0
        made.clock.advance(timedelta(minutes=1))
        for _ in range(3):
            await made.gateway.refresh()
            made.clock.advance(timedelta(seconds=15))
        assert twin.closed == [False, False]  # type: ignore[attr-defined]


@pytest.mark.parametrize("alone", [None, "relay-demand"])
async def test_equipment_whose_answers_make_no_sense_is_still_brought_to_its_safe_state(
    alone: str | None,
) -> None:
    async with bench(alone=alone) as made:
        asset, device = ("leaf", "charger-leaf") if alone is None else ("asset", "alone")
        order: Order = ChargerPower(-6.0) if alone is None else DemandStep(0.4)
        command = made.command(asset, order)
        await made.gateway.apply(replace(command, expires_at=made.clock.now() + timedelta(minutes=1)))
        made.twin(device).faults.wrong_function = True  # and every question feeds its timer
        for _ in range(3):
            await made.gateway.read()
            await made.gateway.refresh()
            made.step()
        twin = made.twin(device)
        assert (quasar(made).settings[257] == 2) if alone is None else not any(twin.closed)  # type: ignore[attr-defined]
