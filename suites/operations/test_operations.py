"""Every operation of the table in every dtype: values and gradients within rounding, whatever the memory held."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from fixtures.operations.operation import WIDTH, Found
from fixtures.operations.table import OPERATIONS, found_in
from fixtures.record.choices import TIERS
from fixtures.record.kinds import Operation
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import DTYPES, Subject
from fixtures.rounding.comparison import Compared
from fixtures.target.arithmetic import arithmetic_of
from fixtures.target.instruction_sets import instruction_sets
from fixtures.target.other_processes import Fell
from suites.framework.exact_claims import Inconclusive
from suites.framework.findings import Findings
from suites.framework.links import settle_all, told
from suites.framework.questions import asks

CASES = "operations.table"

SETTINGS = {"quick": 2, "full": 40, "soak": 400}
"""Settings of each operation in each dtype and space of inputs: 0.01 s each, so that quick takes ten seconds."""

LESSER = 0.5
"""Share of the settings that each lesser instruction set is asked. The quick tier asks it about one space of inputs,
ordinary ones, so that both of them take as long as the processor's own."""

MISSING = "this release of torch lacks the operation"

SAYS = {
    "values": "gives what float64 makes of it, up to the rounding of its steps",
    "gradients": "sends back gradients that float64 makes of it, up to the rounding of their steps",
    "memory": "gives the same bits whatever memory held, and leaves its operands as they were",
    "places": "gives the same at every place of a tensor, at NaN, infinities, kinks and the ends of the dtype, too",
}
"""Claims about an operation; their families are operations.<group>.<claim>."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Every operation in every dtype and space of inputs; on a processor also by lesser instruction sets."""
    for device in devices:
        arithmetic = arithmetic_of(device)
        dtypes = DTYPES if arithmetic.has_float64 and arithmetic.can_sum_half_types_in_float32 else ("float32",)
        for isa in (None, *(instruction_sets() if device == "cpu" else ())):
            for operation in OPERATIONS.values():
                spaces = operation.spaces[:1] if isa and tier == TIERS[0] else operation.spaces
                for dtype, space in itertools.product(dtypes, spaces):
                    what = Operation(name=operation.name, inputs=space, isa=isa)
                    subject = Subject.of(what, dtype=dtype, device=device)
                    draws = math.ceil(SETTINGS[tier] * (LESSER if isa else 1))
                    yield Case(family=CASES, subject=subject, draws=draws, resolution=0.0)


def questions(subject: Subject) -> list[Question[Any]]:
    """Values, gradients where there are any, memory, and places of what is a function of elements."""
    what = subject.expect(Operation)
    operation = OPERATIONS[what.name]
    name = f"{what.name} of {what.inputs} inputs in {subject.dtype}" + (f" by {what.isa.upper()}" if what.isa else "")
    return [
        Question(f"operations.{operation.group}.{claim}", says).about(name)
        for claim, says in SAYS.items()
        if {"gradients": operation.differentiable, "places": operation.elementwise}.get(claim, True)
    ]


@asks(CASES, cases, questions)
def test_an_operation_is_what_float64_makes_of_it(case: Case, findings: Findings, under: Callable[..., Found]) -> None:
    subject = case.subject
    what = subject.expect(Operation)
    operation = OPERATIONS[what.name]
    if not operation.exists():
        findings.no_evidence(MISSING)
        return

    def read(found: Found) -> tuple[Compared, ...]:
        answers = [found.values, found.gradients, told(found.memory, 2)]
        return tuple(filter(None, [*answers, told(found.places, WIDTH) if operation.elementwise else None]))

    def find(seed: int) -> Found:
        try:
            return under(what.isa, found_in, what.name, seed, subject.dtype, what.inputs, subject.device)
        except (RuntimeError, Fell) as error:  # NotImplementedError among them
            if found := re.search(r'"\w+" not implemented for \'\w+\'', str(error)):
                raise Inconclusive(f"this release of torch lacks it: {found[0]}") from None
            raise

    settle_all(findings, find, read)
