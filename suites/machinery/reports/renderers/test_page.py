"""The page of a gate as a file: what is in it, what cannot be in it, and what is done with arrays that are none."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import msgspec
import numpy as np
import pytest
from _pytest.mark.expression import Expression

from fixtures.record.claim import Effect, Unit, Verdict
from fixtures.record.fault_outcomes import FaultOutcome, read_faults, write_faults
from fixtures.record.file_names import ROOT
from fixtures.record.plan import Case
from fixtures.record.run_folder import RecordError
from fixtures.record.subject import Subject
from fixtures.rules.policy import default_policy
from fixtures.statistics.judgement import SCREEN
from fixtures.statistics.pvalues import ks_p
from reports.comparison.changes import Change, compare
from reports.comparison.selection import selection
from reports.model import Recorded, Records
from reports.renderers.page import plots, write_page
from reports.renderers.page.claims import claim_list
from reports.renderers.page.document import PLOTS
from reports.renderers.page.svg import Drawings
from reports.verdict.gate import gate
from reports.view.curves import MOST_POINTS, training_curves, training_runs
from reports.view.depths import bands_of, trajectories
from reports.view.environments import facts
from reports.view.evidence import MOST_TRAINED, training
from reports.view.forests import MOST_ROWS, scale_forest, speed_forest
from reports.view.marginals import band, marginal, sketched
from reports.view.model import FARTHEST, LEAST_SHARE, MOST_SHARE, model_view, place_of
from reports.view.timings import Timings
from suites.machinery.making.model_records import (
    candidate_record,
    faulty_records,
    initialization,
    module,
    record,
    records,
    tensor,
)
from suites.machinery.making.model_records import (
    training as own_training,
)
from suites.machinery.making.pages import (
    CORE,
    HALF,
    MARKUP,
    NETWORK,
    STD,
    STRAY,
    TRAINED,
    Elements,
    Material,
    bands,
    counts_of,
    hostile_material,
    material,
    normal_weights,
    numbers,
    rounded_to_bfloat16,
    training_arrays,
)
from suites.machinery.making.runs import claim, environment, failure, plan, run, violated
from suites.machinery.making.times import guard, pairing, regressed, timed
from suites.machinery.making.views import view_of

SPEED = default_policy().speed
CLOCK = pairing(timed("init/trunc_normal_", 6.1, "regressed"), timed("init/kaiming_normal_", 1.01), guards=[guard()])


@pytest.fixture(scope="module")
def page() -> str:
    return material(clock=CLOCK).page()


@pytest.fixture(scope="module")
def hostile() -> str:
    return hostile_material().page()


def claims_in(page: str) -> dict:
    return json.loads(Elements(page).inside["script"][0])


# What a reader finds


def test_the_verdict_its_reasons_and_what_to_do_come_first(page):
    text = Elements(page).text
    places = [
        text.index(part)
        for part in ("✕ Stop", "new violation: weights.marginal.scale", "nox -s gate --", "At a glance")
    ]

    assert places == sorted(places)
    assert "-0.7% of the promised std (baseline: 0.01%)" in text
    assert "--seed 17" in text
    assert "[[waiver]]\n" in text


def test_each_section_that_has_something_to_say_is_there_and_linked(page):
    elements = Elements(page)
    named = set(elements.attributes("id"))

    links = [
        link for link in elements.attributes("href") if link and link.startswith("#") and not link.startswith("#d")
    ]
    assert {link[1:] for link in links} <= named
    assert {"weights", "scale", "depth", "training", "speed", "claims", "faults", "environments"} <= named


@pytest.mark.pages
def test_without_sketches_clock_and_faults_no_section_is_empty():
    made = material()
    sides = [run(*side.claims.values(), label=side.label, plan=side.plan) for side in (made.baseline, made.candidate)]
    page = Material(made.verdict, *sides, faults=()).page()
    named = set(Elements(page).attributes("id"))

    assert not {"weights", "depth", "training", "faults"} & named
    assert "#training" not in page
    assert "Speed was not measured" in page


@pytest.mark.pages
def test_a_run_that_crashed_has_a_page_too():
    made = material()
    crashed = run(label="candidate", plan=made.candidate.plan, environment=None, failure=failure())

    page = Material(gate(made.baseline, crashed), made.baseline, crashed).page()

    assert "crashed (SIGSEGV)" in page
    assert "Segmentation fault" in page


# Nothing but the page's own may run or be loaded


def test_the_security_policy_names_the_style_and_the_script_that_are_there(page):
    elements = Elements(page)
    (policy,) = [value for value in elements.attributes("content") if value and "default-src" in value]

    def told(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    assert policy.startswith("default-src 'none'; ")
    assert f"style-src {told(elements.inside['style'][0])};" in policy
    assert f"script-src {told(elements.inside['script'][1])};" in policy
    assert "unsafe" not in policy


@pytest.mark.pages
@pytest.mark.parametrize("which", ["page", "hostile"])
def test_nothing_is_loaded_and_no_attribute_runs_or_styles(which, request):
    elements = Elements(request.getfixturevalue(which))

    assert elements.names().isdisjoint({"img", "link", "iframe", "object", "embed", "base", "foreignobject", "image"})
    assert len(elements.inside["script"]) == 2
    assert len(elements.inside["style"]) == 1
    assert not elements.attributes("src")
    assert not elements.attributes("style")
    assert all(link and link.startswith("#") for link in elements.attributes("href"))
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_a_run_file_is_text(text, hostile):
    elements = Elements(hostile)
    shown = {"\u202e": "?", "\x1b[31m": "", "\x00": "?"}
    for character, instead in shown.items():
        text = text.replace(character, instead)

    assert text in elements.text
    assert any(text in each for each in claims_in(hostile)["texts"])
    assert text not in hostile or not re.search("[<>&]", text)


def test_nothing_in_a_page_hides_or_turns_text(hostile):
    assert hostile == hostile.encode("utf-8", errors="replace").decode()
    assert not set(hostile) & set("\u202e\x1b\x00")


def test_the_drawings_take_the_colours_of_the_page_and_share_no_name(page):
    elements = Elements(page)
    names = [name for name in elements.attributes("id") if name]
    drawings = re.findall(r"<svg viewBox=\"0 0 3.*?</svg>", page, flags=re.DOTALL)

    assert len(drawings) >= 8
    assert len(names) == len(set(names))
    assert not [colour for drawing in drawings for colour in re.findall(r"#[0-9a-f]{6}", drawing)]
    assert not re.findall(r"#[0-9a-f]{6}", page[page.rindex(".key-inner") : page.index("</style>")])
    for reference in elements.attributes("aria-labelledby"):
        assert set((reference or "nothing").split()) <= set(names)


def test_the_same_gate_gives_the_same_page(page):
    assert material(clock=CLOCK).page() == page


# Claims


def test_every_claim_is_there_with_reading_power_and_seed(page):
    made, document = material(clock=CLOCK), claims_in(page)
    texts = document["texts"]

    assert len(document["rows"]) == len(made.baseline.claims)
    kind, family, subject, statement, before, after = document["rows"][0]
    assert document["changes"][kind] == {"words": Change.NEW, "tone": "bad", "held": False}
    assert texts[family] == "weights.contract.bounds"
    assert texts[document["subjects"][subject][0]] == "kaiming_normal_-fan_in-leaky_relu-256x128-float32-cpu"
    assert texts[statement] == "std = gain / sqrt(fan)"
    assert texts[after[5]] == "a weight of 0.5 lies outside [-0.4, 0.4]"
    assert [texts[place] for place in document["rows"][1][5][:5]] == [
        *("violated", "-0.7% of the promised std", "p = 1e-40", "0.2% of the promised std", "9 300 000 samples")
    ]
    assert texts[before[7]] == "7"
    assert document["reasons"][0] in ([0], [1])


def test_a_page_that_would_be_too_large_leaves_out_claims_that_hold_and_says_how_many():
    made = material(claims=400)
    rows = made.view.claims
    whole = claim_list(rows, {})

    small = claim_list(rows, {}, most_bytes=len(whole.document) // 3)

    assert len(small.document) <= len(whole.document) // 3
    assert len(small.place) + small.left_out == len(whole.place) == len(rows)
    kinds = [row[0] for row in json.loads(small.document)["rows"]]
    assert sum(kind != Change.HELD.rank for kind in kinds) == 4
    # As many as there is room for, to the character.
    assert claim_list(rows, {}, most_bytes=len(small.document)).document == small.document
    assert claim_list(rows, {}, most_bytes=len(small.document) - 1).left_out == small.left_out + 1


def test_what_does_not_hold_is_never_left_out():
    view = view_of(*(run(violated(subject=CORE), violated(subject=HALF), label=name) for name in "ab"))

    assert claim_list(view.claims, {}, most_bytes=1).left_out == 0


KEYS = [
    "kaiming_normal_-fan_in-relu-256x784-bfloat16-cpu",
    "trunc_normal_(std=0.02)-32x32-float32-cpu",
    "nn.GRU(24, 64).weight_ih_l0-192x24-float32-reset_parameters-cpu",
    "kaiming_uniform_-fan_in-relu(2.23606797749979)-33x16x513-bfloat16-cpu",
    "a and or not'\"; rm -rf / é",
]


@pytest.mark.parametrize("key", KEYS)
def test_the_selection_of_a_subject_is_one_that_pytest_takes_and_that_takes_the_subject(key):
    chosen = selection(key)

    assert Expression.compile(chosen).evaluate(lambda name, **_: name in key)
    assert not set(chosen) & set("'\"`$\\;")


# Drawings


def test_the_band_is_the_one_that_a_claim_about_the_shape_trips_at():
    assert ks_p(band(12_345) / 100, 12_345) == pytest.approx(SCREEN)


@pytest.mark.parametrize("rounded", [False, True], ids=["float32", "bfloat16"])
def test_healthy_weights_stay_in_their_band_and_under_their_law(rounded):
    weights = normal_weights(1_000_000)
    subject = HALF if rounded else CORE
    kept = {f"{subject.key}/counts": counts_of(rounded_to_bfloat16(weights) if rounded else weights)}
    found = marginal(subject, {"candidate": run(sketches=kept)})

    drawn = found.drawn["candidate"]
    assert drawn.n == 1_000_000
    assert found.strays() < 0.05
    core = found.expected > 1e-3
    np.testing.assert_allclose(drawn.density[core], found.expected[core], rtol=0.02)
    assert (found.expected * np.diff(found.edges)).sum() == pytest.approx(1, abs=1e-5)


FAULTY = {
    "cut at 3.33 std": np.clip(normal_weights(1_000_000), -3.33 * STD, 3.33 * STD),
    "1 % too wide": normal_weights(1_000_000, 1.01 * STD),
    "shifted by 1 % of a std": normal_weights(1_000_000) + np.float32(0.01 * STD),
    "1 % zeros": np.where(np.arange(1_000_000) % 100, normal_weights(1_000_000), np.float32(0)),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_planted_fault_shows_in_a_drawing(fault):
    found = marginal(CORE, {"candidate": run(sketches={f"{CORE.key}/counts": counts_of(FAULTY[fault])})})
    drawn = found.drawn["candidate"]

    empty = (drawn.density == 0) & (found.expected * np.diff(found.edges) * drawn.n > 10)
    assert found.strays() > 1 or empty.any()
    assert (fault == "cut at 3.33 std") == bool(empty.any())


NO_COUNTS = {
    "too short": np.ones(10, np.int64),
    "two-dimensional": np.ones((256, 256), np.int64),
    "floating point": np.ones(1 << 16),
    "text": np.full(1 << 16, "x"),
    "nothing drawn": np.zeros(1 << 16, np.int64),
    "negative": -np.ones(1 << 16, np.int64),
    "overflowing": np.full(1 << 16, np.iinfo(np.uint64).max),
    "more than any run draws": np.full(1 << 16, 1 << 50),
}


@pytest.mark.parametrize("kind", NO_COUNTS)
def test_what_cannot_be_counts_is_not_drawn(kind):
    assert marginal(CORE, {"candidate": run(sketches={f"{CORE.key}/counts": NO_COUNTS[kind]})}) is None


LAWLESS = [
    {"initializer": "orthogonal_"},
    {"initializer": "(" * 5000},
    {"initializer": "-" * 100_000 + "1"},
    {"initializer": "normal_(std=0.0)"},
    {"initializer": "normal_(mean='x')"},
    {"initializer": "normal_(std=1e-320)"},
    {"initializer": "trunc_normal_(std=0.0)"},
    {"initializer": "uniform_(a=1.0, b=-1.0)"},
    {"initializer": "uniform_(a=1.0, b=1.0)"},
    {"initializer": "normal_(std=1e400)"},
    {"shape": ()},
    {"shape": (3, 0)},
    {"shape": (3, 10**400)},
    {"dtype": "int8"},
    {"nonlinearity": None},
    {"a": 1e308, "nonlinearity": "leaky_relu"},
]


@pytest.mark.parametrize("fields", LAWLESS, ids=lambda fields: str(fields)[:40])
def test_a_subject_without_a_law_is_not_drawn(fields):
    lawless = Subject(**{"initializer": "kaiming_normal_", "shape": (8, 8)} | fields)
    kept = {f"{lawless.key}/counts": counts_of(normal_weights(1000))}

    assert marginal(lawless, {"candidate": run(sketches=kept)}) is None


def test_only_planned_subjects_are_looked_for_in_the_sketches():
    made = material()

    assert sketched([made.baseline, made.candidate]) == [CORE, HALF]
    assert trajectories([made.baseline]) == [NETWORK.key]


NO_BANDS = {
    "a missing array": {"levels": None},
    "other depths": {"depths": np.arange(3)},
    "depths that fall": {"depths": np.array([4, 3, 2, 1])},
    "NaN": {"exact": np.full((4, 7), np.nan)},
    "infinity": {"measured": np.full((4, 7), np.inf)},
    "text": {"lines": np.full((3, 4), "x")},
    "lines of other depths": {"lines": np.ones((3, 5))},
    "too few levels": {"levels": np.array([0.5])},
    "no depth at all": {"depths": np.array([])},
    "a number where an array should be": {"exact": np.array(1.0)},
}


@pytest.mark.parametrize("kind", NO_BANDS)
def test_what_cannot_be_bands_is_not_drawn(kind):
    arrays = {name: array for name, array in (bands() | NO_BANDS[kind]).items() if array is not None}
    kept = {f"trajectory/x/forward/{name}": array for name, array in arrays.items()}

    assert bands_of("x", "forward", {"candidate": run(sketches=kept)}) == {}


def test_a_trajectory_that_parts_from_its_law_is_told_from_one_that_does_not():
    sides = {
        side: run(sketches={f"trajectory/x/forward/{name}": array for name, array in bands(shift).items()})
        for side, shift in (("baseline", 0.0), ("candidate", 0.7))
    }
    found = bands_of("x", "forward", sides)

    assert found["baseline"].leaves_the_law_by() == pytest.approx(1)
    assert found["candidate"].leaves_the_law_by() == pytest.approx(2.01, abs=0.01)


def trained(baseline, candidate):
    """Two runs, of which each kept these arrays."""
    return {side: run(label=side, sketches=found) for side, found in (("baseline", baseline), ("candidate", candidate))}


def section(runs):
    """Exhibits of training, all of which can be drawn."""
    found, drawings = training(runs), Drawings()
    with plots.drawing():
        for picture in (picture for one in found.shown for picture in one.pictures):
            drawings.draw(PLOTS[picture.plot](picture.numbers), picture.title, picture.says)
    return found


def test_training_that_is_the_same_departs_nowhere():
    (found,) = training_curves(trained(training_arrays(numbers()), training_arrays(numbers())))

    assert found.key == TRAINED.key
    assert found.drift.outcome == "identical"
    assert found.by_step.candidate.tolist() == [0] * 6
    assert found.by_layer.candidate.tolist() == [0] * 3
    np.testing.assert_allclose(found.allowed, 2 * STRAY)
    np.testing.assert_allclose(found.by_step.one_ulp, 1 / 2048, rtol=0.3)


def test_a_loss_that_departs_leaves_the_band_at_its_step_and_nowhere_else():
    (found,) = training_curves(trained(training_arrays(numbers()), training_arrays(numbers(losses=(3, 1.01)))))
    figure = plots.losses(found)
    curves, strain = figure.axes

    assert found.drift.outcome == "different"
    assert np.flatnonzero(found.by_step.candidate > 1).tolist() == [3]
    assert found.by_step.candidate[3] == pytest.approx(0.01 / (2 * STRAY))
    assert not (found.by_layer.candidate > 1).any()
    np.testing.assert_allclose(curves.lines[0].get_ydata(), 2.0 ** -np.arange(6))
    assert curves.lines[1].get_ydata()[3] == pytest.approx(1.01 / 8)
    marked = strain.lines[1].get_ydata()
    assert np.flatnonzero(np.isfinite(marked)).tolist() == [3]
    assert marked[3] == pytest.approx(np.log10(50))
    assert marked[3] < strain.get_ylim()[1]


@pytest.mark.parametrize("quantity", ["gradient_norms", "update_norms"])
def test_a_layer_that_departs_at_any_step_leaves_the_band_at_its_place(quantity):
    (found,) = training_curves(
        trained(training_arrays(numbers()), training_arrays(numbers(**{quantity: ((2, 1), 1.01)})))
    )

    assert np.flatnonzero(found.by_layer.candidate > 1).tolist() == [1]
    assert not (found.by_step.candidate > 1).any()


def test_a_departure_that_rounding_explains_stays_in_the_band():
    (found,) = training_curves(trained(training_arrays(numbers()), training_arrays(numbers(losses=(3, 1 + STRAY)))))

    assert found.drift.outcome == "within rounding"
    assert found.by_step.candidate.max() == pytest.approx(0.5, rel=0.01)


def test_gradients_are_drawn_by_layer_at_the_first_and_the_last_step():
    (found,) = training_curves(
        trained(training_arrays(numbers()), training_arrays(numbers(gradient_norms=((-1, 2), 10))))
    )
    curves, _ = plots.gradient_norms(found).axes
    lines = [10 ** line.get_ydata() for line in curves.lines]

    np.testing.assert_allclose(lines, [[1, 2, 4], np.array([1, 2, 4]) / 32, [1, 2, 4], np.array([1, 2, 40]) / 32])


def test_where_rounding_leaves_nothing_to_tell_there_is_a_gap():
    wild = numbers()
    wild.rounded.losses[:, 4] *= 3
    (found,) = training_curves(trained(training_arrays(wild), training_arrays(numbers(losses=(1, 1.01)))))

    assert np.isnan(found.by_step.candidate).tolist() == [False] * 4 + [True] * 2
    assert np.flatnonzero(found.by_step.candidate > 1).tolist() == [1]


@pytest.mark.pages
def test_training_that_changed_comes_first_then_float32_and_the_rest_is_named():
    subjects = [
        Subject(f"SGD(lr={place})", (), dtype, path="tutorial")
        for dtype in ("bfloat16", "float32")
        for place in range(MOST_TRAINED)
    ]
    before, after = ({}, {})
    for subject in subjects:
        before |= training_arrays(numbers(), subject.key)
        found = numbers(losses=(3, 1.01)) if subject is subjects[2] else numbers()
        after |= training_arrays(found, subject.key)
    cases = tuple(Case(family="training", subject=subject, draws=0, resolution=0.0) for subject in subjects)
    planned = plan([], cases=cases)
    runs = {
        "baseline": run(plan=planned, sketches=before),
        "candidate": run(plan=planned, sketches=after),
    }

    found = section(runs)

    assert [one.key for one in found.shown] == [
        subjects[2].key,
        *(subject.key for subject in subjects[MOST_TRAINED : 2 * MOST_TRAINED - 1]),
    ]
    assert [one.marks[0].tone for one in found.shown] == ["bad"] + ["fine"] * (MOST_TRAINED - 1)
    assert found.left_out.startswith(f"6 more training runs ({subjects[0].key}, {subjects[1].key}, {subjects[3].key}")


def test_a_side_that_recorded_no_training_is_not_drawn_and_nothing_departs():
    (found,) = training_curves(trained({}, training_arrays(numbers())))

    assert list(found.sides) == ["candidate"]
    assert found.drift.outcome == "uncompared"
    assert (found.by_step, found.by_layer) == (None, None)
    assert len(plots.losses(found).axes) == 1


@pytest.mark.pages
def test_sides_of_other_sizes_are_drawn_beside_each_other_and_not_compared():
    runs = trained(training_arrays(numbers()), training_arrays(numbers(steps=9, layers=5)))
    (found,) = training_curves(runs)

    assert found.by_step is None
    assert len(section(runs).shown[0].pictures) == 2


NO_TRAINING = {
    "a missing array": {"digests": None},
    "text": {"plain/losses": np.full(6, "x")},
    "integers": {"plain/losses": np.arange(6)},
    "complex numbers": {"plain/losses": np.ones(6, complex)},
    "a number where an array should be": {"plain/losses": np.array(1.0)},
    "more dimensions": {"plain/gradient_norms": np.ones((6, 3, 2))},
    "other steps": {"rounded/losses": np.ones((2, 7))},
    "no moved runs": {
        f"rounded/{name}": np.ones((0, 6, *layers))
        for name, layers in (("losses", ()), ("gradient_norms", (3,)), ("update_norms", (3,)))
    },
    "more than a drawing has room for": numbers(steps=MOST_POINTS + 1).arrays(),
}


@pytest.mark.parametrize("kind", NO_TRAINING)
def test_what_cannot_be_a_training_run_is_not_drawn_and_named(kind):
    arrays = {name: array for name, array in (numbers().arrays() | NO_TRAINING[kind]).items() if array is not None}
    runs = trained(*[{f"training/{TRAINED.key}/{name}": array for name, array in arrays.items()}] * 2)

    assert training_runs(runs.values()) == [TRAINED.key]
    assert training_curves(runs) == []
    assert section(runs).left_out == f"1 more training run ({TRAINED.key})"


ODD = [np.nan, np.inf, -np.inf, 0.0, -1e300, 1e300, 5e-324]


@pytest.mark.large_draws
@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("where", [3, slice(None)], ids=["once", "always"])
@pytest.mark.parametrize("kind", ["plain", "rounded", "all"])
def test_numbers_of_any_size_are_drawn_or_left_as_gaps(kind, where, value):
    odd = numbers()
    for each in ("plain", "one_ulp", "rounded") if kind == "all" else (kind,):
        found = getattr(odd, each)
        found.losses[..., where] = value
        found.gradient_norms[..., where, :] = value
        found.update_norms[..., where, :] = value
    odd.digests[:] = 1

    for sides in ((numbers(), odd), (odd, numbers()), (odd, odd)):
        runs = trained(*map(training_arrays, sides))
        (curves,) = training_curves(runs)
        limits = [axes.get_ylim() for axes in plots.losses(curves).axes + plots.gradient_norms(curves).axes]
        assert np.abs(limits).max() < 1.2 * plots.MOST_DRAWN
    assert len(section(runs).shown) == 1


@pytest.mark.pages
@pytest.mark.parametrize(("steps", "layers"), [(1, 1), (1, 3), (6, 1)])
def test_a_single_step_and_a_single_layer_are_drawn(steps, layers):
    found = training_arrays(numbers(steps, layers))

    assert len(section(trained(found, found)).shown) == 1


def test_the_forest_of_scales_begins_with_violations_and_says_what_it_leaves_out():
    made = material(claims=100)
    found = scale_forest(compare(made.baseline, made.candidate), {CORE.key})

    assert [row.label for row in found.rows[:2]] == [HALF.key, CORE.key]
    assert [row.is_wrong for row in found.rows[:3]] == [True, False, False]
    assert len(found.rows) + found.left_out == 102
    assert len(found.rows) == MOST_ROWS
    wrong = found.rows[0].sides["candidate"]
    assert wrong.low < wrong.value == -0.7 < wrong.high < 0


def test_what_the_candidate_mended_comes_after_what_it_violates():
    mended, broken = claim(subject=CORE), claim(subject=HALF)
    before = run(violated(subject=CORE), broken)
    found = scale_forest(compare(before, run(mended, violated(subject=HALF))), {CORE.key})

    assert [(row.label, row.is_wrong) for row in found.rows] == [(HALF.key, True), (CORE.key, False)]


def test_an_interval_is_as_wide_as_what_the_screen_lets_pass():
    sound = claim(subject=CORE)
    (row,) = scale_forest(compare(run(sound), run(sound)), ()).rows
    interval = row.sides["candidate"]

    # The screen asks for 4.45 of the 9.20 standard errors that are detected.
    assert (interval.high - interval.low) / 2 == pytest.approx(0.2 * 4.45 / 9.20, rel=1e-3)


def test_the_forest_of_times_begins_with_regressions_and_shows_a_guard_that_moved():
    clock = pairing(
        timed("fast", 0.5, "improved"),
        timed("slow", 6.1, "regressed"),
        timed("broken", None, "broken"),
        guards=[guard(moved=True)],
    )
    rows = speed_forest(Timings.of(clock, SPEED)).rows

    assert [row.label for row in rows] == ["slow  (regressed)", "fast  (improved)", "guard/python  (guard)"]
    assert [row.is_wrong for row in rows] == [True, False, True]


def test_each_time_is_shown_beside_the_margin_that_the_policy_has_for_it():
    clock = pairing(timed("construct/deep", 1.2), timed("train/deep", 1.0), guards=())
    rows = speed_forest(Timings.of(clock, SPEED)).rows

    assert [row.fine for row in rows] == [(1 / 1.25, 1.25), (1 / 1.1, 1.1)]


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("inf"), float("nan")])
def test_times_that_are_no_ratio_are_not_drawn(ratio):
    assert not speed_forest(Timings.of(pairing(timed("x", ratio), guards=()), SPEED)).rows


@pytest.mark.parametrize("size", [1e-300, 1e-9, 0.0, 1e11, 1e300])
def test_effects_of_any_size_are_drawn_or_left_out(size):
    odd = claim(subject=CORE, effect=Effect(size, Unit.STD), detectable=Effect(max(size, 1e-300), Unit.STD))
    sides = [run(odd, label=name) for name in "ab"]

    assert Material(gate(*sides), *sides).page().startswith("<!doctype html>")


# Environments and faults


def test_what_differs_comes_first_and_long_values_are_cut_to_what_differs():
    flags = " ".join(f"flag{number}" for number in range(60))
    before = run(environment=environment("2.13.0", machine={"cpu": "a CPU", "cpu_flags": f"{flags} avx2"}))
    after = run(environment=environment("2.14.1", machine={"cpu": "a CPU", "cpu_flags": f"{flags} avx512"}))
    found = facts(before, after)

    assert [fact.differs for fact in found] == sorted((fact.differs for fact in found), reverse=True)
    shown = {(fact.group, fact.name): (fact.baseline, fact.candidate) for fact in found}
    assert shown["torch", "version"] == ("2.13.0", "2.14.1")
    assert shown["machine", "cpu_flags"] == ("only here: avx2", "only here: avx512")
    assert shown["machine", "cpu"] == ("a CPU", "a CPU")


def test_an_environment_that_was_never_told_differs_from_one_that_was():
    assert all(fact.baseline == "\N{EN DASH}" for fact in facts(run(environment=None), run()))


def test_a_fault_matrix_is_read_back_and_an_unseen_fault_is_called_missed(tmp_path, page):
    outcome = FaultOutcome("x", "suites/weights", ("weights.fan",), 1, {"weights.fan.rule": 2}, 1.5, ("tail",))
    write_faults(tmp_path / "faults.json", [outcome])

    assert read_faults(tmp_path / "faults.json") == (outcome,)
    assert page.count("missed</td>") == 1
    assert page.count("WRONG") == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'[{"fault": "x"}]', b"\xff", b"[" * 100_000])
def test_what_is_no_fault_matrix_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "faults.json").write_bytes(content)

    with pytest.raises(RecordError, match="not a fault matrix") as error:
        read_faults(tmp_path / "faults.json")
    assert "\n" not in str(error.value)


# Writing


@pytest.mark.pages
def test_a_page_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    made, path = material(), tmp_path / "page.html"
    path.write_text("an earlier page")
    monkeypatch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError(28, "No space left")))

    with pytest.raises(OSError, match="No space left"):
        write_page(path, made.view, made.evidence)
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
    assert path.read_text() == "an earlier page"


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, in the project's root."""
    command = [sys.executable, "-c", code]
    environment = dict(os.environ) | variables
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.subprocess
def test_reports_do_not_wait_for_matplotlib_unless_a_page_is_written():
    code = """if True:
        import sys, reports.commands.command_line, reports.renderers.page
        sys.exit('matplotlib' in sys.modules or 'jinja2' in sys.modules)"""

    assert python(code).returncode == 0


