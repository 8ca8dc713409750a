"""The parts of a device profile: sources, wire limits, points, writes, fail-safe, identity."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator, model_validator

from devices.registers import Kind, Order, number_range, width
from devices.transport import Space

__all__ = [
    "Confidence",
    "Effect",
    "Failsafe",
    "Identity",
    "Location",
    "Mains",
    "Point",
    "SerialLine",
    "Source",
    "Strict",
    "Wire",
    "Write",
]

# The same for the editors of people, where a group has no name.
_PLACE_SCHEMA: Final = r"^((input|holding|discrete|coil):\d+(\+\d+n)?|sunspec:\d+/\d+)$"
_PLACE: Final = re.compile(
    r"^(?:(?P<space>input|holding|discrete|coil):(?P<base>\d+)(?:\+(?P<stride>\d+)n)?"
    r"|sunspec:(?P<model>\d+)/(?P<offset>\d+))$"
)

Confidence = Literal["A", "B", "C", "D"]
Range = tuple[float, float]
FunctionCode = Literal[1, 2, 3, 4, 5, 6, 15, 16]


class Location(NamedTuple):
    """Where a point starts: address ``base + stride * n`` of unit n, or an offset into a SunSpec model."""

    space: Space
    base: int
    stride: int = 0
    model: int | None = None


class Strict(BaseModel):
    """Unknown keys are refused, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Source(Strict):
    """Where a profile's facts come from.

    Parameters
    ----------
    title : str
        Document with version and page, or program.
    confidence : str
        A (maker's or official definition), B (two independent drivers agree), C (one driver), D (memory).
    """

    title: str
    confidence: Confidence


