"""Packages that a requirement brought into this environment, as the metadata of what is installed tells."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

FRAMEWORK = "torch"
"""What it needs is its own, whoever else needs it."""


def brought_by(requirement: str) -> tuple[str, ...]:
    """Normalized names of what a requirement brought: the package that it names, then what that needs, sorted.

    Needs are followed to their end, but not through torch. What is not installed is left out, except the first.
    """
    asked = Requirement(requirement)
    first: str = canonicalize_name(asked.name)
    seen: set[tuple[str, str]] = set()
    todo = [(first, extra) for extra in ("", *asked.extras)]
    while todo:
        each = todo.pop()
        if each not in seen and each[0] != FRAMEWORK:
            seen.add(each)
            todo += _needs(*each)
    return first, *sorted({name for name, _ in seen} - {first})


def _needs(name: str, extra: str) -> Iterator[tuple[str, str]]:
    """Installed packages that a package needs for one of its extras, "" for none, with theirs."""
    for text in _required(name):
        try:
            needed = Requirement(text)
        except InvalidRequirement:  # from before the standard
            continue
        if (needed.marker is None or needed.marker.evaluate({"extra": extra})) and _is_installed(needed.name):
            yield from ((canonicalize_name(needed.name), wanted) for wanted in ("", *needed.extras))


def _required(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
