"""The page of a gate put together: its template, its drawings and the data of its script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from fixtures.record.choices import SUITES
from fixtures.record.safe_text import printable
from reports.renderers.page import plots
from reports.renderers.page.claims import ClaimList, claim_list, safe_json
from reports.renderers.page.frame import LONGEST, framed, source
from reports.renderers.page.svg import Drawings
from reports.view.evidence import Evidence, Picture
from reports.view.forests import CANDIDATE, Forest
from reports.view.gate import GateView
from reports.view.model import place_of

OPEN_PLOTS = 4
"""Subjects whose weights are shown at once; the others are folded away."""

MOST_DRIFTS = 60
"""Drifts listed; verdict.json has them all."""

MOST_MODULES = 600
"""Modules of a user's model that are listed, half a kilobyte each; verdict.json has them all."""

MOST_TENSORS = 24
"""Tensors of a user's model that are listed at once; the others are folded away."""

ROWS_OF_A_COLUMN = 14
"""Rows of one drawing, as high as a window; more make a second one beside it."""

PLOTS: dict[str, Callable[[Any], Figure]] = {
    plot.__name__: plot
    for plot in (
        plots.histogram,
        plots.probability_transform,
        plots.depth,
        plots.losses,
        plots.gradient_norms,
        plots.clouds,
    )
}


def render_page(view: GateView, evidence: Evidence) -> str:
    """The whole page."""
    claims = claim_list(view.claims, view.references)
    drawings = Drawings()
    with plots.drawing():
        drawn = dict(_drawn(evidence, drawings))
    return framed(
        "page.html.j2",
        style=source("page.css") + drawings.css(),
        script=source("elements.js", "page.js"),
        data=_document(claims, view),
        view=view,
        evidence=evidence,
        drawn=drawn,
        guards=any(CANDIDATE not in row.sides for row in evidence.speed.rows),
        rows=[len(claims.rows(reason.names)) for reason in view.reasons],
        left_out=claims.left_out,
        open_plots=OPEN_PLOTS,
        most_drifts=MOST_DRIFTS,
        most_modules=MOST_MODULES,
        most_tensors=MOST_TENSORS,
        limit=place_of(1.0),
    )


def _drawn(evidence: Evidence, drawings: Drawings) -> Iterator[tuple[Picture | Forest, list[Markup]]]:
    """Drawings of each picture, and of each forest as many as it takes."""
    parts = (evidence.model, evidence.weights, evidence.scales, evidence.depths, evidence.training, evidence.speed)
    for part in parts:
        if isinstance(part, Forest):
            yield part, list(_forest(part, drawings))
            continue
        for picture in (picture for one in part.shown for picture in one.pictures):
            figure = PLOTS[picture.plot](picture.numbers)
            yield picture, [drawings.draw(figure, picture.title, picture.says)]


def _forest(found: Forest, drawings: Drawings) -> Iterator[Markup]:
    columns = math.ceil(len(found.rows) / ROWS_OF_A_COLUMN)
    length = math.ceil(len(found.rows) / max(1, columns))
    for start in range(0, len(found.rows), max(1, length)):
        rows = found.rows[start : start + length]
        wrong = sum(row.is_wrong for row in rows)
        yield drawings.draw(
            plots.forest(found, rows), found.title, f"{len(rows)} rows, {wrong} of them marked as wrong"
        )


def _document(claims: ClaimList, view: GateView) -> str:
    """Data of the script: the claims, those of each reason, and the beginnings of commands."""
    surroundings = {
        "reasons": [claims.rows(reason.names) for reason in view.reasons],
        "gate": view.rerun and printable(view.rerun, LONGEST),
        "suite": view.suite_options and printable(view.suite_options, LONGEST),
        "suites": {name: f"suites/{name}" for name in SUITES},
    }
    # Two objects as one: the claims are megabytes and already written.
    return safe_json(surroundings)[:-1] + "," + claims.document[1:]
