"""The file of callers: one line for each proof of a caller, with limits.

::

    # name           proof          limits, all optional
    billing          sha256:3f7a…   max_streams=4 max_jobs=2 max_requests_per_minute=60 expires=2027-01-31T00:00:00Z
    render.example   certificate    max_jobs=8

``sha256:`` is the hash of a bearer token; ``certificate`` stands for a client certificate with that name in it. A
name may have several tokens, so that a new token can be handed out before the old one expires. A limit that is left
out is the server's own. A token holds 256 random bits, so its plain hash reveals nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from server.errors.refusals import CallerUnknown, TokenExpired, TokenUnknown
from server.security.caller import Caller, CallerLimits
from server.security.reloading import FileInvalid, read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[!-~]{1,128}")
_LIMITS = frozenset(item.name for item in fields(CallerLimits))
_LARGEST_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class _Token:
    digest: bytes
    caller: Caller
    expires: datetime | None


class KnownCallers:
    """The callers of one file."""

    def __init__(self, tokens: Sequence[_Token], by_certificate: dict[str, Caller]) -> None:
        self._tokens = tuple(tokens)
        self._by_certificate = by_certificate

    def by_token(self, token: str, now: datetime) -> Caller:
        """The caller with this token. Raises ``TokenUnknown`` or ``TokenExpired``.

        Compares with every hash in full, so that the time it takes tells nothing about any of them.
        """
        digest = hashlib.sha256(token.encode()).digest()
        found = [item for item in self._tokens if hmac.compare_digest(item.digest, digest)]
        if not found:
            raise TokenUnknown
        if found[0].expires is not None and found[0].expires <= now:
            raise TokenExpired
        return found[0].caller

    def by_certificate(self, names: Sequence[str]) -> Caller:
        """The caller with one of these certificate names. Raises ``CallerUnknown``."""
        for name in names:
            if name in self._by_certificate:
                return self._by_certificate[name]
        raise CallerUnknown


def hash_of(token: str) -> str:
    """The proof of a token as the file has it: ``sha256:`` and the hash."""
    return f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"


def check_name(name: str) -> None:
    """Raises ``ValueError`` for a name that the file cannot hold."""
    if not _NAME.fullmatch(name) or name.startswith("#"):
        raise ValueError("a name is 1 to 128 printable ASCII characters without spaces, and does not begin with #")


def read_callers(path: Path, default_limits: CallerLimits) -> KnownCallers:
    """Reads a file of callers. Raises ``FileInvalid`` with the number of the first wrong line.

    Messages never show a proof: a user may have written the token itself there.
    """
    try:
        text = read_bytes(path).decode()
    except UnicodeDecodeError:
        raise FileInvalid(f"{path} is not UTF-8 text; write one caller per line") from None
    tokens: list[_Token] = []
    certificates: dict[str, Caller] = {}
    by_name: dict[str, Caller] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition(" #")[0].split()
        if not words or words[0].startswith("#"):
            continue
        try:
            name, proof, *rest = words
            check_name(name)
            limits, expires = _read_options(rest, default_limits)
            caller = by_name.setdefault(name, Caller(name, limits))
            if caller.limits != limits:
                raise ValueError(f"{name} has other limits in a line above; all its lines must have the same")
            if proof == "certificate":
                if expires is not None:
                    raise ValueError("a certificate holds its own expiry; leave expires out")
                certificates[name] = caller
            elif found := _HASH.fullmatch(proof):
                tokens.append(_Token(bytes.fromhex(found[1]), caller, expires))
            else:
                raise ValueError(
                    "the second word is neither sha256: with 64 hex digits nor certificate; create a line with "
                    "python -m server.security.new_token"
                )
        except ValueError as error:
            fault = str(error) if len(words) > 1 else "a line is a name, a proof and limits"
            raise FileInvalid(f"{path} line {number}: {fault}") from None
    return KnownCallers(tokens, certificates)


def _read_options(words: list[str], limits: CallerLimits) -> tuple[CallerLimits, datetime | None]:
    expires: datetime | None = None
    for word in words:
        key, _, value = word.partition("=")
        if key == "expires":
            expires = _read_time(value)
        elif key not in _LIMITS:
            raise ValueError(f"{key!r} is not one of {', '.join(sorted(_LIMITS))}, expires")
        elif not value.isdecimal() or int(value) > _LARGEST_LIMIT:
            raise ValueError(f"{word!r} is not a whole number from 0 to {_LARGEST_LIMIT}; 0 is no limit")
        else:
            limits = replace(limits, **{key: int(value)})
    return limits, expires


def _read_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expires={text!r} is not a time such as 2027-01-31T00:00:00Z") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
