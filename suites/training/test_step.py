"""One step is right: forward, loss, backward and update against float64, each link on what it was really given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from fixtures.record.kinds import Optimizer
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.rounding.comparison import Compared
from fixtures.rounding.precision import autocast, exactly
from fixtures.target.arithmetic import arithmetic_of
from fixtures.training.steps import CAPTURABLE, DEFAULT, StepFindings, implementations, step_findings
from suites.framework.exact_claims import counterexample
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.training.subjects import CONVOLUTIONAL, DEEP, TUTORIAL

FORWARD, LOSS, BACKWARD = "training.step.forward", "training.step.loss", "training.step.backward"
UPDATES = {
    DEFAULT: "training.step.update",
    "foreach": "training.step.foreach",
    "fused": "training.step.fused",
    CAPTURABLE: "training.step.capturable",
}

ROUNDS = {"quick": 1, "full": 4, "soak": 16}
"""Rounds by tier, each on fresh weights and data."""

OPTIMIZERS = (
    Optimizer("SGD", 0.01),
    Optimizer("SGD", 0.01, momentum=0.9, weight_decay=0.01),
    Optimizer("Adam", 0.001),
    Optimizer("AdamW", 0.001, weight_decay=0.1),
)
"""Rates at which 50 layers without normalization do not explode in three steps; the decay is large enough for one step
to move a weight by hundreds of its roundings in float32."""

MISSING = "this release of torch lacks autocast here"
LACKING = "this release of torch lacks the implementation"


def subjects(devices: tuple[str, ...]) -> Iterator[Subject]:
    """Every optimizer on every network in float32, the others of autocast and bfloat16 in turn."""
    for device in devices:
        arithmetic = arithmetic_of(device)
        networks = (TUTORIAL, DEEP, *([CONVOLUTIONAL] if arithmetic.multiplies_what_it_is_given else []))
        for optimizer in OPTIMIZERS:
            for network in networks:
                yield Subject.of(replace(optimizer, network=network), device=device)
        if arithmetic.can_sum_half_types_in_float32:
            for network in networks:
                for optimizer in (OPTIMIZERS[1], OPTIMIZERS[3]):
                    yield Subject.of(replace(optimizer, network=network), dtype="bfloat16", device=device)
                casting = replace(OPTIMIZERS[2], network=network, autocast=True)
                for dtype in ("bfloat16", *(["float16"] if arithmetic.scales_losses else [])):
                    yield Subject.of(casting, dtype=dtype, device=device)


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> list[Case]:
    return [Case(family=FORWARD, subject=subject, draws=ROUNDS[tier], resolution=0.0) for subject in subjects(devices)]


def questions(subject: Subject) -> Iterable[Question[Any]]:
    optimizer = subject.expect(Optimizer)
    how = f"under autocast to {subject.dtype}" if optimizer.autocast else f"in {subject.dtype}"
    how += ", the loss scaled" if optimizer.autocast and subject.dtype == "float16" else ""
    name = f"three steps of {optimizer.initializer} on the {optimizer.network} network {how}"
    return [
        Question(FORWARD, f"{name}: every module's output is what it should be, up to its rounding"),
        Question(LOSS, f"{name}: the loss and its gradient are what they should be, up to their rounding"),
        Question(BACKWARD, f"{name}: every gradient of an input or parameter is that of this pass alone"),
        Question(UPDATES[DEFAULT], f"{name}: the optimizer updates as documented, up to its rounding"),
        *(
            Question(UPDATES[other], f"{name}: with {other}=True the optimizer does what it does by default")
            for other in implementations(subject)
        ),
    ]


@asks(FORWARD, cases, questions)
def test_a_step_is_what_it_should_be(case: Case, findings: Findings) -> None:
    casts = case.subject.expect(Optimizer).autocast
    if casts and not autocast(case.subject.device, case.subject.dtype).exists:
        findings.no_evidence(MISSING)
        return
    rounds: list[StepFindings] = []

    def take_the_steps() -> None:
        with exactly(case.subject.device):
            rounds.extend(step_findings(case.subject, findings.seed(str(number))) for number in range(case.draws))

    words = counterexample(take_the_steps)
    if words:
        for question in findings.questions:
            findings.exact(question, words, 1)
        return
    asked = [DEFAULT, *implementations(case.subject)]
    columns: list[list[Compared | None]] = [
        [found.forward for found in rounds],
        [found.loss for found in rounds],
        [found.backward for found in rounds],
        *([found.updates[name] for found in rounds] for name in asked),
    ]
    equal = {name: f"{share:.2%} equal to the last bit" for name, share in rounds[0].equal.items()}
    notes = [None, None, None, *map(equal.get, asked)]
    for question, column, note in zip(findings.questions, columns, notes, strict=True):
        compared = [each for each in column if each is not None]
        if len(compared) < len(column):
            findings.no_evidence(LACKING, [question])
            continue
        found = Compared.of(compared)
        findings.exact(question, found.counterexample, found.tried, note=note, effect=found.effect)
