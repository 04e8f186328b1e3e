"""The command line: ``stillcue generate``, ``stillcue score``, ``stillcue capabilities``.

Exit codes: 0 done; 1 the server refused or failed, or a file could not be written; 2 the command line itself is
wrong; 3 a chain ended early by ``--require-match``, and its finished segments are written; 130 interrupted (the call is
cancelled on the server). Results go to standard output, progress and errors to standard error. Needs the packages of
``stillcue[cli]``; the library does not.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from stillcue.cli.exit_codes import EXIT_FAILED, EXIT_INTERRUPTED
from stillcue.cli.failures import describe
from stillcue.cli.signals import terminations_as_interrupts
from stillcue.errors import StillcueError

if TYPE_CHECKING:
    from collections.abc import Sequence

EXTRA_PACKAGES = frozenset({"av", "numpy", "PIL", "rich"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. Raises ``SystemExit(2)`` for a wrong command line."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the messages below replace gRPC's log
    from stillcue.cli.arguments import parse_arguments

    options = parse_arguments(arguments)
    try:
        # Imports packages of stillcue[cli], which may not be installed.
        from stillcue.cli import commands

        with terminations_as_interrupts():
            return commands.run(options)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in EXTRA_PACKAGES:
            raise
        return _fail(f"the command line needs {error.name}; install it with: pip install 'stillcue[cli]'")
    except StillcueError as error:
        return _fail(describe(error, options.server))
    except OSError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("stillcue: interrupted; the call was cancelled\n")
        return EXIT_INTERRUPTED


def _fail(message: str) -> int:
    sys.stderr.write(f"stillcue: {message}\n")
    return EXIT_FAILED
