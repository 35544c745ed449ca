"""Records of releases: what is written is read, and what is damaged, foreign or at odds with itself is refused."""

from __future__ import annotations

import re

import msgspec
import pytest

from fixtures.record import release_record
from fixtures.record.claim import Unit, Verdict
from fixtures.record.compression import pack, packed, read_stored
from fixtures.record.file_names import HISTORY, ROOT
from fixtures.record.release_record import (
    HISTORY_SCHEMA,
    Answer,
    Questions,
    ReleaseRecord,
    questions_path,
    read_questions,
    read_release,
    record_path,
    recorded_releases,
    write_questions,
    write_release,
)
from fixtures.record.run_folder import RecordError
from suites.machinery.making.releases import KEY, asked
from suites.machinery.making.runs import claim, contract, environment, failure

CLAIMS = claim(), contract()
QUESTIONS = Questions(
    schema=HISTORY_SCHEMA, key=KEY, plan=asked(*CLAIMS)["plan"], statements=tuple(each.statement for each in CLAIMS)
)
RECORD = ReleaseRecord(
    schema=HISTORY_SCHEMA,
    release="2.13.0",
    key=KEY,
    made="2026-01-01T00:00:00Z",
    environment=environment("2.13.0+cpu"),
    answers=(
        Answer(Verdict.HOLDS, 100, 0.4, 0.01, 0.002, Unit.STD, 0.2),
        Answer(Verdict.VIOLATED, 1, counterexample="gelu(inf) is nan"),
    ),
)


@pytest.fixture
def history(tmp_path):
    """A folder with one release and its questions."""
    write_questions(tmp_path, QUESTIONS)
    write_release(tmp_path, RECORD)
    return tmp_path


def changed(path, **fields):
    """Write a record anew with other fields; None removes one."""
    content = msgspec.json.decode(read_stored(path)) | fields
    kept = {key: item for key, item in content.items() if item is not None}
    packed(path).write_bytes(pack(msgspec.json.encode(kept)))


def refusal(read, path, *rest):
    with pytest.raises(RecordError) as error:
        read(path, *rest)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def test_what_is_written_is_read(history):
    assert read_questions(questions_path(history, KEY)) == QUESTIONS
    assert read_release(record_path(history, "2.13.0")) == RECORD
    assert recorded_releases(history) == ("2.13.0",)
    assert recorded_releases(history / "none") == ()


def test_a_release_that_was_not_installed_is_read(tmp_path):
    fields = {"release": "2.1.0", "failure": failure(stage="install"), "environment": None, "answers": ()}
    made = msgspec.structs.replace(RECORD, **fields)
    write_release(tmp_path, made)

    assert read_release(record_path(tmp_path, "2.1.0")) == made


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"schema": HISTORY_SCHEMA + 1}, f"written by newer suites (schema {HISTORY_SCHEMA + 1}; these read schema"),
        ({"schema": None}, "not a record of Kaiming Gate"),
        ({"key": None}, "missing required field `key`"),
        ({"mood": "good"}, "unknown field `mood`"),
        ({"release": "2.12.1"}, "is the record of 2.12.1, by another name"),
        ({"answers": []}, "neither answers nor a reason"),
        ({"environment": None}, "neither answers nor a reason"),
        ({"answers": [["perhaps"], None]}, "Invalid enum value 'perhaps'"),
        ({"answers": [["holds", 1, 0.5, 0.1], None]}, "answer 1: an effect has a unit"),
        ({"answers": [None, ["holds", 1, 0.5, None, None, "VALUES"]]}, "Invalid enum value 'VALUES'"),
        ({"answers": [None, ["holds", 1, 0.5, None, None, "values"]]}, "answer 2: an effect has a unit"),
        ({"answers": [["holds", 1, 0.5, None, 0.1], None]}, "answer 1: a standard error without an effect"),
        ({"answers": [["holds", 1, 0.5, None, None, None, 0.1], None]}, "answer 1: a detectable effect without a unit"),
    ],
)
def test_another_record_is_refused_in_one_line(history, fields, says):
    path = record_path(history, "2.13.0")
    changed(path, **fields)

    assert says in refusal(read_release, path)


def test_questions_at_odds_with_themselves(history):
    path = questions_path(history, KEY)
    changed(path, statements=["one"])
    assert "1 statements of 2 planned claims" in refusal(read_questions, path)

    plan = msgspec.to_builtins(QUESTIONS.plan) | {"claims": ["weights.a/none"]}
    changed(path, statements=["one"], plan=plan)
    assert "claim weights.a/none is about none of the subjects" in refusal(read_questions, path)


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_record_that_was_cut_off(history, keep):
    path = record_path(history, "2.13.0")
    content = packed(path).read_bytes()
    packed(path).write_bytes(content[:keep])

    assert "damaged" in refusal(read_release, path)


def test_a_record_that_is_not_there(tmp_path):
    assert "cannot be read" in refusal(read_release, record_path(tmp_path, "2.13.0"))


def test_a_record_is_written_whole_or_not_at_all(history, monkeypatch):
    monkeypatch.setattr(release_record, "MOST_BYTES", 200)

    with pytest.raises(ValueError, match=r"the record of 2\.13\.0 takes .* bytes, more than 200"):
        write_release(history, RECORD)

    assert read_release(record_path(history, "2.13.0")) == RECORD
    assert not [*history.glob(".*")]


MOST_OF_ALL = 2_500_000
"""Bytes that a repository bears for the whole history."""

OF_A_MACHINE = re.compile(r"(?<![\w-])/(?:home|root|tmp|work)/")
"""At the start of a path alone: torch tells which compiler built it, and that one's folder has a `root` further in."""


@pytest.mark.run_folders
def test_the_history_of_this_checkout_is_small_and_names_no_folder_of_a_machine():
    files = [*(ROOT / HISTORY).glob("*")]

    assert sum(file.stat().st_size for file in files) <= MOST_OF_ALL
    assert all(file.stat().st_size <= release_record.MOST_BYTES for file in files)
    assert not [file.name for file in files if OF_A_MACHINE.search(read_stored(file.with_suffix("")).decode())]
