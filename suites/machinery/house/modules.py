"""Modules of the project and the rooms that they lie in."""

from __future__ import annotations

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


def room_of(module: str) -> str:
    """The room that a module lies in; suites/conftest.py is the framework's, and lies where pytest finds it."""
    top, *rest = module.split(".")
    if top == "reports":
        return top
    if module in ("suites", "fixtures"):
        return module
    return "suites.framework" if module == "suites.conftest" else f"{top}.{rest[0]}"
