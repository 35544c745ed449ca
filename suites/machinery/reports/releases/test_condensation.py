"""Records of releases beside the runs that they were made of: the same verdicts in the same words."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from fixtures.record.claim import Effect, Unit, Verdict
from fixtures.record.interface import Interface, Parameter
from fixtures.record.release_record import Cost
from fixtures.record.run_folder import RecordError
from fixtures.record.schema import SCHEMA
from fixtures.rules.known_violations import KNOWN_VIOLATIONS, read_known
from fixtures.words.phrases import size
from reports.releases.condensation import Uncondensable, condense, printed, questions_of
from reports.releases.expansion import expand
from reports.verdict.gate import gate
from suites.machinery.making.releases import KEY, answering, asked, not_installed
from suites.machinery.making.runs import claim, contract, failure, plan, run, subject, undecided, violated

UNIFORM = {"subject": subject("bfloat16", initializer="kaiming_uniform_")}
HELD = claim("weights.marginal.location", effect=Effect(-0.012_345, Unit.STD, 0.012_345), p=0.123_45)
CLAIMS = (
    HELD,
    violated("weights.marginal.shape", effect=Effect(-0.712_345_6, Unit.STD, 0.0123_456), where="row 7", note="a note"),
    violated("weights.marginal.location", percent=-0.9, known="half-uniform-upper-end", **UNIFORM),
    contract(Verdict.VIOLATED, "raised ValueError: no", subject=subject("float16")),
    contract(subject=subject("float64"), note="a fact"),
    undecided(family="weights.marginal.zeros"),
)
INTERFACE = Interface(
    schema=SCHEMA, functions={"kaiming_normal_": (Parameter("tensor", "positional or keyword"),)}, answers={}
)


def there_and_back(made, release="2.13.0", questions=None):
    """The run that is read from the record of a run."""
    questions = questions or questions_of(made, KEY)
    record = condense(made, release, KEY, questions, Cost())
    assert msgspec.json.decode(msgspec.json.encode(record), type=type(record)) == record
    return expand(record, questions, read_known(KNOWN_VIOLATIONS))


def test_a_run_comes_back_but_for_the_digits_that_nobody_reads():
    made = dataclasses.replace(
        answering("2.13.0", *CLAIMS), digests={"a": "b"}, interface=INTERFACE, sketches={"x": [1]}
    )
    back = there_and_back(made)

    assert (back.plan, back.environment, back.digests, back.interface) == (
        made.plan,
        made.environment,
        made.digests,
        made.interface,
    )
    assert not back.sketches
    assert back.ended
    for before in made.claims.values():
        after = back.claims[before.id]
        kept = msgspec.structs.replace(before, seed=None, seconds=0.0)
        rounded = {
            HELD.id: {"effect": Effect(-0.0123, Unit.STD, 0.0123), "p": 0.12},
            CLAIMS[1].id: {"effect": Effect(-0.712_345_6, Unit.STD, 0.0123)},
        }
        assert after == msgspec.structs.replace(kept, **rounded.get(before.id, {}))


@pytest.mark.parametrize("value", [0.0, -0.012_345, 1.0, 998.6, -1234.56, 999_999.4, 1.234_567e6, 1.234_567e-12])
def test_a_rounded_size_is_printed_as_the_whole_one(value):
    assert size(Effect(printed(value), Unit.OF_STD)) == size(Effect(value, Unit.OF_STD))


def test_two_records_are_gated_as_their_runs_are():
    mended = (claim("weights.marginal.shape"), *CLAIMS[:1], *CLAIMS[2:])
    runs = answering("2.13.0", *CLAIMS), answering("2.14.1", *mended, of=CLAIMS)
    questions = questions_of(runs[0], KEY)
    records = [there_and_back(made, made.torch_version, questions) for made in runs]
    whole, kept = gate(*runs), gate(*records)

    assert kept.reasons == whole.reasons
    assert kept.false_alarms == whole.false_alarms
    assert [(one.id, one.change) for one in kept.changes] == [(one.id, one.change) for one in whole.changes]
    assert len(kept.changes) > 2


def test_a_release_states_a_claim_in_its_own_words():
    questions = questions_of(answering("2.13.0", *CLAIMS), KEY)
    other = msgspec.structs.replace(HELD, statement="the mean is 0, as 2.2.2 says")
    back = there_and_back(answering("2.2.2", other, *CLAIMS[1:]), "2.2.2", questions)

    assert back.claims[HELD.id].statement == other.statement
    assert back.claims[CLAIMS[1].id].statement == CLAIMS[1].statement


def test_a_registered_violation_is_told_by_the_rules_of_today():
    made = answering("2.13.0", *CLAIMS)
    questions = questions_of(made, KEY)
    record = condense(made, "2.13.0", KEY, questions, Cost())

    assert expand(record, questions, ()).claims[CLAIMS[2].id].known is None


def test_a_run_that_crashed_keeps_what_it_answered():
    made = dataclasses.replace(answering("2.3.1", *CLAIMS[:2], of=CLAIMS), failure=failure(), ended=False)
    back = there_and_back(made, "2.3.1")

    assert list(back.claims) == [claim.id for claim in CLAIMS[:2]]
    assert back.failure == dataclasses.replace(failure(), tail=())
    assert not back.ended


def test_a_release_that_was_not_installed_says_why_and_no_more():
    record = condense(not_installed("2.1.0"), "2.1.0", KEY, None, Cost())

    assert record.failure.reason == "torch==2.1.0 was not found: pip has nothing to install"
    assert b"index.example" not in msgspec.json.encode(record)
    assert not record.answers


def test_a_run_that_asked_nothing_is_no_success():
    made = run(plan=plan(()))
    assert questions_of(made, KEY) is None
    assert condense(made, "2.13.0", KEY, None, Cost()).failure.reason == "the run ended, and nothing was asked"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"key": "other"}, f"was asked by other suites (other) than {KEY}"),
        ({"answers": (None,)}, "1 answers to 6 planned claims"),
    ],
)
def test_answers_to_other_questions_are_refused(fields, says):
    made = answering("2.13.0", *CLAIMS)
    questions = questions_of(made, KEY)
    record = msgspec.structs.replace(condense(made, "2.13.0", KEY, questions, Cost()), **fields)

    with pytest.raises(RecordError) as error:
        expand(record, questions, ())
    assert str(error.value) == f"the record of 2.13.0: {says}"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"seed": 18}, "its seed are not those"),
        ({"tier": "full"}, "its tier are not those"),
        ({"cases": ()}, "its cases are not those"),
        ({"selection": "relu"}, "its selection are not those"),
        ({"claims": ("weights.more/x",)}, "makes claims that no other release makes, such as weights.more/x"),
    ],
)
def test_another_plan_is_refused(fields, says):
    questions = questions_of(answering("2.13.0", *CLAIMS), KEY)
    other = msgspec.structs.replace(asked(*CLAIMS)["plan"], **fields)

    with pytest.raises(Uncondensable, match=says):
        condense(run(*CLAIMS, plan=other), "2.6.0", KEY, questions, Cost())
