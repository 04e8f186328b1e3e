"""The nodes of ComfyUI that workflows of the pack use."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from . import folders, registry


class AnyType(str):
    """A type that every type matches."""

    __slots__ = ()

    def __ne__(self, other: object) -> bool:
        return False


class LoadImage:
    """Reads a picture of the input folder."""

    RETURN_TYPES = ("IMAGE", "MASK")
    FUNCTION = "load_image"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        names = sorted(item.name for item in Path(folders.get_input_directory()).iterdir())
        return {"required": {"image": (names, {"image_upload": True})}}

    @classmethod
    def IS_CHANGED(cls, image: str) -> str:
        return hashlib.sha256(Path(folders.get_annotated_filepath(image)).read_bytes()).hexdigest()

    @classmethod
    def VALIDATE_INPUTS(cls, image: str) -> bool | str:
        return Path(folders.get_annotated_filepath(image)).exists() or f"Invalid image file: {image}"

    def load_image(self, image: str) -> tuple[torch.Tensor, torch.Tensor]:
        with Image.open(folders.get_annotated_filepath(image)) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        values = np.asarray(picture).astype(np.float32) / 255.0
        return torch.from_numpy(values)[None], torch.zeros((1, 64, 64))


class PrimitiveStringMultiline:
    """A text."""

    RETURN_TYPES = ("STRING",)
    FUNCTION = "execute"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"value": ("STRING", {"multiline": True})}}

    def execute(self, value: str) -> tuple[str]:
        return (value,)


class PreviewImage:
    """Shows pictures."""

    RETURN_TYPES = ()
    FUNCTION = "save_images"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"images": ("IMAGE",)}}

    def save_images(self, images: torch.Tensor) -> dict[str, Any]:
        names = []
        for index, image in enumerate(images):
            name = f"preview_{index:05}.png"
            pixels = (image * 255).clamp(0, 255).byte().numpy()
            Image.fromarray(pixels).save(Path(folders.get_temp_directory()) / name)
            names.append({"filename": name, "subfolder": "", "type": "temp"})
        return {"ui": {"images": names}}


class PreviewAny:
    """Shows a value as text."""

    RETURN_TYPES = ()
    FUNCTION = "main"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"source": (AnyType("*"), {})}}

    def main(self, source: Any) -> dict[str, Any]:
        return {"ui": {"text": (source if isinstance(source, str) else json.dumps(source, default=str),)}}


class SaveVideo:
    """Writes a VIDEO into the output folder."""

    RETURN_TYPES = ()
    FUNCTION = "execute"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "video": ("VIDEO", {}),
                "filename_prefix": ("STRING", {"default": "video/ComfyUI"}),
                "format": (["auto", "mp4"], {"default": "auto"}),
                "codec": (["auto", "h264"], {"default": "auto"}),
            }
        }

    def execute(self, video: Any, filename_prefix: str, format: str, codec: str) -> dict[str, Any]:  # noqa: A002
        prefix = Path(filename_prefix)
        folder = Path(folders.get_output_directory()) / prefix.parent
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{prefix.name}_{len(list(folder.glob(f'{prefix.name}_*'))) + 1:05}_.mp4"
        video.save_to(str(folder / name), format=format, codec=codec)
        saved = {"filename": name, "subfolder": str(prefix.parent), "type": "output"}
        return {"ui": {"images": [saved], "animated": (True,)}}


def register() -> None:
    """Adds the nodes to the table."""
    for node in (LoadImage, PrimitiveStringMultiline, PreviewImage, PreviewAny, SaveVideo):
        registry.NODE_CLASS_MAPPINGS[node.__name__] = node
