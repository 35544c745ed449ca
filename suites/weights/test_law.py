"""The law of Kaiming weights: one by one (marginal), by place (position), and against each other (independence)."""

from __future__ import annotations

from fixtures.record.plan import Case
from fixtures.record.subject import DTYPES, seed_for
from fixtures.statistics.judgement import draws_to_resolve
from fixtures.weights.draws import count, draw
from fixtures.weights.law_questions import law_questions
from fixtures.weights.marginal_questions import marginal_questions
from fixtures.weights.strategies import (
    HALF_UNIFORM_DRAWS,
    core_subjects,
    drawn,
    draws_for,
    half_uniforms,
    kaiming_subjects,
)
from suites.framework.asking import asks

LAW = "weights.law"
MARGINAL = "weights.marginal"

CORE_RESOLUTION = {"quick": 0.002, "full": 0.0005, "soak": 0.00005}
"""Relative scale error a core subject must show: 9.3 million, 150 million and 15 billion normal draws."""

DRAWN_RESOLUTION = {"quick": 0.01, "full": 0.005, "soak": 0.002}
"""The same for drawn subjects, which exist for faults of the shape rule: one term too few in a fan of fifty is 1 %."""

DRAWN_SUBJECTS = {"quick": 16, "full": 64, "soak": 64}
"""Subjects drawn for each initializer and dtype. A fault of one in five subjects is met with probability 0.97 by 16."""


def law_cases(tier, run_seed, devices):
    for device in devices:
        resolution = CORE_RESOLUTION[tier]
        for subject in core_subjects(device):
            draws = draws_to_resolve(resolution)
            yield Case(family=LAW, subject=subject, draws=draws, resolution=resolution, core=True)
        for initializer in ("kaiming_normal_", "kaiming_uniform_"):
            for dtype in DTYPES:
                strategy = kaiming_subjects(initializer, dtype, device)
                list_seed = seed_for(run_seed, "subjects", initializer, dtype, device)
                for subject in drawn(strategy, DRAWN_SUBJECTS[tier], list_seed):
                    draws, resolution = draws_for(subject, DRAWN_RESOLUTION[tier])
                    yield Case(family=LAW, subject=subject, draws=draws, resolution=resolution)


@asks(LAW, law_cases, law_questions)
def test_weights_follow_the_promised_law(case, findings, target, keep_sketch):
    def gather(draws, seed):
        return draw(case.subject, draws, seed, target)

    questions = [(question, question.read) for question in law_questions(case.subject)]
    keep_sketch(findings.judge(questions, gather))


def half_uniform_cases(tier, run_seed, devices):
    resolution = CORE_RESOLUTION[tier]
    for device in devices:
        for subject in half_uniforms(device):
            draws = max(HALF_UNIFORM_DRAWS, draws_to_resolve(resolution))
            yield Case(family=MARGINAL, subject=subject, draws=draws, resolution=resolution, core=True)


@asks(MARGINAL, half_uniform_cases, marginal_questions)
def test_half_type_uniforms_follow_the_promised_law(case, findings, target, keep_sketch):
    def gather(draws, seed):
        return count(case.subject, draws, seed, target)

    questions = [(question, question.read) for question in marginal_questions(case.subject)]
    keep_sketch(findings.judge(questions, gather))
