"""The tests' own error budget: what each may fail by is named, added up and spent, and nobody draws unnoticed."""

from __future__ import annotations

import ast
import re
import sys

import numpy as np
import pytest
from hypothesis import settings
from scipy import stats

from fixtures.record.file_names import ROOT
from suites.machinery import chance, costs
from suites.machinery.chance import ALARM, BUDGET, FAR_MISS, SURE, detected, no_more_seldom, no_oftener, within_chance

FILES = sorted((ROOT / "suites" / "machinery").rglob("*.py"))


def marked(items, name):
    return [mark for item in items for mark in item.iter_markers(name)]


# What all tests name


def test_all_tests_together_fail_on_a_healthy_tree_with_the_chance_that_is_promised(request):
    assert chance.total(request.session.items) <= BUDGET


def test_every_level_is_a_chance_with_a_reason(request):
    for mark in marked(request.session.items, "draws"):
        chance.named(mark)


@pytest.mark.parametrize(
    "mark",
    [
        pytest.mark.draws(-1e-9, "below zero"),
        pytest.mark.draws(BUDGET, "all that there is"),
        pytest.mark.draws(float("nan"), "no number"),
        pytest.mark.draws("1e-9", "no number"),
        pytest.mark.draws(1e-9, ""),
    ],
    ids=lambda mark: repr(mark.args[0]),
)
def test_what_is_no_chance_or_has_no_reason_is_refused(mark):
    with pytest.raises(ValueError, match="a chance below 1e-06 and its source are expected"):
        chance.named(mark.mark)


SEEDED = re.compile(r"default_rng|manual_seed|Random|RandomState")


def seeds_of_their_own(path):
    """Lines that seed a generator with a number that is written there."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if SEEDED.fullmatch(function):
                yield f"{path.name}:{node.lineno}"


FIXED = {
    "audited_models.py": "a model that is the same at every call",
    "calibration.py": "a table of recorded sessions, which is to be the same at every call",
    "test_exact_faults.py": "a faulty initializer that seeds a generator of its own",
}
"""Seeds that are written down, where the numbers and not a law of theirs are what matters."""


def test_no_test_draws_from_a_seed_of_its_own():
    """A test that holds for one seed holds for all, at a level that it names; a fixed one hides the others."""
    found = {place for path in FILES for place in seeds_of_their_own(path)}

    assert {place for place in found if place.partition(":")[0] not in FIXED} == set()
    assert {place.partition(":")[0] for place in found} == FIXED.keys()


# What comparisons spend


@pytest.mark.draws(4 * ALARM, "four comparisons, whose outcome is known")
def test_a_comparison_fails_with_the_chance_that_it_spends():
    assert within_chance(2 * ALARM)
    assert not within_chance(ALARM / 2)
    assert not within_chance(np.array([0.5, ALARM / 2]))
    assert chance.LEDGER.spent == pytest.approx(4 * ALARM)


@pytest.mark.draws(201 * ALARM, "comparisons, whose outcome is known")
@pytest.mark.parametrize(("trials", "rate"), [(50, 1e-6), (2000, 0.01), (2000, 0.5)])
def test_a_count_is_told_from_a_rate_with_the_chance_that_it_spends(trials, rate):
    counts = np.arange(trials + 1)
    likely = [count for count in counts if stats.binom.pmf(count, trials, rate) > 1e-30][:67]
    seen = np.array([no_oftener(count, trials, rate) for count in likely])

    refused = stats.binom.pmf([count for count, healthy in zip(likely, seen, strict=True) if not healthy], trials, rate)
    assert refused.sum() <= ALARM
    assert no_more_seldom(round(trials * rate), trials, rate)


@pytest.mark.draws(3 * ALARM, "three comparisons, whose outcome is known")
def test_a_stated_effect_may_be_missed_twice_in_fifty_looks_and_not_three_times():
    assert detected([1e-9] * 48 + [0.5] * 2)
    assert not detected([1e-9] * 47 + [0.5] * 3)
    assert not detected([0.5] * 50)


def test_a_quarter_more_than_is_stated_is_never_missed():
    assert FAR_MISS < 1e-11


# Who draws, and who starts processes

DRAWS = {
    "numpy": "np.random.default_rng(1)",
    "numpy's shared generator": "np.random.normal()",
    "numpy's old generator": "np.random.RandomState(1)",
    "torch": "torch.manual_seed(1)",
    "torch's shared generator": "torch.rand(1)",
    "torch's generator, restored": "restored()",
    "a generator of torch": "torch.Generator()",
    "random": "random.random()",
    "random's generator": "random.Random(1)",
    "a suite of its own": 'subprocess.run([sys.executable, "-c", "", "suites/weights"])',
    "a fixture": 'request.getfixturevalue("shared")',
}

INNER = """
import random, subprocess, sys, time
import numpy as np, pytest, torch
from suites.machinery.chance import within_chance
{module}

