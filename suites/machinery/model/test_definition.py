"""The file of a user's model: defaults, what each function may return, and one line for whatever is wrong with it."""

from __future__ import annotations

import ast
import contextlib
import math
import socket
import sys
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from fixtures.model.definition import (
    LINES,
    DefinitionError,
    Inputs,
    eager_of,
    is_compiled,
    read_definition,
    readout,
    uniform,
)
from fixtures.record.file_names import ROOT
from fixtures.target.nested import mapped, tensors_in
from suites.machinery.chance import SURE

pytestmark = SURE

LINEAR = "import torch\nfrom torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(3, 2), nn.ReLU())\n"
DROPPING = (
    "import random, numpy, torch\nfrom torch import nn\ndef build():\n    model = nn.Linear(3, 2)\n"
    "    model.drawn = random.random(), numpy.random.rand(), torch.rand(())\n    return model\n"
)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A file of a user's with this text."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(text, name="my_model.py"):
        file = tmp_path / name
        file.write_text(text)
        return file

    yield write
    for name in [
        name
        for name, module in sys.modules.items()
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path))
    ]:
        del sys.modules[name]


@pytest.fixture
def read(written):
    """The definition in a file with this text."""
    return lambda text: read_definition(written(text))


def refused(call):
    """The line and the tail with which a call is refused."""
    with pytest.raises(DefinitionError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("my_model.py: ")
    return line, caught.value.tail


# Defaults


def test_a_file_with_build_alone_is_enough(read):
    definition = read(LINEAR)
    model = definition.build(1)
    inputs = definition.inputs(model, 2)
    loss = definition.loss(model, inputs)
    loss.backward()

    assert definition.defines == ()
    assert inputs.given.shape == (8, 3)
    assert loss.shape == ()
    assert model[0].weight.grad is not None
    assert isinstance(definition.optimizer(model), torch.optim.SGD)
    assert torch.equal(definition.loss_call(model, inputs)(), loss)


@pytest.mark.filterwarnings("default")  # compiling warns of what torch itself deprecates
@pytest.mark.parametrize(
    ("layer", "shape", "dtype"),
    [
        ("nn.Linear(5, 2)", (8, 5), torch.float32),
        ("nn.Linear(5, 2, dtype=torch.bfloat16)", (8, 5), torch.bfloat16),
        ("nn.Conv1d(4, 2, 3)", (2, 4, 32), torch.float32),
        ("nn.Sequential(nn.ReLU(), nn.Conv2d(4, 2, 3))", (2, 4, 32, 32), torch.float32),
        ("nn.Conv3d(1, 1, 3)", (2, 1, 32, 32, 32), torch.float32),
        ("torch.compile(nn.Sequential(nn.Linear(5, 2)))", (8, 5), torch.float32),
        ("nn.Embedding(7, 2)", (2, 16), torch.int64),
    ],
)
def test_inputs_are_drawn_for_the_first_layer(read, layer, shape, dtype):
    definition = read(f"import torch\nfrom torch import nn\ndef build():\n    return {layer}\n")
    model = definition.build(0)
    inputs = definition.inputs(model, 3)

    assert (inputs.given.shape, inputs.given.dtype) == (shape, dtype)
    assert torch.equal(inputs.given, definition.inputs(model, 3).given)
    assert not torch.equal(inputs.given, definition.inputs(model, 4).given)
    assert dtype is not torch.int64 or set(inputs.given.unique().tolist()) == set(range(7))
    eager_of(model)(inputs.given)


@pytest.mark.parametrize(
    "layer",
    ["nn.LayerNorm(4)", "nn.LSTM(3, 4)", "nn.ReLU()", "nn.Linear(3, 3, dtype=torch.cfloat)"],
)
def test_a_first_layer_that_does_not_say_what_it_takes_is_named(read, layer):
    definition = read(
        f"import torch\nfrom torch import nn\ndef build():\n    return nn.Sequential({layer}, nn.Linear(4, 4))\n"
    )
    if layer == "nn.ReLU()":
        assert definition.inputs(definition.build(0), 0).drawn_for.startswith("its first layer, 1 (Linear")
        return
    line, _ = refused(lambda: definition.inputs(definition.build(0), 0))

    assert f"not its first layer, 0 ({layer[3:7]}" in line
    assert "inputs(seed) that returns a tensor" in line


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_layer_that_has_no_shape_yet_is_named(read):
    definition = read("from torch import nn\ndef build():\n    return nn.Sequential(nn.LazyLinear(3))\n")
    line, _ = refused(lambda: definition.build(0))

    assert "0.weight of what build() returns has no shape yet (call the model once)" in line


def test_a_model_without_parameters_is_fine(read):
    definition = read("from torch import nn\ndef build():\n    return nn.ReLU()\n")
    model = definition.build(0)

    assert definition.optimizer(model) is None
    assert definition.loss(model, Inputs(torch.ones(3))).shape == ()
    assert "no layer with parameters" in refused(lambda: definition.inputs(model, 0))[0]


def test_drawn_numbers_are_these_on_every_torch_and_have_variance_one():
    drawn = uniform(5, (200_000,)).double()

    assert drawn[:3].tolist() == [0.3192983865737915, -1.5325803756713867, -1.642338752746582]
    assert abs(float(drawn.mean())) < 0.02
    assert float((drawn**2).mean()) == pytest.approx(1, abs=0.02)
    assert float(drawn.abs().max()) <= math.sqrt(3) * (1 + 2**-23)


@dataclass
class Output:
    """A model's answer."""

    logits: torch.Tensor
    count: int


Pair = namedtuple("Pair", ["one", "other"])


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        lambda x: (x, torch.arange(3)),
        lambda x: [x],
        lambda x: OrderedDict(logits=x, loss=None),
        lambda x: {"states": ({"last": x}, "text")},
        lambda x: Output(x, 2),
        lambda x: Pair(x, 1),
        lambda x: (x, torch.zeros(0)),
    ],
)
def test_the_readout_reads_every_container_and_reaches_each_output(wrap):
    x = torch.randn(4, 5, requires_grad=True)
    loss = readout(wrap(x))
    loss.backward()

    assert torch.equal(loss, readout(x))
    assert float(x.grad.norm()) == pytest.approx(1, abs=0.6)  # n = 20 numbers of variance 1 over the root of n
    assert (x.grad != 0).all()


