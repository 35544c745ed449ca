"""Acceptance of a run as a baseline: what gating needs of it, small enough for git.

`reports/accepted/NAME/` holds the records of a run, the large ones packed; `read_run` reads it as the run that it was.
What a gate adds to a run (verdict, page, timings) stays behind.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from fixtures.record.atomic_file import write_atomically
from fixtures.record.claim import Verdict
from fixtures.record.compression import pack, packed
from fixtures.record.file_names import CLAIMS, ENVIRONMENT, INTERFACE, PLAN, SKETCHES
from fixtures.record.run_folder import RecordError, Run, claim_line, seal_run, write_digests, write_record
from fixtures.words.phrases import plural

MOST_BYTES = 1_000_000
"""Bytes that a repository bears for each accepted release. Runs of the quick tier take 0.86 to 0.96 MB, two thirds of
which are sketches."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}")


class Unacceptable(Exception):
    """A run that cannot stand for a baseline, or a name that it cannot have; the message is one line."""


@dataclass(frozen=True)
class Accepted:
    """An accepted run, and the bytes that it takes."""

    folder: Path
    bytes: int
    claims: int
    violated: int


def accept(run: Run, name: str, accepted: Path, *, replace: bool) -> Accepted:
    """Keep `run` as the folder `name` in `accepted`, whole or not at all.

    Args:
        run: a run that ended as planned.
        name: of its folder.
        accepted: folder of all accepted runs.
        replace: whether a run of that name gives way.

    Raises:
        Unacceptable: a run that was cut short, left questions unanswered or had a fault planted, one that takes more
            than MOST_BYTES, or a name that is none, or is taken without `replace`.
        OSError: it cannot be written.
    """
    if not _NAME.fullmatch(name):
        raise Unacceptable(
            f"--as {name!r}: letters, digits and . _ + - are accepted, 60 at most, a letter or digit first"
        )
    _refuse(run)
    folder = accepted / name
    if folder.exists() and not replace:
        raise Unacceptable(f"{folder} exists; --replace replaces it")
    temporary = accepted / f".{name}.{os.getpid()}"
    try:
        temporary.mkdir(parents=True)
        _write(run, temporary)
        taken = {file.name: file.stat().st_size for file in temporary.iterdir()}
        if sum(taken.values()) > MOST_BYTES:
            parts = ", ".join(f"{file} {size:,}" for file, size in sorted(taken.items()))
            raise Unacceptable(f"{run.folder} takes {sum(taken.values()):,} bytes, more than {MOST_BYTES:,} ({parts})")
        _put(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    violated = sum(claim.verdict is Verdict.VIOLATED for claim in run.claims.values())
    return Accepted(folder, sum(taken.values()), len(run.claims), violated)


def _refuse(run: Run) -> None:
    if run.failure is not None or not run.ended:
        raise Unacceptable(f"{run.folder} did not end as planned{f': {run.failure.reason}' if run.failure else ''}")
    if missing := run.unanswered():
        raise Unacceptable(
            f"{run.folder} left {plural(len(missing), 'planned claim')} unanswered, such as {missing[0]}"
        )
    if not run.claims:
        raise Unacceptable(f"{run.folder} claims nothing")
    if run.environment is not None and (fault := run.environment.options.get("fault")):
        raise Unacceptable(f"{run.folder} is a run with a planted fault, {fault}")


def _write(run: Run, folder: Path) -> None:
    """Write what gating needs; what a person may want to read in a commit is not packed."""
    if run.plan is None or run.environment is None:
        raise RecordError(f"{run.folder}: {PLAN} and {ENVIRONMENT} are needed")
    write_record(folder / ENVIRONMENT, run.environment)
    if run.digests:
        write_digests(folder, run.digests)
    if run.interface is not None:
        write_record(folder / INTERFACE, run.interface)
    large = {PLAN: msgspec.json.encode(run.plan), CLAIMS: b"".join(map(claim_line, run.claims.values()))}
    if run.sketches:
        archive = io.BytesIO()
        # Not compressed by NumPy: all in one go takes two thirds of what each array by itself does.
        np.savez(archive, **run.sketches)  # type: ignore[arg-type]  # newer NumPy's own keywords hide ours from mypy
        large[SKETCHES] = archive.getvalue()
    for name, content in large.items():
        write_atomically(packed(folder / name), pack(content))
    seal_run(folder)


def _put(temporary: Path, folder: Path) -> None:
    """Give the new folder its name. A folder that it replaces is moved aside first: no name is ever half of each."""
    if not folder.exists():
        temporary.rename(folder)
        return
    aside = temporary.with_name(f"{temporary.name}.replaced")
    folder.rename(aside)
    try:
        temporary.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
