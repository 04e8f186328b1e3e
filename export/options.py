"""Values of command-line options and their parsers, shared by the commands. Imports no model library."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from export.errors import ExportError

VerifyOption = Literal["auto", "always", "never"]
PrecisionOption = Literal["auto", "fp32", "fp16", "bf16", "int8", "fp8", "int4"]
AttentionOption = Literal["auto", "half", "fp8"]


SKIP_IMAGE_KEYS = "--lora-skip-image-keys"
# What follows the last colon is no strength but a part of the name: it has a path separator or a suffix of letters.
_PART_OF_NAME = re.compile(r"[/\\]|\.[a-z][a-z0-9]*$", re.IGNORECASE)


class AdapterOption(NamedTuple):
    """A LoRA file that is fused into a transformer, and the factor that multiplies its change.

    ``skips_image_keys`` leaves out what Wan2.1 has for the picture's embedding and Wan2.2 lacks.
    """

    file: Path
    strength: float = 1.0
    skips_image_keys: bool = False


def add_adapter_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name adapters; ``adapter_options`` reads them."""
    often = "; may be given more than once, fused in this order"
    parser.add_argument(
        "--lora-high",
        action="append",
        default=[],
        metavar="FILE[:STRENGTH]",
        help=f"adapter fused into the only or the high-noise transformer{often}",
    )
    parser.add_argument(
        "--lora-low",
        action="append",
        default=[],
        metavar="FILE[:STRENGTH]",
        help=f"adapter fused into the low-noise transformer{often}",
    )
    parser.add_argument(
        SKIP_IMAGE_KEYS,
        action="store_true",
        help="leave out the keys k_img, v_img, norm_k_img and img_emb of adapters that were made for Wan2.1",
    )


def adapter_options(options: argparse.Namespace) -> dict[str, tuple[AdapterOption, ...]]:
    """The adapters of a command line in the order given, by the transformer's folder name. Raises ``ExportError``."""
    given: dict[str, Sequence[str]] = {"transformer": options.lora_high, "transformer_2": options.lora_low}
    skips = bool(options.lora_skip_image_keys)
    if skips and not any(given.values()):
        raise ExportError(f"{SKIP_IMAGE_KEYS}: leaves out keys of adapters; give the adapters with --lora-high")
    return {
        name: tuple(parse_adapter_option(text)._replace(skips_image_keys=skips) for text in texts)
        for name, texts in given.items()
        if texts
    }


def parse_adapter_option(text: str) -> AdapterOption:
    r"""Parses ``FILE`` or ``FILE:STRENGTH``. Raises ``ExportError`` for a strength that is not a number.

    The file's name may hold colons: ``C:\loras\high.safetensors`` has no strength.
    """
    name, separator, strength = text.rpartition(":")
    if not separator or _PART_OF_NAME.search(strength):
        return AdapterOption(_file(text, text))
    try:
        return AdapterOption(_file(name, text), float(strength))
    except ValueError as error:
        raise ExportError(f"adapter {text}: {strength!r} is not a number; write FILE or FILE:0.8") from error


def _file(name: str, text: str) -> Path:
    if not name:
        raise ExportError(f"adapter {text!r}: names no file; write FILE or FILE:0.8")
    return Path(name)


def parse_size_option(text: str) -> tuple[int, int]:
    """Parses ``WIDTHxHEIGHT`` in pixels. Raises ``ValueError``."""
    found = re.fullmatch(r"(\d+)[xX×](\d+)", text)
    if found is None:
        raise ValueError(f"{text!r} is not WIDTHxHEIGHT, for example 480x480")
    return int(found.group(1)), int(found.group(2))


class ComponentOptions(NamedTuple):
    """Paths of components, files or folders, and of the tokenizer; None: the layout of the checkpoint's folder."""

    transformer_high: Path | None = None
    transformer_low: Path | None = None
    text_encoder: Path | None = None
    vae: Path | None = None
    tokenizer: Path | None = None


def add_component_options(parser: argparse.ArgumentParser) -> None:
    """Adds the checkpoint's folder and the options of ``ComponentOptions`` to a command."""
    parser.add_argument(
        "checkpoint",
        type=Path,
        nargs="?",
        help="folder in the layout of Diffusers or of the official repository, or ComfyUI's models folder",
    )
    parser.add_argument(
        "--transformer-high", type=Path, help="file or folder of the only or the high-noise transformer"
    )
    parser.add_argument("--transformer-low", type=Path, help="file or folder of the low-noise transformer")
    parser.add_argument("--text-encoder", type=Path, help="file or folder of the umT5 text encoder")
    parser.add_argument("--vae", type=Path, help="file or folder of the VAE")
    parser.add_argument("--tokenizer", type=Path, help="umT5's tokenizer: a folder, tokenizer.json or spiece.model")


def component_options(options: argparse.Namespace) -> ComponentOptions:
    """The parsed options of ``add_component_options``."""
    return ComponentOptions(*(getattr(options, name) for name in ComponentOptions._fields))
