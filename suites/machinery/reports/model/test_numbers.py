"""Numbers of a user's model: the module at fault is named, what contains it follows, and rounding stops nothing."""

from __future__ import annotations

import msgspec
import pytest

from fixtures.model.allowance import SPREAD
from fixtures.model.results import AS_IT_IS, NO_SUCH_MODULE, OUT_OF_TIME, ROOT, Figures
from reports.model import ModelComparison, compared_models
from reports.model.kinds import Finding, Kind
from reports.model.numbers import State, contains, share_in_words, unit
from suites.machinery.making.model_records import (
    CONDITIONS,
    candidate_record,
    computed,
    record,
    records,
    with_departure,
    with_error,
    with_module,
)

TORCHES = ("2.13.0+cpu", "2.14.1+cpu")


def comparison(candidate=None, baseline=None) -> ModelComparison:
    return compared_models(records(baseline, candidate), TORCHES)


def found(kind: Kind, candidate=None, baseline=None) -> list[Finding]:
    return [one for one in comparison(candidate, baseline).findings if one.kind is kind]


def states(made: ModelComparison) -> dict[str, State]:
    return {module.path: module.state for module in made.numbers.modules}


def test_two_healthy_torches_differ_by_rounding():
    made = comparison()

    assert set(states(made).values()) == {State.WITHIN}
    assert {one.kind for one in made.findings} == {Kind.STREAM}


def test_the_faulty_module_is_named_with_its_place_size_and_allowance():
    (finding,) = found(Kind.NUMBERS, with_error(candidate_record(), "blocks.0.act", 168.0))

    assert finding.name == "blocks.0.act"
    assert finding.text == (
        "`blocks.0.act` (GELU, torch/nn/modules/activation.py:734; 3x16x256 float32): an element of its output is off "
        "by 840 units of 2^-24, 21 times what rounding allows (40); 2 containers around it follow"
    )
    assert finding.details == (
        "its references agree: the candidate computes the same in float64, and less precisely in its own dtype",
    )


def test_what_contains_the_faulty_module_follows_it():
    made = states(comparison(with_error(candidate_record(), "blocks.0.act", 168.0)))

    assert {path for path, state in made.items() if state is State.BEYOND} == {"blocks.0.act"}
    assert {path for path, state in made.items() if state is State.FOLLOWS} == {ROOT, "blocks.0"}


def test_another_formula_shows_in_the_references():
    """Planted: an epsilon of another size is as far off in float64 as in float32."""
    (finding,) = found(Kind.NUMBERS, with_departure(candidate_record(), "blocks.0.norm", 260.0))

    assert "LayerNorm" in finding.text
    assert "its output is off by 260 units of 2^-24, 27 times what rounding allows (9.6)" in finding.text
    assert finding.details == (
        "its references differ by 260 units: in float64, too, the candidate computes something else",
    )


def test_each_faulty_module_is_named_and_the_first_that_is_called_comes_first():
    faulty = with_error(with_error(candidate_record(), "blocks.1.act", 500.0), "blocks.0.act", 50.0)

    assert [one.name for one in found(Kind.NUMBERS, faulty)] == ["blocks.0.act", "blocks.1.act"]


def test_a_container_that_alone_is_beyond_is_named_itself():
    """Planted: functional code in a block's own forward; nothing in it is at fault."""
    (finding,) = found(Kind.NUMBERS, with_error(candidate_record(), "blocks.1", 100.0))

    assert finding.name == "blocks.1"
    assert finding.text.startswith("`blocks.1` (Block, my_model.py:4; ")
    assert "1 container around it follows" in finding.text


def test_a_gradient_is_named_as_what_it_is():
    (finding,) = found(Kind.NUMBERS, with_error(candidate_record(), "head", 168.0, names=("gradient of input",)))

    assert "an element of its gradient of input is off by" in finding.text


