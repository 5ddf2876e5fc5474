"""The command line: ``pagedviz demo | record | view | info | bench``. Parses; the commands do the work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pagedviz._version import __version__
from pagedviz.commands import COMMANDS
from pagedviz.commands.options import HelpFormatter
from pagedviz.commands.output import forgiving
from pagedviz.errors import PagedvizError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    0, also when whoever read our output has left; 1 for an error of ours or of a file, 130 for Ctrl-C.
    """
    status = 0
    with forgiving():
        status = _run(argv)
    return status  # noqa: RET504 - `forgiving` may have ended the run before there was another


def _run(argv: Sequence[str] | None) -> int:
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
        status = COMMANDS[arguments.command].run(arguments) or 0
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk is told, too
    except BrokenPipeError:
        raise
    except (PagedvizError, OSError) as error:
        told = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            told = f"{error.filename}: {error.strerror}"
        print(f"pagedviz {arguments.command}: {told}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
