"""A Diffusers folder, read and checked. Knows configurations and file names; traces nothing."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.bundle import file_sha256
from engine.types import Family
from export.errors import ExportError

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan, WanTransformer3DModel
    from transformers import PreTrainedTokenizerBase, UMT5EncoderModel

_PIPELINES = ("WanImageToVideoPipeline", "WanPipeline")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of one of the two families; components are loaded one at a time, as float32."""

    folder: Path
    family: Family
    index: dict[str, Any]
    scheduler: dict[str, Any]

    @property
    def expand_timesteps(self) -> bool:
        """Whether the picture is the first latent frame instead of extra channels."""
        return bool(self.index.get("expand_timesteps"))

    @property
    def boundary_timestep(self) -> float | None:
        """From this timestep on upwards the high-noise expert works; None with one transformer."""
        ratio = self.index.get("boundary_ratio")
        return None if ratio is None else float(ratio) * int(self.scheduler["num_train_timesteps"])

    @property
    def license(self) -> str:
        """What the model card's front matter says."""
        card = self.folder / "README.md"
        found = (
            re.search(r"^license:\s*(\S+)", card.read_text(encoding="utf-8"), re.MULTILINE) if card.is_file() else None
        )
        return found.group(1) if found else "unknown"

    def digest(self) -> str:
        """SHA-256 over the names and digests of every configuration and weight file."""
        whole = hashlib.sha256()
        for file in sorted(self.folder.rglob("*")):
            if file.suffix in {".json", ".safetensors", ".model"} and file.is_file():
                whole.update(f"{file.relative_to(self.folder).as_posix()}\0{file_sha256(file)}\n".encode())
        return whole.hexdigest()

    def weight_files(self, component: str) -> list[Path]:
        """The component's safetensors files."""
        files = sorted((self.folder / component).glob("*.safetensors"))
        if not files:
            raise ExportError(f"{self.folder / component} holds no .safetensors file; download the component again")
        return files

    def vae(self) -> AutoencoderKLWan:
        """The VAE."""
        from diffusers import AutoencoderKLWan

        return self._load(AutoencoderKLWan, "vae")

    def transformer(self, component: str) -> WanTransformer3DModel:
        """``transformer`` (high noise, or the only one) or ``transformer_2`` (low noise)."""
        from diffusers import WanTransformer3DModel

        model: WanTransformer3DModel = self._load(WanTransformer3DModel, component)
        if model.config.image_dim is not None:
            raise ExportError(f"{component}/config.json has image_dim: this is Wan2.1, only Wan2.2 is supported")
        return model

    def text_encoder(self) -> UMT5EncoderModel:
        """The umT5 encoder."""
        from transformers import UMT5EncoderModel

        return self._load(UMT5EncoderModel, "text_encoder")

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the text encoder."""
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self.folder / "tokenizer")
        except (OSError, ValueError, KeyError) as error:
            raise ExportError(f"cannot load {self.folder / 'tokenizer'}: {error}; download it again") from error

    def _load(self, kind: Any, component: str) -> Any:
        self.weight_files(component)
        try:
            return kind.from_pretrained(self.folder / component, torch_dtype=torch.float32).eval()
        except Exception as error:  # each library has its own errors for damaged files
            raise ExportError(
                f"cannot load {self.folder / component}: {error}; download the component again"
            ) from error


def open_checkpoint(folder: Path) -> Checkpoint:
    """Reads the configurations. Raises ``ExportError`` for anything that cannot be exported."""
    index = _read_json(folder / "model_index.json", "give a checkpoint folder in the Diffusers layout")
    if index.get("_class_name") not in _PIPELINES:
        raise ExportError(f"model_index.json names {index.get('_class_name')}, not {' or '.join(_PIPELINES)}")
    has_two = (index.get("transformer_2") or [None])[0] is not None
    if index.get("expand_timesteps") and not has_two:
        family = Family.WAN22_TI2V_5B
    elif has_two and index.get("boundary_ratio") is not None:
        family = Family.WAN22_I2V_A14B
    else:
        raise ExportError(
            "model_index.json is of neither family: Wan2.2-I2V-A14B has transformer_2 and boundary_ratio, "
            "Wan2.2-TI2V-5B has expand_timesteps and one transformer"
        )
    scheduler = _read_json(folder / "scheduler" / "scheduler_config.json", "download the scheduler again")
    _check_scheduler(scheduler)
    return Checkpoint(folder, family, index, scheduler)


def _check_scheduler(scheduler: dict[str, Any]) -> None:
    expected = {
        "_class_name": "UniPCMultistepScheduler",
        "prediction_type": "flow_prediction",
        "use_flow_sigmas": True,
        "predict_x0": True,
        "solver_type": "bh2",
        "lower_order_final": True,
        "final_sigmas_type": "zero",
        "use_dynamic_shifting": False,
        "disable_corrector": [],
        "thresholding": False,
    }
    for key, value in expected.items():
        found = scheduler.get(key, value)
        if found != value:
            raise ExportError(f"scheduler_config.json has {key} {found!r}; only {value!r} is supported")
    if scheduler.get("solver_order", 2) not in (1, 2, 3):
        raise ExportError(
            f"scheduler_config.json has solver_order {scheduler['solver_order']}; 1, 2 or 3 are supported"
        )


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}; {remedy}") from error
    except ValueError as error:
        raise ExportError(f"{path} is not JSON; {remedy}") from error
    if not isinstance(content, dict):
        raise ExportError(f"{path} is not a JSON object; {remedy}")
    return content
