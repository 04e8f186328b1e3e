"""The guard of every call: identifies the caller and checks its quotas, before the request is read.

The server does not read the request of a refused call. The health service needs no token, since load balancers have
none; every other service does, reflection included.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from server.security.authority import Authority
from server.security.caller import UNNAMED, CallerLimits, current_caller
from server.security.callers import read_callers
from server.security.quotas import Quotas
from server.security.reloading import FileInvalid, Reloading
from server.settings import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grpc.aio import ServicerContext

    from server.settings import Settings

# A caller that has reached its number of streams must be able to end one of them.
_ENDING_METHOD = "CancelGenerate"


class Guard:
    """Calls of ``open_service`` need no token and count against no quota."""

    def __init__(self, authority: Authority, quotas: Quotas, open_service: str) -> None:
        self._authority = authority
        self._quotas = quotas
        self._open_service = open_service

    @classmethod
    def build(cls, settings: Settings, quotas: Quotas, open_service: str) -> Guard:
        """Builds the guard that the settings describe. Raises ``SettingInvalid`` where the file of callers is wrong."""
        limits = CallerLimits(
            settings.caller_max_streams, settings.caller_max_jobs, settings.caller_max_requests_per_minute
        )
        path = settings.callers
        try:
            callers = None if path is None else Reloading((path,), lambda: read_callers(path, limits))
        except FileInvalid as error:
            raise SettingInvalid(f"--callers {error}") from None
        return cls(Authority(callers, limits), quotas, open_service)

    @contextmanager
    def admit(self, service: str, method: str, context: ServicerContext[Any, Any]) -> Iterator[None]:
        """Wraps one call: counts it, and sets ``current_caller``. Raises a ``Refusal``."""
        if service == self._open_service:
            current_caller.set(UNNAMED)
            yield
            return
        caller = self._authority.identify(context)
        current_caller.set(caller)
        with self._quotas.stream(caller, may_exceed=method == _ENDING_METHOD):
            yield
