"""Issued forecasts, their accuracy and their models in sentences and tables, Japanese and English."""

from __future__ import annotations

from datetime import datetime

from energy.store import AuditRecord
from forecasting.card import ModelCard
from forecasting.drift import Standing
from vpp.forecasts.accuracy import Accuracy, AccuracyRow
from vpp.forecasts.issued import IssuedForecast
from vpp.i18n import Messages
from vpp.table import Table

__all__ = [
    "accuracy_sentences",
    "accuracy_table",
    "audit_sentence",
    "issue_sentences",
    "issue_table",
    "model_sentence",
    "standing_sentence",
]


def _target(words: Messages, target: str) -> str:
    return words.text(f"target.{target}") if words.has(f"target.{target}") else target


def issue_sentences(words: Messages, one: IssuedForecast, standing: Standing | None) -> list[str]:
    """What a forecast says, who made it, and how its method has stood lately."""
    middle = max(range(one.grid.count), key=lambda k: one.p50[k])
    high = max(range(one.grid.count), key=lambda k: one.p90[k])
    said = words.text(
        "issue.lead",
        target=_target(words, one.target),
        first=words.moment(one.start),
        last=words.moment(one.grid.end),
        p50=words.kw(one.p50[middle]),
        p50_slot=words.day_slot(one.grid.time(middle)),
        p90=words.kw(one.p90[high]),
        p90_slot=words.day_slot(one.grid.time(high)),
    )
    made = words.text(
        "issue.made_by_model" if one.card else "issue.made_by_rule",
        at=words.moment(one.issued_at),
        model=one.model,
        card=one.card,
    )
    return [said, made, *([] if standing is None else [standing_sentence(words, standing)])]


def standing_sentence(words: Messages, standing: Standing) -> str:
    """Whether the model or the rule of thumb speaks, since when, and by how much."""
    ratio = standing.ratio
    if ratio is None:
        return words.text("model.standing_unknown", days=standing.scored_days)
    key = "model.standing_model" if standing.model_in_use else "model.standing_rule"
    return words.text(
        key, since=words.moment(standing.since), days=standing.scored_days, ratio=words.percent(ratio)
    )


def issue_table(words: Messages, one: IssuedForecast) -> Table:
    """Slot by slot."""
    header = (words.text("issue.slot"), "P10 kW", "P50 kW", "P90 kW")
    rows = tuple(
        (words.day_slot(at), words.number(p10), words.number(p50), words.number(p90))
        for at, p10, p50, p90 in zip(one.grid.times(), one.p10, one.p50, one.p90, strict=True)
    )
    return Table(words.text("issue.caption"), header, rows)


# -- accuracy ------------------------------------------------------------------------------------------


def accuracy_sentences(words: Messages, report: Accuracy, standing: Standing | None) -> list[str]:
    """One sentence per horizon, what was left out, and how the method stands."""
    said = [
        words.text(
            "accuracy.lead",
            target=_target(words, report.target),
            horizon=_horizon(words, row),
            error=words.percent(row.nmae, 1),
            weekday=_share(words, row.weekday_nmae),
            persistence=_share(words, row.persistence_nmae),
            cover=words.percent(row.cover80),
        )
        for row in report.totals
    ]
    if report.unknown:
        said.append(words.text("accuracy.unknown", slots=report.unknown))
    return [*said, *([] if standing is None else [standing_sentence(words, standing)])]


def accuracy_table(words: Messages, report: Accuracy) -> Table:
    """Figures by group."""
    names = ("slots", "error", "pinball", "cover", "bias", "weekday", "persistence")
    rows = tuple(_accuracy_row(words, row) for row in report.rows)
    columns = (words.text(f"accuracy.{name}") for name in names)
    return Table(
        words.text("accuracy.caption"), (words.text(f"accuracy.by_{report.by.value}"), *columns), rows
    )


def _horizon(words: Messages, row: AccuracyRow) -> str:
    return words.text(f"accuracy.horizon_{row.horizon.replace('-', '_')}")


def _accuracy_row(words: Messages, row: AccuracyRow) -> tuple[str, ...]:
    return (
        f"{_horizon(words, row)} {row.group}",
        words.number(row.slots, 0),
        words.percent(row.nmae, 1),
        words.percent(row.pinball, 1),
        words.percent(row.cover80),
        words.percent(row.bias, 1),
        _share(words, row.weekday_nmae),
        _share(words, row.persistence_nmae),
    )


def _share(words: Messages, value: float | None) -> str:
    return words.text("table.nothing") if value is None else words.percent(value, 1)


# -- models --------------------------------------------------------------------------------------------


def model_sentence(words: Messages, card: ModelCard, *, since: datetime | None) -> str:
    """A model: when it was fitted, from what, how good, and whether it speaks."""
    score = card.score
    parts = [
        words.text(
            "model.card",
            target=_target(words, card.target),
            card=card.digest,
            model=card.model,
            fitted=words.moment(card.fitted_at),
            start=words.moment(min(used.start for used in card.inputs)),
        )
    ]
    if score is not None:
        parts.append(
            words.text("model.score", error=words.percent(score.nmae, 1), cover=words.percent(score.cover80))
        )
    if since is not None:
        parts.append(words.text("model.in_use", since=words.moment(since)))
    return words.text("format.sentence_gap").join(parts)


def audit_sentence(words: Messages, record: AuditRecord) -> str:
    """A change of model or method on record."""
    ratio = record.facts.get("loss_ratio")
    act = record.act.removeprefix("model.").replace("-", "_")
    return words.text(
        "model.audit_first" if act == "released" and ratio is None else f"model.audit_{act}",
        at=words.moment(record.at),
        ratio="" if ratio is None else words.percent(float(str(ratio))),
        card=str(record.facts.get("in_use", record.facts.get("card", ""))),
    )
