"""``comfy.model_management``: the flag that Cancel sets."""

from __future__ import annotations

import threading

_flag = threading.Event()


class InterruptProcessingException(Exception):
    """Ends a run without an error."""


def interrupt_current_processing(value: bool = True) -> None:
    """Sets or clears the flag."""
    if value:
        _flag.set()
    else:
        _flag.clear()


def processing_interrupted() -> bool:
    """Returns the flag."""
    return _flag.is_set()


def throw_exception_if_processing_interrupted() -> None:
    """Raises the interrupt and clears the flag, if it is set."""
    if _flag.is_set():
        _flag.clear()
        raise InterruptProcessingException
