"""`python -m suites.accelerator`: see command.py. Needs the standard library alone."""

from __future__ import annotations

import sys

from suites.accelerator.command import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
