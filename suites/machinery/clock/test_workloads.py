"""The workloads: the list that was promised, each part alone, the same work at every call, and counts done by hand."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fixtures.clock import workloads as listed
from fixtures.clock.workloads import CONTROL, DECISIVE, NETWORKS, Work, cannot_compile, workloads
from fixtures.record.file_names import ROOT
from suites.machinery.chance import SURE

pytestmark = SURE


WORKLOADS = workloads()
QUICK = [name for name, workload in WORKLOADS.items() if workload.tier == "quick"]
TINY = torch.finfo(torch.float32).tiny


def prepared(name):
    return WORKLOADS[name].prepare("cpu")


# The list


def promised():
    """Names and tiers as issue 5 has them."""
    initializers = ["kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_", "trunc_normal_"]
    shapes = {"64x64": "quick", "1024x1024": "quick", "512x512x3x3": "quick", "8192x4096": "full"}
    for initializer, (shape, tier), dtype, layout in itertools.product(
        initializers, shapes.items(), ["float32", "bfloat16"], ["", "/transposed"]
    ):
        yield f"init/{initializer}/{shape}/{dtype}{layout}", tier
    yield "init/orthogonal_/256x256/float32", "quick"
    for weight in ("plain", "spectral_norm", "kaiming_normal_"):
        yield f"forward/linear-1024/{weight}", "quick"
    yield "construct/transformer", "quick"
    yield "construct/resnet50", "full"
    for optimizer, dtype in itertools.product(("sgd", "adam"), ("float32", "bfloat16")):
        yield f"train/resnet/step/{optimizer}/{dtype}/channels_last", "quick"
    for network in ("tutorial", "deep", "resnet"):
        yield f"construct/{network}", "quick"
        for optimizer in ("sgd", "adam"):
            yield f"train/{network}/update/{optimizer}", "quick"
        for dtype in ("float32", "bfloat16"):
            yield f"train/{network}/backward/{dtype}", "quick"
            for part in ("forward", "step/sgd", "step/adam"):
                yield f"train/{network}/{part}/{dtype}", "quick"
                yield f"train/{network}/{part}/{dtype}/compiled", "full"
    yield "guard/python", "quick"


def test_everything_that_was_promised_is_timed_and_nothing_else():
    assert {name: workload.tier for name, workload in WORKLOADS.items()} == dict(promised())


def test_each_name_is_unique():
    names = [name for name, _ in promised()]

    assert len(names) == len(set(names)) == len(WORKLOADS)
    assert all(name == workload.name for name, workload in WORKLOADS.items())


def test_what_decides_is_eager_and_all_but_one_is_quick():
    assert {name for name, workload in WORKLOADS.items() if workload.required} == DECISIVE
    assert not any(WORKLOADS[name].compiled for name in DECISIVE)
    assert set(QUICK) >= DECISIVE - {"construct/resnet50"}
    assert CONTROL.name not in DECISIVE


def test_parameters_tell_the_workloads_of_a_kind_apart():
    for _, kind in itertools.groupby(WORKLOADS.values(), key=lambda workload: workload.group):
        of_kind = list(kind)
        assert len({tuple(workload.parameters.items()) for workload in of_kind}) == len(of_kind)
        assert len({tuple(workload.parameters) for workload in of_kind}) == 1, "one table, the same columns"


@pytest.mark.large_draws
@pytest.mark.parametrize("version", ["1.0", "2.2.2", "99.0.0+vendor"])
def test_the_list_does_not_depend_on_the_version(monkeypatch, version):
    def asked():
        return [
            (workload.name, dict(workload.parameters), workload.required, workload.tier, workload.count())
            for workload in workloads().values()
        ]

    before = asked()

    monkeypatch.setattr(torch, "__version__", version)

    assert asked() == before


# The calls


@pytest.mark.large_draws
@pytest.mark.parametrize("name", QUICK)
def test_each_quick_workload_runs(name):
    call = prepared(name)

    call()
    call()


@pytest.mark.large_draws
@pytest.mark.parametrize("name", [name for name in QUICK if name.startswith("init/")])
def test_an_initializer_writes_the_shape_dtype_and_layout_that_its_name_says(name):
    call, said = prepared(name), WORKLOADS[name].parameters

    weight = call()

    assert "x".join(map(str, weight.shape)) == said["shape"]
    assert weight.dtype == getattr(torch, said["dtype"])
    assert weight.is_contiguous() == (said["layout"] == "contiguous")
    assert weight.float().std() > 0
    assert weight.isfinite().all()


@pytest.fixture
def passes(monkeypatch):
    """Forward passes of modules and backward passes, counted."""
    counted = {"forward": 0, "backward": 0}
    backward = torch.autograd.backward

    def count_forward(*_):
        counted["forward"] += 1

    def count_backward(*arguments, **options):
        counted["backward"] += 1
        return backward(*arguments, **options)

    monkeypatch.setattr(torch.autograd, "backward", count_backward)
    hook = nn.modules.module.register_module_forward_hook(count_forward)
    yield counted
    hook.remove()


def counts_of(call, passes):
    """Passes of one call: whether it goes forward, and the number of backward passes."""
    passes.update(forward=0, backward=0)
    call()
    return passes["forward"] > 0, passes["backward"]


@pytest.mark.large_draws
@pytest.mark.parametrize("network", NETWORKS)
def test_parts_are_apart(network, passes):
    assert counts_of(prepared(f"train/{network}/forward/float32"), passes) == (True, 0)
    assert counts_of(prepared(f"train/{network}/backward/float32"), passes) == (False, 1)
    assert counts_of(prepared(f"train/{network}/update/adam"), passes) == (False, 0)
    assert counts_of(prepared(f"train/{network}/step/sgd/float32"), passes) == (True, 1)


@pytest.fixture
def trainee(monkeypatch):
    """The trainee of the workload that is prepared next."""
    made, make = [], listed._trainee

    def kept(*arguments):
        made.append(make(*arguments))
        return made[-1]

    monkeypatch.setattr(listed, "_trainee", kept)
    return made


def gradients(trainee):
    return [parameter.grad.clone() for parameter in trainee.network.parameters()]


def parameters(trainee):
    return [parameter.detach().clone() for parameter in trainee.network.parameters()]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.large_draws
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_backward_pass_leaves_the_gradients_of_a_step_however_often_it_is_called(trainee, network, dtype):
    backward = prepared(f"train/{network}/backward/{dtype}")
    prepared(f"train/{network}/step/sgd/{dtype}")
    alone, whole = trainee
    before = parameters(alone)

    for _ in range(3):
        backward()
    whole.forward_and_backward()

    assert same(gradients(alone), gradients(whole))
    assert same(parameters(alone), before)


def test_gradients_that_add_up_would_be_seen(trainee, monkeypatch):
    monkeypatch.setattr(torch.optim.Optimizer, "zero_grad", lambda _self: None)
    backward = prepared("train/tutorial/backward/float32")

    backward()
    first = gradients(trainee[0])
    backward()

    assert not same(gradients(trainee[0]), first)


def test_the_update_leaves_the_gradients_and_changes_the_parameters(trainee):
    update = prepared("train/tutorial/update/adam")
    kept, before = gradients(trainee[0]), parameters(trainee[0])

    update()

    assert same(gradients(trainee[0]), kept)
    assert not same(parameters(trainee[0]), before)


def test_autocast_computes_in_bfloat16(trainee):
    prepared("train/tutorial/forward/bfloat16")
    dtypes = []
    trainee[0].network.fc1.register_forward_hook(lambda _module, _inputs, output: dtypes.append(output.dtype))

    trainee[0].forward()

    assert dtypes == [torch.bfloat16]
    assert trainee[0].network.fc1.weight.dtype == torch.float32


def test_channels_last_is_the_layout_of_weights_and_inputs(trainee):
    prepared("train/resnet/step/sgd/float32/channels_last")()
    prepared("train/resnet/step/sgd/float32")()
    last, plain = trainee

    assert last.inputs.is_contiguous(memory_format=torch.channels_last)
    assert not plain.inputs.is_contiguous(memory_format=torch.channels_last)
    weights = [module.weight for module in last.network.modules() if isinstance(module, nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    assert all(weight.grad.is_contiguous(memory_format=torch.channels_last) for weight in weights)


@pytest.mark.large_draws
def test_resnet50_is_initialized_as_its_authors_do():
    layers = prepared("construct/resnet50")()
    stem = layers[0].weight

    assert sum(isinstance(layer, nn.Conv2d) for layer in layers) == 53
    # Of 9408 weights: 0.73 % is one standard error.
    assert float(stem.detach().std()) == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.1)


# The same work at every call


def subnormal_moments(trainee):
    """Second moments of Adam that a processor works on many times slower."""
    moments = [state["exp_avg_sq"] for state in trainee.optimizer.state.values()]
    return sum(int(((moment != 0) & (moment < TINY)).sum()) for moment in moments)


@pytest.mark.large_draws
def test_no_step_works_on_subnormal_numbers(trainee):
    for network in NETWORKS:
        prepared(f"train/{network}/step/adam/float32")()

    assert [subnormal_moments(made) for made in trainee] == [0, 0, 0]


@pytest.mark.large_draws
def test_subnormal_numbers_would_be_seen(trainee, monkeypatch):
    """torch's own initialization, 50 layers deep."""
    monkeypatch.setattr(nn.init, "kaiming_normal_", lambda weight, **_: weight)

    prepared("train/deep/step/adam/float32")()

    assert subnormal_moments(trainee[0]) > 100_000


