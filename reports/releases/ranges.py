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
        meaning: in words.
    """

    meaning: str

    SEEN = "seen", "a claim is violated as the entry says"
    GONE = "gone", "a claim that shows it elsewhere holds, and none shows it"
    OTHERWISE = "otherwise", "the claims that show it elsewhere are violated, and not as the entry says"
    UNTOLD = "untold", "the claims that show it elsewhere were not asked, or not decided"


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
    registered = [_registered(release.run, known) for release in history.releases]
    return tuple(_range(history, entry, registered) for entry in known)


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


def _registered(run: Run, known: Sequence[Known]) -> frozenset[str]:
    """Violated claims of a run that an entry explains whose range holds its release, by id."""
    violated = (claim for claim in run.claims.values() if claim.verdict is Verdict.VIOLATED)
    return frozenset(claim.id for claim in violated if known_violation(claim, known, run.torch_version))


def _range(history: History, entry: Known, registered: Sequence[frozenset[str]]) -> Range:
    shown = [_showing(release.run, entry, by) for release, by in zip(history.releases, registered, strict=True)]
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


def _showing(run: Run, entry: Known, registered: frozenset[str]) -> frozenset[str]:
    """Claims of a run that show a known violation, by id."""
    anywhere = [msgspec.structs.replace(entry, releases="")]
    others = frozenset[str]() if entry.is_about(run.torch_version) else registered

    def shows(claim: Claim) -> bool:
        violated = claim.verdict is Verdict.VIOLATED and claim.id not in others
        return violated and known_violation(claim, anywhere, run.torch_version) is not None

    return frozenset(name for name, claim in run.claims.items() if shows(claim))


def _sighting(run: Run, shown: frozenset[str], everywhere: frozenset[str]) -> Sighting:
    if shown:
        return Sighting.SEEN
    verdicts = {run.claims[name].verdict for name in everywhere if name in run.claims}
    if Verdict.HOLDS in verdicts:
        return Sighting.GONE
    return Sighting.OTHERWISE if Verdict.VIOLATED in verdicts else Sighting.UNTOLD
