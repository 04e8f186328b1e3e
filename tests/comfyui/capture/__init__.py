"""Nodes for tests: one writes whatever it gets into the output folder, one gives an IMAGE of any shape.

``captured/NAME.npy`` and ``captured/NAME.json`` hold what ``StillcueTestCapture`` got; of a VIDEO the frames, and the
rate as a fraction. ``StillcueTestImage`` reads ``NAME.npy`` of the input folder.
"""

from __future__ import annotations

import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch


class _AnyType(str):
    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


class Capture:
    """Writes a value into files."""

    CATEGORY = "Stillcue tests"
    FUNCTION = "capture"
    OUTPUT_NODE = True
    RETURN_TYPES = ()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": ("STRING", {"default": "value"}), "value": (_AnyType("*"), {})}}

    def capture(self, name: str, value: Any) -> dict[str, Any]:
        folder = Path(import_module("folder_paths").get_output_directory()) / "captured"
        folder.mkdir(parents=True, exist_ok=True)
        described = value
        if hasattr(value, "get_components"):
            video, value = value, value.get_components().images
            described = {"frame_rate": str(video.get_components().frame_rate), "size": list(video.get_dimensions())}
        if isinstance(value, torch.Tensor):
            np.save(folder / f"{name}.npy", value.numpy())
            described = described if isinstance(described, dict) else {"shape": list(value.shape)}
        (folder / f"{name}.json").write_text(json.dumps(described, default=repr), encoding="utf-8")
        return {"ui": {"captured": [name]}}


class TestImage:
    """Reads an IMAGE."""

    CATEGORY = "Stillcue tests"
    FUNCTION = "read"
    RETURN_TYPES = ("IMAGE",)
    __test__ = False

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"name": ("STRING", {"default": "image"})}}

    @classmethod
    def IS_CHANGED(cls, name: str) -> str:
        return hashlib.sha256(_input(name).read_bytes()).hexdigest()

    def read(self, name: str) -> tuple[torch.Tensor]:
        return (torch.from_numpy(np.load(_input(name))),)


class TestText:
    """Gives a text as an output of any type."""

    CATEGORY = "Stillcue tests"
    FUNCTION = "give"
    RETURN_TYPES = (_AnyType("*"),)
    __test__ = False

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("STRING", {"default": ""})}}

    def give(self, value: str) -> tuple[str]:
        return (value,)


def _input(name: str) -> Path:
    return Path(import_module("folder_paths").get_input_directory()) / f"{name}.npy"


NODE_CLASS_MAPPINGS: dict[str, type] = {
    "StillcueTestCapture": Capture,
    "StillcueTestImage": TestImage,
    "StillcueTestText": TestText,
}