def test_the_readout_has_the_same_numbers_in_every_precision_and_others_for_each_tensor():
    x = torch.randn(1000)
    exact = float(readout(x.double()))

    assert float(readout(x)) == pytest.approx(exact, abs=1e-5)
    assert readout(x.bfloat16()).dtype is torch.float32
    assert float(readout(torch.complex(x.double(), x.double()))) != 0

    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    readout((one, other)).backward()
    # Each is half of numbers whose squares sum to about 1: the same ones would be no distance apart.
    assert float((one.grad - other.grad).norm()) == pytest.approx(math.sqrt(1 / 2), abs=0.1)


def test_a_loss_of_the_models_own_is_taken():
    assert readout({"loss": torch.tensor(3.0), "logits": torch.ones(2)}) == 3
    assert readout({"loss": torch.ones(2)}) != 1
    assert readout((torch.arange(3), "text")) is None


# What the user defines


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        ("torch.ones(2, 3)", 1, []),
        ("(torch.ones(2, 3), None)", 2, []),
        ("{'input': torch.ones(2, 3)}", 0, ["input"]),
        ("((torch.ones(2, 3),), {'mask': None})", 1, ["mask"]),
        ("({'a': 1}, {'b': 2})", 2, []),
        ("()", 0, []),
    ],
)
def test_inputs_are_arguments_keywords_or_both(read, given, args, kwargs):
    definition = read(f"{LINEAR}def inputs(seed):\n    return {given}\n")
    inputs = definition.inputs(definition.build(0), 0)

    assert (len(inputs.args), list(inputs.kwargs)) == (args, kwargs)
    assert inputs.drawn_for is None
    assert len(inputs.mapped(lambda tensor: tensor + 1).tensors()) == len(inputs.tensors())
    assert all((one == 2).all() for one in inputs.mapped(lambda tensor: tensor + 1).tensors())


