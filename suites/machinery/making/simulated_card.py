"""A CUDA device that is the processor under another name: what is asked of "cuda" is computed on the CPU.

Imported, it is there for the rest of the process. Whatever a suite asks of a card then takes the way that it takes on
one (subjects, settings, generators, autocast, scalers), up to torch itself; the numbers are the processor's, its known
violations, too. It stands for no card: it says that nothing of ours fails before one is reached.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
from torch.overrides import TorchFunctionMode

from fixtures.target.device import CACHE_BYTES

CARD = "cuda"


def there(device: Any) -> Any:
    """The processor in place of the card; everything else as it is."""
    is_card = isinstance(device, str | torch.device) and str(device).partition(":")[0] == CARD
    return torch.device("cpu") if is_card else device


class OnTheProcessor(TorchFunctionMode):
    """Sends calls that name the card to the processor."""

    def __torch_function__(
        self, func: Callable[..., Any], _types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call torch's function with other devices; overwriting a card's cache, which takes it no time, is left out."""
        if func is torch.Tensor.zero_ and args[0].nbytes == CACHE_BYTES:
            return args[0]
        return func(*map(there, args), **{name: there(value) for name, value in (kwargs or {}).items()})


class _Generators(type):
    """Type of a stand-in that torch's own generators are instances of."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _GENERATOR)


_GENERATOR, _AUTOCAST, _SCALER, _FORK = torch.Generator, torch.autocast, torch.amp.GradScaler, torch.random.fork_rng


class Generator(metaclass=_Generators):
    """torch.Generator."""

    def __new__(cls, device: Any = "cpu") -> Any:
        """Make one of the processor's."""
        return _GENERATOR(device=there(device))


class Autocast(_AUTOCAST):
    """torch.autocast."""

    def __init__(self, device_type: Any, *arguments: Any, **keywords: Any) -> None:
        super().__init__(str(there(device_type)), *arguments, **keywords)


class Scaler(_SCALER):
    """torch.amp.GradScaler."""

    def __init__(self, device: Any = CARD, *arguments: Any, **keywords: Any) -> None:
        super().__init__(str(there(device)), *arguments, **keywords)


def plug_in() -> None:
    """Let torch find the card."""
    OnTheProcessor().__enter__()
    torch.cuda.is_available = lambda: True
    torch.cuda.synchronize = lambda *_device: None
    torch.cuda.get_rng_state = lambda *_device: torch.get_rng_state()
    torch.cuda.set_rng_state = lambda state, *_device: torch.set_rng_state(state)
    torch.cuda.get_device_name = lambda *_device: "a simulated card"
    torch.cuda.mem_get_info = lambda *_device: (1 << 40, 1 << 40)
    torch.cuda.max_memory_allocated = lambda *_device: 1 << 30  # more than what overwrites a cache
    torch.cuda.reset_peak_memory_stats = lambda *_device: None
    torch.cuda.Event = Event
    torch.Generator, torch.autocast, torch.amp.GradScaler = Generator, Autocast, Scaler
    torch.random.fork_rng = lambda *_devices, **_type: _FORK(devices=[])


class Event:
    """torch.cuda.Event, by the host's clock."""

    def __init__(self, enable_timing: bool = False) -> None:
        self.at = 0.0 if enable_timing else float("nan")

    def record(self) -> None:
        """Take the time."""
        self.at = time.perf_counter()

    def elapsed_time(self, later: Event) -> float:
        """Milliseconds."""
        return 1000 * (later.at - self.at)


plug_in()
