"""Views of gates between runs made by hand."""

from __future__ import annotations

from typing import Any

from fixtures.record.run_folder import Run
from reports.verdict.gate import gate
from reports.view.gate import GateView, gate_view

REFERENCES = {"half": "https://example.org/1"}


def view_of(baseline: Run, candidate: Run, **fields: Any) -> GateView:
    """View of a gate; `fields` are other arguments of `gate`."""
    return gate_view(gate(baseline, candidate, **fields), baseline, candidate, references=REFERENCES)
