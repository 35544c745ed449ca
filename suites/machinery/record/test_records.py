"""Run folders: what is written is read back, and what is broken is refused with a line that says what and where."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.record import file_names, run_folder
from fixtures.record.claim import Effect, Verdict
from fixtures.record.run_folder import RecordError, read_run
from fixtures.record.schema import SCHEMA
from suites.machinery.making.runs import OF_STD, claim, contract, failure, plan, run, undecided, violated, write

MADE = run(claim(), violated(dtype="bfloat16", known="known"), contract(), digests={"a": "b"})


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "run", MADE)


def change_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def change_claim(folder: Path, change: Callable[[dict[str, Any]], None], line: int = 2) -> None:
    path = folder / file_names.CLAIMS
    lines = path.read_text().splitlines()
    content = json.loads(lines[line - 1])
    change(content)
    lines[line - 1] = json.dumps(content)
    path.write_text("\n".join(lines) + "\n")


def refusal(folder: Path) -> str:
    """The message with which a run folder is refused, without the folder's own path; its seal is whole."""
    if folder.is_dir():
        run_folder.seal_run(folder)
    with pytest.raises(RecordError) as error:
        read_run(folder)
    message = str(error.value)
    assert "\n" not in message
    return message.replace(f"{folder}/", "").replace(str(folder), "run")


# Whole


def test_a_run_is_read_as_it_was_written(folder):
    read = read_run(folder)

    assert (read.plan, read.environment, read.claims, read.digests, read.failure) == (
        MADE.plan,
        MADE.environment,
        MADE.claims,
        {"a": "b"},
        None,
    )
    assert read.sketches["counts"].tolist() == [0, 1, 2]
    assert (read.label, read.torch_version, read.ended) == ("run", "2.13.0+cpu", True)


@given(
    value=st.floats(allow_nan=False, allow_infinity=False),
    p=st.floats(1e-300, 1),
    note=st.text(st.characters(exclude_categories=["Cs"])),
    n=st.integers(0, 2**62),
)
def test_a_claim_survives_its_line(value, p, note, n):
    made = violated(effect=Effect(value, OF_STD), p=p, note=note, n=n)

    assert msgspec.json.decode(run_folder.claim_line(made), type=type(made)) == made


@pytest.mark.parametrize(
    "fields",
    [{"effect": Effect(float("inf"), OF_STD)}, {"detectable": Effect(float("nan"), OF_STD)}, {"p": float("nan")}],
)
def test_a_number_that_json_cannot_hold_is_refused_when_it_is_written(fields):
    with pytest.raises(ValueError, match="holds a number that is not finite"):
        run_folder.claim_line(claim(**fields))


def test_objects_that_only_a_pickle_could_hold_are_refused_when_they_are_written(tmp_path):
    with pytest.raises(ValueError, match="not Python objects: bad"):
        run_folder.write_sketches(tmp_path, {"bad": np.array([object()])})

    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_content_and_no_litter(folder, monkeypatch):
    before = (folder / file_names.PLAN).read_bytes()

    def disk_full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        run_folder.write_record(folder / file_names.PLAN, plan(["other"]))

    assert (folder / file_names.PLAN).read_bytes() == before
    assert not list(folder.glob(".*"))


# Cut short


def cut_short(folder: Path, *files: str) -> Path:
    (folder / file_names.CLAIMS).rename(folder / file_names.PARTIAL_CLAIMS)
    for name in files:
        (folder / name).unlink()
    return folder


def test_a_run_that_failed_is_read_as_far_as_it_goes(folder):
    cut_short(folder, file_names.ENVIRONMENT, file_names.SKETCHES, file_names.DIGESTS)
    run_folder.write_record(folder / file_names.FAILURE, failure())
    read = read_run(folder)

    assert (read.failure, read.claims, read.environment, read.ended) == (failure(), MADE.claims, None, False)
    assert read.torch_version == "unknown"


def test_a_run_that_never_began_is_read_where_a_failure_tells_why(tmp_path):
    run_folder.write_record(tmp_path / file_names.FAILURE, failure(stage="install"))
    read = read_run(tmp_path)

    assert (read.plan, read.environment, read.claims) == (None, None, {})


def test_a_half_written_last_answer_is_left_out(folder):
    cut_short(folder)
    run_folder.write_record(folder / file_names.FAILURE, failure())
    path = folder / file_names.PARTIAL_CLAIMS
    path.write_bytes(path.read_bytes()[:-10])

    assert list(read_run(folder).claims) == list(MADE.claims)[:-1]


