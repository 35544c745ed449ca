"""Enumerations of words, each of whose members carries what the reports say of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self


class Kinds(StrEnum):
    """Kinds in the order in which a reader wants them: each member is a word and the attributes that are annotated."""

    def __new__(cls, word: str, *attributes: Any) -> Self:
        """One member: its word, which is its value, and its attributes, in the order of the annotations."""
        member = str.__new__(cls, word)
        member._value_ = word
        for name, value in zip(cls.__annotations__, attributes, strict=True):
            setattr(member, name, value)
        return member

    @property
    def rank(self) -> int:
        """Place in the order of the enumeration."""
        return list(type(self)).index(self)
