"""Kinds of subjects: subjects of accepted runs keep their text, and everything else is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest

from fixtures.propagation.networks.convolutions import CYCLES
from fixtures.record import kinds
from fixtures.record.file_names import PLAN
from fixtures.record.kinds import (
    Architecture,
    Convolution,
    DigitsProgram,
    Elementwise,
    Initialization,
    Linear,
    Optimizer,
    PlainNetwork,
)
from fixtures.record.run_folder import RecordError, read_plan
from fixtures.record.subject import Subject
from fixtures.rounding.activations import ACTIVATIONS
from fixtures.rounding.precision import settings
from fixtures.training.networks import ARCHITECTURES
from fixtures.training.optimizers import RULES
from fixtures.training.table import OPTIMIZERS
from suites.machinery.chance import SURE
from suites.machinery.making.runs import plan


class Recorded(msgspec.Struct):
    """A line of subjects.jsonl: a subject as a run of schema 4 has written it, and what it was then."""

    key: str
    kind: str
    fields: dict[str, str]
    subject: msgspec.Raw


RECORDED = [
    msgspec.json.decode(line, type=Recorded)
    for line in Path(__file__).with_name("subjects.jsonl").read_bytes().splitlines()
]


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.key)
def test_a_recorded_subject_is_what_it_was(recorded):
    subject = msgspec.json.decode(recorded.subject, type=Subject)

    assert type(subject.what).__name__ == recorded.kind
    assert subject.key == recorded.key
    assert subject.fields == recorded.fields
    assert msgspec.json.encode(subject) == bytes(recorded.subject)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.key)
def test_a_kind_is_written_as_it_is_read(recorded):
    subject = msgspec.json.decode(recorded.subject, type=Subject)

    assert str(subject.what) == subject.path
    assert getattr(subject.what, "initializer", subject.initializer) == subject.initializer


def subclasses(kind):
    return {kind, *(below for one in kind.__subclasses__() for below in subclasses(one))}


def test_every_kind_is_recorded():
    abstract = {kinds.Kind, kinds.Network, kinds.Layer, kinds.Program}
    parts = {Architecture}

    assert {kind.__name__ for kind in subclasses(kinds.Kind) - abstract - parts} | {Initialization.__name__} == {
        recorded.kind for recorded in RECORDED
    }


@pytest.mark.parametrize(
    ("initializer", "path", "what"),
    [
        ("kaiming_normal_", "plain_leaky_relu(64, inputs=32)", PlainNetwork("leaky_relu", 64, inputs=32)),
        ("gelu", "eager", Elementwise("gelu")),
        ("gelu", "elementwise(threads=3)", Elementwise("gelu", threads=3)),
        ("kaiming_normal_", "linear(threads=3)", Linear(threads=3)),
        ("kaiming_normal_", "Conv2d(size=(9, 35), bias=True)", Convolution("", 2, bias=True, size=(9, 35))),
        ("kaiming_normal_", "conv_transpose2d-stride2", Initialization("conv_transpose2d-stride2")),
        ("nn.Linear(16, 512).weight", "meta", Initialization("meta")),
        (
            "AdamW(lr=0.001, weight_decay=0.1)",
            "autocast_deep(50, 64)",
            Optimizer("AdamW", 0.001, weight_decay=0.1, network=Architecture("deep", 50, 64), autocast=True),
        ),
    ],
)
def test_text_is_read_into_typed_fields(initializer, path, what):
    assert Subject(initializer, (), path=path).what == what


@pytest.mark.parametrize(
    ("initializer", "path", "reason"),
    [
        ("kaiming_normal_", "plain_relu(64)", "missing required field `inputs`"),
        ("kaiming_normal_", "plain_relu('64', inputs=1)", "Expected `int`, got `str`"),
        ("kaiming_normal_", "plain_relu(0, inputs=1)", "Expected `int` >= 1"),
        ("kaiming_normal_", "plain_relu(64, 3, inputs=1)", "too many positional arguments"),
        ("kaiming_normal_", "plain_relu(64, inputs=1, layers=2)", "`layers` is no keyword"),
        ("kaiming_normal_", "plain_relu(64, inputs=1, size=2)", "unknown field `size`"),
        ("kaiming_normal_", "plain_swish(64, inputs=1)", "an unknown network, layer or program"),
        ("kaiming_normal_", "conv4d_padded_relu(4, inputs=1, size=1)", "an unknown network, layer or program"),
        ("kaiming_normal_", "bottleneck_before(3, samples=1, size=8)", "an unknown network, layer or program"),
        ("kaiming_normal_", "digits_lamb(3, steps=4)", "an unknown network, layer or program"),
        ("kaiming_normal_", "<b>", "is no call with literal arguments"),
        ("kaiming_normal_", "", "is no call with literal arguments"),
        ("kaiming_normal_(", "plain_relu(64, inputs=1)", "is no call with literal arguments"),
        ("gelu", "linear", "a nonlinearity is eager or elementwise"),
        ("dropout", "BatchNorm2d(12)", "another module"),
        ("normalization", "Dropout(p=0.5)", "another module"),
        ("dropout", "Dropout(p=1.0)", "Expected `float` < 1.0"),
        ("SGD(lr=0.1)", "wide(3)", "an unknown network"),
        ("SGD(0.1)", "tutorial", "too many positional arguments"),
        ("SGD(momentum=0.1)", "tutorial", "missing required field `lr`"),
    ],
)
def test_other_text_is_refused(initializer, path, reason):
    with pytest.raises(ValueError, match=reason):
        Subject(initializer, (), path=path)


@pytest.mark.parametrize(
    ("initializer", "path", "name"),
    [
        ("kaiming_normal_", "eager", "kaiming_normal_"),
        ("trunc_normal_(std=0.02)", "eager", "trunc_normal_"),
        ("gelu", "elementwise(threads=3)", "gelu"),
        ("AdamW(lr=0.001)", "deep(50, 64)", "AdamW"),
        ("operation", "layer_norm(inputs='far')", "layer_norm"),
        ("operation", "softmax(inputs='large')", "softmax"),
    ],
)
def test_a_subject_is_named_by_what_was_called(initializer, path, name):
    assert Subject(initializer, (), path=path).name == name


def test_another_kind_than_expected_is_refused():
    with pytest.raises(ValueError, match=r"'linear' of 'kaiming_normal_' is no PlainNetwork"):
        Subject("kaiming_normal_", (4, 4), path="linear").expect(PlainNetwork)


def test_a_run_with_an_unknown_subject_is_refused_in_one_line(tmp_path):
    text = msgspec.json.encode(plan([])).replace(b'"eager"', b'"wide_relu(3)"')
    (tmp_path / PLAN).write_bytes(text)

    with pytest.raises(RecordError) as refused:
        read_plan(tmp_path / PLAN)

    reason = "'wide_relu(3)' of 'kaiming_normal_' is no subject: an unknown network, layer or program"
    assert str(refused.value) == f"{tmp_path / PLAN}: {reason} - at `$.cases[0].subject`"


def accepted(kind, field):
    return {*get_args(get_type_hints(kind)[field])}


@SURE
def test_names_are_those_of_what_they_name():
    assert {*get_args(kinds.Activation)} == ACTIVATIONS.keys()
    assert {*get_args(kinds.Cycle)} == CYCLES.keys()
    assert {*get_args(kinds.Setting)} == {"autocast", *settings("cpu"), *settings("cuda")}
    assert accepted(Architecture, "architecture") == ARCHITECTURES.keys()
    assert accepted(Optimizer, "optimizer") == RULES.keys()
    assert accepted(DigitsProgram, "optimizer") == OPTIMIZERS.keys()