def test_a_run_that_was_killed_is_read_only_on_request(folder):
    cut_short(folder)

    assert (
        refusal(folder) == "run: the run did not end (no claims.jsonl); `python -m reports show` prints what there is"
    )
    assert read_run(folder, unfinished=True).claims == MADE.claims


def test_planned_claims_without_a_finding_are_told(tmp_path):
    made = run(claim(), plan=plan(["a", claim().id, "b"]))

    assert read_run(write(tmp_path, made)).unanswered() == ["a", "b"]


# Broken


def test_no_folder(tmp_path):
    assert refusal(tmp_path / "run") == "run: no such run folder"


def test_a_file_instead_of_a_folder(folder):
    with pytest.raises(RecordError, match=r"plan\.json: no such run folder"):
        read_run(folder / file_names.PLAN)


@pytest.mark.parametrize("name", [file_names.PLAN, file_names.ENVIRONMENT])
def test_a_missing_file(folder, name):
    (folder / name).unlink()

    assert refusal(folder) == f"{name}: cannot be read (No such file or directory)"


ALL_FILES = [file_names.PLAN, file_names.ENVIRONMENT, file_names.CLAIMS, file_names.DIGESTS, file_names.SKETCHES]


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_folder_instead_of_a_file(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()

    assert refusal(folder) == f"{name}: not a file"


def test_a_named_pipe_is_not_waited_for(folder):
    (folder / file_names.PLAN).unlink()
    os.mkfifo(folder / file_names.PLAN)

    assert refusal(folder) == "plan.json: not a file"


@pytest.mark.parametrize("name", [file_names.PLAN, file_names.ENVIRONMENT, file_names.DIGESTS])
def test_a_truncated_file(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-5])

    assert refusal(folder).startswith(f"{name}: not valid JSON, perhaps truncated (")


def test_a_truncated_line_of_claims(folder):
    path = folder / file_names.CLAIMS
    path.write_bytes(path.read_bytes()[:-5])

    assert refusal(folder).startswith("claims.jsonl, line 3: not valid JSON, perhaps truncated (")


def test_an_empty_line_of_claims(folder):
    path = folder / file_names.CLAIMS
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n", 1))

    assert refusal(folder).startswith("claims.jsonl, line 2: not valid JSON")


def test_bytes_that_are_no_text(folder):
    (folder / file_names.PLAN).write_bytes(b'{"schema": 2, "target": "\xff"}')

    assert "plan.json: not valid JSON, perhaps truncated (" in refusal(folder)  # the reason is the library's words


@pytest.mark.parametrize("content", ["[]", "3", "null", "{}", '{"schema": null}', '{"schema": "1"}', '{"schema": 1.0}'])
def test_a_foreign_file(folder, content):
    (folder / file_names.PLAN).write_text(content)

    assert refusal(folder) == (
        "plan.json: not a record of Kaiming Gate (an object with an integer 'schema' is expected)"
    )


def test_a_foreign_file_of_another_shape(folder):
    (folder / file_names.PLAN).write_text('{"schema": 2, "seed": 17}')

    assert refusal(folder) == "plan.json: Object missing required field `tier`"


@pytest.mark.parametrize(("schema", "age"), [(3, "newer"), (1, "older"), (0, "older"), (10**30, "newer")])
@pytest.mark.parametrize("name", [file_names.PLAN, file_names.ENVIRONMENT, file_names.DIGESTS])
def test_a_file_of_another_version(folder, name, schema, age):
    change_json(folder / name, lambda content: content.update(schema=schema))

    cure = {"newer": "read it there", "older": "run, or accept, it again"}[age]
    assert refusal(folder) == f"{name}: written by {age} suites (schema {schema}; these read schema {SCHEMA}): {cure}"


def test_a_newer_claim(folder):
    change_claim(folder, lambda content: content.update(schema=SCHEMA + 1))

    says = f"written by newer suites (schema {SCHEMA + 1}; these read schema {SCHEMA}): read it there"
    assert refusal(folder) == f"claims.jsonl, line 2: {says}"


def test_a_newer_failure(folder):
    run_folder.write_record(folder / file_names.FAILURE, failure())
    change_json(folder / file_names.FAILURE, lambda content: content.update(schema=SCHEMA + 1))

    assert refusal(folder).startswith("failure.json: written by newer suites")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("seed", "17", "Expected `int`, got `str` - at `$.seed`"),
        ("seed", True, "Expected `int`, got `bool` - at `$.seed`"),
        ("tier", None, "Expected `str`, got `null` - at `$.tier`"),
        ("claims", {"a": 1}, "Expected `array`, got `object` - at `$.claims`"),
        ("cases", [1], "Expected `object`, got `int` - at `$.cases[0]`"),
        ("surprise", 1, "Object contains unknown field `surprise`"),
    ],
)
def test_a_wrong_type(folder, field, value, words):
    change_json(folder / file_names.PLAN, lambda content: content.update({field: value}))

    assert refusal(folder) == f"plan.json: {words}"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000])
