"""Histories made by hand: releases that answer a few claims, condensed and written as they are by `nox -s history`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from fixtures.record.claim import Claim
from fixtures.record.plan import Case
from fixtures.record.release_record import Cost, write_questions, write_release
from fixtures.record.run_folder import Run
from reports.releases.condensation import condense, questions_of
from suites.machinery.making.runs import failure, plan, run

KEY = "0123456789abcdef"


def asked(*claims: Claim) -> dict[str, object]:
    """Field of a run: the plan of these claims, with a case for each subject."""
    subjects = {claim.subject.key: claim.subject for claim in claims}
    drawn = {"family": "weights.marginal", "draws": 100, "resolution": 0.1}
    cases = tuple(Case(subject=each, **drawn) for each in subjects.values())
    return {"plan": plan((claim.id for claim in claims), cases=cases)}


def not_installed(release: str) -> Run:
    """A run that never began: pip found nothing to install."""
    reason = f"torch=={release} was not found: pip has nothing to install"
    why = failure("surroundings", stage="install", reason=reason, tail=("Looking in indexes: https://index.example",))
    return Run(Path(release), None, None, {}, failure=why, ended=False)


def write_history(folder: Path, releases: Mapping[str, Run], key: str = KEY) -> Path:
    """Write the records of releases; the first that was asked anything says what the questions are."""
    questions = next((found for made in releases.values() if (found := questions_of(made, key))), None)
    if questions is not None:
        write_questions(folder, questions)
    for release, made in releases.items():
        write_release(folder, condense(made, release, key, questions, Cost(gigabytes=2.0)))
    return folder


def answering(release: str, *claims: Claim, of: tuple[Claim, ...] = ()) -> Run:
    """A run of a release that answers `claims`, of those that all are asked: by default these."""
    made = run(*claims, label=release, torch=release)
    return dataclasses.replace(made, **asked(*(of or claims)))
