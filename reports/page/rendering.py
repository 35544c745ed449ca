"""The page put together: what the template says, and the policy that keeps anything else from running."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from itertools import groupby
from operator import add
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from fixtures.record.environment import UNKNOWN_TORCH
from fixtures.record.plan import Plan
from fixtures.record.run_folder import Run
from fixtures.record.safe_text import printable
from fixtures.words.wording import plural
from reports.bottom_line import bottom_line
from reports.comparison import Change, ClaimChange, compare, newly_violated
from reports.false_alarms import in_words
from reports.faults import FaultOutcome, second_level
from reports.page import figures, plots
from reports.page.claims import ClaimList, claim_list, safe_json
from reports.page.plots import BASELINE, CANDIDATE
from reports.page.surroundings import facts
from reports.page.svg import Drawings
from reports.reasons import Outcome, Reason
from reports.terminal import NEXT_STEPS, TOP_REASONS
from reports.verdict import FamilyCount, GateVerdict, Side, Streams, by_family

TEMPLATES = Path(__file__).with_name("templates")

LONGEST = 5000
"""Characters of one text: a command with a path in it."""

OPEN_PLOTS = 4
"""Subjects whose weights are shown at once; the others are folded away."""

MOST_DRIFTS = 60
"""Drifts listed; verdict.json has them all."""

SYMBOLS = {Outcome.PASS: "✓", Outcome.NOTICE: "!", Outcome.NO_EVIDENCE: "?", Outcome.STOP: "✕"}


def render_page(
    verdict: GateVerdict,
    baseline: Run,
    candidate: Run,
    *,
    references: Mapping[str, str],
    faults: Sequence[FaultOutcome] = (),
) -> str:
    """The whole page; arguments as of `write_page`."""
    changes = compare(baseline, candidate)
    claims = claim_list(changes, references)
    plan = baseline.plan or candidate.plan
    script = Markup((TEMPLATES / "page.js").read_text(encoding="utf-8"))
    drawings = Drawings()
    drawn = _drawn(verdict, {BASELINE: baseline, CANDIDATE: candidate}, changes, drawings)
    style = Markup((TEMPLATES / "page.css").read_text(encoding="utf-8") + drawings.css())
    surroundings = facts(baseline, candidate)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            policy=Markup(_security_policy(style, script)),
            style=style,
            script=script,
            data=Markup(_document(claims, verdict, plan)),
            outcome=str(verdict.outcome),
            tone=_tone(verdict.outcome),
            symbol=SYMBOLS[verdict.outcome],
            meaning=printable(bottom_line(verdict)),
            advice=_sentence(NEXT_STEPS[verdict.outcome]),
            before=_torch(verdict.baseline),
            after=_torch(verdict.candidate),
            labels=(verdict.baseline.label, verdict.candidate.label),
            asked=verdict.plan,
            top=TOP_REASONS,
            reasons=[_reason_view(reason, claims) for reason in verdict.reasons],
            rerun=verdict.rerun,
            stanza=verdict.stanza,
            total=reduce(add, verdict.counts, NONE_ASKED),
            families=by_family(verdict.counts),
            changed={
                "new": newly_violated(changes),
                "both": figures.violated_on_both(changes),
                "lost": any(change.change is Change.LOST for change in changes),
            },
            streams=_streams(verdict.streams),
            false_alarms=_false_alarms(verdict),
            left_out=claims.left_out,
            faults=_fault_views(faults),
            differing=[fact for fact in surroundings if fact.differs],
            same=[fact for fact in surroundings if not fact.differs],
            open_plots=OPEN_PLOTS,
            **drawn,
            **_drift_views(verdict),
        )
    )


NONE_ASKED = FamilyCount(family="", dtype="", claims=0, holds=(0, 0), violated=(0, 0), no_evidence=(0, 0), mended=0)


def _drawn(
    verdict: GateVerdict, runs: Mapping[str, Run], changes: Sequence[ClaimChange], drawings: Drawings
) -> dict[str, Any]:
    """The sections that have drawings in them."""
    with plots.drawing():
        return {
            "weights": figures.weights_section(
                runs, changes, {drift.subject for drift in verdict.drifts if drift.kind in LAWS}, drawings
            ),
            "scales": figures.scale_section(changes, runs, drawings),
            "depths": list(figures.depth_views(runs, changes, drawings)),
            "training": figures.training_section(runs, drawings),
            "speed": figures.speed_section(verdict, drawings),
        }


LAWS = ("law", "grid")
"""Kinds of drift of which a histogram shows something."""

DRIFT_KINDS = {
    "law": "law",
    "grid": "values",
    "numbers": "numbers",
    "effect": "effect",
    "signature": "signature",
    "message": "message",
    "uncompared": "not compared",
    "signature_added": "new signature",
    "stream": "stream",
    "numbers_rounding": "rounding",
}
"""Kinds of drift, the most important first, and the word for each; what did not change is no drift to a reader."""


def _drift_views(verdict: GateVerdict) -> dict[str, Any]:
    """Drifts to list, and how many are not."""
    order = list(DRIFT_KINDS)
    told = sorted((drift for drift in verdict.drifts if drift.kind in order), key=lambda drift: order.index(drift.kind))
    views = [
        {"kind": DRIFT_KINDS[drift.kind], "text": drift.text, "rerun": drift.rerun} for drift in told[:MOST_DRIFTS]
    ]
    return {"drifts": views, "drifts_left_out": max(0, len(told) - MOST_DRIFTS)}


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["grouped"] = lambda count: Markup(f"{count:_}".replace("_", "&#8239;"))
    return made


def _shown(value: object) -> object:
    """Whatever is put into the page goes through here: our own markup as it is, all else as one line of plain text.

    Control characters would hide text or turn its direction, which escaping leaves alone.
    """
    if isinstance(value, Markup):
        return value
    return "" if value is None else printable(value, LONGEST)


def _security_policy(style: str, script: str) -> str:
    """Nothing runs or is loaded but the page's own style and script, told by their hashes."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _document(claims: ClaimList, verdict: GateVerdict, plan: Plan | None) -> str:
    """What the script needs: the claims, those of each reason, and the beginnings of commands."""
    beside = {
        "reasons": [claims.rows(reason.names) for reason in verdict.reasons],
        "gate": verdict.rerun and printable(verdict.rerun, LONGEST),
        "suite": _suite_options(plan),
        "suites": {name: f"suites/{name}" for name in ("weights", "propagation", "training")},
    }
    # Two objects as one: the claims are megabytes and already written.
    return safe_json(beside)[:-1] + "," + claims.document[1:]


