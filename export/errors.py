"""What can go wrong in an export, for the person who runs it."""

from __future__ import annotations


class ExportError(Exception):
    """The export cannot go on. The message names the file or option, the fault and the remedy."""
