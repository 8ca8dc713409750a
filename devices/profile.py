"""Device profiles: one YAML file per model, checked strictly when it is read.

A profile is data: where the points of a device are, how they are coded, what it allows on the wire, how
control is taken and what its own fail-safe is. Code is needed only for how a *nature* is commanded
(:mod:`devices.drivers`).
"""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib import resources
from typing import Annotated, Final, Literal, NamedTuple, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from devices.natures import READ_POINTS, WRITE_POINTS, ChargerState, ClimateCode, Nature
from devices.registers import Kind, Order, width
from devices.transport import Space
from energy.core.errors import ConfigError

__all__ = [
    "Failsafe",
    "Location",
    "Point",
    "Profile",
    "Source",
    "Wire",
    "Write",
    "load_profile",
    "profile_names",
]

_PLACE = re.compile(
    r"^(?:(?P<space>input|holding):(?P<base>\d+)(?:\+(?P<stride>\d+)n)?"
    r"|sunspec:(?P<model>\d+)/(?P<offset>\d+))$"
)
_NAMES: Final[dict[Nature, dict[str, int]]] = {
    Nature.CHARGER: {state.name.lower(): int(state) for state in ChargerState},
    Nature.CLIMATE: {code.name.lower(): int(code) for code in ClimateCode},
}

Range = tuple[float, float]
FunctionCode = Literal[3, 4, 6, 16]


class Location(NamedTuple):
    """Where a point starts: address ``base + stride * n`` of unit n, or an offset into a SunSpec model."""

    space: Space
    base: int
    stride: int = 0
    model: int | None = None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Source(_Strict):
    """Where a profile's facts come from.

    Parameters
    ----------
    title : str
        Document with version and page, or program.
    confidence : str
        A (maker's or official definition), B (two independent drivers agree), C (one driver), D (memory).
    """

    title: str
    confidence: Literal["A", "B", "C", "D"]


class Wire(_Strict):
    """What a device allows on the wire, and how patient we are with it.

    Parameters
    ----------
    functions : tuple of int
        Function codes that it knows.
    max_read : int
        Most registers in one read.
    max_write : int
        Most registers in one write.
    max_gap : int
        Unused registers that a merged read may span.
    even_only : bool
        Whether reads must start at an even address and have an even count.
    min_gap_ms : int
        Pause between requests. [ms]
    timeout_s : float
        Deadline of one request. [s]
    busy_wait_s : float
        Pause before the one repetition to a busy device. [s]
    port : int
        Usual TCP port.
    """

    functions: Annotated[tuple[FunctionCode, ...], Field(min_length=1)]
    max_read: Annotated[int, Field(ge=2, le=125)]
    max_write: Annotated[int, Field(ge=1, le=123)] = 1
    max_gap: Annotated[int, Field(ge=0, le=125)] = 0
    even_only: bool = False
    min_gap_ms: Annotated[int, Field(ge=0, le=5000)] = 0
    timeout_s: Annotated[float, Field(gt=0.0, le=10.0)] = 1.0
    busy_wait_s: Annotated[float, Field(ge=0.0, le=2.0)] = 0.2
    port: Annotated[int, Field(ge=1, le=65535)] = 502

    @model_validator(mode="after")
    def _even_reads_have_an_even_limit(self) -> Self:
        if self.even_only and self.max_read % 2:
            msg = f"max_read {self.max_read} is odd though reads must be even"
            raise ValueError(msg)
        return self


class Write(_Strict):
    """How a point may be written.

    Parameters
    ----------
    clamp : (float, float) or None
        Lowest and highest value that may be written, in the unit of the point.
    clamp_to : str or None
        Point that holds the highest amount, in both directions.
    deadband : float
        Smaller changes are not written; zero is always written.
    tolerance : float
        Largest difference at read-back.
    refresh_s : float or None
        Written again at least this often while it holds. [s]
    copy_from : str or None
        Point that gives the value when the command says nothing about it.
    constant : float or None
        Value that is always written.
    """

    clamp: Range | None = None
    clamp_to: str | None = None
    deadband: Annotated[float, Field(ge=0.0)] = 0.0
    tolerance: Annotated[float, Field(ge=0.0)] = 0.0
    refresh_s: Annotated[float, Field(gt=0.0)] | None = None
    copy_from: str | None = None
    constant: float | None = None


