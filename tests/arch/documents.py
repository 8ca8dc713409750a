"""What the documents promise, read out of their text: links, commands, headings, names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_FENCE = re.compile(r"^(```|~~~)")
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
_MENTION = re.compile(r"(?<![\w./-])docs/[\w./-]*\w")
_MARK = re.compile(r"\b(RULES-JP|DEVICES|FORECASTING|OPTIMISATION),? (?:sections? )?(T?\d+(?:\.\d+)*)")
SHELL = {"sh", "bash", "shell", "console"}


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Fenced blocks as (language, lines)."""
    language: str | None = None
    inside: list[str] = []
    for line in text.splitlines():
        if _FENCE.match(line.strip()):
            if language is None:
                language, inside = line.strip().strip("`~").strip(), []
            else:
                yield language, inside
                language = None
        elif language is not None:
            inside.append(line)


def prose(text: str) -> list[str]:
    """Lines outside fenced blocks."""
    lines, fenced = [], False
    for line in text.splitlines():
        if _FENCE.match(line.strip()):
            fenced = not fenced
        elif not fenced:
            lines.append(line)
    return lines


def headings(text: str) -> list[tuple[int, str]]:
    """Headings as (level, title)."""
    found = (re.match(r"(#{1,6}) +(.*)", line) for line in prose(text))
    return [(len(match.group(1)), match.group(2).strip()) for match in found if match]


def anchor(title: str) -> str:
    """Anchor of a heading, as the usual renderers make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere, to a file or to a heading."""
    broken = []
    for match in _LINK.finditer("\n".join(prose(page.read_text(encoding="utf-8")))):
        link = match.group(1) or match.group(2)
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists():
            broken.append(link)
        elif fragment and target.suffix == ".md":
            titles = {anchor(title) for _, title in headings(target.read_text(encoding="utf-8"))}
            if fragment not in titles:
                broken.append(link)
    return broken


def mentions(text: str) -> set[str]:
    """Paths below ``docs/`` that a source file speaks of."""
    return set(_MENTION.findall(text))


def citations(text: str) -> set[str]:
    """Marks such as ``RULES-JP 2.2`` in a text."""
    return {f"{book} {section}" for book, section in _MARK.findall(text)}


def uncovered(cited: Iterable[str], listed: set[str]) -> list[str]:
    """Citations whose section, or the section above it, is not on the list."""
    return sorted(mark for mark in cited if mark not in listed and mark.rsplit(".", 1)[0] not in listed)


def leads_somewhere(root: Path, mention: str) -> bool:
    """Whether a mention is a file or folder, or the number of a decision record."""
    path = root / mention
    return path.exists() or any(path.parent.glob(f"{path.name}-*.md"))


def commands(text: str, programs: Iterable[str] = ("make", "vpp")) -> list[tuple[str, list[str]]]:
    """Shell commands of a page as (program, words); comments, prompts and pipes are taken off."""
    wanted, found = set(programs), []
    for language, lines in blocks(text):
        if language in SHELL:
            for line in "\n".join(lines).replace("\\\n", " ").splitlines():
                words = re.split(r"[|>;]|&&", re.sub(r"(^|\s)#.*", "", line).removeprefix("$ "))[0].split()
                while words and re.match(r"[A-Z_]+=", words[0]):
                    del words[0]
                if words and (name := words[0].rsplit("/", 1)[-1]) in wanted:
                    found.append((name, words[1:]))
    return found


def make_targets(makefile: str) -> set[str]:
    """Targets that a Makefile defines."""
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", makefile, re.MULTILINE))


def code_names(glossary: str) -> list[str]:
    """Names in the last column of the glossary's tables."""
    rows = (line.strip().strip("|").split("|") for line in prose(glossary) if line.startswith("|"))
    wide = (row for row in rows if len(row) == 4)
    return [name for row in wide for name in re.findall(r"`([^`]+)`", row[-1])]


def identifiers(sources: Iterable[str]) -> set[str]:
    """Every name that is defined or used in some Python sources."""
    names: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                    names.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    names.add(name)
                case ast.keyword(arg=str(name)):
                    names.add(name)
    return names
