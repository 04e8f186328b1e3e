"""Where the folders of each layout keep the components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from export.weights.component_files import ComponentFiles
from export.weights.names.layout import ComponentKind

_DIFFUSERS: Mapping[str, ComponentKind] = {
    "transformer": "transformer",
    "transformer_2": "transformer",
    "text_encoder": "text_encoder",
    "vae": "vae",
}
LAYOUTS = (
    "give a checkpoint folder in the Diffusers layout (model_index.json), in that of the official repository "
    "(high_noise_model, low_noise_model), ComfyUI's models folder, or the files as --transformer-high, "
    "--transformer-low, --vae and --text-encoder"
)
_OFFICIAL_TEXT_ENCODER = "models_t5_umt5-xxl-enc-bf16.pth"
_OFFICIAL_VAES = ("Wan2.1_VAE.pth", "Wan2.2_VAE.pth")
_OFFICIAL_TOKENIZER = Path("google") / "umt5-xxl"
_OFFICIAL_CONFIGURATION = "config.json"
_EXPERTS = {"transformer": "high_noise_model", "transformer_2": "low_noise_model"}


@dataclass(frozen=True)
class FoundFolder:
    """The components and the tokenizer that a folder's layout holds."""

    components: Mapping[str, ComponentFiles]
    tokenizer: Path | None


def diffusers_folder(folder: Path, *, has_two: bool) -> FoundFolder:
    """The components of a folder with ``model_index.json``, whether or not their folders exist."""
    return FoundFolder(
        {
            name: ComponentFiles(kind, folder / name, folder / name / "config.json")
            for name, kind in _DIFFUSERS.items()
            if has_two or name != "transformer_2"
        },
        folder / "tokenizer",
    )


def is_official(folder: Path) -> bool:
    """True for the layout of the official repository's checkpoints."""
    names = (*_EXPERTS.values(), _OFFICIAL_TEXT_ENCODER, *_OFFICIAL_VAES)
    return any((folder / name).exists() for name in names)


def official_folder(folder: Path) -> FoundFolder:
    """The components of an official folder: two folders of experts, or one transformer at the top."""
    experts = {name: folder / place for name, place in _EXPERTS.items() if (folder / place).is_dir()}
    if not experts:
        experts = {"transformer": folder}
    components = {
        name: ComponentFiles("transformer", path, _configuration(path)) for name, path in sorted(experts.items())
    }
    components["text_encoder"] = ComponentFiles("text_encoder", folder / _OFFICIAL_TEXT_ENCODER)
    vae = next(
        (name for name in _OFFICIAL_VAES if (folder / name).exists()), _OFFICIAL_VAES["transformer_2" not in experts]
    )
    components["vae"] = ComponentFiles("vae", folder / vae)
    tokenizer = folder / _OFFICIAL_TOKENIZER
    return FoundFolder(components, tokenizer if tokenizer.is_dir() else None)


def _configuration(folder: Path) -> Path | None:
    file = folder / _OFFICIAL_CONFIGURATION
    return file if file.is_file() else None
