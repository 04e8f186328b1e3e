"""Tokens and certificates of servers, from ``servers.toml``. None of them is ever in a workflow.

::

    ["studio.example:443"]
    token_file = "studio.token"
    tls_ca = "studio-ca.pem"
    tls_cert = "me.pem"
    tls_key = "me.key"

Paths are relative to the file. A token goes to the address under which it is listed and to no other, so that a workflow
from elsewhere cannot send it to its author.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import NodeError

VARIABLE = "STILLCUE_SERVERS_FILE"
_KEYS = ("token_file", "tls_ca", "tls_cert", "tls_key")


@dataclass(frozen=True)
class Secrets:
    """Credentials for one server: bearer token, root certificates, and the client's certificate and key (PEM)."""

    token: str | None = None
    tls_ca: bytes | None = None
    tls_cert: bytes | None = None
    tls_key: bytes | None = None

    @property
    def tls_names(self) -> str:
        """The names of the certificates that are given."""
        given = {"tls_ca": self.tls_ca, "tls_cert": self.tls_cert, "tls_key": self.tls_key}
        return " and ".join(name for name, value in given.items() if value is not None)

    def __repr__(self) -> str:
        return "Secrets(…)"


def servers_path() -> Path:
    """Returns the path of ``servers.toml``, which need not exist."""
    return Path(os.environ.get(VARIABLE, "").strip() or "~/.config/stillcue/servers.toml").expanduser()


def shown_path(path: Path) -> str:
    """Returns a path for a message, with the user's folder as ``~``."""
    return str(Path("~") / path.relative_to(Path.home())) if path.is_relative_to(Path.home()) else str(path)


def secrets_for(address: str) -> Secrets:
    """Returns the secrets listed for exactly this address; empty ones if it is not listed.

    Raises ``NodeError`` that names the file, the address and the key that is wrong; it never holds a secret.
    """
    path = servers_path()
    table = _tables(path).get(address, {})
    if not isinstance(table, dict):
        raise NodeError(f'{shown_path(path)}: “{address}” is no table; write ["{address}"] on a line of its own')
    for key, value in table.items():
        if key not in _KEYS:
            raise NodeError(
                f"{shown_path(path)}: “{address}” has the unknown key {key!r}; known are {', '.join(_KEYS)}"
            )
        if not isinstance(value, str):
            raise NodeError(f"{shown_path(path)}: {key} of “{address}” is no text; name a file")
    contents = {key: _content(path, address, key, table[key]) for key in _KEYS if key in table}
    token = contents.get("token_file")
    if ("tls_cert" in contents) != ("tls_key" in contents):
        raise NodeError(f"{shown_path(path)}: tls_cert and tls_key of “{address}” go together; give both, or neither")
    return Secrets(
        token=None if token is None else _token(token, path, address, table["token_file"]),
        tls_ca=contents.get("tls_ca"),
        tls_cert=contents.get("tls_cert"),
        tls_key=contents.get("tls_key"),
    )


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not os.environ.get(VARIABLE, "").strip():
            return {}
        raise NodeError(
            f"{shown_path(path)}, named by {VARIABLE}, does not exist; create it, or unset the variable"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(
            f"{shown_path(path)} cannot be read ({_reason(error)}); correct its permissions or its content"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise NodeError(f"{shown_path(path)} is no valid TOML ({error}); correct it") from None


def _content(path: Path, address: str, key: str, name: str) -> bytes:
    file = path.parent / Path(name).expanduser()
    try:
        return file.read_bytes()
    except OSError as error:
        where = f"{shown_path(path)}: {key} of “{address}” names {shown_path(file)}"
        raise NodeError(
            f"{where}, which cannot be read ({_reason(error)}); correct the path or its permissions"
        ) from None


def _token(content: bytes, path: Path, address: str, name: str) -> str:
    from stillcue.channel import is_token

    token = content.decode(errors="replace").strip()
    if not is_token(token):
        raise NodeError(
            f"{shown_path(path)}: token_file of “{address}”, {name}, does not hold one token and nothing else"
        )
    return token


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
