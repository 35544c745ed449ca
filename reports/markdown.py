"""The verdict as Markdown, for a pull request or a job summary: what decides first, and never longer than fits there.

GitHub takes 65 536 characters in a comment and a megabyte in a job summary. What does not fit is left out from the
end, and the last line says so. Text from a run file is shown as text: each character that Markdown, HTML or GitHub's
mentions and links could read is written as a character reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fixtures.clock.results import Pairing, Timed
from fixtures.record.safe_text import printable
from fixtures.words.wording import plural
from reports.bottom_line import bottom_line
from reports.false_alarms import in_words
from reports.reasons import Outcome, Reason
from reports.speed import interval, outcome_of, summary
from reports.terminal import NEXT_STEPS, TOP_REASONS
from reports.verdict import FamilyCount, GateVerdict, by_family

MOST_CHARACTERS = 65_000
"""A comment's limit, less what a bot may put around it."""

LEFT_OUT = "\n\n… and more, which does not fit here: see verdict.json.\n"

SIGNS = {Outcome.PASS: "✅", Outcome.NOTICE: "🟡", Outcome.NO_EVIDENCE: "❔", Outcome.STOP: "🛑"}

_READABLE = frozenset(" .,;:%+-/=?'\"")

_ADDRESSES = {"://": "&#58;//", r"(www)\.": r"\1&#46;"}
"""GitHub makes links of bare addresses, too; that of a run file is nobody's to follow."""


def verdict_markdown(verdict: GateVerdict) -> str:
    """The whole verdict, the most important first; at most MOST_CHARACTERS."""
    sections = ["\n".join(section) for section in _sections(verdict)]
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


def _sections(verdict: GateVerdict) -> Iterator[Iterable[str]]:
    before, after = (as_text(side.torch) for side in (verdict.baseline, verdict.candidate))
    yield [f"## {SIGNS[verdict.outcome]} {verdict.outcome.upper()}: torch {before} → {after}"]
    yield [as_text(bottom_line(verdict))]
    yield _numbered(verdict.reasons[:TOP_REASONS])
    yield [f"**Next:** {NEXT_STEPS[verdict.outcome]}"]
    if verdict.rerun:
        yield _fenced("sh", [verdict.rerun])
    if verdict.stanza:
        said = "<summary>A waiver for the first of them, to fill in</summary>"
        yield ["<details>", said, "", *_fenced("toml", verdict.stanza.splitlines()), "", "</details>"]
    if more := verdict.reasons[TOP_REASONS:]:
        said = f"<summary>{plural(len(more), 'more reason')}</summary>"
        yield ["<details>", said, "", *_bulleted(more), "", "</details>"]
    yield _claims(verdict.counts)
    yield _speed(verdict.speed, verdict)
    asked = ", ".join(f"{as_text(name)} {as_text(value)}" for name, value in verdict.plan.items())
    said, left = map(as_text, in_words(verdict.false_alarms))
    yield [f"<sub>{asked}. False alarm: {said}; {left}.</sub>"]


def _fenced(language: str, lines: Iterable[str]) -> list[str]:
    """Lines in a fence, where nothing is read as markup but the end of the fence."""
    return [f"```{language}", *(printable(line, 5000).replace("```", "'''") for line in lines), "```"]


def _numbered(reasons: Iterable[Reason]) -> list[str]:
    return [f"{number}. {_reason(reason)}" for number, reason in enumerate(reasons, start=1)]


def _bulleted(reasons: Iterable[Reason]) -> list[str]:
    return [f"- {_reason(reason)}" for reason in reasons]


def _reason(reason: Reason) -> str:
    last = f" ({as_text(reason.details[-1])})" if reason.details else ""
    waived = f" (waived: {as_text(', '.join(reason.waived))})" if reason.waived else ""
    return f"**{reason.outcome}**{waived}: {as_text(reason.text)}{last}"


def _claims(counts: tuple[FamilyCount, ...]) -> list[str]:
    """By family, over dtypes: what a reader scans for the row that is not all zeros."""
    if not counts:
        return []
    families = by_family(counts)
    rows = [
        f"| {as_text(row.family)} | {row.claims} | "
        f"{_both(row.holds)} | {_both(row.violated)} | {_both(row.no_evidence)} |"
        for row in families
    ]
    total = plural(sum(row.claims for row in families), "claim")
    head = ["| family | asked | hold | violated | no evidence |", "|---|--:|--:|--:|--:|"]
    return ["<details>", f"<summary>{total}, baseline → candidate</summary>", "", *head, *rows, "", "</details>"]


def _both(counts: tuple[int, int]) -> str:
    before, after = counts
    return str(after) if before == after else f"{before} → {after}"


def _speed(pairing: Pairing | None, verdict: GateVerdict) -> list[str]:
    if pairing is None:
        return ["Speed: not measured."]
    policy = verdict.policy.speed

    def row(timed: Timed) -> str:
        known = timed.ratio is not None and timed.low is not None and timed.high is not None
        ratio = interval(timed.ratio, timed.low, timed.high) if known else ""  # type: ignore[arg-type]  # all known
        sd = f"{100 * timed.sd:.1f} %" if timed.sd is not None else ""
        margin = f"{100 * policy.margin_of(timed.name):.0f} %"
        needed = "yes" if policy.requires(timed.name, timed.required) else "no"
        return f"| {as_text(timed.name)} | {ratio} | {sd} | {margin} | {needed} | {outcome_of(timed, policy)} |"

    head = ["| workload | candidate / baseline | sd | margin | required | outcome |", "|---|--:|--:|--:|---|---|"]
    rows = [row(timed) for timed in sorted(pairing.workloads, key=lambda one: -(one.ratio or 0.0))]
    return ["<details>", f"<summary>{as_text(summary(pairing))}</summary>", "", *head, *rows, "", "</details>"]
