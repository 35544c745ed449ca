"""`python -m reports`: see commands/. Python ends with 1 on an error of its own, which here would mean "stop"."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; exit code 0 pass, 1 stop, 2 no evidence or an error of any kind."""
    try:
        from reports.commands.command_line import run
    except ImportError as error:
        print(f"error: {error}; reports need the packages of the dependency group 'reports'", file=sys.stderr)
        return 2
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
