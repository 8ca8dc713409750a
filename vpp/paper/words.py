"""Words of the papers: the keys below ``paper`` of both languages."""

from __future__ import annotations

from datetime import date

from vpp.i18n import Lang, Messages

__all__ = ["PaperWords"]


class PaperWords:
    """Texts of papers in one language: ``PaperWords("ja")("total")``."""

    def __init__(self, lang: Lang) -> None:
        self.lang: Lang = lang
        self._messages = Messages(lang)

    def __call__(self, key: str, **values: object) -> str:
        """Text of a key with its values put in."""
        return self._messages.text(f"paper.{key}", **values)

    def month(self, month: str) -> str:
        """A month in words: ``2026年8月``, ``August 2026``."""
        return self._messages.month(month)

    def day(self, day: date) -> str:
        """A day in words."""
        if self.lang == "ja":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day} {day:%b} {day.year}"

    def short_day(self, day: date) -> str:
        """A day of a month that the reader knows."""
        return f"{day.month}月{day.day}日" if self.lang == "ja" else f"{day.day} {day:%b}"
