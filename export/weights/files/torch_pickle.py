"""Judges the pickle of a file that ``torch.save`` wrote, before torch reads the pickle.

torch's ``weights_only`` runs no code from a file. It still hashes the keys of dictionaries, makes objects as large as
the file says, and names what it refuses only in part. The judgement walks over the operations of the pickle without
carrying them out: which names these import, how many there are, how large the tuples are that they nest.
"""

from __future__ import annotations

import pickletools
from collections.abc import Mapping
from pathlib import Path

from export.errors import ExportError

MAX_PICKLE_BYTES = 16 * 1024 * 1024  # an A14B expert's has 0.2 MB
_MAX_OPERATIONS = 3_000_000  # 40 for each tensor
# A tuple of tuples that stand in the file once can be exponentially large when it is hashed.
_MAX_TUPLE_ITEMS = 100_000
# What a state dict is made of. Other imports are no tensors.
_IMPORTED = {
    "collections OrderedDict",
    "torch Size",
    "torch device",
    "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_tensor",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3",
    "torch.nn.parameter Parameter",
    "torch.serialization _get_layout",
    "torch.storage TypedStorage",
    "torch.storage UntypedStorage",
}
_STORAGES = ("Storage", "Tensor")
_TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
_PUT = ("PUT", "BINPUT", "LONG_BINPUT")
_GET = ("GET", "BINGET", "LONG_BINGET")
_ONE: Mapping[str, int] = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def check_pickle(file: Path, content: bytes) -> None:
    """Refuses a pickle that is more than a state dict. Raises ``ExportError``; runs and makes nothing."""
    sizes = _TupleSizes(file)
    try:
        for number, (operation, argument, _) in enumerate(pickletools.genops(content)):
            if number > _MAX_OPERATIONS:
                raise ExportError(f"{file} has a pickle of more than {_MAX_OPERATIONS} operations; {_REMEDY}")
            if operation.name == "GLOBAL":
                _check_import(file, str(argument))
            elif operation.name in {"STACK_GLOBAL", "INST", "OBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}:
                raise ExportError(f"{file} holds objects besides tensors ({operation.name}), {_NOT_READ}; {_REMEDY}")
            sizes.follow(operation, argument)
    except (ValueError, IndexError, KeyError, OverflowError, UnicodeDecodeError) as error:
        raise ExportError(f"{file} has a damaged pickle; download the file again") from error


_NOT_READ = "which only running code of the file would read"
_REMEDY = "save its state dict as safetensors, or take another file"


def _check_import(file: Path, name: str) -> None:
    module, _, item = name.partition(" ")
    is_type = module in {"torch", "torch.cuda"} and (item.endswith(_STORAGES) or item.islower())
    if name not in _IMPORTED and not is_type:
        raise ExportError(f"{file} holds {f'{module}.{item}'[:100]} besides tensors, {_NOT_READ}; {_REMEDY}")


class _TupleSizes:
    """Follows the stack of a pickle with one number for each object: the items of a tuple, nested ones included."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stack: list[int | None] = []  # None: a mark
        self._memo: dict[int, int] = {}

    def follow(self, operation: pickletools.OpcodeInfo, argument: object) -> None:
        name = operation.name
        if name in _PUT and isinstance(argument, int):
            self._memo[argument] = self._top()
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        elif name in _GET and isinstance(argument, int):
            self._stack.append(self._memo[argument])
        elif name in _TUPLES:
            items = self._popped(_ONE.get(name))
            size = 1 + sum(items)
            if size > _MAX_TUPLE_ITEMS:
                raise ExportError(f"{self._file} nests tuples without end; {_REMEDY}")
            self._stack.append(size)
        else:
            self._replace(operation)

    def _replace(self, operation: pickletools.OpcodeInfo) -> None:
        """Takes from the stack and puts on it what the operation does; new objects count as one item."""
        for taken in reversed(operation.stack_before):
            if taken is pickletools.stackslice:
                self._popped(None)
                break  # the mark is gone with it
            if taken is not pickletools.markobject:
                self._stack.pop()
        before = list(operation.stack_before)
        if pickletools.stackslice in before:
            for _ in before[: before.index(pickletools.markobject)]:
                self._stack.pop()
        for made in operation.stack_after:
            self._stack.append(None if made is pickletools.markobject else 1)

    def _popped(self, count: int | None) -> list[int]:
        """The topmost items; those above the last mark for ``count`` None."""
        items: list[int] = []
        while count is None or len(items) < count:
            item = self._stack.pop()
            if item is None:
                if count is None:
                    return items
                raise ValueError("a mark within a tuple")
            items.append(item)
        return items

    def _top(self) -> int:
        return self._stack[-1] or 1
