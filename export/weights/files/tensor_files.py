"""The files of a component, and their tensors by name, whatever the format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from export.errors import ExportError
from export.weights.files.gguf_file import read_gguf_file
from export.weights.files.recognition import WEIGHT_ENDINGS, folder_contents, recognise, weight_files_in
from export.weights.files.safetensors_file import read_header
from export.weights.files.stored_tensor import StoredTensor
from export.weights.files.torch_file import read_torch_file

_REMEDY = "download the component again"


def read_tensors(files: Iterable[Path]) -> dict[str, StoredTensor]:
    """The tensors of several files by name. Reads headers only.

    Raises ``ExportError`` for a file that is missing, damaged or no file of weights, and for a name in two files.
    """
    tensors: dict[str, StoredTensor] = {}
    for file in files:
        for name, tensor in _tensors(file):
            if name in tensors:
                raise ExportError(
                    f"{file.parent}: {name} is in {tensors[name].file.name} and in {file.name}; keep the files of one "
                    "variant only"
                )
            tensors[name] = tensor
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


def _indexed(folder: Path, index: Path) -> Sequence[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        is_plain = bool(names) and all(name == Path(name).name for name in names)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ExportError(f"{index} is not a shard index; {_REMEDY}") from error
    if not is_plain:
        raise ExportError(f"{index} is not a shard index: it names no files of its own folder; {_REMEDY}")
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        more = f" with {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ExportError(f"{index} names {missing[0]}, which is missing{more}; {_REMEDY}")
    return [folder / name for name in names]
