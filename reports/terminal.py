"""What a person reads in a terminal: the verdict of a gate, and one run. Fits windows from 60 columns on.

Whatever comes from a run file is shown as text: no markup is read, and nothing reaches the terminal but through
`printable`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from fixtures.clock.results import Pairing
from fixtures.record.claim import Claim
from fixtures.record.environment import UNKNOWN_TORCH, Environment
from fixtures.record.run_folder import Run
from fixtures.record.safe_text import printable
from fixtures.rules.policy import Speed
from fixtures.statistics.judgement import FALSE_ALARM_PER_CLAIM, false_alarm_rate
from fixtures.words.layout import Hanging, item, left_out, section, text, unwrapped
from fixtures.words.wording import first_few, measured, p_value, plural, size
from reports import comparison
from reports.bottom_line import bottom_line
from reports.comparison import Change, ClaimChange, compare, grouped
from reports.false_alarms import FalseAlarms
from reports.false_alarms import in_words as chance_in_words
from reports.reasons import Outcome, Reason
from reports.speed import in_words, outcome_of, summary
from reports.verdict import FamilyCount, GateVerdict, Streams, by_family, family_counts, statistical, undecided

STYLES = {
    Outcome.PASS: "bold green",
    Outcome.NOTICE: "bold yellow",
    Outcome.NO_EVIDENCE: "bold magenta",
    Outcome.STOP: "bold red",
}

NEXT_STEPS = {
    Outcome.PASS: "upgrade.",
    Outcome.NOTICE: "read the notices, and upgrade.",
    Outcome.NO_EVIDENCE: "mend what is named above, or wait for a quieter machine, and run the gate again.",
    Outcome.STOP: "judge each stop, then report it, waive it or stay.",
}

RUN_TITLES = {Change.UNREGISTERED: "Violated", Change.REGISTERED: "Violated, registered as known for this release"}

TOP_REASONS = 3
MOST_LISTED = 10
"""Groups listed of one kind; nobody reads on beyond, and verdict.json has them all."""

MOST_NOTES = 5
"""Different notes listed for claims without evidence."""

MOST_TAIL_LINES = 20
"""Lines of a failed run's output: enough for a Python traceback with its cause."""


def verdict_page(verdict: GateVerdict, references: Mapping[str, str]) -> RenderableType:
    """The verdict of a gate; what decides comes first.

    Args:
        verdict: what the gate decided.
        references: where registered violations are discussed, by id.
    """
    return Group(
        *_headline(verdict),
        *_top_reasons(verdict.reasons),
        *_next_step(verdict),
        *_other_reasons(verdict.reasons),
        *(_claim_table(verdict.counts) if verdict.baseline.claims and verdict.candidate.claims else ()),
        *_listed(verdict.changes, {kind: kind.heading for kind in Change if kind.heading}, references),
        *_undecided(verdict.changes),
        *_speed(verdict.speed, verdict.policy.speed),
        *section(
            "Beside the claims",
            item(_streams(verdict.streams)),
            _false_alarms(verdict.false_alarms),
        ),
    )


def run_page(run: Run, references: Mapping[str, str]) -> RenderableType:
    """One run, as far as it went.

    Args:
        run: the run.
        references: where registered violations are discussed, by id.
    """
    # Against itself a run has no changes: what is violated is violated on both sides.
    changes = tuple(compare(run, run))
    return Group(
        text((f"run {run.label}", "bold"), f"  torch {run.torch_version}"),
        *_ending(run),
        *_facts(run),
        *_claim_table(family_counts(changes)),
        *_listed(changes, RUN_TITLES, references),
        *_undecided(changes),
        *_skipped(run.environment),
        *section(
            "Beside the claims",
            item(text(f"fixed-seed digests: {len(run.digests)}, {plural(len(run.sketches), 'sketched array')}")),
            _false_violations(statistical(run)),
        ),
    )


def _headline(verdict: GateVerdict) -> Iterator[RenderableType]:
    before, after = (
        side.torch if side.torch != UNKNOWN_TORCH else side.label for side in (verdict.baseline, verdict.candidate)
    )
    versions = f"  torch {before} -> {after}"
    yield text((f" {verdict.outcome.upper()} ", f"{STYLES[verdict.outcome]} reverse"), versions)
    yield Hanging("", text(bottom_line(verdict)))
    if verdict.plan:
        yield text((", ".join(f"{name} {value}" for name, value in verdict.plan.items()), "dim"))


def _top_reasons(reasons: tuple[Reason, ...]) -> Iterator[RenderableType]:
    """The most important reasons."""
    if reasons:
        yield Text()
    for number, reason in enumerate(reasons[:TOP_REASONS], start=1):
        yield _reason(f"{number}. ", reason)


