"""Fresh tensors of a user's model: unwritten, of another law, another constant, another stream, or other tensors."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from fixtures.model.levels import FALSE_ALARM, law_level
from fixtures.model.results import STATISTICS
from fixtures.statistics.ranks import exact_rank_sum_p
from reports.model import compared_models
from reports.model.initialization import Start
from reports.model.kinds import Kind
from suites.machinery.chance import ALARM, no_oftener
from suites.machinery.making.model_records import (
    GROUPS,
    candidate_record,
    groups,
    initialization,
    record,
    records,
    tensor,
    with_tensor,
)

TORCHES = ("2.13.0+cpu", "2.14.1+cpu")


def found(candidate=None, baseline=None, *, but=(Kind.STREAM,)):
    made = compared_models(records(baseline, candidate), TORCHES)
    return [one for one in made.findings if one.kind not in but]


def states(candidate=None, baseline=None):
    made = compared_models(records(baseline, candidate), TORCHES).initialization
    return {one.name: one.state for one in made.tensors}


def test_the_same_stream_is_the_same_and_is_not_tested():
    made = compared_models(records(candidate=candidate_record(initialization=initialization())), TORCHES)

    assert made.findings == ()
    assert made.initialization.looks == 0
    assert {one.state for one in made.initialization.tensors} == {Start.SAME}


def test_another_stream_of_one_law_is_a_notice_that_names_its_tensors():
    made = compared_models(records(), TORCHES)

    assert [(one.kind, one.name) for one in made.findings] == [(Kind.STREAM, "head.weight"), (Kind.STREAM, "head.bias")]
    assert made.initialization.looks == 2 * len(STATISTICS)
    assert made.initialization.level == law_level(2 * len(STATISTICS))


@pytest.mark.parametrize("percent", [2, -5])
def test_another_scale_is_another_law(percent):
    """Planted: groups whose std is 2 % wider, ten times their own spread."""
    spread = {name: tuple(0.05 + 0.1 * (value - 0.05) for value in of) for name, of in groups(0.5).items()}
    before = {name: tuple(0.05 + 0.1 * (value - 0.05) for value in of) for name, of in groups().items()}
    wider = spread | {"scale": tuple((1 + percent / 100) * value for value in spread["scale"])}
    candidate = with_tensor(candidate_record(), "head.weight", groups=wider)
    (finding,) = found(candidate, with_tensor(record(), "head.weight", groups=before))

    assert finding.kind is Kind.LAW
    assert finding.text.startswith("`head.weight` (parameter, 10x256 float32) is drawn by another law: its std is 0.0")
    assert f"({percent:+} %), p = 6.2e-14" in finding.text
    assert finding.details == ("exact rank test of 24 and 24 groups of models; level 4.2e-09",)


def test_another_looks_is_told_beside_another_law():
    candidate = with_tensor(candidate_record(), "head.weight", groups=groups(0.5, 1.5), looks_like="normal(0.02)")
    (finding,) = found(candidate)

    assert finding.details[-1] == "looks like kaiming_uniform(a=sqrt(5)) before, normal(0.02) now"


def test_groups_that_are_not_finite_rank_above_all():
    candidate = with_tensor(candidate_record(), "head.weight", groups=groups(0.5) | {"tail": (None,) * GROUPS})
    (finding,) = found(candidate)

    assert finding.kind is Kind.LAW
    assert "its largest value is inf" in finding.text


@pytest.mark.parametrize("field", ["unwritten", "non_finite"])
def test_what_the_candidate_alone_leaves_unwritten_or_infinite_stops(field):
    (finding,) = found(with_tensor(candidate_record(), "head.bias", **{field: 3}))

    assert (finding.kind, finding.name) == (Kind.UNWRITTEN, "head.bias")
    assert finding.text.endswith("in the candidate alone")
    assert states(with_tensor(candidate_record(), "head.bias", **{field: 3}))["head.bias"] is Start.UNWRITTEN


@pytest.mark.parametrize("field", ["unwritten", "non_finite"])
def test_what_both_leave_is_a_notice_and_what_is_mended_is_none(field):
    (finding,) = found(*(with_tensor(side, "head.bias", **{field: 3}) for side in (candidate_record(), record())))

    assert finding.kind is Kind.BOTH
    assert found(None, with_tensor(record(), "head.bias", **{field: 3})) == []


def test_a_constant_of_infinities_that_is_the_same_was_meant():
    sides = [with_tensor(side, "blocks.0.norm.weight", non_finite=9) for side in (candidate_record(), record())]

    assert found(*sides) == []


# Constants


def test_another_constant_is_another_law_where_rounding_does_not_explain_it():
    name = "blocks.0.norm.weight"
    (far,) = found(with_tensor(candidate_record(), name, digest="x", constant={"mean": 1.00001, "std": 0.0}))
    near = with_tensor(candidate_record(), name, digest="x", constant={"mean": 1.0 + 2.0**-23, "std": 0.0})

    assert (far.kind, far.name) == (Kind.LAW, name)
    assert "its mean is 1.0 and 1.00001, baseline and candidate" in far.text
    assert found(near) == []
    assert states(near)[name] is Start.CONTENT


def test_another_constant_of_which_nothing_is_known_is_a_notice():
    sides = [with_tensor(side, "blocks.0.norm.weight", constant={}) for side in (candidate_record(), record())]
    sides[0] = with_tensor(sides[0], "blocks.0.norm.weight", digest="x")
    (finding,) = (one for one in found(*sides, but=()) if one.name == "blocks.0.norm.weight")

    assert finding.kind is Kind.STREAM
    assert finding.text == "`blocks.0.norm.weight` (parameter, 256 float32) holds another constant"


def test_what_was_a_constant_and_is_drawn_is_another_law():
    candidate = with_tensor(candidate_record(), "blocks.0.norm.weight", is_constant=False, groups=groups())
    (finding,) = found(candidate)

    assert finding.text.endswith("is drawn in the candidate and the same for every seed in the baseline")
    assert finding.kind is Kind.LAW


# Other tensors


def test_what_is_missing_added_or_of_another_shape_differs():
    shape = with_tensor(candidate_record(), "head.weight", shape=(10, 128))
    name = with_tensor(candidate_record(), "head.weight", name="head.w")

    assert [one.text for one in found(shape)] == [
        "`head.weight` is a parameter, 10x256 float32 in the baseline and a parameter, 10x128 float32 in the candidate"
    ]
    assert [one.text for one in found(name)] == [
        "`head.weight` (parameter, 10x256 float32) is missing in the candidate",
        "`head.w` (parameter, 10x256 float32) is missing in the baseline",
    ]
    assert {one.kind for one in (*found(shape), *found(name))} == {Kind.DIFFERS}


@pytest.mark.parametrize(
    ("elements", "dtype", "stops"), [(16, "float32", True), (15, "float32", False), (16, "int64", False)]
)
def test_a_tensor_that_is_a_copy_in_the_candidate_alone_stops(elements, dtype, stops):
    of_size = {"shape": (elements,), "dtype": dtype}
    sides = [with_tensor(side, "head.bias", **of_size) for side in (candidate_record(), record())]
    both = [with_tensor(side, "head.bias", digest="x") for side in sides]
    both = [with_tensor(side, "head.weight", digest="x") for side in both]
    findings = found(both[0], sides[1])

    assert [one.text for one in findings] == stops * [
        f"`head.bias` (parameter, {elements} {dtype}) starts as a copy of `head.weight` in the candidate alone"
    ]
    assert {one.kind for one in findings} <= {Kind.LAW}
    assert found(*both) == []


# What cannot be told


def test_a_model_that_draws_without_its_seed_has_no_stream_to_compare():
    drawing = candidate_record(initialization=initialization(0.5, is_repeatable=False))
    (finding,) = found(drawing, but=())

    assert finding.kind is Kind.UNREPEATABLE
    assert finding.text == (
        "the same seed does not give the same model again in the candidate alone: something in it draws without the "
        "seed"
    )


@pytest.mark.parametrize(
    ("count", "says"),
    [
        (5, "the ranks of 5 and 5 groups of models have no p below 7.9e-03, and the level is 4.2e-09"),
        (80, "of 80 and 80 groups of models, 128 at most are ranked, and one at least of a side"),
    ],
)
def test_groups_whose_ranks_cannot_tell_are_no_evidence(count, says):
    def side(made, shift):
        values = {name: tuple(float(place) + shift for place in range(count)) for name in STATISTICS}
        tensors = (tensor(0), tensor(1, shift=shift, groups=values), tensor(2, shift=shift, groups=values))
        return msgspec.structs.replace(made, initialization=initialization(groups=count, tensors=tensors))

    (finding,) = found(side(candidate_record(), 0.5), side(record(), 0.0))

    assert (finding.kind, finding.text) == (Kind.UNASKED, f"the laws of the weights cannot be compared: {says}")


@pytest.mark.draws(ALARM, "a count at one level")
def test_two_sides_of_one_law_leave_no_oftener_than_the_level_says(generator):
    """At a level that can be counted, by the test that decides."""
    level, trials = 0.01, 2000
    found_below = sum(exact_rank_sum_p(*generator.standard_normal((2, GROUPS))) < level for _ in range(trials))

    assert no_oftener(found_below, trials, level)
    assert np.isclose(law_level(400) * 400, FALSE_ALARM / 2)
