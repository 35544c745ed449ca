"""One step is right: forward, loss, backward and update against float64, each link on what it was really given."""

from __future__ import annotations

from fixtures.record.plan import Case
from fixtures.rounding.comparison import Compared
from fixtures.rounding.precision import autocast
from fixtures.target.arithmetic import arithmetic_of
from fixtures.training.steps import AUTOCAST, DEFAULT, IMPLEMENTATIONS, step_findings
from suites.framework.asking import ExactQuestion, asks
from suites.framework.refuting import counterexample
from suites.training.subjects import CONVOLUTIONAL, DEEP, TUTORIAL, step_subject

FORWARD, LOSS, BACKWARD = "training.step.forward", "training.step.loss", "training.step.backward"
UPDATES = {DEFAULT: "training.step.update", "foreach": "training.step.foreach", "fused": "training.step.fused"}

ROUNDS = {"quick": 1, "full": 4, "soak": 16}
"""How often everything is tried, on fresh weights and data."""

OPTIMIZERS = (
    "SGD(lr=0.01)",
    "SGD(lr=0.01, momentum=0.9, weight_decay=0.01)",
    "Adam(lr=0.001)",
    "AdamW(lr=0.001, weight_decay=0.1)",
)
"""Rates at which 50 layers without normalization do not explode in three steps; the decay is large enough for one step
to move a weight by hundreds of its roundings in float32."""

MISSING = "this release of torch lacks autocast here"
LACKING = "this release of torch lacks the implementation"


def subjects(devices):
    """Every optimizer on every network in float32, the others of autocast and bfloat16 in turn."""
    for device in devices:
        arithmetic = arithmetic_of(device)
        networks = (TUTORIAL, DEEP, *([CONVOLUTIONAL] if arithmetic.multiplies_what_it_is_given else []))
        for optimizer in OPTIMIZERS:
            for network in networks:
                yield step_subject(optimizer, network, "float32", device)
        if arithmetic.sums_half_types_in_float32:
            for network in networks:
                for optimizer in (OPTIMIZERS[1], OPTIMIZERS[3]):
                    yield step_subject(optimizer, network, "bfloat16", device)
                yield step_subject(OPTIMIZERS[2], AUTOCAST + network, "bfloat16", device)


def cases(tier, run_seed, devices):
    return [Case(family=FORWARD, subject=subject, draws=ROUNDS[tier], resolution=0.0) for subject in subjects(devices)]


def questions(subject):
    network = subject.path.removeprefix(AUTOCAST)
    how = f"under autocast to {subject.dtype}" if network != subject.path else f"in {subject.dtype}"
    name = f"three steps of {subject.initializer} on the {network} network {how}"
    return [
        ExactQuestion(FORWARD, f"{name}: every module's output is what it should be, up to its rounding"),
        ExactQuestion(LOSS, f"{name}: the loss and its gradient are what they should be, up to their rounding"),
        ExactQuestion(BACKWARD, f"{name}: every gradient of an input or parameter is that of this pass alone"),
        ExactQuestion(UPDATES[DEFAULT], f"{name}: the optimizer updates as documented, up to its rounding"),
        *(
            ExactQuestion(UPDATES[other], f"{name}: with {other}=True the optimizer does what it does by default")
            for other in IMPLEMENTATIONS
        ),
    ]


@asks(FORWARD, cases, questions)
def test_a_step_is_what_it_should_be(case, findings):
    asked = questions(case.subject)
    if case.subject.path.startswith(AUTOCAST) and not autocast(case.subject.device, case.subject.dtype).exists:
        findings.no_evidence(asked, MISSING)
        return
    rounds = []
    words = counterexample(
        lambda: rounds.extend(step_findings(case.subject, findings.seed(str(number))) for number in range(case.draws))
    )
    if words:
        for question in asked:
            findings.exact(question, words, 1)
        return
    columns = [
        [found.forward for found in rounds],
        [found.loss for found in rounds],
        [found.backward for found in rounds],
        *([found.updates[name] for found in rounds] for name in UPDATES),
    ]
    equal = {name: f"{share:.2%} equal to the last bit" for name, share in rounds[0].equal.items()}
    notes = [None, None, None, *map(equal.get, UPDATES)]
    for question, column, note in zip(asked, columns, notes, strict=True):
        if None in column:
            findings.no_evidence([question], LACKING)
            continue
        found = Compared.of(column)
        findings.exact(question, found.counterexample, found.tried, note=note, effect=found.effect)
