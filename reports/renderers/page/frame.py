"""Frame of a page: one file with its style, script and data, and the policy that keeps anything else from running."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from fixtures.record.safe_text import printable
from fixtures.words.phrases import plural

TEMPLATES = Path(__file__).with_name("templates")

LONGEST = 5000
"""Characters of one text: a command with a path in it."""


def source(*names: str) -> str:
    """Styles or scripts of the page, one after the other."""
    return "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names)


def framed(template: str, *, style: str, script: str, data: str, **values: object) -> str:
    """Fill a template that extends the frame.

    Args:
        template: its name.
        style: all of the page's style.
        script: all of the page's script.
        data: JSON of the script, safe inside a script element.
        values: that the template names.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            policy=Markup(_security_policy(style, script)),
            style=Markup(style),
            script=Markup(script),
            data=Markup(data),
            **values,
        )
    )


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["grouped"] = lambda count: Markup(f"{count:_}".replace("_", "&#8239;"))
    made.filters["counted"] = plural
    made.filters["sentence"] = lambda text: f"{text[:1].upper()}{text[1:]}"
    made.filters["tone"] = lambda outcome: outcome.replace(" ", "-")
    return made


def _shown(value: object) -> object:
    """Clean whatever is put into the page: our own markup stays as it is, all else is one line of plain text.

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
