"""The matrix of the history: what a cell says of the claims that it stands for."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from fixtures.record.release_record import questions_path, write_release
from fixtures.record.run_folder import RecordError
from reports.releases.condensation import condense, questions_of
from reports.releases.history import read_history
from reports.releases.matrix import NOT_ASKED, Cell, Row, State, claim_states, matrix
from suites.machinery.making.releases import KEY, Cost, answering, not_installed, write_history
from suites.machinery.making.runs import claim, failure, subject, undecided, violated

OTHER = {"subject": subject(shape=(3, 5))}
ASKED = claim(), claim(**OTHER), claim(dtype="bfloat16")
ROW, HALF = Row(claim().family, "float32"), Row(claim().family, "bfloat16")


@pytest.fixture
def history(tmp_path):
    """Five releases: one not installed, one that crashed, one violated, one undecided in part, one healthy."""
    crashed = dataclasses.replace(answering("2.3.1", of=ASKED), failure=failure(), ended=False)
    write_history(
        tmp_path,
        {
            "2.13.0": answering("2.13.0", *ASKED),
            "2.9.1": answering("2.9.1", undecided(), claim(**OTHER), undecided(dtype="bfloat16"), of=ASKED),
            "2.6.0": answering("2.6.0", violated(), violated(percent=-40.0, p=1e-200, **OTHER), ASKED[2]),
            "2.3.1": crashed,
            "2.1.0": not_installed("2.1.0"),
        },
    )
    return read_history(tmp_path, ())


def test_releases_come_in_the_order_of_their_versions(history):
    assert [release.name for release in history.releases] == ["2.1.0", "2.3.1", "2.6.0", "2.9.1", "2.13.0"]
    assert history.release("2.6.0").run.torch_version == "2.6.0"
    with pytest.raises(RecordError, match=r"2\.7\.0 has no record .*\(those that have: 2\.1\.0, 2\.3\.1"):
        history.release("2.7.0")


def test_a_cell_says_what_its_claims_say(history):
    found = matrix(history)
    cells = dict(zip([release.name for release in history.releases], found[ROW], strict=True))

    assert list(found) == [ROW, HALF]
    assert cells["2.1.0"] == NOT_ASKED
    assert cells["2.3.1"] == Cell(State.NO_EVIDENCE, 2, undecided=2, reason="crashed (SIGSEGV)")
    assert (cells["2.6.0"].state, cells["2.6.0"].violated) == (State.VIOLATED, 2)
    assert cells["2.6.0"].worst.effect.value == -0.7  # p below 1e-300 is plainer than 1e-200
    assert cells["2.9.1"] == Cell(State.HOLDS, 2, undecided=1, reason="cuda is not there")
    assert cells["2.13.0"] == Cell(State.HOLDS, 2)
    assert [cell.state for cell in found[HALF]][3] is State.NO_EVIDENCE


def test_a_claim_has_a_state_in_each_release(history):
    states = claim_states(history, claim().id)

    assert states == (State.NOT_ASKED, State.NO_EVIDENCE, State.VIOLATED, State.NO_EVIDENCE, State.HOLDS)
    assert set(claim_states(history, "weights.none/x")) == {State.NOT_ASKED}


def test_rows_that_earlier_suites_asked_come_last(tmp_path):
    write_history(tmp_path, {"2.6.0": answering("2.6.0", claim("weights.old.scale"), claim())}, key="old")
    write_history(tmp_path, {"2.13.0": answering("2.13.0", claim(), claim("weights.new.scale"))})
    found = matrix(read_history(tmp_path, ()))

    assert [row.family for row in found] == [claim().family, "weights.new.scale", "weights.old.scale"]
    assert [cell.state for cell in found[Row("weights.old.scale", "float32")]] == [State.HOLDS, State.NOT_ASKED]


def test_questions_that_are_missing(tmp_path):
    write_history(tmp_path, {"2.13.0": answering("2.13.0", *ASKED)})
    questions_path(tmp_path, KEY).with_suffix(".json.xz").unlink()

    with pytest.raises(RecordError, match=f"questions-{KEY}.json: cannot be read"):
        read_history(tmp_path, ())


def test_an_answer_that_contradicts_itself(tmp_path):
    made = answering("2.13.0", *ASKED)
    record = condense(made, "2.13.0", KEY, questions_of(made, KEY), Cost())
    write_history(tmp_path, {"2.13.0": made})
    answers = (msgspec.structs.replace(record.answers[0], p=1e-20), *record.answers[1:])
    write_release(tmp_path, msgspec.structs.replace(record, answers=answers))

    with pytest.raises(RecordError, match=r"the record of 2\.13\.0: claim .*: verdict 'holds' contradicts p = 1e-20"):
        read_history(tmp_path, ())
