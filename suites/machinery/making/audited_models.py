"""Models for tests of the audit: sound ones, one for each planted fault, and what the laws cannot be asked about.

Every builder can be named on the command line: suites.machinery.making.audited_models:he.
"""

# ruff: noqa: D102 - what `forward` is, torch says; what it does here, its class

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

WIDTH, DEPTH = 128, 3


def chain(*layers: nn.Module) -> nn.Sequential:
    """Linear layers, each with a ReLU that works in place."""
    return nn.Sequential(*(each for layer in layers for each in (layer, nn.ReLU(inplace=True))))


def he_linear(kind: type[nn.Linear] = nn.Linear) -> nn.Linear:
    """With torch's own bias, which is not zero."""
    layer = kind(WIDTH, WIDTH)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


def he() -> nn.Sequential:
    """Sound: layers 0, 2 and 4."""
    return chain(*(he_linear() for _ in range(DEPTH)))


def forgotten() -> nn.Sequential:
    """Layer 2 is left as torch makes it."""
    return chain(he_linear(), nn.Linear(WIDTH, WIDTH), he_linear())


def two_percent() -> nn.Sequential:
    """Layer 2 is 2 % too large."""
    model = he()
    model[2].weight.data.mul_(1.02)
    return model


def wrong_gain() -> nn.Sequential:
    """Layer 2 lacks the gain."""
    model = he()
    nn.init.kaiming_normal_(model[2].weight, nonlinearity="linear")
    return model


def outlier() -> nn.Sequential:
    """One of layer 2's 16384 weights is ten times the std, which its scale does not show."""
    model = he()
    model[2].weight.data[5, 7] = 1.25
    return model


class _Scaled(torch.autograd.Function):
    """The identity, whose gradient is 4 % too large."""

    @staticmethod
    def forward(_context, signals):
        return signals.clone()

    @staticmethod
    def backward(_context, gradient):
        return 1.04 * gradient


class ScalesBackward(nn.Linear):
    """A layer with a faulty backward."""

    def forward(self, signals):
        return _Scaled.apply(super().forward(signals))


class ScalesForward(nn.Linear):
    """A layer with a faulty forward, whose gradient is right."""

    def forward(self, signals):
        made = super().forward(signals)
        return made + 0.02 * nn.functional.linear(signals, self.weight).detach()


def backward_scaled() -> nn.Sequential:
    """The gradient through layer 2 is 4 % too large.

    By few fresh gradients, for its forward is its own, and by its networks' 86 016 numbers, of whose scale 0.24 % is a
    standard error: 4 % are 16 of them, and the screen asks for 3.9.
    """
    return chain(he_linear(), he_linear(ScalesBackward), he_linear())


def forward_scaled() -> nn.Sequential:
    """Layer 2's signal is 2 % too large."""
    return chain(he_linear(), he_linear(ScalesForward), he_linear())


def copied() -> nn.Sequential:
    """Layer 2 starts with the weights of layer 0."""
    model = he()
    model[2].weight.data.copy_(model[0].weight.data)
    return model


def mixed() -> nn.Sequential:
    """Layer 2 is half layer 0's weights, half its own: its scale is right."""
    model = he()
    model[2].weight.data.mul_(0.75**0.5).add_(model[0].weight.data, alpha=0.5)
    return model


def shared() -> nn.Sequential:
    """Layers 0 and 2 have one weight."""
    model = he()
    model[2].weight = model[0].weight
    return model


