"""Run folders on disk: what is in them, how they are written and how they are read back.

A run folder holds `plan.json` (what was going to be asked), `environment.json` (of whom), `claims.jsonl` (the answers),
`sketches.npz` (summaries of the draws of core subjects), `digests.json` (same seed, same weights?), `interface.json`
(how torch.nn.init is called, and how it answers), `manifest.json` (hashes of all these, written last: see
fixtures/sealing.py) and, where a run was cut short, `failure.json`; `output.txt` is what it printed. The gate adds
`timings.json` (of the paired clock) and its verdict, as `verdict.json`, `verdict.md` (for a pull request),
`junit.xml` (for CI) and `page.html` (for people), to the candidate's. Each file is written to a temporary name and
renamed, so that what has its name is whole. Answers that are in already lie in `claims.jsonl.partial` until the run has
ended. In an accepted run (accepting.py) some files are packed, and are read as if they were not.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from fixtures.claims import Claim, Verdict, claim_id
from fixtures.interface import Interface
from fixtures.judgement import CONFIRM, false_alarm_rate
from fixtures.packing import packed, read_stored, stored
from fixtures.safe_text import Ambiguous, cleaned, printable
from fixtures.schema import SCHEMA
from fixtures.sealing import MANIFEST, BrokenSeal, check_seal, seal
from fixtures.subjects import Subject
from fixtures.writing import write_atomically

PLAN = "plan.json"
ENVIRONMENT = "environment.json"
CLAIMS = "claims.jsonl"
PARTIAL_CLAIMS = "claims.jsonl.partial"
SKETCHES = "sketches.npz"
DIGESTS = "digests.json"
INTERFACE = "interface.json"
FAILURE = "failure.json"
TIMINGS = "timings.json"
VERDICT = "verdict.json"
MARKDOWN = "verdict.md"
JUNIT = "junit.xml"
PAGE = "page.html"
VERDICT_FILES = (VERDICT, MARKDOWN, JUNIT, PAGE)
"""What a gate writes about its verdict, into the candidate's folder; verdict.json last, so that where it is all are."""
UNKNOWN_TORCH = "unknown"
SEALED = (PLAN, ENVIRONMENT, CLAIMS, SKETCHES, DIGESTS, INTERFACE)
"""What a run writes of itself, and seals when it has ended; the rest is added by others."""
RUN_FILES = (*SEALED, MANIFEST, PARTIAL_CLAIMS, FAILURE, TIMINGS, *VERDICT_FILES)


class RecordError(Exception):
    """A run folder that cannot be read; the message is one line naming file, line and what was expected."""


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One subject, how often it is drawn, and the smallest scale error its draws must resolve.

    Attributes:
        family: suite and family that asks, such as "weights.marginal".
        draws: weights, or networks, drawn at the screen; the confirmation draws four times as many. 0 for exact claims.
        resolution: relative scale error that must be seen with probability 1 - 1e-6.
        core: named subjects, drawn in large samples; their sketches are stored.
    """

    family: str
    subject: Subject
    draws: int
    resolution: float
    core: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run was going to ask: drawn once per gate, and handed from the baseline to the candidate.

    Attributes:
        claims: identities of the claims that the selected tests will make, in order; filled when tests are selected.
        selection: what `-k` and the paths on the command line selected.
    """

    schema: int
    seed: int
    tier: str
    devices: tuple[str, ...]
    target: str
    false_alarm_rate: float
    cases: tuple[Case, ...]
    claims: tuple[str, ...] = ()
    selection: str = ""

    @property
    def comparisons(self) -> int:
        """Laws and grids that two runs of it may compare: those of each core subject."""
        return 2 * len({case.subject.key for case in self.cases if case.core})

    @property
    def false_alarms(self) -> float:
        """Chance, at most, that two healthy runs of it are stopped for a claim, or for a law or a grid they compare."""
        return false_alarm_rate(len(self.claims), self.comparisons)


