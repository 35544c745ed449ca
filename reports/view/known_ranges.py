"""Known violations over releases, in words: where each was first seen, and where it was mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.releases.ranges import Range, Sighting


@dataclass(frozen=True)
class KnownView:
    """One known violation.

    Attributes:
        reason: what is wrong.
        effect: its size.
        stated: releases that its entry states.
        first_seen: in words, with the release before in which it was not there.
        mended_in: in words; that it is still there, or what else is known.
        sightings: one for each release, oldest first.
        reference: where it is discussed.
        is_found: whether the file of findings has an anchor of it.
        code: that shows it outside the suites; "" where nobody wrote any.
    """

    id: str
    reason: str
    effect: str
    stated: str
    first_seen: str
    mended_in: str
    sightings: tuple[Sighting, ...]
    reference: str
    is_found: bool
    code: str

    @property
    def is_seen(self) -> bool:
        """Verdict of the records: a release shows it."""
        return Sighting.SEEN in self.sightings


def known_views(found: Sequence[Range], releases: Sequence[str], snippets: Mapping[str, str]) -> tuple[KnownView, ...]:
    """Put ranges into words, those that a record shows first.

    Args:
        found: ranges by measurement.
        releases: names of the history's releases, oldest first.
        snippets: code that shows an entry outside the suites, by id.
    """
    told = [
        KnownView(
            id=one.entry.id,
            reason=one.entry.reason,
            effect=one.entry.effect,
            stated=one.entry.releases or "all releases",
            first_seen=_first_seen(one, releases),
            mended_in=_mended_in(one, releases),
            sightings=one.sightings,
            reference=one.entry.reference,
            is_found=one.entry.id in snippets,
            code=snippets.get(one.entry.id, ""),
        )
        for one in found
    ]
    return tuple(sorted(told, key=lambda one: not one.is_seen))


def _first_seen(found: Range, releases: Sequence[str]) -> str:
    if found.first_seen is None:
        return "in no record"
    before = list(zip(releases, found.sightings, strict=True))[: list(releases).index(found.first_seen)]
    told = [(name, sighting) for name, sighting in before if sighting is not Sighting.UNTOLD]
    if not told:
        return f"{found.first_seen} or before"
    name, sighting = told[-1]
    return f"{found.first_seen} ({'not' if sighting is Sighting.GONE else 'another defect'} in {name})"


def _mended_in(found: Range, releases: Sequence[str]) -> str:
    if found.last_seen is None:
        return ""
    if found.mended_in:
        return found.mended_in
    behind = found.sightings[list(releases).index(found.last_seen) + 1 :]
    if Sighting.OTHERWISE in behind:
        return f"another defect after {found.last_seen}"
    return f"not told after {found.last_seen}" if behind else "still there"
