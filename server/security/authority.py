"""Identifies the caller of a call by its bearer token or client certificate.

* With a file of callers every call needs a token of the file, or a client certificate with a name of the file.
* Without the file, but with client certificates, the name in the certificate is the name of the caller.
* With neither, all calls come from the same unnamed caller.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from server.errors.refusals import TokenMissing, TokenUnknown
from server.security.caller import Caller, CallerLimits

if TYPE_CHECKING:
    from grpc.aio import ServicerContext

    from server.security.callers import KnownCallers
    from server.security.reloading import Reloading

_HEADER = "authorization"
_SCHEME = "bearer"
# The first of these properties names a caller where there is no file of callers.
_NAME_PROPERTIES = ("x509_subject_alternative_name", "x509_common_name")


class Authority:
    """``callers`` None: no file of callers. ``limits`` are those of callers that are not in the file."""

    def __init__(self, callers: Reloading[KnownCallers] | None, limits: CallerLimits) -> None:
        self._callers = callers
        self._limits = limits

    def identify(self, context: ServicerContext[Any, Any]) -> Caller:
        """Identifies the caller. Raises ``TokenMissing``, ``TokenUnknown``, ``TokenExpired`` or ``CallerUnknown``."""
        names = _certificate_names(context)
        if self._callers is None:
            return Caller(names[0] if names else "", self._limits)
        token = _bearer_token(context)
        if token is not None:
            return self._callers.current().by_token(token, datetime.now(UTC))
        if names:
            return self._callers.current().by_certificate(names)
        raise TokenMissing


def _bearer_token(context: ServicerContext[Any, Any]) -> str | None:
    values = [value for key, value in context.invocation_metadata() or () if key == _HEADER]
    if not values:
        return None
    scheme, _, token = str(values[0]).partition(" ")
    if len(values) > 1 or scheme.lower() != _SCHEME:
        raise TokenUnknown
    return token.strip()


def _certificate_names(context: ServicerContext[Any, Any]) -> list[str]:
    """The names in the client certificate, which TLS has verified; empty without a certificate."""
    properties: dict[str, list[bytes]] = context.auth_context()  # type: ignore[assignment]  # aio's own is a dict
    names = [name for key in _NAME_PROPERTIES for name in properties.get(key, ())]
    return [name.decode(errors="replace") for name in names if name]
