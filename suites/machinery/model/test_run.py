"""A user's model on two sides: faults planted in the candidate alone are stopped by name, and healthy ones pass."""

import functools
import os
import sys
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import nn
from torch.nn import functional

from fixtures.environments.environment import Environment
from fixtures.gate import model_run
from fixtures.model import numbers, run
from fixtures.model.results import AS_IT_IS, SCHEMA, Stage, read_model
from fixtures.model.run import ModelRun
from fixtures.target.instruction_sets import instruction_sets
from reports.model import Recorded, Records, compared_models
from suites.machinery.chance import SURE
from suites.model.command import run as run_command

pytestmark = [SURE, pytest.mark.subprocess]

MODEL = """
import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(32, 96)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 32, 3, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.attention = Attention()
        self.layer_norm = nn.LayerNorm(32)
        self.act = nn.GELU()
        self.dropout = nn.Dropout(0.25)
        self.head = nn.Linear(32, 32)

    def forward(self, images):
        x = F.relu(self.norm(self.conv(images))).flatten(2).transpose(1, 2)
        x = x + self.attention(x)
        return self.head(self.dropout(self.act(self.layer_norm(x))).mean(1))


def build():
    return Network()


def inputs(seed):
    return torch.randn(4, 3, 6, 6)


def loss(model, images):
    return F.cross_entropy(model(images), torch.arange(4))


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3)
"""

AGAIN = (sys.executable, "-m", "suites.model")


