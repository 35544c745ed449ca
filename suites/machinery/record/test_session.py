"""Session of one device as a record: written by the standard library, read and validated by msgspec."""

from __future__ import annotations

import pytest

from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.file_names import MEASUREMENTS, SESSION
from fixtures.record.run_folder import RecordError, read_measurements, read_session
from fixtures.record.session import Measurement, Session, Stage, State, append_measurements, seal_session, write_session
from suites.machinery.making import runs

MADE = runs.session()


def test_what_is_written_is_read(tmp_path):
    write_session(tmp_path, MADE)

    assert read_session(tmp_path) == MADE

    seal_session(tmp_path, MADE)
    assert read_session(tmp_path) == MADE


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ('"ended"', '"done"', "Invalid enum value 'done'"),
        ('"schema": 2', '"schema": 1', "written by older suites"),
        ('"seed": 7', '"seed": 7, "salt": 8', "unknown field `salt`"),
        ('"stages"', '"steps"', "unknown field `steps`"),
        ("}", "", "not valid JSON"),
    ],
)
def test_another_record_is_refused_in_one_line(tmp_path, right, wrong, says):
    write_session(tmp_path, MADE)
    text = (tmp_path / SESSION).read_text()
    assert right in text
    (tmp_path / SESSION).write_text(text.replace(right, wrong))

    with pytest.raises(RecordError, match=says) as refused:
        read_session(tmp_path)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("stages", "code"),
    [
        ((), PASS),
        ((Stage("a", State.ENDED, code=PASS),), PASS),
        ((Stage("a", State.ENDED, code=PASS), Stage("b", State.LEFT_OUT)), NO_EVIDENCE),
        ((Stage("a", State.ENDED, code=PASS), Stage("b", State.RUNNING)), NO_EVIDENCE),
        ((Stage("a", State.ENDED, code=PASS), Stage("b")), NO_EVIDENCE),
        ((Stage("a", State.CUT_SHORT), Stage("b", State.ENDED, code=STOP)), STOP),
        ((Stage("a", State.ENDED, code=NO_EVIDENCE),), NO_EVIDENCE),
    ],
)
def test_the_exit_code_is_that_of_the_worst_stage(stages, code):
    assert Session("cpu", "", "2", "3", "", 1.0, 0, stages=stages).exit_code == code


# Measurements

FOUND = [Measurement("init/a", {"median ms": 1.5}), Measurement("init/b", {}, "left out for time")]


def test_measurements_are_appended_and_read_in_their_order(tmp_path):
    for found in FOUND:
        append_measurements(tmp_path, [found])

    assert read_measurements(tmp_path / MEASUREMENTS) == tuple(FOUND)


def test_a_line_that_was_being_written_is_left_out(tmp_path):
    append_measurements(tmp_path, FOUND)
    whole = (tmp_path / MEASUREMENTS).read_bytes()
    (tmp_path / MEASUREMENTS).write_bytes(whole[:-5])

    assert read_measurements(tmp_path / MEASUREMENTS) == tuple(FOUND[:1])


def test_a_damaged_line_is_refused_by_its_number(tmp_path):
    append_measurements(tmp_path, FOUND)
    text = (tmp_path / MEASUREMENTS).read_text()
    (tmp_path / MEASUREMENTS).write_text(text.replace('"init/b"', "7"))

    with pytest.raises(RecordError, match="line 2: "):
        read_measurements(tmp_path / MEASUREMENTS)


def test_a_figure_that_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_measurements(tmp_path, [Measurement("a", {"GB/s": float("inf")})])
