"""Changes to a tiny checkpoint that make it one of those that people have and that cannot be exported."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.checkpoint_layouts import State, fp8_scaled, renamed
from tests.gguf_files import write_gguf

Change = Callable[[Path], None]

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"
SECOND = "transformer_2/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT_ENCODER = "text_encoder/model.safetensors"
SCORER = "scorer/model.safetensors"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9825000000\n"
PAGE = b"<!DOCTYPE html>\n<html><head><title>Log in</title></head></html>"
QUERY = "blocks.0.attn1.to_q"


def with_content(name: str, content: bytes) -> Change:
    """Another content of a file."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def with_json(name: str, **values: object) -> Change:
    """Other values in a JSON object; None removes a key."""

    def change(folder: Path) -> None:
        content: dict[str, Any] = {**json.loads((folder / name).read_text()), **values}
        kept = {key: value for key, value in content.items() if key not in values or value is not None}
        (folder / name).write_text(json.dumps(kept))

    return change


def with_tensors(changed: Callable[[State], State], name: str = TRANSFORMER) -> Change:
    """Other tensors in a file of weights."""

    def change(folder: Path) -> None:
        save_file({key: item.contiguous() for key, item in changed(load_file(folder / name)).items()}, folder / name)

    return change


def with_added(tensors: Mapping[str, Tensor], name: str = TRANSFORMER) -> Change:
    """Tensors added to a file of weights, or put in place of its own."""
    return with_tensors(lambda state: {**state, **tensors}, name)


def with_value(value: float, weight: str, name: str = TRANSFORMER) -> Change:
    """One value of one weight replaced."""

    def changed(state: State) -> State:
        state[weight] = state[weight].clone()
        state[weight].view(-1)[-1] = value
        return state

    return with_tensors(changed, name)


def in_place_of(name: str, other: str, content: bytes) -> Change:
    """A file of another name in place of a file of weights."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        (folder / other).write_bytes(content)

    return change


def copied(name: str, other: str) -> Change:
    """One file of weights in place of another."""

    def change(folder: Path) -> None:
        shutil.copy(folder / name, folder / other)

    return change


def all_of(*changes: Change) -> Change:
    """Several changes, one after the other."""

    def change(folder: Path) -> None:
        for item in changes:
            item(folder)

    return change


def with_stored_type(type_name: str, weight: str = f"{QUERY}.weight") -> Change:
    """The weight of one linear in a type that torch cannot write: the header says so."""

    def change(folder: Path) -> None:
        file = folder / TRANSFORMER
        content = file.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        first, _ = header[weight]["data_offsets"]
        bits = {"F4": 4, "F6_E2M3": 6}.get(type_name, 8)
        header[weight]["dtype"] = type_name
        header[weight]["data_offsets"][1] = first + int(np.prod(header[weight]["shape"])) * bits // 8
        text = json.dumps(header).encode()
        file.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])

    return change


def text_to_video(component: str = "transformer") -> Change:
    """A transformer with the channels of text-to-video, in weights and configuration."""
    patch = "patch_embedding.weight"
    return all_of(
        with_json(f"{component}/config.json", in_channels=16),
        with_tensors(
            lambda state: {**state, patch: state[patch][:, :16]},
            f"{component}/diffusion_pytorch_model.safetensors",
        ),
    )


def without_scale(dtype: torch.dtype, *, keep_others: bool) -> Change:
    """A transformer in 8-bit floats with scales, where one scale or all scales are missing."""

    def changed(state: State) -> State:
        stored, _ = fp8_scaled(state, dtype=dtype)
        return {
            name: item
            for name, item in stored.items()
            if not name.endswith("scale_weight") or (keep_others and not name.startswith(QUERY))
        }

    return with_tensors(changed)


def torch_archive(entries: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A ZIP archive with the entries given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def saved_by_torch(content: object, *, is_old: bool = False) -> bytes:
    """What ``torch.save`` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=not is_old)
    return buffer.getvalue()


def as_gguf(changed: Callable[[State], State] = lambda state: state, name: str = TRANSFORMER) -> Change:
    """A transformer as GGUF file with the official names in float32."""

    def change(folder: Path) -> None:
        state = renamed(changed(load_file(folder / name)), "transformer")
        (folder / name).unlink()
        tensors = {key: (item.numpy(), "F32") for key, item in state.items()}
        write_gguf((folder / name).with_suffix(".gguf"), tensors)

    return change


def many_tensors(count: int) -> bytes:
    """A safetensors file of empty tensors."""
    entry = b'"%05x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
    header = b"{" + b",".join(entry % number for number in range(count)) + b"}"
    return struct.pack("<Q", len(header)) + header
