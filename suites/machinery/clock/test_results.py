"""The clock's results: the gate reads what the clock wrote, and the table shows it at any width."""

import msgspec
import pytest

from fixtures.clock.results import (
    SCHEMA,
    Guard,
    Memory,
    Pairing,
    PairingError,
    Timed,
    claim_path,
    read_pairing,
    write_pairing,
)
from fixtures.clock.table import folded

TIMED = Timed(
    name="init/a",
    ratio=1.2,
    low=1.1,
    high=1.3,
    restarts=5,
    sd=0.02,
    outcome="regressed",
    required=True,
    margin=0.1,
    seconds=(1e-3, 1.2e-3),
    memory={"baseline": Memory(1e8, None), "candidate": Memory(None, 24)},
    log_ratios=(0.18,),
    repeat_log_ratios=(0.0,),
    confirmation=(1.2, 1.1, 1.3),
    notes=("x",),
)
BROKEN = msgspec.structs.replace(TIMED, ratio=None, low=None, high=None, sd=None, seconds=None, outcome="broken")
PAIRING = Pairing(
    schema=SCHEMA,
    baseline={"torch": "2.13.0"},
    candidate={"torch": "2.14.1"},
    device="cpu",
    tier="quick",
    seed=1,
    started="2026-01-01T00:00:00+00:00",
    seconds=100.0,
    family_error=0.05,
    verdict="stop",
    reason="init/a takes 1.20 times as long",
    workloads=(TIMED, BROKEN),
    guards=(Guard(name="guard/python", ratio=1.0, low=0.9, high=1.1, moved=False),),
    failure=("last words",),
)


def test_what_is_written_is_read(tmp_path):
    write_pairing(tmp_path / "out.json", PAIRING)

    assert read_pairing(tmp_path / "out.json") == PAIRING
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "not a result of the paired clock"),
        (b"{}", "not a result of the paired clock"),
        (b"\xff", "not a result of the paired clock"),
        (b"[" * 100_000, "not a result of the paired clock"),
        (msgspec.json.encode(msgspec.structs.replace(PAIRING, schema=99)), "written by another version (schema 99"),
        (msgspec.json.encode(PAIRING).replace(b'"regressed"', b'"slow"'), "not a result of the paired clock"),
        (msgspec.json.encode(PAIRING).replace(b'"ratio":1.2', b'"ratio":NaN'), "not a result of the paired clock"),
    ],
)
def test_another_file_is_refused_in_one_line(tmp_path, content, said):
    file = tmp_path / "out.json"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(PairingError) as refusal:
        read_pairing(file)

    assert str(refusal.value).startswith(f"{file}: {said}")
    assert "\n" not in str(refusal.value)


def test_a_path_that_can_be_written_is_left_empty(tmp_path):
    (tmp_path / "out.json").write_text("old")
    claim_path(tmp_path / "out.json")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "width", "lines"),
    [
        ("guard/python", 40, ["guard/python"]),
        ("init/kaiming_normal_/1024x1024/float32", 24, ["init/kaiming_normal_/", "  1024x1024/float32"]),
        ("init/kaiming_normal_/1024x1024/float32", 5, ["init/", "  kaiming_normal_/", "  1024x1024/", "  float32"]),
        ("init", 1, ["init"]),
    ],
)
def test_a_name_is_broken_behind_slashes_alone(name, width, lines):
    assert folded(name, width).split("\n") == lines
