"""model.json: what is written is read, and what contradicts itself is one line."""

from __future__ import annotations

import json

import msgspec
import pytest

from fixtures.model.allowance import departure
from fixtures.model.results import ModelRecordError, read_model, write_model
from suites.machinery.making.model_records import candidate_record, computed, record


@pytest.fixture
def path(tmp_path):
    """A path to write to."""
    return tmp_path / "model.json"


@pytest.mark.parametrize("made", [record(), candidate_record(), record(numbers=None, training=None)])
def test_what_is_written_is_read(path, made):
    write_model(path, made)

    assert read_model(path) == made


def broken(path, *place, value):
    """Write a record with another value at a place, and read it."""
    document = json.loads(msgspec.json.encode(record()))
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(document))
    with pytest.raises(ModelRecordError) as error:
        read_model(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"{path}: ")


TENSOR = ("numbers", "modules", 0, "tensors", 0)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("schema",), 7, "of schema 7, and 2 is read: run the gate again"),
        (("weather",), 1, "not what a run of a model writes (Object contains unknown field `weather`)"),
        ((*TENSOR, "elements"), -1, "Expected `int` >= 0"),
        ((*TENSOR, "roundoff"), 0.0, "Expected `float` > 0"),
        ((*TENSOR, "sums"), -1.0, "Expected `float` >= 0.0"),
        ((*TENSOR, "errors", "as it is"), [-1.0, 2.0], "Expected `float` >= 0.0"),
        ((*TENSOR, "errors"), {}, "(model): output has no error 'as it is'"),
        ((*TENSOR, "name"), "gradient of input", "(model): gradient of input stands twice"),
        (("numbers", "modules", 0, "path"), "head", "module ('head', 'eval') stands twice"),
        (("initialization", "tensors", 0, "name"), "head.bias", "tensor head.bias stands twice"),
        (("initialization", "tensors", 1, "groups", "scale"), [1.0], "head.weight: scale has 1 groups, not 24"),
        (("initialization", "tensors", 1, "groups", "colour"), [1.0] * 24, "no statistic is called 'colour'"),
        (("training", "losses"), [], "training: as many repeats of losses, gradients and gradients by module"),
        (("training", "losses", 3), [1.0], "training: 6 steps are expected in each repeat"),
        (("training", "by_module", 3, 2), [1.0], "training: gradients of 2 modules are expected at each step"),
        (("training", "plain_losses"), [], "as many repeats"),
    ],
)
def test_what_contradicts_itself_is_one_line(path, place, value, says):
    assert says in broken(path, *place, value=value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'{"a": 1, "a\\u0000": 2}', b"[" * 100_000])
def test_what_is_no_record_is_one_line(path, content):
    path.write_bytes(content)

    with pytest.raises(ModelRecordError, match=r"model\.json: not what a run of a model writes"):
        read_model(path)


def test_a_folder_in_its_place_is_one_line(path):
    path.mkdir()

    with pytest.raises(ModelRecordError, match="cannot be read"):
        read_model(path)


# The distance of two references


def test_the_distance_of_references_is_relative_and_in_units():
    one = computed(projections=(0.0, 0.0))
    other = computed(projections=(3.0, -4.0))

    assert departure(one, other) == pytest.approx((12.5**0.5) / one.norm / one.roundoff)


@pytest.mark.parametrize(
    ("ours", "theirs", "distance"),
    [
        ({"norm": 0.0, "projections": (0.0,)}, {"projections": (0.0,)}, 0.0),
        ({"norm": 0.0, "projections": (0.0,)}, {"projections": (1.0,)}, None),
        ({"projections": (None,)}, {"projections": (1.0,)}, None),
        ({"projections": (1.0,)}, {"projections": (1.0, 1.0)}, None),
        ({"projections": ()}, {"projections": ()}, 0.0),
        ({"projections": (1e308,)}, {"projections": (-1e308,)}, float("inf")),
    ],
)
def test_references_that_have_no_distance(ours, theirs, distance):
    assert departure(computed(**ours), computed(**theirs)) == distance
