"""Lets the processes that a test starts take SIGINT, although a run of the tests in the background ignores it."""

from __future__ import annotations

import signal


def take_interrupts() -> None:
    """Takes SIGINT in this process and in those that it starts from now on. Only for the main thread.

    A started process inherits an ignored signal, but no handler. ``preexec_fn`` would do the same in the child alone;
    but then Python forks, and gRPC's handlers of a fork break a child that started while a call was running.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