@pytest.mark.large_draws
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_hundred_steps_leave_the_network_what_it_was(trainee, optimizer):
    step = prepared(f"train/tutorial/step/{optimizer}/float32")
    before, loss = parameters(trainee[0]), trainee[0].forward().item()

    for _ in range(100):
        step()

    furthest = max(float((now - then).abs().max()) for now, then in zip(parameters(trainee[0]), before, strict=True))
    assert furthest < 1e-6
    assert trainee[0].forward().item() == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_worker_trains_the_same_network_on_the_same_batch(trainee, network):
    for _ in range(2):
        torch.rand(3)
        prepared(f"train/{network}/forward/float32")
    one, other = trainee

    assert same(parameters(one), parameters(other))
    assert torch.equal(one.inputs, other.inputs)
    assert torch.equal(one.labels, other.labels)


# What is counted

TUTORIAL_WEIGHTS = 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10
DEEP_WEIGHTS = 49 * (512 * 512 + 512) + 512 * 10 + 10
TRANSFORMER_WEIGHTS = 4 * (512 * 512 + 512) + 2 * 512 * 2048 + 2048 + 512 + 4 * 512
TUTORIAL_FORWARD = 2 * 64 * (784 * 256 + 256 * 128 + 128 * 10)
TUTORIAL_BACKWARD = 2 * TUTORIAL_FORWARD - 2 * 64 * 784 * 256
RESNET_FORWARD = 2 * 8 * (1024 * (27 * 32 + 6 * 288 * 32) + 32 * 10)


