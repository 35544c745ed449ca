"""Selection of the tests about one subject, by pytest's -k."""

from __future__ import annotations

import re
from collections.abc import Collection

_OUTSIDE_WORDS = re.compile(r"[^\w.:+\[\]/\\-]+")
"""Characters that end a word for pytest's -k."""


def selection(key: str) -> str:
    """pytest's -k expression for the tests about a subject; those about another that has the same words come along."""
    words = [word for word in _OUTSIDE_WORDS.split(key) if word and word not in _OPERATORS]
    return " and ".join(words)


_OPERATORS: Collection[str] = ("and", "or", "not")
