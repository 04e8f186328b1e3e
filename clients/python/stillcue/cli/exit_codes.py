"""Exit codes of the command line."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_ENDED_EARLY = 3
EXIT_INTERRUPTED = 130
