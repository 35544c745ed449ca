"""Memory layouts: all of a weight is written, in place, by its law, and nothing beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import torch
from hypothesis import strategies as st

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import DTYPES, Subject
from fixtures.statistics.laws import KAIMING
from fixtures.target.target import Target
from fixtures.weights.draws import draw, initialize
from fixtures.weights.layouts import DIMENSIONS, cut
from fixtures.weights.marginal_questions import marginal_questions
from fixtures.weights.sketch import Sketch
from fixtures.weights.strategies import draws_for
from suites.framework.exact_claims import asks_exactly, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.framework.statistical_claims import judge_what_is_drawn

EXAMPLES = 8
"""For each of 4 dtypes, 7 layouts and 2 initializers: 448 shapes in all."""

SENTINEL = 1000.0
"""A value that every dtype has and no draw can be: the largest std there is is 5/3 (tanh, a fan of 1)."""

PLACE = Question[None]("weights.contract.place", "returns the same tensor, its storage, shape, strides and dtype kept")
WRITTEN = Question[None]("weights.contract.written", "writes a finite value to every element")
NEIGHBOURS = Question[None]("weights.contract.neighbours", "leaves the rest of a weight's storage alone")

LAYOUT_LAW = "weights.layout_law"
LAW_SHAPE = (24, 16, 3, 3)
"""A kernel that can have all layouts of interest; 3456 weights are drawn in a loop over elements, vectorized or not."""

LAW_LAYOUTS = ("transposed", "strided", "channels_last")
LAW_RESOLUTION = 0.03
"""Relative scale error to be seen, from 41 000 normal draws: a layout can lose a part of the weights or the law as a
whole (unwritten, written twice, another fan: 20 % and more), but has no way to change a scale by less."""

numbers_of_elements = st.one_of(st.integers(1, 6), st.sampled_from((15, 16, 17, 33)))
"""Sizes of one dimension: small ones, and those around torch's vector width of 16."""

layouts = [{"shape": (), "dtype": dtype, "layout": layout} for layout in DIMENSIONS for dtype in DTYPES]


def shapes(layout: str) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes that a weight of this layout can have, of 5 * 33**2 * 6**3 elements at most and usually a few hundred."""
    ranks = [(numbers_of_elements,) * 2 + (st.integers(1, 5),) * (rank - 2) for rank in DIMENSIONS[layout]]
    return st.one_of([st.tuples(*sizes) for sizes in ranks])


@asks_exactly(PLACE, about=layouts)
def test_a_weight_stays_where_and_what_it_is(case: Case, findings: Findings, target: Target) -> None:
    def stays(shape: tuple[int, ...]) -> None:
        weight = cut(msgspec.structs.replace(case.subject, shape=shape), math.nan).weight
        before = properties(weight)
        returned = initialize(weight, case.subject, target)
        assert returned is weight, f"shape {shape}: {type(returned).__name__} returned that is another object"
        changed = [name for name, value in properties(weight).items() if value != before[name]]
        assert not changed, f"shape {shape}: {', '.join(changed)} changed"

    settle(findings, findings.asked(PLACE), stays, EXAMPLES, shape=shapes(case.subject.layout))


def properties(weight: torch.Tensor) -> dict[str, Any]:
    """Properties that must not change."""
    return {
        "storage": weight.data_ptr(),
        "offset": weight.storage_offset(),
        "shape": weight.shape,
        "strides": weight.stride(),
        "dtype": weight.dtype,
        "device": weight.device,
    }


@asks_exactly(WRITTEN, about=layouts)
def test_every_element_is_written(case: Case, findings: Findings, target: Target) -> None:
    def is_written(shape: tuple[int, ...]) -> None:
        for fill in (math.nan, SENTINEL):
            weight = cut(msgspec.structs.replace(case.subject, shape=shape), fill).weight
            initialize(weight, case.subject, target)
            left = int((~torch.isfinite(weight) | (weight == SENTINEL)).sum())
            assert not left, f"shape {shape}: {left} of {weight.numel()} elements are unwritten or not finite"

    settle(findings, findings.asked(WRITTEN), is_written, EXAMPLES, shape=shapes(case.subject.layout))


@asks_exactly(NEIGHBOURS, about=[fields for fields in layouts if fields["layout"] != "contiguous"])
def test_what_lies_beside_a_weight_is_left_alone(case: Case, findings: Findings, target: Target) -> None:
    def is_left_alone(shape: tuple[int, ...]) -> None:
        piece = cut(msgspec.structs.replace(case.subject, shape=shape), SENTINEL)
        initialize(piece.weight, case.subject, target)
        touched = int((piece.neighbours() != SENTINEL).sum())
        assert not touched, f"shape {shape}: {touched} elements beside the weight were written to"

    settle(findings, findings.asked(NEIGHBOURS), is_left_alone, EXAMPLES, shape=shapes(case.subject.layout))


def law_cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in devices:
        for initializer in KAIMING:
            for layout in LAW_LAYOUTS:
                for dtype in DTYPES:
                    subject = Subject(initializer, LAW_SHAPE, dtype, nonlinearity="relu", layout=layout, device=device)
                    draws, resolution = draws_for(subject, LAW_RESOLUTION)
                    yield Case(family=LAYOUT_LAW, subject=subject, draws=draws, resolution=resolution)


@asks(LAYOUT_LAW, law_cases, marginal_questions)
def test_weights_of_every_layout_follow_the_promised_law(case: Case, findings: Findings, target: Target) -> None:
    def gather(draws: int, seed: int) -> Sketch:
        return draw(case.subject, draws, seed, target)

    judge_what_is_drawn(findings, gather)
