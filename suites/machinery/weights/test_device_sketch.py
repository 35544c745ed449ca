"""The sketch on a device: what it counts is what the processor's counts, and faults are seen by it as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.record.claim import Verdict
from fixtures.record.subject import DTYPES, HALF_TYPES, Subject
from fixtures.statistics.judgement import judge
from fixtures.statistics.laws import promised_law
from fixtures.weights import device_sketcher
from fixtures.weights.device_sketcher import DeviceSketcher
from fixtures.weights.draws import tensors
from fixtures.weights.law_questions import law_questions
from fixtures.weights.sketcher import Sketcher
from suites.machinery.chance import CLAIM, SURE, fresh_seed

SUBJECTS = [
    Subject(initializer, shape, dtype, nonlinearity="relu")
    for initializer in ("kaiming_normal_", "kaiming_uniform_")
    for shape in ((3, 5), (181, 200), (7, 4, 3, 3))
    for dtype in DTYPES
]


def sketched(kind, subject, weights):
    found = kind(subject.dtype, subject.shape, promised_law(subject).median_size)
    for weight in weights:
        found.add(weight)
    return found.finish()


def drawn(subject, count, seed=0):
    return list(tensors(subject, count * subject.numel, fresh_seed() + seed, torch.nn.init))


@SURE
@pytest.mark.parametrize("chunk", [1 << 24, 1 << 10])
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.key)
def test_it_counts_what_the_processors_counts(monkeypatch, subject, chunk):
    monkeypatch.setattr(device_sketcher, "CHUNK", chunk)
    [weight] = drawn(subject, 1)

    here, there = (sketched(kind, subject, [weight]) for kind in (DeviceSketcher, Sketcher))

    np.testing.assert_array_equal(here.counts, there.counts)
    for one, other in ((here.signs, there.signs), (here.sizes, there.sizes)):
        np.testing.assert_array_equal(one.compared, other.compared)
        np.testing.assert_array_equal(one.differing, other.differing)
    assert (here.moments.smallest, here.moments.largest) == (there.moments.smallest, there.moments.largest)
    assert here.moments.squares == pytest.approx(there.moments.squares, rel=1e-5)
    for name in ("rows", "columns", "first", "last"):
        one, other = getattr(here.positions, name), getattr(there.positions, name)
        assert one.draws == other.draws
        np.testing.assert_allclose(one.squares, other.squares, rtol=1e-4)
        np.testing.assert_allclose(one.weights, other.weights, atol=1e-4 * subject.numel**0.5)
    assert here.coarse == there.coarse
    assert here.row_pairs == there.row_pairs
    assert here.column_pairs == there.column_pairs


@SURE
def test_equal_calls_are_seen_at_the_lag_of_a_tensor():
    subject = Subject("kaiming_normal_", (64, 48), nonlinearity="relu")
    [weight] = drawn(subject, 1)

    sketch = sketched(DeviceSketcher, subject, [weight, weight.clone()])

    place = sketch.signs.lags.index(subject.numel)
    assert (sketch.signs.compared[place], sketch.signs.differing[place]) == (subject.numel, 0)


FAULTS = {
    "a row twice as wide": lambda w: w[17].mul_(2),
    "halves that repeat": lambda w: w[90:180].copy_(w[:90]),
    "its end unwritten": lambda w: w[-1].fill_(float("nan")),
    "a scale of a tenth more": lambda w: w.mul_(1.1),
}


def verdicts(subject, weights, confirm):
    """Verdicts on the screen's weights and, where they trip, the confirmation's."""
    screened, confirmed = (sketched(DeviceSketcher, subject, each) for each in (weights, confirm))
    return {
        question.family: judge(question.read(screened), lambda read=question.read: read(confirmed)).verdict
        for question in law_questions(subject)
    }


SOUND = Subject("kaiming_normal_", (180, 256), nonlinearity="relu")


@pytest.mark.draws(25 * CLAIM, "fewer than 25 healthy claims")
def test_sound_weights_hold():
    assert Verdict.VIOLATED not in verdicts(SOUND, drawn(SOUND, 4), drawn(SOUND, 16, seed=1)).values()


@SURE
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault):
    weights = drawn(SOUND, 4)
    for weight in weights:
        FAULTS[fault](weight)

    assert Verdict.VIOLATED in verdicts(SOUND, weights, weights).values()


def test_half_types_are_their_own_cells():
    subject = Subject("kaiming_normal_", (3, 5), "float16", nonlinearity="relu")
    weight = torch.tensor([-0.0, 0.0, 1.0] * 5, dtype=torch.float16).reshape(3, 5)

    counts = sketched(DeviceSketcher, subject, [weight]).counts

    assert subject.dtype in HALF_TYPES
    assert {int(code): int(counts[code]) for code in np.flatnonzero(counts)} == {0: 5, 0x8000: 5, 0x3C00: 5}


@SURE
@pytest.mark.parametrize("spoil", [lambda w: w[-1].fill_(torch.nan), lambda w: w.zero_()], ids=["unwritten", "zero"])
@pytest.mark.parametrize("kind", [DeviceSketcher, Sketcher])
def test_lines_without_a_direction_are_seen_and_have_no_size(kind, spoil):
    """Each column holds a NaN where a row was not written, so that no pair of them has a product."""
    weights = drawn(SOUND, 1)
    spoil(weights[0])
    sketch = sketched(kind, SOUND, weights)

    reading = next(q for q in law_questions(SOUND) if q.family == "weights.independence.columns").read(sketch)

    assert (reading.p, reading.effect) == (0.0, None)
