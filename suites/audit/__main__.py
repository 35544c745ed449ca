"""`python -m suites.audit`: see command.py.

Python ends with 1 on an error of its own, which here would mean that a law is violated.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; exit code 0 every stated law holds, 1 one is violated, 2 no evidence or an error."""
    try:
        from suites.audit.command import run
    except Exception as error:  # noqa: BLE001 - an import may run into a user's module that hides another's
        needs = "an audit needs torch and the packages of the dependency group 'suites'"
        print(f"error: {type(error).__name__}: {error}; {needs}", file=sys.stderr)
        return 2
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
