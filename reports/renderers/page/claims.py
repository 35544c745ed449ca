"""All claims of both runs as one small JSON document, which the page's script shows on demand.

Seven thousand claims are nine megabytes of claims.jsonl. Here every text stands once, everything else is an index into
the list of texts, and a candidate that answered as the baseline did is not repeated. All numbers are already in words,
so that the script formats nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from fixtures.record.safe_text import printable
from reports.comparison.changes import Change
from reports.comparison.selection import selection
from reports.view.claims import ClaimRow, Reading

MOST_BYTES = 3 << 20
"""Room for claims in a page that is to stay below 5 MB, drawings and all. The whole quick tier takes half of it."""


@dataclass(frozen=True)
class ClaimList:
    """Claims that are embedded.

    Attributes:
        document: JSON that is safe inside a script element.
        place: row of each claim, by id.
        about: rows by subject key.
        left_out: how many are not, all of them held on both sides; claims.jsonl has them.
    """

    document: str
    place: Mapping[str, int]
    about: Mapping[str, Sequence[int]]
    left_out: int

    def rows(self, names: Iterable[str]) -> list[int]:
        """Rows of claims with these ids or about these subjects, ascending."""
        found = set[int]()
        for name in names:
            found.update([self.place[name]] if name in self.place else self.about.get(name, ()))
        return sorted(found)


def claim_list(claims: Iterable[ClaimRow], references: Mapping[str, str], most_bytes: int = MOST_BYTES) -> ClaimList:
    """All claims, those first that a reader wants to see; as many of those that hold as there is room for."""
    ordered = sorted(claims, key=lambda claim: claim.importance)
    must = sum(claim.change is not Change.HELD for claim in ordered)
    document, shown = _document(ordered, references), len(ordered)
    while len(document) > most_bytes and shown > must:
        # Held claims are of about equal length: one or two rounds end this, and each leaves out at least one.
        shown = max(must, min(shown - 1, int(shown * most_bytes / len(document))))
        document = _document(ordered[:shown], references)
    about: dict[str, list[int]] = {}
    for row, claim in enumerate(ordered[:shown]):
        about.setdefault(claim.subject, []).append(row)
    place = {claim.id: row for row, claim in enumerate(ordered[:shown])}
    return ClaimList(document, place, about, len(ordered) - shown)


class Texts:
    """Every text once."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {"": 0}

    def __call__(self, text: str) -> int:
        """Index of a text, made safe to show."""
        return self.index.setdefault(printable(text), len(self.index))


READINGS = {
    "verdict": "verdict",
    "measured": "effect",
    "chance under the law": "chance",
    "would have been seen from": "detectable",
    "looked at": "samples",
    "note": "note",
    "registered as": "known",
    "seed": "seed",
}
"""Rows of the table that a claim opens to, and the field of a side that each shows."""


def _document(claims: Sequence[ClaimRow], references: Mapping[str, str]) -> str:
    texts = Texts()
    subjects: dict[str, list[int]] = {}
    numbers: dict[str, int] = {}
    rows: list[list[Any]] = []
    for claim in claims:
        if claim.subject not in numbers:
            numbers[claim.subject] = len(numbers)
            told = (claim.subject, claim.dtype, claim.device, selection(claim.subject))
            subjects[claim.subject] = [texts(text) for text in told]
        before, after = (_side(side, texts) for side in (claim.baseline, claim.candidate))
        sides = [before, 1 if before == after and before is not None else after]
        family, statement = texts(claim.family), texts(claim.shown.statement if claim.shown else "")
        rows.append([claim.change.rank, family, numbers[claim.subject], statement, *sides])
    document = {
        "changes": [{"words": change, "tone": change.tone, "held": change is Change.HELD} for change in Change],
        "readings": list(READINGS),
        "known": list(READINGS.values()).index("known"),
        "texts": list(texts.index),
        "subjects": list(subjects.values()),
        "references": {printable(name): printable(reference) for name, reference in references.items()},
        "rows": rows,
    }
    return safe_json(document)


def _side(side: Reading | None, texts: Texts) -> list[int] | None:
    """Texts of one side, in the order of READINGS."""
    return None if side is None else [texts(getattr(side, field)) for field in READINGS.values()]


def safe_json(document: object) -> str:
    """JSON inside a script element: no text in it can end the element or begin a comment."""
    written = msgspec.json.encode(document).decode()
    return written.translate({ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
