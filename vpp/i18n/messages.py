"""Texts by key from ``ja.toml`` and ``en.toml``, and numbers and times as each reader writes them.

Both files have the same keys and the same placeholders (a test sees to it). A text may be a list of variants,
richest first: :meth:`Messages.first` takes the first one whose numbers are known.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib import resources
from string import Formatter
from typing import Final, Literal, get_args

from energy.core.errors import ConfigError
from energy.core.slots import JST, SLOT_LENGTH

__all__ = ["LANGUAGES", "Lang", "Messages"]

Lang = Literal["ja", "en"]
LANGUAGES: Final[tuple[Lang, ...]] = get_args(Lang)
_WEEKDAYS_JA: Final = "月火水木金土日"
_WEEKDAYS_EN: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS_EN: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_INSTANT: Final = timedelta(microseconds=1)
_MINUS: Final = "\u2212"  # the minus sign of typography; only temperatures and axes through zero carry it


class Messages:
    """Texts of one language, and its way to write numbers, yen, dates and slots.

    Parameters
    ----------
    lang : {"ja", "en"}
        Language of the reader.

    Raises
    ------
    ConfigError
        If there are no texts in this language.

    Examples
    --------
    >>> Messages("en").yen(12345)
    '12,345 yen'
    """

    def __init__(self, lang: Lang) -> None:
        if lang not in LANGUAGES:
            raise ConfigError(
                f"no texts in language {lang!r}",
                where=", ".join(LANGUAGES),
                hint="use --lang ja or --lang en",
            )
        self.lang: Lang = lang
        self._texts = _load(lang)

    @property
    def other(self) -> Lang:
        """The language of the switch: English for a Japanese page and the other way round."""
        return "en" if self.lang == "ja" else "ja"

    def keys(self) -> frozenset[str]:
        """All keys, such as ``report.title``; a variant of a list ends in its number."""
        return frozenset(self._texts)

    def has(self, key: str) -> bool:
        """Whether there is a text, or a list of variants, of this key."""
        return key in self._texts or f"{key}.0" in self._texts

    def placeholders(self, key: str) -> frozenset[str]:
        """Names of the values that a text needs."""
        return frozenset(name for _, name, _, _ in Formatter().parse(self._raw(key)) if name)

    def text(self, key: str, **values: object) -> str:
        """Text of a key with its values put in.

        Raises
        ------
        ConfigError
            If the key is unknown, or a value that the text needs is not given.
        """
        raw = self._raw(key)
        missing = self.placeholders(key) - values.keys()
        if missing:
            raise ConfigError(
                f"the text {key!r} needs {', '.join(sorted(missing))}", where=f"{self.lang}.toml: {raw!r}"
            )
        return raw.format_map(values)

    def first(self, key: str, values: Mapping[str, object]) -> str:
        """First variant of a list whose values are all known; the last one of a list needs none.

        Raises
        ------
        ConfigError
            If the key is unknown, or no variant can be filled.
        """
        number = 0
        while f"{key}.{number}" in self._texts:
            variant = f"{key}.{number}"
            if self.placeholders(variant) <= values.keys():
                return self._raw(variant).format_map(values)
            number += 1
        return self.text(key, **values)

    def _raw(self, key: str) -> str:
        try:
            return self._texts[key]
        except KeyError:
            near = difflib.get_close_matches(key, self._texts, n=1)
            raise ConfigError(
                f"no text {key!r}",
                where=f"{self.lang}.toml",
                hint=f"did you mean {near[0]!r}?" if near else "add it to ja.toml and en.toml",
            ) from None

    def number(self, value: float, digits: int = 1) -> str:
        """Number with thousands separators; a value that rounds to zero has no sign."""
        written = f"{abs(value):,.{digits}f}"
        below_zero = value < 0 and any(sign in "123456789" for sign in written)
        return f"{_MINUS}{written}" if below_zero else written

    def quantity(self, value: float, unit: str, digits: int = 1) -> str:
        """Number with a unit after a space, such as ``101.3 kW``."""
        return f"{self.number(value, digits)} {unit}"

    def kw(self, value: float) -> str:
        """Power in kW, one digit."""
        return self.quantity(value, "kW")

    def kwh(self, value: float) -> str:
        """Energy in kWh, one digit."""
        return self.quantity(value, "kWh")

    def celsius(self, value: float, digits: int = 1) -> str:
        """Temperature, or a difference of two."""
        return self.quantity(value, "℃" if self.lang == "ja" else "°C", digits)

    def percent(self, share: float, digits: int = 0) -> str:
        """Share in 0..1 as percent."""
        return self.quantity(100.0 * share, "%", digits)

    def yen(self, amount: float) -> str:
        """Whole yen: ``12,345円`` or ``12,345 yen``."""
        return f"{self.number(amount, 0)}円" if self.lang == "ja" else f"{self.number(amount, 0)} yen"

    def about_yen(self, amount: float) -> str:
        """Yen of an estimate: three leading digits, so that it does not look exact."""
        digits = 3 - len(f"{abs(amount):.0f}")
        return self.yen(round(amount, min(0, digits)))

    def about_kwh(self, amount: float) -> str:
        """Energy of an estimate in kWh: three leading digits, and no tenths from 100 on."""
        digits = 3 - len(f"{abs(amount):.0f}")
        return self.quantity(round(amount, min(1, digits)), "kWh", 1 if digits > 0 else 0)

    def day(self, day: date) -> str:
        """``11月22日(日)`` or ``Sun 22 Nov``."""
        if self.lang == "ja":
            return f"{day.month}月{day.day}日({_WEEKDAYS_JA[day.weekday()]})"
        return f"{_WEEKDAYS_EN[day.weekday()]} {day.day} {_MONTHS_EN[day.month - 1]}"

    def month(self, month: str) -> str:
        """``2026年8月`` or ``August 2026`` of ``2026-08``."""
        year, number = (int(part) for part in month.split("-"))
        return f"{year}年{number}月" if self.lang == "ja" else f"{date(year, number, 1):%B} {year}"

    def axis_day(self, day: date) -> str:
        """Short day for an axis: ``22(日)`` or ``Sun 22``."""
        if self.lang == "ja":
            return f"{day.day}({_WEEKDAYS_JA[day.weekday()]})"
        return f"{_WEEKDAYS_EN[day.weekday()]} {day.day}"

    def moment(self, instant: datetime) -> str:
        """``11月22日(日) 14:30`` or ``Sun 22 Nov 14:30``, in Japan's time."""
        local = instant.astimezone(JST)
        return f"{self.day(local.date())} {local:%H:%M}"

    def slot(self, start: datetime, length: timedelta = SLOT_LENGTH) -> str:
        """``14:30-15:00``, in Japan's time; an end at midnight is 24:00."""
        local, end = start.astimezone(JST), (start + length).astimezone(JST)
        closes = "24:00" if (end.hour, end.minute) == (0, 0) else f"{end:%H:%M}"
        return f"{local:%H:%M}-{closes}"

    def day_slot(self, start: datetime, length: timedelta = SLOT_LENGTH) -> str:
        """``11月22日(日) 14:30-15:00``, in Japan's time; an end on another day says which."""
        first, last = (one.astimezone(JST).date() for one in (start, start + length - _INSTANT))
        if first != last:
            return f"{self.moment(start)} - {self.moment(start + length)}"
        return f"{self.day(first)} {self.slot(start, length)}"


@lru_cache(maxsize=len(LANGUAGES))
def _load(lang: Lang) -> Mapping[str, str]:
    source = resources.files("vpp.i18n").joinpath(f"{lang}.toml").read_text(encoding="utf-8")
    return dict(_flatten("", tomllib.loads(source)))


def _flatten(prefix: str, node: object) -> list[tuple[str, str]]:
    """Leaves of nested tables and lists as ``section.key`` and ``section.key.0``."""
    match node:
        case str():
            return [(prefix, node)]
        case dict():
            parts = [(str(name), child) for name, child in node.items()]
        case list():
            parts = [(str(number), child) for number, child in enumerate(node)]
        case _:
            raise ConfigError("a text is neither a string, a list nor a table", where=f"key {prefix!r}")
    joined = [(f"{prefix}.{name}" if prefix else name, child) for name, child in parts]
    return [leaf for name, child in joined for leaf in _flatten(name, child)]
