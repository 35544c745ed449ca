"""The marginal law of Kaiming weights: location, scale, shape, extremes, tails, zeros, bounds and grid."""

from __future__ import annotations

from fixtures.drawing import draw
from fixtures.marginal import marginal_questions
from suites.asking import asks


@asks("weights.marginal", marginal_questions)
def test_weights_follow_the_promised_law(case, findings, target, keep_sketch):
    def gather(draws, seed):
        return draw(case.subject, draws, seed, target)

    questions = [(question, question.read) for question in marginal_questions(case.subject)]
    keep_sketch(findings.judge(questions, gather))