class SerialLine(Strict):
    """How the device speaks on a serial line, as it leaves the factory.

    Parameters
    ----------
    baudrate : int
        Bits per second.
    parity : str
        N (none), E (even) or O (odd).
    stopbits : int
        Stop bits after each byte.
    """

    baudrate: Annotated[int, Field(ge=1200, le=921600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1


class Wire(Strict):
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
    block_read : bool
        Whether several values may be read in one request; false where each must be asked for on its own.
    warmup_s : float
        Pause between connecting and the first request. [s]
    one_client : bool
        Whether it serves one connection only, so that nobody else may be connected.
    min_gap_ms : int
        Pause between requests. [ms]
    timeout_s : float
        Deadline of one request. [s]
    busy_wait_s : float
        Pause before the first repetition to a busy device; it grows with each. [s]
    failure_wait_s : float
        Pause before the one repetition to a device that reports a failure. [s]
    port : int
        Usual TCP port.
    unit_id : int
        Usual unit number.
    serial : SerialLine or None
        How it speaks on a serial line, if it has one.
    """

    functions: Annotated[tuple[FunctionCode, ...], Field(min_length=1)]
    max_read: Annotated[int, Field(ge=2, le=125)]
    max_write: Annotated[int, Field(ge=1, le=123)] = 1
    max_gap: Annotated[int, Field(ge=0, le=125)] = 0
    even_only: bool = False
    block_read: bool = True
    warmup_s: Annotated[float, Field(ge=0.0, le=10.0)] = 0.0
    one_client: bool = False
    min_gap_ms: Annotated[int, Field(ge=0, le=5000)] = 0
    timeout_s: Annotated[float, Field(gt=0.0, le=10.0)] = 1.0
    busy_wait_s: Annotated[float, Field(ge=0.0, le=2.0)] = 0.2
    failure_wait_s: Annotated[float, Field(ge=0.0, le=5.0)] = 1.0
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    serial: SerialLine | None = None

    @model_validator(mode="after")
    def _even_reads_have_an_even_limit(self) -> Self:
        if self.even_only and self.max_read % 2:
            msg = f"max_read {self.max_read} is odd though reads must be even"
            raise ValueError(msg)
        return self


class Write(Strict):
    """How a point may be written.

    Parameters
    ----------
    clamp : (float, float) or None
        Lowest and highest value that may be written, in the unit of the point.
    clamp_to : str or None
        Point that holds the highest amount, in both directions.
    deadband : float
        Smaller changes of a charger's setpoint are not written; zero is always written.
    min_interval_s : float
        A charger's setpoint is changed no more often; towards zero it may be at any time. [s]
    tolerance : float
        Largest difference at read-back.
    refresh_s : float or None
        Written again at least this often while it holds. [s]
    copy_from : str or None
        Point that gives the value when the command says nothing about it.
    constant : float or None
        Value that is always written.
    readback : str or None
        Point that shows what was written; the point itself if None, ``nothing`` where the register can only
        be written.
    """

    clamp: Range | None = None
    clamp_to: str | None = None
    deadband: Annotated[float, Field(ge=0.0)] = 0.0
    min_interval_s: Annotated[float, Field(ge=0.0, le=60.0)] = 0.0
    tolerance: Annotated[float, Field(ge=0.0)] = 0.0
    refresh_s: Annotated[float, Field(gt=0.0)] | None = None
    copy_from: str | None = None
    constant: float | None = None
    readback: str | None = None

    @model_validator(mode="after")
    def _lowest_comes_first(self) -> Self:
        if self.clamp is not None and self.clamp[0] > self.clamp[1]:
            msg = f"clamp {list(self.clamp)} has its lowest value last"
            raise ValueError(msg)
        return self


class Point(Strict):
    """One value of a device.

    Parameters
    ----------
    at : Location
        ``input:52``, ``coil:0``, ``discrete:0``, ``holding:2000+3n`` (n = index of the unit) or
        ``sunspec:103/14`` (model / offset from its first register).
    type : Kind
        How it is coded.
    length : int or None
        Registers of a text.
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
        Raw value (or text) to value, by number or by the nature's names; others are not believed.
    poll : str
        Read every time, once after connecting, or only when asked.
    write : Write or None
        How it may be written; None for a point that is only read.
    confidence : str or None
        How far the facts of this point can be trusted; that of the profile's first source if None.
    """

    at: Annotated[Location, WithJsonSchema({"type": "string", "pattern": _PLACE_SCHEMA})]
    type: Kind
    length: Annotated[int, Field(ge=1, le=125)] | None = None
    order: Order | None = None
    bits: tuple[int, int] | None = None
    unit: Literal["kW", "kWh", "degC", "1", "%", "s", "V", "A", "Hz"] = "1"
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    scale_point: str | None = None
    sign: Literal[1, -1] = 1
    invalid: tuple[int, ...] = ()
    valid: Range | None = None
    floor: float | None = None
    values: dict[int | str, float | str] = Field(default_factory=dict)
    poll: Literal["always", "connect", "never"] = "never"
    write: Write | None = None
    confidence: Confidence | None = None

    @field_validator("at", mode="before")
    @classmethod
    def _parse_place(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        match = _PLACE.match(value)
        if match is None:
            msg = f"{value!r} is not an address like input:52, holding:2000+3n, coil:0 or sunspec:103/14"
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
        if self.write is not None and not self.at.space.write_functions:
            msg = "only holding registers and coils can be written"
            raise ValueError(msg)
        if (self.type is Kind.BIT) is not (self.at.space in (Space.COIL, Space.DISCRETE)):
            msg = "coils and discrete inputs have the type bit, registers another"
            raise ValueError(msg)
        if (self.type is Kind.TEXT) is (self.length is None):
            msg = "length belongs to the type text, and to no other"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _what_is_written_can_be_true(self) -> Self:
        if self.write is None or self.write.clamp is None or self.scale_point is not None:
            return self
        low, high = self.valid or number_range(self.type)
        if self.valid is None:
            ends = (low * self.scale * self.sign, high * self.scale * self.sign)
            low, high = min(ends), max(ends)
        if self.write.clamp[0] < low or self.write.clamp[1] > high:
            msg = (
                f"clamp {list(self.write.clamp)} lies outside of what the point can hold, "
                f"{low:g} to {high:g}; narrow the clamp, or mend valid, type or scale"
            )
            raise ValueError(msg)
        return self

    @property
    def width(self) -> int:
        """Registers that it takes."""
        return self.length if self.length is not None else width(self.type)


class Failsafe(Strict):
    """The device's own answer to our death: a timer that we set, and what it does when the timer ends.

    Parameters
    ----------
    point : str or None
        Point that holds the timer; None where it is fixed.
    value_s : float
        What we set, or what it is fixed at. [s]
    behaviour : str
        What the device does when it ends.
    asserted : str
        When we write it: once at connection (and read it back), with every command, or never because it is
        ``fixed`` in the device.
    fed_by : str
        What starts the timer anew: ``any`` message, or only a ``write``.
    """

    point: str | None = None
    value_s: Annotated[float, Field(gt=0.0)]
    behaviour: str
    asserted: Literal["connect", "command", "fixed"]
    fed_by: Literal["any", "write"] = "any"

    @model_validator(mode="after")
    def _a_fixed_timer_has_no_point(self) -> Self:
        if (self.asserted == "fixed") is (self.point is not None):
            msg = "a timer that we set needs its point, a fixed one has none"
            raise ValueError(msg)
        return self


class Effect(Strict):
    """How soon, and how exactly, the equipment itself shows that it does what it was told.

    Parameters
    ----------
    within_s : float
        Longest time from a write to its effect. [s]
    tolerance : float
        Largest difference of the power that shows it. [kW]
    feedback : dict
        Contacts, and the inputs that show what each really does.
    """

    within_s: Annotated[float, Field(gt=0.0, le=600.0)]
    tolerance: Annotated[float, Field(ge=0.0)] = 0.0
    feedback: dict[str, str] = Field(default_factory=dict)


class Identity(Strict):
    """A point that must show something certain; else this is not the device that we think it is.

    Parameters
    ----------
    point : str
        Name of the point.
    raw : tuple of int
        What may stand in its register or field.
    text : str or None
        Pattern that the whole of a text must match.
    """

    point: str
    raw: tuple[int, ...] = ()
    text: str | None = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if bool(self.raw) is (self.text is not None):
            msg = "give raw values, or a text pattern"
            raise ValueError(msg)
        return self


class Mains(Strict):
    """Voltage behind a charger that is told a current instead of a power.

    Parameters
    ----------
    phases : int
        Phases that charge.
    volts : float
        Voltage of one phase. [V]
    """

    phases: Literal[1, 3]
    volts: Annotated[float, Field(ge=90.0, le=300.0)]

    @property
    def kw_per_a(self) -> float:
        """Power of one ampere. [kW/A]"""
        return self.phases * self.volts / 1000.0