@pytest.mark.parametrize(
    ("name", "work"),
    [
        ("init/kaiming_normal_/1024x1024/float32", Work(1 << 20, 1 << 22)),
        ("init/trunc_normal_/512x512x3x3/bfloat16/transposed", Work(2_359_296, 4_718_592)),
        ("init/xavier_uniform_/8192x4096/bfloat16", Work(33_554_432, 67_108_864)),
        ("init/orthogonal_/256x256/float32", Work(65_536, 262_144)),
        ("construct/tutorial", Work(TUTORIAL_WEIGHTS, 4 * TUTORIAL_WEIGHTS)),
        ("construct/deep", Work(DEEP_WEIGHTS, 4 * DEEP_WEIGHTS)),
        ("construct/transformer", Work(TRANSFORMER_WEIGHTS, 4 * TRANSFORMER_WEIGHTS)),
        ("construct/resnet50", Work(25_557_032, 4 * 25_557_032)),  # as everybody counts them
        ("forward/linear-1024/plain", Work(64, 1 << 22, 1 << 27)),
        ("forward/linear-1024/kaiming_normal_", Work(1 << 20, 1 << 22)),
        ("train/tutorial/forward/float32", Work(64, 4 * TUTORIAL_WEIGHTS, TUTORIAL_FORWARD)),
        ("train/tutorial/update/sgd", Work(TUTORIAL_WEIGHTS, 12 * TUTORIAL_WEIGHTS)),
        ("train/tutorial/update/adam", Work(TUTORIAL_WEIGHTS, 28 * TUTORIAL_WEIGHTS)),
        ("guard/python", Work(20_000)),
    ],
)
def test_work_by_hand(name, work):
    assert WORKLOADS[name].count() == work


def test_flops_of_training_by_hand():
    flops = {name: WORKLOADS[name].count().flops for name in QUICK}

    assert flops["train/tutorial/backward/float32"] == TUTORIAL_BACKWARD == 34_406_400
    assert flops["train/tutorial/step/sgd/float32"] == TUTORIAL_FORWARD + TUTORIAL_BACKWARD
    assert flops["train/deep/forward/bfloat16"] == 2 * 16 * (49 * 512 * 512 + 512 * 10)
    assert flops["train/resnet/forward/float32"] == RESNET_FORWARD
    assert flops["train/resnet/backward/float32"] == 2 * RESNET_FORWARD - 2 * 8 * 1024 * 27 * 32


