"""Drift between two runs: from files as they are, as they may be broken, and as real suites write them."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fixtures.faults import initializers
from fixtures.record.claim import Verdict
from fixtures.record.interface import Interface, Parameter, parameters_of
from fixtures.record.run_folder import RecordError, read_run, seal_run
from fixtures.record.schema import SCHEMA
from fixtures.record.subject import Subject, seed_for
from fixtures.statistics.formats import CELLS
from fixtures.statistics.judgement import CERTAIN
from fixtures.weights.draws import count
from fixtures.weights.mistakes import interface_of
from reports.comparison.changes import compare
from reports.drift import Drift, drifts
from reports.drift.kinds import Kind
from reports.drift.topics import topics
from reports.verdict.gate import gate
from reports.verdict.reasons import Outcome
from suites.machinery.chance import ALARM, SURE, agrees, fresh_seed
from suites.machinery.costs import examples
from suites.machinery.making.answers import target_of
from suites.machinery.making.counts import BFLOAT16, FLOAT32, QUICK, counts, halved, sketched
from suites.machinery.making.runs import claim, contract, failure, run, subject, violated, write

pytestmark = SURE


def between(baseline, candidate):
    return drifts(baseline, candidate, compare(baseline, candidate))


def kinds(found):
    return [drift.kind for drift in found]


# Laws and grids


def test_the_same_sketch_on_both_sides_is_the_same_stream_and_nothing_is_tested():
    paired = counts()

    (found,) = between(sketched(paired=paired), sketched(paired=paired.copy()))

    assert (found.kind, found.subject, found.conforms) == ("same_stream", FLOAT32.key, True)
    assert (
        found.text
        == f"{FLOAT32.key}: 9 339 877 draws from one seed are the same on both sides, as far as their sketch tells"
    )


def test_another_stream_of_the_same_law_is_no_drift():
    before = sketched(paired=counts(), salted=counts(seed=2))
    after = sketched(paired=counts(seed=3), salted=counts(seed=4), salt=2)

    assert between(before, after) == ()


def changed_law(*claims_before, after=()):
    return between(
        sketched(FLOAT32, *claims_before, paired=counts(), salted=counts(seed=2)),
        sketched(FLOAT32, *after, paired=counts(seed=3), salted=counts(scale=1.006, seed=4), salt=2),
    )


@pytest.mark.draws(ALARM, "the std that is told")
def test_another_law_is_told_with_its_size_and_what_would_be_seen():
    (found,) = changed_law()

    assert (found.kind, found.conforms, found.fields) == ("law", True, FLOAT32.fields)
    assert found.p < CERTAIN
    assert found.effect.unit == "% of the weights"
    assert found.text.startswith(f"another law of {FLOAT32.key}: ")
    told = float(re.search(r"; std \+([\d.]+)%, mean ", found.text)[1])
    # Each std is off by 1 / sqrt(2 n) of itself, and two digits are told: half a hundredth is rounding's.
    assert agrees(max(0.0, abs(told - 0.6) - 0.005), 0, 100 / math.sqrt(QUICK))
    assert found.text.endswith("; a std off by 0.51% would be seen)")
    assert found.rerun == tuple(
        f"python -m pytest suites/weights/test_law.py -k {FLOAT32.key} --salt {salt} --seed 17 --tier quick "
        "--target torch.nn.init"
        for salt in (1, 2)
    )


@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_a_law_that_conformance_tells_of_is_marked(side):
    holds, broken = claim(subject=FLOAT32), violated(subject=FLOAT32)
    before, after = (broken, holds) if side == "baseline" else (holds, broken)

    (found,) = changed_law(before, after=(after,))

    assert not found.conforms


def test_a_violation_of_another_subject_excuses_no_law():
    other = violated(subject=subject(shape=(3, 5)))

    (found,) = changed_law(other, after=(other,))

    assert found.conforms


def test_another_grid_is_told_beside_the_law():
    before = sketched(BFLOAT16, paired=counts(BFLOAT16), salted=counts(BFLOAT16, seed=2))
    coarse = halved(counts(BFLOAT16, seed=4), "bfloat16")
    found = between(before, sketched(BFLOAT16, paired=counts(BFLOAT16, seed=3), salted=coarse, salt=2))

    grid = next(drift for drift in found if drift.kind == "grid")
    assert grid.effect.unit == "values"
    assert grid.effect.value < -500
    assert f"the baseline alone takes {-grid.effect.value:.0f} and the candidate alone 0 (p" in grid.text


@pytest.mark.large_draws
@pytest.mark.parametrize(
    ("fault", "about", "seen"),
    [
        ("half_percent_scale", FLOAT32, ["law"]),
        ("all_positive", FLOAT32, ["law"]),
        ("cut_tails", FLOAT32, ["law"]),
        ("fat_tails", FLOAT32, ["law"]),
        ("eight_bit_box_muller", FLOAT32, ["law"]),
        ("through_float16", FLOAT32, []),
        ("coarse_half_uniforms", msgspec.structs.replace(BFLOAT16, initializer="kaiming_uniform_"), ["law", "grid"]),
    ],
)
def test_faults_that_are_planted_in_initializers_drift(fault, about, seen):
    """A coarser float32 grid does not: cells are wider. That is for `weights.marginal.resolution` to claim."""

    # Samples of QUICK show half a percent of scale with chance 1 - 1e-6 or so: their p lies 12.1 deviates out, give or
    # take one, and 7.1 are asked for. Twice as many draws put it 10 beyond that.
    draws = 2 * QUICK

    def side(target, salt):
        stages = (seed_for(fresh_seed() + salt, stage) for stage in ("screen", "salted"))
        paired, salted = (count(about, draws, seed, target).counts for seed in stages)
        return sketched(about, paired=paired, salted=salted, salt=salt)

    healthy = side(torch.nn.init, 1)

    assert kinds(between(healthy, side(getattr(initializers, fault), 2))) == seen
    assert kinds(between(healthy, side(torch.nn.init, 3))) == []


@pytest.mark.parametrize(
    ("claimed", "outcome", "kind"),
    [(claim, Outcome.STOP, "drift.law"), (violated, Outcome.NOTICE, "drift.law_of_violated")],
)
def test_the_gate_stops_for_another_law_unless_conformance_tells_of_it(claimed, outcome, kind):
    made = claimed(subject=FLOAT32)
    before = sketched(FLOAT32, made, paired=counts(), salted=counts(seed=2))
    after = sketched(FLOAT32, made, paired=counts(seed=3), salted=counts(scale=1.006, seed=4), salt=2)

    verdict = gate(before, after)

    assert verdict.outcome is outcome
    assert kind in [reason.kind for reason in verdict.reasons]
    assert [drift.kind for drift in verdict.drifts] == ["law"]


# What cannot be compared


def test_draws_of_one_salt_are_not_compared():
    before = sketched(paired=counts(), salted=counts(seed=2))
    after = sketched(paired=counts(seed=3), salted=counts(scale=1.1, seed=2))

    (found,) = between(before, after)

    assert found.kind == "uncompared"
    assert found.text.endswith("laws not compared: draws of the same salt on both sides are no independent samples")


@pytest.mark.parametrize("salt", [np.zeros(3, int), 1.5, "1", np.datetime64(0, "s")])
def test_a_salt_that_is_no_number_is_told(salt):
    before = sketched(paired=counts(), salted=counts(seed=2))

    (found,) = between(before, sketched(paired=counts(seed=3), salted=counts(seed=4), salt=salt))

    assert found.text.endswith("laws not compared: the candidate's sketch does not tell its salt")


def test_a_sketch_on_one_side_is_told_unless_a_run_was_cut_short():
    whole, without = sketched(paired=counts()), sketched(paired=counts(), sketches={})

    assert [drift.text for drift in between(whole, without)] == [
        f"{FLOAT32.key}: laws not compared: only the baseline has a sketch"
    ]
    assert between(whole, replace(without, failure=failure())) == ()


GOOD = counts(seed=2)


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (None, "the candidate's sketch has no 'salted'"),
        (
            np.zeros(3, np.int64),
            "'salted' of the candidate's sketch is no count of weights: int64 of shape (3,) where 65536",
        ),
        (np.ones(CELLS), "float64 of shape"),
        (np.full(CELLS, -1), "a count of -1"),
        (np.zeros(CELLS, np.int64), "0 weights in all"),
    ],
)
def test_a_sketch_that_holds_something_else_is_told(broken, says):
    after = sketched(paired=counts(seed=3), salted=broken, salt=2)

    (found,) = between(sketched(paired=counts(), salted=GOOD), after)

    assert found.kind == "uncompared"
    assert says in found.text


def test_equal_sketches_of_nothing_are_not_called_the_same_stream():
    (found,) = between(sketched(paired=np.zeros(2)), sketched(paired=np.zeros(2)))

    assert found.kind == "uncompared"


SUBJECTS = st.builds(
    Subject,
    st.sampled_from(("kaiming_normal_", "kaiming_uniform_", "trunc_normal_(std=0.0)", "uniform_(b=1e999)", "x", "(")),
    st.lists(st.sampled_from((0, 1, 3, 256, 2**62, -4)), max_size=4).map(tuple),
    st.sampled_from(("float32", "bfloat16", "int3")),
    st.sampled_from((None, "fan_in", "sideways")),
    st.sampled_from((None, "relu", "leaky_relu")),
    st.sampled_from((None, 0.0, 1e308, -1e-300)),
)


def filled(dtype, shape, byte):
    array = np.zeros(shape, dtype)
    return np.ndarray(array.shape, array.dtype, byte * array.nbytes)


ARRAYS = st.builds(
    filled,
    st.sampled_from(("i8", "u1", "f4", "?", "U3", "M8[s]", "V4", "i8,f4")),
    st.sampled_from(((), (0,), (3,), (CELLS,), (2, 2))),
    st.sampled_from((b"\0", b"\1", b"\x7f", b"\xff")),
)
SKETCHES = st.one_of(st.just(GOOD), st.just(counts(scale=1.1, seed=5)), ARRAYS, st.none())


@pytest.mark.large_draws
@settings(max_examples=examples(300), suppress_health_check=list(HealthCheck))
@given(SUBJECTS, st.tuples(SKETCHES, SKETCHES, SKETCHES, SKETCHES), st.sampled_from((1, 2, "x", [1.5])))
def test_whatever_a_run_file_holds_something_is_said_and_nothing_raised(about, sketches, salt):
    def side(paired, salted, own):
        kept = {"counts": paired, "salted": salted, "salt": np.asarray(own)}
        named = {f"{about.key}/{name}": array for name, array in kept.items() if array is not None}
        return sketched(about, paired=None, sketches=named)

    with np.errstate(all="raise", under="ignore"):
        found = between(side(*sketches[:2], 2), side(*sketches[2:], salt))

    assert set(kinds(found)) <= {"same_stream", "law", "grid", "uncompared"}
    assert all(drift.p is None or 0 < drift.p < CERTAIN for drift in found)


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory):
    """A healthy baseline, and the folder of a candidate of another law, which is going to be broken."""
    before = sketched(paired=counts(), salted=GOOD, interface=interface_of(torch.nn.init))
    after = sketched(paired=counts(seed=3), salted=counts(scale=1.1, seed=4), salt=2, interface=before.interface)
    return before, write(tmp_path_factory.mktemp("run"), after)


def test_a_run_that_is_read_from_disk_drifts_as_it_was_written(on_disk):
    before, folder = on_disk

    assert kinds(between(before, read_run(folder))) == ["law"]


@pytest.mark.large_draws
@settings(max_examples=examples(300), suppress_health_check=list(HealthCheck))
@given(st.sampled_from(("interface.json", "sketches.npz", "environment.json")), st.floats(0, 1), st.binary(max_size=3))
@example("interface.json", 0.732421875, b"\\")  # what follows, an n, becomes a line break
def test_a_file_that_was_damaged_is_refused_or_told_of(on_disk, name, at, put):
    before, folder = on_disk
    whole = (folder / name).read_bytes()
    place = int(at * len(whole))
    try:
        (folder / name).write_bytes(whole[:place] + put + whole[place + max(1, len(put)) :])
        seal_run(folder)
        try:
            told = [drift.text for drift in between(before, read_run(folder))]
        except RecordError as error:
            told = [str(error)]
    finally:
        (folder / name).write_bytes(whole)
        seal_run(folder)
    assert not any("\n" in line for line in told)


def test_a_run_without_a_plan_has_nothing_to_compare():
    crashed = run(plan=None, environment=None, failure=failure())

    assert between(sketched(paired=counts()), crashed) == ()


# Streams


def test_changed_streams_are_told_one_by_one_with_what_waivers_match():
    key = subject().key
    found = between(run(claim(), digests={key: "a", "b": "b"}), run(claim(), digests={key: "c", "b": "b"}))

    (drift,) = found
    assert (drift.kind, drift.subject, drift.fields) == ("stream", key, subject().fields)
    assert drift.text == f"{key}: the same seed gives other weights"
    assert drift.conforms


def test_a_stream_of_a_subject_that_nobody_planned_is_told_by_its_name():
    (drift,) = between(run(claim(), digests={"b": "b"}), run(claim(), digests={"b": "c"}))

    assert (drift.kind, drift.fields) == ("stream", {"name": "b"})


def test_a_digest_on_one_side_only_is_told_unless_a_run_was_cut_short():
    before = run(claim(), digests={"a": "a"})

    assert [drift.text for drift in between(before, run(claim()))] == ["a: only the baseline has a fixed-seed digest"]
    assert between(before, run(claim(), failure=failure())) == ()


# How torch.nn.init is called and answers


def described(functions=None, answers=None, *claims):
    functions = functions or {"kaiming_normal_": KAIMING}
    told = {"schema": SCHEMA, "functions": functions, "answers": answers or {}}
    return run(*(claims or (claim(),)), interface=msgspec.convert(told, Interface, strict=False))


def parameters(text: str):
    """Parameters as a function that is written down has them: "tensor, a=0, *, generator=None"."""
    namespace: dict[str, object] = {}
    exec(f"def function({text}): pass", namespace)  # noqa: S102 - the text is a test's
    return parameters_of(namespace["function"])


KAIMING = parameters("tensor, a=0, mode='fan_in', generator=None")


def signature_drifts(before, after):
    sides = (described({"kaiming_normal_": parameters(text)}) for text in (before, after))
    return [(drift.kind, drift.text.removeprefix("torch.nn.init.kaiming_normal_: ")) for drift in between(*sides)]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("tensor, a=0", "tensor, slope=0", "parameter a is now called slope"),
        ("tensor, a=0", "tensor", "parameter a is gone"),
        ("tensor, a=0", "tensor, a=0.01", "parameter a defaults to 0.01 (it defaulted to 0)"),
        ("tensor, a=0", "tensor, a", "parameter a must be given (it defaulted to 0)"),
        ("tensor, a=0", "tensor, *, a=0", "parameter a is keyword-only (it was positional or keyword)"),
        ("tensor, a=0", "tensor, a=0, /", "parameter tensor is positional-only (it was positional or keyword); "
         "parameter a is positional-only (it was positional or keyword)"),
        ("tensor, a=0", "tensor, mode, a=0", "parameter mode is new and must be given; "
         "parameter a has moved from place 2 to 3"),
        ("tensor, a=0, b=1", "tensor, b=1, a=0", "parameter a has moved from place 2 to 3; "
         "parameter b has moved from place 3 to 2"),
        ("*args", "args", "parameter args is positional or keyword (it was variadic positional)"),
        ("mode='fan_in'", "mode='fan_out'", "parameter mode defaults to 'fan_out' (it defaulted to 'fan_in')"),
    ],
)  # fmt: skip
def test_a_call_that_may_no_longer_mean_the_same_is_told(before, after, says):
    assert signature_drifts(before, after) == [("signature", says)]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("tensor, a=0", "tensor, a=0, b=1", "parameter b is new (default 1)"),
        ("tensor", "tensor, *, generator=None", "parameter generator is new (default None)"),
        ("tensor", "tensor, **options", "parameter options is new"),
        ("tensor, a", "tensor, a=0", "parameter a may be left out (default 0)"),
        ("tensor, *, a=0", "tensor, a=0", "parameter a may be given by place"),
        ("tensor, a=0, /", "tensor, /, a=0", "parameter a may be given by name"),
    ],
)
def test_a_call_that_did_not_work_and_does_is_an_addition(before, after, says):
    assert signature_drifts(before, after) == [("signature_added", says)]


def test_an_optional_parameter_in_the_middle_moves_those_behind_it():
    assert signature_drifts("tensor, a=0", "tensor, b=1, a=0") == [
        ("signature", "parameter a has moved from place 2 to 3"),
        ("signature_added", "parameter b is new (default 1)"),
    ]


def test_annotations_and_addresses_are_no_part_of_a_signature():
    def function(tensor: int, default=object()) -> int:  # noqa: ARG001, B008 - its signature is all that matters
        return 0

    assert parameters_of(function) == (
        Parameter("tensor", "positional or keyword"),
        Parameter("default", "positional or keyword", "<object object>"),
    )


def test_functions_come_and_go():
    both = {"ones_": parameters("tensor")}
    found = between(described(both | {"zeros_": None}), described(both | {"twos_": None}))

    assert [(drift.kind, drift.text, drift.fields) for drift in found] == [
        ("signature_added", "torch.nn.init.twos_ is new", {"name": "torch.nn.init.twos_"}),
        ("signature", "torch.nn.init.zeros_ is gone", {"name": "torch.nn.init.zeros_"}),
    ]


def test_parameters_that_one_side_does_not_tell_are_not_compared():
    (found,) = between(described({"ones_": None}), described({"ones_": parameters("tensor")}))

    assert (found.kind, found.text) == ("uncompared", "torch.nn.init.ones_: the baseline does not tell its parameters")


def test_a_signature_whose_contract_is_violated_is_a_consequence():
    broken = contract(Verdict.VIOLATED, "takes no slope")
    after = described({"kaiming_normal_": parameters("tensor")}, None, broken)

    (found,) = between(described(None, None, contract()), after)

    assert (found.kind, found.conforms) == ("signature", False)


CALL = "kaiming_normal_(weight, mode='fan')"


def test_another_class_of_error_or_warning_is_told_and_wording_is_not():
    def answering(*answers):
        return described(
            None, {CALL: [dict(zip(("event", "category", "words"), answer, strict=True)) for answer in answers]}
        )

    value_error = ("raises", "ValueError", "Mode fan not supported")
    assert between(answering(value_error), answering(("raises", "ValueError", "no such mode"))) == ()
    (found,) = between(answering(value_error), answering(("warns", "FutureWarning", "mode")))
    assert (found.kind, found.subject, found.fields) == (
        "message",
        f"torch.nn.init.{CALL}",
        {"name": "torch.nn.init.kaiming_normal_"},
    )
    assert found.text == (
        f"torch.nn.init.{CALL} warns FutureWarning (mode); the baseline raises ValueError (Mode fan not supported)"
    )
    (silent,) = between(answering(value_error), answering())
    assert " neither warns nor raises; the baseline raises" in silent.text


def test_an_interface_on_one_side_is_told_unless_a_run_was_cut_short():
    (found,) = between(described(), run(claim()))

    assert found.text == "names, parameters, warnings and errors not compared: the candidate has not recorded them"
    assert between(described(), run(claim(), failure=failure())) == ()


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"schema": 1, "functions": {}}',
        b'{"schema": 1, "functions": {"f": [{"name": 1, "kind": "keyword-only"}]}, "answers": {}}',
        b'{"schema": 1, "functions": {"f": [{"name": "a", "kind": "sideways"}]}, "answers": {}}',
        b'{"schema": 1, "functions": {}, "answers": {"f()": [{"event": "runs", "category": "", "words": ""}]}}',
        b"[" * 100_000,
    ],
)
def test_an_interface_that_is_none_is_refused_in_one_line(content, tmp_path):
    folder = write(tmp_path / "run", run(claim()))
    (folder / "interface.json").write_bytes(content)

    with pytest.raises(RecordError, match=r"interface\.json: [^\n]+$"):
        read_run(folder)


def test_what_drifted_is_told_in_a_few_topics_the_most_important_first():
    def drift(kind, about, **rest):
        return Drift(kind=Kind(kind), subject=about.key, text=f"{kind} of {about.key}", fields=about.fields, **rest)

    small, other = subject(shape=(3, 5)), subject("float16")
    gone = [Drift(kind=Kind.SIGNATURE, subject=name, text=f"{name} is gone", fields={"name": name}) for name in "ab"]
    found = topics(
        [
            drift("same_stream", FLOAT32),
            *(drift("stream", about) for about in (small, other, FLOAT32)),
            *gone,
            drift("law", small, p=1e-20, conforms=False),
            drift("law", small, p=1e-20),
            drift("law", FLOAT32, p=1e-30),
            drift("law", other, p=1e-13),
        ],
        digests=70,
    )

    assert [(topic.kind, topic.text) for topic in found] == [
        ("law", f"law of {FLOAT32.key} (and 1 more)"),
        ("law", f"law of {other.key}"),
        ("law_of_violated", f"law of {small.key}"),
        ("signature", "a is gone"),
        ("signature", "b is gone"),
        (
            "stream",
            "stream changed: the same seed gives other weights for 3 of 70 subjects: kaiming_normal_ in float32, "
            "kaiming_normal_ in float16",
        ),
    ]
    assert [len(topic.members) for topic in found] == [2, 1, 1, 1, 1, 3]


@pytest.mark.subprocess
def test_drift_is_found_without_torch():
    program = "import sys, reports.drift; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# torch's own


def test_torchs_interface_is_what_its_documentation_says_and_reading_it_draws_nothing():
    torch.manual_seed(fresh_seed())
    before = torch.random.get_rng_state()

    told = interface_of(torch.nn.init)

    assert torch.equal(torch.random.get_rng_state(), before)
    assert {"kaiming_normal_", "calculate_gain", "orthogonal_"} <= told.functions.keys()
    names = [(parameter.name, parameter.default) for parameter in told.functions["kaiming_uniform_"]]
    assert names[:4] == [("tensor", None), ("a", "0"), ("mode", "'fan_in'"), ("nonlinearity", "'leaky_relu'")]
    assert [str(answer) for answer in told.answers[CALL]] == ["raises ValueError"]
    assert [answer.event for answer in told.answers["kaiming_normal(weight)"]] == ["warns"]
    assert interface_of(torch.nn.init) == told


def renamed(tensor, slope=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    return torch.nn.init.kaiming_normal_(tensor, slope, mode, nonlinearity, generator)


def another_default(tensor, a=0, mode="fan_out", nonlinearity="leaky_relu", generator=None):
    return torch.nn.init.kaiming_normal_(tensor, a, mode, nonlinearity, generator)


def silent(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):  # noqa: ARG001 - that is the fault
    return torch.nn.init.kaiming_normal_(tensor, 0, "fan_in", "leaky_relu", generator)


@pytest.mark.parametrize(
    ("planted", "kind", "says"),
    [
        (renamed, "signature", "kaiming_normal_: parameter a is now called slope"),
        (another_default, "signature", "kaiming_normal_: parameter mode defaults to 'fan_out'"),
        (
            silent,
            "message",
            "kaiming_normal_(weight, mode='fan') neither warns nor raises; the baseline raises ValueError",
        ),
    ],
)
def test_an_initializer_that_is_called_or_answers_otherwise_is_seen(planted, kind, says):
    healthy = run(claim(), interface=interface_of(target_of()))
    found = between(healthy, run(claim(), interface=interface_of(target_of(kaiming_normal_=planted))))

    assert any(drift.kind == kind and says in drift.text for drift in found)