def test_containers_are_changed_in_the_order_in_which_they_are_read():
    value = {
        "a": [torch.tensor(1), (torch.tensor(2),)],
        "b": Pair(torch.tensor(3), "text"),
        "c": Output(torch.tensor(4), 5),
    }
    counted = iter(range(10, 20))
    changed = mapped(value, lambda tensor: tensor + next(counted))

    assert [int(one) for one in tensors_in(value)] == [1, 2, 3, 4]
    assert [int(one) for one in tensors_in(changed)] == [11, 13, 15, 17]
    assert type(changed["b"]) is Pair
    assert changed["c"].count == 5


def test_each_function_of_the_users_is_called(read):
    definition = read(
        LINEAR + "def inputs(seed):\n    return torch.full((4, 3), float(seed)), torch.tensor([0, 1, 0, 1])\n"
        "def step(model, inputs):\n    x, y = inputs\n    return nn.functional.cross_entropy(model(x), y)\n"
        "def optimizer(model):\n    return torch.optim.Adam(model.parameters())\n"
    )
    model = definition.build(0)
    inputs = definition.inputs(model, 7)
    loss = definition.loss(model, inputs)

    assert definition.defines == ("inputs", "step", "optimizer")
    assert float(inputs.args[0][0, 0]) == 7
    assert torch.equal(loss, nn.functional.cross_entropy(model(inputs.args[0]), inputs.args[1]))
    assert torch.equal(definition.loss_call(model, inputs)(), loss)
    assert isinstance(definition.optimizer(model), torch.optim.Adam)


def test_a_seed_repeats_all_that_is_drawn(read):
    definition = read(DROPPING + "def inputs(seed):\n    return torch.rand(2, 3)\n")
    one, again, other = (definition.build(seed) for seed in (2**40 + 5, 2**40 + 5, 6))

    assert one.drawn == again.drawn
    assert torch.equal(one.weight, again.weight)
    assert all(drawn != another for drawn, another in zip(one.drawn, other.drawn, strict=True))
    assert torch.equal(definition.inputs(one, 3).given, definition.inputs(one, 3).given)


def test_a_file_imports_what_lies_beside_it(written):
    written("from torch import nn\nclass Mine(nn.Linear):\n    pass\n", "layers_of_mine.py")
    definition = read_definition(written("from layers_of_mine import Mine\ndef build():\n    return Mine(3, 3)\n"))

    assert type(definition.build(0)).__name__ == "Mine"


def test_what_torch_keeps_for_a_process_is_put_back(read):
    before = torch.get_num_threads()
    definition = read(
        "import torch\nfrom torch import nn\ntorch.set_default_dtype(torch.float64)\ntorch.set_grad_enabled(False)\n"
        "def build():\n    torch.set_num_threads(1)\n    torch.set_default_device('meta')\n"
        "    return nn.Linear(3, 2, device='cpu')\n"
        "def inputs(seed):\n    return torch.ones(2, 3)\n"
    )
    with contextlib.ExitStack() as stack:
        stack.callback(torch.set_num_threads, before)
        torch.set_num_threads(2)
        model = definition.build(0)
        inputs = definition.inputs(model, 0)

        assert torch.get_num_threads() == 2
    assert model.weight.dtype is inputs.given.dtype is torch.float64
    assert inputs.given.device.type == "cpu"
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert definition.loss(model, inputs).requires_grad


def test_a_default_dtype_that_build_sets_is_that_of_its_inputs(read):
    definition = read(
        "import torch\nfrom torch import nn\ndef build():\n    before = torch.get_default_dtype()\n"
        "    torch.set_default_dtype(torch.float64)\n    model = nn.Linear(3, 2)\n"
        "    model.before = before\n    return model\n"
        "def inputs(seed):\n    return torch.ones(2, 3)\n"
    )
    models = [definition.build(0), definition.build(0)]

    assert [model.before for model in models] == [torch.float32] * 2
    assert definition.inputs(models[0], 0).given.dtype is torch.float64


