"""An audit in the terminal: a table of layers, modules left out, and the verdict. Fits 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.table import Table
from rich.text import Text

from fixtures.audit.findings import AuditFindings, LayerFinding, LayerVerdict, OutsideFinding, Scale
from fixtures.words.layout import item, left_out, section, text
from fixtures.words.phrases import first_few, p_value, plural

STYLES = {
    LayerVerdict.HOLDS: "green",
    LayerVerdict.VIOLATED: "bold red",
    LayerVerdict.NO_EVIDENCE: "magenta",
    LayerVerdict.SUGGESTED: "yellow",
}

WIDE = 110
"""Columns from which on a layer's class, its shape and the network's own gradients are shown too."""

ENDINGS = {
    0: ("bold green", "every stated law holds"),
    1: ("bold red", "a stated law is violated"),
    2: ("bold magenta", "no evidence: no law was stated, or one could not be judged"),
}


def audit_page(found: AuditFindings) -> RenderableType:
    """Page of a whole audit, the verdict last, where the eye is after a long table."""
    return Group(
        text((found.model, "bold"), f"  on {found.inputs}, torch {found.torch}, {found.dtype} on {found.device}"),
        text(
            f"std of each layer's weights, 1 = as intended, ± what the screen would let pass (99.99 %); "
            f"{plural(found.networks, 'network')}, seed {found.seed}, {found.seconds:.1f} s"
        ),
        *_table(found.layers),
        *_remarks(found),
        *_outside(found.outside),
        *_beside(found),
        Text(),
        *_ending(found),
    )


def _table(layers: tuple[LayerFinding, ...]) -> list[RenderableType]:
    return [Text(), _LayerTable(layers)] if layers else []


class _LayerTable:
    """One line a layer; more columns where the window has room."""

    def __init__(self, layers: tuple[LayerFinding, ...]) -> None:
        self.layers = layers

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        is_wide = options.max_width >= WIDE
        room = options.max_width - max(len(layer.law) for layer in self.layers) - BESIDE_NAME_AND_LAW
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        table.add_column("layer")
        if is_wide:
            table.add_column("class")
            table.add_column("weight")
        table.add_column("law")
        table.add_column("forward", no_wrap=True)
        table.add_column("backward", no_wrap=True)
        if is_wide:
            table.add_column("in network", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        for layer in self.layers:
            name = layer.name or "(the model)"
            shown = [text(name) if is_wide else _broken(name, max(room, NARROWEST_NAME))]
            if is_wide:
                shown += [text(layer.kind), text("x".join(map(str, layer.shape)))]
            shown += [text(layer.law), _scale(layer.forward), _scale(layer.backward)]
            if is_wide:
                shown.append(_scale(layer.network))
            table.add_row(*shown, text((str(layer.verdict), STYLES[layer.verdict])))
        yield table


NARROWEST_NAME = 16

BESIDE_NAME_AND_LAW = 2 * len("1.002 ±.009") + len("no evidence") + 4
"""Columns of a narrow table that names and laws cannot have: two scales, a verdict, and a space behind each of four."""


def _broken(name: str, width: int) -> Text:
    """A name in as many lines as it takes, each cut behind a dot where there is one."""
    lines = [""]
    for part in re.findall(r"[^.]*\.|[^.]+", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("  ")
        lines[-1] += part
    return Text("\n").join(map(text, lines))


def _scale(scale: Scale | None) -> Text:
    """A scale and half the width of its interval, which is nearly symmetric."""
    if scale is None:
        return Text("-")
    if scale.high is None:
        return Text(f"{_number(scale.value)} (any)")
    return Text(f"{_number(scale.value)} ±{_number((scale.high - scale.low) / 2)}".replace("±0.", "±."))


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 100 else f"{value:.3g}"


def _remarks(found: AuditFindings) -> Iterator[RenderableType]:
    """Notes on single layers, the violated ones first; the same note on many is printed once."""
    for verdict in (LayerVerdict.VIOLATED, LayerVerdict.NO_EVIDENCE, LayerVerdict.HOLDS, LayerVerdict.SUGGESTED):
        noted = [layer for layer in found.layers if layer.verdict is verdict and layer.notes]
        if not noted:
            continue
        lines = [
            item(text((first_few([layer.name for layer in group], 4), "bold"), f": {'; '.join(notes)}"))
            for notes, group in _together(noted)
        ]
        title = f"{str(verdict).capitalize()}: {plural(len(noted), 'layer')}"
        yield from section(title, *lines[:MOST_LISTED], *left_out(len(lines) - MOST_LISTED))


MOST_LISTED = 20
"""Remarks of one kind; a JSON file has the rest."""


def _together(layers: Iterable[LayerFinding]) -> list[tuple[tuple[str, ...], list[LayerFinding]]]:
    groups: dict[tuple[str, ...], list[LayerFinding]] = {}
    for layer in layers:
        groups.setdefault(layer.notes, []).append(layer)
    return list(groups.items())


def _outside(outside: tuple[OutsideFinding, ...]) -> Iterator[RenderableType]:
    """Modules with weights that were not asked, by reason."""
    if not outside:
        return
    ordered = sorted(outside, key=lambda each: (each.law is None, each.kind, each.reason))
    lines = []
    for (missed, kind, reason), members in groupby(
        ordered, key=lambda each: (each.law is not None, each.kind, each.reason)
    ):
        names = [each.name or "(the model)" for each in members]
        says = text(
            f"{plural(len(names), 'time')} " if len(names) > 1 else "",
            (kind, "bold"),
            f" ({first_few(names)}): {reason}",
        )
        if missed:
            says.append(
                "; a law was stated of it, which nothing can be said of", style=STYLES[LayerVerdict.NO_EVIDENCE]
            )
        lines.append(item(says))
    yield from section(f"Outside of these laws: {plural(len(outside), 'module')} with weights", *lines)


def _beside(found: AuditFindings) -> Iterator[RenderableType]:
    lines = [item(text(note)) for note in found.notes]
    if found.likeness:
        alike = found.likeness
        style = "" if alike.verdict is LayerVerdict.HOLDS else STYLES[LayerVerdict.VIOLATED]
        what = "unlike each other" if alike.verdict is LayerVerdict.HOLDS else "ALIKE"
        lines.append(
            item(
                text(
                    ("weights of different layers: " + what, style),
                    f" (largest of {plural(alike.pairs, 'product')}: {alike.largest:.1f} standard errors,"
                    f" {alike.where}; {p_value(alike.p)})",
                )
            )
        )
    if any(layer.verdict is LayerVerdict.SUGGESTED for layer in found.layers):
        lines.append(
            item(
                text(
                    "suggested: the law that the weights themselves look like, which is no test of them; state it with"
                    " --law 'PATTERN=LAW'"
                )
            )
        )
    if any(layer.stated for layer in found.layers):
        lines.append(item(text(f"false alarm: with chance {found.false_alarm_rate:.1e} at most")))
    if lines:
        yield from section("Beside the layers", *lines)


def _ending(found: AuditFindings) -> Iterator[RenderableType]:
    counts = {verdict: sum(layer.verdict is verdict for layer in found.layers) for verdict in LayerVerdict}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    style, what = ENDINGS[found.exit_code]
    yield text((what, style), f" ({said or 'no layer'})")
