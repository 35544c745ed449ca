"""Findings about a user's model: their kinds, and what one is."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fixtures.rules.known_violations import MODEL
from fixtures.words.phrases import first_few
from reports.comparison.kinds import Kinds

TABLE = "model"
"""Table of the policy."""


class Kind(Kinds):
    """Kinds of findings by their names in the policy, in the order in which a reader wants them.

    Attributes:
        about: part of the model that it is about: "numbers", "start" or "training"; else "asking".
        apart: whether each finding is a reason of its own; of the others one reason tells all that nobody waived.
        differ: whether the sentences on two findings differ in more than a name, so that all are worth their lines.
        advice: what a reader may do about it, in one sentence.
    """

    about: str
    apart: bool
    differ: bool
    advice: str

    BROKEN = "broken", "asking", True, True, "Run the file under the candidate by itself: what it prints is above."
    DIFFERS = (
        "differs",
        "asking",
        False,
        True,
        "Find out what builds another model: a default that changed, or a package beside torch.",
    )
    UNWRITTEN = (
        "unwritten",
        "start",
        False,
        True,
        "Initialize the tensor in your own code, or stay: it starts as whatever memory held.",
    )
    NUMBERS = (
        "numbers",
        "numbers",
        False,
        True,
        "Call the module that is named alone on both torches, on one input: it is the first that differs, and those "
        "around it follow.",
    )
    LAW = "law", "start", False, True, "Initialize the tensor in your own code, or accept the new law and waive it."
    TRAINING = (
        "training",
        "training",
        True,
        True,
        "Look at the modules above first: training leaves where a module does, or where the optimizer does.",
    )
    UNASKED = "unasked", "asking", True, True, "Mend what is named, and run the gate again."
    BOTH = (
        "both",
        "asking",
        False,
        True,
        "Both sides do it, so the upgrade changes nothing; it may be worth mending all the same.",
    )
    INSIDE = (
        "inside",
        "asking",
        False,
        True,
        "Nothing, if your code reaches these modules through the model alone: what they take or return has changed.",
    )
    UNREPEATABLE = (
        "unrepeatable",
        "start",
        False,
        False,
        "Seed what draws inside build(), so that two calls give one model.",
    )
    STREAM = (
        "stream",
        "start",
        False,
        False,
        "Expect other weights from your seeds; goldens that hang on them have to be made anew.",
    )
    CUT = "cut", "asking", True, True, "Give it more time or memory if what was cut matters to you."

    @property
    def policy_key(self) -> str:
        """Name in the policy."""
        return f"{TABLE}.{self}"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was found about a model.

    Attributes:
        kind: its kind.
        name: of the module or tensor that it is about; ROOT for the model itself.
        text: one sentence, which names it.
        details: lines to show below it.
    """

    kind: Kind
    name: str
    text: str
    details: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, str]:
        """Fields that waivers match."""
        return {MODEL: self.name}


MOST_DETAILS = 20
"""Lines below a reason: a traceback, or the next modules; verdict.json has the findings."""


def in_words(findings: Sequence[Finding]) -> str:
    """One sentence on findings of one kind: the first, and the names of the others."""
    first, *others = findings
    if not others:
        return first.text
    names = list(dict.fromkeys(f"`{finding.name}`" for finding in others))
    return f"{first.text}; and {len(names)} more: {first_few(names)}"


def details_of(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Lines below that sentence: those of the first, and the sentences of the others."""
    first, *others = findings
    told = (finding.text for finding in others if finding.kind.differ)
    return (*first.details, *told)[:MOST_DETAILS]
