"""``vpp forecast bench``: our model beside strong references on public series; sites a minute."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError
from vpp.console import Console

if TYPE_CHECKING:
    from vpp.backtest.bench import BenchCase
    from vpp.backtest.throughput import Throughput

__all__ = ["bench", "table_lines"]

THROUGHPUT_CASES = ("steel", "tetouan", "fr", "vic")  # loads in half hours


def bench(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="Folder of the public series.")],
    *,
    case: Annotated[str | None, typer.Option(help="Names of cases, with commas; all if none.")] = None,
    tuning: Annotated[
        bool, typer.Option("--tuning", help="Score the days before the test, on which methods may be tuned.")
    ] = False,
    references: Annotated[
        Path | None, typer.Option(help="File in which scores of references are kept; run once, then read.")
    ] = None,
    throughput: Annotated[
        bool, typer.Option("--throughput", help="Train and issue variations of the series instead.")
    ] = False,
    sites: Annotated[int, typer.Option(help="Sites of --throughput.")] = 1000,
    workers: Annotated[int, typer.Option(help="Processes of --throughput.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Score our model and strong references on public series: the ratio to the best reference of each case.

    References with LightGBM need the dependency group bench; without it they are left out, unless their
    scores are in the file of --references.
    """
    console = cast("Console", context.obj)
    if not data.is_dir():
        raise ConfigError("no such folder", where=str(data), hint="--data names the folder of the series")
    named = tuple(one.strip() for one in (case or "").split(",") if one.strip())
    if throughput:
        _throughput(console, data, named or THROUGHPUT_CASES, sites=sites, workers=workers, json=json)
        return
    from forecasting.references import lightgbm_is_installed
    from vpp.backtest.bench import ReferenceFile, bench_cases, bench_json, run_bench
    from vpp.backtest.run import our_model

    if not lightgbm_is_installed():
        console.say(console.text("backtest.no_lightgbm"))
    results = run_bench(
        bench_cases(data, named),
        our_model(),
        kept=ReferenceFile(references),
        tuning=tuning,
        say=lambda name, model: console.say(f"{name}: {model}"),
    )
    found = bench_json(results, tuning=tuning)
    if json:
        from json import dumps

        print(dumps(found, ensure_ascii=False, indent=1))
        return
    for result in results:
        _show_case(console, result)
    means = cast("dict[str, dict[str, float | None]]", found["geometric_mean"])
    for group, figures in means.items():
        if figures["pinball"] is not None:
            print(
                console.text(
                    f"backtest.mean_{group}", **{name: f"{value:.3f}" for name, value in figures.items()}
                )
            )


def _show_case(console: Console, result: BenchCase) -> None:
    print(f"\n{result.name}  {result.result['from']} .. {result.result['to']}")
    if result.bound:
        print(console.text("backtest.bound"))
    for line in table_lines(console, list(result.rows)):
        print(line)
    best, ratio = result.best("pinball"), result.ratio("pinball")
    if best is not None and ratio is not None:
        print(console.text("backtest.best", model=best.model, ratio=f"{ratio:.3f}"))


def table_lines(console: Console, rows: list[dict[str, object]]) -> list[str]:
    """A table of scores, errors in percent; a figure that does not exist is a dash."""
    heads = ("nmae", "nrmse", "pinball", "cover80", "width80", "peak_err", "fit_s", "predict_ms")
    words = [console.text(f"backtest.head_{name}") for name in heads]
    lines = ["  ".join([_padded("", 20), *(_padded(word, 9, right=True) for word in words)])]
    for row in rows:
        name = str(row["model"]) + (" *" if row["bound"] else "")
        cells = [_cell(name, row.get(name)) for name in heads]
        lines.append("  ".join([_padded(name, 20), *(_padded(cell, 9, right=True) for cell in cells)]))
    return lines


def _cell(name: str, value: object) -> str:
    if not isinstance(value, int | float):
        return "-"
    if name in {"fit_s", "predict_ms"}:
        return f"{value:.2f}" if name == "fit_s" else f"{value:.1f}"
    return f"{100.0 * value:.2f}" if name != "cover80" else f"{100.0 * value:.1f}"


def _padded(text: str, width: int, *, right: bool = False) -> str:
    """A cell as wide as a terminal shows it: a Japanese character takes two columns."""
    from unicodedata import east_asian_width

    space = " " * max(0, width - sum(2 if east_asian_width(one) in "WF" else 1 for one in text))
    return space + text if right else text + space


def _throughput(
    console: Console, data: Path, cases: tuple[str, ...], *, sites: int, workers: int, json: bool
) -> None:
    from forecasting.dayahead import issue
    from vpp.backtest.bench import bench_cases
    from vpp.backtest.throughput import measure_throughput

    found = measure_throughput(bench_cases(data, cases), issue, sites=sites, workers=workers)
    if json:
        from dataclasses import asdict
        from json import dumps

        plain = {
            name: round(value, 2) if isinstance(value, float) else value
            for name, value in asdict(found).items()
        }
        print(dumps(plain, ensure_ascii=False, indent=1))
        return
    print(_throughput_text(console, found))


def _throughput_text(console: Console, found: Throughput) -> str:
    return console.text(
        "backtest.throughput",
        sites=found.sites,
        workers=found.workers,
        seconds=f"{found.seconds:.0f}",
        rate=f"{found.models_per_minute:.0f}",
        memory=f"{found.peak_mb:.0f}",
        each=f"{found.ms_per_site:.0f}",
    )