def test_tensors_beyond_beside_the_worst_are_told():
    names = ("output", "gradient of input")
    (finding,) = found(Kind.NUMBERS, with_error(candidate_record(), "head", 168.0, names=names))

    assert finding.details[-1] == "also beyond: gradient of input 21 times what is allowed"


@pytest.mark.parametrize(("times", "stops"), [(0.99, False), (1.01, True)])
def test_what_the_baselines_own_conditions_spread_over_is_allowed_and_no_more(times, stops):
    """The spread of the baseline's own conditions is what counts, not the error as it is."""
    errors = {AS_IT_IS: Figures(1.0, 5.0), CONDITIONS[1]: Figures(40.0, 200.0)}
    baseline = with_module(record(), "head", tensors=(computed(errors=errors),))
    candidate = with_module(
        candidate_record(), "head", tensors=(computed(errors={AS_IT_IS: Figures(times * SPREAD * 40.0, 5.0)}),)
    )

    assert bool(found(Kind.NUMBERS, candidate, baseline)) is stops


@pytest.mark.parametrize(("error", "stops"), [(0.59, False), (0.65, True)])
def test_an_exact_baseline_leaves_what_theory_allows(error, stops):
    """Of a baseline that happens to be exact; one rounding of 12 288 elements is 0.6 units in the mean square."""
    exact = with_module(record(), "head", tensors=(computed(errors={AS_IT_IS: Figures(0.0, 0.0)}),))
    candidate = with_module(candidate_record(), "head", tensors=(computed(errors={AS_IT_IS: Figures(error, 1.0)}),))

    assert bool(found(Kind.NUMBERS, candidate, exact)) is stops


@pytest.mark.parametrize("fields", [{"errors": {AS_IT_IS: Figures(None, None)}}, {"projections": (None,) * 8}])
def test_what_is_not_finite_where_the_baseline_is_stops(fields):
    candidate = with_module(candidate_record(), "head", tensors=(computed(**fields),))
    candidate = with_module(candidate, "blocks.0.act", tensors=(computed(),))
    (finding,) = found(Kind.NUMBERS, candidate)

    assert finding.name == "head"
    assert "its output is not finite, or none at all, where the baseline's is" in finding.text


def test_what_is_zero_in_the_baseline_alone_stops():
    zero = with_module(record(), "head", tensors=(computed(norm=0.0, projections=(0.0,) * 8),))

    assert [one.name for one in found(Kind.NUMBERS, baseline=zero)] == ["head"]


def test_a_baseline_that_is_not_finite_itself_is_a_notice():
    infinite = with_module(record(), "head", tensors=(computed(errors={AS_IT_IS: Figures(None, None)}),))

    assert found(Kind.NUMBERS, baseline=infinite) == []
    (finding,) = found(Kind.BOTH, baseline=infinite)
    assert finding.text == "`head`: its output is not finite in the baseline itself, and was not compared"
    assert states(comparison(baseline=infinite))["head"] is State.UNSAID


def test_one_tensor_of_which_nothing_can_be_said_leaves_the_others_to_be_judged():
    infinite = (computed(errors={AS_IT_IS: Figures(None, None)}), computed("gradient of input"))
    baseline = with_module(record(), "head", tensors=infinite)

    assert states(comparison(baseline=baseline))["head"] is State.WITHIN
    assert found(Kind.NUMBERS, with_error(candidate_record(), "head", 168.0, names=("gradient of input",)), baseline)


# Modules that are not there, or cannot be asked


def without(made, path):
    modules = tuple(module for module in made.numbers.modules if module.path != path)
    return msgspec.structs.replace(made, numbers=msgspec.structs.replace(made.numbers, modules=modules))


@pytest.mark.parametrize("side", ["candidate", "baseline"])
def test_a_module_that_one_side_does_not_call_differs(side):
    sides = {"candidate": candidate_record(), "baseline": record()}
    sides[side] = without(sides[side], "blocks.1.act")
    (finding,) = found(Kind.DIFFERS, **sides)

    assert finding.text == f"`blocks.1.act` (GELU) is no module that the {side} calls"


