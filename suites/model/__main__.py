"""`python -m suites.model`: see command.py.

Python ends with 1 on an error of its own, which elsewhere here means a stop.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; exit code 0 the model was measured, 2 it could not be, or an error."""
    try:
        from suites.model.command import run
    except Exception as error:  # noqa: BLE001 - an import may run into a user's module that hides another's
        needs = "measuring a model needs torch and the packages of the dependency group 'suites'"
        print(f"error: {type(error).__name__}: {error}; {needs}", file=sys.stderr)
        return 2
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
