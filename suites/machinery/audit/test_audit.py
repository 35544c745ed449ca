"""The audit of a user's own model: sound layers hold, planted faults are named, every mistake is told in one line."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch
from scipy import stats

from fixtures.audit.audit import audit
from fixtures.audit.findings import AuditFindings, LayerVerdict
from fixtures.audit.intended_laws import LawError, Statement, law_of, stated_law, suggested_law
from fixtures.audit.pooled_scale import PooledScale, bound_for
from fixtures.audit.question import Question
from fixtures.propagation.laws.layer import SumOfSquares
from fixtures.record.exit_codes import NO_EVIDENCE, PASS, STOP
from fixtures.record.subject import seed_for
from fixtures.statistics.laws import Normal, TruncatedNormal, Uniform
from suites.audit import command as audit_command
from suites.machinery.chance import ALARM, SURE, fresh_seed, no_oftener, within_chance
from suites.machinery.making import audited_models, preloaded

HERE = "suites.machinery.making.audited_models"

pytestmark = SURE

SHAPE = ("--input-shape", "64,128")
IMAGES = ("--input-shape", "8,3,9,9")
HE = ("--law", "Linear=he_normal")
HOLDS, VIOLATED = PASS, STOP


@pytest.fixture
def audited(tmp_path, capsys):
    """Run the command line in this process; its exit code, findings and page."""

    def run(model, *options, inputs=SHAPE):
        file = tmp_path / "findings.json"
        code = audit_command.run(
            [f"{HERE}:{model}", *inputs, "--json", str(file), "--seed", str(fresh_seed()), *options]
        )
        page = capsys.readouterr()
        assert page.err == ""
        found = msgspec.json.decode(file.read_bytes(), type=AuditFindings)
        assert found.exit_code == code
        return code, found, page.out

    return run


def verdicts(found, kind=None):
    return {layer.name: str(layer.verdict) for layer in found.layers if kind is None or layer.verdict is kind}


def notes(found, name):
    return "; ".join(next(layer.notes for layer in found.layers if layer.name == name))


def reasons(found):
    return {each.name: each.reason for each in found.outside}


# What holds


@pytest.mark.large_draws
@pytest.mark.parametrize(
    ("model", "law", "inputs"),
    [
        ("he", "Linear=he_normal", SHAPE),
        ("he", "*=kaiming_normal:fan_out:relu", SHAPE),
        ("default", "Linear=default", SHAPE),
        ("default", "Linear=uniform:0.08838834764831845", SHAPE),
        ("truncated", "Linear=trunc_normal:0.1:-0.15:0.15", SHAPE),
        ("Branches", "[qkv]*=he_normal", SHAPE),
        ("checkpointed", "Linear=he_normal", SHAPE),
        ("checkpointed_reentrant", "Linear=he_normal", SHAPE),
        ("half", "Linear=he_normal", SHAPE),
    ],
)
def test_sound_layers_hold(audited, model, law, inputs):
    code, found, _ = audited(model, "--law", law, inputs=inputs)

    assert code == HOLDS
    assert set(verdicts(found).values()) == {"holds"}
    assert len(found.layers) >= 3


@pytest.mark.large_draws
@pytest.mark.parametrize(("option", "value"), [("--dtype", "float64"), ("--networks", "20"), ("--resolution", "0.03")])
def test_options_are_in_force(audited, option, value):
    code, found, _ = audited("he", *HE, option, value)

    assert code == HOLDS
    assert str(getattr(found, option.strip("-"))) == value


@pytest.mark.large_draws
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_convolutions_of_every_kind_hold_and_a_lazy_layer_has_its_law(audited):
    laws = ("--law", "Conv*=he_normal", "--law", "*=none", "--law", "0.*=he_normal", "--law", "Linear=default")
    code, found, _ = audited("convolutions", *laws, "--resolution", "0.04", inputs=IMAGES)

    assert code == HOLDS
    assert verdicts(found) == dict.fromkeys(("0.0", "0.2", "0.4", "0.6", "3"), "holds")
    assert all(layer.forward and layer.backward for layer in found.layers)


@pytest.mark.large_draws
def test_networks_own_gradients_are_asked_where_they_leave_room(audited):
    _, found, _ = audited("Branches", *HE)

    assert all(layer.network and layer.network.degrees for layer in found.layers)


@pytest.mark.large_draws
def test_a_seed_repeats_an_audit(audited):
    found = [audited("he", *HE, "--seed", "11", "--networks", "3", "--resolution", "0.1")[1] for _ in range(2)]

    assert found[0].layers == found[1].layers
    assert found[0].seed == 11


@pytest.mark.large_draws
@pytest.mark.draws(3 * ALARM, "three directions")
@pytest.mark.parametrize(("model", "shape"), [("Branches", (8, 128)), ("he", (100, 128))])
def test_sums_of_sound_layers_are_chi_squared(model, shape):
    """Whatever hooks, aliases and projections do on the way; in every direction by itself, layers together."""
    uniforms: dict[str, list[float]] = {}
    for number in range(40):
        question = Question(
            model=model,
            build=getattr(audited_models, model),
            inputs="",
            example=lambda: torch.randn(*shape),
            statements=(Statement("Linear", "he_normal"),),
            seed=seed_for(fresh_seed(), str(number)),
            networks=1,
            seconds=1.0,
            resolution=0.5,
            dtype="float32",
            device="cpu",
        )
        for layer in audit(question).layers:
            for direction in ("forward", "backward", "network"):
                scale = getattr(layer, direction)
                level = float(stats.chi2.cdf(scale.value**2 * scale.degrees, scale.degrees))
                uniforms.setdefault(direction, []).append(level)

    for levels in uniforms.values():
        assert len(levels) == 120
        assert within_chance(stats.kstest(levels, "uniform").pvalue)


# Planted faults


@pytest.mark.large_draws
@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("forgotten", "its weights look like default"),
        ("two_percent", "seen by"),
        ("wrong_gain", "its weights look like xavier_normal"),
        ("backward_scaled", "not by its signals"),
        ("forward_scaled", "not by fresh gradients through it"),
        ("outlier", "seen by its largest weight (10 of the promised std); not by its signals"),
        ("copied", "its weights equal those of 0: a copy, not a draw"),
    ],
)
def test_a_fault_in_one_layer_is_seen_in_that_layer_alone(audited, model, says):
    code, found, page = audited(model, *HE, "--resolution", "0.015")

    assert code == VIOLATED
    assert verdicts(found) == {"0": "holds", "2": "violated", "4": "holds"}
    assert says in notes(found, "2")
    assert "a stated law is violated (2 holds, 1 violated)" in page


@pytest.mark.large_draws
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_fault_in_a_convolution_is_seen_in_it_alone(audited):
    laws = ("--law", "0.*=he_normal", "--law", "3=none")
    code, found, _ = audited("two_percent_in_a_convolution", *laws, "--resolution", "0.015", inputs=IMAGES)

    assert code == VIOLATED
    assert verdicts(found, LayerVerdict.VIOLATED) == {"0.2": "violated"}


@pytest.mark.parametrize("model", ["shared", "overlapping"])
def test_layers_that_share_bytes_are_outside_and_no_evidence(audited, model):
    code, found, page = audited(model, *HE)

    assert code == NO_EVIDENCE
    assert reasons(found)["2" if model == "overlapping" else "0"].startswith("shares its weight with ")
    assert "a law was stated of it" in " ".join(page.split())


@pytest.mark.large_draws
def test_weights_in_common_are_seen_though_each_layers_scale_is_right(audited):
    code, found, page = audited("mixed", *HE)

    assert code == VIOLATED
    assert set(verdicts(found).values()) == {"holds"}
    assert found.likeness
    assert found.likeness.where == "0 and 2"
    assert "weights of different layers: ALIKE" in page


@pytest.mark.large_draws
@pytest.mark.parametrize(("model", "note"), [("broken", "its weights are NaN or infinite"), ("zero", "look like 0")])
def test_weights_that_are_no_draw_at_all_are_violations(audited, model, note):
    code, found, _ = audited(model, *HE)

    assert code == VIOLATED
    assert verdicts(found, LayerVerdict.VIOLATED) == {"4": "violated"}
    assert note in notes(found, "4")


# What is no evidence


@pytest.mark.large_draws
@pytest.mark.draws(3 * ALARM, "three layers' stds within CLOSE standard errors")
def test_a_suggested_law_is_no_test(audited):
    code, found, page = audited("default")

    assert code == NO_EVIDENCE
    assert set(verdicts(found).values()) == {"suggested"}
    assert {layer.law for layer in found.layers} == {"default"}
    assert "which is no test of them" in " ".join(page.split())


def test_what_is_not_resolved_does_not_hold(audited):
    code, found, _ = audited("he", *HE, "--networks", "2", "--resolution", "0.01")

    assert code == NO_EVIDENCE
    assert "sees errors of its scale from " in notes(found, "0")


def test_the_same_weights_at_every_call_are_one_draw(audited):
    code, found, page = audited("the_same_again", *HE, "--resolution", "0.1")

    assert (code, found.networks) == (HOLDS, 1)
    assert "the builder returns the same weights at every call in 3 of 3 layers" in " ".join(page.split())


@pytest.mark.large_draws
def test_half_types_are_converted_and_that_is_said(audited):
    _, found, page = audited("half", *HE)

    assert found.dtype == "float32"
    assert "weights came as bfloat16 and were converted to float32" in " ".join(page.split())


# What is outside


@pytest.mark.parametrize("inputs", ["ids", "ids_in_a_tuple", "ids_by_name", "ids_and_scale"])
def test_what_the_laws_cannot_be_asked_about_is_listed_with_the_reason(audited, inputs):
    laws = ("--law", "judged=he_normal", "--networks", "3")
    code, found, _ = audited("Odd", *laws, "--resolution", "0.1", inputs=("--example-inputs", f"{HERE}:{inputs}"))

    assert code == HOLDS
    assert verdicts(found) == {"judged": "holds"}
    assert {name: reason.split(" (")[0] for name, reason in reasons(found).items()} == {
        "": "holds matrix itself, and is none of torch.nn's linear layers and convolutions",
        "table": "looks its weights up and sums no inputs",
        "norm": "scales or shifts, and has no matrix",
        "attention": "multiplies by in_proj_weight itself, not through a linear layer",
        "attention.out_proj": "not reached: it is never called",
        "recurrent": "uses its weights once a time step",
        "normed": "its weight is computed from other parameters",
        "twice": "is called 2 times in one pass",
        "never": "not reached: it is never called",
        "mirrored": "is padded with other values than zeros",
        "zero": "all its weights are 0",
    }


def test_a_forward_of_ones_own_is_judged_where_it_is_a_multiple_of_torchs(audited):
    code, found, _ = audited(
        "own_forwards", "--law", "0=he_normal", "--resolution", "0.1", inputs=("--input-shape", "8,3,18,18")
    )

    assert code == HOLDS
    assert verdicts(found)["0"] == "holds"
    assert set(reasons(found).values()) == {"its forward does something else than nn.Conv2d's"}
    assert "2" in reasons(found)


# The command line


@pytest.mark.subprocess
def test_the_real_command_line_in_a_narrow_window(tmp_path):
    (tmp_path / "beside.py").write_text("from torch import nn\n")
    file = tmp_path / "mine.py"
    file.write_text("from beside import nn\ndef build(): return nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 9))\n")
    asked = (f"{file}:build", "--input-shape", "9,64", "--networks", "2")
    ended = preloaded.run("-m", "suites.audit", *asked, COLUMNS="60")

    assert (ended.returncode, ended.stderr) == (NO_EVIDENCE, "")
    assert max(map(len, ended.stdout.splitlines()[3:])) <= 60
    assert " ".join(ended.stdout.split()).endswith(" no law was stated, or one could not be judged (2 suggested)")


def test_a_wide_window_shows_more(audited, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    _, _, page = audited("he", *HE, "--networks", "2", "--resolution", "0.1")

    assert "in network" in page
    assert "128x128" in page


REFUSED = {
    "no_such_module:build": "BUILDER no_such_module:build: no module of that name",
    "no_such_file.py:build": "BUILDER no_such_file.py:build: no such file",
    "json": "BUILDER json: module:function or file.py:function is accepted",
    f"{HERE}:nobody": f"{HERE} has no 'nobody'",
    f"{HERE}:not_callable": "is int, which cannot be called",
    f"{HERE}:failing": "failing fails: ValueError: no configuration (audited_models.py:",
    f"{HERE}:leaving": "leaving fails: SystemExit: 0",
    f"{HERE}:number": "returns int, and no nn.Module",
    f"{HERE}:on_meta": "a model on the meta device, whose weights were never drawn",
    f"{HERE}:weightless": "returns a model without weights",
    f"{HERE}:changing": "returns another architecture at every call",
}


@pytest.mark.parametrize("builder", REFUSED)
def test_a_builder_that_cannot_be_used_is_refused_in_one_line(capsys, builder):
    assert REFUSED[builder] in refused(capsys, builder, *SHAPE)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "one of --input-shape and --example-inputs is needed"),
        ((*SHAPE, "--example-inputs", f"{HERE}:ids"), "one of --input-shape and --example-inputs is needed"),
        (("--input-shape", "16,x"), "--input-shape 16,x: positive integers with commas between are accepted"),
        (("--input-shape", "16,127"), "the model fails on its inputs: RuntimeError: mat1 and mat2 shapes cannot be"),
        (("--example-inputs", f"{HERE}:failing_inputs"), "failing_inputs fails: RuntimeError: "),
        (("--example-inputs", f"{HERE}:nobody"), f"--example-inputs {HERE}:nobody: {HERE} has no 'nobody'"),
        ((*SHAPE, "--law", "he_normal"), "'he_normal' is no PATTERN=LAW"),
        ((*SHAPE, "--law", "Linear=he_norml"), "law 'he_norml': unknown; he_normal[:fan_in|fan_out"),
        ((*SHAPE, "--law", "Linear=normal"), "law 'normal': too many or too few arguments (normal:STD)"),
        ((*SHAPE, "--law", "Linear=normal:-1"), "the std must be a positive number, not '-1'"),
        ((*SHAPE, "--law", "Liner=default"), "--law Liner: matches no layer; near: Linear"),
        ((*SHAPE, "--law", "Linear=default", "--resolution", "2"), "--resolution 2.0: a number between 0 and 1"),
        ((*SHAPE, "--networks", "0"), "--networks 0: a positive integer is accepted"),
        ((*SHAPE, "--seconds", "0"), "--seconds 0.0: a positive number is accepted"),
        ((*SHAPE, "--seed", "-1"), "--seed -1: a non-negative integer is accepted"),
        ((*SHAPE, "--dtype", "bfloat16"), "--dtype bfloat16: float32 or float64 is accepted"),
        ((*SHAPE, "--device", "tpu"), "--device tpu: unknown device 'tpu'"),
        ((*SHAPE, "--json", "no/such/folder/x.json"), "--json no/such/folder/x.json: no such folder"),
        ((*SHAPE, "--wide"), "No such option: --wide"),
    ],
)
def test_a_mistake_is_told_in_one_line(capsys, options, says):
    assert says in refused(capsys, f"{HERE}:he", *options)


def test_a_law_of_nothing_but_what_is_outside_is_refused(capsys):
    says = refused(capsys, f"{HERE}:Odd", "--example-inputs", f"{HERE}:ids", "--law", "table=normal:1")

    assert "--law table: matches only what is outside the laws (table: looks its weights up" in says


def refused(capsys, *arguments):
    """The one line that a command line without a table ends in."""
    assert audit_command.run([*arguments]) == NO_EVIDENCE
    told = capsys.readouterr()
    (line,) = told.err.splitlines()
    assert told.out == ""
    assert line.startswith("error: ")
    assert "please report" not in line
    return line


# Laws in words


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("he_normal", Normal(math.sqrt(2 / 36))),
        ("he_normal:fan_out", Normal(math.sqrt(2 / 72))),
        ("he_uniform:fan_in:leaky_relu:1", Uniform(math.sqrt(3 / 36))),
        ("xavier_normal:2", Normal(2 * math.sqrt(2 / 108))),
        ("xavier_uniform", Uniform(math.sqrt(6 / 108))),
        ("default", Uniform(1 / 6)),
        ("normal:0.02", Normal(0.02)),
        ("uniform:0.1", Uniform(0.1)),
        ("trunc_normal:0.02", Normal(0.02)),
        ("trunc_normal:1", TruncatedNormal(0.0, 1.0, -2.0, 2.0)),
        ("trunc_normal:1:-1:1", TruncatedNormal(0.0, 1.0, -1.0, 1.0)),
    ],
)
def test_a_law_is_read(text, law):
    found = law_of(text, (8, 4, 3, 3))

    assert type(found) is type(law)
    assert (found.std, found.high) == pytest.approx((law.std, law.high))


@pytest.mark.parametrize(
    "text", ["he_normal:fan", "he_normal:fan_in:gelu", "default:1", "trunc_normal:1:-1:2", "normal:x"]
)
def test_a_law_that_makes_no_sense_is_refused(text):
    with pytest.raises(LawError, match="law "):
        law_of(text, (8, 8))


def test_the_last_statement_about_a_layer_counts():
    statements = [Statement("Linear", "default"), Statement("head", "normal:0.01"), Statement("x", "none")]

    assert stated_law(statements, "head", ("Linear",)) == "normal:0.01"
    assert stated_law(statements, "body", ("Linear",)) == "default"
    assert stated_law(statements, "body", ("Conv2d",)) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("default", "default"),
        ("he_normal", "he_normal:fan_in"),
        ("he_uniform:fan_out", "he_uniform:fan_out"),
        ("normal:0.02", "normal:0.02"),
        ("normal:0.4", "normal:0.4"),
        ("trunc_normal:0.4:-0.8:0.8", "trunc_normal:0.4:-0.8:0.8"),
    ],
)
def test_weights_suggest_the_law_that_they_follow(text, says):
    shape = (300, 200)
    law = law_of(text, shape)
    # Quantiles instead of draws: the right law is suggested for any typical weights.
    levels = (np.arange(60_000) + 0.5) / 60_000
    grid = np.linspace(max(law.low, -6 * law.std), min(law.high, 6 * law.std), 200_001)

    suggestion = suggested_law(np.interp(levels, law.cdf(grid), grid), shape)

    assert suggestion.split(":")[0] == says.split(":")[0]
    assert law_of(suggestion, shape).std == pytest.approx(law_of(says, shape).std, rel=0.01)


# Bounds for weights that are not Gaussian


@pytest.mark.parametrize("bound", [0.1, 0.5, 1.0, 2.0, 3.0, 5.0])
def test_truncated_normals_are_strictly_sub_gaussian_and_flatter_than_normal(bound):
    law = TruncatedNormal(0.0, 1.0, -bound, bound)
    values, masses = law.quadrature

    for t in np.geomspace(1e-2, 1e2, 41) / law.std:
        peak = t * bound
        cumulant = peak + math.log(float((np.exp(t * values - peak) * masses).sum()))
        assert cumulant <= (t * law.std) ** 2 / 2 * (1 + 1e-9)
    assert float((values**4 * masses).sum()) <= 3 * law.std**4


@pytest.mark.large_draws
@pytest.mark.draws(4 * ALARM, "four levels")
@pytest.mark.parametrize(
    "law", [Uniform(1.0), TruncatedNormal(0.0, 1.0, -1.5, 1.5), TruncatedNormal(0.0, 1.0, -4.0, 4.0)]
)
def test_bounds_are_exceeded_at_most_as_often_as_they_say(law, generator):
    rows, rank, terms, trials = 4, 3, 6, 40_000
    basis, _ = np.linalg.qr(generator.standard_normal((terms, rank)))
    levels = generator.random((trials, rows, terms))
    grid = np.linspace(law.low, law.high, 100_001)
    weights = np.interp(levels, law.cdf(grid), grid) / law.std
    totals = ((weights @ basis) ** 2).sum((1, 2))
    scale = PooledScale(bound_for(law, terms), 0.0, rows * rank, rank)

    found = np.array([scale.p(total) for total in totals])

    for level in (0.3, 0.1, 0.03, 0.01):
        assert no_oftener((found <= level).sum(), trials, level)


@pytest.mark.parametrize("law", [Normal(1.0), Uniform(1.0), TruncatedNormal(0.0, 1.0, -2.0, 2.0)])
@pytest.mark.parametrize("degrees", [2000, 10**6])
def test_an_interval_holds_what_the_screen_lets_pass_and_power_is_as_stated(law, degrees):
    scale = PooledScale(bound_for(law, 64))
    scale.add(SumOfSquares(1.1 * degrees, degrees), 16)
    low, high = scale.interval()
    power = scale.detectable()

    for edge in (low, high):
        assert scale.p(scale.total / edge**2) == pytest.approx(1e-4, rel=1e-3)
    assert low < scale.scale < high
    # 8.64 standard errors of ln(scale) for Gaussian weights; a bound asks for somewhat more.
    assert 8.5 / math.sqrt(2 * degrees) < power < 12 / math.sqrt(2 * degrees)


def test_few_degrees_of_freedom_have_no_upper_end():
    scale = PooledScale(bound_for(TruncatedNormal(0.0, 1.0, -2.0, 2.0), 64))
    scale.add(SumOfSquares(3.0, 4), 4)

    assert scale.interval()[1] == math.inf
    assert scale.detectable() == math.inf
