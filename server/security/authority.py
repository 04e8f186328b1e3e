"""Who a call comes from. Knows where tokens and names of certificates are in a call; takes no account of limits.

* With a file of callers every call shows a token of the file, or else comes over a connection whose client
  certificate holds a name of the file.
* Without one, but with client certificates, whoever has a certificate of the authority is a caller of that name.
* With neither everybody is the same unnamed caller.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from server.errors import TokenMissing, TokenUnknown
from server.security.caller import Caller, CallerLimits

if TYPE_CHECKING:
    from grpc.aio import ServicerContext

    from server.security.callers import KnownCallers
    from server.security.reloading import Reloading

_HEADER = "authorization"
_SCHEME = "bearer"
# In the order in which they name a caller that stands in no file.
_NAME_PROPERTIES = ("x509_subject_alternative_name", "x509_common_name")


class Authority:
    """``callers`` None: no file. ``limits`` are those of callers that stand in no file."""

    def __init__(self, callers: Reloading[KnownCallers] | None, limits: CallerLimits) -> None:
        self._callers = callers
        self._limits = limits

    def identify(self, context: ServicerContext[Any, Any]) -> Caller:
        """The caller. Raises ``TokenMissing``, ``TokenUnknown``, ``TokenExpired`` or ``CallerUnknown``."""
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
    """Names in the client certificate that TLS has verified; none without one."""
    properties: dict[str, list[bytes]] = context.auth_context()  # type: ignore[assignment]  # aio's own is a dict
    names = [name for key in _NAME_PROPERTIES for name in properties.get(key, ())]
    return [name.decode(errors="replace") for name in names if name]