def overlapping() -> nn.Sequential:
    """Layers 0 and 2 share half of their bytes."""
    model = he()
    both = torch.empty(WIDTH + WIDTH // 2, WIDTH)
    nn.init.kaiming_normal_(both, nonlinearity="relu")
    model[0].weight = nn.Parameter(both[:WIDTH])
    model[2].weight = nn.Parameter(both[WIDTH // 2 :])
    return model


def broken() -> nn.Sequential:
    """Layer 4 has a NaN."""
    model = he()
    model[4].weight.data[3, 3] = float("nan")
    return model


def zero() -> nn.Sequential:
    """Layer 4 is zero."""
    model = he()
    nn.init.zeros_(model[4].weight)
    return model


def half() -> nn.Sequential:
    """The He network in bfloat16."""
    return he().to(torch.bfloat16)


def the_same_again() -> nn.Sequential:
    """With a seed of its own, as a pretrained model is the same at every call."""
    torch.manual_seed(7)
    return he()


def default() -> nn.Sequential:
    """Linear layers as torch makes them: uniform weights."""
    return chain(*(nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH)))


def truncated() -> nn.Sequential:
    """Normal weights of std 0.1, cut at 1.5 of them."""
    model = default()
    for layer in model[::2]:
        nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.15, b=0.15)
    return model


class Branches(nn.Module):
    """Three layers with one input, whose gradient is the sum of theirs, and a skip connection that adds in place."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (he_linear() for _ in range(3))

    def forward(self, signals):
        signals = signals + self.query(signals) * self.key(signals).tanh() + self.value(signals)
        signals += 1
        return {"out": signals, "count": torch.tensor(1), "more": [(signals.tanh(),)]}


class Checkpointed(nn.Module):
    """Runs its layers once more on the way back."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.first, self.rest, self.reentrant = he_linear(), he(), reentrant

    def forward(self, signals):
        return checkpoint(self.rest, self.first(signals), use_reentrant=self.reentrant)


checkpointed, checkpointed_reentrant = partial(Checkpointed, False), partial(Checkpointed, True)


def convolutions() -> nn.Sequential:
    """Padded, strided, grouped, dilated and transposed ones, and a lazy layer behind them; all He by fan_in."""
    layers = [
        nn.Conv2d(3, 64, 3, padding=1),
        nn.Conv2d(64, 64, 3, stride=2, groups=4),
        nn.Conv2d(64, 64, (3, 1), dilation=2, padding="same", bias=False),
        nn.ConvTranspose2d(64, 32, 4, 2, 1),
    ]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return nn.Sequential(chain(*layers), nn.BatchNorm2d(32), nn.Flatten(), nn.LazyLinear(10))


def two_percent_in_a_convolution() -> nn.Sequential:
    """The second convolution is 4 % too large."""
    model = convolutions()
    model[0][2].weight.data.mul_(1.04)
    return model


class PadsItself(nn.Conv2d):
    """Pads as TensorFlow does, by the size of the input."""

    def forward(self, signals):
        total = [max((-(-n // 2) - 1) * 2 + 3 - n, 0) for n in signals.shape[-2:]]  # taps 3, stride 2
        pads = [each for n in reversed(total) for each in (n // 2, n - n // 2)]
        return nn.functional.conv2d(nn.functional.pad(signals, pads), self.weight, self.bias, self.stride)


class StandardizesItself(nn.Conv2d):
    """A convolution whose signals do not depend on the scale of its weights."""

    def forward(self, signals):
        flat = self.weight.flatten(1)
        weight = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)
        return nn.functional.conv2d(signals, weight.reshape_as(self.weight), self.bias)


def own_forwards() -> nn.Sequential:
    """Layer 0 can be judged; layer 1 pads other inputs than torch does, and layer 2 is another function."""
    model = nn.Sequential(PadsItself(3, 64, 3, 2), PadsItself(64, 32, 3, 2), StandardizesItself(32, 16, 3))
    for layer in model:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return model


class Odd(nn.Module):
    """One of everything that is outside of the laws."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.recurrent = nn.LSTM(WIDTH, WIDTH, batch_first=True)
        self.normed = (
            nn.utils.weight_norm(he_linear()) if _old() else nn.utils.parametrizations.weight_norm(he_linear())
        )
        self.twice, self.never, self.judged = he_linear(), he_linear(), he_linear()
        self.mirrored = nn.Conv1d(WIDTH, WIDTH, 3, padding=1, padding_mode="reflect")
        self.matrix = nn.Parameter(torch.eye(WIDTH))
        self.zero = he_linear()
        nn.init.zeros_(self.zero.weight)

    def forward(self, ids, scale=1.0):
        signals = self.norm(self.table(ids)) * scale
        signals = signals + self.attention(signals, signals, signals)[0] + self.recurrent(signals)[0]
        signals = self.twice(self.twice(self.normed(signals))) + self.zero(signals)
        return self.judged(self.mirrored(signals.transpose(1, 2)).transpose(1, 2)) @ self.matrix


def _old() -> bool:
    return not hasattr(nn.utils.parametrizations, "weight_norm")


def ids() -> torch.Tensor:
    """Input of Odd."""
    return torch.randint(50, (2, 8))


def ids_in_a_tuple() -> tuple[torch.Tensor]:
    """The same as arguments."""
    return (ids(),)


def ids_by_name() -> dict[str, torch.Tensor]:
    """The same as keywords."""
    return {"ids": ids()}


def ids_and_scale() -> tuple[torch.Tensor, dict[str, float]]:
    """Both."""
    return ids(), {"scale": 2.0}


def failing() -> nn.Module:
    """Cannot be built."""
    raise ValueError("no\nconfiguration")


def leaving() -> nn.Module:
    """Ends the process."""
    raise SystemExit(0)


def failing_inputs() -> torch.Tensor:
    """Cannot be drawn."""
    return torch.randn(-1)


def number() -> int:
    """No model."""
    return 3


def on_meta() -> nn.Module:
    """Without weights."""
    return nn.Linear(4, 4, device="meta")


def weightless() -> nn.Module:
    """Nothing to be asked."""
    return nn.ReLU()


def changing() -> nn.Module:
    """Another architecture each time."""
    return nn.Sequential(nn.Linear(WIDTH, int(torch.randint(1, 10**3, ())) + 1))


not_callable = 3
