"""Device profiles: one YAML file per model, checked strictly when it is read.

A profile is data: where the points of a device are, how they are coded, what it allows on the wire, how
control is taken and what its own fail-safe is. Code is needed only for how a *nature* is commanded
(:mod:`devices.drivers`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from devices.natures import READ_POINTS, WRITE_POINTS, ChargerState, ClimateCode, Nature
from devices.registers import Order
from devices.schema import (
    Confidence,
    Effect,
    Failsafe,
    Identity,
    Location,
    Mains,
    Point,
    Source,
    Strict,
    Wire,
    Write,
)
from devices.transport import Space
from energy.core.errors import ConfigError

__all__ = [
    "Effect",
    "Failsafe",
    "Identity",
    "Location",
    "Point",
    "Profile",
    "Source",
    "Wire",
    "Write",
    "load_profile",
    "parse_profile",
    "profile_names",
    "profile_schema",
]

_NAMES: Final[dict[Nature, dict[str, int]]] = {
    Nature.CHARGER: {state.name.lower(): int(state) for state in ChargerState},
    Nature.CLIMATE: {code.name.lower(): int(code) for code in ClimateCode},
}
_CHARGER_SETPOINTS: Final = frozenset[str]().union(*WRITE_POINTS[Nature.CHARGER])
_READ_BACK_NOTHING: Final = "nothing"
_BEATS: Final = 3  # refreshes within a device's timer: two may be lost
_GOOD_ENOUGH: Final = frozenset({"A", "B"})  # confidence that releases control


class Profile(Strict):
    """Everything we know about a device model.

    Parameters
    ----------
    id : str
        Name of the file without its ending.
    title : str
        Maker and model, as a person would say it.
    maker : str
        Who makes it; the alliance behind an open standard.
    models : tuple of str
        Models that speak this map.
    nature : Nature
        What it can do; says which points must be defined.
    control : str
        ``none``: it takes no orders, or our map is not good enough to give any. ``experimental``: orders are
        given only to a device with the record of a step test. ``released``: there, or where the site's file
        says who has tried the device (``commissioned``).
    sources : tuple of Source
        Where the facts come from.
    wire : Wire
        What it allows on the wire.
    units : int
        Most assets behind one device (indoor units of an adaptor).
    order : Order
        Byte order of wide numbers, unless a point says otherwise.
    settle_s : float
        How long its state may lag behind a write. [s]
    mains : Mains or None
        What one ampere means in power, for a charger that is told a current.
    points : dict
        Its values by name; the names that a nature needs are in :mod:`devices.natures`.
    sequences : dict
        Writes in order: ``take_control`` after connecting, ``start`` and ``stop`` of a charger. The points of
        one step are written in one request.
    demand_steps : dict
        Contacts of demand control: the point of each, and the share of full power that it leaves. [-]
    effect : Effect or None
        How soon it shows that it does what it was told; None if nothing shows it.
    failsafe : Failsafe or None
        What it does by itself when nobody speaks to it.
    identity : tuple of Identity
        How to know that it is the right box.
    notes : tuple of str
        What an installer should know.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: str
    maker: str
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    nature: Nature
    control: Literal["none", "experimental", "released"]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    wire: Wire
    units: Annotated[int, Field(ge=1, le=64)] = 1
    order: Order = Order.ABCD
    settle_s: Annotated[float, Field(ge=0.0)] = 0.0
    mains: Mains | None = None
    points: dict[str, Point]
    sequences: dict[str, tuple[dict[str, float], ...]] = Field(default_factory=dict)
    demand_steps: dict[str, Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(default_factory=dict)
    effect: Effect | None = None
    failsafe: Failsafe | None = None
    identity: tuple[Identity, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        self._must_define(READ_POINTS[self.nature], "must define")
        writable = frozenset(name for name, point in self.points.items() if point.write is not None)
        ways = WRITE_POINTS[self.nature]
        if self.control != "none" and not any(way <= writable for way in ways):
            msg = f"control must be none: a {self.nature.value} takes no orders"
            if ways:
                msg = "must allow to write " + " or ".join(", ".join(sorted(way)) for way in ways)
            raise ValueError(msg)
        if "set_current_a" in writable and self.mains is None:
            msg = "set_current_a needs mains, to know what one ampere means in power"
            raise ValueError(msg)
        if (self.nature is Nature.CONTACTS) is not bool(self.demand_steps):
            msg = "demand_steps belong to the nature contacts, and to no other"
            raise ValueError(msg)
        if strangers := self.demand_steps.keys() - writable:
            msg = f"demand_steps name {', '.join(sorted(strangers))}, which is not writable"
            raise ValueError(msg)
        for name, steps in self.sequences.items():
            named = {point for step in steps for point in step}
            if strangers := named - writable:
                msg = f"sequence {name} writes {', '.join(sorted(strangers))}, which is not writable"
                raise ValueError(msg)
        named = {identity.point for identity in self.identity}
        named |= set(self.effect.feedback.values()) if self.effect else set()
        named |= {self.failsafe.point} if self.failsafe and self.failsafe.point else set()
        for point in self.points.values():
            named |= {point.scale_point} if point.scale_point else set()
            if point.write is not None:
                others = (point.write.clamp_to, point.write.copy_from, point.write.readback)
                named |= {other for other in others if other and other != _READ_BACK_NOTHING}
        self._must_define(frozenset(named), "names the points")
        return self

    @model_validator(mode="after")
    def _only_setpoints_of_chargers_are_calmed(self) -> Self:
        for name, point in self.points.items():
            calmed = point.write is not None and (point.write.deadband or point.write.min_interval_s)
            if calmed and (self.nature is not Nature.CHARGER or name not in _CHARGER_SETPOINTS):
                msg = f"point {name}: deadband and min_interval_s are for a charger's setpoint; remove them"
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _timers_are_fed_in_time(self) -> Self:
        if self.failsafe is None:
            return self
        for name, point in self.points.items():
            refresh_s = point.write.refresh_s if point.write is not None else None
            if refresh_s is not None and refresh_s > self.failsafe.value_s / _BEATS:
                msg = (
                    f"point {name} is refreshed every {refresh_s:g} s, but its timer ends after "
                    f"{self.failsafe.value_s:g} s; refresh at least {_BEATS} times as often"
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _control_is_earned(self) -> Self:
        if self.control != "released":
            return self
        weak = [
            name
            for name, point in self.points.items()
            if point.write is not None and self.confidence(name) not in _GOOD_ENOUGH
        ]
        if weak:
            msg = f"control cannot be released: {', '.join(weak)} is of confidence C or D"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _no_two_points_share_registers_by_halves(self) -> Self:
        claims: dict[tuple[Space, int | None, int], str] = {}
        for name, point in self.points.items():
            for register in self._registers(point):
                other = claims.setdefault(register, name)
                if other != name and not self._may_share(point, self.points[other]):
                    msg = (
                        f"points {other} and {name} overlap at {register[0].value} register {register[2]}; "
                        "compare address, type and bits with the manual"
                    )
                    raise ValueError(msg)
        return self

    def _registers(self, point: Point) -> Iterator[tuple[Space, int | None, int]]:
        for unit in range(self.units if point.at.stride else 1):
            start = point.at.base + point.at.stride * unit
            for register in range(start, start + point.width):
                yield point.at.space, point.at.model, register

    @staticmethod
    def _may_share(one: Point, other: Point) -> bool:
        """Whether two points are the same registers read twice, or fields beside each other."""
        if one.bits is not None and other.bits is not None:
            apart = one.bits[1] < other.bits[0] or other.bits[1] < one.bits[0]
            return apart or one.bits == other.bits
        same = (one.at, one.width, one.type, one.bits) == (other.at, other.width, other.type, other.bits)
        return same or one.bits is not None or other.bits is not None

    @model_validator(mode="after")
    def _fits_on_the_wire(self) -> Self:
        for name, point in self.points.items():
            codes = point.at.space.write_functions
            if point.write is not None and not set(codes) & set(self.wire.functions):
                ways = " or ".join(str(code) for code in codes)
                msg = f"point {name} is written, but the device has no function code to do it ({ways})"
                raise ValueError(msg)
            function = point.at.space.read_function
            if function not in self.wire.functions:
                msg = f"point {name} needs function code {function}, which the device does not know"
                raise ValueError(msg)
            if point.at.stride and point.at.stride < point.width:
                msg = f"point {name} is wider than its stride"
                raise ValueError(msg)
            if point.width > self.wire.max_read:
                msg = f"point {name} has {point.width} registers, max_read is {self.wire.max_read}"
                raise ValueError(msg)
            for value in point.values.values():
                if isinstance(value, str) and value not in _NAMES.get(self.nature, {}):
                    msg = f"point {name}: {value!r} is none of {', '.join(_NAMES.get(self.nature, {}))}"
                    raise ValueError(msg)
        return self

    def _must_define(self, names: frozenset[str], verb: str) -> None:
        if missing := names - self.points.keys():
            msg = f"{verb} {', '.join(sorted(missing))}"
            raise ValueError(msg)

    def confidence(self, name: str) -> Confidence:
        """How far the facts of a point can be trusted."""
        return self.points[name].confidence or self.sources[0].confidence

    def shown_by(self, name: str) -> str | None:
        """Point that shows what was written to a point; None if nothing does."""
        write = self.points[name].write
        if write is None or write.readback is None:
            return name
        return None if write.readback == _READ_BACK_NOTHING else write.readback

    def value_of(self, name: str, raw: int | str) -> float | None:
        """What a raw value of a point with ``values`` means; None for one that is not listed."""
        value = self.points[name].values.get(raw)
        if isinstance(value, str):
            return float(_NAMES[self.nature][value])
        return value

    @property
    def sunspec_models(self) -> frozenset[int]:
        """SunSpec models that the points lie in."""
        return frozenset(point.at.model for point in self.points.values() if point.at.model is not None)


def profile_names() -> tuple[str, ...]:
    """Names of all profiles that ship with the program."""
    folder = resources.files("devices") / "profiles"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_profile(name: str) -> Profile:
    """A profile by its id, or from a file of one's own by its path (``.yaml``).

    Raises
    ------
    ConfigError
        If there is no such profile (the hint names the nearest), or it contradicts itself.
    """
    if not name.endswith((".yaml", ".yml")):
        return _shipped(name)
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "a device profile cannot be read", where=f"{name}: {error}", hint="check the path"
        ) from None
    return parse_profile(text, source=name)


@cache
def _shipped(name: str) -> Profile:
    names = profile_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise ConfigError(
            f"no device profile {name!r}",
            where=f"known: {', '.join(names)}",
            hint=f"did you mean {near[0]}?" if near else "see docs/reference/device-profiles.md",
        )
    text = (resources.files("devices") / "profiles" / f"{name}.yaml").read_text(encoding="utf-8")
    return parse_profile(text, source=f"devices/profiles/{name}.yaml")


def profile_schema() -> dict[str, object]:
    """JSON Schema of a profile, for editors that complete and check YAML."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Profile.model_json_schema(),
    }


def parse_profile(text: str, *, source: str) -> Profile:
    """A profile from YAML text.

    Raises
    ------
    ConfigError
        If it is not YAML, has unknown keys, or contradicts itself; ``where`` names file and key.
    """
    try:
        return Profile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise ConfigError("a device profile is not YAML", where=f"{source}: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            "a device profile cannot be used",
            where=f"{source}: {key or 'profile'}: {first['msg'].removeprefix('Value error, ')}",
            hint="see docs/reference/device-profiles.md for the keys",
        ) from None