def test_a_number_that_is_none(folder, number):
    path = folder / file_names.CLAIMS
    path.write_text(path.read_text().replace('"p":0.4', f'"p":{number}'))

    assert refusal(folder).startswith("claims.jsonl, line 1: not valid JSON, perhaps truncated (")


def test_a_file_nested_too_deeply(folder):
    (folder / file_names.PLAN).write_text("[" * 100_000)

    assert refusal(folder) == "plan.json: not a record of Kaiming Gate (nested too deeply)"


def test_a_claim_that_stands_twice(folder):
    path = folder / file_names.CLAIMS
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines()[0] + b"\n")

    assert refusal(folder) == f"claims.jsonl, line 4: claim {claim().id} stands twice"


def test_a_claim_that_is_planned_twice(folder):
    change_json(folder / file_names.PLAN, lambda content: content["claims"].append(content["claims"][0]))

    assert refusal(folder) == f"plan.json: claim {claim().id} is planned twice"


def test_a_claim_that_was_not_planned(folder):
    change_json(folder / file_names.PLAN, lambda content: content["claims"].pop(1))

    assert refusal(folder) == f"claims.jsonl, line 2: claim {violated(dtype='bfloat16').id} is not in plan.json"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "weights.x"}, "id weights.x does not belong to its family and subject (weights.marginal.scale/"),
        ({"family": "weights.x"}, "id weights.marginal.scale/"),
        ({"n": -1}, "n = -1 is no number of samples"),
        ({"p": -0.1}, "p = -0.1 is no probability"),
        ({"p": 1.5}, "p = 1.5 is no probability"),
        ({"detectable": {"value": -1, "unit": "KS distance"}}, "a detectable effect is not negative, as -1.0 is"),
        ({"effect": {"value": 1, "unit": "KS distance", "standard_error": -1}}, "a standard error is not negative"),
        ({"effect": {"value": 1, "unit": "% at row 17"}}, "Invalid enum value '% at row 17' - at `$.effect.unit`"),
        ({"counterexample": "x"}, "a counterexample belongs to an exact claim that is violated"),
        ({"verdict": "holds"}, "verdict 'holds' contradicts p = 1e-300 (below 1e-08)"),
        ({"verdict": "fine"}, "Invalid enum value 'fine' - at `$.verdict`"),
    ],
)
def test_a_claim_that_contradicts_itself(folder, changes, words):
    change_claim(folder, lambda content: content.update(changes))

    assert refusal(folder).startswith(f"claims.jsonl, line 2: {words}")


def test_contradictions_are_refused_in_partial_answers_as_well(folder):
    change_claim(folder, lambda content: content.update(p=2))
    cut_short(folder)

    with pytest.raises(RecordError, match=r"claims\.jsonl\.partial, line 2: p = 2\.0 is no probability"):
        read_run(folder, unfinished=True)


# Sketches


def refuse_sketches(folder: Path) -> str:
    message = refusal(folder)
    assert message.startswith("sketches.npz: ")
    return message.removeprefix("sketches.npz: ")


def test_sketches_that_are_truncated(folder):
    path = folder / file_names.SKETCHES
    path.write_bytes(path.read_bytes()[:-30])

    assert refuse_sketches(folder).startswith("not an archive of plain arrays, perhaps truncated (")


def test_sketches_with_a_pickle_are_not_unpickled(folder):
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path(folder / "exploded").touch, ()

    np.savez(folder / file_names.SKETCHES, bomb=np.array([Bomb()]))

    assert "Object arrays cannot be loaded when allow_pickle=False" in refuse_sketches(folder)
    assert not (folder / "exploded").exists()


def test_sketches_that_are_one_array(folder):
    with (folder / file_names.SKETCHES).open("wb") as file:
        np.save(file, np.arange(3))

    assert refuse_sketches(folder).startswith("not an archive of plain arrays")


def test_sketches_that_would_fill_the_memory(folder, monkeypatch):
    monkeypatch.setattr(run_folder, "MOST_SKETCH_BYTES", 1 << 20)
    np.savez_compressed(folder / file_names.SKETCHES, zeros=np.zeros((1 << 20) + 1, dtype=np.int8))

    assert refuse_sketches(folder) == "unpacks to more than 1 MiB"


def test_undecided_claims_need_no_numbers(tmp_path):
    made = run(undecided())

    assert read_run(write(tmp_path, made)).claims[claim().id].verdict is Verdict.NO_EVIDENCE
