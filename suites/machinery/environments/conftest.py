"""Fixtures of what builds environments: wheels that pip finds, and what a person is told."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def wheels(known_wheels: Path, copied_venvs: object) -> Path:  # noqa: ARG001 - environments are made of copies
    """Folder in which pip finds the wheels that a test makes."""
    pytest.importorskip("virtualenv", reason="comes with nox, in the dependency group machinery")
    return known_wheels


@pytest.fixture
def said() -> list[str]:
    """Lines that a person who waits was told."""
    return []
