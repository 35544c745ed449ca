"""Fixtures that tests of the house share."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from fixtures.record.file_names import ROOT


@pytest.fixture(scope="session")
def noxfile() -> ModuleType:
    """The noxfile, imported once: nox refuses to register a session twice."""
    pytest.importorskip("nox", reason="in the dependency group machinery")
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
