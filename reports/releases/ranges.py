"""Ranges of known violations as the history shows them: where each was seen, and since when it is mended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from fixtures.record.claim import Claim, Verdict
from fixtures.record.run_folder import Run
from fixtures.rules.known_violations import Known, known_violation
from reports.comparison.kinds import Kinds
from reports.releases.history import History


class Sighting(Kinds):
    """Sighting of a known violation in one release.

    Attributes:
        sign: in a cell, for those who see no colour.
        meaning: in words.
    """

    sign: str
    meaning: str

    SEEN = "seen", "✕", "a claim is violated as the entry says"
    GONE = "gone", "·", "a claim that shows it elsewhere holds, and none shows it"
    OTHERWISE = "otherwise", "≠", "the claims that show it elsewhere are violated, and not as the entry says"
    UNTOLD = "untold", "\N{EN DASH}", "the claims that show it elsewhere were not asked, or not decided"


@dataclass(frozen=True)
class Range:
    """Releases of one known violation by measurement.

    Attributes:
        entry: of the data file.
        sightings: one for each release of the history, oldest first.
        first_seen: the oldest release that shows it; None where none does.
        last_seen: the newest one.
        gone_before: the newest release before `first_seen` in which it is gone; None where it was always there.
        mended_in: the oldest release after `last_seen` in which it is gone; None where it is still there.
    """

    entry: Known
    sightings: tuple[Sighting, ...]
    first_seen: str | None
    last_seen: str | None
    gone_before: str | None
    mended_in: str | None


def ranges(history: History, known: Sequence[Known]) -> tuple[Range, ...]:
    """Find in which releases of the history each known violation shows, whatever range its entry states.

    Two defects of two releases may violate one claim by effects of one size. A claim shows an entry beside its range
    only where none explains it whose range holds the release; a defect that has claims of its own is then still told.
    """
    violated = [_violated(release.run, known) for release in history.releases]
    return tuple(_range(history, entry, violated) for entry in known)


def contradictions(history: History, known: Sequence[Known]) -> Iterator[str]:
    """Find stated ranges that records contradict, a sentence each.

    A release of the range in which it is gone, and a release beside the range that shows it. An entry that needs more
    draws than the records have may be missing from any of them (`tiers`).
    """
    for found in ranges(history, known):
        entry = found.entry
        for release, sighting in zip(history.releases, found.sightings, strict=True):
            version = release.run.torch_version
            tier = release.run.plan.tier if release.run.plan else ""
            shown_every_time = not entry.tiers or tier in entry.tiers
            if sighting is Sighting.GONE and entry.is_about(version) and shown_every_time:
                yield f"{entry.id}: stated for {entry.releases}, and gone in {release.name}"
            if sighting is Sighting.SEEN and not entry.is_about(version):
                yield f"{entry.id}: stated for {entry.releases}, and seen in {release.name}"


_Violated = Sequence[tuple[Claim, bool]]
"""Violated claims of a run, each with whether an entry explains it whose range holds the release."""


def _violated(run: Run, known: Sequence[Known]) -> _Violated:
    violated = (claim for claim in run.claims.values() if claim.verdict is Verdict.VIOLATED)
    return [(claim, known_violation(claim, known, run.torch_version) is not None) for claim in violated]


def _range(history: History, entry: Known, violated: Sequence[_Violated]) -> Range:
    shown = [_showing(release.run, entry, claims) for release, claims in zip(history.releases, violated, strict=True)]
    everywhere = frozenset().union(*shown)
    sightings = tuple(
        _sighting(release.run, shown_here, everywhere)
        for release, shown_here in zip(history.releases, shown, strict=True)
    )
    names = [release.name for release in history.releases]
    seen = [place for place, sighting in enumerate(sightings) if sighting is Sighting.SEEN]
    gone = [place for place, sighting in enumerate(sightings) if sighting is Sighting.GONE]
    before = [place for place in gone if seen and place < seen[0]]
    after = [place for place in gone if seen and place > seen[-1]]
    return Range(
        entry=entry,
        sightings=sightings,
        first_seen=names[seen[0]] if seen else None,
        last_seen=names[seen[-1]] if seen else None,
        gone_before=names[before[-1]] if before else None,
        mended_in=names[after[0]] if after else None,
    )


def _showing(run: Run, entry: Known, violated: _Violated) -> frozenset[str]:
    """Claims of a run that show a known violation, by id."""
    anywhere, within = [msgspec.structs.replace(entry, releases="")], entry.is_about(run.torch_version)
    open_ones = (claim for claim, registered in violated if within or not registered)
    return frozenset(claim.id for claim in open_ones if known_violation(claim, anywhere, run.torch_version))


def _sighting(run: Run, shown: frozenset[str], everywhere: frozenset[str]) -> Sighting:
    if shown:
        return Sighting.SEEN
    verdicts = {run.claims[name].verdict for name in everywhere if name in run.claims}
    if Verdict.HOLDS in verdicts:
        return Sighting.GONE
    return Sighting.OTHERWISE if Verdict.VIOLATED in verdicts else Sighting.UNTOLD
