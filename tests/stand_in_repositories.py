"""Small files in the layouts of the repositories that docs/first-clip.md downloads from, decoys among them."""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType, quantize
from numpy.typing import NDArray
from safetensors.torch import save_file

from tests.adapters import official_layout
from tests.checkpoint_layouts import component_state, renamed, write_comfyui, write_official
from tests.checkpoints import TinyModel, write_checkpoint
from tests.gguf_files import write_gguf
from tests.piece_models import piece_model

_SENTENCES = ("a white cat jumps to the left", "the red car drives slowly", "一只白色的猫向左跳", "海豚跃出海面")
# Heads have 128 channels, as in the official models: single files state no other way to count them.
_A14B = TinyModel(head_count=1, head_size=128, ffn_size=32, layer_count=1)
_5B = TinyModel(is_5b=True, head_count=1, head_size=128, ffn_size=32, layer_count=1)
_TEXT_ENCODER = "text_encoders/umt5_xxl_fp16.safetensors"
_VAE = "vae/wan_2.1_vae.safetensors"


class StandIns:
    """Repositories by their names, each written when it is first asked for, from two tiny checkpoints in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._a14b = write_checkpoint(folder / "a14b", _A14B, scorer=True)
        self._5b = write_checkpoint(folder / "5b", _5B)

    def download(self, name: str, patterns: Sequence[str], target: Path) -> None:
        """Copies the files of a repository that match, as ``hf download --include`` does; each pattern must match."""
        repository = self._folder / "repositories" / name
        if not repository.exists():
            repository.mkdir(parents=True)
            self._writers()[name](repository)
            (repository / "README.md").write_text("decoy")
        files = [path.relative_to(repository).as_posix() for path in repository.rglob("*") if path.is_file()]
        for pattern in patterns:
            assert fnmatch.filter(files, pattern), f"{name} holds nothing like {pattern}"
        for file in files:
            if any(fnmatch.fnmatch(file, pattern) for pattern in patterns):
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(repository / file, target / file)

    def _writers(self) -> dict[str, Callable[[Path], object]]:
        return {
            "Wan-AI/Wan2.2-I2V-A14B-Diffusers": self._diffusers,
            "Wan-AI/Wan2.2-I2V-A14B": lambda folder: write_official(self._a14b, folder),
            "Comfy-Org/Wan_2.2_ComfyUI_Repackaged": self._comfyui,
            "Comfy-Org/Wan_2.1_ComfyUI_repackaged": self._comfyui_2_1,
            "QuantStack/Wan2.2-I2V-A14B-GGUF": self._gguf,
            "Wan-AI/Wan2.2-TI2V-5B-Diffusers": lambda folder: shutil.copytree(self._5b, folder, dirs_exist_ok=True),
            "lightx2v/Wan2.2-Lightning": self._lightning,
            "google/siglip2-base-patch16-224": self._siglip2,
        }

    def _diffusers(self, folder: Path) -> None:
        shutil.copytree(self._a14b, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("scorer"))
        (folder / "assets").mkdir()
        (folder / "assets" / "logo.png").write_bytes(b"decoy")

    def _comfyui(self, folder: Path) -> None:
        files = write_comfyui(self._a14b, folder / "split_files")
        (files / _TEXT_ENCODER).unlink()
        (files / _VAE).unlink()
        for name in ("wan2.2_t2v_high_noise_14B_fp16", "wan2.2_i2v_high_noise_14B_fp8_scaled"):
            (files / "diffusion_models" / f"{name}.safetensors").write_bytes(b"decoy")

    def _comfyui_2_1(self, folder: Path) -> None:
        files = folder / "split_files"
        for file in (files / _TEXT_ENCODER, files / _VAE):
            file.parent.mkdir(parents=True)
        save_file(renamed(component_state(self._a14b, "vae"), "vae"), files / _VAE)
        state = component_state(self._a14b, "text_encoder")
        save_file(
            {**state, "spiece_model": torch.frombuffer(bytearray(piece_model(_SENTENCES)), dtype=torch.uint8)},
            files / _TEXT_ENCODER,
        )

    def _gguf(self, folder: Path) -> None:
        for component, expert in (("transformer", "High"), ("transformer_2", "Low")):
            state = renamed(component_state(self._a14b, component), "transformer")
            for precision in ("Q8_0", "Q4_K_M"):
                file = folder / f"{expert}Noise" / f"Wan2.2-I2V-A14B-{expert}Noise-{precision}.gguf"
                file.parent.mkdir(exist_ok=True)
                write_gguf(file, {name: _quantised(tensor.numpy()) for name, tensor in state.items()})

    def _lightning(self, folder: Path) -> None:
        halves = official_layout({"blocks.0.attn1.to_q": (torch.randn(4, 128) * 0.1, torch.randn(128, 4) * 0.1)})
        for version in ("Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1", "Wan2.2-T2V-A14B-4steps-lora-rank64-Seko-V1.1"):
            (folder / version).mkdir()
            for expert in ("high", "low"):
                save_file(halves, folder / version / f"{expert}_noise_model.safetensors")

    def _siglip2(self, folder: Path) -> None:
        shutil.copytree(self._a14b / "scorer", folder, dirs_exist_ok=True)


def _quantised(array: NDArray[np.float32]) -> tuple[NDArray[np.generic], str]:
    """Matrices in Q8_0 and the rest in float32, as converters leave it."""
    if array.ndim == 2 and array.shape[1] % 32 == 0:
        return quantize(array, GGMLQuantizationType.Q8_0), "Q8_0"
    return array, "F32"
