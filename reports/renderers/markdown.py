"""The verdict as Markdown, for a pull request or a job summary: what decides first, and never longer than fits there.

GitHub takes 65 536 characters in a comment and a megabyte in a job summary. What does not fit is left out from the
end, and the last line says so. Text from a run file is shown as text: each character that Markdown, HTML or GitHub's
mentions and links could read is written as a character reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fixtures.record.safe_text import printable
from fixtures.words.phrases import plural
from reports.verdict.reasons import Reason
from reports.view.counts import Counts
from reports.view.gate import GateView
from reports.view.model import ModelView
from reports.view.timings import Timing, Timings

MOST_CHARACTERS = 65_000
"""A comment's limit, less what a bot may put around it."""

LEFT_OUT = "\n\n… and more, which does not fit here: see verdict.json.\n"

_READABLE = frozenset(" .,;:%+-/=?'\"")

_ADDRESSES = {"://": "&#58;//", r"(www)\.": r"\1&#46;"}
"""GitHub makes links of bare addresses, too; that of a run file is nobody's to follow."""


def gate_markdown(view: GateView) -> str:
    """The whole verdict, the most important first; at most MOST_CHARACTERS."""
    sections = ["\n".join(section) for section in _sections(view)]
    whole = "\n\n".join(section for section in sections if section) + "\n"
    if len(whole) <= MOST_CHARACTERS:
        return whole
    room = MOST_CHARACTERS - len(LEFT_OUT)
    # Cut between lines, or half a table row or character reference would remain.
    return whole[: whole.rindex("\n", 0, room)] + LEFT_OUT


def as_text(text: object) -> str:
    """`text` in one line that Markdown shows as it is."""
    shown = "".join(
        letter if letter.isalnum() or letter in _READABLE else f"&#{ord(letter)};" for letter in printable(text)
    )
    for address, harmless in _ADDRESSES.items():
        shown = re.sub(address, harmless, shown, flags=re.IGNORECASE)
    return shown


def _sections(view: GateView) -> Iterator[Iterable[str]]:
    steps = (f"{as_text(step.name)} {as_text(step.baseline)} → {as_text(step.candidate)}" for step in view.steps)
    yield [f"## {view.outcome.sign} {view.outcome.upper()}: {', '.join(steps)}"]
    yield [as_text(view.bottom_line)]
    yield [as_text(view.brought)] if view.brought else []
    yield [f"{number}. {_reason(reason)}" for number, reason in enumerate(view.top, start=1)]
    yield [f"**Next:** {view.advice}"]
    if view.rerun:
        yield _fenced("sh", [view.rerun])
    if view.stanza:
        yield _folded("A waiver for the first of them, to fill in", _fenced("toml", view.stanza.splitlines()))
    if view.model:
        yield [f"**Your model** {as_text(view.model.file)}: {view.model.outcome}: {as_text(view.model.sentence)}."]
        yield _modules(view.model)
    if view.rest:
        yield _folded(plural(len(view.rest), "more reason"), [f"- {_reason(reason)}" for reason in view.rest])
    yield _claims(view.counts)
    yield _speed(view.speed)
    said, left = map(as_text, view.false_alarms)
    yield [f"<sub>{as_text(view.asked)}. False alarm: {said}; {left}.</sub>"]


def _folded(summary: str, lines: Iterable[str]) -> list[str]:
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>"]


def _fenced(language: str, lines: Iterable[str]) -> list[str]:
    """Lines in a fence, where nothing is read as markup but the end of the fence."""
    return [f"```{language}", *(printable(line, 5000).replace("```", "'''") for line in lines), "```"]


def _reason(reason: Reason) -> str:
    last = f" ({as_text(reason.details[-1])})" if reason.details else ""
    waived = f" (waived: {as_text(', '.join(reason.waived))})" if reason.waived else ""
    return f"**{reason.outcome}**{waived}: {as_text(reason.text)}{last}"


def _claims(counts: Counts) -> list[str]:
    """Table by family, which a reader scans for the row that is not all zeros."""
    if not counts.families:
        return []
    rows = [
        f"| {as_text(row.family)} | {row.claims} | "
        f"{_both(row.holds)} | {_both(row.violated)} | {_both(row.no_evidence)} |"
        for row in counts.families
    ]
    head = ["| family | asked | hold | violated | no evidence |", "|---|--:|--:|--:|--:|"]
    return _folded(f"{plural(counts.total.claims, 'claim')}, baseline → candidate", [*head, *rows])


def _modules(found: ModelView) -> list[str]:
    """Table of the modules nearest to what rounding allows, or beyond it."""
    if not found.farthest:
        return []
    head = ["| module | class | share of what rounding allows | tensor | |", "|---|---|--:|---|---|"]
    rows = [
        f"| {as_text(row.path)} | {as_text(row.about)} | {row.share} | {as_text(row.tensor)} | {as_text(row.outcome)} |"
        for row in found.farthest
    ]
    counted = f"{len(found.farthest)} of {plural(len(found.modules), 'module')} of your model"
    return _folded(f"{counted}, farthest from float64 for what rounding allows", [*head, *rows])


def _both(counts: tuple[int, int]) -> str:
    before, after = counts
    return str(after) if before == after else f"{before} → {after}"


def _speed(speed: Timings) -> list[str]:
    if not speed.measured:
        return ["Speed: not measured."]
    head = ["| workload | candidate / baseline | sd | margin | required | outcome |", "|---|--:|--:|--:|---|---|"]
    return _folded(as_text(speed.summary), [*head, *map(_row, speed.workloads)])


def _row(timing: Timing) -> str:
    sd = f"{100 * timing.sd:.1f} %" if timing.sd is not None else ""
    needed = "yes" if timing.required else "no"
    return (
        f"| {as_text(timing.name)} | {timing.interval} | {sd} | {100 * timing.margin:.0f} % | {needed} | "
        f"{timing.outcome} |"
    )
