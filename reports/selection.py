"""What to tell pytest so that it asks about one subject again."""

from __future__ import annotations

import re
from collections.abc import Collection

_OUTSIDE_WORDS = re.compile(r"[^\w.:+\[\]/\\-]+")
"""What pytest's -k takes for the end of a word."""


def selection(key: str) -> str:
    """pytest's -k expression for the tests about a subject; those about another that has the same words come along."""
    words = [word for word in _OUTSIDE_WORDS.split(key) if word and word not in _OPERATORS]
    return " and ".join(words)


_OPERATORS: Collection[str] = ("and", "or", "not")
