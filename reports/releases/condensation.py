"""Condensation of a run into the record of a release (fixtures/record/release_record.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from fixtures.record.claim import Claim, Verdict
from fixtures.record.failure import Failure
from fixtures.record.plan import Plan
from fixtures.record.release_record import HISTORY_SCHEMA, Answer, Cost, Questions, ReleaseRecord
from fixtures.record.run_folder import Run
from fixtures.words.phrases import LARGEST_PLAIN, SMALLEST_WHOLE


class Uncondensable(Exception):
    """A run that answers other questions than the records do; the message is one line."""


def questions_of(run: Run, key: str) -> Questions | None:
    """Questions that a run was asked; None where it ended before it was asked any."""
    if run.plan is None or not run.plan.claims:
        return None
    stated = (run.claims[name].statement if name in run.claims else "" for name in run.plan.claims)
    return Questions(schema=HISTORY_SCHEMA, key=key, plan=run.plan, statements=tuple(stated))


def condense(run: Run, release: str, key: str, questions: Questions | None, cost: Cost) -> ReleaseRecord:
    """Condense a run, whether it ended as planned or not.

    The last lines of a failed run stay behind: they name folders of the machine and addresses of its index.

    Args:
        run: of the suites on that release.
        release: as an index calls it.
        key: of the suites.
        questions: that all releases of that key are asked; None where nobody knows them yet.
        cost: of the environment and the run.

    Raises:
        Uncondensable: the run was asked something else.
    """
    planned: tuple[str, ...] = ()
    stated: Mapping[str, str] = {}
    if questions is not None and run.plan is not None:
        _refuse_other_plan(run, run.plan, questions)
        planned = questions.plan.claims
        stated = {
            str(place): claim.statement
            for place, (name, statement) in enumerate(zip(planned, questions.statements, strict=True))
            if (claim := run.claims.get(name)) and claim.statement != statement
        }
    return ReleaseRecord(
        schema=HISTORY_SCHEMA,
        release=release,
        key=key,
        made=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        cost=cost,
        environment=run.environment,
        failure=_reason(run),
        answers=tuple(_answer(run.claims[name]) if name in run.claims else None for name in planned),
        statements=dict(stated),
        digests=run.digests,
        interface=run.interface,
    )


def _reason(run: Run) -> Failure | None:
    """Failure of the run without its last lines; also where nothing failed and nothing was answered."""
    if run.failure is not None:
        return replace(run.failure, tail=())
    return None if run.claims else Failure("run", "surroundings", "the run ended, and nothing was asked")


def _refuse_other_plan(run: Run, plan: Plan, questions: Questions) -> None:
    asked = questions.plan
    for name in ("seed", "tier", "devices", "target", "selection", "cases"):
        # A run that was cut short may have ended before its tests were selected.
        if getattr(plan, name) != getattr(asked, name) and (name != "selection" or plan.claims):
            raise Uncondensable(f"{run.folder}: its {name} are not those of {questions.key}")
    if others := [name for name in plan.claims if name not in frozenset(asked.claims)]:
        raise Uncondensable(f"{run.folder}: makes claims that no other release makes, such as {others[0]}")


def _answer(claim: Claim) -> Answer:
    whole = claim.verdict is Verdict.VIOLATED
    effect, detectable = claim.effect, claim.detectable
    unit = effect.unit if effect else None
    return Answer(
        verdict=claim.verdict,
        n=claim.n,
        p=_rounded(claim.p, 2),
        # Two violations are compared by their standard errors, of which an effect may have thousands.
        effect=(effect.value if whole else printed(effect.value)) if effect else None,
        standard_error=_rounded(effect.standard_error, 3) if effect else None,
        unit=unit,
        detectable=printed(detectable.value) if detectable else None,
        detectable_unit=detectable.unit if detectable and detectable.unit != unit else None,
        where=claim.where,
        counterexample=claim.counterexample,
        note=None if claim.note == claim.counterexample else claim.note,
    )


def printed(value: float) -> float:
    """Round a size to what reports print of it (`size` in fixtures/words/phrases.py).

    A comparison tells a factor of 8, and what is larger than a detectable effect: half a unit in the third digit is a
    200th at most.
    """
    return round(value) + 0.0 if SMALLEST_WHOLE <= abs(value) < LARGEST_PLAIN else float(f"{value:.3g}")


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")
