"""Counts of claims: by family and dtype, and by classification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import msgspec

from reports.comparison.changes import Change, ClaimChange
from reports.verdict.gate import FamilyCount

NONE_ASKED = FamilyCount(family="", dtype="", claims=0, holds=(0, 0), violated=(0, 0), no_evidence=(0, 0), mended=0)


@dataclass(frozen=True)
class Counts:
    """Counts of claims, families in the order in which they first occur.

    Attributes:
        total: of all claims.
        families: all properties of a family together ("weights.marginal" for its location, scale and so on).
        by_dtype: the same by dtype; one row for all dtypes of a family where every claim holds on both sides.
    """

    total: FamilyCount
    families: tuple[FamilyCount, ...]
    by_dtype: tuple[FamilyCount, ...]

    @staticmethod
    def of(counts: Sequence[FamilyCount]) -> Counts:
        """Sum counts by property and dtype."""
        rows: dict[str, dict[str, FamilyCount]] = {}
        for count in counts:
            family = ".".join(count.family.split(".")[:2])
            found = rows.setdefault(family, {})
            named = msgspec.structs.replace(count, family=family)
            found[count.dtype] = found[count.dtype] + named if count.dtype in found else named
        return Counts(
            total=reduce(add, counts, NONE_ASKED),
            families=tuple(reduce(add, dtypes.values()) for dtypes in rows.values()),
            by_dtype=tuple(row for dtypes in rows.values() for row in _quiet_together(list(dtypes.values()))),
        )


def _quiet_together(rows: list[FamilyCount]) -> list[FamilyCount]:
    total = reduce(add, rows)
    if len(rows) == 1 or total.holds != (total.claims, total.claims):
        return rows
    return [msgspec.structs.replace(total, dtype="all types")]


@dataclass(frozen=True)
class Classified:
    """Counts of claims by classification; each is counted once.

    Attributes:
        worse: violated in the candidate alone, or clearly worse there.
        mended: violated in the baseline alone.
        both: violated on both sides, and no worse.
        lost: no longer decided.
    """

    worse: int
    mended: int
    both: int
    lost: int

    @staticmethod
    def of(changes: Iterable[ClaimChange]) -> Classified:
        """Count the changes of all claims."""
        became = Counter(change.change for change in changes)
        return Classified(
            worse=became[Change.NEW] + became[Change.WORSE],
            mended=became[Change.MENDED],
            both=became[Change.REGISTERED] + became[Change.UNREGISTERED],
            lost=became[Change.LOST],
        )
