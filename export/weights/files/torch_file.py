"""Files that ``torch.save`` wrote (.pth, .pt, .bin, .ckpt): names and places of their tensors.

Such a file is a ZIP archive of a pickle and one uncompressed entry for each storage. torch reads the pickle with
``weights_only``, which runs no code from the file, and without the storages, so that opening a file of 11 GB costs as
much as its pickle. The tensors are then mapped from the file like those of safetensors.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from export.errors import ExportError
from export.weights.files.safetensors_file import ONNX_DTYPES, StoredWeight

_MAX_PICKLE_BYTES = 100 * 1024 * 1024  # as the limit of safetensors headers
# Folders of a checkpoint of a training that hold the weights, beside those of the optimiser.
_NESTS = ("state_dict", "model", "module", "generator_ema", "generator", "ema")


def read_torch_file(file: Path) -> Iterator[tuple[str, StoredWeight]]:
    """Names and places of the tensors. Reads the pickle only; raises ``ExportError``."""
    _check_archive(file)
    byte_count = file.stat().st_size
    for name, tensor in _state(file).items():
        if not isinstance(tensor, torch.Tensor):
            continue
        dtype = ONNX_DTYPES.get(tensor.dtype)
        if dtype is None:
            raise ExportError(f"{file}: {name} is stored as {tensor.dtype}, which the exporter cannot read")
        offset = _offset(tensor)
        size = tensor.numel() * tensor.element_size()
        if offset is None or tensor.is_sparse or not tensor.is_contiguous() or offset + size > byte_count:
            raise ExportError(
                f"{file}: {name} does not lie in the file in one piece; save its contiguous copy, or give safetensors"
            )
        yield str(name), StoredWeight(file, dtype, tuple(tensor.shape), offset, size)


def _check_archive(file: Path) -> None:
    """Refuses a file whose storages cannot be mapped, before torch reads it."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        if zipfile.is_zipfile(file):
            raise _damaged(file, "is a damaged archive") from error
        with file.open("rb") as stream:
            is_pickle = stream.read(1) == b"\x80"
        if is_pickle:
            raise ExportError(
                f"{file} is in the format of torch before 1.6, which cannot be mapped; load the file with "
                "torch.load(weights_only=True) and save its tensors as safetensors"
            ) from error
        raise _damaged(file, "is cut short or no file that torch.save wrote") from error
    pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
    if len(pickles) != 1 or pickles[0].file_size > _MAX_PICKLE_BYTES:
        raise _damaged(file, "is no file that torch.save wrote")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ExportError(f"{file} is a compressed archive; unpack the archive, or give safetensors")


def _state(file: Path) -> Mapping[Any, Any]:
    from torch._subclasses.fake_tensor import FakeTensorMode

    try:
        with FakeTensorMode():  # tensors without storage
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ExportError(
            f"{file} holds more than tensors: torch refuses to read the file without running its code; save its state "
            "dict as safetensors"
        ) from error
    except Exception as error:  # torch has many errors for damaged archives
        raise _damaged(file, "is damaged") from error
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
