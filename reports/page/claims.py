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

from fixtures.record.claim import Claim, Verdict
from fixtures.record.safe_text import printable
from fixtures.words.wording import measured, p_value, plural, size
from reports.comparison import Change, ClaimChange, plainness
from reports.selecting import selection

MOST_BYTES = 3 << 20
"""Of claims in a page that is to stay below 5 MB, drawings and all. The whole quick tier takes half of it."""


@dataclass(frozen=True)
class ClaimList:
    """What is embedded of the claims.

    Attributes:
        document: JSON that is safe inside a script element.
        place: row of each claim, by id.
        about: rows by subject key.
        embedded: how many claims are in it.
        left_out: how many are not, all of them held on both sides; claims.jsonl has them.
    """

    document: str
    place: Mapping[str, int]
    about: Mapping[str, Sequence[int]]
    embedded: int
    left_out: int

    def rows(self, names: Iterable[str]) -> list[int]:
        """Rows of claims with these ids or about these subjects, ascending."""
        found = set[int]()
        for name in names:
            found.update([self.place[name]] if name in self.place else self.about.get(name, ()))
        return sorted(found)


def claim_list(
    changes: Iterable[ClaimChange], references: Mapping[str, str], most_bytes: int = MOST_BYTES
) -> ClaimList:
    """All claims, those first that a reader wants to see; as many of those that hold as there is room for."""
    ordered = sorted(changes, key=_importance)
    must = sum(change.change is not Change.HELD for change in ordered)
    document, shown = _document(ordered, references), len(ordered)
    while len(document) > most_bytes and shown > must:
        # Held claims are of about equal length: one or two rounds end this, and each leaves out at least one.
        shown = max(must, min(shown - 1, int(shown * most_bytes / len(document))))
        document = _document(ordered[:shown], references)
    about: dict[str, list[int]] = {}
    for row, change in enumerate(ordered[:shown]):
        if change.claim:
            about.setdefault(change.claim.subject.key, []).append(row)
    place = {change.id: row for row, change in enumerate(ordered[:shown])}
    return ClaimList(document, place, about, shown, len(ordered) - shown)


def _importance(change: ClaimChange) -> tuple[int, float, float]:
    plain = plainness(change.violation) if change.violation else (1.0, 0.0)
    return (change.change.rank, *plain)


class _Texts:
    """Every text once."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {"": 0}

    def __call__(self, text: object) -> int:
        shown = "" if text is None else printable(text)
        return self.index.setdefault(shown, len(self.index))


def _document(changes: Sequence[ClaimChange], references: Mapping[str, str]) -> str:
    texts = _Texts()
    subjects: dict[str, list[int]] = {}
    numbers: dict[str, int] = {}
    rows: list[list[Any]] = []
    for change in changes:
        claim = change.claim
        key = claim.subject.key if claim else change.id
        if key not in numbers:
            numbers[key] = len(numbers)
            dtype, device = (claim.subject.dtype, claim.subject.device) if claim else ("", "")
            subjects[key] = [texts(key), texts(dtype), texts(device), texts(selection(key))]
        family, statement = (claim.family, claim.statement) if claim else (change.id.partition("/")[0], "")
        before, after = _side(change.baseline, texts), _side(change.candidate, texts)
        sides = [before, 1 if before == after and before is not None else after]
        rows.append([change.change.rank, texts(family), numbers[key], texts(statement), *sides])
    known = {printable(name): printable(reference) for name, reference in references.items()}
    document = {
        "changes": [str(change) for change in Change],
        "texts": list(texts.index),
        "subjects": list(subjects.values()),
        "references": known,
        "rows": rows,
    }
    return safe_json(document)


def _side(claim: Claim | None, texts: _Texts) -> list[int] | None:
    """Verdict, effect, p-value, detectable effect, samples, note, registered violation, seed; as texts."""
    if claim is None:
        return None
    counted = claim.effect is not None and not (claim.p is None and claim.note)
    return [
        texts(str(claim.verdict)),
        texts(measured(claim) if counted or claim.verdict is Verdict.VIOLATED else None),
        texts(p_value(claim.p) if claim.p is not None else None),
        texts(size(claim.detectable) if claim.detectable else None),
        texts(plural(claim.n, "sample") if claim.n else None),
        texts(claim.note),
        texts(claim.known),
        texts(claim.seed),
    ]


def safe_json(document: object) -> str:
    """JSON inside a script element: no text in it can end the element or begin a comment."""
    written = msgspec.json.encode(document).decode()
    return written.translate({ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"})