def restored():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)

@pytest.fixture(scope="module")
def shared():
    return np.random.default_rng(1)

{mark}
def test_inner(request{fixtures}):
    {body}

{mark}
def test_the_other(request{fixtures}):
    pass
"""


@pytest.fixture
def inner(tmp_path, capsys):
    """Run a test of a few lines as one of ours: exit status and what was shown."""

    def run(body="pass", *options, mark="", fixtures="", module=""):
        path = tmp_path / "test_it.py"
        path.write_text(INNER.format(body=body, mark=mark, fixtures=fixtures, module=module))
        sys.modules.pop("test_it", None)
        ours = ("-p", "suites.conftest", "-p", "suites.machinery.conftest", "-p", "no:cacheprovider", "-p", "no:xdist")
        arguments = [str(path), "--rootdir", str(tmp_path), "--run-dir", str(tmp_path / "run"), "-o", "addopts=", *ours]
        code = int(pytest.main([*arguments, *options]))
        return code, capsys.readouterr().out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chance, "LEDGER", chance.LEDGER)
        yield run


@SURE
@pytest.mark.subprocess
@pytest.mark.parametrize("source", DRAWS)
def test_who_draws_and_names_no_level_fails_by_that(inner, source):
    fixtures = ", shared" if source == "a fixture" else ""
    code, shown = inner(DRAWS[source], mark="@pytest.mark.subprocess", fixtures=fixtures)

    assert code != 0
    assert re.search(r"test_inner draws random numbers \(.+\) and names no level: pytest.mark.draws", shown)
    assert ("test_the_other draws" in shown) == (source == "a fixture")  # whichever of them came first


@pytest.mark.inner_pytest
@SURE
def test_what_a_module_draws_as_it_is_imported_all_its_tests_have_drawn(inner):
    _, shown = inner(module="STREAM = np.random.default_rng(1)")

    assert "test_inner draws random numbers (numpy.random.default_rng at test_it.py:5)" in shown
    assert "test_the_other draws random numbers" in shown


@pytest.mark.inner_pytest
@SURE
def test_who_names_a_level_may_draw(inner):
    code, shown = inner("np.random.default_rng(1)", mark='@pytest.mark.draws(1e-9, "a billionth")')

    assert code == 0, shown
    assert "2 tests draw; a healthy tree fails with chance 2.0e-09 at most" in shown


@pytest.mark.inner_pytest
@SURE
def test_who_spends_more_than_is_named_fails_by_that(inner):
    code, shown = inner("assert within_chance(np.full(3, 0.5))", mark='@pytest.mark.draws(2e-10, "two comparisons")')

    assert code != 0
    assert "test_inner names a chance of 2.0e-10 to fail, and its comparisons spent 3.0e-10" in shown


@pytest.mark.inner_pytest
@SURE
def test_who_compares_and_names_no_level_fails_by_that(inner):
    assert "draws random numbers (a comparison that chance may fail)" in inner("assert within_chance(0.5)")[1]


@pytest.mark.inner_pytest
@SURE
def test_a_test_that_failed_says_how_to_see_it_again_and_draws_the_same(inner):
    body = "assert not np.random.default_rng(fresh_seed).random(), fresh_seed"
    given = {"mark": '@pytest.mark.draws(0, "it always fails")', "fixtures": ", fresh_seed"}
    shown = [inner(body, "--seed", seed, **given)[1] for seed in ("7", "7", "8")]
    drawn = [re.search(r"AssertionError: (\d+)", text)[1] for text in shown]

    assert "python -m pytest 'test_it.py::test_inner' --seed 7\n" in shown[0]
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.inner_pytest
@SURE
def test_what_every_caller_shares_is_seeded_too(inner):
    given = {"mark": '@pytest.mark.draws(0, "it always fails")'}
    body = "assert not (float(torch.rand(1)), random.random(), np.random.random())"
    shown = [inner(body, "--seed", "7", **given)[1] for _ in range(2)]
    drawn = [re.search(r"assert not \((.*)\)\nE", text)[1] for text in shown]

    assert drawn[0] == drawn[1]


# What a test proves


@pytest.mark.inner_pytest
@SURE
def test_who_names_a_family_of_which_no_claim_was_violated_fails_by_that(inner):
    module = """
