"""Ranges of known violations: derived from records, and a stated one that records contradict is told."""

from __future__ import annotations

import msgspec
import pytest

from fixtures.record.claim import Effect, Unit
from fixtures.record.file_names import HISTORY, ROOT
from fixtures.rules.known_violations import KNOWN_VIOLATIONS, Known, read_known
from reports.releases.history import read_history
from reports.releases.ranges import Sighting, contradictions, ranges
from suites.machinery.making.releases import answering, not_installed, write_history
from suites.machinery.making.runs import claim, undecided, violated

ENTRY = Known(
    id="std-low",
    releases=">=2.3,<2.12",
    claims=("weights.marginal.*",),
    subject={"dtype": ("float32",)},
    effect="std 0.7 % low",
    effects={"weights.*": (-1.0, 0.0)},
    reason="a test",
    reference="https://example.org",
)
SHOWN = violated(effect=Effect(-0.7, Unit.STD, 0.01))
RUNS = {
    "2.2.2": answering("2.2.2", claim()),
    "2.3.1": answering("2.3.1", SHOWN),
    "2.4.1": not_installed("2.4.1"),
    "2.5.1": answering("2.5.1", undecided()),
    "2.6.0": answering("2.6.0", SHOWN),
    "2.9.1": answering("2.9.1", violated(effect=Effect(-90.0, Unit.STD, 0.01))),
    "2.12.1": answering("2.12.1", claim()),
    "2.13.0": answering("2.13.0", claim()),
}


def history(folder, **others):
    return read_history(write_history(folder, RUNS | others), ())


def test_a_range_is_derived_from_what_was_seen(tmp_path):
    (found,) = ranges(history(tmp_path), [ENTRY])

    assert found.sightings == (
        Sighting.GONE,
        Sighting.SEEN,
        Sighting.UNTOLD,
        Sighting.UNTOLD,
        Sighting.SEEN,
        Sighting.OTHERWISE,
        Sighting.GONE,
        Sighting.GONE,
    )
    assert (found.gone_before, found.first_seen, found.last_seen, found.mended_in) == (
        "2.2.2",
        "2.3.1",
        "2.6.0",
        "2.12.1",
    )


def test_a_violation_that_nobody_saw_has_no_range(tmp_path):
    unseen = msgspec.structs.replace(ENTRY, subject={"dtype": ("float64",)})
    (found,) = ranges(history(tmp_path), [unseen])

    assert set(found.sightings) == {Sighting.UNTOLD}
    assert (found.first_seen, found.mended_in) == (None, None)


@pytest.mark.parametrize(
    ("releases", "says"),
    [
        (">=2.3,<2.12", []),
        (">=2.2,<2.12", ["gone in 2.2.2"]),
        (">=2.3,<2.13", ["gone in 2.12.1"]),
        (">=2.3,<2.6", ["seen in 2.6.0"]),
        (">=2.6,<2.12", ["seen in 2.3.1"]),
    ],
)
def test_a_stated_range_that_records_contradict_is_told(tmp_path, releases, says):
    stated = msgspec.structs.replace(ENTRY, releases=releases)
    found = contradictions(history(tmp_path), [stated])

    assert list(found) == [f"std-low: stated for {releases}, and {each}" for each in says]


def test_a_claim_that_another_entry_explains_shows_none_beside_its_range(tmp_path):
    """As coarse uniforms and a lost upper end: either moves the mean, and one of them alone leaves out values."""
    grid, mean = "weights.marginal.grid", "weights.marginal.location"
    moved = violated(mean, effect=Effect(-0.7, Unit.STD, 0.01))
    missing = violated(grid, effect=Effect(90.0, Unit.MISSING, 0.01))
    made = {
        "2.11.0": answering("2.11.0", moved, missing),
        "2.12.0": answering("2.12.0", moved, claim(grid)),
        "2.13.0": answering("2.13.0", moved, claim(grid)),
    }
    effects = {mean: (-1.0, 0.0), grid: (0.0, 99.0)}
    coarse = msgspec.structs.replace(ENTRY, id="coarse", releases="<2.12", claims=(mean, grid), effects=effects)
    end = msgspec.structs.replace(ENTRY, id="end", releases=">=2.12", claims=(mean,), effects={mean: (-1.0, 0.0)})
    found = read_history(write_history(tmp_path, made), ())

    told = {each.entry.id: [str(one) for one in each.sightings] for each in ranges(found, [coarse, end])}
    assert told == {"coarse": ["seen", "gone", "gone"], "end": ["otherwise", "seen", "seen"]}
    assert not list(contradictions(found, [coarse, end]))
    later = [msgspec.structs.replace(entry, releases=to) for entry, to in ((coarse, "<2.13"), (end, ">=2.13"))]
    earlier = [msgspec.structs.replace(entry, releases=to) for entry, to in ((coarse, "<2.11"), (end, ">=2.11"))]
    assert list(contradictions(found, earlier)) == ["coarse: stated for <2.11, and seen in 2.11.0"]
    assert list(contradictions(found, later)) == []


def test_what_takes_more_draws_may_be_missing_from_the_records(tmp_path):
    rare = msgspec.structs.replace(ENTRY, releases=">=2.2", tiers=("soak",))

    assert not list(contradictions(history(tmp_path), [rare]))
    assert list(contradictions(history(tmp_path), [msgspec.structs.replace(rare, releases=">=2.6")]))


@pytest.mark.large_draws  # reads every record there is
def test_no_stated_range_contradicts_the_records_of_this_checkout():
    known = read_known(KNOWN_VIOLATIONS)
    told = list(contradictions(read_history(ROOT / HISTORY, known), known))

    assert not told, "\n".join(told)
