"""Why an asset did what it did in a slot, in sentences."""

from __future__ import annotations

from dataclasses import dataclass

from energy.core.errors import ConfigError
from energy.core.plan import Setpoint
from energy.core.slots import Slot
from energy.core.units import AssetId
from vpp.i18n import Lang, Messages, reason_sentence
from vpp.site.records import SlotRecord
from vpp.site.sitebook import Names

__all__ = ["Explanation", "explain_slot"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was planned for an asset in a slot, what held in the end, and the words for it."""

    slot: Slot
    asset: str
    planned: Setpoint | None
    held: str
    sentences: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """The facts under English keys, with the sentences."""
        return {
            "slot": self.slot.start.isoformat(),
            "asset": self.asset,
            "planned_kw": None if self.planned is None else self.planned.power_kw,
            "planned_reason": None if self.planned is None else self.planned.reason.code.value,
            "facts": {} if self.planned is None else dict(self.planned.reason.facts),
            "held_reason": self.held,
            "sentences": list(self.sentences),
        }


def explain_slot(record: SlotRecord, asset: str, *, names: Names, lang: Lang) -> Explanation:
    """Say what an asset was told to do in a slot, and why.

    Parameters
    ----------
    names : dict
        Name in Japanese and English and kind, by asset.

    Raises
    ------
    ConfigError
        If the site has no such asset.
    """
    if asset not in names:
        raise ConfigError(
            f"no asset {asset!r}",
            where=f"this site has {', '.join(sorted(names))}",
            hint="give one of these ids",
        )
    words = Messages(lang)
    ja, en, kind = names[asset]
    name = ja if lang == "ja" else en
    slot = Slot(record.slot)
    planned = next((point for point in record.planned if point.asset == AssetId(asset)), None)
    last = record.last_reasons.get(asset)
    sentences = [
        words.text(
            "explain.slot", when=words.day_slot(slot.start), source=words.text(f"plan_source.{record.source}")
        )
    ]
    if planned is None:
        sentences.append(words.text("explain.no_plan", name=name))
    else:
        sentences.append(
            reason_sentence(
                words,
                planned.reason,
                kind=kind,
                name=name,
                power_kw=planned.power_kw,
                setpoint_c=planned.expected if kind == "zone" else None,
            )
        )
    if last is not None and (planned is None or last.code is not planned.reason.code):
        sentences.append(
            words.text(
                "explain.overruled", why=reason_sentence(words, last, kind=kind, name=name, power_kw=None)
            )
        )
    if record.target_kw is not None:
        sentences.append(
            words.text("explain.target", target=words.kw(record.target_kw), minutes=record.guard_minutes)
        )
    return Explanation(slot, asset, planned, last.code.value if last else "", tuple(sentences))