from fixtures.record.claim import Reading
from suites.machinery.proofs import judged, proves
def see(p):
    judged("weights.fan.rule", Reading(n=9, p=p), Reading(n=9, p=p))
"""
    mark = '@proves("weights.fan.rule")'
    shown = [inner(body, mark=mark, module=module)[1] for body in ("see(1e-9)", "see(1e-7)", "pass")]

    assert ["test_inner proves nothing of weights.fan.rule: no claim was violated" in text for text in shown] == [
        *(False, True, True)
    ]


# Costs


@pytest.mark.subprocess
def test_who_starts_a_process_says_so(inner):
    start = 'subprocess.run([sys.executable, "-c", ""])'

    assert "test_inner starts 1 processes: mark it with pytest.mark.subprocess" in inner(start)[1]
    assert inner(start, mark="@pytest.mark.subprocess")[0] == 0


@pytest.mark.inner_pytest
def test_who_computes_for_long_and_does_not_say_so_is_told_of_and_does_not_fail(inner):
    compute = "while time.process_time() - request.node.stash[began] < 0.02: pass"
    module = "from suites.machinery.conftest import began_key as began"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "FAST_SECONDS", 0.01)
        code, shown = inner(compute, module=module)
        marked, nothing = inner(compute, module=module, mark="@pytest.mark.large_draws")

    assert (code, marked) == (0, 0)
    assert re.search(r"test_inner: [\d.]+ s of processor time", shown)
    assert "of processor time" not in nothing


def test_every_mark_says_what_makes_a_test_slow_and_is_used():
    marks = costs.marks()
    used = set(re.findall(r"(?:mark\.|add_marker\(\")(\w+)", "".join(path.read_text() for path in FILES)))

    assert all(len(reason.split()) > 3 for reason in marks.values())
    assert marks.keys() <= used


def test_check_leaves_out_what_is_marked_and_nothing_else(noxfile):
    assert f"not ({' or '.join(costs.marks())})" == noxfile.FAST


# What Hypothesis tries


def test_examples_are_the_same_in_each_run_and_searched_anew_by_the_fuzz_session():
    usual, searching = settings.get_profile("tests"), settings.get_profile("fuzz")

    assert usual.derandomize
    assert not searching.derandomize
    assert usual.database is searching.database is None
    assert searching.max_examples == costs.FUZZ_FACTOR * usual.max_examples
    assert searching.print_blob
    assert costs.examples(40) == (40 if settings.default.derandomize else 40 * costs.FUZZ_FACTOR)


def test_nothing_is_tried_against_the_clock():
    assert settings.default.deadline is None
