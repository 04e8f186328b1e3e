"""The one error that an export reports to the person who runs it."""

from __future__ import annotations


class ExportError(Exception):
    """An export cannot go on. The message names the file or option, the fault and the remedy."""
