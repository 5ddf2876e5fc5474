"""The command line: ``pagedviz demo | record | view | info | bench``. Parses; the commands do the work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pagedviz._version import __version__
from pagedviz.commands import COMMANDS
from pagedviz.commands.options import HelpFormatter
from pagedviz.errors import PagedvizError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for an error of ours or of a file, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="pagedviz", description="Watch PagedAttention work.")
    parser.add_argument("--version", action="version", version=f"pagedviz {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, command in COMMANDS.items():
        about = (command.__doc__ or "").partition("\n")[0]  # python -OO strips it
        command.add_arguments(
            commands.add_parser(name, help=about, description=about, formatter_class=HelpFormatter)
        )
    arguments = parser.parse_args(argv)
    try:
        return COMMANDS[arguments.command].run(arguments) or 0
    except (PagedvizError, OSError) as error:
        told = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            told = f"{error.filename}: {error.strerror}"
        print(f"pagedviz {arguments.command}: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