def _other_reasons(reasons: tuple[Reason, ...]) -> Iterator[RenderableType]:
    """Those that no list of claims below repeats."""
    rest = reasons[TOP_REASONS:]
    if not rest:
        return
    others = [reason for reason in rest if not reason.claims]
    shown = [_reason("  - ", reason) for reason in others[:MOST_LISTED]]
    below = len(rest) - len(others)
    more = [item(text(f"{plural(below, 'more finding')} in the lists below"))] if below else []
    yield from section(plural(len(rest), "more reason"), *shown, *left_out(len(others) - MOST_LISTED), *more)


def _reason(marker: str, reason: Reason) -> RenderableType:
    # The commands of a notice are on the page: here they would push what to do next out of sight.
    is_quiet = reason.outcome is Outcome.NOTICE and not reason.waived
    shown = () if is_quiet else reason.details[-MOST_TAIL_LINES:]
    tail = (text((line, "dim")) for line in shown)
    waived = f" (waived: {', '.join(reason.waived)})" if reason.waived else ""
    return Hanging(marker, text((reason.outcome, STYLES[reason.outcome]), f"{waived}: {reason.text}"), *tail)


def _next_step(verdict: GateVerdict) -> Iterator[RenderableType]:
    seed = verdict.plan.get("seed")
    again = f" With --seed {seed} the same gate repeats these draws, not the times; without, it takes others."
    yield Text()
    yield Hanging("", text(("Next: ", "bold"), NEXT_STEPS[verdict.outcome], again if seed and verdict.rerun else ""))
    if verdict.rerun:
        yield unwrapped(f"  {verdict.rerun}")
    if verdict.stanza:
        yield text("Or let the first pass for a while: fill in, and give as --waivers FILE:")
        yield from (unwrapped(f"  {line}") for line in verdict.stanza.splitlines())


def _claim_table(counts: tuple[FamilyCount, ...]) -> Iterator[RenderableType]:
    """Counts by suite, family and dtype, in 60 columns: a line for the family's name, so that they fit every window."""
    if not counts:
        return
    yield Text()
    yield text((f"{'Claims':11}{'asked':>6}{'hold':>12}{'violated':>12}{'mended':>7}{'no evidence':>12}", "bold"))
    for family, rows in groupby(by_family(counts, dtypes_apart=True), key=lambda row: row.family):
        yield text(family)
        for row in _quiet_together(list(rows)):
            yield text(
                f"  {printable(row.dtype, 9):9}{row.claims:6}{_both(row.holds):>12}",
                (f"{_both(row.violated):>12}", "red" if any(row.violated) else ""),
                (f"{row.mended:7}", "green" if row.mended else ""),
                (f"{_both(row.no_evidence):>12}", "magenta" if any(row.no_evidence) else ""),
            )


def _quiet_together(rows: list[FamilyCount]) -> list[FamilyCount]:
    """The rows of a family; one row for all its dtypes where every claim holds on both sides."""
    claims = sum(row.claims for row in rows)
    if len(rows) == 1 or any(row.holds != (row.claims, row.claims) for row in rows):
        return rows
    return [msgspec.structs.replace(rows[0], dtype="all types", claims=claims, holds=(claims, claims))]


def _both(counts: tuple[int, int]) -> str:
    """Baseline and candidate; one number where they agree."""
    before, after = counts
    return str(after) if before == after else f"{before}->{after}"


def _listed(
    changes: Iterable[ClaimChange], titles: Mapping[Change, str], references: Mapping[str, str]
) -> Iterator[RenderableType]:
    changes = list(changes)
    for kind, title in titles.items():
        groups = grouped(changes, kind)
        if groups:
            total = sum(len(group.members) for group in groups)
            blocks = [_block(group, references) for group in groups[:MOST_LISTED]]
            yield from section(f"{title}: {plural(total, 'claim')}", *blocks, *left_out(len(groups) - MOST_LISTED))


def _block(group: comparison.Group, references: Mapping[str, str]) -> RenderableType:
    """A group of claims, the worst of them with effect, p-value and power, and what is known of it."""
    family, initializer, dtype = group.topic
    worst = group.worst
    alone = worst.claim if len(group.members) == 1 else None
    whom = alone.subject.key if alone else f"{initializer} in {dtype}: {plural(len(group.members), 'claim')}"
    lines = [text((f"{family}, {whom}", "bold"))]
    if worst.claim:
        unit = worst.claim.effect.unit if worst.claim.effect else None
        before = "" if worst.baseline is worst.candidate else f", baseline: {measured(worst.baseline, unit)}"
        lines.append(text(measured(worst.claim), before, (_certainty(worst.claim), "dim")))
        if not alone:
            lines.append(text(f"worst: {worst.claim.subject.key}"))
    for known in sorted({member.violation.known or "" for member in group.members if member.violation} - {""}):
        reference = references.get(known)
        lines.append(text(f"known as {known}", f": {reference}" if reference else ""))
    return item(*lines)


