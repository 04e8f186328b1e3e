"""Files that ``torch.save`` wrote (.pth, .pt, .bin, .ckpt): names and places of their tensors.

Such a file is a ZIP archive of a pickle and one uncompressed entry for each storage. torch reads the pickle with
``weights_only``, which runs no code from the file, and without the storages, so that opening a file of 11 GB costs as
much as its pickle. The tensors are then mapped from the file like those of safetensors.
"""

from __future__ import annotations

import logging
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from export.errors import ExportError
from export.weights.files.safetensors_file import ONNX_DTYPES, StoredWeight
from export.weights.files.torch_pickle import MAX_PICKLE_BYTES, check_pickle

_MAX_ENTRIES = 140_000  # two for each tensor
_END = struct.Struct("<4s4H2LH")  # the record that ends an archive
_LARGE_END = struct.Struct("<4sQ2H2L4Q")
_LARGE_LOCATOR = struct.Struct("<4sLQL")
_MAX_DIRECTORY_BYTES = 16 * 1024 * 1024
_MAX_COMMENT_BYTES = 65_535
_MAX_NAMED = 3
_FAKE_TENSOR_LOG = logging.getLogger("torch._subclasses.fake_tensor")
# Folders of a checkpoint of a training that hold the weights, beside those of the optimiser.
_NESTS = ("state_dict", "model", "module", "generator_ema", "generator", "ema")


def read_torch_file(file: Path) -> Iterator[tuple[str, StoredWeight]]:
    """Names and places of the tensors. Reads the pickle only; raises ``ExportError``."""
    check_pickle(file, _pickle(file))
    byte_count = file.stat().st_size
    for name, tensor in _state(file).items():
        if not isinstance(tensor, torch.Tensor):
            continue
        dtype = ONNX_DTYPES.get(tensor.dtype)
        if dtype is None:
            raise ExportError(
                f"{file}: {name} is stored as {tensor.dtype}, which the exporter cannot read; give the file in "
                "bfloat16, float16 or float32"
            )
        offset = _offset(tensor)
        size = tensor.numel() * tensor.element_size()
        is_inside = offset is not None and 0 <= offset <= byte_count - size
        if offset is None or not is_inside or tensor.is_sparse or not tensor.is_contiguous():
            raise ExportError(
                f"{file}: {name} does not lie in the file in one piece; save its contiguous copy, or give safetensors"
            )
        yield str(name), StoredWeight(file, dtype, tuple(tensor.shape), offset, size)


def _pickle(file: Path) -> bytes:
    """The pickle of the archive. Refuses a file whose storages cannot be mapped, before torch reads the file."""
    with file.open("rb") as stream:
        is_pickle = stream.read(1) == b"\x80"
    if is_pickle:
        raise ExportError(
            f"{file} is in the format of torch before 1.6, or another pickle, which cannot be mapped; load the file "
            "with torch.load(weights_only=True) and save its tensors as safetensors"
        )
    _check_directory(file)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
            if len(pickles) != 1 or len(entries) > _MAX_ENTRIES:
                named = ", ".join(entry.filename for entry in entries[:_MAX_NAMED])[:100]
                raise ExportError(
                    f"{file} is an archive that torch.save did not write{f' (it holds {named})' if named else ''}; "
                    "unpack the archive, or give the file of weights"
                )
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ExportError(f"{file} is a compressed archive; unpack the archive, or give safetensors")
            if max(pickles[0].file_size, pickles[0].compress_size) > MAX_PICKLE_BYTES:
                raise _damaged(file, f"has a pickle of {pickles[0].file_size} bytes")
            return archive.read(pickles[0])
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError) as error:
        raise _damaged(file, "is a damaged archive") from error


def _check_directory(file: Path) -> None:
    """Refuses an archive that is cut short, or whose list of entries would fill the memory."""
    byte_count = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(max(0, byte_count - _MAX_COMMENT_BYTES - _END.size))
        tail = stream.read()
        place = tail.rfind(b"PK\5\6")
        if place < 0 or place + _END.size > len(tail):
            raise _damaged(file, "is cut short: the end of its archive is missing")
        size = _END.unpack_from(tail, place)[5]
        locator = place - _LARGE_LOCATOR.size
        if locator >= 0 and tail[locator : locator + 4] == b"PK\6\7":
            stream.seek(min(_LARGE_LOCATOR.unpack_from(tail, locator)[2], byte_count))
            record = stream.read(_LARGE_END.size)
            size = _LARGE_END.unpack(record)[8] if len(record) == _LARGE_END.size else byte_count
    if size > _MAX_DIRECTORY_BYTES:
        raise _damaged(file, f"has a list of entries of {size} bytes")


def _state(file: Path) -> Mapping[Any, Any]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    _FAKE_TENSOR_LOG.disabled = True  # the error is told in a sentence; torch would print a stack trace too
    try:
        with FakeTensorMode():  # tensors without storage
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ExportError(
            f"{file} holds more than tensors: torch refuses to read the file without running its code; save its state "
            "dict as safetensors, or take another file"
        ) from error
    except Exception as error:  # torch has many errors for damaged archives
        raise _damaged(file, "is damaged") from error
    finally:
        _FAKE_TENSOR_LOG.disabled = False
    while isinstance(loaded, Mapping) and not any(isinstance(item, torch.Tensor) for item in loaded.values()):
        nested = next((loaded[name] for name in _NESTS if isinstance(loaded.get(name), Mapping)), None)
        if nested is None:
            break
        loaded = nested
    if not isinstance(loaded, Mapping) or not any(isinstance(item, torch.Tensor) for item in loaded.values()):
        raise ExportError(f"{file} holds no tensors by name; give a file of a state dict")
    return loaded


def _offset(tensor: torch.Tensor) -> int | None:
    """Bytes from the start of the file, which ``torch.load`` notes on storages that it does not read."""
    start = getattr(tensor.untyped_storage(), "_checkpoint_offset", None)
    return None if start is None else int(start) + int(tensor.storage_offset()) * tensor.element_size()


def _damaged(file: Path, fault: str) -> ExportError:
    return ExportError(f"{file} {fault}; download the file again")
