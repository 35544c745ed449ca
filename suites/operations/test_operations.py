"""Every operation of the table in every dtype: values and gradients within rounding, whatever the memory held."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fixtures.operations.operation import Found, found_of
from fixtures.operations.table import OPERATIONS
from fixtures.record.kinds import Operation
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import DTYPES, Subject
from fixtures.rounding.comparison import Compared
from fixtures.rounding.precision import exactly
from fixtures.target.arithmetic import arithmetic_of
from suites.framework.exact_claims import Inconclusive
from suites.framework.findings import Findings
from suites.framework.links import settle_all, told
from suites.framework.questions import asks

CASES = "operations.table"

SETTINGS = {"quick": 2, "full": 40, "soak": 400}
"""Settings of each operation in each dtype and space of inputs: 0.01 s each, so that quick takes ten seconds."""

MISSING = "this release of torch lacks the operation"

SAYS = {
    "values": "gives what float64 makes of it, up to the rounding of its steps",
    "gradients": "sends back gradients that float64 makes of it, up to the rounding of their steps",
    "memory": "gives the same bits whatever memory held, and leaves its operands as they were",
}
"""Claims about an operation; their families are operations.<group>.<claim>."""


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    """Every operation in every dtype and space of inputs."""
    for device in devices:
        arithmetic = arithmetic_of(device)
        dtypes = DTYPES if arithmetic.has_float64 and arithmetic.can_sum_half_types_in_float32 else ("float32",)
        for operation in OPERATIONS.values():
            for dtype in dtypes:
                for space in operation.spaces:
                    subject = Subject.of(Operation(name=operation.name, inputs=space), dtype=dtype, device=device)
                    yield Case(family=CASES, subject=subject, draws=SETTINGS[tier], resolution=0.0)


def questions(subject: Subject) -> list[Question[Any]]:
    """Values, gradients where there are any, memory."""
    what = subject.expect(Operation)
    operation = OPERATIONS[what.name]
    name = f"{what.name} of {what.inputs} inputs in {subject.dtype}"
    return [
        Question(f"operations.{operation.group}.{claim}", says).about(name)
        for claim, says in SAYS.items()
        if operation.differentiable or claim != "gradients"
    ]


@asks(CASES, cases, questions)
def test_an_operation_is_what_float64_makes_of_it(case: Case, findings: Findings) -> None:
    subject = case.subject
    what = subject.expect(Operation)
    operation = OPERATIONS[what.name]
    if not operation.exists():
        findings.no_evidence(MISSING)
        return

    def read(found: Found) -> tuple[Compared, ...]:
        return (found.values, *([found.gradients] if found.gradients else []), told(found.memory, 2))

    def find(seed: int) -> Found:
        try:
            with exactly(subject.device):
                return found_of(operation, seed, subject.dtype, what.inputs, subject.device)
        except RuntimeError as error:  # NotImplementedError among them
            if found := re.search(r'"\w+" not implemented for \'\w+\'', str(error)):
                raise Inconclusive(f"this release of torch lacks it: {found[0]}") from None
            raise

    settle_all(findings, find, read)
