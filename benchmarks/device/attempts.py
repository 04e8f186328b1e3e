"""Runs the parts of a step one after another; a part that fails or does not fit does not affect the others."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

_FRAME_COUNT = 4
_MESSAGE_LENGTH = 600


class Attempts:
    """Tells what is found as it is found: ``tell(kind, name, value)``. ``seconds`` are those of the step."""

    def __init__(self, tell: Callable[[str, str, float | str], None], seconds: float) -> None:
        self._tell = tell
        self._deadline = time.monotonic() + seconds

    def figure(self, name: str, value: float) -> None:
        """A number that was measured, its unit at the end of its name; six digits of it."""
        self._tell("figures", name, float(f"{value:.6g}"))

    def machine(self, name: str, value: float | str) -> None:
        """Describes the machine of the figures."""
        self._tell("machine", name, value)

    def leave_out(self, name: str, reason: str) -> None:
        """A part that is not tried."""
        self._tell("skipped", name, reason)

    def attempt(self, name: str, seconds: float, work: Callable[[], None]) -> bool:
        """Does a part that takes about so many seconds; whether it came to its end."""
        left = self._deadline - time.monotonic()
        if left < seconds:
            self.leave_out(name, f"{left:.0f} s of the step were left, the part takes about {seconds:.0f}")
            return False
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the record tells it and the next part goes on
            self._tell("errors", name, told(error))
            return False
        finally:
            _let_go()
        return True


def told(error: BaseException) -> str:
    """An error with the last places that it went through: names of files without their folders."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAME_COUNT:]
    places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__}: {str(error)[:_MESSAGE_LENGTH]} ({places})"


def _let_go() -> None:
    gc.collect()
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