@pytest.mark.filterwarnings("default")  # compiling warns of what torch itself deprecates
def test_a_compiled_model_has_an_eager_one_with_the_same_parameters():
    model = nn.Sequential(nn.Linear(3, 2))
    compiled = torch.compile(model)

    assert is_compiled(compiled)
    assert eager_of(compiled) is eager_of(model) is model
    assert not is_compiled(model)


@pytest.mark.filterwarnings("default")  # compiling warns of what torch itself deprecates
@pytest.mark.skipif(not hasattr(nn.Module, "compile"), reason="this torch compiles no module in place")
def test_a_model_that_is_compiled_in_place_has_one_too():
    model = nn.Sequential(nn.Linear(3, 2))
    model.compile()
    eager = eager_of(model)

    assert is_compiled(model)
    assert not is_compiled(eager)
    assert eager is not model
    assert eager[0].weight is model[0].weight


# One line for each mistake


BUILD = "def build():\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "defines no build; build() that returns an nn.Module is accepted"),
        ("build = 3\n", "build is an object of class int"),
        ("from torch import nn\nbuild = nn.Linear(3, 3)\n", "build is an object of class Linear; build() that"),
        ("def build(width):\n    pass\n", "build cannot be called without arguments (missing a required argument"),
        (f"{LINEAR}def inputs():\n    pass\n", "inputs cannot be called with seed (too many"),
        (f"{LINEAR}def loss(model):\n    pass\n", "loss cannot be called with model and inputs"),
        (f"{LINEAR}loss = nn.MSELoss()\n", "loss is an object of class MSELoss"),
        (f"{LINEAR}def loss(a, b):\n    pass\nstep = loss\n", "defines both loss and step"),
        ("import torch\nimport nowhere_at_all\n", "importing it raises ModuleNotFoundError"),
        ("x = 1\nx.y\n", "AttributeError: 'int' object has no attribute 'y' (my_model.py:2); a file with build()"),
        ("def build(:\n", "importing it raises SyntaxError"),
        ("raise SystemExit('usage: train.py')\n", "importing it raises SystemExit: usage: train.py (my_model.py:1)"),
        ("raise ValueError('one\\n\\x1b[31mtwo')\n", "ValueError: one two (my_model.py:1)"),
    ],
)
def test_a_file_that_is_no_definition_is_refused_in_one_line(written, text, says):
    line, _ = refused(lambda: read_definition(written(text)))

    assert says in line


def test_a_path_without_a_python_file_is_refused(tmp_path, written):
    assert refused(lambda: read_definition(tmp_path / "my_model.py")) == ("my_model.py: no such file", ())
    with pytest.raises(DefinitionError, match=r"my_model\.txt: a Python file, whose name ends in \.py, is accepted"):
        read_definition(written(LINEAR, "my_model.txt"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("    return 3\n", "build() returns an object of class int; build() that returns an nn.Module is accepted"),
        ("    pass\n", "build() returns nothing"),
        ("    return nn.Linear\n", "build() returns the class Linear"),
        ("    return nn.Linear(3)\n", "(my_model.py:3); build() that returns an nn.Module is accepted"),
        ("    raise KeyError\n", "build() raises KeyError (my_model.py:3)"),
        ("    import sys\n    sys.exit(3)\n", "build() raises SystemExit: 3 (my_model.py:4)"),
        ("    return build()\n", "build() raises RecursionError"),
    ],
)
def test_a_build_that_gives_no_model_is_refused_in_one_line(read, body, says):
    definition = read(f"from torch import nn\n{BUILD}{body}")

    line, tail = refused(lambda: definition.build(0))

    assert says in line
    assert len(tail) <= LINES
    assert bool(tail) == ("raises" in line)