class Environment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of whom the questions were asked.

    Attributes:
        packages: version of every installed distribution, by normalized name.
        torch: version, git commit, build configuration, threads, oneDNN and TF32 flags, as torch tells them.
        machine: platform, CPU model, CPU flags, cores.
        options: the suite's options as they were in force.
        skipped: why each planned thing that was left out was left out, with how often.
    """

    schema: int
    python: str
    packages: dict[str, str]
    torch: dict[str, Any]
    machine: dict[str, Any]
    options: dict[str, Any]
    started: str
    seconds: float
    skipped: dict[str, int] = {}


class Failure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a run did not end as planned.

    Attributes:
        stage: "install" (resolving and installing), "import" (importing torch) or "run" (the suites).
        blames: "framework" where the framework under test is at fault, "surroundings" where network, disk or the
            user's machine is.
        reason: one line.
        tail: the last lines of its output.
    """

    schema: int
    stage: Literal["install", "import", "run"]
    blames: Literal["framework", "surroundings"]
    reason: str
    tail: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """A run folder, read and validated.

    `failure` is None for a run that ended by itself; then `claims` answers `plan.claims`, or some answers are missing.
    `ended` is False where the answers come from the partial file.
    """

    folder: Path
    plan: Plan | None
    environment: Environment | None
    claims: dict[str, Claim]
    digests: dict[str, str] = field(default_factory=dict)
    sketches: dict[str, npt.NDArray[Any]] = field(default_factory=dict, compare=False, repr=False)
    interface: Interface | None = None
    failure: Failure | None = None
    ended: bool = True

    @property
    def label(self) -> str:
        """Name of the folder; bytes in it that are no UTF-8 are replaced."""
        return os.fsencode(self.folder.resolve().name).decode(errors="replace")

    @property
    def torch_version(self) -> str:
        """The torch that was asked; UNKNOWN_TORCH where the run never got that far."""
        return str(self.environment.torch.get("version", UNKNOWN_TORCH)) if self.environment else UNKNOWN_TORCH

    def unanswered(self) -> list[str]:
        """Planned claims without a finding, in the order of the plan."""
        return [name for name in self.plan.claims if name not in self.claims] if self.plan else []


def write_record(path: Path, record: msgspec.Struct | dict[str, Any]) -> None:
    """Write a record as indented JSON."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def claim_line(claim: Claim) -> bytes:
    """One line of claims.jsonl.

    Raises:
        ValueError: a number is infinite or NaN, which JSON cannot hold and msgspec would write as null.
    """
    sizes = [size.value for size in (claim.effect, claim.detectable) if size]
    if claim.effect and claim.effect.standard_error is not None:
        sizes.append(claim.effect.standard_error)
    numbers = [*sizes, claim.seconds, *([] if claim.p is None else [claim.p])]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"claim {claim.id} holds a number that is not finite: {claim}")
    return msgspec.json.encode(claim) + b"\n"


def write_claims(folder: Path, claims: Iterable[Claim]) -> None:
    """Write claims.jsonl, one claim a line, and drop the partial file that it replaces.

    Raises:
        ValueError: as `claim_line`.
    """
    write_atomically(folder / CLAIMS, b"".join(map(claim_line, claims)))
    (folder / PARTIAL_CLAIMS).unlink(missing_ok=True)


def write_sketches(folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write sketches.npz: named arrays, compressed, nothing pickled.

    Raises:
        ValueError: an array of Python objects, which only a pickle could hold.
    """
    # NumPy before 2.1 has no `allow_pickle` here and would store an array of that name.
    pickled = [name for name, array in arrays.items() if array.dtype.hasobject]
    if pickled:
        raise ValueError(f"sketches hold numbers only, not Python objects: {', '.join(pickled)}")
    archive = io.BytesIO()
    np.savez_compressed(archive, **arrays)  # type: ignore[arg-type]  # newer NumPy's own keywords hide ours from mypy
    write_atomically(folder / SKETCHES, archive.getvalue())


Record = TypeVar("Record", Plan, Environment, Interface, Failure)


