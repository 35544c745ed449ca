"""Checkpoints: what is saved from one layout has the same bits in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fixtures.record.kinds import Checkpoint, ShardLayout
from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import Subject
from fixtures.sharded.checkpoints import save_and_load
from suites.framework.exact_claims import exact_case, settle
from suites.framework.findings import Findings
from suites.framework.questions import asks
from suites.sharded.subjects import RANKS, SHAPE, SIDE, on_which

CHECKPOINT = "sharded.checkpoint"

ASKED: tuple[tuple[ShardLayout, ShardLayout, tuple[int, int]], ...] = (
    # saved, loaded, shape
    ("rows", "columns", SHAPE),
    ("fsdp", "rows", SHAPE),
    ("grid", "hybrid", SHAPE),
    ("columns", "fsdp", (SIDE - 1, SIDE)),
    ("row_parallel", "replicas", SHAPE),
)


def cases(tier: str, run_seed: int, devices: tuple[str, ...]) -> Iterator[Case]:
    for device in on_which(devices):
        for saved, loaded, shape in ASKED:
            path = str(Checkpoint(saved, loaded, RANKS))
            subject = Subject("nn.Linear", shape, "float32", None, None, None, device=device, path=path)
            yield exact_case(CHECKPOINT, subject)


def questions(subject: Subject) -> list[Question[Any]]:
    what = subject.expect(Checkpoint)
    statement = f"weights that are saved from {what.saved} are loaded into {what.loaded} bit for bit"
    return [Question(f"{CHECKPOINT}.bits", statement)]


@asks(CHECKPOINT, cases, questions)
def test_a_checkpoint_has_the_same_bits_in_another_layout(
    case: Case, findings: Findings, ask: Callable[..., Any]
) -> None:
    def is_the_same() -> None:
        words = ask(save_and_load, case.subject, findings.seed("weights"))
        assert words is None, words

    (question,) = findings.questions
    settle(findings, question, is_the_same)
