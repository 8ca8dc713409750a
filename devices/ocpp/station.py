"""One charging station: what it said, what it was told, and what it falls back to when we are silent."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Final

from devices.backoff import Connection
from devices.drivers.base import Verdict, outcome_of
from devices.guests import Guest, unknown
from devices.natures import Nature
from devices.ocpp.config import CentralConfig, StationConfig
from devices.ocpp.goals import LEAST_A, in_unit, order_goal, standing_limits
from devices.ocpp.link import Link
from devices.ocpp.spot import Spot, Transaction
from devices.ocpp.words import (
    Booted,
    Dialect,
    Goal,
    Metered,
    NeedsSaid,
    Payload,
    StatusSaid,
    TransactionSaid,
)
from devices.transport import Access
from energy.core.clock import Clock
from energy.core.errors import DeviceError, RefusedError, RegisterError, UnreachableError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import ChargerPower, Command, Outcome

__all__ = ["Station"]

log = logging.getLogger(__name__)

_EPOCH_2020: Final = 1_577_836_800  # numbers of charges are seconds since 2020: 31 bits last until 2088
_FINISHED_KEPT: Final = 1000
_LATE_SAID: Final = 100  # more than a short outage leaves in a queue: its clock may be wrong
_SAME_W: Final = 100.0  # read back within this is the same


class Station(Guest):
    """A charging station of the nature ``charger``, one unit per connector.

    Parameters
    ----------
    config : StationConfig
        Who it is.
    central : CentralConfig
        How it is treated.
    clock : Clock
        Time of readings and leases.
    access : Access
        What may be told to it; enforced at the link.
    """

    def __init__(
        self, config: StationConfig, central: CentralConfig, *, clock: Clock, access: Access
    ) -> None:
        numbers = sorted(config.connectors)
        assets = [config.connectors[number].asset for number in numbers]
        super().__init__(config.id, assets, may_control=True)
        self.station = config
        self.booted: Booted | None = None
        self.control_error: str | None = None
        self.finished: deque[Transaction] = deque(maxlen=_FINISHED_KEPT)
        self._central = central
        self._clock = clock
        self._access = access
        self._link: Link | None = None
        self._dialect: Dialect | None = None
        self._ready = False
        self._last_heard = clock.now()
        self._spots = {number: Spot(number, config.connectors[number]) for number in numbers}
        self._order = numbers
        self._last_transaction = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling = asyncio.Lock()  # one sequence of messages at a time; reading does not wait for it

    # Connection

    async def serve(self, link: Link, dialect: Dialect) -> None:
        """Be this station's connection until it ends; a newer one takes the place of an older."""
        before, self._link, self._dialect = self._link, link, dialect
        self._ready = False
        self.epoch += 1
        if before is not None and not before.closed:
            await before.close("a newer connection has come")
        for spot in self._spots.values():
            spot.standing = None  # it may have restarted: everything is told again
        back = self.connection is Connection.OFFLINE
        self.connection = Connection.ONLINE
        log.info("ocpp.online station=%s version=%s back=%s", self.config.id, dialect.version, back)
        self._later(self._quietly_set_up(link))
        try:
            await link.run(self._heard)
        finally:
            if self._link is link:
                self._link, self._ready, self.connection = None, False, Connection.OFFLINE
                log.warning("ocpp.offline station=%s", self.config.id)

    def _later(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly_set_up(self, link: Link) -> None:
        async with self._telling:
            if self._link is link and not self._ready:
                try:
                    await self._set_up(link)
                except UnreachableError:
                    return  # that it has gone is logged where it is noticed
                except DeviceError as error:
                    log.warning("ocpp.no_set_up station=%s why=%s", self.config.id, error)

    async def _set_up(self, link: Link) -> None:
        """Install the safe profile before anything else, then ask how things stand."""
        dialect = self._dialect
        assert dialect is not None  # a link comes with its dialect
        self.control_error = None
        if self._access is Access.CONTROL:
            try:
                for goal in standing_limits(self.station, self.now):
                    await self._accepted(link, *dialect.set_profile(goal))
            except (RefusedError, RegisterError) as error:
                self.control_error = str(error)
                log.warning("ocpp.no_control station=%s why=%s", self.config.id, error)
            meter_s, heartbeat_s = self._central.meter_s, self.heartbeat_s
            for action, payload in dialect.settings(meter_s=meter_s, heartbeat_s=heartbeat_s):
                await self._if_it_can(link, action, payload)
        for number in self._order:
            for action, payload in dialect.ask_again(number):
                await self._if_it_can(link, action, payload)
        self._ready = True

    async def _accepted(self, link: Link, action: str, payload: Payload) -> None:
        answer = await link.call(action, payload)
        self.writes += 1
        if answer.get("status", "Accepted") != "Accepted":
            raise RefusedError(
                f"{self.config.id} does not take {action}",
                where=f"status {answer['status']}",
                hint="look at what this station supports; smart charging may be switched off",
            )

    async def _if_it_can(self, link: Link, action: str, payload: Payload) -> None:
        try:
            await link.call(action, payload)
        except (RefusedError, RegisterError) as error:
            log.debug("ocpp.not_supported station=%s action=%s why=%s", self.config.id, action, error)

    async def ensure_online(self) -> None:
        """Be connected and set up.

        Raises
        ------
        UnreachableError
            If the station has no connection; it calls us, we cannot call it.
        """
        link = self._connected()
        async with self._telling:
            await self._ensure_ready(link)

    async def _ensure_ready(self, link: Link) -> None:
        if not self._ready:
            await self._set_up(link)

    def _connected(self) -> Link:
        link = self._link
        if link is None or link.closed:
            raise UnreachableError(
                f"{self.config.id} is not connected",
                where=f"last heard {self._last_heard.isoformat()}",
                hint="check power and network of the station, and the address of the central system in it",
            )
        return link

    async def poll(self) -> None:
        """Nothing to fetch: the station reports by itself. A set-up that failed is tried again meanwhile."""
        link = self._connected()
        if not self._ready and not self._tasks:
            self._later(self._quietly_set_up(link))

    # What it says

    @property
    def now(self) -> datetime:
        """Current instant, UTC."""
        return self._clock.now()

    @property
    def heartbeat_s(self) -> int:
        """How often the station should say something. [s]"""
        return max(10, self._central.lease_s // 2)

    def accepts(self, token: str) -> bool:
        """Whether a driver's identifier may start a charge."""
        return not self._central.tokens or token in self._central.tokens or token == self.station.token

    def transaction_for(self, number: int, token: str, at: datetime, import_wh: float) -> int:
        """Number of a charge that begins; the same again for a message that comes twice."""
        key = (token, at, import_wh)
        spot = self._spots.get(number)
        if spot is not None and key in spot.numbers:
            return spot.numbers[key]
        self._last_transaction = max(self._last_transaction + 1, int(self.now.timestamp()) - _EPOCH_2020)
        if spot is not None:
            spot.remember(key, self._last_transaction)
        return self._last_transaction

    def _heard(self, action: str, payload: Payload) -> Payload | None:
        dialect = self._dialect
        assert dialect is not None
        self._last_heard = self.now
        answer = dialect.heard(action, payload, self)
        if answer is None:
            return None
        for event in answer[1]:
            match event:
                case Booted():
                    self._has_booted(event)
                case StatusSaid() | NeedsSaid():
                    if (spot := self._spots.get(event.number)) is not None:
                        spot.take(event)
                case TransactionSaid():
                    self._charge(event)
                case Metered():
                    spot = self._spot_of(event.number, event.transaction)
                    if spot is not None:
                        self._meter(spot, event)
        return answer[0]

    def _meter(self, spot: Spot, event: Metered) -> None:
        before = spot.late
        spot.metered(event, self.now)
        if before < spot.late == _LATE_SAID:
            log.warning("ocpp.late_values station=%s look=its_clock", self.config.id)

    def _has_booted(self, event: Booted) -> None:
        self.booted = event
        self.epoch += 1
        log.info("ocpp.booted station=%s maker=%s model=%s", self.config.id, event.maker, event.model)
        for spot in self._spots.values():
            spot.standing = None
        if self._ready and self._link is not None:  # it restarted and kept the connection
            self._ready = False
            self._later(self._quietly_set_up(self._link))

    def _spot_of(self, number: int | None, transaction: str | None) -> Spot | None:
        if number is not None and number > 0:
            return self._spots.get(number)
        known = (spot for spot in self._spots.values() if transaction and spot.knows(transaction))
        return next(known, None)

    def _charge(self, event: TransactionSaid) -> None:
        spot = self._spot_of(event.number, event.id)
        if spot is None:
            log.warning("ocpp.unknown_charge station=%s kind=%s", self.config.id, event.kind)
            return
        ended = spot.charge(event, self.now)
        if ended is not None:
            self.finished.append(ended)
        wanted = spot.wanted
        if event.kind == "started" and spot.transaction == event.id and wanted is not None and self._link:
            self._later(self._tell_again(spot, wanted))  # somebody has started what we had ordered to wait

    async def _tell_again(self, spot: Spot, power_kw: float) -> None:
        async with self._telling:
            if spot.wanted != power_kw or spot.transaction is None or spot.standing is not None:
                return  # told meanwhile
            try:
                await self._ensure_ready(self._connected())
                await self._install(spot, power_kw)
            except DeviceError as error:
                log.warning("ocpp.not_told station=%s why=%s", self.config.id, error)

    # The nature

    def measurements(self, unit: int) -> dict[str, Measurement]:
        """The points of one connector; with value None and STALE while the station is silent."""
        spot = self._spots[self._order[unit]]
        patience = timedelta(seconds=2.5 * self.heartbeat_s)
        if not self.online or self.now - self._last_heard > patience:
            return unknown(Nature.CHARGER, self._last_heard, Quality.STALE)
        limit = timedelta(seconds=max(3 * self._central.meter_s, 15))
        return spot.measurements(self.now, limit, kw_per_a=self.station.mains.kw_per_a)

    def _aim(self, spot: Spot, power_kw: float) -> tuple[float, str | None]:
        """A power that the connector can be told, and the limit that bound."""
        connector, dialect = spot.connector, self._dialect
        low = -connector.max_discharge_kw
        why = f"connector {low:g}"
        if low < 0.0 and (dialect is None or not dialect.gives_back):
            low, why = 0.0, f"OCPP {dialect.version if dialect else '-'} knows no discharging"
        elif low < 0.0 and spot.bidirectional is False:
            low, why = 0.0, "the car does not give back"
        if power_kw < low:
            return low, why
        if power_kw > connector.max_charge_kw:
            return connector.max_charge_kw, f"connector {connector.max_charge_kw:g}"
        if self.station.rate_unit == "A":
            told = in_unit(self.station, power_kw) * self.station.mains.kw_per_a
            return told, f"{LEAST_A:g} A at least" if power_kw and not told else None
        return power_kw, None

    async def apply(self, command: Command, unit: int) -> Outcome:
        """Charge or discharge with a power; zero pauses the charge without ending it."""
        if not isinstance(command.order, ChargerPower):
            raise RefusedError(
                f"{type(command.order).__name__} is no order for a charger",
                where=f"{self.config.assets[unit]} at {self.config.id}",
                hint="command the asset by its nature",
            )
        async with self._telling:
            await self._ensure_ready(self._connected())
            await self._must_be_in_control()
            return await self._carry_out(command, command.order, self._spots[self._order[unit]])

    async def _carry_out(self, command: Command, wanted: ChargerPower, spot: Spot) -> Outcome:
        target, limit = self._aim(spot, wanted.power_kw)
        if target:
            spot.must_be_ready(f"{self.config.id} connector {spot.number}")
        spot.wanted = target
        order = ChargerPower(target)
        if not self._is_news(spot, target):
            return outcome_of(command, order, limit, None)
        if spot.transaction is None and target == 0.0:
            return outcome_of(command, order, limit, None)  # told as soon as somebody starts a charge
        if spot.transaction is None:
            wrong = await self._begin(spot, target)
            if wrong is not None:
                return outcome_of(command, order, limit, wrong)
        return outcome_of(command, order, limit, await self._install(spot, target))

    async def _must_be_in_control(self) -> None:
        if self._access is Access.CONTROL and self.control_error is not None:
            await self._set_up(self._connected())
        if self.control_error is not None:
            raise RefusedError(
                f"{self.config.id} has no safe profile", where=self.control_error, hint="no order without one"
            )

    def _is_news(self, spot: Spot, target: float) -> bool:
        told = spot.standing
        if told is None or spot.transaction is None:
            return True
        renew = self.now - told.at >= timedelta(seconds=self._central.lease_s / 3.0)
        return renew or told.transaction != spot.transaction or abs(told.power_kw - target) > 1e-6

    def _goal(self, spot: Spot, power_kw: float) -> Goal:
        """An order with its lease."""
        lease_s = self._central.lease_s
        return order_goal(
            self.station, spot.number, power_kw, spot.transaction, now=self.now, lease_s=lease_s
        )

    async def _begin(self, spot: Spot, target: float) -> str | None:
        """Start a charge, with the order in it; why it did not begin, or None."""
        link, dialect, token = self._link, self._dialect, self.station.token
        assert link is not None
        assert dialect is not None  # online
        if token is None:
            raise RefusedError(
                "nobody has started a charge",
                where=f"{self.config.id} connector {spot.number}",
                hint="let the driver start it, or give the station a token to start with",
            )
        spot.started.clear()
        await self._accepted(link, *dialect.start(self._goal(spot, target), token))
        try:
            async with asyncio.timeout(self._central.start_s):
                await spot.started.wait()
        except TimeoutError:
            return "a charge was accepted and has not begun"
        return None

    async def _install(self, spot: Spot, power_kw: float) -> str | None:
        """Send an order and read back what holds; what is wrong, or None."""
        link, dialect = self._link, self._dialect
        if link is None or dialect is None:
            raise UnreachableError(f"{self.config.id} is not connected", where=f"connector {spot.number}")
        goal = self._goal(spot, power_kw)
        spot.standing = None
        await self._accepted(link, *dialect.set_profile(goal))
        wrong = await self._read_back(link, dialect, goal)
        if wrong is None:
            spot.tell(power_kw, self.now)
        return wrong

    async def _read_back(self, link: Link, dialect: Dialect, goal: Goal) -> str | None:
        """What holds instead; None if it is right, or if the station cannot say."""
        try:
            shown = dialect.limit_in(await link.call(*dialect.ask_limit(goal)))
        except (RefusedError, RegisterError):
            return (
                None  # many stations do not answer: the acknowledgement has to do, the meter shows the rest
            )
        if shown is None or shown[1] != goal.unit:
            return None
        close = _SAME_W if goal.unit == "W" else _SAME_W / (1000.0 * self.station.mains.kw_per_a)
        if abs(shown[0] - goal.value) <= close:
            return None
        return f"the station shows {shown[0]:g} {shown[1]} instead of {goal.value:g}"

    async def refresh(self) -> None:
        """Renew leases at a third of their length; without this the stations fall back by themselves."""
        async with self._telling:
            for spot in self._spots.values():
                told = spot.standing
                if told is not None and self._link is not None and self._is_news(spot, told.power_kw):
                    wrong = await self._install(spot, told.power_kw)
                    if wrong is not None:
                        log.warning("ocpp.refresh_failed station=%s why=%s", self.config.id, wrong)

    async def safe_state(self) -> None:
        """End our orders: the safe profile holds at once."""
        async with self._telling:
            for spot in self._spots.values():
                spot.wanted, told, spot.standing = None, spot.standing, None
                link, dialect = self._link, self._dialect
                if told is not None and link is None:
                    spot.standing = told
                    raise UnreachableError(
                        f"{self.config.id} is not connected",
                        where=f"connector {spot.number}",
                        hint="its lease ends by itself; then its safe profile holds",
                    )
                if spot.transaction is None or link is None or dialect is None:
                    continue
                safe = spot.connector.safe_kw
                if told is not None and told.power_kw == safe:
                    continue
                goal = self._goal(spot, safe)  # said, too, for stations that forget the default
                await self._accepted(link, *dialect.set_profile(goal))
                await self._if_it_can(link, *dialect.clear_profile(goal))

    async def stop_charge(self, unit: int) -> None:
        """End the charge at a connector for good (the driver has to start the next one).

        Raises
        ------
        DeviceError
            If there is none, or the station refuses.
        """
        async with self._telling:
            await self._ensure_ready(self._connected())
            spot, link, dialect = self._spots[self._order[unit]], self._link, self._dialect
            assert link is not None
            assert dialect is not None  # online
            if spot.transaction is None:
                raise RefusedError("there is no charge to stop", where=f"{self.config.id} {spot.number}")
            await self._accepted(link, *dialect.stop(spot.transaction))

    def verdict(self, unit: int) -> Verdict:
        """Whether the meter shows what was told, once a report has had the time to come."""
        spot = self._spots[self._order[unit]]
        return spot.verdict(timedelta(seconds=2 * self._central.meter_s))

    def forget(self, unit: int) -> None:
        """Take for unknown what a connector was told."""
        self._spots[self._order[unit]].standing = None

    async def close(self) -> None:
        """End the connection."""
        for task in list(self._tasks):
            task.cancel()
        if self._link is not None:
            await self._link.close("the central system stops")
