"""Modules of the project and the rooms that they lie in."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from fixtures.record.file_names import ROOT


def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for top in ("fixtures", "reports", "suites"):
        for file in (ROOT / top).rglob("*.py"):
            name = file.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            found[name.removesuffix(".__init__")] = file
    return found


MODULES = modules()

PACKAGES = ("fixtures", "reports", "suites", "fixtures.propagation")
"""Packages that hold nothing but rooms."""


@functools.cache
def source_of(module: str) -> str:
    """Source of a module."""
    return MODULES[module].read_text(encoding="utf-8")


@functools.cache
def nodes_of(module: str) -> tuple[ast.AST, ...]:
    """Nodes of a module's syntax tree, which a dozen tests pass over: parsing them all takes two seconds."""
    return tuple(ast.walk(ast.parse(source_of(module))))


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """Modules of ours that a module imports, wherever in it."""
    found = set()
    for node in nodes_of(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found & MODULES.keys())


def room_of(module: str) -> str:
    """The room that a module lies in, or itself; suites/conftest.py is the framework's, where pytest finds it."""
    if module == "suites.conftest":
        return "suites.framework"
    package = max((name for name in PACKAGES if f"{module}.".startswith(f"{name}.")), key=len)
    return ".".join(module.split(".")[: len(package.split(".")) + 1])
