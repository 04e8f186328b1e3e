"""The files of a component, and their tensors by name, whatever the format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from export.errors import ExportError
from export.weights.files.gguf_file import read_gguf_file
from export.weights.files.recognition import (
    WEIGHT_ENDINGS,
    folder_contents,
    recognise,
    require_file,
    weight_files_in,
)
from export.weights.files.safetensors_file import read_header
from export.weights.files.stored_tensor import StoredTensor
from export.weights.files.torch_file import read_torch_file

_REMEDY = "download the component again"
_MAX_TENSORS = 65_536  # a file with every component of both experts in 4-bit form has 20,000
_MAX_NAME_BYTES = 255
_MAX_SHARING = 4  # tensors of a file that torch.save wrote may share their bytes
_MAX_INDEX_BYTES = 4 * 1024 * 1024


def read_tensors(files: Iterable[Path]) -> dict[str, StoredTensor]:
    """The tensors of several files by name. Reads headers only.

    Raises ``ExportError`` for a file that is missing, damaged or no file of weights, and for a name in two files.
    """
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        held = 0
        for name, tensor in _tensors(file):
            if len(tensors) >= _MAX_TENSORS:
                raise ExportError(f"{file} holds more than {_MAX_TENSORS} tensors, as no model does; give another file")
            held += tensor.byte_count
            if name in tensors:
                raise ExportError(
                    f"{file.parent}: {name} is in {tensors[name].file.name} and in {file.name}; keep the files of one "
                    "variant only"
                )
            tensors[name] = tensor
        if held > _MAX_SHARING * file.stat().st_size:
            raise ExportError(f"{file} claims {held} bytes of tensors, more than it has; download the file again")
    return tensors


def weight_files(path: Path) -> Sequence[Path]:
    """The files of a component: ``path`` itself, or those of a folder.

    In a folder an index of shards decides, else all safetensors files count, else all files of one other format.
    Raises ``ExportError`` for a folder without files of weights, naming what lies there.
    """
    if not path.is_dir():
        return (path,)
    for index in sorted(path.glob("*.index.json")):
        return _indexed(path, index)
    found = weight_files_in(path)
    for ending in WEIGHT_ENDINGS:
        if files := [file for file in found if file.name.lower().endswith(ending)]:
            return files
    raise ExportError(
        f"{path} holds no file of weights ({', '.join(WEIGHT_ENDINGS)}){folder_contents(path)}; {_REMEDY}"
    )


def _tensors(file: Path) -> Iterator[tuple[str, StoredTensor]]:
    match recognise(file):
        case "safetensors":
            yield from read_header(file)
        case "torch":
            yield from read_torch_file(file)
        case "gguf":
            yield from read_gguf_file(file)


def _is_file_name(name: str) -> bool:
    return len(name.encode(errors="replace")) <= _MAX_NAME_BYTES and "\0" not in name


def _indexed(folder: Path, index: Path) -> Sequence[Path]:
    require_file(index)
    try:
        if index.stat().st_size > _MAX_INDEX_BYTES:
            raise ExportError(f"{index} has {index.stat().st_size} bytes, too many for a shard index; {_REMEDY}")
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        is_plain = bool(names) and all(name == Path(name).name and _is_file_name(name) for name in names)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ExportError(f"{index} is not a shard index; {_REMEDY}") from error
    if not is_plain:
        raise ExportError(f"{index} is not a shard index: it names no files of its own folder; {_REMEDY}")
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        more = f" with {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ExportError(f"{index} names {missing[0]}, which is missing{more}; {_REMEDY}")
    return [folder / name for name in names]
