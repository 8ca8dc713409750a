"""The benchmark: our model beside strong references on every public case, and the ratio to the best of them.

The best reference of a case is chosen after the fact, per case and figure: the hardest line to beat.
References that take minutes are kept in a file, one line per window, case and method, under a key of what
they depend on.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import TypeAdapter

from energy.core.errors import ConfigError, DataError
from forecasting.backtest import NINE_LEVELS, DayAhead, ModelScore, compare
from forecasting.references import lightgbm_is_installed, reference_models
from vpp.backtest.case import Case
from vpp.backtest.panel import Built, build_panel
from vpp.backtest.run import score_json

__all__ = ["BenchCase", "Best", "ReferenceFile", "bench_cases", "bench_json", "run_bench", "run_bench_case"]

Figure = Literal["pinball", "nmae", "peak_err"]
FIGURES: Final[tuple[Figure, ...]] = ("pinball", "nmae", "peak_err")
REFERENCES_EDITION: Final = 1  # raise it when forecasting.references changes: kept figures are then made anew
OURS: Final = "vpp"
Row = dict[str, object]
Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Best:
    """The best reference of a case by one figure."""

    model: str
    value: float
    published: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchCase:
    """Our line of a case and those of the references.

    Parameters
    ----------
    name : str
        Name of the case.
    result : dict
        Case, window, what became of the file.
    rows : tuple of dict
        One per method that ran here or is kept, in the form of :func:`vpp.backtest.run.score_json`.
    published : mapping of str to dict
        Figures that others reached. [-]
    """

    name: str
    result: Mapping[str, object]
    rows: tuple[Row, ...]
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def ours(self, figure: Figure) -> float | None:
        """Our figure."""
        return next((_number(row, figure) for row in self.rows if row["model"] == OURS), None)

    def best(self, figure: Figure) -> Best | None:
        """Best reference by a figure, run here or published; None if there is none."""
        found = [
            Best(str(row["model"]), value, False)
            for row in self.rows
            if row["model"] != OURS and (value := _number(row, figure)) is not None
        ]
        found += [
            Best(model, figures[figure], True)
            for model, figures in self.published.items()
            if figure in figures
        ]
        return min(found, key=lambda one: one.value, default=None)

    def ratio(self, figure: Figure) -> float | None:
        """Our figure over that of the best reference; below 1 is better."""
        ours, best = self.ours(figure), self.best(figure)
        return None if ours is None or best is None else ours / best.value

    @property
    def bound(self) -> bool:
        """Whether the weather was perfect."""
        return bool(self.result["bound"])


def bench_cases(data: Path, names: Sequence[str] = ()) -> dict[str, Case]:
    """The cases of the benchmark, their files below a folder.

    Raises
    ------
    ConfigError
        If there is no case of a name.
    """
    table = yaml.safe_load(_resource("cases.yaml"))
    cases = TypeAdapter(dict[str, Case]).validate_python(table)
    unknown = [name for name in names if name not in cases]
    if unknown:
        raise ConfigError(f"no case {unknown[0]!r}", where="--case", hint=f"choose from {', '.join(cases)}")
    return {
        name: replace(case, file=data / case.file)
        for name, case in cases.items()
        if not names or name in names
    }


def published(case: str) -> dict[str, dict[str, float]]:
    """Published figures of a case by method, as shares."""
    table = yaml.safe_load(_resource("published.yaml"))
    rows = table["cases"].get(case, {})
    return {
        model: {name: value / 100.0 for name, value in zip(table["columns"], figures, strict=True)}
        for model, figures in rows.items()
    }


def _resource(name: str) -> str:
    return resources.files("vpp.backtest").joinpath(name).read_text(encoding="utf-8")


class ReferenceFile:
    """Figures of references from earlier runs, one JSON line each.

    Parameters
    ----------
    path : Path or None
        The file; None keeps nothing.

    Raises
    ------
    DataError
        If a line is no such figure.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows: dict[tuple[str, str], Row] = {}
        if path is None or not path.exists():
            return
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                kept = json.loads(line)
                self._rows[kept["key"], kept["row"]["model"]] = kept["row"]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path.name} holds a line that is no reference",
                    where=f"{path} line {number}: {error}",
                    hint="remove the line, or the file: the references are then run again",
                ) from None

    def find(self, key: str, model: str) -> Row | None:
        """A kept line."""
        return self._rows.get((key, model))

    def keep(self, key: str, name: str, row: Row) -> None:
        """Keep a line."""
        self._rows[key, str(row["model"])] = row
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "case": name, "row": row}) + "\n")


