"""A checkpoint in the Diffusers layout: its configurations, components and shards."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.api.capabilities import Family
from engine.bundle.folder import file_sha256
from export.errors import ExportError
from export.weights.parameters import without_weights
from export.weights.shards import Shards

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan, WanTransformer3DModel
    from transformers import PreTrainedTokenizerBase, UMT5EncoderModel

_DIGESTED = (".json", ".safetensors", ".model")
_PIPELINES = ("WanImageToVideoPipeline", "WanPipeline")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of one of the two families. Components are constructed without weights; ``shards`` has these."""

    folder: Path
    family: Family
    index: dict[str, Any]
    scheduler: dict[str, Any]

    @property
    def expand_timesteps(self) -> bool:
        """True if the picture is the first latent frame, False if it comes as extra channels."""
        return bool(self.index.get("expand_timesteps"))

    @property
    def boundary_timestep(self) -> float | None:
        """The lowest timestep of the high-noise expert; None with one transformer."""
        ratio = self.index.get("boundary_ratio")
        return None if ratio is None else float(ratio) * int(self.scheduler["num_train_timesteps"])

    @property
    def shift(self) -> float:
        """The shift of the scheduler's configuration."""
        return float(self.scheduler.get("flow_shift", 1.0))

    @property
    def solver_order(self) -> int:
        """The order of the UniPC solver."""
        return int(self.scheduler.get("solver_order", 2))

    @property
    def license(self) -> str:
        """The license in the front matter of the model card, or ``unknown``."""
        card = self.folder / "README.md"
        found = (
            re.search(r"^license:\s*(\S+)", card.read_text(encoding="utf-8"), re.MULTILINE) if card.is_file() else None
        )
        return found.group(1) if found else "unknown"

    def digest(self) -> str:
        """SHA-256 over the names and digests of every configuration and weight file."""
        whole = hashlib.sha256()
        for file in sorted(self.folder.rglob("*")):
            if file.suffix in _DIGESTED and file.is_file():
                whole.update(f"{file.relative_to(self.folder).as_posix()}\0{file_sha256(file)}\n".encode())
        return whole.hexdigest()

    def identity(self, component: str = "") -> list[tuple[str, int, int]]:
        """``files_identity`` of one component, or of the whole checkpoint."""
        return files_identity(self.folder / component)

    def shards(self, component: str) -> Shards:
        """The component's stored tensors. Raises ``ExportError`` for missing or damaged files."""
        return Shards.open(self.folder / component)

    def vae(self, dtype: torch.dtype = torch.float32) -> AutoencoderKLWan:
        """The VAE without weights."""
        from diffusers import AutoencoderKLWan

        return self._without_weights(AutoencoderKLWan, "vae", dtype)

    def transformer(self, component: str, dtype: torch.dtype = torch.float32) -> WanTransformer3DModel:
        """``transformer`` (high noise, or the only one) or ``transformer_2`` (low noise), without weights."""
        from diffusers import WanTransformer3DModel
        from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

        model: WanTransformer3DModel = self._without_weights(WanTransformer3DModel, component, dtype)
        if model.config.image_dim is not None:
            raise ExportError(f"{component}/config.json has image_dim: this is Wan2.1, only Wan2.2 is supported")
        # Rotary tables are no weights; without these values the model could not run once it has its weights.
        model.rope = WanRotaryPosEmbed(model.rope.attention_head_dim, model.rope.patch_size, model.rope.max_seq_len)
        return model

    def text_encoder(self, dtype: torch.dtype = torch.float32) -> UMT5EncoderModel:
        """The umT5 encoder without weights."""
        from transformers import UMT5Config, UMT5EncoderModel

        def build() -> UMT5EncoderModel:
            model = UMT5EncoderModel(UMT5Config.from_pretrained(self.folder / "text_encoder"))
            model.encoder.embed_tokens = model.shared  # checkpoints store one or the other
            return model

        return self._built("text_encoder", build, dtype)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the text encoder."""
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self.folder / "tokenizer")
        except (OSError, ValueError, KeyError) as error:
            raise ExportError(f"cannot load {self.folder / 'tokenizer'}: {error}; download it again") from error

    def _without_weights(self, kind: Any, component: str, dtype: torch.dtype) -> Any:
        return self._built(component, lambda: kind.from_config(kind.load_config(self.folder / component)), dtype)

    def _built(self, component: str, build: Callable[[], Any], dtype: torch.dtype) -> Any:
        _read_json(self.folder / component / "config.json", "download the component again")
        try:
            return without_weights(build, dtype)
        except Exception as error:  # each library has its own errors for a configuration that makes no model
            raise ExportError(
                f"{self.folder / component / 'config.json'} describes no usable model: {error}; download "
                "the component again"
            ) from error


def files_identity(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change (ns) of every configuration and weight file in a folder.

    An interrupted export recognises the same checkpoint by these, without reading it.
    """
    files = [file for file in sorted(folder.rglob("*")) if file.suffix in _DIGESTED and file.is_file()]
    return [(str(file.relative_to(folder)), file.stat().st_size, file.stat().st_mtime_ns) for file in files]


def open_checkpoint(folder: Path) -> Checkpoint:
    """Reads and checks the configurations. Raises ``ExportError`` for a checkpoint that cannot be exported."""
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
