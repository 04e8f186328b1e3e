"""The base of every part of the manifest. msgspec reads JSON, checks types and is imported in a few milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import msgspec


class ManifestPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Frozen data. Reading checks every type and range, and refuses unknown keys."""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Reads the JSON form. Raises ``msgspec.ValidationError``."""
        return msgspec.convert(content, cls)

    @classmethod
    def from_json(cls, content: bytes | str) -> Self:
        """Reads JSON text. Raises ``msgspec.ValidationError``, or ``msgspec.DecodeError`` for text that is not JSON."""
        return msgspec.json.decode(content, type=cls)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form, as dictionaries, lists, numbers and strings."""
        form: dict[str, Any] = msgspec.to_builtins(self)
        return form

    def to_json(self, indent: int = 0) -> str:
        """JSON text; ``indent`` 0: on one line."""
        text = msgspec.json.encode(self)
        return (msgspec.json.format(text, indent=indent) if indent else text).decode()

    def with_changes(self, **changes: Any) -> Self:
        """A copy with other values in some fields."""
        return msgspec.structs.replace(self, **changes)
