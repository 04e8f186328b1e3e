"""What a library logs while it works for a call, and the error that follows from it.

TensorRT logs several lines for one fault: the cause first, a general line of its clean-up last.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.api.errors import DeviceLost, EngineError, GraphFailed, OutOfMemory
from engine.runtime.cuda import Device, error_of_status

_log = logging.getLogger(__name__)
_MAX_LINES = 64  # the cause is among the first
_STATUS = re.compile(r"(?:cuda ?error|CUresult) (\d+)", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(
    r"out ?of ?memory|memory allocation|could not be allocated|allocation failed"
    r"|(?:not enough|insufficient)\b.*\bmemory",
    re.IGNORECASE,
)
_LOST = re.compile(
    r"illegal memory access|launch failure|uncorrectable|launch timed out|illegal instruction|misaligned address"
    r"|device-side assert|device is lost",
    re.IGNORECASE,
)


class LoggedCall:
    """The lines of one call of a library."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.thread = threading.get_ident()
        self.lines: list[str] = []
        self.errors: list[str] = []

    def failure(self, what: str) -> EngineError:
        """The error of a call that failed: ``OutOfMemory``, ``DeviceLost`` or ``GraphFailed`` with every error line."""
        text = "; ".join(self.errors or self.lines) or "the library gave no reason"
        statuses = [
            error_of_status(int(number), f"{what}: {text}") for line in self.lines for number in _STATUS.findall(line)
        ]
        if any(isinstance(error, DeviceLost) for error in statuses) or any(map(_LOST.search, self.lines)):
            return DeviceLost(f"{what}: {text}")
        if any(isinstance(error, OutOfMemory) for error in statuses) or any(map(_OUT_OF_MEMORY.search, self.lines)):
            return OutOfMemory("the GPU ran out of memory; free it of other work, or serve a lower precision")
        try:
            self._device.used_bytes()  # fails where the lines do not tell that the GPU is lost
        except DeviceLost as lost:
            return DeviceLost(f"{what}: {text}; {lost.cause}")
        return GraphFailed(f"{what}: {text}")


class LibraryLog:
    """Passes the library's warnings and errors to the server's log and to the calls that are under way.

    Several threads call the library, and it has threads of its own. A line belongs to the call of its thread; a line of
    a thread without a call belongs to every call.
    """

    def __init__(self, library_name: str, device: Device) -> None:
        self._library_name = library_name
        self._device = device
        self._lock = threading.Lock()
        self._calls: list[LoggedCall] = []

    @contextmanager
    def call(self) -> Iterator[LoggedCall]:
        """Collects the lines that the library logs until the end of the block."""
        logged = LoggedCall(self._device)
        with self._lock:
            self._calls.append(logged)
        try:
            yield logged
        finally:
            with self._lock:
                self._calls.remove(logged)

    def add(self, text: str, *, is_error: bool) -> None:
        """Takes a line from the library, in any thread."""
        thread = threading.get_ident()
        with self._lock:
            own = [call for call in self._calls if call.thread == thread]
            for call in own or self._calls:
                if len(call.lines) < _MAX_LINES:
                    call.lines.append(text)
                    call.errors += [text] if is_error else []
        _log.log(logging.ERROR if is_error else logging.WARNING, "%s: %s", self._library_name, text)