def side_of(folder: Path, side: str, file: Path, again=AGAIN):
    lines = []
    made = ModelRun(
        file=file,
        side=side,
        into=folder / f"{side}.json",
        carried=folder / "carried",
        seed=20261130,
        again=again,
        say=lines.append,
    )
    made.run()
    return read_model(folder / f"{side}.json")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("users") / "network.py"
    path.write_text(MODEL, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("run")
    (made / "carried").mkdir()
    return made


@pytest.fixture(scope="module")
def baseline(file, folder):
    return side_of(folder, "baseline", file)


def judged(baseline, candidate):
    found = compared_models(Records(Recorded(baseline), Recorded(candidate)), (None, None))
    return [finding for finding in found.findings if finding.kind not in ("cut", "both")]


def names(findings):
    return {(str(finding.kind), finding.name) for finding in findings}


def scaled(function, by):
    return functools.wraps(function)(lambda *args, **kwargs: function(*args, **kwargs) * by)


def gelu(by):
    return lambda patch: patch.setattr(functional, "gelu", scaled(functional.gelu, by))


class LargerGradient(torch.autograd.Function):
    """The input unchanged, and a gradient 1e-3 too large."""

    @staticmethod
    def forward(_context, x):
        return x.view_as(x)

    @staticmethod
    def backward(_context, sent):
        return sent * (1 + 1e-3)


def in_training(wrong):
    """A GELU that is wrong in training alone, where the baseline's is to the bit what it is in evaluation."""

    def plant(patch):
        plain = nn.GELU.forward
        patch.setattr(nn.GELU, "forward", lambda self, x: wrong(plain(self, x)) if self.training else plain(self, x))

    return plant


def attention(patch):
    plain = functional.scaled_dot_product_attention
    patch.setattr(
        functional, "scaled_dot_product_attention", lambda q, k, v: plain(q, k, v, scale=1.01 / q.shape[-1] ** 0.5)
    )


def eps(patch):
    plain = functional.layer_norm
    patch.setattr(functional, "layer_norm", lambda x, shape, weight, bias, eps: plain(x, shape, weight, bias, 1e-6))


def wide(patch):
    plain = nn.Linear.reset_parameters

    def reset(self):
        plain(self)
        if self.out_features == 96:
            with torch.no_grad():
                self.weight.mul_(1.02)

    patch.setattr(nn.Linear, "reset_parameters", reset)


def paired(patch):
    plain = nn.Linear.reset_parameters

    def reset(self):
        plain(self)
        with torch.no_grad():
            self.weight[1::2] = self.weight[::2]

    patch.setattr(nn.Linear, "reset_parameters", reset)


def unwritten(patch):
    plain = nn.Linear.reset_parameters

    def reset(self):
        plain(self)
        self.bias = nn.Parameter(torch.empty_like(self.bias))

    patch.setattr(nn.Linear, "reset_parameters", reset)


class WrongTap(torch.autograd.Function):
    """A weight whose gradient lacks one tap."""

    @staticmethod
    def forward(_context, weight):
        return weight.view_as(weight)

    @staticmethod
    def backward(_context, sent):
        wrong = sent.clone()
        wrong[..., 0, 2] = 0
        return wrong


def tap(patch):
    plain = nn.Conv2d._conv_forward
    patch.setattr(
        nn.Conv2d, "_conv_forward", lambda self, x, weight, bias: plain(self, x, WrongTap.apply(weight), bias)
    )


def dropping(patch):
    plain = functional.dropout
    patch.setattr(functional, "dropout", lambda x, p=0.5, training=True, inplace=False: plain(x, p, True, inplace))


def faster(patch):
    plain = torch.optim.AdamW.__init__

    def init(self, parameters, lr, **options):
        plain(self, parameters, lr=1.01 * lr, **options)

    patch.setattr(torch.optim.AdamW, "__init__", init)


def larger_loss(patch):
    patch.setattr(functional, "cross_entropy", scaled(functional.cross_entropy, 1 + 1e-4))


FAULTS = {
    "GELU 1e-3 too large": (gelu(1 + 1e-3), ("numbers", "act")),
    "GELU 1e-5 too large": (gelu(1 + 1e-5), ("numbers", "act")),
    "GELU 2e-6 too large": (gelu(1 + 2e-6), ("numbers", "act")),
    "GELU 1e-5 too large in training": (in_training(lambda output: output * (1 + 1e-5)), ("numbers", "act")),
    "GELU's gradient 1e-3 too large in training": (in_training(LargerGradient.apply), ("numbers", "act")),
    "attention's scale 1 % off": (attention, ("numbers", "attention")),
    "LayerNorm's eps 1e-6 for 1e-5": (eps, ("numbers", "layer_norm")),
    "one layer's init 2 % too wide": (wide, ("law", "attention.qkv.weight")),
    "rows that come in equal pairs": (paired, ("law", "head.weight")),
    "a bias left unwritten": (unwritten, ("unwritten", "head.bias")),
    "a tap of a convolution's gradient wrong": (tap, ("numbers", "conv")),
    "a dropout left on in eval": (dropping, ("numbers", "dropout")),
    # Nothing but training sees an optimizer or a loss, and the model has dropout, which both sides draw alike.
    "a learning rate 1 % too large": (faster, ("training", None)),
    "a loss 1e-4 too large": (larger_loss, ("training", None)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_candidate_alone_is_stopped_at_its_module(fault, baseline, file, folder, monkeypatch):
    plant, expected = FAULTS[fault]
    plant(monkeypatch)
    findings = judged(baseline, side_of(folder, "candidate", file))

    if expected[1] is None:  # the module whose gradients differ most is a hint, and no culprit
        assert {kind for kind, _ in names(findings)} == {expected[0]}, findings
        return
    assert expected in names(findings), findings
    others = {name for kind, name in names(findings) if kind == expected[0]} - {expected[1]}
    # What all linear layers are subject to is told of each; all else has one culprit.
    assert not others or plant in (unwritten, paired), findings


def test_the_same_torch_again_is_found_to_be_the_same(baseline, file, folder):
    assert judged(baseline, side_of(folder, "candidate", file)) == []


def reordered(patch):
    plain = functional.linear

    def linear(x, weight, bias=None):
        halves = (plain(x[..., half], weight[..., half]) for half in (slice(0, None, 2), slice(1, None, 2)))
        total = sum(halves)
        return total if bias is None else total + bias

    patch.setattr(functional, "linear", linear)


def restreamed(patch):
    plain = nn.Linear.reset_parameters

    def reset(self):
        torch.rand(3)
        plain(self)

    patch.setattr(nn.Linear, "reset_parameters", reset)


def redrawn(patch):
    plain = functional.dropout

    def drop(x, p=0.5, training=True, inplace=False):
        torch.rand(3)
        return plain(x, p, training, inplace)

    patch.setattr(functional, "dropout", drop)


@pytest.mark.parametrize("change", [reordered, restreamed, redrawn])
def test_another_order_of_sums_or_another_stream_stops_nothing(change, baseline, file, folder, monkeypatch):
    change(monkeypatch)
    findings = judged(baseline, side_of(folder, "candidate", file))

    assert {str(finding.kind) for finding in findings} <= {"stream"}, findings


def test_another_number_of_threads_stops_nothing(baseline, file, folder, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(
        numbers, "conditions", lambda: [numbers.Condition(AS_IT_IS, threads=3 if before != 3 else 1, everywhere=True)]
    )

    assert judged(baseline, side_of(folder, "candidate", file)) == []


def test_the_baseline_is_asked_under_other_instruction_sets(baseline):
    asked = {f"instruction set {name}" for name in instruction_sets()} or {"lesser instruction sets"}
    assert asked <= {*baseline.numbers.conditions, *baseline.numbers.left_out}


def test_a_model_that_raises_where_the_baseline_does_not_is_broken(baseline, folder, tmp_path):
    (tmp_path / "network.py").write_text(MODEL.replace("x + self.attention(x)", "x + self.attention(y)"), "utf-8")
    findings = judged(baseline, side_of(folder, "candidate", tmp_path / "network.py"))

    assert {str(finding.kind) for finding in findings} == {"broken"}
    assert all("y" in finding.text for finding in findings)


def test_a_model_with_another_buffer_is_asked_all_the_same(baseline, folder, tmp_path):
    table = "self.register_buffer('table', torch.arange(3.0), persistent=False)"
    line = "        self.dropout = nn.Dropout(0.25)\n"
    (tmp_path / "network.py").write_text(MODEL.replace(line, f"{line}        {table}\n"), "utf-8")
    findings = judged(baseline, side_of(folder, "candidate", tmp_path / "network.py"))

    assert names(findings) == {("inside", "table")}


def test_a_model_of_other_parameters_differs(baseline, folder, tmp_path):
    (tmp_path / "network.py").write_text(MODEL.replace("nn.Linear(32, 32)", "nn.Linear(32, 33)"), "utf-8")
    findings = judged(baseline, side_of(folder, "candidate", tmp_path / "network.py"))

    assert ("differs", "head.weight") in names(findings)
    assert any("head.weight is (33, 32)" in finding.text for finding in findings)


COMPILED = """
import torch
from torch import nn


def backend(graph, inputs):
    return lambda *given: tuple(FACTOR * output for output in graph(*given))


def build():
    return torch.compile(nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64)), backend=backend)
"""


@pytest.mark.filterwarnings("ignore")  # the compiler looks at gradients of all tensors and calls what torch deprecates
def test_a_compiled_model_is_asked_as_a_whole_beside_what_it_compiles(tmp_path):
    (tmp_path / "carried").mkdir()
    sides = []
    for side, factor in (("baseline", "1"), ("candidate", "(1 + 1e-4)")):
        file = tmp_path / "compiled.py"
        file.write_text(COMPILED.replace("FACTOR", factor), encoding="utf-8")
        sides.append(side_of(tmp_path, side, file))

    assert not [module.unasked for side in sides for module in side.numbers.modules if module.unasked]
    assert {name for kind, name in names(judged(*sides)) if kind == "numbers"} == {"(compiled)"}


def test_another_constant_is_another_law(baseline, file, folder, monkeypatch):
    plain = nn.LayerNorm.reset_parameters

    def reset(self):
        plain(self)
        nn.init.constant_(self.bias, 0.1)

    monkeypatch.setattr(nn.LayerNorm, "reset_parameters", reset)
    findings = judged(baseline, side_of(folder, "candidate", file))

    assert ("law", "layer_norm.bias") in names(findings)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x = 1", "defines no build"),
        ("def build():\n    raise ValueError('no luck')", "ValueError: no luck"),
        ("def build():\n    return 3", "returns"),
        ("import torch\ndef build():\n    return torch.nn.ReLU()", "inputs"),
        (
            "import urllib.request\ndef build():\n    return urllib.request.urlopen('http://localhost:1')",
            "needs the network",
        ),
    ],
)
def test_a_file_that_cannot_be_used_leaves_one_line_and_exit_status_2(content, words, tmp_path, capfd):
    (tmp_path / "mine.py").write_text(content, encoding="utf-8")
    (tmp_path / "carried").mkdir()
    into = tmp_path / "model.json"

    code = run_command([str(tmp_path / "mine.py"), "--into", str(into), "--carried", str(tmp_path / "carried")])

    said = capfd.readouterr()
    assert code == 2
    assert words in said.out
    assert "Traceback" not in said.out + said.err
    assert [words in trouble.text for trouble in read_model(into).troubles] == [True]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--side", "left"], "baseline or candidate is accepted"),
        (["--carried", "nowhere"], "no such folder"),
        (["--into", "nowhere/model.json"], "a folder that exists"),
        (["--side", "candidate"], "nothing that a baseline left"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options, words, tmp_path, capfd):
    usual = ["mine.py", "--into", str(tmp_path / "model.json"), "--carried", str(tmp_path)]

    assert run_command([*usual, *options]) == 2
    said = capfd.readouterr().err
    assert words in said
    assert said.count("\n") == 1


ENDINGS = {
    "crashed": ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    "hung": ("import time\ntime.sleep(60)", "hung"),
    "left": ("import os\nos._exit(0)", "exit status 0"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_side_that_ends_badly_leaves_a_record_that_says_how(ending, tmp_path):
    content, words = ENDINGS[ending]
    (tmp_path / "mine.py").write_text(f"{content}\ndef build():\n    return None\n", encoding="utf-8")
    (tmp_path / "carried").mkdir()

    root = Path(__file__).parents[3]
    options = ["--side", "baseline", "--carried", str(tmp_path / "carried")]
    timeout = 12 if ending == "hung" else 60
    here = Environment(sys.executable, (sys.executable,), dict(os.environ))
    model_run.run_model(here, tmp_path / "mine.py", tmp_path, options, version="2", root=root, timeout=timeout)

    (trouble,) = read_model(tmp_path / "model.json").troubles
    assert words in trouble.text
    assert trouble.stage == "file"


def test_the_gate_and_the_record_agree_on_schema_and_stages():
    assert model_run.EMPTY_SCHEMA == SCHEMA
    assert get_args(Stage) == model_run.STAGES


# The larger the smallest matrix, the fewer builds it takes to see a change of its scale.
ODD = {
    "a compiled model": (
        "torch.compile(nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64)), backend='eager')"
    ),
    "a module without a float64 path": "nn.Sequential(nn.Linear(64, 64), Own(nn.Linear(64, 64), nn.Linear(64, 64)))",
    "float64": "nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64)).double()",
    "a reentrant checkpoint": "nn.Sequential(nn.Linear(64, 64), Again(nn.GELU(), nn.Linear(64, 64)))",
    "an embedding with sparse gradients": "nn.Sequential(nn.Embedding(64, 64, sparse=True), nn.Linear(64, 64))",
}


# The compiler looks for gradients of what it is given, which warns of tensors that are no leaves.
@pytest.mark.filterwarnings("ignore:The .grad attribute", "ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_model_is_asked_in_full_and_reordered_sums_stop_nothing(odd, tmp_path, monkeypatch):
    layers = """
import torch
import torch.utils.checkpoint
from torch import nn


class Own(nn.Sequential):
    def forward(self, x):
        assert x.dtype == torch.float32
        return super().forward(x)


class Again(nn.Sequential):
    def forward(self, x):
        return torch.utils.checkpoint.checkpoint(super().forward, x, use_reentrant=True)
"""
    file = tmp_path / "odd.py"
    file.write_text(f"{layers}\n\ndef build():\n    return {ODD[odd]}\n", "utf-8")
    (tmp_path / "carried").mkdir()
    monkeypatch.setattr(run, "instruction_sets", dict)
    baseline = side_of(tmp_path, "baseline", file)
    reordered(monkeypatch)
    candidate = side_of(tmp_path, "candidate", file)

    assert judged(baseline, candidate) == []
    assert baseline.training
    assert not [module.unasked for module in baseline.numbers.modules if module.unasked]


def test_two_layers_that_start_equal_in_the_candidate_alone_are_named(tmp_path, monkeypatch):
    file = tmp_path / "twins.py"
    file.write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))\n", "utf-8"
    )
    (tmp_path / "carried").mkdir()
    monkeypatch.setattr(run, "instruction_sets", dict)
    baseline = side_of(tmp_path, "baseline", file)
    sound, last = nn.Linear.reset_parameters, []

    def reset(self):
        sound(self)
        if last and last[0].weight.shape == self.weight.shape:
            with torch.no_grad():
                self.weight.copy_(last.pop().weight)
        else:
            last[:] = [self]

    monkeypatch.setattr(nn.Linear, "reset_parameters", reset)
    findings = judged(baseline, side_of(tmp_path, "candidate", file))

    assert [finding.name for finding in findings if finding.kind == "law"] == ["1.weight"]