class Point(_Strict):
    """One value of a device.

    Parameters
    ----------
    at : Location
        ``input:52``, ``holding:2000+3n`` (n = index of the unit) or ``sunspec:103/14`` (model / offset from
        its first register).
    type : Kind
        How it is coded.
    order : Order or None
        Order of its bytes; the profile's if None.
    bits : (int, int) or None
        Lowest and highest bit of a field inside one register.
    unit : str
        Unit of the value after scaling.
    scale : float
        ``value = sign * raw * scale * 10**scale_point``.
    scale_point : str or None
        Point with a power of ten, always read in the same request.
    sign : int
        -1 where the device counts the other way than the house (positive into the asset).
    invalid : tuple of int
        Raw values that mean "no value".
    valid : (float, float) or None
        Values outside are not believed.
    floor : float or None
        Believed values below are shown as this one (an inverter's own consumption at night).
    values : dict
        Raw value to value, by number or by the nature's names; others are not believed.
    poll : str
        Read every time, once after connecting, or only when asked.
    """

    at: Location
    type: Kind
    order: Order | None = None
    bits: tuple[int, int] | None = None
    unit: Literal["kW", "kWh", "degC", "1", "%", "s", "V", "A", "Hz"] = "1"
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    scale_point: str | None = None
    sign: Literal[1, -1] = 1
    invalid: tuple[int, ...] = ()
    valid: Range | None = None
    floor: float | None = None
    values: dict[int, float | str] = Field(default_factory=dict)
    poll: Literal["always", "connect", "never"] = "never"
    write: Write | None = None

    @field_validator("at", mode="before")
    @classmethod
    def _parse_place(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        match = _PLACE.match(value)
        if match is None:
            msg = f"{value!r} is not an address like input:52, holding:2000+3n or sunspec:103/14"
            raise ValueError(msg)
        if match["model"]:
            return Location(Space.HOLDING, int(match["offset"]), 0, int(match["model"]))
        return Location(Space(match["space"]), int(match["base"]), int(match["stride"] or 0))

    @model_validator(mode="after")
    def _bits_are_in_one_register(self) -> Self:
        if self.bits is not None and (
            self.type is not Kind.UINT16 or not 0 <= self.bits[0] <= self.bits[1] <= 15
        ):
            msg = f"bits {self.bits} need the type uint16 and 0 <= low <= high <= 15"
            raise ValueError(msg)
        if self.write is not None and self.at.space is not Space.HOLDING:
            msg = "only holding registers can be written"
            raise ValueError(msg)
        return self

    @property
    def width(self) -> int:
        """Registers that it takes."""
        return width(self.type)


class Failsafe(_Strict):
    """The device's own answer to our death: a timer that we set, and what it does when the timer ends.

    Parameters
    ----------
    point : str
        Point that holds the timer.
    value_s : float
        What we set. [s]
    behaviour : str
        What the device does when it ends.
    asserted : str
        When we write it: once at connection (and read it back), or with every command.
    """

    point: str
    value_s: Annotated[float, Field(gt=0.0)]
    behaviour: str
    asserted: Literal["connect", "command"]


class Identity(_Strict):
    """A point that must have one of these raw values; else this is not the device that we think it is.

    Parameters
    ----------
    point : str
        Name of the point.
    raw : tuple of int
        What may stand in its register or field.
    """

    point: str
    raw: Annotated[tuple[int, ...], Field(min_length=1)]


class Profile(_Strict):
    """Everything we know about a device model.

    Parameters
    ----------
    id : str
        Name of the file without its ending.
    title : str
        Maker and model, as a person would say it.
    nature : Nature
        What it can do; says which points must be defined.
    control : str
        ``none``: it takes no orders, or our map is not good enough to give any. ``experimental``: one source
        only. ``released``: orders are given.
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
    points : dict
        Its values by name; the names that a nature needs are in :mod:`devices.natures`.
    sequences : dict
        Writes in order: ``take_control`` after connecting, ``start`` and ``stop`` of a charger. The points of
        one step are written in one request.
    failsafe : Failsafe or None
        What it does by itself when nobody speaks to it.
    identity : tuple of Identity
        How to know that it is the right box.
    notes : tuple of str
        What an installer should know.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: str
    nature: Nature
    control: Literal["none", "experimental", "released"]
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    wire: Wire
    units: Annotated[int, Field(ge=1, le=64)] = 1
    order: Order = Order.ABCD
    settle_s: Annotated[float, Field(ge=0.0)] = 0.0
    points: dict[str, Point]
    sequences: dict[str, tuple[dict[str, float], ...]] = Field(default_factory=dict)
    failsafe: Failsafe | None = None
    identity: tuple[Identity, ...] = ()
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        self._must_define(READ_POINTS[self.nature], "must define")
        writable = frozenset(name for name, point in self.points.items() if point.write is not None)
        if self.control != "none" and (missing := WRITE_POINTS[self.nature] - writable):
            msg = f"must allow to write {', '.join(sorted(missing))}"
            raise ValueError(msg)
        for name, steps in self.sequences.items():
            named = {point for step in steps for point in step}
            if strangers := named - writable:
                msg = f"sequence {name} writes {', '.join(sorted(strangers))}, which is not writable"
                raise ValueError(msg)
        named = {identity.point for identity in self.identity}
        named |= {self.failsafe.point} if self.failsafe else set()
        for point in self.points.values():
            named |= {point.scale_point} if point.scale_point else set()
            if point.write is not None:
                named |= {other for other in (point.write.clamp_to, point.write.copy_from) if other}
        self._must_define(frozenset(named), "names the points")
        return self

    @model_validator(mode="after")
    def _fits_on_the_wire(self) -> Self:
        writable = any(point.write is not None for point in self.points.values())
        if writable and not {6, 16} & set(self.wire.functions):
            msg = "has points to write but no function code to do it (6 or 16)"
            raise ValueError(msg)
        for name, point in self.points.items():
            function = 3 if point.at.space is Space.HOLDING else 4
            if function not in self.wire.functions:
                msg = f"point {name} needs function code {function}, which the device does not know"
                raise ValueError(msg)
            if point.at.stride and point.at.stride < point.width:
                msg = f"point {name} is wider than its stride"
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

    def value_of(self, name: str, raw: int) -> float | None:
        """What a raw value of a point with ``values`` means; None for one that is not listed."""
        value = self.points[name].values.get(raw)
        if isinstance(value, str):
            return float(_NAMES[self.nature][value])
        return value

    @property
    def models(self) -> frozenset[int]:
        """SunSpec models that the points lie in."""
        return frozenset(point.at.model for point in self.points.values() if point.at.model is not None)


def profile_names() -> tuple[str, ...]:
    """Names of all profiles that ship with the program."""
    folder = resources.files("devices") / "profiles"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


@cache
def load_profile(name: str) -> Profile:
    """A profile by name.

    Raises
    ------
    ConfigError
        If there is no such profile (the hint names the nearest), or it contradicts itself.
    """
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
            where=f"{source}: {key or 'profile'}: {first['msg']}",
            hint="see docs/reference/device-profiles.md for the keys",
        ) from None