def case_key(name: str, case: Case, *, tuning: bool) -> str:
    """What the figures of a reference depend on, as a short hash: the case without its folder, the window."""
    bare = replace(case, file=Path(case.file.name))
    plain = TypeAdapter(Case).dump_python(bare, mode="json", exclude_defaults=True)
    text = json.dumps([name, plain, tuning, REFERENCES_EDITION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_bench(
    cases: Mapping[str, Case], ours: DayAhead | None, *, kept: ReferenceFile, tuning: bool, say: Say
) -> list[BenchCase]:
    """Run our model and the references that are not kept yet, case by case.

    Parameters
    ----------
    ours : DayAhead or None
        The model named ``vpp``; None runs the references only.
    say : callable
        Told the case and the method before each run.
    """
    return [
        run_bench_case(name, case, ours, kept=kept, tuning=tuning, say=say) for name, case in cases.items()
    ]


def run_bench_case(
    name: str, case: Case, ours: DayAhead | None, *, kept: ReferenceFile, tuning: bool, say: Say
) -> BenchCase:
    """One case of the benchmark; see :func:`run_bench`."""
    built = build_panel(case, tuning=tuning)
    key = case_key(name, case, tuning=tuning)
    boosting = lightgbm_is_installed()
    models = reference_models(built.panel, boosting=True)
    rows: list[Row] = []
    for model, walk in models.items():
        row = kept.find(key, model)
        if row is None and (boosting or not model.startswith("lgbm")):
            say(name, model)
            row = score_json(_score(built, case, model, walk))
            kept.keep(key, name, row)
        if row is not None:
            rows.append(row)
    if ours is not None:
        say(name, OURS)
        rows.append(score_json(_score(built, case, OURS, ours)))
    window = case.tuning if tuning else (case.first, case.last)
    assert window is not None
    result = {
        "case": name,
        "kind": case.kind,
        "bound": case.bound,
        "from": window[0].isoformat(),
        "to": window[1].isoformat(),
        "facts": dict(built.facts),
    }
    return BenchCase(name=name, result=result, rows=tuple(rows), published={} if tuning else published(name))


def _score(built: Built, case: Case, name: str, walk: DayAhead) -> ModelScore:
    return compare(
        built.panel,
        built.rows,
        {name: walk},
        first_day=built.first_day,
        bound=case.bound,
        levels=NINE_LEVELS,
    )[0]


def bench_json(results: Sequence[BenchCase], *, tuning: bool) -> dict[str, object]:
    """The benchmark in the types of JSON: every case, ratios to the best reference, geometric means."""
    return {
        "window": "tuning" if tuning else "test",
        "lightgbm": lightgbm_is_installed(),
        "cases": [_case_json(result) for result in results],
        "geometric_mean": {
            "results": _means([result for result in results if not result.bound]),
            "bounds": _means([result for result in results if result.bound]),
        },
    }


def _case_json(result: BenchCase) -> dict[str, object]:
    best = {figure: result.best(figure) for figure in FIGURES}
    return {
        **result.result,
        "models": list(result.rows),
        "published": {model: dict(figures) for model, figures in result.published.items()},
        "best": {
            figure: None
            if one is None
            else {"model": one.model, "value": round(one.value, 5), "published": one.published}
            for figure, one in best.items()
        },
        "ratio": {figure: _rounded(result.ratio(figure)) for figure in FIGURES},
    }


def _means(results: Sequence[BenchCase]) -> dict[str, float | None]:
    """Geometric mean of the ratios by figure."""
    means = {}
    for figure in FIGURES:
        ratios = [ratio for result in results if (ratio := result.ratio(figure)) is not None]
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None
        means[str(figure)] = _rounded(mean)
    return means


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _number(row: Row, figure: str) -> float | None:
    value = row.get(figure)
    return float(value) if isinstance(value, int | float) else None
