"""Records of a user's model made by hand: a small transformer's block on two healthy torches, and what may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy import special

from fixtures.model.results import (
    AS_IT_IS,
    ROOT,
    SCHEMA,
    STATISTICS,
    Computed,
    Figures,
    Initialization,
    InitialTensor,
    ModelRecord,
    ModuleNumbers,
    Numbers,
    Training,
    Trouble,
    write_model,
)
from fixtures.record.file_names import MODEL
from reports.model import Recorded, Records

UNIT = 2.0**-24
CONDITIONS = (AS_IT_IS, "one thread", "inputs moved by one unit")
GROUPS, REPEATS, STEPS = 24, 20, 6
NORM = 40.0

MODULES = (
    (ROOT, "Model", "my_model.py:9", 0, 0),
    ("blocks.0", "Block", "my_model.py:4", 2, 1),
    ("blocks.0.norm", "LayerNorm", "torch/nn/modules/normalization.py:217", 3, 2),
    ("blocks.0.act", "GELU", "torch/nn/modules/activation.py:734", 3, 3),
    ("blocks.1", "Block", "my_model.py:4", 2, 4),
    ("blocks.1.act", "GELU", "torch/nn/modules/activation.py:734", 3, 5),
    ("head", "Linear", "torch/nn/modules/linear.py:124", 1, 6),
)
"""Path, class, source, depth and order of each module."""

TENSORS = (("blocks.0.norm.weight", (256,), True), ("head.weight", (10, 256), False), ("head.bias", (10,), False))
"""Name, shape and whether it is a constant."""


def computed(name: str = "output", error: float = 1.0, **fields: Any) -> Computed:
    """A tensor whose error is that many units, in the mean square, and five times as many where it is largest."""
    usual = {
        "name": name,
        "elements": 12_288,
        "roundoff": UNIT,
        "sums": 0.0,
        "operators": 1,
        "norm": NORM,
        "peak": 4.0,
        "projections": (3.0, -50.0, 41.0, 7.0, -22.0, 60.0, -1.0, 18.0),
        "errors": {AS_IT_IS: Figures(error, 5 * error)},
    }
    return Computed(**usual | fields)


def module(place: int, *, conditions: tuple[str, ...] = CONDITIONS, **fields: Any) -> ModuleNumbers:
    """A module of MODULES, asked under these conditions."""
    path, kind, source, depth, order = MODULES[place]
    errors = {condition: Figures(1.0 + 0.1 * number, 5.0) for number, condition in enumerate(conditions)}
    usual = {
        "path": path,
        "kind": kind,
        "source": source,
        "mode": "eval",
        "order": order,
        "depth": depth,
        "inputs": ("3x16x256 float32",),
        "parameters": 2570,
        "reference": "float64",
        "tensors": tuple(computed(name, errors=errors) for name in ("output", "gradient of input")),
    }
    return ModuleNumbers(**usual | fields)


def numbers(*, conditions: tuple[str, ...] = CONDITIONS) -> Numbers:
    """All modules, within rounding."""
    modules = tuple(module(place, conditions=conditions) for place in range(len(MODULES)))
    return Numbers(conditions=conditions, left_out={}, modules=modules)


def groups(shift: float = 0.0, scale: float = 1.0) -> dict[str, tuple[float, ...]]:
    """Statistics of groups at normal quantiles, moved within their spacing by `shift` (0 to 1) and scaled."""
    places = (np.arange(GROUPS) + 0.5 + 0.5 * shift) / (GROUPS + 1)
    drawn = special.ndtri(places)
    centres = {"location": 0.0, "scale": 0.05, "tail": 0.2, "shape": 3.0, "rows": 1.0, "columns": 1.0}
    return {
        name: tuple(float((scale if name in ("scale", "tail") else 1.0) * (centre + 0.001 * place)) for place in drawn)
        for name, centre in centres.items()
    }


def tensor(place: int, *, shift: float = 0.0, **fields: Any) -> InitialTensor:
    """A tensor of TENSORS; another `shift` is another stream of the same law."""
    name, shape, is_constant = TENSORS[place]
    usual = {
        "name": name,
        "role": "parameter",
        "shape": shape,
        "dtype": "float32",
        "unwritten": 0,
        "non_finite": 0,
        "digest": f"{place}/{0.0 if is_constant else shift}",
        "is_constant": is_constant,
        "looks_like": None if is_constant else "kaiming_uniform(a=sqrt(5))",
        "groups": {} if is_constant else groups(shift),
        "resolution": {} if is_constant else dict.fromkeys(STATISTICS, 0.02),
        "constant": {"mean": 1.0, "std": 0.0} if is_constant else {},
    }
    return InitialTensor(**usual | fields)


def initialization(shift: float = 0.0, **fields: Any) -> Initialization:
    """Fresh models; another `shift` is another stream of the same law."""
    tensors = tuple(tensor(place, shift=shift) for place in range(len(TENSORS)))
    return Initialization(**{"groups": GROUPS, "builds": 4, "is_repeatable": True, "tensors": tensors} | fields)


def training(shift: float = 0.0, leaves_at: int | None = None, moved_by: float = 1e-6, times: float = 1.01) -> Training:
    """Losses that fall, in repeats that stray by 1e-5 of themselves.

    Args:
        shift: of the repeats within their spacing.
        leaves_at: step, from 0, from which losses and the gradients of `head` are `times` as large.
        moved_by: by how much weights were moved, relative.
        times: as large.
    """
    strays = 1 + 1e-5 * np.linspace(-1, 1, REPEATS)[:, None] + shift * 1e-5 / REPEATS
    after = np.arange(STEPS) >= (STEPS if leaves_at is None else leaves_at)
    losses = 2.3 * 0.9 ** np.arange(STEPS) * np.where(after, times, 1.0)
    modules = ("blocks.0.norm", "head")
    by_module = np.stack([0 * losses + 0.5, losses], axis=-1)

    def listed(values: np.ndarray) -> Any:
        return tuple(map(listed, values)) if values.ndim else float(values)

    return Training(
        optimizer="AdamW",
        moved_by=moved_by,
        modules=modules,
        losses=listed(strays * losses),
        gradients=listed(strays * losses / 2),
        by_module=listed(strays[:, :, None] * by_module),
        plain_losses=listed(losses),
    )


def record(torch: str = "2.13.0+cpu", **fields: Any) -> ModelRecord:
    """A whole record of a healthy torch, of a baseline."""
    usual = {
        "schema": SCHEMA,
        "model": "my_model.py",
        "torch": torch,
        "seed": 17,
        "defines": ("inputs",),
        "seconds": {"initialization": 3.0, "numbers": 9.5, "training": 4.0},
        "peak_bytes": 1 << 30,
        "initialization": initialization(),
        "numbers": numbers(),
        "training": training(),
    }
    return ModelRecord(**usual | fields)


def candidate_record(torch: str = "2.14.1+cpu", **fields: Any) -> ModelRecord:
    """A healthy candidate: other roundings, and another stream of the same law."""
    usual = {
        "initialization": initialization(0.5),
        "numbers": numbers(conditions=(AS_IT_IS,)),
        "training": training(0.5),
        "peak_bytes": 2 << 30,
    }
    return record(torch, **usual | fields)


def records(baseline: ModelRecord | None = None, candidate: ModelRecord | None = None) -> Records:
    """Both sides, healthy where none is given."""
    return Records(Recorded(baseline or record()), Recorded(candidate or candidate_record()))


def with_module(found: ModelRecord, path: str, **fields: Any) -> ModelRecord:
    """The same record with other fields of one module."""
    assert found.numbers is not None
    assert path in {one.path for one in found.numbers.modules}
    modules = tuple(
        msgspec.structs.replace(one, **fields) if one.path == path else one for one in found.numbers.modules
    )
    return msgspec.structs.replace(found, numbers=msgspec.structs.replace(found.numbers, modules=modules))


def with_error(found: ModelRecord, path: str, error: float, *, names: tuple[str, ...] = ("output",)) -> ModelRecord:
    """The same record with a module, and all that contain it, off by that many units in its own dtype.

    Args:
        found: that is changed.
        path: of the module.
        error: in the mean square; the largest is five times that.
        names: of the tensors that are off.
    """
    return _around(found, path, names, lambda name: computed(name, error))


def with_departure(found: ModelRecord, path: str, units: float) -> ModelRecord:
    """The same record with a module, and all that contain it, off by that many units in float64, too."""
    moved = tuple(one + units * NORM * UNIT for one in computed().projections)
    return _around(found, path, ("output",), lambda name: computed(name, projections=moved))


def _around(found: ModelRecord, path: str, names: tuple[str, ...], faulty: Callable[[str], Computed]) -> ModelRecord:
    for one in found.numbers.modules if found.numbers else ():
        if one.path in (path, ROOT) or path.startswith(f"{one.path}."):
            tensors = tuple(faulty(each.name) if each.name in names else each for each in one.tensors)
            found = with_module(found, one.path, tensors=tensors)
    return found


def with_tensor(found: ModelRecord, which: str, /, **fields: Any) -> ModelRecord:
    """The same record with other fields of one fresh tensor."""
    assert found.initialization is not None
    assert which in {one.name for one in found.initialization.tensors}
    tensors = tuple(
        msgspec.structs.replace(one, **fields) if one.name == which else one for one in found.initialization.tensors
    )
    return msgspec.structs.replace(found, initialization=msgspec.structs.replace(found.initialization, tensors=tensors))


def trouble(stage: str = "numbers", text: str = "ValueError: no such layer", **fields: Any) -> Trouble:
    """A stage that ended without an answer."""
    return Trouble(**{"stage": stage, "text": text, "tail": ("Traceback", text)} | fields)


def faulty_records() -> Records:
    """Records with a fault of each part of a model, and something that was cut."""
    made = with_error(candidate_record(training=training(0.5, leaves_at=3)), "blocks.0.act", 168.0)
    made = with_tensor(made, "head.weight", groups=groups(0.5, 1.5))
    return records(None, msgspec.structs.replace(made, cut=("a step takes 90 s",)))


def hostile_records(text: str, texts: Sequence[str]) -> Records:
    """Records in which every text is one of these, or all of them together."""
    told = {"kind": text, "source": text, "inputs": tuple(texts), "reference": text}
    sides = []
    for side in (record(), candidate_record()):
        errors = 500.0 if side.torch.startswith("2.14") else 1.0
        modules = tuple(
            module(place % len(MODULES), path=path, order=place, tensors=(computed(path, errors),), **told)
            for place, path in enumerate(texts)
        )
        unasked = module(0, path=text, order=99, unasked=text, tensors=(), **told)
        shift = 0.5 if errors > 1 else 0.0
        tensors = tuple(tensor(1, name=name, looks_like=name, shift=shift) for name in texts)
        assert side.training is not None
        sides.append(
            msgspec.structs.replace(
                side,
                model=text,
                torch=text,
                troubles=(trouble("file", text, tail=tuple(texts)),),
                cut=tuple(texts),
                seconds=dict.fromkeys(texts, 1.0),
                numbers=Numbers(conditions=(AS_IT_IS, *texts), left_out={text: text}, modules=(*modules, unasked)),
                initialization=initialization(shift, tensors=tensors),
                training=msgspec.structs.replace(
                    training(0.5 if errors > 1 else 0.0, 2 if errors > 1 else None),
                    optimizer=text,
                    modules=tuple(texts[:2]),
                ),
            )
        )
    return records(*sides)


def write(folder: Path, made: ModelRecord) -> Path:
    """Write a record into a run folder; returns the folder."""
    write_model(folder / MODEL, made)
    return folder
