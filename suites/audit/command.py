"""Audit a model of one's own: does every linear layer and convolution start with the weights that it is meant to have?

    python -m suites.audit my_module:build_model --input-shape 1,3,224,224 \\
        --law 'Conv2d=he_normal:fan_out' --law 'fc=default'

The builder is called many times, with fresh seeds; what passes each layer, forward and backward, is compared with the
exact law of the weights that it is meant to have (fixtures/audit/audit.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from threadpoolctl import threadpool_limits

from fixtures.audit.audit import audit
from fixtures.audit.intended_laws import USAGE, LawError, read_statement
from fixtures.audit.layers import ModelError
from fixtures.audit.question import AuditError, Question
from fixtures.record.choices import DEVICES
from fixtures.record.run_folder import write_record
from fixtures.target.device import unavailable
from fixtures.target.imports import NotImportable, import_member
from fixtures.words.console import CommandError, carry_out, show
from suites.audit.page import audit_page
from suites.audit.ranks import audit_ranks

PROGRAM = "python -m suites.audit"

ACCEPTED = f"{PROGRAM} MODULE:BUILDER --input-shape 1,3,224,224 --law PATTERN=LAW, and what --help lists"

DTYPES = ("float32", "float64")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command(
    help="Compare every linear layer and convolution of a model with the law that its weights are meant to have. "
    "Exit code 0: every stated law holds; 1: one is violated; 2: none was stated, one could not be judged, or an error."
)
def audit_command(
    context: typer.Context,
    builder: Annotated[
        str, typer.Argument(metavar="BUILDER", help="what returns a fresh model: module:function or file.py:function")
    ],
    input_shape: Annotated[
        str | None, typer.Option(metavar="N,C,H,W", help="run the model on standard normal numbers of this shape")
    ] = None,
    example_inputs: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            help="run it on what this returns: a tensor, a tuple of arguments, a dict of keywords, or a pair of both",
        ),
    ] = None,
    law: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN=LAW",
            help="the law of layers whose name or class matches, the last match counting; may be given often. "
            f"LAW: {', '.join(USAGE)}",
        ),
    ] = None,
    resolution: Annotated[
        float, typer.Option(help="error of the scale that a layer must show for its law to hold")
    ] = 0.02,
    networks: Annotated[
        int | None, typer.Option(help="networks to measure (default: what the resolution takes, within --seconds)")
    ] = None,
    seconds: Annotated[float, typer.Option(help="time for networks where --networks does not say")] = 60.0,
    seed: Annotated[int | None, typer.Option(help="of everything drawn (default: fresh, and printed)")] = None,
    dtype: Annotated[str, typer.Option(help="float32 or float64; the model is converted")] = "float32",
    device: Annotated[str, typer.Option(help=", ".join(DEVICES))] = "cpu",
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="write what was found here, too")] = None,
    nproc: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="build it on N ranks, and look at shards, replicas, unwritten elements and stds instead",
        ),
    ] = None,
) -> int:
    """Carry out an audit."""
    _refuse(seed is not None and seed < 0, "--seed", seed, "a non-negative integer")
    if nproc is not None:
        _refuse(nproc < 2, "--nproc", nproc, "an integer from 2")
        _refuse_others(context)
        _function("BUILDER", builder)
        return audit_ranks(builder, tuple(map(read_statement, law or ())), nproc, _seed(seed))
    _refuse(seconds <= 0, "--seconds", seconds, "a positive number")
    _refuse(not 0 < resolution < 1, "--resolution", resolution, "a number between 0 and 1, such as 0.02 for 2 %,")
    _refuse(networks is not None and networks < 1, "--networks", networks, "a positive integer")
    _refuse(dtype not in DTYPES, "--dtype", dtype, " or ".join(DTYPES))
    if reason := unavailable(device):
        raise CommandError(f"--device {device}: {reason}")
    question = Question(
        model=builder,
        build=_function("BUILDER", builder),
        inputs=example_inputs or f"{input_shape} normal numbers",
        example=_example(input_shape, example_inputs),
        statements=tuple(map(read_statement, law or ())),
        seed=_seed(seed),
        networks=networks,
        seconds=seconds,
        resolution=resolution,
        dtype=dtype,
        device=device,
    )
    if json is not None and not json.absolute().parent.is_dir():
        raise CommandError(f"--json {json}: no such folder")
    # A team of threads for each of NumPy's small factorizations, next to torch's own, is ten times slower on a busy
    # machine.
    with threadpool_limits(1, user_api="blas"):
        found = audit(question)
    show(audit_page(found))
    if json is not None:
        try:
            write_record(json, found)
        except OSError as error:
            raise CommandError(f"--json {json}: cannot be written ({error.strerror})") from None
    return found.exit_code


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code. What goes wrong is said in one line on stderr."""
    mistakes = (AuditError, ModelError, LawError, CommandError)
    return carry_out(app, arguments, prog_name=PROGRAM, accepted=ACCEPTED, mistakes=mistakes)


def _seed(seed: int | None) -> int:
    return secrets.randbits(32) if seed is None else seed


def _refuse(is_wrong: bool, option: str, value: object, accepted: str) -> None:
    if is_wrong:
        raise CommandError(f"{option} {value}: {accepted} is accepted")


OF_RANKS = ("builder", "law", "seed", "nproc")
"""Parameters that an audit on ranks reads."""


def _refuse_others(context: typer.Context) -> None:
    for name in sorted(context.params.keys() - {*OF_RANKS}):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise CommandError(f"{option}: is not asked of ranks; with --nproc, --law and --seed are accepted")


def _example(input_shape: str | None, example_inputs: str | None) -> Callable[[], Any]:
    """Function that draws the model's inputs."""
    if (input_shape is None) == (example_inputs is None):
        raise CommandError("one of --input-shape and --example-inputs is needed: what is the model to be run on?")
    if example_inputs is not None:
        return _function("--example-inputs", example_inputs)
    sizes = [part.strip() for part in str(input_shape).split(",")]
    if not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise CommandError(f"--input-shape {input_shape}: positive integers with commas between are accepted")
    return lambda: torch.randn(*map(int, sizes))


def _function(option: str, name: str) -> Callable[[], Any]:
    """The function that `module:function` or `file.py:function` names.

    Raises:
        CommandError: there is none.
    """
    where, colon, attribute = name.rpartition(":")
    if not (where and colon and attribute):
        raise CommandError(f"{option} {name}: module:function or file.py:function is accepted")
    try:
        found = import_member(name, "audited_")
    except NotImportable as error:
        raise CommandError(f"{option} {name}: {error}") from None
    if not callable(found):
        raise CommandError(f"{option} {name}: is {type(found).__name__}, which cannot be called")
    return found  # type: ignore[no-any-return]  # whatever is callable
