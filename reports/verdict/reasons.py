"""Outcomes of a gate, and the reasons for them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import msgspec

from reports.comparison.kinds import Kinds


class Outcome(Kinds):
    """The verdict in one word, the weakest first: the largest rank wins where several parts have an opinion.

    Attributes:
        meaning: first words of the bottom line.
        next_step: advice to the reader.
        colour: of its word in a terminal.
        sign: before it in Markdown.
        symbol: before it on the page.
    """

    meaning: str
    next_step: str
    colour: str
    sign: str
    symbol: str

    PASS = "pass", "You may upgrade", "upgrade.", "green", "✅", "✓"
    NOTICE = "notice", "You may upgrade", "read the notices, and upgrade.", "yellow", "🟡", "!"
    NO_EVIDENCE = (
        "no evidence",
        "Not decided",
        "mend what is named above, or wait for a quieter machine, and run the gate again.",
        "magenta",
        "❔",
        "?",
    )
    STOP = "stop", "Do not upgrade", "judge each stop, then report it, waive it or stay.", "red", "🛑", "✕"

    @property
    def exit_code(self) -> int:
        """0 the upgrade may go ahead, 1 it may not, 2 nobody knows."""
        return {Outcome.STOP: 1, Outcome.NO_EVIDENCE: 2}.get(self, 0)


class Area(IntEnum):
    """Topic of a reason, in the order in which a reader wants it among reasons of equal weight.

    First that a side could not be asked; then the model that the user named, which is what they are going to train;
    then what the suite is for.
    """

    ASKING = 0
    MODEL = 1
    WEIGHTS = 2
    SIGNALS = 3
    TRAINING = 4
    EDGE = 5
    SPEED = 6
    SURROUNDINGS = 7


EDGES = ("propagation.link.infinity", "propagation.precision.overflow", "propagation.control.overflow")
"""Families about numbers that few networks meet: infinities, and the ends of a type's range."""

_OF_KIND = {
    "model": Area.MODEL,
    "speed": Area.SPEED,
    "surroundings": Area.SURROUNDINGS,
    "waiver": Area.SURROUNDINGS,
}
_OF_DRIFT = {"numbers": Area.TRAINING, "numbers_rounding": Area.TRAINING, "effect": Area.TRAINING}
_OF_SUITE = {
    "sharded": Area.WEIGHTS,
    "weights": Area.WEIGHTS,
    "propagation": Area.SIGNALS,
    "operations": Area.SIGNALS,
    "training": Area.TRAINING,
}


def area_of(kind: str, names: Sequence[str]) -> Area:
    """Topic of a reason of this kind about these claims, subjects or workloads."""
    table, _, rest = kind.partition(".")
    if table in _OF_KIND:
        return _OF_KIND[table]
    if table == "drift":
        return _OF_DRIFT.get(rest, Area.WEIGHTS)
    if table != "conformance" or not names:
        return Area.ASKING
    if names[0].startswith(EDGES):
        return Area.EDGE
    return _OF_SUITE.get(names[0].partition(".")[0], Area.ASKING)


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the verdict rests on.

    Attributes:
        outcome: what this alone would make of the verdict.
        kind: name in the policy, such as "conformance.new"; one that no policy changes has no table there.
        text: one sentence, with effects in natural units.
        claims: how many claims it is about; 0 for a reason that is not about claims.
        names: what it is about: claim ids, subject keys, workloads, modules of the user's model.
        details: lines to show below it, such as the last output of a candidate that crashed.
        waived: the waivers that made a notice of it, by id.
    """

    outcome: Outcome
    kind: str
    text: str
    claims: int = 0
    names: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    waived: tuple[str, ...] = ()
