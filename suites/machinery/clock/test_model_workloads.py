"""Workloads of a user's own model: what is timed, what a step leaves behind, and what is said of a broken file."""

import os
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from fixtures.clock.model_names import BACKWARD, BUILD, FORWARD, NAMES, PARTS, STEP, is_users
from fixtures.clock.model_workloads import UsersFile
from fixtures.clock.restart import BASELINE, CANDIDATE
from fixtures.clock.session import Asked, Session
from fixtures.clock.slow_downs import PLANTED, slowed
from fixtures.clock.verdict import guards_of, judged, workloads_of
from fixtures.clock.workers import Side, Unable, Worker
from fixtures.clock.workloads import workloads
from fixtures.model.definition import DefinitionError
from suites.machinery.chance import SURE, fresh_seed

pytestmark = SURE

MODEL = """\
import torch
from torch import nn
def build():
    print("megabytes")
    return nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, 4))
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A user's file with this text."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(text):
        path = tmp_path / "my_model.py"
        path.write_text(text)
        return path

    yield write
    sys.modules.pop("model_my_model", None)


@pytest.fixture
def prepared(file):
    """The call of a workload of the model with this text, and the model."""

    def prepare(name, text=MODEL):
        users = UsersFile(file(text))
        built = []
        definition = users.read()
        build = definition.functions["build"]
        definition.functions = {**definition.functions, "build": lambda: built.append(build()) or built[-1]}
        return users.workloads()[name].prepare("cpu"), built[-1]

    yield prepare
    torch.set_default_dtype(torch.float32)


def test_names_are_the_models_and_no_others():
    assert tuple(UsersFile(Path("my_model.py")).workloads()) == NAMES
    assert not any(map(is_users, workloads()))
    assert all(map(is_users, (*NAMES, slowed(STEP, 1.25))))
    assert {*PARTS} < {*NAMES}


def test_all_are_required_and_of_every_tier(file):
    users = UsersFile(file(MODEL)).workloads()

    assert {(one.required, one.tier) for one in users.values()} == {(True, "quick")}
    assert users[STEP].count().elements == 8 * 16 + 16 + 2 * 16 + 16 * 4 + 4


@pytest.mark.large_draws
def test_a_model_is_trained_in_training_mode(prepared):
    call, model = prepared(FORWARD)
    before = model[1].running_mean.clone()
    loss = call()

    assert model.training
    assert loss.requires_grad
    assert not torch.equal(model[1].running_mean, before)


def test_a_backward_pass_has_the_gradients_of_a_step_and_no_more_after_many(prepared):
    text = MODEL.replace("nn.Dropout(0.5)", "nn.ReLU()")
    backward, model = prepared(BACKWARD, text)
    for _ in range(3):
        backward()
    step, stepped = prepared(STEP, text)
    step()

    assert torch.equal(model[0].weight, stepped[0].weight) or torch.allclose(model[0].weight, stepped[0].weight)
    assert torch.allclose(model[0].weight.grad, stepped[0].weight.grad, rtol=1e-4, atol=1e-7)


OPTIMIZERS = [
    "",
    "def optimizer(model):\n    return torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.1)\n",
    "def optimizer(model):\n    return torch.optim.AdamW(model.parameters(), lr=0.5, weight_decay=0.5)\n",
    "def optimizer(model):\n    return torch.optim.Adam(model.parameters(), lr=torch.tensor(0.5))\n",
    "def optimizer(model):\n    groups = [{'params': [p], 'lr': 0.3} for p in model.parameters()]\n"
    "    return torch.optim.RMSprop(groups, lr=0.1)\n",
    "def optimizer(model):\n    return torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=2)\n",
]


@pytest.mark.large_draws
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_thousand_steps_leave_a_model_what_it_was(prepared, optimizer):
    step, model = prepared(STEP, MODEL + optimizer)
    step()
    before = [parameter.clone() for parameter in model.parameters()]
    for _ in range(1000):
        step()

    assert all(parameter.grad is not None for parameter in model.parameters())
    for parameter, was in zip(model.parameters(), before, strict=True):
        # Momentum makes ten of a learning rate of 1e-9, of gradients up to 1; half a learning rate moves by half.
        assert float((parameter - was).detach().abs().max()) < 1e-4


def test_steps_of_an_optimizer_without_a_learning_rate_train(prepared):
    text = MODEL + (
        "class Mine(torch.optim.Optimizer):\n    def __init__(self, parameters):\n"
        "        super().__init__(parameters, {})\n    def step(self, closure=None):\n"
        "        for group in self.param_groups:\n            for p in group['params']:\n"
        "                p.data.sub_(0.1 * p.grad)\ndef optimizer(model):\n    return Mine(model.parameters())\n"
    )
    step, model = prepared(STEP, text)
    before = model[0].weight.clone()
    step()

    assert not torch.allclose(model[0].weight, before, atol=1e-4)


def test_a_model_with_nothing_to_train_has_the_gradient_of_its_inputs(prepared):
    text = "import torch\ndef build():\n    return torch.nn.GELU()\ndef inputs(seed):\n    return torch.rand(3)\n"
    for name in (STEP, FORWARD, BACKWARD):
        call, _ = prepared(name, text)
        call()
        call()


@pytest.mark.large_draws
@pytest.mark.filterwarnings("default")  # compiling warns of what torch itself deprecates
def test_a_compiled_model_is_timed_as_it_is(prepared):
    text = (
        "import torch\nfrom torch import nn\ndef build():\n    return torch.compile(nn.Linear(3, 2), backend='eager')\n"
    )
    for name in (STEP, FORWARD, BACKWARD):
        call, model = prepared(name, text)
        call()
        call()

        assert name == FORWARD or model._orig_mod.weight.grad is not None


def test_building_calls_the_users_function_and_nothing_else(prepared, file):
    call, _ = prepared(BUILD)
    definition = UsersFile(file(MODEL))

    assert isinstance(call(), nn.Sequential)
    assert definition.workloads()[BUILD].prepare("cpu") is definition.read().functions["build"]


def test_a_models_default_dtype_is_there_while_it_runs(prepared):
    text = MODEL.replace("def build", "torch.set_default_dtype(torch.float64)\ndef build")
    _, model = prepared(FORWARD, text)

    assert model[0].weight.dtype is torch.get_default_dtype() is torch.float64


def test_a_file_is_read_when_it_is_first_asked_for_and_once(file):
    text = "import pathlib\nwith pathlib.Path(__file__).with_name('read').open('a') as file:\n    file.write('x')\n"
    path = file(text)
    users = UsersFile(path)
    named = users.workloads()

    assert not path.with_name("read").exists()
    for _ in range(2):
        for workload in named.values():
            with pytest.raises(DefinitionError, match=r"my_model\.py: defines no build"):
                workload.prepare("cpu")
    assert path.with_name("read").read_text() == "x"


# In workers


def side(name, path, **variables):
    return Side(name, (sys.executable,), os.environ | variables, str(path))


@pytest.mark.subprocess
def test_a_worker_times_a_users_model_whatever_it_prints(file):
    with Worker(side(BASELINE, file(MODEL)), "cpu", ["model"]) as worker:
        worker.greet()
        listed = worker.workloads()
        for name in NAMES:
            assert worker.ask("prepare", workload=name, seconds=60.0) == {"late": False}
            assert worker.block(worker.calls_in(0.002), 2)
            worker.ask("release")
        allocated = worker.count_of("allocate", workload=BUILD)

    assert [one for one in listed if is_users(one[0])] == [(name, True, "quick") for name in NAMES]
    assert allocated >= 4 * (8 * 16 + 16 * 4)


@pytest.mark.subprocess
def test_a_worker_says_what_is_wrong_with_a_file_and_goes_on(file):
    text = "raise ValueError('no such path')\n"
    with Worker(side(BASELINE, file(text)), "cpu", ["model"]) as worker:
        worker.greet()
        with pytest.raises(
            Unable, match=r"my_model\.py: importing it raises ValueError: no such path \(my_model\.py:1\)"
        ):
            worker.ask("prepare", workload=STEP, seconds=60.0)
        worker.ask("release")
        assert worker.ask("prepare", workload="init/kaiming_normal_/64x64/float32") == {}


@pytest.mark.subprocess
def test_a_worker_gives_up_on_a_model_that_takes_too_long(file):
    text = MODEL.replace('print("megabytes")', "import time; time.sleep(600)")
    with Worker(side(BASELINE, file(text)), "cpu", ["model"]) as worker:
        worker.greet()
        assert worker.ask("prepare", workload=STEP, seconds=0.2) == {"late": True}
        worker.ask("release")
        assert worker.ask("prepare", workload="init/kaiming_normal_/64x64/float32") == {}


@pytest.mark.subprocess
def test_a_worker_that_is_asked_for_no_model_reads_none(file):
    path = file("import pathlib\npathlib.Path(__file__).with_name('read').touch()\n" + MODEL)
    with Worker(side(BASELINE, path), "cpu", ["init"]) as worker:
        worker.greet()
        worker.ask("prepare", workload="init/kaiming_normal_/64x64/float32")
    with Worker(Side(BASELINE, (sys.executable,), os.environ), "cpu", ["init"]) as worker:
        worker.greet()
        listed = worker.workloads()

    assert not path.with_name("read").exists()
    assert not any(is_users(name) for name, _, _ in listed)


HALF = 0.5
"""Margin of a slow-down by two and of none: ten standard deviations of a restart lie between it and either."""


@pytest.mark.subprocess
def test_a_step_that_is_slower_is_found_beside_a_forward_pass_that_is_not(file):
    path = file(MODEL.replace("16", "256"))
    step = slowed(STEP, 2)
    session = Session(
        side(BASELINE, path),
        side(CANDIDATE, path, **{PLANTED: "1"}),
        [Asked(step, required=True, margin=HALF), Asked(FORWARD, required=True, margin=HALF)],
        device="cpu",
        seed=fresh_seed(),
        deadline=time.monotonic() + 300,
        lanes=2,
    )
    session.run()
    found = {one.name: one for one in workloads_of(session)}

    assert {name: one.outcome for name, one in found.items()} == {step: "regressed", FORWARD: "fine"}
    assert judged(workloads_of(session), guards_of(session))[0] == "stop"
    assert all(memory.peak_bytes for memory in found[step].memory.values())
    assert found[FORWARD].memory[BASELINE].allocated_bytes == found[FORWARD].memory[CANDIDATE].allocated_bytes > 0