def test_bytes_of_a_step_are_those_of_its_parts():
    work = {name: WORKLOADS[name].count().bytes for name in QUICK}
    parts = ["forward/float32", "backward/float32", "update/adam"]

    assert work["train/tutorial/backward/float32"] == 4 * (2 * TUTORIAL_WEIGHTS - 784 * 256)
    assert work["train/tutorial/step/adam/float32"] == sum(work[f"train/tutorial/{part}"] for part in parts)


COUNTED = [name for name in QUICK if WORKLOADS[name].count().flops and "spectral" not in name]


@pytest.mark.large_draws
@pytest.mark.parametrize("name", COUNTED)
def test_flops_are_those_that_torch_counts_while_it_computes(name):
    call = prepared(name)

    with FlopCounterMode(display=False) as counter:
        call()

    assert counter.get_total_flops() == WORKLOADS[name].count().flops


# Compilers


def test_what_keeps_torch_from_compiling_is_said_in_a_line(monkeypatch):
    def refuse(_function):
        raise RuntimeError("no C++ compiler\nset CXX to one")

    monkeypatch.setattr(torch, "compile", refuse)

    assert cannot_compile("cpu") == f"torch {torch.__version__} cannot compile for cpu: no C++ compiler"


@pytest.fixture
def captured_frames(monkeypatch):
    """Frames that torch.compile has captured; to what it compiles them is another matter, and slow."""
    from torch._dynamo.utils import counters

    compile_with = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network: compile_with(network, backend="eager"))
    counters.clear()
    yield lambda: counters["frames"]["ok"]
    torch.compiler.reset()


def frames_of_each(names, captured_frames):
    """Frames captured for each of several workloads in one process."""
    counts = [0]
    for name in names:
        prepared(name)()
        counts.append(captured_frames())
    return [after - before for before, after in itertools.pairwise(counts)]


COMPILED = [name for name, workload in WORKLOADS.items() if workload.compiled]


@pytest.mark.large_draws
@pytest.mark.filterwarnings("default")  # compiling warns of what torch itself deprecates
def test_each_compiled_workload_is_compiled_however_many_there_are(captured_frames):
    assert len(COMPILED) == 18
    assert min(frames_of_each(COMPILED, captured_frames)) > 0


@pytest.mark.large_draws
@pytest.mark.filterwarnings("default")
def test_a_network_that_silently_runs_uncompiled_would_be_seen(captured_frames, monkeypatch):
    monkeypatch.setattr(torch.compiler, "reset", lambda: None)
    tutorials = [name for name in COMPILED if "tutorial" in name]

    assert min(frames_of_each(tutorials * 2, captured_frames)) == 0


# What a worker imports

ALONE = """
import sys
for name in ("numpy", "scipy", "msgspec", "pytest", "hypothesis", "rich", "typer"):
    sys.modules[name] = None  # importing it fails
import warnings
warnings.simplefilter("ignore")  # torch itself says that it misses NumPy
import torch
before = set(sys.modules)
import fixtures.target.device, fixtures.clock.workloads
workloads = fixtures.clock.workloads.workloads()
imported = sorted(set(sys.modules) - before)
for name in sys.argv[1:]:
    fixtures.target.device.timed(workloads[name].prepare("cpu"), 1, fixtures.target.device.Cpu())
import json
print(json.dumps(imported))
"""


@pytest.mark.subprocess
def test_the_list_needs_nothing_but_the_standard_library_and_torch():
    one_of_each = {WORKLOADS[name].group: name for name in QUICK if "orthogonal" not in name}
    command = [sys.executable, "-c", ALONE, *one_of_each.values()]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert ended.returncode == 0, ended.stderr
    imported = json.loads(ended.stdout)
    assert [name for name in imported if name.startswith("fixtures")] == [
        "fixtures",
        "fixtures.clock",
        "fixtures.clock.workloads",
        "fixtures.environments",
        "fixtures.environments.processes",
        "fixtures.record",
        "fixtures.record.choices",
        "fixtures.record.safe_text",
        "fixtures.target",
        "fixtures.target.device",
    ]
    foreign = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - {"fixtures", "torch"}
    assert not foreign
