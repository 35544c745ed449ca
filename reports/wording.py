"""How numbers and names are put into words, the same in every report."""

from __future__ import annotations

from collections.abc import Sequence

from fixtures.claims import Claim, Effect, p_in_words


def plural(count: int, noun: str) -> str:
    """A count and its noun: "1 claim", "12 000 claims"."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:_} {noun}{ending}".replace("_", " ")


def p_value(p: float) -> str:
    """A p-value to two digits, or the bound below which floating point ends."""
    return f"p {p_in_words(p)}"


def size(effect: Effect, unit: str | None = None) -> str:
    """A size; one in the `unit` that was named just before is given without it."""
    value = f"{effect.value:.0f}" if 1000 <= abs(effect.value) < LARGEST_PLAIN else f"{effect.value:.3g}"
    if effect.unit == unit:
        return value + ("%" if unit.startswith("%") else "")
    return value + ("" if effect.unit.startswith("%") else " ") + effect.unit


LARGEST_PLAIN = 1e6
"""Sizes below a million are written out: 5850%, not 5.85e+03%."""


def measured(claim: Claim | None, unit: str | None = None) -> str:
    """What a claim measured, in natural units; for a contract, the counterexample in words."""
    if claim is None:
        return "no finding"
    if claim.effect is None or (claim.p is None and claim.note):
        return claim.note or str(claim.verdict)
    return size(claim.effect, unit)


def first_few(names: Sequence[str], most: int = 3) -> str:
    """The first few names and how many are left out."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
