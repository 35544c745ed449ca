"""Known violations: what an entry covers, and one line on a file that cannot be used."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from fixtures.record.claim import Effect, Unit, Verdict
from fixtures.rules.known_violations import (
    KNOWN_VIOLATIONS,
    MODEL,
    NAME,
    WITNESSES,
    WORKLOAD,
    KnownError,
    read_known,
)
from fixtures.statistics.judgement import DEVIATES
from suites.machinery.making.runs import contract, subject, violated

ENTRY = """\
[[known]]
id = "half-normal"
releases = ">=2.2,<2.12"
claims = ["weights.marginal.scale", "weights.marginal.tail*"]
subject = { dtype = ["bfloat16", "float16"], device = ["cpu"] }
effect = "std 0.7 % low"
effects."weights.marginal.scale" = [-1.0, 0.0]
effects."weights.marginal.tail*" = [-100, 0]
reason = "8 bits"
reference = "https://example.org/166853"
"""


@pytest.fixture
def written(tmp_path):
    """Writes a data file and returns its path."""

    def write(text):
        (tmp_path / "known.toml").write_text(text)
        return tmp_path / "known.toml"

    return write


@pytest.mark.parametrize(
    ("family", "dtype", "torch_version", "covered"),
    [
        ("weights.marginal.scale", "bfloat16", "2.6.0", True),
        ("weights.marginal.tail4", "float16", "2.11.0+cpu", True),
        ("weights.marginal.scale", "bfloat16", "2.12.0.dev20260101", False),  # a nightly of 2.12 is no 2.11
        ("weights.marginal.scale", "bfloat16", "2.6.0a0+git1234", True),
        ("weights.marginal.scale", "bfloat16", "2.13.0", False),
        ("weights.marginal.scale", "float32", "2.6.0", False),
        ("weights.marginal.location", "bfloat16", "2.6.0", False),
    ],
)
def test_an_entry_covers_its_claims_subjects_and_releases(written, family, dtype, torch_version, covered):
    (entry,) = read_known(written(ENTRY))
    claim = violated(family, dtype)

    assert entry.covers(claim.family, claim.subject.fields, torch_version) is covered


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[known]", "known.toml: not valid TOML (Expected"),
        ("a = " + "[" * 10_000, "known.toml: not valid TOML ("),
        ("known = 3", "known.toml: known: tables headed [[known]] are accepted"),
        ("known = [3]", "known.toml: known: tables headed [[known]] are accepted"),
        (ENTRY.replace("[[known]]", "[[knwon]]"), "known.toml: unknown key 'knwon'; did you mean 'known'?"),
        (ENTRY.replace("effect =", "efect ="), "known.toml: half-normal: unknown key 'efect'; did you mean 'effect'?"),
        (ENTRY.replace("effect =", "x ="), "half-normal: unknown key 'x'; accepted: claims, counterexamples, effect, "),
        (ENTRY + 'owner = "me"', "half-normal: unknown key 'owner'; accepted: claims, counterexamples, effect, "),
        (ENTRY.replace('effect = "std 0.7 % low"', ""), "half-normal: effect is missing"),
        (ENTRY.replace("std 0.7 % low", ""), "half-normal: effect is empty"),
        (ENTRY.replace(">=2.2,<2.12", ""), "half-normal: releases is empty"),
        (ENTRY.replace("half-normal", ""), "known.toml: known 1: id is empty"),
        (
            ENTRY.replace("half-normal", "half normal"),
            "known 1: id: letters, digits and . _ + - are accepted, not 'half",
        ),
        (ENTRY.replace('"half-normal"', "7"), "known.toml: known 1: Expected `str`, got `int` - at `$.id`"),
        (ENTRY.replace('"weights.marginal.scale", "weights.marginal.tail*"', ""), "half-normal: claims is empty"),
        (ENTRY.replace('"weights.marginal.scale", "weights.marginal.tail*"', "7"), "Expected `str`, got `int`"),
        (ENTRY.replace(">=2.2", "since 2.2"), "known.toml: half-normal: releases: Invalid specifier: 'since 2.2"),
        (ENTRY.replace("device = ", "devise = "), "half-normal: subject: unknown key 'devise'; did you mean 'device'?"),
        (ENTRY + 'tiers = ["\\n"]', "half-normal: Invalid enum value ' ' - at `$.tiers[0]`"),
        (
            ENTRY + "counterexamples = ['.*']",
            "half-normal: counterexamples: '.*' matches any words; name what is wrong",
        ),
        (ENTRY.replace("effects", "#"), "half-normal: effects or counterexamples are needed: what tells this defect"),
        (
            ENTRY.replace("[-1.0, 0.0]", "[0, -1]"),
            "half-normal: effects: weights.marginal.scale: the least",
        ),
        (ENTRY.replace("[-1.0, 0.0]", "[-inf, 0]"), "half-normal: effects: weights.marginal.scale: two finite numbers"),
        (ENTRY.replace("[-1.0, 0.0]", "[1]"), "half-normal: Expected `array` of length 2, got 1"),
        (ENTRY + 'counterexamples = ["("]', "half-normal: counterexamples: '(' is no regular expression"),
        (ENTRY + 'tiers = ["quik"]', "half-normal: Invalid enum value 'quik' - at `$.tiers[0]`"),
        (ENTRY + ENTRY, "known.toml: half-normal stands twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(written, text, says):
    with pytest.raises(KnownError) as error:
        read_known(written(text))

    assert says in str(error.value)
    assert "\n" not in str(error.value)


SUITES = '"weights.*", "propagation.*", "training.*", "operations.*", "drift.*", "speed.*"'


@pytest.mark.parametrize("claims", ['"*"', '"?*"', '"[a-z]*"', '"*.*"', SUITES])
@pytest.mark.parametrize(
    ("subject", "where"),
    [
        ("{}", ""),
        ('{ initializer = ["*"] }', ""),
        ('{ dtype = ["float*", "bfloat16"] }', ""),
        ('{ dtype = ["?float*", "float*"], mode = ["fan_*"] }', ""),
        ('{ device = ["cpu"] }', " on its devices"),
        ('{ device = ["cpu"], shape = ["*"] }', " on its devices"),
    ],
)
def test_an_entry_that_would_match_everything_is_refused(written, claims, subject, where):
    text = ENTRY.replace('"weights.marginal.scale", "weights.marginal.tail*"', claims)
    text = text.replace('{ dtype = ["bfloat16", "float16"], device = ["cpu"] }', subject)

    with pytest.raises(KnownError, match=f"half-normal: would match everything{where}; name the claims"):
        read_known(written(text))


@pytest.mark.parametrize(
    ("claims", "subject"),
    [
        ("weights.*", "{}"),
        ("*", '{ dtype = ["bfloat16"] }'),
        ("*", '{ initializer = ["kaiming_*"], device = ["*"] }'),
        ("*", '{ workload = ["init/*"] }'),
        ("*.scale", "{}"),
    ],
)
def test_an_entry_that_leaves_something_out_is_accepted(written, claims, subject):
    text = ENTRY.replace('"weights.marginal.scale", "weights.marginal.tail*"', f'"{claims}"')

    assert read_known(written(text.replace('{ dtype = ["bfloat16", "float16"], device = ["cpu"] }', subject)))


def test_fields_that_may_be_named_are_those_that_findings_have():
    assert set(WITNESSES) == {*violated().subject.fields, WORKLOAD, MODEL, NAME}


def test_what_an_entry_does_not_name_and_a_finding_does_not_have(written):
    (entry,) = read_known(written(ENTRY.replace("weights.marginal.scale", "speed.*")))

    assert not entry.covers("speed.regressed", {"workload": "init/x"}, "2.6.0")
    assert not entry.covers("speed.regressed", {}, "2.6.0")
    assert entry.covers("speed.regressed", {"dtype": "float16", "device": "cpu", "workload": "init/x"}, "2.6.0")


@pytest.mark.parametrize("torch_version", ["unknown", "vendor build 7"])
def test_no_range_holds_a_version_that_cannot_be_ordered(written, torch_version):
    (entry,) = read_known(written(ENTRY))

    assert not entry.covers("weights.marginal.scale", violated(dtype="bfloat16").subject.fields, torch_version)


@pytest.mark.parametrize(("shape", "words"), [((256, 128), "256x128"), ((), "any"), ((64, 3, 7, 7), "64x3x7x7")])
def test_a_shape_is_matched_as_it_is_written_in_names(written, shape, words):
    (entry,) = read_known(written(ENTRY.replace("{ dtype", f'{{ shape = ["{words}"], dtype')))
    about = subject("bfloat16", shape=shape)

    assert entry.covers("weights.marginal.scale", about.fields, "2.6.0")
    assert words in about.key
    assert not entry.covers("weights.marginal.scale", subject("bfloat16", shape=(7, 7)).fields, "2.6.0")


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(KnownError, match="No such file"):
        read_known(tmp_path / "none.toml")


def test_an_empty_file_knows_nothing(written):
    assert read_known(written("")) == ()


def test_the_projects_own_file_can_be_used():
    assert read_known(KNOWN_VIOLATIONS)


# What a defect is


def explained(entry, percent, standard_error=0.0, family="weights.marginal.scale"):
    return entry.explains(violated(family, "bfloat16", effect=Effect(percent, Unit.STD, standard_error)))


def test_an_effect_of_another_size_is_another_defect(written):
    (entry,) = read_known(written(ENTRY))

    assert explained(entry, -0.7)
    assert not explained(entry, -5.0)
    assert not explained(entry, 0.2)
    assert explained(entry, -1.1, 0.1 / DEVIATES)
    assert not explained(entry, -1.11, 0.1 / DEVIATES)
    assert not explained(entry, -0.7, family="weights.marginal.location")
    assert not entry.explains(violated(effect=None))


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("1 of 3 elements differs: length 5: gelu(inf) is nan, not inf: no rounding explains it", True),
        ("12 of 27 elements differ, the first at length 5: gelu(inf); the worst, length 5: gelu(inf) is nan, not inf: "
         "no rounding explains it", True),
        ("12 of 27 elements differ, the first at length 5: gelu(inf); the worst, length 5: gelu(inf) is -7, not inf: "
         "no rounding explains it", False),
        ("1 of 3 elements differs: length 5: gelu(-inf) is nan, not -0: no rounding explains it", False),
        ("raised RuntimeError: gelu(inf)", False),
    ],
)  # fmt: skip
def test_an_exact_claim_is_known_by_its_counterexample(words, known):
    (gelu,) = [entry for entry in read_known(KNOWN_VIOLATIONS) if entry.id == "gelu-of-infinity"]

    assert gelu.explains(contract(Verdict.VIOLATED, words)) is known


@pytest.mark.parametrize(
    "first", ["0 (256x784) after step 1[0, 3]", "0 (8x1x3x3) after step 1[2, 0, 2, 0]", "4 (10x256) after step 1[0, 1]"]
)
@pytest.mark.parametrize(("step", "known"), [(1, True), (2, False)])
def test_which_element_differs_first_is_chance_and_after_which_step_is_not(first, step, known):
    (fused,) = [entry for entry in read_known(KNOWN_VIOLATIONS) if entry.id == "half-fused-sgd"]
    first = first.replace("step 1[", f"step {step}[")
    words = (
        f"6310 of 15272 elements differ, the first at parameter {first}; the worst, parameter 4 after step 1[2, 246]"
    )
    effect = Effect(7719.6, Unit.ALLOWED_ERROR)
    found = violated("training.step.fused", p=None, effect=effect, detectable=None, counterexample=words)

    assert fused.explains(found) is known


def test_every_known_violation_says_what_identifies_each_of_its_claims():
    for entry in read_known(KNOWN_VIOLATIONS):
        for pattern in entry.claims:
            assert entry.counterexamples or any(fnmatchcase(pattern, one) for one in entry.effects), (entry.id, pattern)


WORST = "conv2d of 32 x 3 groups of 1 -> 6 channels of (3, 1), x channels_last: {}: off by 5e+36 times what is allowed"


@pytest.mark.parametrize(
    ("words", "covered"),
    [
        ("gradient by weight[2, 0, 0, 3] is -1.44e+20, not 0", True),
        ("gradient by weight[2, 0, 0, 3] is 3.25, not 3.5", False),
        ("gradient by x[2, 0, 0, 3] is 3.25, not 0", False),
        ("output[30, 8, 2, 0] is 1.5e+33, not 0.019", True),
    ],
)
@pytest.mark.parametrize(
    "told", ["{}", "1 of 68 elements differs: {}", "9 of 68 elements differ, the first at a; the worst, {}"]
)
def test_one_and_many_wrong_elements_are_the_same_defect(words, covered, told):
    [entry] = [entry for entry in read_known(KNOWN_VIOLATIONS) if entry.id == "bfloat16-convolution-of-padding"]
    counterexample = told.format(WORST.format(words))

    assert any(re.fullmatch(pattern, counterexample) for pattern in entry.counterexamples) is covered