def _certainty(claim: Claim) -> str:
    """How sure the effect is: p-value, samples, and the smallest effect that would have been seen."""
    parts = [p_value(claim.p)] if claim.p is not None else []
    if claim.n:
        parts.append(plural(claim.n, "sample"))
    if claim.detectable:
        parts.append(f"detects {size(claim.detectable, claim.effect.unit if claim.effect else None)}")
    return f" ({', '.join(parts)})" if parts else ""


def _undecided(changes: Iterable[ClaimChange]) -> Iterator[RenderableType]:
    notes = undecided(changes)
    if notes:
        lines = [item(text(f"{plural(count, 'claim')}: {note}")) for note, count in notes.most_common(MOST_NOTES)]
        title = f"No evidence: {plural(notes.total(), 'claim')}"
        yield from section(title, *lines, *left_out(len(notes) - MOST_NOTES))


def _speed(pairing: Pairing | None, policy: Speed) -> Iterator[RenderableType]:
    """The workloads that are not fine, and how far the fine ones may be off."""
    timed = pairing.workloads if pairing else ()
    fine = [one for one in timed if outcome_of(one, policy) == "fine" and one.low is not None and one.high is not None]
    lines = []
    if fine:
        low, high = min(one.low for one in fine if one.low), max(one.high for one in fine if one.high)
        lines.append(item(text(f"{plural(len(fine), 'workload')} fine: all intervals within {low:.2f} to {high:.2f}")))
    for one in sorted(timed, key=lambda one: -(one.ratio or 0.0)):
        if one not in fine:
            optional = "" if policy.requires(one.name, one.required) else " (not required)"
            lines.append(item(text(in_words(one, outcome_of(one, policy)), optional)))
    yield from section(f"Speed: {summary(pairing)}", *lines)


def _streams(streams: Streams) -> Text:
    total = streams.same + len(streams.changed)
    if not total:
        return text("fixed-seed streams: not recorded on both sides")
    if streams.changed:
        return text(f"fixed-seed streams: changed for {len(streams.changed)} of {plural(total, 'subject')}")
    return text(f"fixed-seed streams: the same for {plural(total, 'subject')}")


def _false_alarms(found: FalseAlarms) -> RenderableType:
    said, left = chance_in_words(found)
    return item(text(f"false alarm: {said}"), text(left))


def _false_violations(claims: int) -> RenderableType:
    """Chance that a run alone shows any violation."""
    of = f"{plural(claims, 'statistical claim')}, {FALSE_ALARM_PER_CLAIM:.1e} each"
    return item(text(f"false alarm: with chance {false_alarm_rate(claims):.1e} at most ({of})"))


def _ending(run: Run) -> Iterator[RenderableType]:
    """How the run ended, if not as planned."""
    if run.failure:
        blamed = (run.failure.blames, STYLES[Outcome.STOP])
        yield text(f"failed at stage {run.failure.stage}, through the ", blamed, f": {run.failure.reason}")
        yield from (Hanging("  ", text((line, "dim"))) for line in run.failure.tail[-MOST_TAIL_LINES:])
    elif not run.ended:
        yield text(("not ended: it is still running, or was killed", STYLES[Outcome.NO_EVIDENCE]))
    missing = run.unanswered()
    if missing and run.plan:
        planned = plural(len(run.plan.claims), "planned claim")
        yield text(f"{len(missing)} of {planned} without a finding: {first_few(missing)}")


def _facts(run: Run) -> Iterator[RenderableType]:
    """Who was asked, and with which options; values of many lines (build configurations) are cut."""
    if run.environment is None:
        yield text("no environment.json: the run ended before the first question")
        return
    found = run.environment
    facts = {
        "started": found.started,
        "seconds": f"{found.seconds:.1f}",
        "python": found.python,
        **{f"torch {name}": value for name, value in found.torch.items()},
        **found.machine,
        **{f"option {name}": value for name, value in found.options.items()},
        "packages": ", ".join(f"{name} {version}" for name, version in found.packages.items()),
    }
    lines = (text((f"{name}: ", "dim"), printable(value, LONGEST_FACT)) for name, value in facts.items())
    yield from section("Environment", *(Hanging("  ", line) for line in lines))


LONGEST_FACT = 160
"""Characters of one fact: two or three lines; the file has the rest."""


def _skipped(environment: Environment | None) -> Iterator[RenderableType]:
    if environment and environment.skipped:
        lines = [item(text(f"{count} times: {reason}")) for reason, count in environment.skipped.items()]
        yield from section("Left out", *lines[:MOST_LISTED], *left_out(len(lines) - MOST_LISTED))
