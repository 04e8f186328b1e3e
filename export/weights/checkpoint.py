"""A checkpoint: its family, its settings, where each component lies. Components are built without weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from engine.api.capabilities import Family
from engine.bundle.folder import file_sha256
from export.errors import ExportError
from export.weights.component_files import ComponentFiles
from export.weights.files.recognition import WEIGHT_ENDINGS
from export.weights.parameters import without_weights
from export.weights.pipeline_settings import PipelineSettings
from export.weights.shards import Shards
from export.weights.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan, WanTransformer3DModel
    from transformers import PreTrainedTokenizerBase, UMT5EncoderModel

_DIGESTED = (".json", ".model", *WEIGHT_ENDINGS)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of one of the two families, in any layout.

    ``components`` are by the folder names of Diffusers' layout: ``transformer`` (high noise, or the only one),
    ``transformer_2`` (low noise), ``vae``, ``text_encoder``. ``folder`` is the checkpoint's folder; None if options
    gave every component. ``tokenizer_path`` None: the text encoder's file carries the tokenizer. ``assumed`` says in
    one line each what the family's defaults supplied.
    """

    name: str
    folder: Path | None
    settings: PipelineSettings
    components: Mapping[str, ComponentFiles]
    tokenizer_path: Path | None
    assumed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def family(self) -> Family:
        """The model family."""
        return self.settings.family

    @property
    def expand_timesteps(self) -> bool:
        """True if the picture is the first latent frame, False if it comes as extra channels."""
        return self.settings.expand_timesteps

    @property
    def boundary_timestep(self) -> float | None:
        """The lowest timestep of the high-noise expert; None with one transformer."""
        return self.settings.boundary_timestep

    @property
    def shift(self) -> float:
        """The shift of the scheduler's configuration."""
        return self.settings.shift

    @property
    def solver_order(self) -> int:
        """The order of the UniPC solver."""
        return self.settings.solver_order

    @property
    def transformer_names(self) -> tuple[str, ...]:
        """``transformer``, and ``transformer_2`` where there are two experts."""
        return tuple(name for name in ("transformer", "transformer_2") if name in self.components)

    @property
    def license(self) -> str:
        """The license in the front matter of the model card, or ``unknown``."""
        card = None if self.folder is None else self.folder / "README.md"
        if card is None or not card.is_file():
            return "unknown"
        found = re.search(r"^license:\s*(\S+)", card.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        return found.group(1) if found else "unknown"

    def files(self) -> list[tuple[str, Path]]:
        """Every configuration and weight file with a label that does not depend on the machine, sorted by label."""
        chosen = {name: part for name, part in self.components.items() if part.option or self.folder is None}
        labelled = {f"{name}: {file.name}": file for name, part in chosen.items() for file in part.files}
        if self.folder is not None:
            for file in _digested_files(self.folder):
                label = file.relative_to(self.folder).as_posix()
                if label.split("/")[0] not in chosen:
                    labelled[label] = file
        return sorted(labelled.items())

    def digest(self) -> str:
        """SHA-256 over the names and digests of every configuration and weight file."""
        whole = hashlib.sha256()
        for label, file in self.files():
            whole.update(f"{label}\0{file_sha256(file)}\n".encode())
        return whole.hexdigest()

    def identity(self, component: str = "") -> list[tuple[str, int, int]]:
        """``files_identity`` of one component, or of the whole checkpoint."""
        if not component:
            return [_identity(label, file) for label, file in self.files()]
        part = self.components[component]
        files = [*part.files, *([part.configuration_file] if part.configuration_file else [])]
        return [_identity(file.name, file) for file in files]

    def shards(self, component: str) -> Shards:
        """The component's stored tensors. Raises ``ExportError`` for missing or damaged files."""
        opened = self.components[component].open()
        opened.require_known_names()
        return opened.shards

    def vae(self, dtype: torch.dtype = torch.float32) -> AutoencoderKLWan:
        """The VAE without weights."""
        from diffusers import AutoencoderKLWan

        return self._built("vae", AutoencoderKLWan.from_config, dtype)

    def transformer(self, component: str, dtype: torch.dtype = torch.float32) -> WanTransformer3DModel:
        """``transformer`` (high noise, or the only one) or ``transformer_2`` (low noise), without weights."""
        from diffusers import WanTransformer3DModel
        from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

        model: WanTransformer3DModel = self._built(component, WanTransformer3DModel.from_config, dtype)
        # Rotary tables are no weights; without these values the model could not run once it has its weights.
        model.rope = WanRotaryPosEmbed(model.rope.attention_head_dim, model.rope.patch_size, model.rope.max_seq_len)
        return model

    def text_encoder(self, dtype: torch.dtype = torch.float32) -> UMT5EncoderModel:
        """The umT5 encoder without weights."""
        from transformers import UMT5Config, UMT5EncoderModel

        def build(configuration: dict[str, Any]) -> UMT5EncoderModel:
            model = UMT5EncoderModel(UMT5Config.from_dict(configuration))
            model.encoder.embed_tokens = model.shared  # checkpoints store one or the other
            return model

        return self._built("text_encoder", build, dtype)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the text encoder. Raises ``ExportError`` where none is found."""
        model = None if self.tokenizer_path else self.components["text_encoder"].open().tokenizer_model
        return load_tokenizer(self.tokenizer_path, model)

    def _built(self, component: str, build: Callable[[dict[str, Any]], Any], dtype: torch.dtype) -> Any:
        part = self.components[component]
        configuration = part.configuration()
        try:
            return without_weights(lambda: build(configuration), dtype)
        except Exception as error:  # each library has its own errors for a configuration that makes no model
            raise ExportError(
                f"{part.configuration_file or part.label} describes no usable model: {error}; download the component "
                "again"
            ) from error


def files_identity(folder: Path) -> list[tuple[str, int, int]]:
    """Name, size and time of change (ns) of every configuration and weight file in a folder.

    An interrupted export recognises the same checkpoint by these, without reading it.
    """
    return [_identity(str(file.relative_to(folder)), file) for file in _digested_files(folder)]


def _digested_files(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.suffix in _DIGESTED and file.is_file()]


def _identity(label: str, file: Path) -> tuple[str, int, int]:
    return label, file.stat().st_size, file.stat().st_mtime_ns
