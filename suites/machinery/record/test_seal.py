"""The seal: whatever is done to a file of a run, the run is refused in one line."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from fixtures.record import file_names
from fixtures.record.run_folder import RecordError, read_run, seal_run
from fixtures.record.seal import MANIFEST, BrokenSeal, check_seal, seal
from reports.commands import command_line
from reports.commands.acceptance import accept
from suites.machinery.chance import SURE
from suites.machinery.making.runs import claim, contract, failure, run, undecided, violated, write

MADE = run(
    claim(),
    violated(dtype="bfloat16", known="half", where="row 17"),
    contract(),
    undecided(dtype="float16"),
    digests={f"subject-{n}": f"{n:08x}" for n in range(20)},
    sketches={"a/counts": np.arange(1000), "a/salt": np.asarray(3)},
)
OTHER = run(claim(), violated(dtype="bfloat16"), contract(), undecided(dtype="float16"), digests={"subject-0": "0"})


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "run", MADE)


def refusal(folder):
    with pytest.raises(RecordError) as error:
        read_run(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_run_that_nobody_touched_is_read(folder):
    assert read_run(folder).claims == MADE.claims


def flipped(content, generator):
    place = int(generator.integers(len(content)))
    return content[:place] + bytes([content[place] ^ (1 << int(generator.integers(8)))]) + content[place + 1 :]


def another_digit(content, generator):
    digits = [place for place, byte in enumerate(content) if chr(byte).isdigit()]
    place = digits[int(generator.integers(len(digits)))]
    return content[:place] + str((content[place] - ord("0") + 1) % 10).encode() + content[place + 1 :]


def cut(content, generator):
    return content[: int(generator.integers(len(content)))]


def without_a_line(content, generator):
    lines = content.split(b"\n")
    del lines[int(generator.integers(max(1, len(lines) - 1)))]
    return b"\n".join(lines)


DAMAGES = (flipped, another_digit, cut, without_a_line)


@pytest.mark.large_draws
@SURE
def test_four_hundred_damaged_files_are_four_hundred_refusals(folder, generator, capsys):
    names = [name for name in file_names.SEALED if (folder / name).exists()]
    tried = 0
    while tried < 400:
        name, damage = names[tried % len(names)], DAMAGES[tried // len(names) % len(DAMAGES)]
        whole = (folder / name).read_bytes()
        broken = damage(whole, generator)
        if broken == whole:
            continue
        (folder / name).write_bytes(broken)

        assert refusal(folder).startswith(f"{folder / name}: not what the run wrote"), (name, damage)
        assert command_line.run(["show", str(folder)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        (folder / name).write_bytes(whole)
        tried += 1
    assert read_run(folder).claims == MADE.claims


@pytest.mark.parametrize("name", [name for name in file_names.SEALED if name != file_names.INTERFACE])
def test_a_file_that_went_or_came_from_another_run_is_refused(folder, tmp_path, name):
    other = write(tmp_path / "other", OTHER)
    if (other / name).read_bytes() != (folder / name).read_bytes():
        shutil.copy(other / name, folder / name)
        assert refusal(folder) == f"{folder / name}: not what the run wrote (its hash in {MANIFEST} is another one)"

    (folder / name).unlink()
    assert name in refusal(folder)


def test_a_file_that_the_run_did_not_write_is_refused(folder):
    (folder / file_names.INTERFACE).write_text("{}", encoding="utf-8")

    assert refusal(folder) == f"{folder / file_names.INTERFACE}: not written by this run ({MANIFEST} does not list it)"


def test_what_a_gate_adds_is_not_under_the_seal(folder):
    for name in (*file_names.VERDICT_FILES, file_names.TIMINGS):
        (folder / name).write_text("added", encoding="utf-8")

    assert read_run(folder).claims == MADE.claims


def test_a_run_that_was_cut_short_has_no_seal_and_is_read_as_far_as_it_goes(tmp_path):
    folder = write(tmp_path / "run", run(claim(), failure=failure()))
    (folder / MANIFEST).unlink()

    assert read_run(folder).failure is not None


def test_claims_without_a_seal_are_those_of_a_run_that_did_not_end(folder):
    (folder / MANIFEST).unlink()

    assert refusal(folder) == f"{folder}: the run did not end: it has no {MANIFEST}, which is written last"


@pytest.mark.parametrize("content", ["", "[]", "3", '{"files": 3}', '{"files": {"a": 3}}', '{"files": {"a": [1]}}'])
def test_a_manifest_that_is_none_is_one_line(folder, content):
    (folder / MANIFEST).write_text(content, encoding="utf-8")

    assert refusal(folder) == f"{folder / MANIFEST}: not the manifest of a run"


def test_an_accepted_run_is_sealed_as_it_lies(folder, tmp_path):
    kept = accept(read_run(folder), "2.13.0", tmp_path / "accepted", replace=False).folder

    assert read_run(kept).claims == MADE.claims
    (packed,) = kept.glob("claims.jsonl.xz")
    content = packed.read_bytes()
    packed.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    assert refusal(kept).startswith(f"{packed}: not what the run wrote")


def test_the_manifest_is_written_last_and_lists_what_there_is(tmp_path):
    (tmp_path / "a").write_text("x", encoding="utf-8")

    seal(tmp_path, ["b", "a"])

    assert list(json.loads((tmp_path / MANIFEST).read_bytes())["files"]) == ["a"]
    check_seal(tmp_path, ["a", "b"])
    (tmp_path / "b").write_text("y", encoding="utf-8")
    with pytest.raises(BrokenSeal):
        check_seal(tmp_path, ["a", "b"])


def test_resealing_takes_what_is_there(folder):
    (folder / file_names.SKETCHES).unlink()
    seal_run(folder)

    assert not read_run(folder).sketches