WRITES = """
import sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from reports.renderers.page import write_page
from suites.machinery.making.pages import material
made = material()
write_page(Path({path!r}), made.view, made.evidence)
"""


@pytest.mark.subprocess
def test_a_page_needs_no_torch_and_no_folder_for_fonts_and_says_nothing(tmp_path):
    path, nowhere = tmp_path / "page.html", tmp_path / "a file"
    nowhere.write_text("")
    ended = python(
        WRITES.format(path=str(path)), MPLCONFIGDIR=str(nowhere / "x"), HOME=str(nowhere), XDG_CONFIG_HOME=str(nowhere)
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert path.read_text().startswith("<!doctype html>")
    assert Verdict.VIOLATED in path.read_text()


def test_a_user_s_own_matplotlib_settings_do_not_reach_the_page(page):
    with mpl.rc_context({"text.usetex": True, "svg.fonttype": "path", "axes.facecolor": "red", "font.size": 30}):
        assert material(clock=CLOCK).page() == page


def test_a_plan_of_no_claims_has_a_page():
    sides = [run(label=name, plan=plan([])) for name in "ab"]

    assert "No evidence" in Material(gate(*sides), *sides).page()


# The user's own model

OWN_CLOCK = pairing(timed("model/step", 1.02), regressed("model/backward", 1.4))


@pytest.fixture(scope="module")
def own():
    """A page with faults in every part of a user's own model."""
    return material(claims=3, clock=OWN_CLOCK, model=faulty_records())


def model_section(made):
    return Elements(made.page().partition('<section id="model"')[2].partition("</section>")[0]).text


@pytest.mark.pages
def test_a_model_has_a_section_with_its_verdict_modules_tensors_training_times_and_advice(own):
    text = " ".join(model_section(own).split())

    for said in (
        "Your model: my_model.py",
        "✕ stop 1 module differs by more than rounding, the most 21 times (`blocks.0.act`, output)",
        "1 tensor starts otherwise (head.weight); training leaves at step 4",
        "backward 1.40 x, regressed; step 1.02 x, fine.",
        "blocks.0.act GELU, torch/nn/modules/activation.py:734; 3x16x256 float32; eval 21 output, ✕ beyond rounding",
        "blocks.0 Block, my_model.py:4; 3x16x256 float32; eval 21 output, ↳ follows",
        "head Linear, torch/nn/modules/linear.py:124; 3x16x256 float32; eval 0.12 output, ✓ within rounding",
        "What rounding allows is measured on the baseline: as it is; one thread; inputs moved by one unit.",
        "head.weight parameter, 10x256 float32",
        "kaiming_uniform(a=sqrt(5))another lawp = 6.2e-14std by 2 % of itself",
        "blocks.0.norm.weight parameter, 256 float32a constantthe same",
        "20 repeats a side of 6 steps by AdamW, compared by exact rank tests at 4.2e-09 each",
        "model/backward: 1.40 [1.37, 1.43] of the baseline",
        "left out: a step takes 90 s (candidate alone)",
        "Numbers: Call the module that is named alone on both torches",
    ):
        assert said in text, said


@pytest.mark.pages
def test_the_section_is_linked_and_is_the_first(own):
    page = own.page()

    assert page.index('href="#model"') < page.index('href="#counts"')
    assert page.index('<section id="model"') < page.index('<section id="counts"')


def test_without_a_model_there_is_no_section(page):
    assert 'id="model"' not in page


@pytest.mark.pages
def test_a_bar_is_as_long_as_its_share_on_a_scale_that_all_share(own):
    rows = re.findall(
        r'<li class="(fine|warn|bad)">.*?<rect class="bar-\1"[^>]* width="([\d.]+)".*?<path[^>]* d="M([\d.]+)',
        own.page(),
        re.DOTALL,
    )
    lengths = {float(width) for tone, width, _ in rows if tone == "fine"}

    assert {limit for *_, limit in rows} == {f"{100 * place_of(1.0)}"}
    assert all(length == pytest.approx(100 * place_of(0.125), abs=0.5) for length in lengths)
    assert all(float(width) > float(limit) for tone, width, limit in rows if tone != "fine")
    assert [place_of(share) for share in (0.0, LEAST_SHARE, MOST_SHARE, math.inf)] == [0.0, 0.0, 1.0, 1.0]


def many(count):
    """Records of a model of many modules and tensors."""
    modules = tuple(module(6, path=f"layer{place}", order=place) for place in range(count))
    tensors = tuple(tensor(0, name=f"layer{place}.weight") for place in range(count))
    sides = (
        msgspec.structs.replace(
            side,
            numbers=msgspec.structs.replace(side.numbers, modules=modules),
            initialization=initialization(tensors=tensors),
        )
        for side in (record(), candidate_record())
    )
    return records(*sides)


@pytest.mark.pages
def test_a_large_model_shows_the_farthest_modules_and_folds_the_others_away():
    made = material(claims=1, model=many(700))
    page, own = made.page(), made.view.model

    assert len(own.farthest) == FARTHEST
    assert "All 700 modules, in the order in which they are called" in page
    assert "100 more are in verdict.json." in page
    assert "676 more tensors" in page
    assert len(page) < 2 << 20


@pytest.mark.pages
def test_a_model_that_could_not_be_asked_has_a_section_that_says_so():
    text = model_section(material(claims=1, model=Records(Recorded(record()), Recorded(None, "it left no model.json"))))

    assert "nothing is known of the model in the candidate: it left no model.json" in text.lower()
    assert "Does each module" not in text


@pytest.mark.parametrize("factor", [None, 0.0, 1e300, -1.0])
@pytest.mark.parametrize("sides", [(0, 1), (1, 0), (1, 1)])
def test_losses_of_any_size_are_drawn_or_left_as_gaps(factor, sides):
    made = own_training(), own_training(0.5)
    losses = tuple(tuple(None if factor is None else factor * loss for loss in row) for row in made[1].losses)
    changed = made[0], msgspec.structs.replace(made[1], losses=losses)
    both = records(*(record(training=changed[side]) for side in sides))
    verdict = gate(run(claim()), run(claim()), model=both)

    with plots.drawing():
        drawn = Drawings().draw(plots.clouds(model_view(verdict).clouds), "losses", "")

    assert ("leaves at 1" in drawn) is (sides != (1, 1))
