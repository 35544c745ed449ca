"""The view of the history: rows and their standing, what became of each release, what differs between two."""

from __future__ import annotations

import pytest

from fixtures.record.claim import Verdict
from fixtures.record.file_names import FINDINGS, ROOT
from fixtures.record.run_folder import RecordError
from fixtures.rules.known_violations import KNOWN_VIOLATIONS, read_known
from reports.comparison.changes import Change, compare
from reports.releases.matrix import State
from reports.releases.ranges import Sighting
from reports.releases.snippets import read_snippets
from reports.view.matrix import Standing
from reports.view.steps import usual_changes
from suites.machinery.making import histories
from suites.machinery.making.histories import LOW, SLOW, WIDE
from suites.machinery.making.releases import answering, not_installed
from suites.machinery.making.runs import claim, subject, violated


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return histories.history(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    return histories.view(tmp_path_factory.mktemp("view"))


def test_rows_come_by_suite_and_stand_as_their_cells_do(view):
    assert [(row.family, row.dtype, row.standing) for row in view.rows] == [
        ("sharded.law.scale", "float32", Standing.UNDECIDED),
        ("weights.marginal.scale", "float32", Standing.UNDECIDED),
        ("weights.marginal.scale", "bfloat16", Standing.VIOLATED),
        ("weights.contract.bounds", "float32", Standing.VIOLATED),
        ("propagation.link.product", "float32", Standing.UNDECIDED),
        ("training.step.fused", "float32", Standing.UNDECIDED),
    ]
    assert view.suites == ("sharded", "weights", "propagation", "training")


def test_what_holds_in_every_release_that_was_asked_is_counted_apart(tmp_path):
    sound = {name: answering(name, claim()) for name in ("2.6.0", "2.13.0")}
    found = histories.view(tmp_path, {"2.1.2": not_installed("2.1.2"), **sound})

    assert [row.standing for row in found.rows] == [Standing.HOLDS]
    assert [cell.state for cell in found.rows[0].cells] == [State.NOT_ASKED, State.HOLDS, State.HOLDS]
    assert found.paths == ()


def test_a_cell_tells_the_plainest_violation_in_words_and_in_short(view):
    (row,) = [row for row in view.rows if row.dtype == "bfloat16"]
    cell = row.cells[1]

    assert (cell.state, cell.claims, cell.violated, cell.short) == (State.VIOLATED, 2, 2, "-0.68%")
    assert (cell.worst.subject, cell.worst.where) == (LOW[0].subject.key, "row 17")
    assert cell.worst.reading.chance == "p < 1e-300"
    (bounds,) = [row for row in view.rows if row.family == "weights.contract.bounds"]
    assert bounds.cells[4].short == "", "a counterexample has no size"
    assert bounds.cells[4].worst.reading.effect == "a weight of 0.5 lies outside [-0.4, 0.4]"


def test_a_release_without_answers_says_why(view):
    columns = {column.name: column for column in view.columns}

    assert list(columns) == ["2.1.2", "2.6.0", "2.7.1", "2.11.0", "2.12.1", "2.13.0"]
    assert not columns["2.1.2"].has_answers
    assert columns["2.1.2"].why.startswith("could not be installed: torch==2.1.2 was not found")
    assert (columns["2.7.1"].why, columns["2.7.1"].short) == ("did not finish: crashed (SIGSEGV)", "cut short")
    assert columns["2.6.0"].counts[Verdict.VIOLATED] == 2
    assert view.facts["releases"] == "4 asked, 2 that could not be"


def test_known_violations_have_their_first_and_last_release_by_measurement(view):
    seen, unseen = view.known

    assert (seen.id, seen.first_seen, seen.mended_in) == ("half-std-low", "2.6.0 or before", "2.12.1")
    assert seen.code == histories.SNIPPETS["half-std-low"]
    assert (unseen.id, unseen.first_seen, unseen.mended_in) == ("never-seen", "in no record", "")
    assert seen.sightings[:2] == (Sighting.UNTOLD, Sighting.SEEN)


def known_of(tmp_path, *claims):
    runs = {f"2.{number}.0": answering(f"2.{number}.0", one) for number, one in enumerate(claims, start=5)}
    return histories.view(tmp_path, runs, timed=False).known[0]


def test_a_violation_that_came_and_stayed_says_so(tmp_path):
    found = known_of(tmp_path, claim(dtype="bfloat16"), LOW[0], LOW[0])

    assert (found.first_seen, found.mended_in) == ("2.6.0 (not in 2.5.0)", "still there")


def test_a_violation_before_which_another_was_names_that(tmp_path):
    found = known_of(tmp_path, violated(dtype="bfloat16", percent=-40.0), LOW[0])

    assert found.first_seen == "2.6.0 (another defect in 2.5.0)"


def test_a_violation_behind_which_another_came_is_not_called_mended(tmp_path):
    found = known_of(tmp_path, LOW[0], violated(dtype="bfloat16", percent=-40.0))

    assert found.mended_in == "another defect after 2.5.0"


def test_each_release_is_gated_against_each_older_one(view):
    pairs = [(view.columns[step.older].name, view.columns[step.newer].name) for step in view.steps]

    assert pairs == [
        *(("2.6.0", newer) for newer in ("2.11.0", "2.12.1", "2.13.0")),
        *(("2.11.0", newer) for newer in ("2.12.1", "2.13.0")),
        ("2.12.1", "2.13.0"),
    ]
    assert [step.newer for step in view.neighbours] == [5, 4, 3]


def test_the_boundary_reads_as_a_release_manager_wants_it(view):
    step = view.neighbours[1]

    assert (view.columns[step.older].name, view.columns[step.newer].name) == ("2.11.0", "2.12.1")
    assert (step.outcome, step.classified.worse, step.classified.mended) == ("stop", 1, 2)
    assert step.streams == (1, 2)
    assert step.speed == "1 of 3 workloads is slower"
    assert step.sentence.startswith("Do not upgrade: 1 claim got worse, 2 got better")


def test_what_became_of_claims_is_what_the_comparison_says(view, history):
    """Two letters tell what the gate says, but where it says otherwise: then the step tells it."""
    usual = usual_changes(view.steps, view.paths)
    runs = [release.run for release in history.releases]
    for step in view.steps:
        told = {view.paths[place].id: change for place, change in step.changes.items()}
        states = {path.id: (path.states[step.older], path.states[step.newer]) for path in view.paths}
        for change in compare(runs[step.older], runs[step.newer]):
            before, after = states.get(change.id, (State.HOLDS, State.HOLDS))
            assert told.get(change.id, change.change) is change.change
            assert (change.id in told) == (before is not after)
            assert before is after or (before, after) in usual


def test_a_claim_violated_on_both_sides_is_told_where_it_got_worse(tmp_path):
    found = histories.view(
        tmp_path,
        {
            "2.5.0": answering("2.5.0", LOW[0]),
            "2.6.0": answering("2.6.0", violated(dtype="bfloat16", percent=-40.0)),
        },
        timed=False,
    )

    assert found.steps[0].changes == {0: Change.WORSE}
    assert usual_changes(found.steps, found.paths) == {}


def test_releases_of_other_suites_are_not_compared(tmp_path):
    histories.history(tmp_path, {"2.5.0": answering("2.5.0", claim())})
    other = {"2.6.0": answering("2.6.0", claim())}
    histories.write_history(tmp_path, other, key="fedcba9876543210")
    found = histories.history_view(histories.read_history(tmp_path, ()), (), {})

    assert found.steps[0].outcome is None
    assert "asked by other suites" in found.steps[0].sentence


def test_streams_that_changed_are_told_by_release(view):
    (path,) = view.streams

    assert (path.subject, path.groups) == (WIDE.key, (None, 0, None, 0, 1, 1))
    assert view.recorded_streams == len({WIDE.key, subject().key})


def test_speed_is_a_line_over_the_releases_that_were_timed(view):
    lines = {line.workload: line for line in view.speed}

    assert lines[SLOW].releases == ("2.6.0", "2.11.0", "2.12.1", "2.13.0")
    assert [round(point.value, 2) for point in lines[SLOW].points] == [1.0, 1.0, 1.5, 1.5]
    assert lines[SLOW].told[-1].startswith("1.50 [1.")
    new = lines["train/new/step"]
    assert [point is None for point in new.points] == [True, False, False, False]
    assert new.left_out == (
        "not timed over 2.6.0 -> 2.11.0: the baseline cannot run it (3 of 3 times): AttributeError: no fused",
    )


# Findings that the page shows


def test_every_known_violation_has_an_anchor_among_the_findings():
    assert {entry.id for entry in read_known(KNOWN_VIOLATIONS)} == read_snippets(ROOT / FINDINGS).keys()


def test_the_code_of_a_finding_is_the_block_behind_its_paragraph(tmp_path):
    text = """
<a id="one"></a><a id="two"></a>**Wrong** in
many ways.

    x = 1

    if x:
        y

Next.

    z

<a id="three"></a>Bare.

More.
"""
    (tmp_path / "findings.md").write_text(text)

    code = "x = 1\n\nif x:\n    y"
    assert read_snippets(tmp_path / "findings.md") == {"one": code, "two": code, "three": ""}


@pytest.mark.parametrize("text", ['<a id="one"></a>\n<a id="one"></a>', None])
def test_findings_that_cannot_be_read_are_refused(tmp_path, text):
    if text:
        (tmp_path / "findings.md").write_text(text)
    with pytest.raises(RecordError, match=r"findings\.md: (the anchor of one stands twice|cannot be read)"):
        read_snippets(tmp_path / "findings.md")
