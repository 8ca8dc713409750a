"""Clock, sizes and public text; every rule is shown one planted violation."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.arch.rules import (
    FILE_LINES,
    ROOT,
    clock_reads,
    duration_reads,
    forbidden_text,
    long_functions,
    package_files,
    tracked,
    wide_calls,
)

CLOCK = "energy.core.clock"
# How long something took may be measured where work is done, not where values are stored or forecast.
# Of forecasting only the walks: they say how long a fit and a forecast take.
STOPWATCHES = (
    *("dispatch.", "devices.", "vpp."),
    *("forecasting.backtest", "forecasting.dayahead", "forecasting.references"),
)
# The one file that may name the folder of data sets that lies beside a checkout.
BESIDE = Path(".ci/run")
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".json",
    ".csv",
    ".html",
    ".css",
    ".js",
    ".sh",
    ".txt",
    ".svg",
    "",
}


def source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_only_the_clock_module_reads_the_wall_clock() -> None:
    reads = {
        module: found
        for module, path in package_files().items()
        if module != CLOCK and (found := clock_reads(source(path)))
    }
    assert reads == {}


def test_the_clock_module_is_the_place_that_does() -> None:
    assert clock_reads(source(package_files()[CLOCK])) != []


@pytest.mark.parametrize(
    "planted",
    [
        "from datetime import datetime\nx = datetime.now(tz)",
        "import datetime as dt\nx = dt.datetime.utcnow()",
        "from datetime import datetime as moment\nx = moment.now()",
        "import datetime\nx = datetime.date.today()",
        "import time\nx = time.time()",
        "import time as t\nx = t.time_ns()",
        "from time import time",
        "import pandas as pd\nx = pd.Timestamp.now()",
        "from datetime import datetime\nwhen = field(default_factory=datetime.now)",
    ],
)
def test_reading_the_wall_clock_is_found(planted: str) -> None:
    assert clock_reads(planted)


def test_a_clock_that_was_passed_in_may_be_read() -> None:
    assert clock_reads("def f(clock: Clock):\n    return clock.now()\nimport time\ntime.sleep(1)") == []


def test_stopwatches_stand_only_where_work_is_done() -> None:
    reads = {
        module: found
        for module, path in package_files().items()
        if not module.startswith(STOPWATCHES) and (found := duration_reads(source(path)))
    }
    assert reads == {}


@pytest.mark.parametrize("planted", ["import time\nt = time.perf_counter()", "from time import monotonic"])
def test_a_stopwatch_is_found(planted: str) -> None:
    assert duration_reads(planted)


# Modules that keep the register: they record and list consents, and decide nothing by them.
KEEPS_CONSENTS = {
    "vpp.consents",
    "vpp.privacy",
    "vpp.web.operator_rooms",
    "vpp.api.consents",
    "vpp.cli.consent",
}


def test_only_one_place_decides_whether_data_are_let_through() -> None:
    names = {
        module
        for module, path in package_files().items()
        if module.startswith("vpp.") and "ConsentRegister" in source(path)
    }
    assert "vpp.consents" in names
    assert names <= KEEPS_CONSENTS


def test_no_python_file_is_longer_than_five_hundred_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(source(path).splitlines())
        for path in tracked()
        if path.suffix == ".py"
    }
    assert len(lengths) > 30
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


def test_no_function_is_longer_than_sixty_lines_without_its_docstring() -> None:
    # A migration is a list of statements that is never touched again.
    files = {m: path for m, path in package_files().items() if ".migrations.versions." not in m}
    assert {m: found for m, path in files.items() if (found := long_functions(source(path)))} == {}


def test_a_long_function_is_found_and_its_docstring_does_not_count() -> None:
    body = "\n".join(f"    x{n} = {n}" for n in range(60))
    assert long_functions(f"class A:\n  def f():\n{body.replace('    ', '      ')}") == [("A.f", 61)]
    documentation = "\n".join(f"    line {n}" for n in range(80))
    assert long_functions(f'def f():\n    """Say.\n{documentation}\n    """\n    return 1') == []


def test_public_calls_take_at_most_five_positional_arguments() -> None:
    # A command's parameters are options: only typer calls it, and by name.
    files = {m: path for m, path in package_files().items() if not m.startswith("vpp.cli.")}
    wide = {m: found for m, path in files.items() if (found := wide_calls(source(path)))}
    assert wide == {}


def test_a_wide_call_is_found_and_keywords_do_not_count() -> None:
    assert wide_calls("def f(a, b, c, d, e, f): ...") == [("f", 6)]
    assert (
        wide_calls("class A:\n    def f(self, a, b, c, d, e): ...\n    def g(self, a, *, b, c, d, e, f): ...")
        == []
    )
    assert wide_calls("def _f(a, b, c, d, e, f): ...") == []


def test_the_tree_names_no_machine_no_registry_and_holds_no_unfinished_place() -> None:
    found = {}
    for path in tracked():
        if path.suffix in TEXT and path.stat().st_size < 1_000_000:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            if hits := forbidden_text(lines, code=path.suffix == ".py"):
                found[str(path.relative_to(ROOT))] = hits
    assert found == {}


@pytest.mark.parametrize(
    ("planted", "what"),
    [
        ("cd /ro" + "ot/project", "a path of one machine"),
        ('open("/wo' + 'rk/main/x")', "a path of one machine"),
        ("/ho" + "me/someone/site.yaml", "a path of one machine"),
        ("pip install --index-" + "url x", "the host of a package registry"),
        ("see http" + "s://example.org/sim" + "ple/numpy", "the host of a package registry"),
        ("# TO" + "DO: later", "an unfinished place"),
        ("raise NotImplemented" + "Error", "an unfinished place"),
    ],
)
def test_what_does_not_belong_into_a_repository_is_found(planted: str, what: str) -> None:
    assert forbidden_text([planted], code=True) == [(1, what)]


@pytest.mark.parametrize(
    "innocent", ["${DIR}/work/x", "docs/how-to/work.md", "https://example.org/home/page", "a/root b"]
)
def test_ordinary_text_is_left_alone(innocent: str) -> None:
    assert forbidden_text([innocent], code=False) == []


def test_only_the_ci_script_knows_the_folder_beside_a_checkout() -> None:
    name = "../sha" + "red"
    holders = [
        path.relative_to(ROOT)
        for path in tracked()
        if path.suffix in TEXT and name in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert holders in ([], [BESIDE])
