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

PACKAGES = ("fixtures", "reports", "suites", "fixtures.propagation")
"""Packages that hold nothing but rooms."""


def room_of(module: str) -> str:
    """The room that a module lies in, or itself; suites/conftest.py is the framework's, where pytest finds it."""
    if module == "suites.conftest":
        return "suites.framework"
    package = max((name for name in PACKAGES if f"{module}.".startswith(f"{name}.")), key=len)
    return ".".join(module.split(".")[: len(package.split(".")) + 1])