def parts(made):
    """Records whose model as a whole was not asked."""
    return with_module(made, ROOT, unasked="an argument is a set", tensors=())


@pytest.mark.parametrize(("of", "kind"), [(parts, Kind.DIFFERS), (lambda made: made, Kind.INSIDE)])
def test_another_number_of_elements_or_another_dtype_differs_inside_what_is_within_rounding(of, kind):
    more = with_module(of(candidate_record()), "head", tensors=(computed(elements=7),))
    half = with_module(
        of(candidate_record()), "head", tensors=(computed(roundoff=2.0**-8), computed("gradient of input"))
    )

    assert [one.text for one in found(kind, more, of(record()))] == [
        "`head` (Linear): its output has 12 288 elements rounded to 2^-24 in the baseline and 7 elements rounded to "
        "2^-24 in the candidate",
        "`head` (Linear): only the baseline computes its gradient of input",
    ]
    (finding,) = found(kind, half, of(record()))
    assert finding.text.endswith("12 288 elements rounded to 2^-8 in the candidate")


def test_a_model_that_returns_other_tensors_differs_whatever_its_modules_do():
    (finding,) = found(Kind.DIFFERS, with_module(candidate_record(), ROOT, tensors=(computed(elements=7),)))[:1]

    assert finding.name == ROOT


def test_a_module_that_only_the_candidate_cannot_run_is_broken():
    candidate = with_module(parts(candidate_record()), "head", unasked="RuntimeError: no kernel", tensors=())
    (finding,) = found(Kind.BROKEN, candidate, parts(record()))

    assert finding.text == (
        "`head` (Linear, torch/nn/modules/linear.py:124; 3x16x256 float32) cannot be asked in the candidate, and can "
        "in the baseline: RuntimeError: no kernel"
    )


def test_a_module_that_takes_other_arguments_inside_a_model_within_rounding_is_a_notice():
    candidate = with_module(candidate_record(), "head", unasked="alone it raises TypeError: no such mask", tensors=())
    (finding,) = found(Kind.INSIDE, candidate)

    assert not found(Kind.BROKEN, candidate)
    assert finding.text == (
        "`head` (Linear, torch/nn/modules/linear.py:124; 3x16x256 float32) is called otherwise in the candidate, which "
        "is within rounding as a whole: alone it raises TypeError: no such mask"
    )


@pytest.mark.parametrize("root", [{"tensors": (computed(error=168.0), computed("gradient of input"))}, {}])
def test_a_module_is_broken_where_the_whole_is_beyond_rounding_or_it_is_gone(root):
    """Dropout that is gone does nothing to a model in evaluation."""
    why = "alone it raises TypeError: no such mask" if root else NO_SUCH_MODULE
    candidate = with_module(candidate_record(), "blocks.0.act", unasked=why, tensors=())

    assert found(Kind.BROKEN, with_module(candidate, ROOT, **root) if root else candidate)


def test_a_module_that_no_side_could_ask_is_a_notice():
    sides = [
        with_module(side, "head", unasked="an argument is a set", tensors=()) for side in (candidate_record(), record())
    ]
    (finding,) = found(Kind.BOTH, *sides)

    assert finding.text == "`head` (Linear) was not asked: an argument is a set"
    assert states(comparison(*sides))["head"] is State.UNASKED


def test_where_no_module_was_compared_nothing_is_known():
    empty = msgspec.structs.replace(record().numbers, modules=())
    sides = [msgspec.structs.replace(side, numbers=empty) for side in (candidate_record(), record())]

    assert [one.text for one in found(Kind.UNASKED, *sides)] == ["no module could be compared"]


# Words


def test_a_path_contains_what_begins_with_it_at_a_dot():
    assert contains("blocks.1", "blocks.1.act")
    assert contains(ROOT, "blocks")
    assert not contains("blocks.1", "blocks.10.act")
    assert not contains("blocks.1", "blocks.1")