def _suite_options(plan: Plan | None) -> str | None:
    """Options that make a suite ask what the gate asked."""
    if plan is None:
        return None
    options = {"--seed": str(plan.seed), "--tier": plan.tier, "--device": ",".join(plan.devices)}
    if plan.target != "torch.nn.init":
        options["--target"] = plan.target
    return printable(shlex.join(word for option in options.items() for word in option), LONGEST)


def _tone(outcome: Outcome) -> str:
    return str(outcome).replace(" ", "-")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _torch(side: Side) -> str:
    return side.label if side.torch == UNKNOWN_TORCH else side.torch


def _reason_view(reason: Reason, claims: ClaimList) -> dict[str, Any]:
    rows = len(claims.rows(reason.names))
    return {
        "outcome": reason.outcome,
        "tone": _tone(reason.outcome),
        "text": reason.text,
        "details": reason.details,
        "waived": reason.waived,
        "rows": plural(rows, "claim") if rows else None,
    }


def _streams(streams: Streams) -> str:
    total = streams.same + len(streams.changed)
    if not total:
        return "Whether one seed gives the same weights on both sides was not recorded."
    return f"One seed gives the same weights on both sides for {streams.same} of {plural(total, 'subject')}."


def _false_alarms(verdict: GateVerdict) -> str:
    said, left = map(_sentence, in_words(verdict.false_alarms))
    return f"{said}. {left}."


@dataclass(frozen=True)
class FaultCell:
    """How many claims of a family saw a fault, and whether that family had to."""

    count: int
    due: bool


def _fault_views(outcomes: Sequence[FaultOutcome]) -> list[dict[str, Any]]:
    """Faults by suite, in the order asked; families of the suite across."""
    views = []
    for suite in dict.fromkeys(outcome.suite for outcome in outcomes):
        members = [outcome for outcome in outcomes if outcome.suite == suite]
        families = sorted({second_level(name) for one in members for name in (*one.seen, *one.expected)})
        wrong = sum(not one.as_it_should for one in members)
        views.append(
            {
                "name": suite,
                "wrong": wrong,
                "says": f"{len(members) - wrong} of {plural(len(members), 'run')} ended as they should",
                "families": families,
                "rows": [_fault_row(one, families) for one in members],
            }
        )
    return views


def _fault_row(outcome: FaultOutcome, families: Sequence[str]) -> dict[str, Any]:
    counts = {
        family: sum(outcome.seen[name] for name in names)
        for family, names in groupby(sorted(outcome.seen, key=second_level), key=second_level)
    }
    due = {second_level(name) for name in outcome.expected}
    cells = [FaultCell(counts.get(family, 0), family in due) for family in families]
    return {"fault": outcome.fault, "fine": outcome.as_it_should, "cells": cells}
