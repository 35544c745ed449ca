"""Run folders made by hand, for the tests of the reports: small, whole, and different where a test says so."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from fixtures.record import file_names, run_folder
from fixtures.record.claim import Claim, Effect, Unit, Verdict, claim_id
from fixtures.record.environment import Environment
from fixtures.record.failure import Failure
from fixtures.record.plan import Case, Plan
from fixtures.record.run_folder import Run
from fixtures.record.schema import SCHEMA
from fixtures.record.session import Missing, Session, Stage, State
from fixtures.record.subject import Subject

OF_STD = Unit.STD
SCALE = "weights.marginal.scale"


def subject(dtype: str = "float32", **fields: Any) -> Subject:
    """A Kaiming-normal weight of 256 x 128."""
    return Subject(**{"initializer": "kaiming_normal_", "shape": (256, 128), "dtype": dtype} | fields)


def claim(family: str = SCALE, dtype: str = "float32", **fields: Any) -> Claim:
    """A statistical claim that holds: 0.01 % off where 0.2 % would be seen."""
    about = fields.pop("subject", subject(dtype))
    usual = {
        "schema": SCHEMA,
        "id": claim_id(family, about),
        "family": family,
        "subject": about,
        "statement": "std = gain / sqrt(fan)",
        "n": 9_300_000,
        "p": 0.4,
        "effect": Effect(0.01, OF_STD),
        "detectable": Effect(0.2, OF_STD),
        "verdict": Verdict.HOLDS,
        "seed": 7,
    }
    return Claim(**usual | fields)


def violated(family: str = SCALE, dtype: str = "float32", percent: float = -0.7, **fields: Any) -> Claim:
    """The same claim violated by an effect that cannot be overlooked."""
    usual = {"verdict": Verdict.VIOLATED, "effect": Effect(percent, OF_STD), "p": 1e-300}
    return claim(family, dtype, **usual | fields)


def contract(verdict: Verdict = Verdict.HOLDS, note: str | None = None, **fields: Any) -> Claim:
    """A contract claim: exact, without p-value and effect; where it is violated, `note` is the counterexample."""
    broken = note if verdict is Verdict.VIOLATED else None
    usual = {"p": None, "effect": None, "detectable": None, "n": 100, "verdict": verdict, "note": note}
    usual |= {"counterexample": broken}
    return claim("weights.contract.bounds", **usual | fields)


def undecided(note: str = "cuda is not there", **fields: Any) -> Claim:
    """A claim without evidence."""
    return claim(**{"verdict": Verdict.NO_EVIDENCE, "note": note, "n": 0, "p": None, "effect": None} | fields)


def plan(claims: Iterable[str], **fields: Any) -> Plan:
    """A plan for these claims."""
    usual = {
        "schema": SCHEMA,
        "seed": 17,
        "tier": "quick",
        "devices": ("cpu",),
        "target": "torch.nn.init",
        "false_alarm_rate": 1e-6,
        "cases": (Case(family="weights.marginal", subject=subject(), draws=100, resolution=0.1),),
        "claims": tuple(claims),
    }
    return Plan(**usual | fields)


def environment(torch: str, **fields: Any) -> Environment:
    """An environment with that torch."""
    usual = {
        "schema": SCHEMA,
        "python": "3.11.7",
        "packages": {"torch": torch, "numpy": "2.4.6"},
        "torch": {"version": torch, "threads": 2},
        "machine": {"cpu": "a CPU", "cores": 2},
        "options": {"tier": "quick", "seed": 17},
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 30.5,
    }
    return Environment(**usual | fields)


MODEL_PACKAGES = {
    "torch": "2.13.0+cpu",
    "numpy": "2.4.6",
    "transformers": "4.57.1",
    "tokenizers": "0.22.1",
    "tqdm": "4",
}
"""What lies beside torch where a user's own packages were added."""


def with_added(*requirements: str, tqdm: str = "4", **versions: str) -> Run:
    """A run of torch 2.13.0 beside transformers, which brought tokenizers and torch's own numpy.

    Args:
        requirements: of the user's own, transformers among them or not.
        tqdm: version of a package that nothing added needs.
        versions: of packages where they are others.
    """
    brought = {"transformers": ("transformers", "numpy", "tokenizers")}
    added = {each: brought.get(name := re.split(r"\W", each)[0], (name,)) for each in requirements}
    packages = MODEL_PACKAGES | {"tqdm": tqdm} | versions
    return run(claim(), environment=environment("2.13.0+cpu", packages=packages, added=added))


def failure(blames: str = "framework", **fields: Any) -> Failure:
    """A run that crashed."""
    usual = {"schema": SCHEMA, "stage": "run", "blames": blames, "reason": "crashed (SIGSEGV)"}
    return Failure(**usual | {"tail": ("importing", "Segmentation fault")} | fields)


def session(**fields: Any) -> Session:
    """A session of a card: one stage that passed, and one that was left out."""
    stages = (
        Stage("weights", State.ENDED, 61.2, 0),
        Stage("clock", State.LEFT_OUT, note="takes 40 s, and 3 s are left"),
    )
    usual = {
        "device": "cuda",
        "described": "NVIDIA H100",
        "torch": "2.13.0",
        "python": "3.11.7",
        "started": "2026-01-01T00:00:00+00:00",
        "budget": 480.0,
        "seed": 7,
        "missing": (Missing("typer", "clock"),),
        "stages": stages,
    }
    return Session(**usual | fields)


def run(*claims: Claim, label: str = "run", torch: str = "2.13.0+cpu", **fields: Any) -> Run:
    """A run that was asked what it answers, unless `plan` says otherwise."""
    usual = {
        "folder": Path(label),
        "plan": plan(claim.id for claim in claims),
        "environment": environment(torch),
        "claims": {claim.id: claim for claim in claims},
    }
    return Run(**usual | fields)


def write(folder: Path, made: Run) -> Path:
    """Write a run as a folder on disk; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, record in (
        (file_names.PLAN, made.plan),
        (file_names.ENVIRONMENT, made.environment),
        (file_names.INTERFACE, made.interface),
        (file_names.FAILURE, made.failure),
    ):
        if record is not None:
            run_folder.write_record(folder / name, record)
    run_folder.write_claims(folder, made.claims.values())
    run_folder.write_digests(folder, made.digests)
    run_folder.write_sketches(folder, made.sketches or {"counts": np.arange(3)})
    run_folder.seal_run(folder)
    return folder
