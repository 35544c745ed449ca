"""Code that shows a known violation outside the suites, as the file of findings has it.

An entry's finding is the paragraph with an anchor of the entry's id, `<a id="half-normal-8-bit"></a>`; its code is the
indented block behind that paragraph, if there is one.
"""

from __future__ import annotations

import re
from pathlib import Path

from fixtures.record.run_folder import RecordError

ANCHOR = re.compile(r'<a id="([\w.+-]+)"></a>')

_INDENT = " " * 4


def read_snippets(path: Path) -> dict[str, str]:
    """Read the code of each finding that an anchor names; "" for one without code.

    Raises:
        RecordError: the file cannot be read, or an anchor stands twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read ({error})") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines):
        for name in ANCHOR.findall(line):
            if name in found:
                raise RecordError(f"{path}: the anchor of {name} stands twice")
            found[name] = _code_behind(lines[number:])
    return found


def _code_behind(lines: list[str]) -> str:
    """The indented block behind a paragraph."""
    paragraph = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
    code: list[str] = []
    for line in lines[paragraph:]:
        if line.strip() and not line.startswith(_INDENT):
            break
        code.append(line.removeprefix(_INDENT))
    return "\n".join(code).strip("\n")