def _decode(content: bytes, kind: Any, place: str) -> Any:
    """Decode one JSON document, telling a newer or foreign one from a broken one. Its texts are clean from here on."""
    try:
        loose = cleaned(msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{place}: not valid JSON, perhaps truncated ({error})") from None
    except Ambiguous as error:
        raise RecordError(f"{place}: {error}") from None
    except RecursionError:
        raise RecordError(f"{place}: not a record of Kaiming Gate (nested too deeply)") from None
    schema = loose.get("schema") if isinstance(loose, dict) else None
    if not isinstance(schema, int):
        raise RecordError(f"{place}: not a record of Kaiming Gate (an object with an integer 'schema' is expected)")
    if schema != SCHEMA:
        age, cure = ("newer", "read it there") if schema > SCHEMA else ("older", "run, or accept, it again")
        raise RecordError(f"{place}: written by {age} suites (schema {schema}; these read schema {SCHEMA}): {cure}")
    try:
        return msgspec.convert(loose, kind)
    except msgspec.ValidationError as error:
        raise RecordError(f"{place}: {error}") from None


def _read_bytes(path: Path) -> bytes:
    file = stored(path) or path
    try:
        # Opening a named pipe or a device could wait, or read, for ever.
        if file.exists() and not file.is_file():
            raise RecordError(f"{file}: not a file")
        return read_stored(path)
    except OSError as error:
        raise RecordError(f"{file}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise RecordError(f"{file}: {error}") from None


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read and validate one record.

    Raises:
        RecordError: missing, unreadable, truncated, foreign or of another schema.
    """
    record: Record = _decode(_read_bytes(path), kind, str(path))
    return record


def read_plan(path: Path) -> Plan:
    """Read and validate a plan.

    Raises:
        RecordError: as `read_record`; also where a claim is planned twice.
    """
    plan = read_record(path, Plan)
    seen: set[str] = set()
    for name in plan.claims:
        if name in seen:
            raise RecordError(f"{path}: claim {name} is planned twice")
        seen.add(name)
    return plan


def read_claims(path: Path, *, half_written: bool = False) -> dict[str, Claim]:
    """Read claims, by id. With `half_written`, a last line without its end is left out instead of refused.

    Raises:
        RecordError: as `read_record`, naming the line; also where one id stands twice or a claim contradicts itself.
    """
    lines = _read_bytes(path).split(b"\n")
    if not lines[-1] or half_written:
        del lines[-1]
    claims: dict[str, Claim] = {}
    for number, line in enumerate(lines, start=1):
        place = f"{path}, line {number}"
        claim: Claim = _decode(line, Claim, place)
        if claim.id in claims:
            raise RecordError(f"{place}: claim {claim.id} stands twice")
        if contradiction := _contradiction(claim):
            raise RecordError(f"{place}: {contradiction}")
        claims[claim.id] = claim
    return claims


def _contradiction(claim: Claim) -> str | None:
    """What in a well-formed claim cannot be true, or None."""
    if claim.id != claim_id(claim.family, claim.subject):
        return f"id {claim.id} does not belong to its family and subject ({claim_id(claim.family, claim.subject)})"
    if claim.n is not None and claim.n < 0:
        return f"n = {claim.n} is no number of samples"
    if claim.p is not None and not 0 <= claim.p <= 1:
        return f"p = {claim.p!r} is no probability"
    if claim.effect is not None and not (claim.effect.standard_error or 0) >= 0:
        return f"a standard error is not negative, as {claim.effect.standard_error!r} is"
    if claim.counterexample is not None and (claim.verdict is not Verdict.VIOLATED or claim.p is not None):
        return "a counterexample belongs to an exact claim that is violated"
    if claim.detectable is not None and not claim.detectable.value >= 0:
        return f"a detectable effect is not negative, as {claim.detectable.value!r} is"
    # No way through the judgement ends like this; a damaged verdict must not read as a pass. The opposite does occur: a
    # counterexample violates a claim at any p.
    if claim.verdict is Verdict.HOLDS and claim.p is not None and claim.p < CONFIRM:
        return f"verdict 'holds' contradicts p = {claim.p!r} (below {CONFIRM:g})"
    return None


MOST_SKETCH_BYTES = 1 << 30
"""Sketches of all core subjects take a few MB; what unpacks to more than 1 GiB is a damaged or hostile archive."""


def read_sketches(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read sketches, by name; nothing in them is unpickled.

    Raises:
        RecordError: missing, unreadable, truncated, no archive of plain arrays, or absurdly large.
    """
    content = io.BytesIO(_read_bytes(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with np.load(content, allow_pickle=False) as archive:
                if sum(member.file_size for member in archive.zip.infolist()) > MOST_SKETCH_BYTES:
                    raise RecordError(f"{path}: unpacks to more than {MOST_SKETCH_BYTES >> 20} MiB")
                if unclear := [name for name in archive.files if not name.isprintable()]:
                    raise RecordError(f"{path}: an array's name is not printable ({printable(unclear[0])})")
                return {name: archive[name] for name in archive.files}
    except RecordError:
        raise
    # NumPy and zipfile raise a dozen kinds of error on a broken archive; all of them mean the same to us.
    except Exception as error:
        raise RecordError(f"{path}: not an archive of plain arrays, perhaps truncated ({printable(error)})") from None


def read_run(folder: Path, *, unfinished: bool = False) -> Run:
    """Read a run folder. One that was cut short is read as far as it goes, if failure.json tells why.

    Args:
        folder: the run folder.
        unfinished: also read one that is still running or was killed, as far as it goes.

    Raises:
        RecordError: no run folder, or a file in it that cannot be trusted.
    """
    if not folder.is_dir():
        raise RecordError(f"{folder}: no such run folder")
    failure = read_record(folder / FAILURE, Failure) if stored(folder / FAILURE) else None
    ended = bool(stored(folder / CLAIMS))
    if ended and (failure is None or (folder / MANIFEST).exists()):
        _refuse_broken_seal(folder)
    partial = failure is not None or (unfinished and not ended and bool(stored(folder / PLAN)))

    def due(name: str) -> bool:
        return not partial or bool(stored(folder / name))

    plan = read_plan(folder / PLAN) if due(PLAN) else None
    environment = read_record(folder / ENVIRONMENT, Environment) if due(ENVIRONMENT) else None
    if ended:
        claims = read_claims(folder / CLAIMS)
    elif not partial:
        raise RecordError(f"{folder}: the run did not end (no {CLAIMS}); `python -m reports show` prints what there is")
    elif stored(folder / PARTIAL_CLAIMS):
        claims = read_claims(folder / PARTIAL_CLAIMS, half_written=True)
    else:
        claims = {}
    if plan is not None and not partial:
        _refuse_unplanned(folder / CLAIMS, plan, claims)
    return Run(
        folder=folder,
        plan=plan,
        environment=environment,
        claims=claims,
        digests=read_digests(folder / DIGESTS) if stored(folder / DIGESTS) else {},
        sketches=read_sketches(folder / SKETCHES) if stored(folder / SKETCHES) else {},
        interface=read_record(folder / INTERFACE, Interface) if stored(folder / INTERFACE) else None,
        failure=failure,
        ended=ended,
    )


def sealed_names(folder: Path) -> list[str]:
    """Names of the files that belong under the seal, packed or not."""
    return [file.name for name in SEALED for file in (folder / name, packed(folder / name))]


def seal_run(folder: Path) -> None:
    """Seal a run folder: the last thing that is done to it.

    Raises:
        OSError: it cannot be read or written.
    """
    seal(folder, sealed_names(folder))


def _refuse_broken_seal(folder: Path) -> None:
    try:
        if not (folder / MANIFEST).is_file():
            raise RecordError(f"{folder}: the run did not end: it has no {MANIFEST}, which is written last")
        check_seal(folder, sealed_names(folder))
    except BrokenSeal as error:
        raise RecordError(printable(error, 2000)) from None
    except OSError as error:
        raise RecordError(f"{folder}: cannot be read ({error.strerror})") from None


def _refuse_unplanned(path: Path, plan: Plan, claims: dict[str, Claim]) -> None:
    planned = set(plan.claims)
    for number, name in enumerate(claims, start=1):
        if name not in planned:
            raise RecordError(f"{path}, line {number}: claim {name} is not in {PLAN}")


class _Digests(msgspec.Struct, forbid_unknown_fields=True):
    schema: int
    digests: dict[str, str]


def write_digests(folder: Path, digests: dict[str, str]) -> None:
    """Write digests.json: one fixed-seed digest by subject key."""
    write_record(folder / DIGESTS, _Digests(SCHEMA, digests))


def read_digests(path: Path) -> dict[str, str]:
    """Read digests, by subject key.

    Raises:
        RecordError: as `read_record`.
    """
    digests: dict[str, str] = _decode(_read_bytes(path), _Digests, str(path)).digests
    return digests
