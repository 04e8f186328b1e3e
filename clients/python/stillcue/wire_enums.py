"""Converts protobuf enum numbers to members of Python enumerations by name."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

Enum = TypeVar("Enum", bound=enum.StrEnum)


def member(kind: type[Enum], wire: EnumTypeWrapper, prefix: str, number: int) -> Enum:
    """Returns the member named like the protobuf value less its prefix; ``UNKNOWN`` for other numbers."""
    try:
        return kind[wire.Name(number).removeprefix(f"{prefix}_")]
    except (ValueError, KeyError):
        return kind["UNKNOWN"]