def test_shares_and_units_in_words():
    assert [share_in_words(share) for share in (None, 0.0, 0.123, 9.87, 21.4, 2e7)] == [
        *("infinite", "0", "0.12", "9.9", "21", "2e+07"),
    ]
    assert [unit(roundoff) for roundoff in (2.0**-24, 2.0**-8, 0.3)] == ["2^-24", "2^-8", "0.3"]


def test_a_child_that_was_asked_in_one_mode_explains_its_container_in_another():
    """Planted in a child that does the same in training, and so was not asked there; its container does not."""
    sides = []
    for made in (record(), with_error(with_error(candidate_record(), "blocks.0.act", 168.0), "blocks.0", 168.0)):
        (block,) = [module for module in made.numbers.modules if module.path == "blocks.0"]
        training = msgspec.structs.replace(block, mode="train")
        modules = (*made.numbers.modules, training)
        sides.append(msgspec.structs.replace(made, numbers=msgspec.structs.replace(made.numbers, modules=modules)))

    assert [one.name for one in found(Kind.NUMBERS, sides[1], sides[0])] == ["blocks.0.act"]


def test_a_candidate_without_time_for_a_module_did_not_break():
    late = with_module(candidate_record(), "head", unasked=OUT_OF_TIME, tensors=())

    assert found(Kind.BROKEN, late) == []
    (finding,) = found(Kind.CUT, late)
    assert finding.text == "left out: `head` (Linear) was not asked in the candidate: the time for numbers was over"


def test_modules_that_the_baseline_had_no_time_for_are_told_of_once_and_are_left_out():
    baseline, candidate = record(), candidate_record()
    for path in ("blocks.0", "blocks.1", "blocks.1.act", "head"):
        baseline, candidate = (
            with_module(side, path, unasked=OUT_OF_TIME, tensors=()) for side in (baseline, candidate)
        )
    (finding,) = found(Kind.CUT, candidate, baseline)

    assert not found(Kind.BOTH, candidate, baseline)
    assert finding.text == (
        "left out: `blocks.0` (Block), `blocks.1` (Block), `blocks.1.act` (GELU) and 1 more were not asked in the "
        "baseline: the time for numbers was over"
    )


def test_a_module_that_the_candidate_alone_finds_to_differ_in_training_is_beside_the_baseline_in_evaluation():
    healthy = candidate_record()
    act = next(module for module in healthy.numbers.modules if module.path == "blocks.0.act")
    in_training = msgspec.structs.replace(act, mode="train")
    numbers = msgspec.structs.replace(healthy.numbers, modules=(*healthy.numbers.modules, in_training))
    within = msgspec.structs.replace(healthy, numbers=numbers)
    wrong = msgspec.structs.replace(
        in_training, tensors=tuple(computed(one.name, 840.0) for one in in_training.tensors)
    )
    beyond = msgspec.structs.replace(
        healthy, numbers=msgspec.structs.replace(numbers, modules=(*healthy.numbers.modules, wrong))
    )

    assert not found(Kind.NUMBERS, within)
    assert not found(Kind.BOTH, within)
    (finding,) = found(Kind.NUMBERS, beyond)
    assert finding.name == "blocks.0.act"
    assert "in training mode" in finding.details


def test_a_buffer_that_one_side_alone_has_is_inside_a_model_that_is_within_rounding():
    def with_buffer(made):
        (first, *_) = made.initialization.tensors
        added = msgspec.structs.replace(first, name="rotary.table", role="buffer")
        tensors = (*made.initialization.tensors, added)
        return msgspec.structs.replace(
            made, initialization=msgspec.structs.replace(made.initialization, tensors=tensors)
        )

    for sides in ((with_buffer(candidate_record()), record()), (candidate_record(), with_buffer(record()))):
        (finding,) = found(Kind.INSIDE, *sides)
        assert finding.name == "rotary.table"
        assert not found(Kind.DIFFERS, *sides)
        (finding,) = found(Kind.DIFFERS, *map(parts, sides))
        assert finding.name == "rotary.table"
