"""All claims of both runs as one small JSON document, which the page's script shows on demand.

Seven thousand claims are nine megabytes of claims.jsonl. Here every text stands once, everything else is an index into
the list of texts, and a candidate that answered as the baseline did is not repeated. All numbers are already in words,
so that the script formats nothing.
"""

from __future__ import annotations

from bisect import bisect_right
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
    document, lengths = _document(ordered, references)
    shown = max(must, bisect_right(lengths, most_bytes))
    if shown < len(ordered):
        document, _ = _document(ordered[:shown], references)
    about: dict[str, list[int]] = {}
    for row, claim in enumerate(ordered[:shown]):
        about.setdefault(claim.subject, []).append(row)
    place = {claim.id: row for row, claim in enumerate(ordered[:shown])}
    return ClaimList(document, place, about, len(ordered) - shown)


class Texts:
    """Every text once.

    Attributes:
        index: place of each text, made safe to show.
        length: of the list in JSON, without brackets.
    """

    def __init__(self) -> None:
        self.index: dict[str, int] = {"": 0}
        self.length = len('""')
        self._places: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        """Index of a text, made safe to show."""
        if text not in self._places:
            shown = printable(text)
            if shown not in self.index:
                self.index[shown] = len(self.index)
                self.length += 1 + len(safe_json(shown))
            self._places[text] = self.index[shown]
        return self._places[text]


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


def _document(claims: Sequence[ClaimRow], references: Mapping[str, str]) -> tuple[str, list[int]]:
    """The document, and the length that it has with the first claim alone, with the first two, and so on."""
    texts = Texts()
    subjects: dict[str, list[int]] = {}
    numbers: dict[str, int] = {}
    rows: list[list[Any]] = []
    in_lists: list[int] = []
    length = 0
    for claim in claims:
        if claim.subject not in numbers:
            numbers[claim.subject] = len(numbers)
            told = (claim.subject, claim.dtype, claim.device, selection(claim.subject))
            subjects[claim.subject] = [texts(text) for text in told]
            length += 1 + len(safe_json(subjects[claim.subject]))
        before, after = (_side(side, texts) for side in (claim.baseline, claim.candidate))
        sides = [before, 1 if before == after and before is not None else after]
        family, statement = texts(claim.family), texts(claim.shown.statement if claim.shown else "")
        rows.append([claim.change.rank, family, numbers[claim.subject], statement, *sides])
        length += 1 + len(safe_json(rows[-1]))
        in_lists.append(length + texts.length)
    document = {
        "changes": [{"words": change, "tone": change.tone, "held": change is Change.HELD} for change in Change],
        "readings": list(READINGS),
        "known": list(READINGS.values()).index("known"),
        "texts": list(texts.index),
        "subjects": list(subjects.values()),
        "references": {printable(name): printable(reference) for name, reference in references.items()},
        "rows": rows,
    }
    written = safe_json(document)
    around = len(written) - in_lists[-1] if in_lists else 0
    return written, [around + one for one in in_lists]


def _side(side: Reading | None, texts: Texts) -> list[int] | None:
    """Texts of one side, in the order of READINGS."""
    return None if side is None else [texts(getattr(side, field)) for field in READINGS.values()]


def safe_json(document: object) -> str:
    """JSON inside a script element: no text in it can end the element or begin a comment."""
    written = msgspec.json.encode(document).decode()
    return written.translate({ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
