"""A scenario: a site, and the world in which its twins live.

The site part is what a real site would configure. The world part says which series stand for the factory's
load and the weather, how wrong the weather forecast is, how people deviate from the calendar, and when supply
is tight. docs/reference/scenario-yaml.md describes every key.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import (
    CopCurve,
    HvacZone,
    Identifier,
    NonNegative,
    Positive,
    Ratio,
    Weekday,
    strict,
)
from energy.core.errors import ConfigError
from energy.core.site import Site
from energy.core.slots import JST
from energy.ledger import CoinRule, TightLevel
from vpp.config import read_yaml

__all__ = [
    "Assumption",
    "DrCall",
    "ForecastErrors",
    "LoadSource",
    "PeopleErrors",
    "PvTruth",
    "RoomTruth",
    "Scenario",
    "TightEvening",
    "WallTruth",
    "WeatherSource",
    "World",
    "load_scenario",
    "scenario_names",
    "scenarios_root",
]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class LoadSource:
    """A measured load that stands for the site's uncontrollable load.

    A simulated day shows the source's day of the same ISO week and weekday, so that Mondays stay Mondays.

    Parameters
    ----------
    file : str
        Gzipped CSV ``start,energy_kwh`` beside the scenario.
    step_minutes : int
        Length of its intervals. [min]
    source_year : int
        Year of its stamps.
    scale : float
        Factor on the energy. [-]
    later_weeks : dict
        Simulated days that show the load of the same weekday so many weeks later; what was measured before
        the simulation stays.
    """

    file: str
    step_minutes: Annotated[int, Field(ge=1, le=60)]
    source_year: int
    scale: Positive
    later_weeks: dict[date, Annotated[int, Field(ge=0, le=12)]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class WeatherSource:
    """A standard year: ``time,outdoor_c,dni_w_m2,dhi_w_m2,sun_height_deg`` at full hours, Japanese time.

    Parameters
    ----------
    shift_days : int
        A day shows the weather of the standard year's day so much later.
    """

    file: str
    shift_days: Annotated[int, Field(ge=-30, le=30)] = 0


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class ForecastErrors:
    """How wrong the weather forecast of the simulated world is; seeded, so runs repeat.

    Parameters
    ----------
    every_hours : int
        A new forecast is issued at 00:00 UTC and every so many hours. [h]
    horizon_hours : int
        How far it reaches. [h]
    temperature_sd_c : float
        Standard deviation of the temperature error one day ahead; it grows with the square root of the lead,
        from a third at issue. [degC]
    clearness_sd : float
        The same for the irradiance, relative to clear sky. [-]
    """

    seed: int
    every_hours: Annotated[int, Field(ge=1, le=24)] = 6
    horizon_hours: Annotated[int, Field(ge=48, le=168)] = 72
    temperature_sd_c: NonNegative = 1.5
    clearness_sd: NonNegative = 0.15


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class PvTruth:
    """What the real roof does that its data sheet does not say.

    Parameters
    ----------
    extra_loss : float
        Loss beyond the sheet's. [-]
    snowfall_cm_per_h : float
        Snowfall in a freezing, heavily clouded winter hour; the standard year has none of its own. [cm/h]
    snow_below_c, snow_clearness : float
        An hour below this temperature and below this share of clear-sky irradiance over the day snows.
    """

    extra_loss: Ratio = 0.05
    snowfall_cm_per_h: NonNegative = 1.5
    snow_below_c: float = 0.5
    snow_clearness: Ratio = 0.25


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class PeopleErrors:
    """How trips deviate from the calendar; seeded.

    Parameters
    ----------
    energy_sd : float
        Relative standard deviation of the energy of a trip. [-]
    late_return_minutes : float
        Mean delay of a return (exponential, at most an hour and a half). [min]
    crowd_sd : float
        Standard deviation of the logarithm of how many people fill the rooms, drawn anew each day. [-]
    """

    seed: int
    energy_sd: Ratio = 0.12
    late_return_minutes: NonNegative = 8.0
    crowd_sd: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class WallTruth:
    """Walls with a temperature of their own (:class:`devices.twins.walls.Walls`). [-]"""

    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.8
    coupling: Annotated[float, Field(ge=1.0, le=50.0)] = 4.0
    direct: Annotated[float, Field(ge=0.05, le=0.95)] = 0.3
    sun_share: Ratio = 0.5


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class RoomTruth:
    """What a room really is where the site's file says something else; what is not given is as declared.

    Parameters
    ----------
    cop_factor : float
        The unit's COP over the one that the site's file says. [-]
    walls : WallTruth or None
        Of a room that has two capacities; they share ``capacitance_kwh_per_k`` and ``loss_kw_per_k``.
    """

    capacitance_kwh_per_k: Positive | None = None
    loss_kw_per_k: Positive | None = None
    base_gain_kw: NonNegative | None = None
    occupied_gain_kw: NonNegative | None = None
    solar_aperture_m2: NonNegative | None = None
    cop_factor: Annotated[float, Field(ge=0.3, le=3.0)] = 1.0
    walls: WallTruth | None = None

    def of(self, zone: HvacZone) -> HvacZone:
        """The room as it really is."""
        return replace(
            zone,
            capacitance_kwh_per_k=self.capacitance_kwh_per_k or zone.capacitance_kwh_per_k,
            loss_kw_per_k=self.loss_kw_per_k or zone.loss_kw_per_k,
            base_gain_kw=zone.base_gain_kw if self.base_gain_kw is None else self.base_gain_kw,
            occupied_gain_kw=(
                zone.occupied_gain_kw if self.occupied_gain_kw is None else self.occupied_gain_kw
            ),
            solar_aperture_m2=(
                zone.solar_aperture_m2 if self.solar_aperture_m2 is None else self.solar_aperture_m2
            ),
            cooling_cop=_scaled(zone.cooling_cop, self.cop_factor),
            heating_cop=_scaled(zone.heating_cop, self.cop_factor),
        )


def _scaled(curve: CopCurve, factor: float) -> CopCurve:
    if factor == 1.0:
        return curve
    return replace(
        curve,
        rated=curve.rated * factor,
        slope_per_k=curve.slope_per_k * factor,
        lowest=curve.lowest * factor,
        highest=curve.highest * factor,
    )


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class TightEvening:
    """A weekly tight-supply event.

    Parameters
    ----------
    announced : time
        Local time on the day before at which the level becomes known (RULES-JP 3.4: about 16:00).
    """

    weekday: Weekday
    begins: time
    ends: time
    level: TightLevel
    announced: time = time(16, 0)

    @model_validator(mode="after")
    def _on_slots(self) -> TightEvening:
        for name, at in (("begins", self.begins), ("ends", self.ends)):
            if at.minute not in (0, 30) or at.second:
                msg = f"{name} {at} is not on a full or half hour"
                raise ValueError(msg)
        if not self.begins < self.ends:
            msg = f"begins {self.begins} is not before ends {self.ends}"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class DrCall:
    """A demand-response event that the site is called for; what it is paid is in the site's ``dr``.

    The baseline is High 4 of 5 with the same-day adjustment (RULES-JP 3.1), and the settlement's own.

    Parameters
    ----------
    day : date
        Japanese day of the event.
    begins, ends : time
        Its hours, local.
    kw : Decimal
        What the site is called for. [kW]
    announced : datetime
        When the call comes, local time or with a zone; at most three days before the event.
    """

    id: Identifier
    day: date
    begins: time
    ends: time
    kw: Annotated[Decimal, Field(gt=0)]
    announced: datetime

    @model_validator(mode="after")
    def _comes_before_it_begins(self) -> DrCall:
        for name, at in (("begins", self.begins), ("ends", self.ends)):
            if at.minute not in (0, 30) or at.second:
                msg = f"{name} {at} is not on a full or half hour"
                raise ValueError(msg)
        if not self.begins < self.ends:
            msg = f"begins {self.begins} is not before ends {self.ends}"
            raise ValueError(msg)
        early = self.start - self.known_at
        if not timedelta(0) <= early <= timedelta(days=3):
            msg = f"announced {self.announced} is not in the three days before {self.start.isoformat()}"
            raise ValueError(msg)
        return self

    @property
    def start(self) -> datetime:
        """First half hour, UTC."""
        return datetime.combine(self.day, self.begins, tzinfo=JST).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """First half hour after it, UTC."""
        return datetime.combine(self.day, self.ends, tzinfo=JST).astimezone(UTC)

    @property
    def known_at(self) -> datetime:
        """When it is announced, UTC."""
        at = self.announced if self.announced.tzinfo else self.announced.replace(tzinfo=JST)
        return at.astimezone(UTC)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class World:
    """Everything the controller does not decide.

    Parameters
    ----------
    calls : tuple of DrCall
        Demand-response events that the site is called for.
    rooms : dict
        What rooms really are, by id, where the site's file is wrong about them.
    """

    load: LoadSource
    weather: WeatherSource
    forecast_errors: ForecastErrors
    people: PeopleErrors
    pv_truth: PvTruth = Field(default_factory=PvTruth)
    tight: TightEvening | None = None
    calls: tuple[DrCall, ...] = ()
    rooms: dict[str, RoomTruth] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _calls_are_told_apart(self) -> World:
        twice = [name for name, count in Counter(one.id for one in self.calls).items() if count > 1]
        if twice:
            msg = f"two calls have the id {twice[0]!r}"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Assumption:
    """One sentence on what the scenario assumes, in both languages; the report prints it."""

    ja: str
    en: str


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Scenario:
    """A named site in its world."""

    scenario: Identifier
    title_ja: str
    title_en: str
    site: Site
    world: World
    coin: CoinRule | None = None
    assumptions: tuple[Assumption, ...] = ()

    @model_validator(mode="after")
    def _calls_are_paid(self) -> Scenario:
        if self.world.calls and self.site.dr is None:
            msg = f"call {self.world.calls[0].id} needs the site's dr: what a kWh below the baseline is paid"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _rooms_are_there(self) -> Scenario:
        rooms = {zone.id for zone in self.site.zones}
        for name in self.world.rooms:
            if name not in rooms:
                msg = f"rooms of the world: no {name!r} among {', '.join(sorted(rooms)) or 'none'}"
                raise ValueError(msg)
        return self

    def true_zones(self) -> tuple[HvacZone, ...]:
        """The site's rooms as they really are."""
        told = self.world.rooms
        return tuple(told[zone.id].of(zone) if zone.id in told else zone for zone in self.site.zones)


