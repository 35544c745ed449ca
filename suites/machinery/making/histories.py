"""A history of releases made by hand, with everything that its page shows: small, and hostile where a test says so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fixtures.record.claim import Effect, Unit, Verdict
from fixtures.record.plan import Case
from fixtures.record.run_folder import Run
from fixtures.record.subject import Subject
from fixtures.rules.known_violations import Known
from reports.releases.history import History, read_history
from reports.releases.speed import SpeedLink
from reports.view.history import HistoryView, history_view
from suites.machinery.making.chains import link
from suites.machinery.making.pages import MARKUP
from suites.machinery.making.releases import answering, not_installed, write_history
from suites.machinery.making.runs import claim, contract, environment, failure, plan, subject, undecided, violated

KNOWN = (
    Known(
        id="half-std-low",
        releases="<2.12",
        claims=("weights.marginal.*",),
        subject={"dtype": ("bfloat16",)},
        effect="std 0.7 % low",
        effects={"weights.*": (-1.0, 0.0)},
        reason="uniforms of 8 bits",
        reference="https://github.com/pytorch/pytorch/issues/166853",
    ),
    Known(
        id="never-seen",
        releases="<2",
        claims=("weights.marginal.*",),
        subject={"dtype": ("float16",)},
        effect="none",
        effects={"weights.*": (-1.0, 0.0)},
        reason="a test",
        reference="suites/FINDINGS.md",
    ),
)
SNIPPETS = {"half-std-low": "w = torch.empty(4000, dtype=torch.bfloat16).normal_()\nprint(w.std())\n# 0.993"}

WIDE = subject(dtype="bfloat16", shape=(64, 64))
HOLDING = claim(), claim("propagation.link.product"), claim("sharded.law.scale")
HALVES = claim(dtype="bfloat16"), claim(subject=WIDE)
LOW = (
    violated(dtype="bfloat16", effect=Effect(-0.68, Unit.STD, 0.01), where="row 17"),
    violated(subject=WIDE, effect=Effect(-0.31, Unit.STD, 0.01), p=1e-40),
)
BOUNDS = contract(), contract(Verdict.VIOLATED, "a weight of 0.5 lies outside [-0.4, 0.4]")
OPEN = undecided("this torch has no such layer", family="training.step.fused")
SETTLED = claim("training.step.fused")
ASKED = (*HOLDING, *HALVES, BOUNDS[0], OPEN)

SLOW = "train/resnet/step"
"""The workload that is slower since 2.12.1."""


def _release(name: str, *claims: object, streams: str = "a") -> Run:
    made = answering(name, *claims, of=ASKED)
    digests = {subject().key: "same", WIDE.key: streams}
    return dataclasses.replace(made, digests=digests)


def releases() -> dict[str, Run]:
    """Six releases: the oldest is not installed, 2.7.1 crashed, 2.12.1 mends the half types and breaks the bounds."""
    crashed = dataclasses.replace(answering("2.7.1", of=ASKED), failure=failure(), ended=False)
    return {
        "2.1.2": not_installed("2.1.2"),
        "2.6.0": _release("2.6.0", *HOLDING, *LOW, BOUNDS[0], OPEN),
        "2.7.1": crashed,
        "2.11.0": _release("2.11.0", *HOLDING, *LOW, BOUNDS[0], SETTLED),
        "2.12.1": _release("2.12.1", *HOLDING, *HALVES, BOUNDS[1], SETTLED, streams="b"),
        "2.13.0": _release("2.13.0", *HOLDING, *HALVES, BOUNDS[0], SETTLED, streams="b"),
    }


def links() -> tuple[SpeedLink, ...]:
    """A chain of three links: one workload is half as fast since 2.12.1, one is lacking at first."""
    steady = [0.0, 0.004, -0.004, 0.002, -0.002, 0.001]
    slower = list(np.log(1.5) + np.array(steady))
    return (
        link("2.6.0", "2.11.0", {SLOW: steady, "init/normal_": steady, "train/new/step": []}),
        link("2.11.0", "2.12.1", {SLOW: slower, "init/normal_": steady, "train/new/step": steady}),
        link("2.12.1", "2.13.0", {SLOW: steady, "init/normal_": steady, "train/new/step": steady}),
    )


def history(folder: Path, runs: Mapping[str, Run] | None = None) -> History:
    """Write releases into a folder, and read them back."""
    return read_history(write_history(folder, releases() if runs is None else runs), KNOWN)


def view(folder: Path, runs: Mapping[str, Run] | None = None, *, timed: bool = True) -> HistoryView:
    """View of releases that are written into a folder.

    Args:
        folder: empty.
        runs: of the releases; those of `releases` if None.
        timed: whether there is a speed chain.
    """
    return history_view(history(folder, runs), KNOWN, SNIPPETS, links() if timed else ())


def hostile_releases() -> dict[str, Run]:
    """Three releases in which every text is `MARKUP`; what an id may hold of it is in the family."""
    everything = " ".join(MARKUP)
    subjects = [Subject(f"kaiming_normal_{text}", (64, 32), "float32", layout=text, device=text) for text in MARKUP]
    families = [f"weights.{text.replace('/', '')}.scale" for text in MARKUP]
    texts = list(zip(MARKUP, families, subjects, strict=True))
    made = [
        [kind(family=family, subject=each, statement=text, note=text, **more) for text, family, each in texts]
        for kind, more in ((claim, {}), (violated, {"where": everything}), (undecided, {}))
    ]
    cases = tuple(Case(family=everything, subject=each, draws=1, resolution=0.1) for each in subjects)
    asked = plan([one.id for one in made[0]], cases=cases, target=everything, devices=MARKUP)
    told = environment(everything, python=everything, machine={"cpu": everything}, packages={"numpy": everything})
    runs = {}
    for name, claims in zip(("2.5.0", "2.6.0", "2.7.0"), made, strict=True):
        digests = dict.fromkeys(MARKUP, name)
        found = {one.id: one for one in claims}
        runs[name] = Run(Path(name), asked, told, found, digests=digests, ended=True)
    broken = failure(stage="install", reason=everything, tail=())
    runs["2.8.0"] = Run(Path("2.8.0"), None, told, {}, failure=broken, ended=False)
    return runs
