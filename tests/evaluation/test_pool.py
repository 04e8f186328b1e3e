"""An interruption while a process of a run is started."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from evaluation.running.pool import interrupts_held
from tests.interrupts import take_interrupts

_BLOCKED = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"


@pytest.fixture(autouse=True)
def _interrupts_are_taken() -> None:
    take_interrupts()


def test_an_interruption_is_raised_at_the_end_of_the_block() -> None:
    done = []

    def interrupted() -> None:
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            done.append("the rest of the block")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == ["the rest of the block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_process_started_in_the_block_never_receives_sigint() -> None:
    with interrupts_held():
        done = subprocess.run([sys.executable, "-c", _BLOCKED], capture_output=True, check=True)
    assert done.stdout == b"True\n"
