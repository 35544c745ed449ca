"""Policies: what they change, what each mistake in one is told, and what a verdict makes of them."""

from __future__ import annotations

import pytest

from fixtures.rules.policy import DEFAULT_POLICY, PolicyError, Severity, default_policy, read_policy
from reports.comparison.changes import Change
from reports.verdict.gate import gate
from reports.verdict.reasons import Outcome
from suites.machinery.making.runs import claim, environment, run, undecided, violated


@pytest.fixture
def policy(tmp_path):
    """Read a policy of these lines."""

    def read(text):
        path = tmp_path / "policy.toml"
        path.write_text(text)
        return read_policy(path)

    return read


def test_an_empty_policy_is_the_default_one(policy):
    assert policy("") == default_policy()


def test_the_printed_policy_is_the_default_one(policy):
    assert policy(DEFAULT_POLICY.read_text(encoding="utf-8")) == default_policy()


def test_a_policy_changes_what_it_names_and_nothing_else(policy):
    changed = policy('[conformance]\nlost = "stop"\n')

    assert changed.severity("conformance.lost") is Severity.STOP
    assert changed.drift == default_policy().drift
    assert changed.conformance.new is Severity.STOP


def test_margins_of_ones_own_come_before_those_of_the_default_policy(policy):
    of = policy('[speed.margins]\n"init/trunc_*/8x8" = 0.5\n"construct/*" = 0.1\n"train/*" = 0.2\n').speed.margin_of

    assert (of("init/trunc_normal_/8x8"), of("construct/deep"), of("train/deep/step")) == (0.5, 0.1, 0.2)
    assert of("init/trunc_normal_/4x4") == default_policy().speed.margin_of("init/trunc_normal_/4x4") == 0.25
    assert policy('[speed.margins]\n"*" = 0.3\n').speed.margin_of("construct/deep") == 0.3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[conformanec]\n", "unknown key 'conformanec'; did you mean 'conformance'?"),
        (
            "[weather]\n",
            "unknown key 'weather'; accepted: completeness, conformance, drift, model, speed, surroundings",
        ),
        ('[drift]\nlaws = "stop"\n', "drift: unknown key 'laws'; did you mean 'law'?"),
        ('drift = "stop"\n', "drift is a table: [drift]"),
        ('[drift]\nlaw = "halt"\n', "Invalid enum value 'halt' - at `$.drift.law`"),
        ("[drift]\nlaw = 1\n", "Expected `str`, got `int` - at `$.drift.law`"),
        ('[completeness]\nunanswered = "ignore"\n', "stop, no evidence and notice are accepted, not ignore"),
        ("[speed]\nmargin = -0.1\n", "speed: margin = -0.1: a share such as 0.1 is accepted"),
        ("[speed]\nmargin = nan\n", "speed: margin = nan: a share such as 0.1 is accepted"),
        ("[speed]\nlimits = [300, 150]\n", "speed: limits = 300,150 is not FIRST or FIRST,LAST: seconds above 0"),
        ('[speed.margins]\n"init/*" = 11\n', "speed: init/* = 11: a share such as 0.1 is accepted"),
        ('[speed]\nrequired = "init/*"\n', "Expected `array | null`, got `str` - at `$.speed.required`"),
        ("[drift\n", "not valid TOML"),
    ],
)
def test_a_mistake_is_told_in_one_line(policy, tmp_path, text, said):
    with pytest.raises(PolicyError) as error:
        policy(text)

    assert said in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'policy.toml'}: ")
    assert "\n" not in str(error.value)


def test_a_policy_that_is_not_there_is_told(tmp_path):
    with pytest.raises(PolicyError, match="cannot be read"):
        read_policy(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "kind", [*filter(None, (kind.policy_key for kind in Change)), "drift.stream", "completeness.left_out"]
)
def test_every_kind_of_reason_has_a_severity(kind):
    assert default_policy().severity(kind) in Severity


@pytest.mark.parametrize(
    ("severity", "outcome"), [("stop", Outcome.STOP), ("notice", Outcome.NOTICE), ("ignore", Outcome.PASS)]
)
def test_the_verdict_follows_the_policy(policy, severity, outcome):
    before, after = run(claim(), claim(dtype="bfloat16")), run(claim(), undecided(dtype="bfloat16"))

    verdict = gate(before, after, policy=policy(f'[conformance]\nlost = "{severity}"\n'))

    assert verdict.outcome is outcome


def test_what_nobody_could_decide_is_not_a_matter_of_policy(policy):
    ignoring = "".join(f'{key} = "ignore"\n' for key in ("new", "worse", "unregistered", "registered", "lost"))
    verdict = gate(run(undecided()), run(undecided()), policy=policy(f"[conformance]\n{ignoring}"))

    assert verdict.outcome is Outcome.NO_EVIDENCE


def test_surroundings_may_stop(policy):
    after = run(claim(), environment=environment("2.14.1+cpu", python="3.12.1"))

    assert gate(run(claim()), after, policy=policy('[surroundings]\npython = "stop"\n')).outcome is Outcome.STOP


def test_a_new_violation_that_is_ignored_is_still_written_down(policy):
    verdict = gate(run(claim()), run(violated()), policy=policy('[conformance]\nnew = "ignore"\n'))

    assert verdict.outcome is Outcome.PASS
    assert [change.id for change in verdict.changes] == [claim().id]
