"""Sources of random numbers: the seed decides the weights, bit for bit, and no other stream is touched."""

from __future__ import annotations

from operator import eq

import torch

from fixtures.record.plan import Case
from fixtures.record.question import Question
from fixtures.record.subject import DTYPES
from fixtures.target.target import Target
from fixtures.target.threads import using
from fixtures.weights.streams import Stream, takes_generator
from suites.framework.exact_claims import asks_exactly, settle
from suites.framework.findings import Findings

SIZES = ((3, 5), (4, 4), (17, 1), (181, 200))
"""15, 16 and 17 weights (torch vectorizes from 16 on, in blocks of 16), and 36 200, more than the 32 768 (torch's
GRAIN_SIZE) from which on torch may share an operation among threads."""

THREADS = (1, 2, 3)
"""One, two, and a number that divides no size of ours."""

SEED_BITS = 32
"""Bits of a seed that count: all that torch's CPU generator (mt19937) takes, of the 64 that are documented."""

CALLS = 3
"""A call may differ from the first by what the first has left behind; the third tells whether it alternates."""

REPEATED = Question[None]("weights.determinism.seed", "gives the same weights, bit for bit, after the same manual_seed")
SEEDED = Question[None]("weights.determinism.other_seed", "gives other weights after another manual_seed")
BITS = Question[None](
    "weights.determinism.seed_bits", "gives other weights after a seed of which any one of 32 bits differs"
)
SUCCESSIVE = Question[None]("weights.determinism.successive", "gives other weights at each call")
STATE = Question[None]("weights.determinism.state", "repeats its weights from a restored generator state")
FORKED = Question[None]("weights.determinism.fork", "keeps to its stream in and after fork_rng")
THREADED = Question[None]("weights.determinism.threads", "gives the same weights with 1, 2 and 3 threads")
DEFAULT = Question[None]("weights.determinism.default", "draws from the default generator, and from no other")
GENERATOR = Question[None]("weights.determinism.generator", "draws from the generator that it is given")
ALONE = Question[None](
    "weights.determinism.default_alone", "leaves the default generator alone where it is given another"
)

ABOUT = [{"shape": shape, "dtype": dtype} for shape in SIZES for dtype in DTYPES]


@asks_exactly(REPEATED, SEEDED, SUCCESSIVE, about=ABOUT)
def test_the_seed_decides_the_weights(case: Case, findings: Findings, target: Target) -> None:
    stream = Stream(case.subject, target)
    seed, other_seed = findings.seed("one"), findings.seed("another")

    def repeats() -> None:
        drawn = [stream.bytes(seed) for _ in range(CALLS)]
        assert drawn.count(drawn[0]) == CALLS, "the same seed gave other weights"

    def differs_by_seed() -> None:
        assert stream.bytes(seed) != stream.bytes(other_seed), f"seeds {seed} and {other_seed} gave the same weights"

    def differs_by_call() -> None:
        drawn = [stream.bytes(seed), *(stream.bytes() for _ in range(CALLS - 1))]
        assert len(set(drawn)) == CALLS, "two calls in a row gave the same weights"

    settle(findings, findings.asked(REPEATED), repeats)
    settle(findings, findings.asked(SEEDED), differs_by_seed)
    settle(findings, findings.asked(SUCCESSIVE), differs_by_call)


@asks_exactly(BITS, about=[{"shape": SIZES[0], "dtype": "float32"}])
def test_every_bit_of_the_seed_counts(case: Case, findings: Findings, target: Target) -> None:
    stream, seed = Stream(case.subject, target), findings.seed("one")

    def differs_by_bit() -> None:
        seed_of: dict[bytes, int] = {}
        for other_seed in (seed, *(seed ^ 1 << bit for bit in range(SEED_BITS))):
            known = seed_of.setdefault(stream.bytes(other_seed), other_seed)
            assert known == other_seed, f"seeds {known} and {other_seed} gave the same weights"

    settle(findings, findings.asked(BITS), differs_by_bit)


@asks_exactly(STATE, FORKED, about=ABOUT)
def test_the_stream_can_be_left_and_taken_up_again(case: Case, findings: Findings, target: Target) -> None:
    stream = Stream(case.subject, target)
    seed, other_seed = findings.seed("one"), findings.seed("another")

    def repeats_from_a_state() -> None:
        stream.bytes(seed)
        state = stream.state()
        first = stream.bytes()
        stream.restore(state)
        assert eq(stream.bytes(), first), "the same state gave other weights"

    def keeps_to_the_stream() -> None:
        expected = [stream.bytes(seed), stream.bytes()]
        first = stream.bytes(seed)
        with stream.forked():
            assert eq(stream.bytes(seed), first), "the same seed gave other weights in fork_rng"
            stream.bytes(other_seed)
        assert eq([first, stream.bytes()], expected), "what was drawn in fork_rng changed the stream outside"

    settle(findings, findings.asked(STATE), repeats_from_a_state)
    settle(findings, findings.asked(FORKED), keeps_to_the_stream)


@asks_exactly(THREADED, about=ABOUT, on="cpu")
def test_the_number_of_threads_changes_nothing(case: Case, findings: Findings, target: Target) -> None:
    stream = Stream(case.subject, target)

    def changes_nothing() -> None:
        drawn = {}
        for number in THREADS:
            with using(number):
                drawn[number] = stream.bytes(findings.seed("one"))
        for number, weights in drawn.items():
            assert eq(weights, drawn[1]), f"{number} threads gave other weights than 1"

    settle(findings, findings.asked(THREADED), changes_nothing)


@asks_exactly(DEFAULT, GENERATOR, ALONE, about=ABOUT)
def test_one_generator_is_drawn_from_and_no_other(case: Case, findings: Findings, target: Target) -> None:
    stream = Stream(case.subject, target)
    seed, other_seed = findings.seed("one"), findings.seed("another")

    def draws_from_the_default() -> None:
        bystander = stream.generator(seed)
        before, beside = stream.state(), bystander.get_state()
        stream.bytes()
        assert not torch.equal(stream.state(), before), "the default generator's state is as before"
        assert torch.equal(bystander.get_state(), beside), "a generator that was not given has changed its state"

    def draws_from_the_given() -> None:
        generator = stream.generator(seed)
        first, second = stream.bytes(generator=generator), stream.bytes(generator=generator)
        assert first != second, "two calls with the same generator gave the same weights"
        assert eq(stream.bytes(generator=stream.generator(seed)), first), "generators of one seed gave other weights"
        assert stream.bytes(generator=stream.generator(other_seed)) != first, "generators of two seeds gave the same"

    def leaves_the_default_alone() -> None:
        before = stream.state()
        stream.bytes(generator=stream.generator(seed))
        assert torch.equal(stream.state(), before), "the default generator has changed its state"

    settle(findings, findings.asked(DEFAULT), draws_from_the_default)
    of_the_parameter = (GENERATOR, draws_from_the_given), (ALONE, leaves_the_default_alone)
    if not takes_generator(getattr(target, case.subject.initializer)):
        reason = f"{case.subject.initializer} has no parameter 'generator' here"
        findings.no_evidence(reason, [findings.asked(claim) for claim, _ in of_the_parameter])
        return
    for claim, check in of_the_parameter:
        settle(findings, findings.asked(claim), check)
