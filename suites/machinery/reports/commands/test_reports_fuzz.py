"""Whatever lies in a run folder: a verdict, or one line that says what is wrong. Never a traceback, never a pass."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.record import file_names, run_folder
from fixtures.record.run_folder import RecordError, read_claims
from reports.commands import command_line
from suites.machinery.costs import examples
from suites.machinery.making import model_records
from suites.machinery.making.runs import claim, contract, failure, run, undecided, violated, write

BASE = run(claim(), claim(dtype="bfloat16"), contract(), digests={"a": "b"})
STOPPED = run(claim(), violated(dtype="bfloat16", known="half"), contract(), digests={"a": "c"}, label="candidate")
CRASHED = run(claim(), undecided(dtype="bfloat16"), contract(), failure=failure(), label="candidate")

Content = dict[str, bytes]


@pytest.fixture(scope="module")
def wholes(tmp_path_factory) -> tuple[Content, list[Content]]:
    """The files of a baseline, and those of the candidates that are going to be broken."""
    folders = [write(tmp_path_factory.mktemp("whole"), made) for made in (BASE, STOPPED, CRASHED)]
    torch = {"torch": "2.13.0+cpu"}
    sides = model_records.record(**torch), *(model_records.candidate_record(**torch) for _ in range(2))
    for folder, side in zip(folders, sides, strict=True):
        model_records.write(folder, side)
    base, *candidates = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    return base, candidates


def gate(base: Content, candidate: Content, *, sealed: bool = False) -> tuple[int, bool]:
    """The exit code of gating these files, and whether a verdict was written; under a new seal, or the old one."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch, name) for name in ("base", "candidate")]
        for folder, content in zip(folders, (base, candidate), strict=True):
            folder.mkdir()
            for name, data in content.items():
                (folder / name).write_bytes(data)
            if (folder / file_names.MANIFEST).exists() and not sealed:
                run_folder.seal_run(folder)  # what lies behind it is asked about
        assert command_line.run(["show", str(folders[1])]) in (0, 2)
        code = command_line.run(["gate", *map(str, folders)])
        return code, (folders[1] / file_names.VERDICT).exists()


def check(base: Content, candidate: Content, capsys: pytest.CaptureFixture[str]) -> int:
    capsys.readouterr()
    code, written = gate(base, candidate)
    errors = capsys.readouterr().err.splitlines()

    assert code in (0, 1, 2)
    assert all(line.startswith("error: ") for line in errors)
    assert not [line for line in errors if "Kaiming Gate itself" in line]
    # One line each from `show` and `gate`; a verdict exactly where `gate` had nothing to complain of.
    assert len(errors) <= 2
    assert written == (code < 2 or len(errors) == 0)
    return code


HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**64, "NaN", "[red]", "\x1b[31m", "", "\u202e", "holds", "violated", "framework", -1, 0, 1e308])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)

pytestmark = pytest.mark.large_draws  # hundreds of examples, each of which is gated twice

SETTINGS = settings(max_examples=examples(150), suppress_health_check=list(HealthCheck))


@pytest.mark.large_draws
@SETTINGS
@given(data=st.data())
def test_bytes_that_were_changed_give_a_verdict_or_one_line(wholes, capsys, data):
    base, candidates = wholes
    broken = dict(data.draw(st.sampled_from(candidates), label="whole"))
    name = data.draw(st.sampled_from(sorted(broken)), label="file")
    content = broken[name]
    start = data.draw(st.integers(0, len(content)), label="start")
    end = data.draw(st.integers(start, min(len(content), start + 40)), label="end")
    put = data.draw(st.binary(max_size=8) | st.just(content[start:end] * 2), label="put")
    broken[name] = content[:start] + put + content[end:]

    check(base, broken, capsys)
    check(broken, base, capsys)


@pytest.mark.large_draws
@SETTINGS
@given(data=st.data())
def test_values_that_were_changed_give_a_verdict_or_one_line(wholes, capsys, data):
    base, candidates = wholes
    broken = dict(data.draw(st.sampled_from(candidates), label="whole"))
    name = data.draw(st.sampled_from([name for name in sorted(broken) if ".json" in name]), label="file")
    lines = broken[name].splitlines() if name == file_names.CLAIMS else [broken[name]]
    place = data.draw(st.integers(0, len(lines) - 1), label="line")
    document = json.loads(lines[place])
    inner = document
    while True:
        key = data.draw(st.sampled_from(range(len(inner)) if isinstance(inner, list) else sorted(inner)), label="key")
        if not isinstance(inner[key], dict | list) or not inner[key] or data.draw(st.booleans(), label="replace"):
            break
        inner = inner[key]
    inner[key] = data.draw(HOSTILE, label="value")
    lines[place] = json.dumps(document).encode()
    broken[name] = b"\n".join(lines)

    check(base, broken, capsys)


@SETTINGS
@given(data=st.data())
def test_a_file_cut_anywhere_or_missing_never_turns_a_stop_into_a_pass(wholes, capsys, data):
    base, candidates = wholes
    broken = dict(data.draw(st.sampled_from(candidates), label="whole"))
    # Digests and sketches are not what these stops rest on.
    name = data.draw(st.sampled_from([file_names.PLAN, file_names.ENVIRONMENT, file_names.CLAIMS]), label="file")
    length = data.draw(st.integers(0, len(broken[name]) - 1), label="length")
    if length:
        broken[name] = broken[name][:length]
    else:
        del broken[name]

    assert check(base, broken, capsys) in (1, 2)


def test_claims_cut_at_any_byte_are_refused_or_lack_an_answer(wholes, tmp_path):
    whole = wholes[1][0][file_names.CLAIMS]
    path = tmp_path / file_names.CLAIMS
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        with contextlib.suppress(RecordError):
            assert len(read_claims(path)) < len(STOPPED.claims)
