"""Numbers of the wire's enumerations become members of Python's. Pure."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

Enum = TypeVar("Enum", bound=enum.StrEnum)


def member(kind: type[Enum], wire: EnumTypeWrapper, prefix: str, number: int) -> Enum:
    """The member with the name of a wire's value; ``UNKNOWN`` for values of newer servers and for none."""
    try:
        return kind[wire.Name(number).removeprefix(f"{prefix}_")]
    except (ValueError, KeyError):
        return kind["UNKNOWN"]
