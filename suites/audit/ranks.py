"""The audit of a model that ranks hold together: a line for each parameter, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fixtures.audit.intended_laws import Statement
from fixtures.record.exit_codes import PASS, STOP
from fixtures.sharded.availability import Lacking
from fixtures.sharded.own_model import OwnParameter, survey_ranks
from fixtures.sharded.world import Fallen, Processes, World
from fixtures.words.console import CommandError, show
from fixtures.words.layout import item, text
from fixtures.words.phrases import plural

SECONDS = 600.0
"""Time to build a model; one that hangs is named by its rank and function."""


def audit_ranks(builder: str, statements: tuple[Statement, ...], ranks: int, seed: int) -> int:
    """Build a model on ranks, show what was found, and return the exit code: 1 where anything is wrong.

    Args:
        builder: `module:function` or `file.py:function`.
        statements: laws of parameters.
        ranks: processes that build it.
        seed: of every rank's default generator.

    Raises:
        CommandError: a rank ended, raised or hung, or torch lacks what the model is made of.
    """
    world = Processes(ranks, SECONDS)
    try:
        found = ask(world, builder, statements, seed)
    finally:
        world.close()
    show(page_of(builder, found, ranks, seed))
    return STOP if any(parameter.wrong for parameter in found) else PASS


def ask(world: World, builder: str, statements: tuple[Statement, ...], seed: int) -> list[OwnParameter]:
    """Findings about each parameter.

    Args:
        world: that is asked.
        builder, statements, seed: as `audit_ranks` takes them.

    Raises:
        CommandError: as `audit_ranks`.
    """
    try:
        found: list[OwnParameter] = world.ask(f"a build of {builder}", survey_ranks, builder, statements, seed)
    except (Fallen, Lacking) as error:
        raise CommandError(f"BUILDER {builder}: {error}") from None
    return found


def page_of(builder: str, found: Sequence[OwnParameter], ranks: int, seed: int) -> RenderableType:
    """Page of an audit on ranks.

    Args:
        builder, ranks, seed: as `audit_ranks` takes them.
        found: of each parameter.
    """
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("parameter", "whole", "shards x replicas", "law", "verdict"):
        table.add_column(head, no_wrap=head != "parameter", overflow="fold")
    for parameter in found:
        shape = "x".join(map(str, parameter.shape))
        verdict = ("too small to tell", "magenta") if parameter.too_small else ("holds", "green")
        if parameter.wrong:
            verdict = ("violated", "bold red")
        table.add_row(*map(text, (parameter.name, shape, parameter.held, parameter.law or "-")), text(verdict))
    wrong = [parameter for parameter in found if parameter.wrong]
    lines = [item(text(f"{parameter.name}: {'; '.join(parameter.wrong)}")) for parameter in wrong]
    small = sum(parameter.too_small for parameter in found)
    sound = f"{len(found) - small} of {plural(len(found), 'parameter')} hold, {small} too small to tell"
    ending = f"violated: {plural(len(wrong), 'parameter')} of {len(found)}" if wrong else sound
    header = text((builder, "bold"), f"  on {ranks} ranks, seed {seed}")
    return Group(header, Text(), table, Text(), *lines, text(ending))
