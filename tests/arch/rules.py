"""The house rules as small functions over source text, so that each can be shown a planted violation."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("energy", "forecasting", "dispatch", "devices", "vpp")

FILE_LINES = 500
FUNCTION_LINES = 60
POSITIONAL_ARGUMENTS = 5

# Reading the wall clock, by module and by name. Durations (perf_counter, monotonic) are no instants.
WALL_CLOCK = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime"},
    "Timestamp": {"now", "utcnow", "today"},
}
DURATIONS = {"perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time"}


def tracked(root: Path = ROOT) -> list[Path]:
    """Files of the repository: what git tracks or would track, without what it ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(root / name for name in listed.split("\0") if name and (root / name).is_file())


def package_files(root: Path = ROOT) -> dict[str, Path]:
    """Python files of the five packages by module name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(module: str, source: str, *, is_package: bool) -> Iterator[tuple[str, int]]:
    """Absolute names that a module imports, lazy imports included, with their line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                kept = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join([*kept, base] if base else kept)
            for alias in node.names:
                yield f"{base}.{alias.name}", node.lineno


def import_graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Which of our modules imports which; an import of a name counts for the module that holds it."""
    graph: dict[str, set[str]] = {module: set() for module in files}
    for module, path in files.items():
        package = path.name == "__init__.py"
        for name, _ in imports_of(module, path.read_text(encoding="utf-8"), is_package=package):
            target = name if name in files else name.rpartition(".")[0]
            if target in files and target != module:
                graph[module].add(target)
    return graph


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other in a ring (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    rings: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for target in sorted(graph.get(module, ())):
            if target not in index:
                visit(target)
                low[module] = min(low[module], low[target])
            elif target in stack:
                low[module] = min(low[module], index[target])
        if low[module] == index[module]:
            at = stack.index(module)
            ring = stack[at:]
            del stack[at:]
            if len(ring) > 1:
                rings.append(sorted(ring))

    for module in sorted(graph):
        if module not in index:
            visit(module)
    return rings


def vendor_leaks(files: Mapping[str, Path], gates: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Imports of a gated vendor outside its gate, as ``module:line imports vendor``."""
    leaks = []
    for module, path in files.items():
        source = path.read_text(encoding="utf-8")
        for name, line in imports_of(module, source, is_package=path.name == "__init__.py"):
            vendor = name.split(".")[0]
            inside = any(f"{module}.".startswith(f"{gate}.") for gate in gates.get(vendor, ()))
            if vendor in gates and not inside:
                leaks.append(f"{module}:{line} imports {vendor}")
    return sorted(set(leaks))


def clock_reads(source: str) -> list[tuple[int, str]]:
    """Places that read the wall clock, as (line, expression); the name may be imported under an alias."""
    tree = ast.parse(source)
    alias = {
        bound.asname or bound.name: bound.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for bound in node.names
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            name = alias.get(name, name)
            if node.attr in WALL_CLOCK.get(name.rsplit(".", 1)[-1], ()):
                found.append((node.lineno, f"{name}.{node.attr}"))
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [(node.lineno, f"time.{a.name}") for a in node.names if a.name in WALL_CLOCK["time"]]
    return sorted(found)


def duration_reads(source: str) -> list[tuple[int, str]]:
    """Places that use a stopwatch (``time.perf_counter`` and its like), as (line, name)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in DURATIONS:
            found.append((node.lineno, node.attr))
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            found += [(node.lineno, a.name) for a in node.names if a.name in DURATIONS]
    return sorted(found)


def _functions(
    tree: ast.AST, owner: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{owner}{node.name}", node
            yield from _functions(node, f"{owner}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{owner}{node.name}.")
        else:
            yield from _functions(node, owner)


def long_functions(source: str, limit: int = FUNCTION_LINES) -> list[tuple[str, int]]:
    """Functions with more lines than the limit, as (name, lines); a docstring does not count."""
    found = []
    for name, node in _functions(ast.parse(source)):
        first = node.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        documentation = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
        lines = (node.end_lineno or 0) - node.lineno + 1 - documentation
        if lines > limit:
            found.append((name, lines))
    return found


def wide_calls(source: str, limit: int = POSITIONAL_ARGUMENTS) -> list[tuple[str, int]]:
    """Public functions that take more positional arguments than the limit, as (name, count)."""
    found = []
    for name, node in _functions(ast.parse(source)):
        names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        count = len(names) - (1 if names[:1] in (["self"], ["cls"]) else 0)
        if count > limit and not any(part.startswith("_") for part in name.split(".")):
            found.append((name, count))
    return found


# The patterns are put together from pieces so that this file does not match them itself.
_MACHINE = "|".join(("work", "farm", "ro" + "ot", "tmp/(venv|bash)", "home/[a-z]+", "Users/[A-Za-z]+"))
FORBIDDEN_TEXT = {
    "a path of one machine": re.compile(rf"(?<![\w.$}}~/-])/({_MACHINE})(?=[/ \"'`]|$)"),
    "the host of a package registry": re.compile(r"--(extra-)?index-" + r"url|https?://[^\s]*/sim" + r"ple/"),
}
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")


def forbidden_text(lines: Iterable[str], *, code: bool) -> list[tuple[int, str]]:
    """What does not belong into a public repository, as (line, what); unfinished marks count in code only."""
    found = []
    for number, line in enumerate(lines, start=1):
        found += [(number, what) for what, pattern in FORBIDDEN_TEXT.items() if pattern.search(line)]
        if code and UNFINISHED.search(line):
            found.append((number, "an unfinished place"))
    return found
