"""Subjects: the space they are drawn from, the one list that a seed stands for, names and seeds that never collide."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.record.subject import DTYPES, Subject, seed_for
from fixtures.statistics.judgement import MISS_DEVIATE, SCREEN, draws_to_resolve
from fixtures.weights.strategies import (
    CALLS,
    HALF_UNIFORM_DRAWS,
    HALF_UNIFORM_LOCATION,
    MOST_WEIGHTS,
    NONLINEARITIES,
    core_subjects,
    drawn,
    draws_for,
    half_uniforms,
    kaiming_subjects,
    slopes,
    weight_shapes,
)
from suites.machinery.costs import examples

HALF_FLOAT = kaiming_subjects("kaiming_normal_", "float16", "cpu")


@given(shape=weight_shapes())
def test_shapes_have_two_to_five_dimensions_and_a_million_weights_at_most(shape):
    assert 2 <= len(shape) <= 5
    assert all(size >= 1 for size in shape)
    assert math.prod(shape) <= MOST_WEIGHTS


@pytest.mark.large_draws
def test_the_same_seed_draws_the_same_list_and_another_seed_another_one():
    assert drawn(HALF_FLOAT, 16, 7) == drawn(HALF_FLOAT, 16, 7)
    assert drawn(HALF_FLOAT, 16, 7) != drawn(HALF_FLOAT, 16, 8)


@pytest.fixture(scope="module")
def many():
    """Subjects that 32 runs would draw for one initializer and dtype."""
    return [drawn(HALF_FLOAT, 16, run_seed) for run_seed in range(32)]


def test_each_list_has_the_length_asked_for_and_no_subject_twice(many):
    assert [len({subject.key for subject in subjects}) for subjects in many] == [16] * 32


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("mode", {"fan_in", "fan_out"}),
        ("nonlinearity", set(NONLINEARITIES)),
        ("ndim", {2, 3, 4, 5}),
    ],
)
def test_lists_cover_what_an_initializer_can_be_asked(many, field, values):
    seen = {len(s.shape) if field == "ndim" else getattr(s, field) for subjects in many for s in subjects}

    assert seen == values


@pytest.mark.parametrize("size", [1, 15, 16, 17])
def test_sizes_around_torchs_vector_width_are_drawn(many, size):
    assert any(size in subject.shape for subjects in many for subject in subjects)


def test_lists_hold_small_and_large_tensors_and_any_slope(many):
    subjects = [subject for subjects in many for subject in subjects]

    assert min(subject.numel for subject in subjects) < 16
    assert max(subject.numel for subject in subjects) > MOST_WEIGHTS // 4
    assert {0.0, math.sqrt(5)} < {subject.a for subject in subjects}
    assert sum(subject.numel % 16 != 0 for subject in subjects) > len(subjects) // 4


SUBJECTS = st.builds(
    Subject,
    initializer=st.sampled_from(("kaiming_normal_", "kaiming_uniform_", "orthogonal_")),
    shape=st.lists(st.integers(1, 12), max_size=3).map(tuple),
    dtype=st.sampled_from(DTYPES),
    mode=st.sampled_from(("fan_in", "fan_out", None)),
    nonlinearity=st.sampled_from(NONLINEARITIES),
    a=st.one_of(st.none(), slopes, st.floats(-1, 1).map(lambda slope: slope or 0.0)),
    layout=st.sampled_from(("contiguous", "transposed", "channels_last")),
    device=st.sampled_from(("cpu", "cuda", "cuda:1")),
    path=st.sampled_from(("eager", "module", "compiled", "meta")),
)


@pytest.mark.large_draws
@settings(max_examples=examples(300))
@given(one=SUBJECTS, other=SUBJECTS, field=st.sampled_from(Subject.__struct_fields__))
def test_no_two_subjects_share_a_name(one, other, field):
    # Two at random differ in nearly everything; one that differs in a single field is where a name could fall short.
    near = Subject(**{name: getattr(other if name == field else one, name) for name in Subject.__struct_fields__})

    assert (one.key == other.key) == (one == other)
    assert (one.key == near.key) == (one == near)


def test_the_usual_is_left_out_of_a_name():
    assert Subject("kaiming_normal_", (3, 4)).key == "kaiming_normal_-fan_in-leaky_relu-3x4-float32-cpu"
    assert Subject("normal_", (3, 4), mode=None, nonlinearity=None, a=None).key == "normal_-3x4-float32-cpu"
    transposed = Subject("kaiming_normal_", (3, 4), a=0.2, layout="transposed", path="module")
    assert transposed.key == "kaiming_normal_-fan_in-leaky_relu(0.2)-3x4-float32-transposed-module-cpu"


def test_seeds_are_the_same_on_every_machine_and_in_every_release():
    # A plan handed from one release to another stands for these draws: the hash must never change.
    assert seed_for(0, "a") == 0xAB323245
    assert seed_for(17, "kaiming_normal_-fan_in-relu-3x4-float32-cpu", "screen") == 0xFCD5C198


def test_seeds_differ_by_run_subject_and_stage():
    names = list(product(range(20), ("one", "other"), ("screen", "confirm")))

    assert len({seed_for(*name) for name in names}) == len(names)
    assert all(0 <= seed_for(*name) < 2**32 for name in names)


@given(shape=weight_shapes(), resolution=st.sampled_from((0.01, 0.005, 0.002)))
def test_draws_are_whole_tensors_and_state_what_they_resolve(shape, resolution):
    subject = Subject("kaiming_normal_", shape)

    draws, resolved = draws_for(subject, resolution)

    assert draws % subject.numel == 0
    assert draws <= CALLS * subject.numel
    assert resolved >= resolution
    # What is resolved, and no finer, is what the draws are enough for: one tensor less would not do.
    assert draws_to_resolve(resolved * (1 + 1e-9)) <= draws < draws_to_resolve(resolved) + subject.numel


def test_small_shapes_resolve_less_and_say_so():
    draws, resolved = draws_for(Subject("kaiming_normal_", (1, 1)), 0.01)

    assert draws == CALLS
    assert resolved == pytest.approx(0.0955, rel=0.01)


def test_core_subjects_are_every_initializer_and_dtype():
    subjects = [*core_subjects("cpu"), *half_uniforms("cpu")]

    assert {(s.initializer, s.dtype) for s in subjects} == set(product(("kaiming_normal_", "kaiming_uniform_"), DTYPES))
    assert len({s.key for s in subjects}) == len(subjects)


def test_half_type_uniforms_are_drawn_often_enough_to_show_a_shift_of_a_thousandth():
    # 2 exp(-z**2 / 2) < SCREEN at z standard errors, and MISS_DEVIATE more for the mean to stray.
    standard_errors = HALF_UNIFORM_LOCATION * math.sqrt(HALF_UNIFORM_DRAWS)

    assert standard_errors >= math.sqrt(2 * math.log(2 / SCREEN)) - MISS_DEVIATE