@pytest.mark.parametrize(
    "raised",
    [
        "import urllib.error\n    raise urllib.error.URLError('no route')",
        "raise ConnectionRefusedError(111, 'refused')",
        "import socket\n    socket.getaddrinfo('a.invalid', 80)",
        "class LocalEntryNotFoundError(FileNotFoundError): pass\n"
        "    try:\n        raise LocalEntryNotFoundError('x')\n"
        "    except OSError as error:\n        raise OSError('cannot load') from error",
    ],
)
def test_a_build_that_needs_the_network_is_told_that_nothing_is_downloaded(read, raised, monkeypatch):
    def unknown(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    line, _ = refused(lambda: read(f"{BUILD}    {raised}\n").build(0))

    assert "build() needs the network" in line
    assert "nothing is downloaded" in line


def test_an_interrupt_is_no_mistake_of_the_file(read):
    definition = read(f"{BUILD}    raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt):
        definition.build(0)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("def inputs(seed):\n    return [1]\n", "inputs(seed) returns an object of class list; inputs(seed) that"),
        (
            "def inputs(seed):\n    return 1 / 0\n",
            "inputs(seed) raises ZeroDivisionError: division by zero (my_model.py:6)",
        ),
        (
            "def loss(model, inputs):\n    return model(inputs)\n",
            "loss(model, inputs) returns a tensor of shape [8, 2]",
        ),
        (
            "def loss(model, inputs):\n    return model(inputs).sum().item()\n",
            "returns an object of class float; loss(",
        ),
        ("def loss(model, inputs):\n    return model(inputs).sum().long()\n", "returns a tensor of shape [], int64"),
        ("def loss(model, inputs):\n    return model(inputs).sum().detach()\n", "returns a loss without gradient"),
        (
            "def step(model, inputs):\n    x = model(inputs).sum()\n    x.backward()\n    return x\n",
            "goes backward by itself",
        ),
        ("def step(model, inputs):\n    return nowhere\n", "step(model, inputs) raises NameError"),
        ("def inputs(seed):\n    return torch.ones(2, 5)\n", "the model raises RuntimeError"),
        ("def optimizer(model):\n    return 0.1\n", "optimizer(model) returns an object of class float"),
        ("def optimizer(model):\n    return torch.optim.SGD([], lr=1)\n", "optimizer(model) raises ValueError"),
    ],
)
def test_a_function_that_gives_something_else_is_refused_in_one_line(read, function, says):
    definition = read(LINEAR + function)

    def measured():
        model = definition.build(0)
        definition.loss(model, definition.inputs(model, 0))
        definition.optimizer(model)

    line, _ = refused(measured)

    assert says in line


def test_a_model_that_cannot_take_its_default_inputs_is_told_what_they_were_drawn_for(read):
    definition = read(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Conv2d(3, 1, 3), nn.Linear(7, 1))\n"
    )
    model = definition.build(0)

    line, _ = refused(lambda: definition.loss(model, definition.inputs(model, 0)))

    assert "its inputs were drawn for its first layer, 0 (Conv2d(3, 1" in line
    assert "define inputs(seed) if it takes others" in line


def test_a_model_whose_output_has_no_numbers_needs_a_loss(read):
    definition = read(
        "from torch import nn\nclass M(nn.Linear):\n    def forward(self, x):\n        return 'text'\n"
        "def build():\n    return M(3, 2)\n"
    )
    model = definition.build(0)

    line, _ = refused(lambda: definition.loss(model, definition.inputs(model, 0)))

    assert "the model returns an object of class str, without floating-point numbers; loss(model, inputs)" in line


def test_no_gradient_is_asked_for_where_none_is_kept(read):
    definition = read(LINEAR)
    model = definition.build(0)

    with torch.no_grad():
        assert not definition.loss(model, definition.inputs(model, 0)).requires_grad


# What a worker of the clock has


def test_the_definition_imports_the_standard_library_and_torch_alone():
    modules = [
        "fixtures/model/definition.py",
        "fixtures/target/nested.py",
        "fixtures/target/imports.py",
        "fixtures/record/safe_text.py",
    ]
    imported = {
        name.partition(".")[0]
        for module in modules
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported - sys.stdlib_module_names == {"torch", "fixtures"}