def scenarios_root() -> Path:
    """Folder of the shipped scenarios: inside the installed package, or the repository's own.

    Raises
    ------
    ConfigError
        If neither is there.
    """
    packaged = Path(str(resources.files("vpp"))) / "_scenarios"
    checkout = Path(__file__).resolve().parents[2] / "scenarios"
    for folder in (packaged, checkout):
        if folder.is_dir():
            return folder
    raise ConfigError("the scenarios are missing", where=str(packaged), hint="reinstall aizu-vpp")


def scenario_names() -> list[str]:
    """Names of the shipped scenarios."""
    return sorted(path.parent.name for path in scenarios_root().glob("*/scenario.yaml"))


def load_scenario(name_or_path: str) -> tuple[Scenario, Path]:
    """Read a scenario by name, folder or YAML file; give it with the folder of its data.

    Raises
    ------
    ConfigError
        If there is no such scenario, or it cannot be used as written.
    """
    given = Path(name_or_path)
    if given.suffix in {".yaml", ".yml"} or given.is_dir():
        path = given / "scenario.yaml" if given.is_dir() else given
    elif name_or_path in scenario_names():
        path = scenarios_root() / name_or_path / "scenario.yaml"
    else:
        raise ConfigError(
            f"no scenario {name_or_path!r}",
            where=f"known: {', '.join(scenario_names())}",
            hint="give one of these names, a folder or a scenario.yaml",
        )
    return read_yaml(path, Scenario), path.parent
